// Local Laplacian filtering under the schedule written by hand and the default one, against dense pyramids in f64.
#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/tessera.h>

#include "generator/shipped.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace tessera {
namespace {

using std::int64_t;

constexpr int64_t levels = 8, tones = 8, steps = 256 * (tones - 1);

// A plane whose rows and columns start below 0.
struct Plane {
    int64_t margin = 0, height = 0, width = 0;
    std::vector<double> cells;

    Plane() = default;
    Plane(int64_t m, int64_t h, int64_t w)
        : margin(m), height(h), width(w), cells(static_cast<size_t>((h + 2 * m) * (w + 2 * m))) {}
    double& at(int64_t y, int64_t x) { return cells.at(static_cast<size_t>((y + margin) * (width + 2 * margin) + x + margin)); }
};

template <typename Value>
void fill(Plane& plane, Value&& value) {
    for (int64_t y = -plane.margin; y < plane.height + plane.margin; ++y)
        for (int64_t x = -plane.margin; x < plane.width + plane.margin; ++x) plane.at(y, x) = value(y, x);
}

class Laplacian {
public:
    Laplacian(const std::vector<std::uint16_t>& photo, int64_t height, int64_t width, double alpha, double beta)
        : photo_(photo), height_(height), width_(width), beta_(beta) {
        for (int64_t v = -steps; v <= steps; ++v) {
            const double distance = static_cast<double>(v) / 256;
            remap_.push_back(alpha * distance * std::exp(-distance * distance / 2));
        }
        for (int64_t k = 0; k <= tones; ++k)
            for (int64_t pixel = 0; pixel < height * width; ++pixel)
                level_0_[static_cast<size_t>(k)].push_back(remapped(k, pixel));
        for (int64_t l = 1; l < levels; ++l) {
            std::array<Plane, tones + 1> level;
            for (int64_t k = 0; k <= tones; ++k) {
                Plane& plane = level[static_cast<size_t>(k)] = Plane(margin(l), size(height_, l), size(width_, l));
                fill(plane, [&](int64_t y, int64_t x) { return halved(l - 1, k, y, x); });
            }
            down_.push_back(std::move(level));
        }
        out_.resize(levels);
        for (int64_t l = levels; l-- > 0;) {
            Plane& plane = out_[static_cast<size_t>(l)] = Plane(l == 0 ? 0 : 1, size(height_, l), size(width_, l));
            fill(plane, [&](int64_t y, int64_t x) {
                const double detail = details(l, y, x);
                return l + 1 == levels ? detail : detail + doubled(y, x, [&](int64_t r, int64_t c) {
                                                      return out_[static_cast<size_t>(l + 1)].at(r, c);
                                                  });
            });
        }
    }

    double enhanced(int64_t c, int64_t y, int64_t x) {
        const double ratio = (out_[0].at(y, x) + 0.01f) / (gray(nearest(y, x)) + 0.01f);
        return std::clamp(photo_[static_cast<size_t>((c * height_ + y) * width_ + x)] * ratio, 0.0, 65535.0);
    }

private:
    static int64_t size(int64_t extent, int64_t l) { return (extent + (int64_t{1} << l) - 1) >> l; }
    // So many cells around a level are read by the next one, and by those that it has outside itself.
    static int64_t margin(int64_t l) { return l + 1 == levels ? 2 : 2 * margin(l + 1) + 2; }
    static int64_t half(int64_t i) { return i >= 0 ? i / 2 : -((1 - i) / 2); }

    [[nodiscard]] int64_t nearest(int64_t y, int64_t x) const {
        return std::clamp<int64_t>(y, 0, height_ - 1) * width_ + std::clamp<int64_t>(x, 0, width_ - 1);
    }
    // The rounding of f32 says where a pixel is looked up.
    [[nodiscard]] float gray(int64_t pixel) const {
        const auto plane = [&](int64_t p) {
            return static_cast<float>(photo_[static_cast<size_t>(p * height_ * width_ + pixel)]) / 65535.0f;
        };
        return 0.299f * plane(0) + 0.587f * plane(1) + 0.114f * plane(2);
    }
    [[nodiscard]] double remapped(int64_t k, int64_t pixel) const {
        const float value = gray(pixel);
        if (k == tones) return value;
        const auto step = std::clamp(static_cast<int64_t>(value * static_cast<float>(steps)), int64_t{0}, steps);
        const double tone = static_cast<double>(k) / (tones - 1);
        return beta_ * (value - tone) + tone + remap_[static_cast<size_t>(step - 256 * k + steps)];
    }
    double down(int64_t l, int64_t k, int64_t y, int64_t x) {
        if (l > 0) return down_[static_cast<size_t>(l - 1)][static_cast<size_t>(k)].at(y, x);
        return level_0_[static_cast<size_t>(k)][static_cast<size_t>(nearest(y, x))];
    }
    double halved(int64_t l, int64_t k, int64_t y, int64_t x) {
        constexpr std::array<double, 4> taps{1, 3, 3, 1};
        double sum = 0;
        for (int64_t i = 0; i < 16; ++i)
            sum += taps[static_cast<size_t>(i / 4)] * taps[static_cast<size_t>(i % 4)] *
                   down(l, k, 2 * y + i / 4 - 1, 2 * x + i % 4 - 1);
        return sum / 64;
    }
    template <typename Coarse>
    static double doubled(int64_t y, int64_t x, Coarse&& coarse) {
        const double row = (y & 1) != 0 ? 0.75 : 0.25, column = (x & 1) != 0 ? 0.75 : 0.25;
        const auto across = [&](int64_t r) { return coarse(r, half(x + 1)) * (1 - column) + coarse(r, half(x - 1)) * column; };
        return across(half(y + 1)) * (1 - row) + across(half(y - 1)) * row;
    }
    double details(int64_t l, int64_t y, int64_t x) {
        const double level = down(l, tones, y, x) * (tones - 1);
        const auto below = std::clamp(static_cast<int64_t>(level), int64_t{0}, tones - 2);
        const auto at = [&](int64_t k) {
            const double own = down(l, k, y, x);
            return l + 1 == levels ? own : own - doubled(y, x, [&](int64_t r, int64_t c) { return down(l + 1, k, r, c); });
        };
        const double part = level - static_cast<double>(below);
        return (1 - part) * at(below) + part * at(below + 1);
    }

    const std::vector<std::uint16_t>& photo_;
    int64_t height_, width_;
    double beta_;
    std::vector<double> remap_;
    std::array<std::vector<double>, tones + 1> level_0_;  // the last one: brightness
    std::vector<std::array<Plane, tones + 1>> down_;
    std::vector<Plane> out_;
};

TEST(LocalLaplacian, ByHandAndByDefault) {
    const auto [algorithm, standard] = shipped("local_laplacian", "");
    const Schedule hand = read_schedule(fmt::format("{}/schedules/local_laplacian.json", TESSERA_SOURCE_DIR));
    const Module by_hand = compile(algorithm, hand, Target(), {.disk_cache = false}),
                 by_default = compile(algorithm, standard, Target(), {.disk_cache = false});
    for (const auto& [height, width] : {std::array{61, 83}, std::array{7, 130}, std::array{70, 5}, std::array{1, 1}}) {
        std::vector<std::uint16_t> photo(static_cast<size_t>(3 * height * width));
        for (size_t i = 0; i < photo.size(); ++i) photo[i] = static_cast<std::uint16_t>(9000 * (i / 11 % 5) + 131 * (i * i % 97));
        Laplacian laplacian(photo, height, width, 0.5, 0.9f);
        for (const Module* kernel : {&by_hand, &by_default}) {
            Buffer<std::uint16_t> in({3, height, width}), out({3, height, width});
            std::copy(photo.begin(), photo.end(), in.data());
            (*kernel)({{"photo", in}, {"alpha", 0.5f}, {"beta", 0.9f}}, {{"enhanced", out}});
            for (int64_t i = 0; i < out.size(); ++i) {
                const double wanted = laplacian.enhanced(i / (height * width), i / width % height, i % width);
                // Some tens of roundings of values around 1 in each of 8 levels, then cut off to an integer.
                ASSERT_NEAR(out.data()[i], wanted - 0.5, 0.5 + 65535 * 100 * 0x1p-24)
                    << height << "x" << width << " at " << i << (kernel == &by_hand ? " by hand" : " default");
            }
        }
    }
}

}  // namespace
}  // namespace tessera
