#include "algorithm/graph.h"
#include "unit/autodiff/derivative_cases.h"

#include <cmath>

// Gradients of narrow dtypes against those of f64 at the same values: the error grows with the length of the sums as sums in f32
// do, and results are rounded once.
namespace tessera::autodiff_test {
namespace {

double unit_of(DType t) { return t == bf16 ? 0x1p-8 : t == f16 ? 0x1p-11 : t == f32 ? 0x1p-24 : 0x1p-53; }

// Of a sum of `length` terms of altogether `size`, added up in f32 in blocks of 128 and rounded to `dtype`; `roundings` of
// intermediate values.
double near(DType dtype, std::int64_t length, double size, double roundings) {
    const double added = static_cast<double>(std::min<std::int64_t>(length, 128) + length / 128 + 8) * unit_of(f32);
    return (added + roundings * unit_of(dtype)) * size + 1e-30;
}

struct Layers {
    Dim n, k{"k", 3};
    Input x, w, g;
    Func linear{"linear"}, spread{"spread"}, loss{"loss"};

    Layers(DType t, std::int64_t length) : n("n", length), x("x", t, {n, k}), w("w", t, {k}), g("g", t, {n, k}) {
        linear(n, k) = x(n, k) * w(k) * g(n, k);
        loss() = sum({n, k}, cast(f64, linear(n, k)));
    }
};

// The same numbers in f64: those that the narrow dtype has.
std::vector<double> values_of(DType t, std::int64_t count, unsigned seed) {
    std::vector<double> out;
    std::uint32_t state = seed;
    for (std::int64_t e = 0; e < count; ++e) {
        const float v = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-23f - 0.9f;
        out.push_back(t == bf16  ? static_cast<double>(static_cast<float>(bfloat16(v)))
                      : t == f16 ? static_cast<double>(static_cast<float>(float16(v)))
                                 : static_cast<double>(v));
    }
    return out;
}

AnyBuffer buffer_of(DType t, const std::vector<std::int64_t>& extents, const std::vector<double>& values) {
    const auto filled = [&](auto zero) {
        const Buffer<decltype(zero)> out(extents);
        for (std::int64_t e = 0; e < out.size(); ++e)
            out.data()[e] = static_cast<decltype(zero)>(static_cast<float>(values[static_cast<size_t>(e)]));
        return out.any();
    };
    if (t == bf16) return filled(bfloat16{});
    if (t == f16) return filled(float16{});
    if (t == f32) return filled(float{});
    return filled(double{});
}

std::vector<double> gradient(DType t, std::int64_t length, const std::map<std::string, std::vector<double>>& values) {
    const Layers l(t, length);
    const Func by_w = grad(l.loss, {l.w})[0];
    Func wide("wide");
    wide(l.k) = cast(f64, by_w(l.k));
    const Algorithm algorithm({wide}, arguments_of({wide}));
    interpreter::Inputs inputs;
    for (const Argument& a : algorithm.arguments()) {
        std::vector<std::int64_t> extents;
        for (const Dim& d : a.state()->dims) extents.push_back(*d.extent().constant());
        inputs[a.state()->name] = buffer_of(t, extents, values.at(a.state()->name));
    }
    const Buffer<double> out({3});
    interpreter::evaluate(algorithm, inputs, {{"wide", out.any()}});
    return {out(0), out(1), out(2)};
}

TEST(NarrowDerivatives, ErrorsGrowAsSumsInSinglePrecisionDo) {
    for (const DType t : {f32, bf16, f16})
        for (const std::int64_t length : {1, 16, 257, 6000}) {
            SCOPED_TRACE(std::string(dtype_name(t)) + " of length " + std::to_string(length));
            std::map<std::string, std::vector<double>> values;
            values["x"] = values_of(t, length * 3, 1);
            values["g"] = values_of(t, length * 3, 2);
            values["w"] = values_of(t, 3, 3);
            const std::vector<double> narrow = gradient(t, length, values), wide = gradient(f64, length, values);
            for (size_t k = 0; k < 3; ++k) {
                double size = 0;
                for (size_t e = k; e < values["x"].size(); e += 3) size += std::abs(values["x"][e] * values["g"][e]);
                // One rounding of the result is relative to it, those of products to their size.
                const double most = near(t, length, size, 0) + 2 * unit_of(t) * std::abs(wide[k]) + 2 * unit_of(f32) * size;
                EXPECT_LE(std::abs(narrow[k] - wide[k]), most) << "element " << k;
            }
        }
}

// A wider float holds every value: there is nothing to clamp, and its largest value is no number of the narrower one.
TEST(NarrowDerivatives, SaturateCastsLetThroughWhatTheyDoNotClamp) {
    struct Row {
        DType from, to;
        float value, derivative;
    };
    const Row rows[] = {{f8e4m3, f16, 448, 1},   {f8e4m3, bf16, -2, 1},  {f8e4m3, f8e5m2, 3, 1},   {f8e5m2, f16, 57344, 1},
                        {f16, bf16, 65504, 1},   {f8e5m2, f8e4m3, 7, 1}, {f8e5m2, f8e4m3, 512, 0}, {f16, f8e4m3, -500, 0},
                        {f32, f8e5m2, 57344, 1}, {f32, bf16, 3.4e38f, 0}};
    for (const Row& r : rows) {
        const Input x("x", r.from, {});
        Func y("y"), wide("wide");
        y() = cast(f64, saturate_cast(r.to, x()));
        wide() = cast(f64, grad(y, {x})[0]());
        const Algorithm algorithm({wide}, arguments_of({wide}));  // without x where the derivative is a constant
        const auto evaluated_at = [&](auto zero) {
            const Buffer<decltype(zero)> in(std::vector<std::int64_t>{});
            in.data()[0] = decltype(zero)(r.value);
            const Buffer<double> out(std::vector<std::int64_t>{});
            interpreter::Inputs inputs;
            if (!algorithm.arguments().empty()) inputs["x"] = in.any();
            interpreter::evaluate(algorithm, inputs, {{"wide", out.any()}});
            return out.data()[0];
        };
        const double found = r.from == f8e4m3   ? evaluated_at(float8_e4m3{})
                             : r.from == f8e5m2 ? evaluated_at(float8_e5m2{})
                             : r.from == f16    ? evaluated_at(float16{})
                                                : evaluated_at(float{});
        EXPECT_EQ(found, r.derivative) << dtype_name(r.from) << " to " << dtype_name(r.to) << " at " << r.value;
    }
}

}  // namespace
}  // namespace tessera::autodiff_test
