// Means of alike surroundings, under the schedule written by hand and the default one, against the definition in f64.
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

constexpr float sigma = 0.15f;

struct Photo {
    std::int64_t height, width;
    std::vector<float> values;  // (3, height, width)

    // Shapes with noise.
    Photo(std::int64_t h, std::int64_t w) : height(h), width(w), values(static_cast<size_t>(3 * h * w)) {
        for (std::int64_t i = 0; i < 3 * h * w; ++i) {
            const std::int64_t c = i / (h * w), y = i / w % h, x = i % w;
            values[static_cast<size_t>(i)] = ((y / 6 + x / 9) % 2 == 0 ? 0.2f : 0.7f) +
                                             0.002f * static_cast<float>((31 * y + 17 * x + 57 * c) * (y + 3) % 101);
        }
    }
    [[nodiscard]] double near(std::int64_t c, std::int64_t y, std::int64_t x) const {
        const std::int64_t row = std::clamp<std::int64_t>(y, 0, height - 1), column = std::clamp<std::int64_t>(x, 0, width - 1);
        return values[static_cast<size_t>((c * height + row) * width + column)];
    }
    // The sum of squares over the planes of two patches; outside of the photo a patch goes on as its own places say.
    [[nodiscard]] double apart(std::int64_t y, std::int64_t x, std::int64_t dy, std::int64_t dx, std::int64_t patch) const {
        double sum = 0;
        for (std::int64_t i = 0; i < patch * patch * 3; ++i) {
            const std::int64_t row = y + i / 3 / patch - patch / 2, column = x + i / 3 % patch - patch / 2;
            sum += std::pow(near(i % 3, row, column) - near(i % 3, row + dy, column + dx), 2);
        }
        return sum;
    }
};

void expect_defined(const Algorithm& algorithm, const Schedule& schedule, std::int64_t patch, std::int64_t search) {
    const Module kernel = compile(algorithm, schedule, Target(), {.disk_cache = false});
    // A weight exp(-a) is off by a times the error of its sum: at most exp(-1) of it. Values lie in [0, 1], the largest weight
    // is 1.
    const double tolerance = 0.4 * static_cast<double>(search * search * 3 * patch * patch) * 0x1p-24;
    for (const auto& [height, width] : {std::array{41, 83}, std::array{7, 70}, std::array{65, 5}, std::array{1, 1}}) {
        const Photo photo(height, width);
        Buffer<float> in({3, height, width}), out({3, height, width});
        std::copy(photo.values.begin(), photo.values.end(), in.data());
        kernel({{"photo", in}, {"sigma", sigma}}, {{"quiet", out}});
        for (std::int64_t y = 0; y < height; ++y)
            for (std::int64_t x = 0; x < width; ++x) {
                std::array<double, 4> total{};
                for (std::int64_t i = 0; i < search * search; ++i) {
                    const std::int64_t dy = i / search - search / 2, dx = i % search - search / 2;
                    const double width_of_all = static_cast<double>(sigma) * static_cast<double>(patch);
                    const double weight = std::exp(-photo.apart(y, x, dy, dx, patch) / (width_of_all * width_of_all));
                    for (std::int64_t c = 0; c < 3; ++c) total[static_cast<size_t>(c)] += weight * photo.near(c, y + dy, x + dx);
                    total[3] += weight;
                }
                for (std::int64_t c = 0; c < 3; ++c)
                    ASSERT_NEAR(out.data()[(c * height + y) * width + x],
                                std::clamp(total[static_cast<size_t>(c)] / total[3], 0.0, 1.0), tolerance)
                        << height << "x" << width << " at " << c << ", " << y << ", " << x;
            }
    }
}

TEST(NlMeans, ByHandAndByDefault) {
    const auto [algorithm, standard] = shipped("nl_means", "");
    {
        SCOPED_TRACE("by hand");
        expect_defined(algorithm, read_schedule(fmt::format("{}/schedules/nl_means.json", TESSERA_SOURCE_DIR)), 7, 7);
    }
    SCOPED_TRACE("default");
    expect_defined(algorithm, standard, 7, 7);
}

TEST(NlMeans, OtherSizes) {
    const auto [algorithm, standard] = shipped("nl_means", "--param patch=3 --param search=5");
    expect_defined(algorithm, standard, 3, 5);
}

}  // namespace
}  // namespace tessera
