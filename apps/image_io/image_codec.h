#pragma once

#include "image_io.h"

#include <cstdint>
#include <string>
#include <vector>

/// Files as bytes in memory. Each throws CodecError with the reason; image_io adds the path.
namespace apps {

using Bytes = std::vector<std::uint8_t>;

struct CodecError {
    std::string reason;
};

constexpr std::int64_t most_pixels = std::int64_t{1} << 28;

/// Throws CodecError for a picture that nobody means to decode: no pixels, or more than most_pixels.
void check_size(std::int64_t height, std::int64_t width);

[[nodiscard]] Image decode_png(const Bytes& bytes);
[[nodiscard]] Bytes encode_png(const Image& dense);
[[nodiscard]] Image decode_jpeg(const Bytes& bytes);
[[nodiscard]] Bytes encode_jpeg(const Image& dense);

}  // namespace apps
