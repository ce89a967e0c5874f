// Our kernels, compiled ahead of time from generators/ into static libraries, with symbolic extents, for the processor of the
// build. Each call runs on the arrays given when the kernel was made; they must outlive it. Arithmetic: definitions.h.
#pragma once

#include <cstdint>
#include <functional>

#include "definitions.h"

namespace bench {

/// hand: the file in schedules/. standard: what Tessera chooses when it is given no schedule, "default" in reports. tuned: the
/// file in schedules/tuned/, of those functions that have one.
enum class OurSchedule { hand, standard, tuned };
inline constexpr OurSchedule our_schedules[] = {OurSchedule::hand, OurSchedule::standard, OurSchedule::tuned};
[[nodiscard]] const char* name_of(OurSchedule);

/// The libraries of one function; our_kernels.h, which the build writes, has them for each.
template <typename Function>
struct KernelsOf {
    Function *hand, *standard, *tuned;
    [[nodiscard]] Function* of(OurSchedule schedule) const {
        return schedule == OurSchedule::hand ? hand : schedule == OurSchedule::tuned ? tuned : standard;
    }
};

/// Empty for a schedule that the function does not have.
using OurKernel = std::function<void()>;
[[nodiscard]] OurKernel tessera_bilateral_grid(const float* in, float* out, Size2 image, OurSchedule);
[[nodiscard]] OurKernel tessera_blur(const std::uint16_t* in, std::uint16_t* out, Size2 out_size, OurSchedule);
/// The samples in (height + 24, width + 32); camera_settings.
[[nodiscard]] OurKernel tessera_camera_raw(const std::uint16_t* in, std::uint8_t* out, Size2 image, OurSchedule);
[[nodiscard]] OurKernel tessera_unsharp(const float* in, float* out, Size2 image, OurSchedule);
[[nodiscard]] OurKernel tessera_harris(const float* in, float* out, Size2 out_size, OurSchedule);
[[nodiscard]] OurKernel tessera_equalize(const std::uint8_t* in, std::uint8_t* out, Size2 image, OurSchedule);
[[nodiscard]] OurKernel tessera_iir_blur(const float* in, float* out, Size2 image, OurSchedule);
[[nodiscard]] OurKernel tessera_interpolate(const float* in, float* out, Size2 image, OurSchedule);
/// Left and right photo, one behind the other.
[[nodiscard]] OurKernel tessera_lens_blur(const std::uint8_t* in, float* out, Size2 image, OurSchedule);
[[nodiscard]] OurKernel tessera_local_laplacian(const std::uint16_t* in, std::uint16_t* out, Size2 image, OurSchedule);
/// nl_means_sigma.
[[nodiscard]] OurKernel tessera_nl_means(const float* in, float* out, Size2 image, OurSchedule);
[[nodiscard]] OurKernel tessera_stencil_chain(const std::uint16_t* in, std::uint16_t* out, Size2 image, OurSchedule);
[[nodiscard]] OurKernel tessera_max_filter(const float* in, float* out, Size2 image, OurSchedule);

/// Threads of Tessera::Runtime's pool, for every kernel of this header.
void use_tessera_threads(int threads);

}  // namespace bench
