// Pipelines under the schedule written by hand and the default one, against plain loops in f64.
#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/tessera.h>

#include "generator/shipped.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <vector>

namespace tessera {
namespace {

struct Plane {
    std::int64_t height, width;
    std::vector<double> values;

    Plane(std::int64_t h, std::int64_t w) : height(h), width(w), values(static_cast<size_t>(h * w)) {}
    double& at(std::int64_t y, std::int64_t x) { return values[static_cast<size_t>(y * width + x)]; }
    // The nearest element.
    [[nodiscard]] double near(std::int64_t y, std::int64_t x) const {
        const std::int64_t row = std::clamp<std::int64_t>(y, 0, height - 1), column = std::clamp<std::int64_t>(x, 0, width - 1);
        return values[static_cast<size_t>(row * width + column)];
    }
};

// Steps, a slope and some values outside of [0, 1], rounded to f32.
Plane drawn(std::int64_t height, std::int64_t width) {
    Plane out(height, width);
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x) {
            const double step = (x / 9 + y / 13) % 2 == 0 ? 0.15 : 0.6,
                         slope = 0.004 * static_cast<double>((7 * y + 3 * x) % 101);
            out.at(y, x) = static_cast<double>(static_cast<float>((y * 31 + x) % 97 == 0 ? 1.5 : step + slope));
        }
    return out;
}

// The first plane of a kernel's output, whose input has `planes` times this one.
Plane through(const Module& kernel, const Plane& in, const char* input, const char* output, std::int64_t planes) {
    std::vector<std::int64_t> shape{in.height, in.width};
    if (planes > 1) shape.insert(shape.begin(), planes);
    Buffer<float> from(shape), to(shape);
    for (std::int64_t i = 0; i < from.size(); ++i)
        from.data()[i] = static_cast<float>(in.values[static_cast<size_t>(i % (in.height * in.width))]);
    kernel({{input, from}}, {{output, to}});
    Plane out(in.height, in.width);
    std::copy(to.data(), to.data() + in.height * in.width, out.values.begin());
    for (std::int64_t i = 0; i < to.size(); ++i)
        EXPECT_EQ(to.data()[i], to.data()[i % (in.height * in.width)]) << "planes differ at " << i;
    return out;
}

// Both schedules of a generator, at sizes around and below its tiles.
void expect_defined(const std::string& name, const char* input, const char* output,
                    const std::function<Plane(const Plane&)>& defined, double tolerance, std::int64_t planes = 1) {
    const auto [algorithm, standard] = shipped(name, "");
    const Schedule hand = read_schedule(fmt::format("{}/schedules/{}.json", TESSERA_SOURCE_DIR, name));
    for (const Schedule& schedule : {hand, standard}) {
        const Module kernel = compile(algorithm, schedule, Target(), {.disk_cache = false});
        for (const auto& [height, width] : {std::array{61, 83}, std::array{7, 130}, std::array{129, 5}, std::array{1, 1}}) {
            const Plane in = drawn(height, width), wanted = defined(in), got = through(kernel, in, input, output, planes);
            double apart = 0;
            for (size_t i = 0; i < wanted.values.size(); ++i) apart = std::max(apart, std::abs(got.values[i] - wanted.values[i]));
            EXPECT_LE(apart, tolerance) << height << "x" << width << (&schedule == &hand ? " by hand" : " default");
        }
    }
}

constexpr int cell = 8, levels = 10, cells_of_levels = levels + 6;

// Pixels counted in cells, sum and number; 3 cells more on each side of the photo, 2 on each side of the values.
struct Grid {
    std::int64_t rows, columns;
    std::vector<std::array<double, 2>> cells;

    Grid(std::int64_t height, std::int64_t width)
        : rows(height / cell + 8), columns(width / cell + 8), cells(static_cast<size_t>(rows * columns * cells_of_levels)) {}
    std::array<double, 2>& at(std::int64_t y, std::int64_t x, std::int64_t z) {
        return cells[static_cast<size_t>(((y + 3) * columns + x + 3) * cells_of_levels + z + 2)];
    }
};

Grid counted(const Plane& photo) {
    Grid grid(photo.height, photo.width);
    for (std::int64_t y = -3; y < grid.rows - 3; ++y)
        for (std::int64_t x = -3; x < grid.columns - 3; ++x)
            for (std::int64_t i = 0; i < cell * cell; ++i) {
                const double value =
                    std::clamp(photo.near(y * cell + i / cell - cell / 2, x * cell + i % cell - cell / 2), 0.0, 1.0);
                // The rounding of the bin is part of the definition: f32.
                const auto z = static_cast<std::int64_t>(static_cast<float>(value) * 10.0f + 0.5f);
                grid.at(y, x, z)[0] += value;
                grid.at(y, x, z)[1] += 1;
            }
    return grid;
}

// The product of the three blurs, at one cell.
std::array<double, 2> blurred(Grid& grid, std::int64_t y, std::int64_t x, std::int64_t z) {
    constexpr std::array<double, 5> taps{1, 4, 6, 4, 1};
    std::array<double, 2> out{};
    for (std::int64_t i = 0; i < 125; ++i) {
        const std::int64_t dy = i / 25 - 2, dx = i / 5 % 5 - 2, dz = i % 5 - 2;
        if (z + dz < -2 || z + dz >= cells_of_levels - 2) continue;
        const double weight =
            taps[static_cast<size_t>(dy + 2)] * taps[static_cast<size_t>(dx + 2)] * taps[static_cast<size_t>(dz + 2)];
        for (size_t c = 0; c < 2; ++c) out[c] += weight * grid.at(y + dy, x + dx, z + dz)[c];
    }
    return out;
}

Plane defined_bilateral_grid(const Plane& photo) {
    Grid grid = counted(photo);
    Plane out(photo.height, photo.width);
    for (std::int64_t y = 0; y < photo.height; ++y)
        for (std::int64_t x = 0; x < photo.width; ++x) {
            const double level = std::clamp(photo.near(y, x), 0.0, 1.0) * levels;
            const auto z = static_cast<std::int64_t>(level);
            const double ty = static_cast<double>(y % cell) / cell, tx = static_cast<double>(x % cell) / cell;
            const double tz = level - static_cast<double>(z);
            std::array<double, 2> read{};
            for (std::int64_t i = 0; i < 8; ++i) {
                const double weight = (i & 4 ? ty : 1 - ty) * (i & 2 ? tx : 1 - tx) * (i & 1 ? tz : 1 - tz);
                const auto at = blurred(grid, y / cell + i / 4, x / cell + i / 2 % 2, z + i % 2);
                for (size_t c = 0; c < 2; ++c) read[c] += weight * at[c];
            }
            out.at(y, x) = read[0] / read[1];
        }
    return out;
}

TEST(Pipelines, BilateralGrid) {
    // Sums of 64 values and 125 products of one sign, a quotient.
    expect_defined("bilateral_grid", "photo", "filtered", defined_bilateral_grid, 200 * 0x1p-24);
}

// A recursive low pass over the elements at `first`, `first + step`, ….
void smooth(Plane& plane, std::int64_t first, std::int64_t step, std::int64_t count) {
    const double weight = 0.1f;
    double state = plane.values[static_cast<size_t>(first)];
    for (std::int64_t i = 0; i < count; ++i) {
        double& value = plane.values[static_cast<size_t>(first + i * step)];
        state = value = (1 - weight) * state + weight * value;
    }
}

Plane defined_iir_blur(const Plane& photo) {
    Plane out = photo;
    const std::int64_t height = photo.height, width = photo.width;
    for (std::int64_t x = 0; x < width; ++x) {
        smooth(out, x, width, height);
        smooth(out, (height - 1) * width + x, -width, height);
    }
    for (std::int64_t y = 0; y < height; ++y) {
        smooth(out, y * width, 1, width);
        smooth(out, (y + 1) * width - 1, -1, width);
    }
    return out;
}

TEST(Pipelines, IirBlur) {
    // Of a step two roundings stay, of those before it 0.9, 0.81, …: 20 of them in each of four passes, values up to 1.5.
    expect_defined("iir_blur", "photo", "blurred", defined_iir_blur, 80 * 1.5 * 0x1p-24, 3);
}

}  // namespace
}  // namespace tessera
