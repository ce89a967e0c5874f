#include "cases.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <random>

#include <fmt/format.h>

#include "definitions.h"
#include "rivals/halide_rivals.h"

namespace bench {
namespace {

using rivals::Arithmetic;
using rivals::Kernel;
using rivals::Plan;

std::vector<float> random_floats(std::size_t count, float low, float high, unsigned rng_start) {
    std::mt19937 rng(rng_start);
    std::vector<float> values(count);
    for (float& value : values) value = low + (high - low) * float(rng() >> 8) * 0x1p-24f;
    return values;
}

/// A kernel on Halide's threads; it keeps the arrays that it runs on.
Contestant with_halide_pool(std::string name, Kernel kernel, std::shared_ptr<const void> arrays) {
    return {std::move(name), [arrays = std::move(arrays), kernel = std::move(kernel)] { kernel(); }, rivals::use_halide_threads};
}

std::string named_difference(const char* whose, const std::string& difference) {
    return difference.empty() ? "" : fmt::format("{}: {}", whose, difference);
}

/// The first of two differences that is one.
std::string either(std::string a, const std::string& b) { return a.empty() ? b : a; }

/// An f32 stencil: one input, one output per contestant, and what the definition says. ours and strict rivals must have its bits;
/// relaxed ones may be off by rounding, which cancellation relates to the largest value.
class FloatStencil : public std::enable_shared_from_this<FloatStencil> {
public:
    FloatStencil(std::vector<float> input, std::vector<float> expected)
        : in(std::move(input)), expected_(std::move(expected)), out(expected_.size()), rival_out(expected_.size()) {
        for (const float value : expected_) scale_ = std::max(scale_, std::abs(double(value)));
    }

    Rival rival(std::string name, Kernel kernel, Arithmetic arithmetic) {
        const double tolerance = arithmetic == Arithmetic::strict ? 0 : scale_ * relaxed_tolerance;
        return {with_halide_pool(std::move(name), std::move(kernel), shared_from_this()), [self = shared_from_this(), tolerance] {
                    return either(named_difference("ours", float_difference(self->out, self->expected_, 0)),
                                  named_difference("rival", float_difference(self->rival_out, self->expected_, tolerance)));
                }};
    }

    const std::vector<float> in;

private:
    static constexpr double relaxed_tolerance = 1e-5;
    const std::vector<float> expected_;
    double scale_ = 0;

public:
    std::vector<float> out, rival_out;
};

Case blur_case(Size2 size) {
    struct Arrays {
        std::vector<std::uint16_t> in, expected, out, rival_out;
        std::string difference() const {
            const auto first = [&](const char* whose, const std::vector<std::uint16_t>& got) {
                const auto at = std::mismatch(got.begin(), got.end(), expected.begin());
                return at.first == got.end()
                           ? ""
                           : fmt::format("{}: element {} is {}, not {}", whose, at.first - got.begin(), *at.first, *at.second);
            };
            return either(first("ours", out), first("rival", rival_out));
        }
    };
    const auto arrays = std::make_shared<Arrays>();
    std::mt19937 rng(7);
    arrays->in.resize(std::size_t(size.height + 2) * (size.width + 2));
    for (auto& value : arrays->in) value = static_cast<std::uint16_t>(rng());
    arrays->expected = defined_blur(arrays->in, size);
    arrays->out.resize(arrays->expected.size());
    arrays->rival_out.resize(arrays->expected.size());
    const auto kernel = [&](std::vector<std::uint16_t>& out, Plan plan) {
        return rivals::halide_blur(arrays->in.data(), out.data(), size, plan);
    };
    const auto difference = [arrays] { return arrays->difference(); };
    return {fmt::format("blur {}x{}", size.width, size.height),
            with_halide_pool("Halide, published", kernel(arrays->out, Plan::published), arrays),
            {{with_halide_pool("Halide, tuned", kernel(arrays->rival_out, Plan::tuned), arrays), difference}}};
}

using StencilOf = Kernel (*)(const float*, float*, Size2, Plan, Arithmetic);

Case float_stencil_case(const std::string& name, std::shared_ptr<FloatStencil> arrays, Size2 size, StencilOf stencil) {
    const auto rival = [&](const char* rival_name, Plan plan, Arithmetic arithmetic) {
        return arrays->rival(rival_name, stencil(arrays->in.data(), arrays->rival_out.data(), size, plan, arithmetic),
                             arithmetic);
    };
    return {fmt::format("{} {}x{}", name, size.width, size.height),
            with_halide_pool("Halide, published, strict",
                             stencil(arrays->in.data(), arrays->out.data(), size, Plan::published, Arithmetic::strict), arrays),
            {rival("Halide, published", Plan::published, Arithmetic::relaxed),
             rival("Halide, tuned", Plan::tuned, Arithmetic::relaxed),
             rival("Halide, tuned, strict", Plan::tuned, Arithmetic::strict)}};
}

Case unsharp_case(Size2 size) {
    auto in = random_floats(std::size_t(3) * size.height * size.width, 0.05f, 1.0f, 11);
    auto expected = defined_unsharp(in, size);
    return float_stencil_case("unsharp", std::make_shared<FloatStencil>(std::move(in), std::move(expected)), size,
                              rivals::halide_unsharp);
}

Case harris_case(Size2 size) {
    auto in = random_floats(std::size_t(3) * (size.height + 4) * (size.width + 4), 0.0f, 1.0f, 12);
    auto expected = defined_harris(in, size);
    return float_stencil_case("harris", std::make_shared<FloatStencil>(std::move(in), std::move(expected)), size,
                              rivals::halide_harris);
}

Case matmul_case(MatmulSize size, const rivals::OpenBlas& blas) {
    struct Arrays {
        MatmulSize size;
        std::vector<float> a, b, out, rival_out;

        /// Some rows against the definition: ours bit for bit; the rival, whose order of summation is its own, within the error
        /// bound of any order, gamma_k * sum |a b| with entries below 1 (Higham 2002, section 3.1).
        std::string difference() const {
            const double tolerance = size.k * 0x1p-24 * size.k;
            for (int row = 0; row < size.m; row += std::max(1, size.m / 16)) {
                const auto expected = defined_matmul_row(a, b, size, row);
                const auto of = [&](const std::vector<float>& all) {
                    return std::vector<float>(all.begin() + std::ptrdiff_t(row) * size.n,
                                              all.begin() + std::ptrdiff_t(row + 1) * size.n);
                };
                const std::string found = either(named_difference("ours", float_difference(of(out), expected, 0)),
                                                 named_difference("rival", float_difference(of(rival_out), expected, tolerance)));
                if (!found.empty()) return fmt::format("row {}, {}", row, found);
            }
            return "";
        }
    };
    const auto arrays = std::make_shared<Arrays>();
    arrays->size = size;
    arrays->a = random_floats(std::size_t(size.m) * size.k, -1.0f, 1.0f, 13);
    arrays->b = random_floats(std::size_t(size.k) * size.n, -1.0f, 1.0f, 14);
    arrays->out.resize(std::size_t(size.m) * size.n);
    arrays->rival_out.resize(arrays->out.size());
    const float *a = arrays->a.data(), *b = arrays->b.data();
    Rival openblas{{"OpenBLAS", {}}, {}, blas.problem()};
    if (blas.available()) {
        openblas = {
            {"OpenBLAS", blas.matmul(a, b, arrays->rival_out.data(), size), [&blas](int threads) { blas.use_threads(threads); }},
            [arrays] { return arrays->difference(); }};
    }
    return {fmt::format("matmul {}x{}x{}", size.m, size.n, size.k),
            with_halide_pool("Halide, tuned", rivals::halide_matmul(a, b, arrays->out.data(), size), arrays),
            {openblas}};
}

}  // namespace

std::vector<Case> benchmark_cases(const CaseOptions& options, const rivals::OpenBlas& blas) {
    // Name, whether quick has it, how it is made: arrays and kernels exist only for the cases that are asked for.
    struct Listed {
        std::string name;
        bool quick;
        std::function<Case()> make;
    };
    const Size2 photo{.height = 1536, .width = 2560}, large{.height = 4800, .width = 6400};
    std::vector<Listed> table{
        {"blur", true, [&] { return blur_case(photo); }},
        {"blur large", false, [&] { return blur_case(large); }},
        {"unsharp", true, [&] { return unsharp_case(photo); }},
        {"harris", true, [&] { return harris_case(photo); }},
    };
    const auto matmul = [&](MatmulSize size, bool quick) {
        table.push_back({"matmul", quick, [size, &blas] { return matmul_case(size, blas); }});
    };
    matmul({.m = 1024, .n = 1024, .k = 1024}, true);
    matmul({.m = 1000, .n = 1000, .k = 1000}, false);
    matmul({.m = 2048, .n = 2048, .k = 512}, false);
    matmul({.m = 64, .n = 4096, .k = 1024}, false);
    matmul({.m = 512, .n = 512, .k = 8192}, false);

    std::vector<Case> cases;
    for (const Listed& row : table) {
        const auto asked = [&](const std::string& name) { return row.name.rfind(name, 0) == 0; };
        if (options.quick && !row.quick) continue;
        if (options.only.empty() || std::any_of(options.only.begin(), options.only.end(), asked)) cases.push_back(row.make());
    }
    return cases;
}

}  // namespace bench
