// The benchmark cases written directly in Halide 21, compiled in this process for its processor, with symbolic extents.
// Each call runs on the arrays given when the kernel was made; they must outlive it. Arithmetic: definitions.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "definitions.h"

namespace bench::rivals {

using Kernel = std::function<void()>;

/// published: the schedule of Halide's own app. tuned: the best found by hand, starting from it. The others: what the
/// autoschedulers of Halide's wheel make for two processors, untuned; not every function takes them.
enum class Plan { published, tuned, mullapudi2016, adams2019 };
/// relaxed: Halide's default, which reassociates, contracts and assumes no NaN. strict: IEEE, the bits of definitions.h.
enum class Arithmetic { relaxed, strict };

struct NamedPlan {
    const char* name;
    Plan plan;
    Arithmetic arithmetic;
};
inline constexpr NamedPlan named_plans[] = {{"Halide, published", Plan::published, Arithmetic::relaxed},
                                            {"Halide, tuned", Plan::tuned, Arithmetic::relaxed},
                                            {"Halide, tuned, strict", Plan::tuned, Arithmetic::strict},
                                            {"Halide, Mullapudi2016", Plan::mullapudi2016, Arithmetic::relaxed},
                                            {"Halide, Adams2019", Plan::adams2019, Arithmetic::relaxed}};

[[nodiscard]] Kernel halide_blur(const std::uint16_t* in, std::uint16_t* out, Size2 out_size, Plan);
[[nodiscard]] Kernel halide_unsharp(const float* in, float* out, Size2 image, Plan, Arithmetic);
[[nodiscard]] Kernel halide_harris(const float* in, float* out, Size2 out_size, Plan, Arithmetic);
/// Always strict: explicit fused multiply-adds in ascending k. size.m is at least 6.
[[nodiscard]] Kernel halide_matmul(const float* a, const float* b, float* out, MatmulSize size);

inline constexpr int stencils_in_chain = 32;
inline constexpr int disc_radius = 26;
[[nodiscard]] Kernel halide_bilateral_grid(const float* in, float* out, Size2 image, Plan, Arithmetic);
/// The samples in (height + 24, width + 32); camera_settings.
[[nodiscard]] Kernel halide_camera_raw(const std::uint16_t* in, std::uint8_t* out, Size2 image, Plan, Arithmetic);
[[nodiscard]] Kernel halide_equalize(const std::uint8_t* in, std::uint8_t* out, Size2 image, Plan, Arithmetic);
[[nodiscard]] Kernel halide_iir_blur(const float* in, float* out, Size2 image, Plan, Arithmetic);
[[nodiscard]] Kernel halide_interpolate(const float* in, float* out, Size2 image, Plan, Arithmetic);
/// Left and right photo, one behind the other.
[[nodiscard]] Kernel halide_lens_blur(const std::uint8_t* in, float* out, Size2 image, Plan, Arithmetic);
[[nodiscard]] Kernel halide_local_laplacian(const std::uint16_t* in, std::uint16_t* out, Size2 image, Plan, Arithmetic);
/// nl_means_sigma.
[[nodiscard]] Kernel halide_nl_means(const float* in, float* out, Size2 image, Plan, Arithmetic);
[[nodiscard]] Kernel halide_stencil_chain(const std::uint16_t* in, std::uint16_t* out, Size2 image, Plan, Arithmetic);
[[nodiscard]] Kernel halide_max_filter(const float* in, float* out, Size2 image, Plan, Arithmetic);

/// 3x3 taps (3, 3, in_channels) per channel, mix (in_channels, out_channels), bias; relu.
[[nodiscard]] Kernel halide_separable_conv(const float* in, const float* taps, const float* mix, const float* bias, float* out,
                                           ConvolutionSize, Plan);

/// Whether a kernel of this header runs; says on stderr why not. Schedules that an autoscheduler made may ask for more of the
/// input than there is.
[[nodiscard]] bool runs(const std::string& name, const Kernel&);

/// Threads of Halide's pool, for every kernel of this header.
void use_halide_threads(int threads);
[[nodiscard]] std::string halide_version();

}  // namespace bench::rivals
