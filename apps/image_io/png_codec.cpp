#include "image_codec.h"

#include <png.h>

namespace apps {
namespace {

/// libpng's simplified interface; the fields it needs are freed on every way out.
struct Png : png_image {
    Png() : png_image{} { version = PNG_IMAGE_VERSION; }
    Png(const Png&) = delete;
    Png& operator=(const Png&) = delete;
    ~Png() { png_image_free(this); }
    void check(int ok) const {
        if (!ok) throw CodecError{std::string("PNG: ") + message};
    }
};

}  // namespace

Image decode_png(const Bytes& bytes) {
    Png png;
    png.check(png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()));
    check_size(png.height, png.width);
    const bool colour = png.format & PNG_FORMAT_FLAG_COLOR;
    png.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    const Image image{png.height, png.width, colour ? 3 : 1};
    const png_color black{0, 0, 0};
    png.check(png_image_finish_read(&png, &black, image.data(), 0, nullptr));
    return image;
}

Bytes encode_png(const Image& dense) {
    Png png;
    png.height = static_cast<png_uint_32>(dense.extent(0));
    png.width = static_cast<png_uint_32>(dense.extent(1));
    png.format = dense.extent(2) == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    png_alloc_size_t size = 0;
    png.check(png_image_write_to_memory(&png, nullptr, &size, 0, dense.data(), 0, nullptr));
    Bytes bytes(size);
    png.check(png_image_write_to_memory(&png, bytes.data(), &size, 0, dense.data(), 0, nullptr));
    bytes.resize(size);
    return bytes;
}

}  // namespace apps
