// The exact arithmetic of the benchmark cases, as plain loops. Whoever takes part (a generator of Tessera or a rival) computes
// these values; the harness compares every output with them. Arrays are row-major and dense, (…, y, x).
//
// blur (u16), a 3-tap mean along x, then along y. Arithmetic is u16 and wraps; / is unsigned division of the wrapped sum.
//   in (height + 2, width + 2), out (height, width)
//   rows(y, x) = (in(y, x) + in(y, x + 1) + in(y, x + 2)) / 3
//   out(y, x)  = (rows(y, x) + rows(y + 1, x) + rows(y + 2, x)) / 3
//
// unsharp (f32), reads outside the image take the nearest pixel; sums associate to the left, nothing is contracted.
//   in, out (3, height, width)
//   gray(y, x)    = 0.299f * in(0, y, x) + 0.587f * in(1, y, x) + 0.114f * in(2, y, x)              y, x clamped into the image
//   blur_y(y, x)  = k0 * gray(y, x) + k1 * (gray(y-1, x) + gray(y+1, x)) + k2 * (gray(y-2, x) + gray(y+2, x)) + k3 * (… 3 …)
//   blur_x(y, x)  = the same of blur_y along x
//   sharpen(y, x) = 2 * gray(y, x) - blur_x(y, x)
//   out(c, y, x)  = sharpen(y, x) / gray(y, x) * in(c, y, x)
//   k_i = exp(-i * i / (2 * 1.5 * 1.5)) / (sqrt(2 * pi) * 1.5), rounded to f32: unsharp_taps
//
// harris (f32), a corner measure; no boundary condition: the input is larger by 2 on each side.
//   in (3, height + 4, width + 4), out (height, width)
//   gray(y, x)   = fma(in(2, y, x), 0.114f, fma(in(1, y, x), 0.587f, in(0, y, x) * 0.299f))
//   across(y, x) = gray(y, x+2) - gray(y, x);  along(y, x) = fma(gray(y, x+1), 2, gray(y, x) + gray(y, x+2))
//   gx(y, x)     = fma(across(y+1, x), 2, across(y, x) + across(y+2, x)) * s                        s = 1.0f / 12
//   gy(y, x)     = (along(y+2, x) - along(y, x)) * s
//   sums(f, g)   = row(y) + row(y+1) + row(y+2)
//   row(y)       = fma(f(y, x+2), g(y, x+2), fma(f(y, x+1), g(y, x+1), f(y, x) * g(y, x)))
//   sxx = sums(gx, gx), syy = sums(gy, gy), sxy = sums(gx, gy), trace = sxx + syy
//   out(y, x)    = fma(sxx, syy, -(sxy * sxy)) - 0.04f * trace * trace
//
// matmul (f32, f64): out(m, n) = sum over k ascending of fma(a(m, k), b(k, n), sum); a (m, k), b (k, n), out (m, n)
//
// Source of the three pipelines: apps/{blur,unsharp,harris} of github.com/halide/Halide at
// abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8.
#pragma once

#include <cstdint>
#include <vector>

namespace bench {

struct Size2 {
    int height = 0;
    int width = 0;
};

inline constexpr float unsharp_taps[4] = {0.265961528f, 0.212965339f, 0.109340049f, 0.0359939784f};

[[nodiscard]] std::vector<std::uint16_t> defined_blur(const std::vector<std::uint16_t>& in, Size2 out);
[[nodiscard]] std::vector<float> defined_unsharp(const std::vector<float>& in, Size2 image);
[[nodiscard]] std::vector<float> defined_harris(const std::vector<float>& in, Size2 out);

/// What camera_raw is asked for: two matrices (3, 4) of colours, whose last column is added, for two temperatures of light.
struct CameraSettings {
    float warm[12] = {1.6f, -0.25f, -0.4f, -42, -0.35f, 1.6f, -0.3f, -24, -0.2f, -0.75f, 2.0f, -30};
    float cold[12] = {2.2f, -0.8f, -0.2f, -27, -0.25f, 1.6f, -0.25f, -13, -0.1f, -0.6f, 1.7f, -25};
    float color_temp = 3700, gamma = 2, contrast = 50, strength = 1;
    int black = 25, white = 1023;
};
inline constexpr CameraSettings camera_settings{};
inline constexpr float nl_means_sigma = 0.12f;

/// Of local_laplacian, for 8 tones: details twice as large, at most.
inline constexpr float laplacian_alpha = 1.0f / 7, laplacian_beta = 1;

struct MatmulSize {
    int m = 0;
    int n = 0;
    int k = 0;
};

struct ConvolutionSize {
    int batch = 0;
    int height = 0;  // of the output
    int width = 0;
    int in_channels = 0;
    int out_channels = 0;
};

/// Row m of the product of f32 or f64 arrays.
template <typename T>
[[nodiscard]] std::vector<T> defined_matmul_row(const std::vector<T>& a, const std::vector<T>& b, MatmulSize, int m);

}  // namespace bench
