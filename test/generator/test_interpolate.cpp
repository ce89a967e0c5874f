// The pyramid that fills transparent pixels, under the schedule written by hand and the default one, against its definition in
// f64.
#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/tessera.h>

#include "generator/shipped.h"

#include <array>
#include <cmath>
#include <map>
#include <vector>

namespace tessera {
namespace {

struct Photo {
    std::int64_t height, width;
    std::vector<float> values;  // (4, height, width)

    Photo(std::int64_t h, std::int64_t w) : height(h), width(w), values(static_cast<size_t>(4 * h * w)) {
        for (std::int64_t i = 0; i < h * w; ++i) {
            const std::int64_t y = i / w, x = i % w;
            for (std::int64_t c = 0; c < 3; ++c)
                values[static_cast<size_t>(c * h * w + i)] = 0.1f + 0.01f * static_cast<float>((31 * y + 17 * x + 11 * c) % 80);
            // Opaque here and there, half transparent at some, one in the corner for sure.
            values[static_cast<size_t>(3 * h * w + i)] = (7 * y + 3 * x) % 23 == 0 ? 1.0f : (y + x) % 19 == 5 ? 0.5f : 0.0f;
        }
    }
    [[nodiscard]] double near(std::int64_t c, std::int64_t y, std::int64_t x) const {
        const std::int64_t row = std::clamp<std::int64_t>(y, 0, height - 1), column = std::clamp<std::int64_t>(x, 0, width - 1);
        return values[static_cast<size_t>((c * height + row) * width + column)];
    }
};

// Cells of the pyramid, each computed when it is asked for.
class Pyramid {
public:
    Pyramid(const Photo& photo, std::int64_t levels) : photo_(photo), levels_(levels) {}

    double filled(std::int64_t l, std::int64_t c, std::int64_t y, std::int64_t x) {
        if (l == levels_ - 1) return down(l, c, y, x);
        const auto [at, first] = filled_.emplace(std::array{l, c, y, x}, 0);
        if (!first) return at->second;
        double up = 0;
        for (const std::int64_t i : {0, 1, 2, 3}) up += filled(l + 1, c, half(y + i / 2), half(x + i % 2)) / 4;
        return filled_[{l, c, y, x}] = down(l, c, y, x) + (1 - down(l, 3, y, x)) * up;
    }

private:
    static std::int64_t half(std::int64_t i) { return i >= 0 ? i / 2 : -((1 - i) / 2); }

    double down(std::int64_t l, std::int64_t c, std::int64_t y, std::int64_t x) {
        if (l == 0) return photo_.near(c, y, x) * (c < 3 ? photo_.near(3, y, x) : 1);
        const auto [at, first] = down_.emplace(std::array{l, c, y, x}, 0);
        if (!first) return at->second;
        constexpr std::array<double, 3> weights{0.25, 0.5, 0.25};
        double sum = 0;
        for (std::int64_t i = 0; i < 9; ++i) {
            std::int64_t row = 2 * y + i / 3 - 1, column = 2 * x + i % 3 - 1;
            if (l == 4) {
                row = std::clamp<std::int64_t>(row, 0, photo_.height / 8);
                column = std::clamp<std::int64_t>(column, 0, photo_.width / 8);
            }
            sum += weights[static_cast<size_t>(i / 3)] * weights[static_cast<size_t>(i % 3)] * down(l - 1, c, row, column);
        }
        return down_[{l, c, y, x}] = sum;
    }

    using Cell = std::array<std::int64_t, 4>;
    const Photo& photo_;
    std::int64_t levels_;
    std::map<Cell, double> down_, filled_;
};

void expect_filled(const Schedule& schedule, const Algorithm& algorithm, std::int64_t levels) {
    const Module kernel = compile(algorithm, schedule, Target(), {.disk_cache = false});
    for (const auto& [height, width] : {std::array{61, 83}, std::array{7, 130}, std::array{129, 5}, std::array{1, 1}}) {
        const Photo photo(height, width);
        Buffer<float> in({4, height, width}), out({3, height, width});
        std::copy(photo.values.begin(), photo.values.end(), in.data());
        kernel({{"photo", in}}, {{"out", out}});
        Pyramid pyramid(photo, levels);
        for (std::int64_t i = 0; i < out.size(); ++i) {
            const std::int64_t c = i / (height * width), y = i / width % height, x = i % width;
            const double alpha = pyramid.filled(0, 3, y, x);
            if (alpha < 1e-3) continue;  // where nothing opaque is near
            // Means of values in [0, 1] at every level, then a quotient of about 1 by alpha.
            ASSERT_NEAR(out.data()[i], pyramid.filled(0, c, y, x) / alpha, 100 * 0x1p-24 / alpha)
                << height << "x" << width << " at " << c << ", " << y << ", " << x;
        }
    }
}

TEST(Interpolate, ByHandAndByDefault) {
    const auto [algorithm, standard] = shipped("interpolate", "");
    {
        SCOPED_TRACE("by hand");
        expect_filled(read_schedule(fmt::format("{}/schedules/interpolate.json", TESSERA_SOURCE_DIR)), algorithm, 10);
    }
    SCOPED_TRACE("default");
    expect_filled(standard, algorithm, 10);
}

TEST(Interpolate, FewLevels) {
    for (const std::int64_t levels : {1, 2, 5}) {
        SCOPED_TRACE(levels);
        const auto [algorithm, standard] = shipped("interpolate", fmt::format("--param levels={}", levels));
        expect_filled(standard, algorithm, levels);
    }
}

}  // namespace
}  // namespace tessera
