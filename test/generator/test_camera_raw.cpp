// A photo from raw samples under the schedule written by hand and the default one, against its definition cell by cell.
#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/tessera.h>

#include "generator/shipped.h"

#include <array>
#include <cmath>
#include <vector>

namespace tessera {
namespace {

using std::int16_t;
using std::int64_t;
using std::uint16_t;

struct Settings {
    std::array<float, 12> warm{1.6f, -0.25f, -0.4f, -42, -0.35f, 1.6f, -0.3f, -24, -0.2f, -0.75f, 2.0f, -30};
    std::array<float, 12> cold{2.2f, -0.8f, -0.2f, -27, -0.25f, 1.6f, -0.25f, -13, -0.1f, -0.6f, 1.7f, -25};
    float kelvin = 3700, gamma = 2.2f, contrast = 50, strength = 1.5f;
    int black = 25, white = 1000;
};

class Camera {
public:
    Camera(int64_t height, int64_t width, const Settings& of) : of_(of), height_(height), width_(width) {
        for (int64_t i = 0; i < (height + 24) * (width + 32); ++i) {
            const int64_t y = i / (width + 32), x = i % (width + 32), edge = (x / 7 + y / 5) % 2 * 400;
            samples.push_back(
                static_cast<uint16_t>((y * 17 + x * 23) % 113 == 0 ? 1023 : 60 + edge + (31 * y + 7 * x * x) % 257));
        }
        const float between = (1.0f / of.kelvin - 1.0f / 3200) / (1.0f / 7000 - 1.0f / 3200);
        for (size_t i = 0; i < 12; ++i)
            matrix_[i] = static_cast<int16_t>((of.warm[i] * between + of.cold[i] * (1.0f - between)) * 256.0f);
        for (int v = 0; v < 1024; ++v) curve_.push_back(tone(v));
    }
    std::vector<uint16_t> samples;

    // The pixel, and whether all tones in it are far from where rounding tells them apart.
    std::pair<int, bool> pixel(int c, int64_t y, int64_t x) {
        sure_ = true;
        const auto softer = [&](int a, int b, int at) { return (((a + b + 1) / 2) + at + 1) / 2; };
        const auto column = [&](int64_t dx) {
            return softer(toned(c, y - 1, x + dx), toned(c, y + 1, x + dx), toned(c, y, x + dx));
        };
        const int own = toned(c, y, x), mask = own - softer(column(-1), column(1), column(0));
        const auto fixed = static_cast<int>(of_.strength * 32);
        const int product = mask * fixed, added = product >= 0 ? product / 32 : -((31 - product) / 32);
        return {std::clamp(own + added, 0, 255), sure_};
    }

private:
    struct Tone {
        int value;
        bool sure;
    };
    [[nodiscard]] Tone tone(int v) const {
        if (v <= of_.black) return {0, true};
        if (v > of_.white) return {255, true};
        const double b = 2 - std::pow(2.0, double{of_.contrast} / 100), a = 2 - 2 * b;
        const double linear = std::clamp((v - of_.black) / double(of_.white - of_.black), 0.0, 1.0);
        const double g = std::pow(linear, 1 / double{of_.gamma});
        const double z = g > 0.5 ? 1 - (a * (1 - g) * (1 - g) + b * (1 - g)) : a * g * g + b * g;
        const double stored = std::clamp(z * 255 + 0.5, 0.0, 255.0), apart = std::abs(stored - std::round(stored));
        return {static_cast<int>(stored), apart > 1e-3 || stored >= 255};
    }
    int toned(int c, int64_t y, int64_t x) {
        const Tone& t = curve_[static_cast<size_t>(std::clamp(mixed(c, y, x), 0, 1023))];
        sure_ = sure_ && t.sure;
        return t.value;
    }
    int mixed(int c, int64_t y, int64_t x) {
        int sum = matrix_[static_cast<size_t>(4 * c + 3)];
        for (int from = 0; from < 3; ++from) sum += matrix_[static_cast<size_t>(4 * c + from)] * color(from, y, x);
        return static_cast<int16_t>(sum >= 0 ? sum / 256 : -((255 - sum) / 256));
    }
    [[nodiscard]] uint16_t sample(int64_t y, int64_t x) const {
        return samples[static_cast<size_t>((y + 12) * (width_ + 32) + x + 16)];
    }
    [[nodiscard]] uint16_t clean(int64_t y, int64_t x) const {
        return std::min(sample(y, x), std::max({sample(y, x - 2), sample(y, x + 2), sample(y - 2, x), sample(y + 2, x)}));
    }
    static int mean(int a, int b) { return (a + b + 1) / 2; }
    // Green at a red or blue place, whose four neighbours are green.
    [[nodiscard]] int green(int64_t y, int64_t x) const {
        if ((y + x) % 2 == 0) return clean(y, x);
        const int left = clean(y, x - 1), right = clean(y, x + 1), above = clean(y - 1, x), below = clean(y + 1, x);
        return std::abs(left - right) < std::abs(above - below) ? mean(left, right) : mean(above, below);
    }
    // What wraps in 16 bits is taken with its sign.
    [[nodiscard]] int between(int64_t y, int64_t x, int64_t ay, int64_t ax, int64_t by, int64_t bx) const {
        return static_cast<int16_t>(green(y, x) - mean(green(ay, ax), green(by, bx)) + mean(clean(ay, ax), clean(by, bx)));
    }
    [[nodiscard]] int color(int c, int64_t y, int64_t x) const {
        const bool odd_row = (y & 1) != 0, odd_column = (x & 1) != 0;
        if (c == 1) return static_cast<int16_t>(green(y, x));
        // Red is at even rows and odd columns, blue at odd rows and even columns.
        const bool same_row = odd_row == (c == 2), same_column = odd_column == (c == 0);
        if (same_row && same_column) return static_cast<int16_t>(clean(y, x));
        if (same_row) return between(y, x, y, x - 1, y, x + 1);
        if (same_column) return between(y, x, y - 1, x, y + 1, x);
        const int falling = std::abs(clean(y - 1, x - 1) - clean(y + 1, x + 1)),
                  rising = std::abs(clean(y - 1, x + 1) - clean(y + 1, x - 1));
        return rising < falling ? between(y, x, y - 1, x + 1, y + 1, x - 1) : between(y, x, y - 1, x - 1, y + 1, x + 1);
    }

    const Settings& of_;
    int64_t height_, width_;
    std::array<int, 12> matrix_{};
    std::vector<Tone> curve_;
    bool sure_ = true;
};

TEST(CameraRaw, ByHandAndByDefault) {
    const auto [algorithm, standard] = shipped("camera_raw", "");
    const Schedule hand = read_schedule(fmt::format("{}/schedules/camera_raw.json", TESSERA_SOURCE_DIR));
    Settings of;
    for (const Schedule& schedule : {hand, standard}) {
        SCOPED_TRACE(schedule == hand ? "by hand" : "default");
        const Module kernel = compile(algorithm, schedule, Target(), {.disk_cache = false});
        for (const auto& [height, width] :
             {std::array{61, 83}, std::array{7, 130}, std::array{70, 5}, std::array{1, 1}, std::array{96, 64}}) {
            Camera camera(height, width, of);
            Buffer<uint16_t> raw({height + 24, width + 32});
            Buffer<float> warm({3, 4}), cold({3, 4});
            Buffer<std::uint8_t> photo({3, height, width});
            std::copy(camera.samples.begin(), camera.samples.end(), raw.data());
            std::copy(of.warm.begin(), of.warm.end(), warm.data());
            std::copy(of.cold.begin(), of.cold.end(), cold.data());
            kernel({{"raw", raw},
                    {"matrix_3200", warm},
                    {"matrix_7000", cold},
                    {"color_temp", of.kelvin},
                    {"gamma", of.gamma},
                    {"contrast", of.contrast},
                    {"sharpen_strength", of.strength},
                    {"black", of.black},
                    {"white", of.white}},
                   {{"photo", photo}});
            int64_t sure = 0;
            for (int64_t i = 0; i < photo.size(); ++i) {
                const int64_t c = i / (height * width), y = i / width % height, x = i % width;
                const auto [wanted, certain] = camera.pixel(static_cast<int>(c), y, x);
                if (!certain) continue;
                ++sure;
                ASSERT_EQ(int{photo.data()[i]}, wanted) << height << "x" << width << " at " << c << ", " << y << ", " << x;
            }
            EXPECT_GT(2 * sure, photo.size());
        }
    }
}

}  // namespace
}  // namespace tessera
