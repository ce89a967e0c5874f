// The rendering of a wide lens, under the schedule written by hand and the default one, against its definition in plain code of
// the same arithmetic: sums in ascending order, f32.
#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/tessera.h>

#include "generator/shipped.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <vector>

namespace tessera {
namespace {

struct Options {
    std::int64_t slices, focus, samples, levels;
    float scale;
    [[nodiscard]] std::int64_t widest() const {
        return static_cast<std::int64_t>(static_cast<float>(std::max(slices - focus, focus)) * scale);
    }
};

struct Photo {
    std::int64_t height, width;
    std::vector<std::uint8_t> values;  // (3, height, width)

    Photo(std::int64_t h, std::int64_t w) : height(h), width(w), values(static_cast<size_t>(3 * h * w)) {}
    [[nodiscard]] std::uint8_t near(std::int64_t c, std::int64_t y, std::int64_t x) const {
        const std::int64_t row = std::clamp<std::int64_t>(y, 0, height - 1), column = std::clamp<std::int64_t>(x, 0, width - 1);
        return values[static_cast<size_t>((c * height + row) * width + column)];
    }
};

std::uint8_t texture(std::int64_t c, std::int64_t y, std::int64_t x) {
    return static_cast<std::uint8_t>(((x + 97) * 7919 + (y + 5) * 104729 + c * 31) % 1009 % 251);
}

// What the definition says, cell by cell; those of the pyramids and depths are kept.
class Lens {
public:
    Lens(const Photo& left, const Photo& right, const Options& options) : left_(left), right_(right), options_(options) {}

    float photo(std::int64_t c, std::int64_t y, std::int64_t x) {
        float color = seen(c, y, x), alpha = 255;
        const std::int64_t w = options_.widest();
        const float widest = widest_around(y, x);
        for (std::int64_t s = 0; s < options_.samples; ++s) {
            const std::uint32_t random = scrambled(s, y, x);
            const auto offset = [&](std::uint32_t bits) {
                return std::clamp<std::int64_t>(static_cast<std::int64_t>((static_cast<float>(bits) * 0x1p-15f - 1.0f) * widest),
                                                -w, w);
            };
            const std::int64_t dy = offset(random >> 16), dx = offset(random & 0xffff);
            const auto from = static_cast<float>(dy * dy + dx * dx);
            const auto reaches = [&](std::int64_t row, std::int64_t column) {
                const float r = radius(row, column);
                return from < r * r;
            };
            if (!((reaches(y, x) || depth(y + dy, x + dx) < depth(y, x)) && reaches(y + dy, x + dx))) continue;
            color += seen(c, y + dy, x + dx);
            alpha += 255;
        }
        return color / alpha;
    }

    std::int64_t depth(std::int64_t y, std::int64_t x) {
        const auto [at, first] = depths_.emplace(std::array{y, x}, 0);
        if (!first) return at->second;
        std::int64_t best = 0;
        float least = 0;
        for (std::int64_t z = 0; z < options_.slices; ++z) {
            const float here = smooth(0, z, y, x) / smooth(0, -1, y, x);
            // A place where all slices are alike says nothing: 0 / 0, and NaN wins.
            if (z > 0 && (std::isnan(least) || here >= least)) continue;
            best = z;
            least = here;
        }
        return depths_[{y, x}] = best;
    }

private:
    using Cell = std::array<std::int64_t, 4>;

    float seen(std::int64_t c, std::int64_t y, std::int64_t x) const { return left_.near(c, y, x); }
    float radius(std::int64_t y, std::int64_t x) {
        return std::abs(static_cast<float>(depth(y, x) - options_.focus)) * options_.scale;
    }
    float widest_around(std::int64_t y, std::int64_t x) {
        float widest = 0;
        const std::int64_t w = options_.widest();
        for (std::int64_t dy = -w; dy <= w; ++dy)
            for (std::int64_t dx = -w; dx <= w; ++dx) widest = std::max(widest, radius(y + dy, x + dx));
        return widest;
    }
    static std::uint32_t scrambled(std::int64_t s, std::int64_t y, std::int64_t x) {
        std::uint32_t h = static_cast<std::uint32_t>(s) * 0x9e3779b1 + static_cast<std::uint32_t>(y) * 0x85ebca77 +
                          static_cast<std::uint32_t>(x) * 0xc2b2ae3d;
        h = (h ^ (h >> 15)) * 0x2c1b3c6d;
        h = (h ^ (h >> 12)) * 0x297a2d39;
        return h ^ (h >> 15);
    }

    float cost(std::int64_t z, std::int64_t y, std::int64_t x) const {
        std::array<float, 3> squares{};
        for (std::int64_t c = 0; c < 3; ++c) {
            const int a = left_.near(c, y, x);
            const auto apart = static_cast<float>(
                std::min(std::abs(a - right_.near(c, y, x + 2 * z)), std::abs(a - right_.near(c, y, x + 2 * z + 1))));
            squares[static_cast<size_t>(c)] = apart * apart;
        }
        return squares[0] + squares[1] + squares[2];
    }
    float confidence(std::int64_t y, std::int64_t x) {
        const auto [at, first] = confidences_.emplace(std::array{y, x}, 0.0f);
        if (!first) return at->second;
        float squares = 0, sum = 0;
        const auto slices = static_cast<float>(options_.slices);
        for (std::int64_t z = 0; z < options_.slices; ++z) {
            const float each = cost(z, y, x);
            squares = std::fma(each, each, squares);
            sum += each / slices;
        }
        const float mean = sum * sum;
        return confidences_[{y, x}] = squares / slices - mean;
    }

    // z = -1: the weights. Beyond its edge a level goes on as there, but for the first.
    float level(std::int64_t l, std::int64_t z, std::int64_t y, std::int64_t x) {
        if (l == 0) return z < 0 ? confidence(y, x) : cost(z, y, x) * confidence(y, x);
        const auto last = [&](std::int64_t extent) { return (extent + (1 << l) - 1) / (1 << l) - 1; };
        y = std::clamp<std::int64_t>(y, 0, last(left_.height));
        x = std::clamp<std::int64_t>(x, 0, last(left_.width));
        const auto [at, first] = levels_.emplace(Cell{l, z, y, x}, 0.0f);
        if (!first) return at->second;
        const auto taps = [](const auto& tap) { return (tap(-1) + 3.0f * (tap(0) + tap(1)) + tap(2)) / 8.0f; };
        const float value = taps([&](int dy) { return taps([&](int dx) { return level(l - 1, z, 2 * y + dy, 2 * x + dx); }); });
        return levels_[{l, z, y, x}] = value;
    }
    float smooth(std::int64_t l, std::int64_t z, std::int64_t y, std::int64_t x) {
        if (l + 1 == options_.levels) return level(l, z, y, x);
        const auto [at, first] = smooth_.emplace(Cell{l, z, y, x}, 0.0f);
        if (!first) return at->second;
        const auto between = [](const auto& cell, std::int64_t i) {
            const std::int64_t half = i >= 0 ? i / 2 : -((1 - i) / 2), odd = i - 2 * half;
            return 0.25f * cell(half - 1 + 2 * odd) + 0.75f * cell(half);
        };
        const float up = between(
            [&](std::int64_t row) { return between([&](std::int64_t column) { return smooth(l + 1, z, row, column); }, x); }, y);
        return smooth_[{l, z, y, x}] = (up + level(l, z, y, x)) * 0.5f;
    }

    const Photo &left_, &right_;
    const Options options_;
    std::map<Cell, float> levels_, smooth_;
    std::map<std::array<std::int64_t, 2>, float> confidences_;
    std::map<std::array<std::int64_t, 2>, std::int64_t> depths_;
};

// A scene whose left third lies in slice 1, the rest in the slice in focus and one behind.
void expect_defined(const Algorithm& algorithm, const Schedule& schedule, const Options& options) {
    const Module kernel = compile(algorithm, schedule, Target(), {.disk_cache = false});
    for (const auto& [height, width] : {std::array{18, 45}, std::array{33, 2}, std::array{1, 1}}) {
        Photo left(height, width), right(height, width);
        for (std::int64_t i = 0; i < 3 * height * width; ++i) {
            const std::int64_t c = i / (height * width), y = i / width % height, x = i % width;
            const std::int64_t slice = x < width / 3 ? 1 : y < height / 2 ? options.focus : options.focus + 1;
            left.values[static_cast<size_t>(i)] = texture(c, y, x);
            right.values[static_cast<size_t>(i)] = texture(c, y, x - 2 * slice);
        }
        Buffer<std::uint8_t> a({3, height, width}), b({3, height, width});
        Buffer<float> out({3, height, width});
        std::copy(left.values.begin(), left.values.end(), a.data());
        std::copy(right.values.begin(), right.values.end(), b.data());
        kernel({{"left", a}, {"right", b}}, {{"photo", out}});
        Lens lens(left, right, options);
        for (std::int64_t i = 0; i < out.size(); ++i) {
            const std::int64_t c = i / (height * width), y = i / width % height, x = i % width;
            ASSERT_EQ(out.data()[i], lens.photo(c, y, x)) << height << "x" << width << " at " << c << ", " << y << ", " << x;
        }
    }
}

TEST(LensBlur, ByHandAndByDefault) {
    const auto [algorithm, standard] = shipped("lens_blur", "");
    const Options options{.slices = 32, .focus = 13, .samples = 32, .levels = 8, .scale = 0.5f};
    {
        SCOPED_TRACE("by hand");
        expect_defined(algorithm, read_schedule(fmt::format("{}/schedules/lens_blur.json", TESSERA_SOURCE_DIR)), options);
    }
    SCOPED_TRACE("default");
    expect_defined(algorithm, standard, options);
}

TEST(LensBlur, FewSlices) {
    const auto [algorithm, standard] =
        shipped("lens_blur", "--param slices=5 --param focus=2 --param samples=7 --param radius_percent=140 --param levels=3");
    expect_defined(algorithm, standard, {.slices = 5, .focus = 2, .samples = 7, .levels = 3, .scale = 1.4f});
}

}  // namespace
}  // namespace tessera
