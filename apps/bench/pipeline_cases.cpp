#include "pipeline_cases.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include <fmt/format.h>

#include "rivals/halide_rivals.h"
#include "tessera_kernels.h"

namespace bench {
namespace {

using rivals::Arithmetic;
using rivals::Kernel;
using rivals::Plan;

template <typename T>
void fill(std::vector<T>& values, unsigned rng_start) {
    std::mt19937 rng(rng_start);
    for (T& value : values) {
        if constexpr (std::is_floating_point_v<T>)
            value = 0.05f + 0.95f * float(rng() >> 8) * 0x1p-24f;
        else
            value = static_cast<T>(rng());
    }
}

/// Shapes of one brightness each, with slopes and noise, as photos have them.
void draw_shapes(std::vector<float>& values, Size2 size) {
    std::mt19937 rng(22);
    for (int y = 0; y < size.height; ++y) {
        for (int x = 0; x < size.width; ++x) {
            const float shape = (x / 200 + y / 150) % 2 == 0 ? 0.5f : 0.7f, noise = 0.02f * float(rng() >> 8) * 0x1p-24f;
            values[std::size_t(y) * size.width + x] =
                std::clamp(shape + 0.3f * std::sin(x / 97.0f + y / 31.0f) + noise, 0.0f, 1.0f);
        }
    }
}

/// Random colours, and opaque pixels here and there: one of some in every square.
void draw_cutout(std::vector<float>& values, Size2 size) {
    fill(values, 23);
    const std::size_t plane = std::size_t(size.height) * size.width;
    for (std::size_t i = 0; i < plane; ++i) {
        const std::size_t y = i / size.width, x = i % size.width;
        values[3 * plane + i] = (y / 40 + x / 60) % 2 == 0 && (7 * y + x) % 5 == 0 ? 1.0f : 0.0f;
    }
}

/// Two photos of things with much texture, in strips of different shifts between left and right.
void draw_pair(std::vector<std::uint8_t>& values, Size2 size) {
    std::vector<std::uint8_t> texture(std::size_t(size.height) * (size.width + 64));
    fill(texture, 25);
    const std::size_t plane = std::size_t(size.height) * size.width;
    for (std::size_t i = 0; i < plane; ++i) {
        const std::size_t y = i / size.width, x = i % size.width, row = y * (size.width + 64);
        const std::size_t slice = y * 24 / size.height + x / 80 % 2 * 6;
        for (std::size_t c = 0; c < 3; ++c) {
            values[c * plane + i] = std::uint8_t(texture[row + x + 64] / (c + 1));
            values[(3 + c) * plane + i] = std::uint8_t(texture[row + x + 64 - 2 * slice] / (c + 1));
        }
    }
}

/// What a sensor of 10 bits gives.
void draw_samples(std::vector<std::uint16_t>& values, Size2) {
    std::mt19937 rng(24);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::uint16_t(40 + 700 * (i / 97 % 5) / 5 + rng() % 200);
}

/// How many elements may be further apart than the others, and how far: those where a rounding chose another entry of a table.
struct Rare {
    double share = 0, apart = 0;
};

/// Where two outputs are further apart than `tolerance`; "" when nowhere, or seldom enough.
template <typename T>
std::string difference(const std::vector<T>& ours, const std::vector<T>& theirs, double tolerance, const Rare& rare) {
    std::size_t count = 0, first = 0;
    double largest = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
        const double apart = std::abs(double(ours[i]) - double(theirs[i]));
        if (apart <= tolerance) continue;
        if (count++ == 0) first = i;
        largest = std::max(largest, apart);
    }
    if (double(count) <= rare.share * double(ours.size()) && largest <= std::max(rare.apart, tolerance)) return "";
    return fmt::format("{} of {} elements differ by up to {:.3g} (tolerance {:.3g}), the first at {}: {} against {}", count,
                       ours.size(), largest, tolerance, first, ours[first], theirs[first]);
}

/// A pipeline of one input: planes of the photo in, planes out. `apart` is how far relaxed arithmetic may take an element.
template <typename In, typename Out>
struct Pipeline {
    const char* name;
    Size2 size;
    int in_planes, out_planes;
    double apart;
    Work of_pixel;
    Kernel (*ours)(const In*, Out*, Size2, OurSchedule);
    Kernel (*rival)(const In*, Out*, Size2, Plan, Arithmetic);
    void (*draw)(std::vector<In>&, Size2) = nullptr;  // values of the photo; nullptr: random
    bool adams2019 = true;                            // whether that autoscheduler's plan ends within a minute
    bool exact = true;                                // whether strict arithmetic gives the same bits: exp and pow do not
    Rare rare = {};                                   // beyond `apart`
    bool quick = false;                               // whether all of it is measured within half a minute
    bool tuned = true;                                // whether the rival has a plan of its own beside the published one

    std::vector<Case> cases() const {
        struct Arrays {
            std::vector<In> in;
            std::vector<Out> out, kept;
        };
        const auto arrays = std::make_shared<Arrays>();
        const std::size_t plane = std::size_t(size.height) * size.width;
        arrays->in.resize(plane * in_planes);
        if (draw)
            draw(arrays->in, size);
        else
            fill(arrays->in, 21);
        arrays->out.resize(plane * out_planes);
        std::vector<Rival> all;
        for (const rivals::NamedPlan& r : rivals::named_plans) {
            const double tolerance = r.arithmetic == Arithmetic::strict ? 0 : apart;
            // Where nothing may be apart both arithmetics are one.
            if ((apart == 0 || !exact) && r.arithmetic == Arithmetic::strict) continue;
            if (r.plan == Plan::adams2019 && !adams2019) continue;
            if (r.plan == Plan::tuned && !tuned) continue;
            Kernel kernel = rival(arrays->in.data(), arrays->out.data(), size, r.plan, r.arithmetic);
            if (!rivals::runs(fmt::format("{}: {}", name, r.name), kernel)) continue;
            all.push_back(
                {{r.name, [arrays, kernel] { kernel(); }, rivals::use_halide_threads},
                 [arrays, tolerance, seldom = rare] { return difference(arrays->kept, arrays->out, tolerance, seldom); }});
        }
        std::vector<Case> made;
        for (const OurSchedule schedule : our_schedules) {
            const OurKernel kernel = ours(arrays->in.data(), arrays->out.data(), size, schedule);
            if (!kernel) continue;
            made.push_back({fmt::format("{} {}x{}/{}", name, size.width, size.height, name_of(schedule)),
                            {"Tessera", [arrays, kernel] { kernel(); }, use_tessera_threads},
                            all,
                            {of_pixel.operations * double(plane), of_pixel.bytes * double(plane)},
                            [arrays] { arrays->kept = arrays->out; }});
        }
        return made;
    }
};

template <typename In, typename Out>
PipelineCase listed(Pipeline<In, Out> pipeline) {
    return {pipeline.name, pipeline.quick, [pipeline] { return pipeline.cases(); }};
}

}  // namespace

std::vector<PipelineCase> pipeline_cases(Size2 photo) {
    using U8 = std::uint8_t;
    using U16 = std::uint16_t;
    using Photo = Pipeline<float, float>;
    return {listed(Photo{.name = "bilateral_grid",
                         .size = photo,
                         .in_planes = 1,
                         .out_planes = 1,
                         .apart = 1e-5,
                         .of_pixel = {60, 8},
                         .ours = tessera_bilateral_grid,
                         .rival = rivals::halide_bilateral_grid,
                         .draw = draw_shapes,
                         .adams2019 = false}),
            // The samples reach beyond the photo: there is room for it in twice as many.
            listed(Pipeline<U16, U8>{.name = "camera_raw",
                                     .size = photo,
                                     .in_planes = 2,
                                     .out_planes = 3,
                                     .apart = 3,
                                     .of_pixel = {120, 5},
                                     .ours = tessera_camera_raw,
                                     .rival = rivals::halide_camera_raw,
                                     .draw = draw_samples,
                                     .adams2019 = false,
                                     .exact = false,
                                     .tuned = false}),
            listed(Pipeline<U8, U8>{.name = "equalize",
                                    .size = photo,
                                    .in_planes = 3,
                                    .out_planes = 3,
                                    .apart = 3,
                                    .of_pixel = {25, 9},
                                    .ours = tessera_equalize,
                                    .rival = rivals::halide_equalize,
                                    .quick = true}),
            listed(Photo{.name = "iir_blur",
                         .size = photo,
                         .in_planes = 3,
                         .out_planes = 3,
                         .apart = 1e-5,
                         .of_pixel = {36, 24},
                         .ours = tessera_iir_blur,
                         .rival = rivals::halide_iir_blur,
                         .adams2019 = false}),
            listed(Photo{.name = "interpolate",
                         .size = photo,
                         .in_planes = 4,
                         .out_planes = 3,
                         .apart = 1e-4,
                         .of_pixel = {60, 28},
                         .ours = tessera_interpolate,
                         .rival = rivals::halide_interpolate,
                         .draw = draw_cutout,
                         .adams2019 = false}),
            // Of each of 32 slices 26 operations for its cost, 5 for confidence, 15 in the two pyramids, 2 in the end; of each
            // of 32 samples 27 for its place, 11 for whether it counts, 8 for colours.
            listed(Pipeline<U8, float>{.name = "lens_blur",
                                       .size = {.height = 384, .width = 640},
                                       .in_planes = 6,
                                       .out_planes = 3,
                                       .apart = 1e-2,
                                       .of_pixel = {32 * 48 + 32 * 46, 18},
                                       .ours = tessera_lens_blur,
                                       .rival = rivals::halide_lens_blur,
                                       .draw = draw_pair,
                                       .adams2019 = false,
                                       .exact = false}),
            listed(Pipeline<U16, U16>{.name = "local_laplacian",
                                      .size = photo,
                                      .in_planes = 3,
                                      .out_planes = 3,
                                      .apart = 2,
                                      .of_pixel = {250, 12},
                                      .ours = tessera_local_laplacian,
                                      .rival = rivals::halide_local_laplacian,
                                      .adams2019 = false,
                                      .exact = false,
                                      .rare = {.share = 1e-4, .apart = 128},
                                      .tuned = false}),
            listed(Photo{.name = "max_filter",
                         .size = photo,
                         .in_planes = 3,
                         .out_planes = 3,
                         .apart = 0,
                         .of_pixel = {219, 24},
                         .ours = tessera_max_filter,
                         .rival = rivals::halide_max_filter}),
            // Of each of 49 shifts 9 operations for differences, 12 for sums along both axes, 3 for a weight, 8 for products.
            listed(Photo{.name = "nl_means",
                         .size = {.height = 768, .width = 1280},
                         .in_planes = 3,
                         .out_planes = 3,
                         .apart = 1e-4,
                         .of_pixel = {49 * 32, 24},
                         .ours = tessera_nl_means,
                         .rival = rivals::halide_nl_means,
                         .adams2019 = false,
                         .exact = false}),
            listed(Pipeline<U16, U16>{.name = "stencil_chain",
                                      .size = photo,
                                      .in_planes = 1,
                                      .out_planes = 1,
                                      .apart = 0,
                                      .of_pixel = {784, 4},
                                      .ours = tessera_stencil_chain,
                                      .rival = rivals::halide_stencil_chain})};
}

}  // namespace bench
