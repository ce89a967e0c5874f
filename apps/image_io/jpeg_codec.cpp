#include "image_codec.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>

#include <jpeglib.h>

// libjpeg leaves a failing call through longjmp. Nothing between setjmp and longjmp below has a destructor, and what is read
// afterwards is not a local of the function that called setjmp.
namespace apps {
namespace {

constexpr int quality = 92;

struct JpegFailure {
    jpeg_error_mgr base;  // first: libjpeg hands out its address
    std::jmp_buf out;
    char reason[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr jpeg) {
    auto* const failure = reinterpret_cast<JpegFailure*>(jpeg->err);
    jpeg->err->format_message(jpeg, failure->reason);
    std::longjmp(failure->out, 1);
}

/// A warning is damage (a file that ends early, say): an error here, where libjpeg would fill in gray.
void on_message(j_common_ptr jpeg, int level) {
    if (level < 0) leave(jpeg);
}

void set_up(JpegFailure& failure) {
    jpeg_std_error(&failure.base);
    failure.base.error_exit = leave;
    failure.base.emit_message = on_message;
}

struct Decoder {
    jpeg_decompress_struct jpeg{};
    JpegFailure failure{};
    Decoder() { jpeg.err = &failure.base, set_up(failure); }
    ~Decoder() { jpeg_destroy_decompress(&jpeg); }
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;

    bool start(const Bytes& bytes) {
        if (setjmp(failure.out)) return false;
        jpeg_create_decompress(&jpeg);
        jpeg_mem_src(&jpeg, bytes.data(), bytes.size());
        jpeg_read_header(&jpeg, TRUE);
        jpeg.out_color_space = jpeg.jpeg_color_space == JCS_GRAYSCALE ? JCS_GRAYSCALE : JCS_RGB;
        jpeg_calc_output_dimensions(&jpeg);
        return true;
    }
    bool read_rows(std::uint8_t* rows) {
        if (setjmp(failure.out)) return false;
        jpeg_start_decompress(&jpeg);
        while (jpeg.output_scanline < jpeg.output_height) {
            JSAMPROW row =
                rows + std::size_t{jpeg.output_scanline} * jpeg.output_width * static_cast<std::size_t>(jpeg.output_components);
            jpeg_read_scanlines(&jpeg, &row, 1);
        }
        jpeg_finish_decompress(&jpeg);
        return true;
    }
};

struct Encoder {
    jpeg_compress_struct jpeg{};
    JpegFailure failure{};
    unsigned char* bytes = nullptr;
    unsigned long size = 0;
    Encoder() { jpeg.err = &failure.base, set_up(failure); }
    ~Encoder() {
        jpeg_destroy_compress(&jpeg);
        std::free(bytes);
    }
    Encoder(const Encoder&) = delete;
    Encoder& operator=(const Encoder&) = delete;

    bool write(const Image& dense) {
        if (setjmp(failure.out)) return false;
        jpeg_create_compress(&jpeg);
        jpeg_mem_dest(&jpeg, &bytes, &size);
        jpeg.image_height = static_cast<JDIMENSION>(dense.extent(0));
        jpeg.image_width = static_cast<JDIMENSION>(dense.extent(1));
        jpeg.input_components = static_cast<int>(dense.extent(2));
        jpeg.in_color_space = jpeg.input_components == 3 ? JCS_RGB : JCS_GRAYSCALE;
        jpeg_set_defaults(&jpeg);
        jpeg_set_quality(&jpeg, quality, TRUE);
        jpeg_start_compress(&jpeg, TRUE);
        while (jpeg.next_scanline < jpeg.image_height) {
            JSAMPROW row = dense.data() +
                           std::size_t{jpeg.next_scanline} * jpeg.image_width * static_cast<std::size_t>(jpeg.input_components);
            jpeg_write_scanlines(&jpeg, &row, 1);
        }
        jpeg_finish_compress(&jpeg);
        return true;
    }
};

}  // namespace

Image decode_jpeg(const Bytes& bytes) {
    Decoder decoder;
    const auto check = [&](bool ok) {
        if (!ok) throw CodecError{std::string("JPEG: ") + decoder.failure.reason};
    };
    check(decoder.start(bytes));
    check_size(decoder.jpeg.output_height, decoder.jpeg.output_width);
    const Image image{decoder.jpeg.output_height, decoder.jpeg.output_width, decoder.jpeg.output_components};
    check(decoder.read_rows(image.data()));
    return image;
}

Bytes encode_jpeg(const Image& dense) {
    Encoder encoder;
    if (!encoder.write(dense)) throw CodecError{std::string("JPEG: ") + encoder.failure.reason};
    return {encoder.bytes, encoder.bytes + encoder.size};
}

}  // namespace apps
