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

/// What a sensor of 10 bits gives.
void draw_samples(std::vector<std::uint16_t>& values, Size2) {
    std::mt19937 rng(24);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::uint16_t(40 + 700 * (i / 97 % 5) / 5 + rng() % 200);
}

/// Where two outputs are further apart than `tolerance`; "" when nowhere.
template <typename T>
std::string difference(const std::vector<T>& ours, const std::vector<T>& theirs, double tolerance) {
    std::size_t count = 0, first = 0;
    double largest = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
        const double apart = std::abs(double(ours[i]) - double(theirs[i]));
        if (apart <= tolerance) continue;
        if (count++ == 0) first = i;
        largest = std::max(largest, apart);
    }
    if (count == 0) return "";
    return fmt::format("{} of {} elements differ by up to {:.3g} (tolerance {:.3g}), the first at {}: {} against {}", count,
                       ours.size(), largest, tolerance, first, ours[first], theirs[first]);
}

struct RivalPlan {
    const char* name;
    Plan plan;
    Arithmetic arithmetic;
};
constexpr RivalPlan rival_plans[] = {{"Halide, published", Plan::published, Arithmetic::relaxed},
                                     {"Halide, tuned", Plan::tuned, Arithmetic::relaxed},
                                     {"Halide, tuned, strict", Plan::tuned, Arithmetic::strict},
                                     {"Halide, Mullapudi2016", Plan::mullapudi2016, Arithmetic::relaxed},
                                     {"Halide, Adams2019", Plan::adams2019, Arithmetic::relaxed}};

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
        std::vector<Rival> rivals;
        for (const RivalPlan& r : rival_plans) {
            const double tolerance = r.arithmetic == Arithmetic::strict ? 0 : apart;
            // Where nothing may be apart both arithmetics are one.
            if ((apart == 0 || !exact) && r.arithmetic == Arithmetic::strict) continue;
            if (r.plan == Plan::adams2019 && !adams2019) continue;
            Kernel kernel = rival(arrays->in.data(), arrays->out.data(), size, r.plan, r.arithmetic);
            rivals.push_back({{r.name, [arrays, kernel] { kernel(); }, rivals::use_halide_threads},
                              [arrays, tolerance] { return difference(arrays->kept, arrays->out, tolerance); }});
        }
        std::vector<Case> made;
        for (const OurSchedule schedule : our_schedules) {
            const OurKernel kernel = ours(arrays->in.data(), arrays->out.data(), size, schedule);
            if (!kernel) continue;
            made.push_back({fmt::format("{} {}x{}/{}", name, size.width, size.height, name_of(schedule)),
                            {"Tessera", [arrays, kernel] { kernel(); }, use_tessera_threads},
                            rivals,
                            {of_pixel.operations * double(plane), of_pixel.bytes * double(plane)},
                            [arrays] { arrays->kept = arrays->out; }});
        }
        return made;
    }
};

template <typename In, typename Out>
PipelineCase listed(Pipeline<In, Out> pipeline, bool quick) {
    return {pipeline.name, quick, [pipeline] { return pipeline.cases(); }};
}

}  // namespace

std::vector<PipelineCase> pipeline_cases(Size2 photo) {
    using U8 = std::uint8_t;
    using U16 = std::uint16_t;
    return {
        listed(Pipeline<float, float>{"bilateral_grid",
                                      photo,
                                      1,
                                      1,
                                      1e-5,
                                      {60, 8},
                                      tessera_bilateral_grid,
                                      rivals::halide_bilateral_grid,
                                      draw_shapes,
                                      false},
               false),
        // The samples reach beyond the photo: there is room for it in twice as many.
        listed(Pipeline<U16, U8>{"camera_raw",
                                 photo,
                                 2,
                                 3,
                                 3,
                                 {120, 5},
                                 tessera_camera_raw,
                                 rivals::halide_camera_raw,
                                 draw_samples,
                                 false,
                                 false},
               false),
        listed(Pipeline<U8, U8>{"equalize", photo, 3, 3, 3, {25, 9}, tessera_equalize, rivals::halide_equalize}, true),
        listed(
            Pipeline<float, float>{
                "iir_blur", photo, 3, 3, 1e-5, {36, 24}, tessera_iir_blur, rivals::halide_iir_blur, nullptr, false},
            false),
        listed(
            Pipeline<float, float>{
                "interpolate", photo, 4, 3, 1e-4, {60, 28}, tessera_interpolate, rivals::halide_interpolate, draw_cutout, false},
            false),
        listed(Pipeline<U16, U16>{"local_laplacian",
                                  photo,
                                  3,
                                  3,
                                  2,
                                  {250, 12},
                                  tessera_local_laplacian,
                                  rivals::halide_local_laplacian,
                                  nullptr,
                                  false,
                                  false},
               false),
        listed(Pipeline<U16, U16>{"stencil_chain", photo, 1, 1, 0, {784, 4}, tessera_stencil_chain, rivals::halide_stencil_chain},
               false),
        listed(Pipeline<float, float>{"max_filter", photo, 3, 3, 0, {219, 24}, tessera_max_filter, rivals::halide_max_filter},
               false)};
}

}  // namespace bench
