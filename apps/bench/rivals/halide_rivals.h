// The benchmark cases written directly in Halide 21, compiled in this process for its processor, with symbolic extents.
// Each call runs on the arrays given when the kernel was made; they must outlive it. Arithmetic: definitions.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "definitions.h"

namespace bench::rivals {

using Kernel = std::function<void()>;

/// published: the schedule of Halide's own app. tuned: the best found by hand, starting from it.
enum class Plan { published, tuned };
/// relaxed: Halide's default, which reassociates, contracts and assumes no NaN. strict: IEEE, the bits of definitions.h.
enum class Arithmetic { relaxed, strict };

[[nodiscard]] Kernel halide_blur(const std::uint16_t* in, std::uint16_t* out, Size2 out_size, Plan);
[[nodiscard]] Kernel halide_unsharp(const float* in, float* out, Size2 image, Plan, Arithmetic);
[[nodiscard]] Kernel halide_harris(const float* in, float* out, Size2 out_size, Plan, Arithmetic);
/// Always strict: explicit fused multiply-adds in ascending k. size.m is at least 6.
[[nodiscard]] Kernel halide_matmul(const float* a, const float* b, float* out, MatmulSize size);

/// Threads of Halide's pool, for every kernel of this header.
void use_halide_threads(int threads);
[[nodiscard]] std::string halide_version();

}  // namespace bench::rivals
