#include "algebra_cases.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

#include <fmt/format.h>

#include "algebra_kernels.h"
#include "rivals/halide_rivals.h"
#include "rivals/onednn.h"

namespace bench {
namespace {

template <typename T>
constexpr double unit = std::is_same_v<T, float> ? 0x1p-24 : 0x1p-53;  // half the distance of the numbers at 1

template <typename T>
std::vector<T> random_values(std::size_t count, unsigned rng_start) {
    std::mt19937 rng(rng_start);
    std::vector<T> values(count);
    for (T& value : values) value = T(-1.0 + 2.0 * double(rng() >> 8) * 0x1p-24);
    return values;
}

/// Where `got`, from `first` on, is further from `expected` than `tolerance`; "" when nowhere.
template <typename T, typename E>
std::string difference(const char* whose, const std::vector<T>& got, std::size_t first, const std::vector<E>& expected,
                       double tolerance) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double apart = std::abs(double(got[first + i]) - double(expected[i]));
        if (!(apart <= tolerance))
            return fmt::format("{}: element {} is {}, not {} (tolerance {:.3g})", whose, first + i, got[first + i], expected[i],
                               tolerance);
    }
    return "";
}

/// Arrays of a kernel with one output, and what every `stride`-th row of it should be.
template <typename T>
struct Arrays {
    std::vector<T> a, b, c;
    std::vector<T> out, kept;
};

/// Compares some rows of what ours wrote and of what the rival wrote, of `columns` elements, with `row_of`; own_tolerance for
/// ours.
template <typename T, typename RowOf>
std::string rows_difference(const Arrays<T>& arrays, int rows, int columns, double own_tolerance, double tolerance,
                            RowOf&& row_of) {
    for (int row = 0; row < rows; row += std::max(1, rows / 16)) {
        const auto expected = row_of(row);
        const std::size_t first = std::size_t(row) * columns;
        std::string found = difference("ours", arrays.kept, first, expected, own_tolerance);
        if (found.empty()) found = difference("rival", arrays.out, first, expected, tolerance);
        if (!found.empty()) return found;
    }
    return "";
}

Rival of_onednn(rivals::Kernel kernel, std::function<std::string()> compare) {
    if (!kernel) return {{"oneDNN", {}}, {}, rivals::onednn_problem()};
    return {{"oneDNN", std::move(kernel), rivals::use_onednn_threads}, std::move(compare)};
}

template <typename T, typename Ours>
std::vector<Case> case_per_schedule(const std::string& name, const std::shared_ptr<Arrays<T>>& arrays,
                                    const std::vector<Rival>& rivals, Ours&& ours, const Work& work) {
    std::vector<Case> cases;
    for (const OurSchedule schedule : {OurSchedule::hand, OurSchedule::standard})
        cases.push_back({fmt::format("{}/{}", name, name_of(schedule)),
                         {"Tessera", ours(schedule), use_tessera_threads},
                         rivals,
                         work,
                         [arrays] { arrays->kept = arrays->out; }});
    return cases;
}

/// The case of a kernel that has its default schedule only.
template <typename T>
std::vector<Case> one_case(const std::string& name, const std::shared_ptr<Arrays<T>>& arrays, OurKernel ours, Rival rival,
                           const Work& work) {
    return {{name + "/default",
             {"Tessera", [arrays, ours = std::move(ours)] { ours(); }, use_tessera_threads},
             {std::move(rival)},
             work,
             [arrays] { arrays->kept = arrays->out; }}};
}

/// The bytes of three matrices, the operations in f32 lanes.
template <typename T>
Work work_of(MatmulSize size) {
    const double m = size.m, n = size.n, k = size.k;
    return {2.0 * m * n * k * double(sizeof(T)) / sizeof(float), double(sizeof(T)) * (m * k + k * n + m * n)};
}

template <typename T>
std::shared_ptr<Arrays<T>> matmul_arrays(MatmulSize size) {
    const auto arrays = std::make_shared<Arrays<T>>();
    arrays->a = random_values<T>(std::size_t(size.m) * size.k, 13);
    arrays->b = random_values<T>(std::size_t(size.k) * size.n, 14);
    arrays->c = random_values<T>(std::size_t(size.n), 15);
    arrays->out.resize(std::size_t(size.m) * size.n);
    return arrays;
}

/// Some rows against the definition: ours bit for bit, unless k is long; the rival, whose order of summation is its own, within
/// the error bound of any order, gamma_k * sum |a b| with entries below 1 (Higham 2002, section 3.1).
template <typename T>
std::vector<Case> matmul_cases(MatmulSize size, const rivals::OpenBlas& blas) {
    const auto arrays = matmul_arrays<T>(size);
    const auto compare = [arrays, size] {
        const double tolerance = size.k * unit<T> * size.k;
        // A schedule may add a long k in blocks.
        return rows_difference(*arrays, size.m, size.n, size.k >= 4096 ? tolerance : 0, tolerance,
                               [&](int row) { return defined_matmul_row(arrays->a, arrays->b, size, row); });
    };
    const T *a = arrays->a.data(), *b = arrays->b.data();
    T* const to = arrays->out.data();
    Rival openblas{{"OpenBLAS", {}}, {}, blas.problem()};
    if (blas.available())
        openblas = {{"OpenBLAS", blas.matmul(a, b, to, size), [&blas](int threads) { blas.use_threads(threads); }}, compare};
    const std::string shape = fmt::format("{}x{}x{}", size.m, size.n, size.k);
    if constexpr (std::is_same_v<T, double>) {
        return one_case("matmul f64 " + shape, arrays, tessera_matmul(a, b, arrays->out.data(), size), openblas,
                        work_of<T>(size));
    } else {
        const rivals::Kernel halide = rivals::halide_matmul(a, b, to, size);
        return case_per_schedule(
            "matmul " + shape, arrays,
            {openblas,
             of_onednn(rivals::onednn_matmul(a, b, to, size), compare),
             {{"Halide, tuned", [arrays, halide] { halide(); }, rivals::use_halide_threads}, compare}},
            [&](OurSchedule schedule) -> OurKernel {
                return [arrays, kernel = tessera_matmul(a, b, arrays->out.data(), size, schedule)] { kernel(); };
            },
            work_of<T>(size));
    }
}

std::vector<Case> matmul_gelu_cases(MatmulSize size) {
    const auto arrays = matmul_arrays<float>(size);
    const auto compare = [arrays, size] {
        // GELU is steeper than 1 by at most an eighth.
        const double tolerance = 1.25 * size.k * unit<float> * size.k;
        return rows_difference(*arrays, size.m, size.n, tolerance, tolerance, [&](int row) {
            std::vector<double> expected(std::size_t(size.n));
            for (int n = 0; n < size.n; ++n) {
                double x = arrays->c[std::size_t(n)];
                for (int k = 0; k < size.k; ++k)
                    x += double(arrays->a[std::size_t(row) * size.k + k]) * arrays->b[std::size_t(k) * size.n + n];
                expected[std::size_t(n)] = 0.5 * x * (1 + std::erf(x * std::sqrt(0.5)));
            }
            return expected;
        });
    };
    const float *a = arrays->a.data(), *b = arrays->b.data(), *bias = arrays->c.data();
    return case_per_schedule(
        fmt::format("matmul+bias+gelu {}x{}x{}", size.m, size.n, size.k), arrays,
        {of_onednn(rivals::onednn_matmul_gelu(a, b, bias, arrays->out.data(), size), compare)},
        [&](OurSchedule schedule) -> OurKernel {
            return [arrays, kernel = tessera_matmul_gelu(a, b, bias, arrays->out.data(), size, schedule)] { kernel(); };
        },
        work_of<float>(size));
}

std::shared_ptr<Arrays<float>> row_arrays(RowsSize size) {
    const auto arrays = std::make_shared<Arrays<float>>();
    arrays->a = random_values<float>(std::size_t(size.rows) * size.columns, 16);
    arrays->b = random_values<float>(std::size_t(size.columns), 17);
    arrays->c = random_values<float>(std::size_t(size.columns), 18);
    arrays->out.resize(arrays->a.size());
    return arrays;
}

std::vector<Case> softmax_cases(RowsSize size) {
    const auto arrays = row_arrays(size);
    const auto compare = [arrays, size] {
        // A sum of `columns` terms of one sign, of results below 8 / columns.
        const double tolerance = 8 * unit<float>;
        return rows_difference(*arrays, size.rows, size.columns, tolerance, tolerance, [&](int row) {
            std::vector<double> expected(std::size_t(size.columns));
            double sum = 0;
            for (int i = 0; i < size.columns; ++i)
                sum += expected[std::size_t(i)] = std::exp(double(arrays->a[std::size_t(row) * size.columns + i]));
            for (double& value : expected) value /= sum;
            return expected;
        });
    };
    return one_case(fmt::format("softmax {}x{}", size.rows, size.columns), arrays,
                    tessera_softmax(arrays->a.data(), arrays->out.data(), size),
                    of_onednn(rivals::onednn_softmax(arrays->a.data(), arrays->out.data(), size), compare),
                    {.operations = 14.0 * size.rows * size.columns, .bytes = 8.0 * size.rows * size.columns});
}

std::vector<Case> layer_norm_cases(RowsSize size) {
    const auto arrays = row_arrays(size);
    const auto compare = [arrays, size] {
        const double tolerance = 8 * unit<float> * size.columns;  // two sums of `columns` terms near 1, results below 8
        return rows_difference(*arrays, size.rows, size.columns, tolerance, tolerance, [&](int row) {
            const float* x = &arrays->a[std::size_t(row) * size.columns];
            double mean = 0, variance = 0;
            for (int i = 0; i < size.columns; ++i) mean += double(x[i]) / size.columns;
            for (int i = 0; i < size.columns; ++i) variance += (x[i] - mean) * (x[i] - mean) / size.columns;
            std::vector<double> expected(std::size_t(size.columns));
            for (std::size_t i = 0; i < expected.size(); ++i)
                expected[i] = (x[i] - mean) / std::sqrt(variance + 1e-5) * arrays->b[i] + arrays->c[i];
            return expected;
        });
    };
    const float *in = arrays->a.data(), *gamma = arrays->b.data(), *beta = arrays->c.data();
    return one_case(fmt::format("layer norm {}x{}", size.rows, size.columns), arrays,
                    tessera_layer_norm(in, gamma, beta, arrays->out.data(), size),
                    of_onednn(rivals::onednn_layer_norm(in, gamma, beta, arrays->out.data(), size), compare),
                    {.operations = 8.0 * size.rows * size.columns, .bytes = 8.0 * size.rows * size.columns});
}

std::vector<Case> convolution_cases(ConvolutionSize size) {
    const auto arrays = std::make_shared<Arrays<float>>();
    const int in_width = size.width + 2, in_row = in_width * size.in_channels, in_image = (size.height + 2) * in_row;
    const int pixels = size.batch * size.height * size.width, terms = 9 * size.in_channels;
    arrays->a = random_values<float>(std::size_t(size.batch) * in_image, 19);
    arrays->b = random_values<float>(std::size_t(terms) * size.out_channels, 20);
    arrays->c = random_values<float>(std::size_t(size.out_channels), 21);
    arrays->out.resize(std::size_t(pixels) * size.out_channels);
    const auto compare = [=] {
        const double tolerance = terms * unit<float> * terms;
        return rows_difference(*arrays, pixels, size.out_channels, tolerance, tolerance, [&](int pixel) {
            const int x = pixel % size.width, y = pixel / size.width % size.height, image = pixel / size.width / size.height;
            std::vector<double> expected(arrays->c.begin(), arrays->c.end());
            for (int term = 0; term < terms; ++term) {
                const int channel = term % size.in_channels, dx = term / size.in_channels % 3, dy = term / size.in_channels / 3;
                const double value =
                    arrays->a[std::size_t(image * in_image + (y + dy) * in_row + (x + dx) * size.in_channels + channel)];
                const float* weights = &arrays->b[std::size_t(term) * size.out_channels];
                for (int o = 0; o < size.out_channels; ++o) expected[std::size_t(o)] += value * weights[o];
            }
            return expected;
        });
    };
    const float *in = arrays->a.data(), *weights = arrays->b.data(), *bias = arrays->c.data();
    return one_case(
        fmt::format("conv 3x3 {}x{}x{}x{} to {}", size.batch, size.height, size.width, size.in_channels, size.out_channels),
        arrays, tessera_convolution(in, weights, bias, arrays->out.data(), size),
        of_onednn(rivals::onednn_convolution(in, weights, bias, arrays->out.data(), size), compare),
        {.operations = 2.0 * pixels * terms * size.out_channels,
         .bytes = 4.0 * double(arrays->a.size() + arrays->b.size() + arrays->out.size())});
}

std::vector<Case> separable_cases(ConvolutionSize size) {
    const auto arrays = std::make_shared<Arrays<float>>();
    const int row = size.width * size.in_channels, pixels = size.batch * size.height * size.width;
    const std::size_t mix_size = std::size_t(size.in_channels) * size.out_channels;
    arrays->a = random_values<float>(std::size_t(pixels) * size.in_channels, 22);
    arrays->b = random_values<float>(std::size_t(9) * size.in_channels, 23);
    arrays->c = random_values<float>(mix_size + size.out_channels, 24);  // the bias behind the factors
    arrays->out.resize(std::size_t(pixels) * size.out_channels);
    const auto compare = [=] {
        const double tolerance = 9 * size.in_channels * unit<float> * (9 + size.in_channels);
        return rows_difference(*arrays, pixels, size.out_channels, tolerance, tolerance, [&](int pixel) {
            const int x = pixel % size.width, y = pixel / size.width % size.height, image = pixel / size.width / size.height;
            std::vector<double> expected(arrays->c.begin() + std::ptrdiff_t(mix_size), arrays->c.end());
            for (int i = 0; i < size.in_channels; ++i) {
                double value = 0;
                for (int tap = 0; tap < 9; ++tap) {
                    const int from_y = y + tap / 3 - 1, from_x = x + tap % 3 - 1;
                    if (from_y < 0 || from_x < 0 || from_y >= size.height || from_x >= size.width) continue;
                    value += double(arrays->b[std::size_t(tap) * size.in_channels + i]) *
                             arrays->a[std::size_t(image * size.height + from_y) * row + from_x * size.in_channels + i];
                }
                for (int o = 0; o < size.out_channels; ++o)
                    expected[std::size_t(o)] += value * arrays->c[std::size_t(i) * size.out_channels + o];
            }
            for (double& value : expected) value = std::max(value, 0.0);
            return expected;
        });
    };
    const float *in = arrays->a.data(), *taps = arrays->b.data(), *mix = arrays->c.data(), *bias = mix + mix_size;
    float* const to = arrays->out.data();
    std::vector<Rival> rivals;
    for (const auto& [name, plan] : {std::pair{"Halide, published", rivals::Plan::published},
                                     {"Halide, tuned", rivals::Plan::tuned},
                                     {"Halide, Mullapudi2016", rivals::Plan::mullapudi2016}}) {
        const rivals::Kernel halide = rivals::halide_separable_conv(in, taps, mix, bias, to, size, plan);
        rivals.push_back({{name, [arrays, halide] { halide(); }, rivals::use_halide_threads}, compare});
    }
    return case_per_schedule(
        fmt::format("separable_conv {}x{}x{}x{} to {}", size.batch, size.height, size.width, size.in_channels, size.out_channels),
        arrays, rivals,
        [&](OurSchedule schedule) -> OurKernel {
            return [arrays, kernel = tessera_separable_conv(in, taps, mix, bias, to, size, schedule)] { kernel(); };
        },
        {.operations = 2.0 * pixels * size.in_channels * (9.0 + size.out_channels),
         .bytes = 4.0 * double(arrays->a.size() + arrays->b.size() + arrays->c.size() + arrays->out.size())});
}

}  // namespace

std::vector<AlgebraCase> algebra_cases(const rivals::OpenBlas& blas) {
    std::vector<AlgebraCase> all;
    const auto matmul = [&](MatmulSize size, bool quick = false, bool rare = false) {
        all.push_back({"matmul", quick, rare, [size, &blas] { return matmul_cases<float>(size, blas); }});
    };
    matmul({.m = 1024, .n = 1024, .k = 1024}, true);
    matmul({.m = 1000, .n = 1000, .k = 1000}, false, true);
    matmul({.m = 2048, .n = 2048, .k = 512});
    matmul({.m = 64, .n = 4096, .k = 1024});
    matmul({.m = 997, .n = 1009, .k = 1013});
    matmul({.m = 512, .n = 512, .k = 8192});
    matmul({.m = 128, .n = 128, .k = 128});
    matmul({.m = 256, .n = 256, .k = 256});
    const auto matmul_f64 = [&](MatmulSize size) {
        all.push_back({"matmul f64", false, false, [size, &blas] { return matmul_cases<double>(size, blas); }});
    };
    matmul_f64({.m = 1024, .n = 1024, .k = 1024});
    matmul_f64({.m = 997, .n = 1009, .k = 1013});
    const MatmulSize thousand{.m = 1024, .n = 1024, .k = 1024};
    all.push_back({"matmul+bias+gelu", false, false, [thousand] { return matmul_gelu_cases(thousand); }});
    const RowsSize rows{.rows = 1024, .columns = 1024};
    all.push_back({"softmax", false, false, [rows] { return softmax_cases(rows); }});
    all.push_back({"layer norm", false, false, [rows] { return layer_norm_cases(rows); }});
    const ConvolutionSize layer{.batch = 4, .height = 56, .width = 56, .in_channels = 64, .out_channels = 64};
    all.push_back({"conv 3x3", false, false, [layer] { return convolution_cases(layer); }});
    // The second layer of MobileNet v2.
    const ConvolutionSize mobile{.batch = 4, .height = 112, .width = 112, .in_channels = 32, .out_channels = 16};
    all.push_back({"separable_conv", false, false, [mobile] { return separable_cases(mobile); }});
    return all;
}

}  // namespace bench
