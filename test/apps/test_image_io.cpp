#include "image_io.h"

#include <gtest/gtest.h>
#include <tessera/error.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <unistd.h>

#include "tessera_paths.h"

namespace apps {
namespace {

namespace fs = std::filesystem;

const std::string photo = TESSERA_SOURCE_DIR "/apps/images/china.jpg";

/// A folder of its own for each test.
class ImageIo : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "image_io_XXXXXX";
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { fs::remove_all(folder_); }
    [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
    std::string put(const std::string& name, const std::string& bytes) const {
        std::ofstream(path(name), std::ios::binary) << bytes;
        return path(name);
    }
    [[nodiscard]] std::size_t files() const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), {}));
    }
    std::string folder_;
};

std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

Image ramp(std::int64_t height, std::int64_t width, std::int64_t channels) {
    const Image image{height, width, channels};
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x)
            for (std::int64_t c = 0; c < channels; ++c) image(y, x, c) = static_cast<std::uint8_t>(y * 7 + x * 3 + c * 50);
    return image;
}

void expect_equal(const Image& a, const Image& b) {
    ASSERT_EQ(a.extents(), b.extents());
    for (std::int64_t y = 0; y < a.extent(0); ++y)
        for (std::int64_t x = 0; x < a.extent(1); ++x)
            for (std::int64_t c = 0; c < a.extent(2); ++c) ASSERT_EQ(a(y, x, c), b(y, x, c)) << y << " " << x << " " << c;
}

/// The message of the E0605 that `act` must throw.
template <class Act>
std::string refusal(Act act) {
    try {
        act();
    } catch (const tessera::Error& e) {
        EXPECT_EQ(e.code(), tessera::E0605_file);
        EXPECT_FALSE(e.hints().empty());
        return e.message();
    }
    ADD_FAILURE() << "nothing was thrown";
    return "";
}

TEST_F(ImageIo, ReadsThePhotographThatIsShipped) {
    const Image image = read_image(photo);
    EXPECT_EQ(image.extents(), (std::vector<std::int64_t>{427, 640, 3}));
    // Sky above, a dark roof in the middle: rows and channels are where they belong.
    EXPECT_GT(int{image(5, 320, 2)}, 150);
    double mean = 0;
    image.for_each([&](std::uint8_t value) { mean += value; });
    mean /= static_cast<double>(image.size());
    EXPECT_GT(mean, 60);
    EXPECT_LT(mean, 190);
}

TEST_F(ImageIo, PngKeepsEveryValue) {
    for (const std::int64_t channels : {1, 3}) {
        const Image image = ramp(5, 7, channels);
        write_image(path("a.png"), image);
        expect_equal(read_image(path("a.png")), image);
    }
    EXPECT_EQ(files(), 1u) << "no partial file stays";
}

TEST_F(ImageIo, JpegKeepsValuesNearly) {
    const Image image{16, 24, 3};
    for (std::int64_t y = 0; y < 16; ++y)
        for (std::int64_t x = 0; x < 24; ++x)
            for (std::int64_t c = 0; c < 3; ++c) image(y, x, c) = static_cast<std::uint8_t>(60 + 4 * y + 2 * x + 10 * c);
    write_image(path("a.JPG"), image);
    const Image back = read_image(path("a.JPG"));
    ASSERT_EQ(back.extents(), image.extents());
    for (std::int64_t y = 0; y < 16; ++y)
        for (std::int64_t x = 0; x < 24; ++x)
            for (std::int64_t c = 0; c < 3; ++c) ASSERT_NEAR(back(y, x, c), image(y, x, c), 12);
    write_image(path("gray.jpeg"), ramp(3, 3, 1));
    EXPECT_EQ(read_image(path("gray.jpeg")).extent(2), 1);
}

TEST_F(ImageIo, WritesViewsWithStrides) {
    const Image image = ramp(6, 9, 3);
    const Image part = image.crop(0, 1, 4).crop(1, 2, 8);
    write_image(path("part.png"), part);
    expect_equal(read_image(path("part.png")), part);
}

TEST_F(ImageIo, WhatIsInAFileDecidesNotItsName) {
    write_image(path("a.png"), ramp(4, 4, 3));
    fs::rename(path("a.png"), path("a.jpg"));
    EXPECT_EQ(read_image(path("a.jpg")).extent(0), 4);
}

TEST_F(ImageIo, NamesTheFileThatCannotBeRead) {
    const auto message = [](const std::string& file) { return refusal([&] { (void)read_image(file); }); };
    EXPECT_EQ(message(path("none.png")), "cannot read " + path("none.png") + ": No such file or directory");
    EXPECT_EQ(message(folder_), "cannot read " + folder_ + ": Is a directory");
    EXPECT_EQ(message(put("text.png", "not a picture")), "cannot read " + path("text.png") + ": neither PNG nor JPEG");
    EXPECT_NE(message(put("empty.jpg", "")).find("neither PNG nor JPEG"), std::string::npos);
}

TEST_F(ImageIo, DamagedFilesAreRefused) {
    write_image(path("a.png"), ramp(40, 40, 3));
    const std::string png = bytes_of(path("a.png")), jpeg = bytes_of(photo);
    for (const std::size_t kept : {5u, 20u, 60u})
        EXPECT_NE(refusal([&] { (void)read_image(put("cut.png", png.substr(0, kept))); }).find("PNG: "), std::string::npos);
    for (const std::size_t kept : {4u, 200u, 60000u, 190000u})
        EXPECT_NE(refusal([&] { (void)read_image(put("cut.jpg", jpeg.substr(0, kept))); }).find("JPEG: "), std::string::npos)
            << kept;
    std::string huge = png;  // the width in the header, and nothing else: libpng checks the header's sum first
    huge[16] = 0x7f;
    EXPECT_FALSE(refusal([&] { (void)read_image(put("huge.png", huge)); }).empty());
}

TEST_F(ImageIo, NamesTheFileThatCannotBeWritten) {
    const auto message = [](const std::string& file, const Image& image) { return refusal([&] { write_image(file, image); }); };
    EXPECT_EQ(message(path("none/a.png"), ramp(2, 2, 3)), "cannot write " + path("none/a.png") + ": No such file or directory");
    EXPECT_EQ(message(path("a.gif"), ramp(2, 2, 3)), "cannot write " + path("a.gif") + ": unknown ending '.gif'");
    EXPECT_EQ(message(path("a.png"), ramp(2, 2, 2)), "cannot write " + path("a.png") + ": 2 channels; a picture has 1 or 3");
    EXPECT_EQ(message(path("a.png"), Image{2, 2}),
              "cannot write " + path("a.png") + ": rank 2; a picture has rows, columns and channels");
    EXPECT_EQ(message(path("a.png"), Image{0, 2, 3}), "cannot write " + path("a.png") + ": 2 x 0 pixels");
    EXPECT_EQ(files(), 0u);
}

TEST_F(ImageIo, FullDiskLeavesNothing) {
    if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
    // The partial file's name is a link to a device that is always full.
    const std::string part = path("a.png") + "." + std::to_string(getpid()) + ".part";
    fs::create_symlink("/dev/full", part);
    EXPECT_EQ(refusal([&] { write_image(path("a.png"), ramp(64, 64, 3)); }),
              "cannot write " + path("a.png") + ": No space left on device");
    EXPECT_EQ(files(), 0u);
}

}  // namespace
}  // namespace apps
