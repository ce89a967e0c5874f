#pragma once

#include <tessera/buffer.h>

#include <cstdint>
#include <string>

namespace apps {

/// A picture: rows, columns, channels; 1 channel (gray) or 3 (red, green, blue).
using Image = tessera::Buffer<std::uint8_t>;  // {y, x, c}

/// Reads a PNG or JPEG file, whichever its first bytes say. Palettes, 16-bit samples and alpha become 8-bit gray or colour,
/// transparent pixels over black.
/// Throws E0605 with the path: it cannot be read, is neither, is damaged or cut short, or has more than 2^28 pixels.
[[nodiscard]] Image read_image(const std::string& path);

/// Writes a picture as the name's ending says: .png, .jpg or .jpeg (quality 92). The file appears complete or not at all.
/// Throws E0605 with the path: another ending, an empty picture or another number of channels, or it cannot be written.
void write_image(const std::string& path, const Image& image);

}  // namespace apps
