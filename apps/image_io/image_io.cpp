#include "image_io.h"

#include "image_codec.h"

#include <tessera/error.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

namespace apps {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const char* what, const std::string& path, const std::string& reason, const std::string& fix) {
    throw tessera::Error(tessera::E0605_file, {}, fmt::format("{} {}: {}", what, path, reason), {tessera::fix(fix)});
}

Bytes read_bytes(const std::string& path) {
    const auto failed = [&](int error) { refuse("cannot read", path, std::strerror(error), "check the path"); };
    if (std::error_code ignored; fs::is_directory(path, ignored)) failed(EISDIR);
    std::FILE* const file = std::fopen(path.c_str(), "rb");
    if (!file) failed(errno);
    Bytes bytes;
    std::uint8_t chunk[1 << 16];
    while (const std::size_t count = std::fread(chunk, 1, sizeof chunk, file)) bytes.insert(bytes.end(), chunk, chunk + count);
    const bool broken = std::ferror(file);
    const int error = errno;
    std::fclose(file);
    if (broken) failed(error);
    return bytes;
}

/// Under another name first: who looks at `path` sees nothing, or all of it.
void write_bytes(const std::string& path, const Bytes& bytes) {
    const std::string part = fmt::format("{}.{}.part", path, getpid());
    const auto failed = [&](int error) {
        std::remove(part.c_str());
        refuse("cannot write", path, std::strerror(error), "write to a folder that exists, may be written and has space left");
    };
    std::FILE* const file = std::fopen(part.c_str(), "wb");
    if (!file) failed(errno);
    const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    const int error = errno;
    if (std::fclose(file) != 0) failed(errno);
    if (!written) failed(error);
    if (std::rename(part.c_str(), path.c_str()) != 0) failed(errno);
}

bool begins_with(const Bytes& bytes, std::initializer_list<std::uint8_t> start) {
    return bytes.size() >= start.size() && std::equal(start.begin(), start.end(), bytes.begin());
}

std::string ending_of(const std::string& path) {
    std::string ending = fs::path(path).extension().string();
    for (char& c : ending) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return ending;
}

}  // namespace

void check_size(std::int64_t height, std::int64_t width) {
    if (height < 1 || width < 1) throw CodecError{fmt::format("{} x {} pixels", width, height)};
    if (height > most_pixels / width) throw CodecError{fmt::format("{} x {} pixels, more than {}", width, height, most_pixels)};
}

Image read_image(const std::string& path) {
    const Bytes bytes = read_bytes(path);
    try {
        if (begins_with(bytes, {0x89, 'P', 'N', 'G'})) return decode_png(bytes);
        if (begins_with(bytes, {0xff, 0xd8, 0xff})) return decode_jpeg(bytes);
    } catch (const CodecError& e) {
        refuse("cannot read", path, e.reason, "use an undamaged PNG or JPEG file");
    }
    refuse("cannot read", path, "neither PNG nor JPEG", "convert it to PNG or JPEG");
}

void write_image(const std::string& path, const Image& image) {
    const std::string ending = ending_of(path);
    const bool png = ending == ".png";
    if (!png && ending != ".jpg" && ending != ".jpeg")
        refuse("cannot write", path, fmt::format("unknown ending '{}'", ending), "use .png, .jpg or .jpeg");
    Bytes bytes;
    try {
        if (image.rank() != 3) throw CodecError{fmt::format("rank {}; a picture has rows, columns and channels", image.rank())};
        if (image.extent(2) != 1 && image.extent(2) != 3)
            throw CodecError{fmt::format("{} channels; a picture has 1 or 3", image.extent(2))};
        check_size(image.extent(0), image.extent(1));
        const Image dense = image.is_dense() ? image : image.copy();
        bytes = png ? encode_png(dense) : encode_jpeg(dense);
    } catch (const CodecError& e) {
        refuse("cannot write", path, e.reason, "write a picture of 8-bit gray or colour");
    }
    write_bytes(path, bytes);
}

}  // namespace apps
