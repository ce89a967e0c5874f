#include "definitions.h"

#include <algorithm>
#include <cmath>

namespace bench {
namespace {

using Plane = std::vector<float>;

Plane gray_of(const std::vector<float>& in, Size2 size) {
    const std::size_t plane = std::size_t(size.height) * size.width;
    Plane gray(plane);
    for (std::size_t i = 0; i < plane; ++i) gray[i] = 0.299f * in[i] + 0.587f * in[plane + i] + 0.114f * in[2 * plane + i];
    return gray;
}

}  // namespace

std::vector<std::uint16_t> defined_blur(const std::vector<std::uint16_t>& in, Size2 out) {
    const int in_width = out.width + 2;
    const auto mean = [](std::uint16_t a, std::uint16_t b, std::uint16_t c) {
        return std::uint16_t(std::uint16_t(a + b + c) / 3);
    };
    std::vector<std::uint16_t> rows(std::size_t(out.height + 2) * out.width), result(std::size_t(out.height) * out.width);
    for (int y = 0; y < out.height + 2; ++y) {
        const std::uint16_t* line = &in[std::size_t(y) * in_width];
        for (int x = 0; x < out.width; ++x) rows[std::size_t(y) * out.width + x] = mean(line[x], line[x + 1], line[x + 2]);
    }
    const std::size_t width = out.width;
    for (std::size_t i = 0; i < result.size(); ++i) result[i] = mean(rows[i], rows[i + width], rows[i + 2 * width]);
    return result;
}

std::vector<float> defined_unsharp(const std::vector<float>& in, Size2 image) {
    const std::size_t plane = std::size_t(image.height) * image.width;
    const Plane gray = gray_of(in, image);
    // gray outside the image is that of the nearest pixel, so blur_y of a column outside is that of the nearest column.
    Plane blur_y(plane);
    std::vector<float> out(3 * plane);
    const auto seven_taps = [](auto&& at) {
        const auto& k = unsharp_taps;
        return k[0] * at(0) + k[1] * (at(-1) + at(1)) + k[2] * (at(-2) + at(2)) + k[3] * (at(-3) + at(3));
    };
    for (int y = 0; y < image.height; ++y) {
        for (int x = 0; x < image.width; ++x) {
            blur_y[std::size_t(y) * image.width + x] =
                seven_taps([&](int d) { return gray[std::size_t(std::clamp(y + d, 0, image.height - 1)) * image.width + x]; });
        }
    }
    for (int y = 0; y < image.height; ++y) {
        const std::size_t line = std::size_t(y) * image.width;
        for (int x = 0; x < image.width; ++x) {
            const float blurred = seven_taps([&](int d) { return blur_y[line + std::clamp(x + d, 0, image.width - 1)]; });
            const float ratio = (2.0f * gray[line + x] - blurred) / gray[line + x];
            for (int c = 0; c < 3; ++c) out[c * plane + line + x] = ratio * in[c * plane + line + x];
        }
    }
    return out;
}

std::vector<float> defined_harris(const std::vector<float>& in, Size2 out) {
    const Size2 padded{out.height + 4, out.width + 4};
    const Size2 slopes{out.height + 2, out.width + 2};
    const std::size_t plane = std::size_t(padded.height) * padded.width;
    Plane gray(plane);
    for (std::size_t i = 0; i < plane; ++i)
        gray[i] = std::fma(in[2 * plane + i], 0.114f, std::fma(in[plane + i], 0.587f, in[i] * 0.299f));
    Plane gx(std::size_t(slopes.height) * slopes.width), gy(gx.size());
    const float s = 1.0f / 12;
    for (int y = 0; y < slopes.height; ++y) {
        for (int x = 0; x < slopes.width; ++x) {
            const float* above = &gray[std::size_t(y) * padded.width + x];
            const auto across = [&](int row) { return above[row * padded.width + 2] - above[row * padded.width]; };
            const auto along = [&](int row) {
                const float* here = above + std::ptrdiff_t(row) * padded.width;
                return std::fma(here[1], 2.0f, here[0] + here[2]);
            };
            const std::size_t i = std::size_t(y) * slopes.width + x;
            gx[i] = std::fma(across(1), 2.0f, across(0) + across(2)) * s;
            gy[i] = (along(2) - along(0)) * s;
        }
    }
    std::vector<float> result(std::size_t(out.height) * out.width);
    for (int y = 0; y < out.height; ++y) {
        for (int x = 0; x < out.width; ++x) {
            const auto sum3x3 = [&](const Plane& f, const Plane& g) {
                const auto of_row = [&](int row) {
                    const std::size_t i = std::size_t(y + row) * slopes.width + x;
                    return std::fma(f[i + 2], g[i + 2], std::fma(f[i + 1], g[i + 1], f[i] * g[i]));
                };
                return of_row(0) + of_row(1) + of_row(2);
            };
            const float sxx = sum3x3(gx, gx), syy = sum3x3(gy, gy), sxy = sum3x3(gx, gy), trace = sxx + syy;
            result[std::size_t(y) * out.width + x] = std::fma(sxx, syy, -(sxy * sxy)) - 0.04f * trace * trace;
        }
    }
    return result;
}

template <typename T>
std::vector<T> defined_matmul_row(const std::vector<T>& a, const std::vector<T>& b, MatmulSize size, int m) {
    std::vector<T> row(size.n, T(0));
    for (int k = 0; k < size.k; ++k) {
        const T scale = a[std::size_t(m) * size.k + k];
        const T* from = &b[std::size_t(k) * size.n];
        for (int n = 0; n < size.n; ++n) row[n] = std::fma(scale, from[n], row[n]);
    }
    return row;
}
template std::vector<float> defined_matmul_row(const std::vector<float>&, const std::vector<float>&, MatmulSize, int);
template std::vector<double> defined_matmul_row(const std::vector<double>&, const std::vector<double>&, MatmulSize, int);

}  // namespace bench
