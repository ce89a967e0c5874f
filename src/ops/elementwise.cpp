#include "algorithm/graph.h"
#include "ops/broadcast.h"

#include <fmt/format.h>

#include <numbers>

namespace tessera::ops {

Func named(std::string name, const Tensor& x) { return define(name, x.dims(), x.value(), x.where()); }

Tensor map(const std::vector<Tensor>& operands, const std::function<Expr(const std::vector<Expr>&)>& f) {
    std::vector<Shape> shapes(operands.begin(), operands.end());
    DistinctDims result("broadcast");
    result.add_all(broadcast(shapes));
    std::vector<Expr> values;
    for (const Tensor& t : operands) values.push_back(t.at(aligned(t.dims(), result.dims())));
    return {result.dims(), Operand(f(values), operands.empty() ? SourceLoc{} : operands[0].where())};
}
Tensor map(const Tensor& x, const std::function<Expr(const Expr&)>& f) { return {x.dims(), Operand(f(x.value()), x.where())}; }

namespace {
template <class F>
Tensor map_pair(const Tensor& a, const Tensor& b, F f) {
    return map({a, b}, [&](const std::vector<Expr>& v) { return f(Operand(v[0], a.where()), Operand(v[1], b.where())); });
}
// Floats only; halves in f32.
template <class F>
Tensor map_float(std::string_view what, const Tensor& x, F f) {
    require_float(what, x);
    return map(x, [&](const Expr& v) { return tessera::cast(x.dtype(), f(tessera::cast(wide(x.dtype()), v))); });
}
// Both exponentials are of numbers <= 0, so neither overflows.
Expr logistic(const Expr& v) {
    const Expr small = tessera::exp(-tessera::abs(v));
    return tessera::select(v < 0, small, 1) / (1 + small);
}
}  // namespace

Tensor add(const Tensor& a, const Tensor& b) { return a + b; }
Tensor subtract(const Tensor& a, const Tensor& b) { return a - b; }
Tensor multiply(const Tensor& a, const Tensor& b) { return a * b; }
Tensor divide(const Tensor& a, const Tensor& b) { return a / b; }
Tensor maximum(const Tensor& a, const Tensor& b) {
    return map_pair(a, b, [](const Operand& x, const Operand& y) { return tessera::max(x, y); });
}
Tensor minimum(const Tensor& a, const Tensor& b) {
    return map_pair(a, b, [](const Operand& x, const Operand& y) { return tessera::min(x, y); });
}
Tensor power(const Tensor& a, const Tensor& b) {
    return map_pair(a, b, [](const Operand& x, const Operand& y) { return tessera::pow(x, y); });
}
Tensor equal(const Tensor& a, const Tensor& b) {
    return map_pair(a, b, [](const Operand& x, const Operand& y) { return x == y; });
}
Tensor not_equal(const Tensor& a, const Tensor& b) {
    return map_pair(a, b, [](const Operand& x, const Operand& y) { return x != y; });
}
Tensor select(const Tensor& condition, const Tensor& a, const Tensor& b) {
    return map({condition, a, b}, [&](const std::vector<Expr>& v) {
        return tessera::select(Operand(v[0], condition.where()), Operand(v[1], a.where()), Operand(v[2], b.where()));
    });
}
Tensor cast(DType dtype, const Tensor& x) {
    return map(x, [&](const Expr& v) { return tessera::cast(dtype, v); });
}
Tensor transpose(const Tensor& x, const Dims& order) {
    const Dims all = unpacked(x, order);
    const std::vector<Dim> missing = rest(x.dims(), all);
    if (!missing.empty())
        throw Error(E0103_unknown_dim, x.where(),
                    fmt::format("the order of a transpose of {} leaves out dim {}", x.name(), missing[0].name()),
                    {fix(fmt::format("name {} too", missing[0].name())), fix("let Dim(\"...\") stand for the rest")});
    return {all, Operand(x.value(), x.where())};
}

Tensor exp(const Tensor& x) {
    return map_float("exp", x, [](const Expr& v) { return tessera::exp(v); });
}
Tensor log(const Tensor& x) {
    return map_float("log", x, [](const Expr& v) { return tessera::log(v); });
}
Tensor sqrt(const Tensor& x) {
    return map_float("sqrt", x, [](const Expr& v) { return tessera::sqrt(v); });
}
Tensor tanh(const Tensor& x) {
    return map_float("tanh", x, [](const Expr& v) { return tessera::tanh(v); });
}
Tensor sigmoid(const Tensor& x) { return map_float("sigmoid", x, logistic); }
Tensor silu(const Tensor& x) {
    return map_float("silu", x, [](const Expr& v) { return v * logistic(v); });
}
Tensor softplus(const Tensor& x) {
    return map_float("softplus", x,
                     [](const Expr& v) { return tessera::max(v, 0) + tessera::log1p(tessera::exp(-tessera::abs(v))); });
}
Tensor relu(const Tensor& x) {
    return map(x, [](const Expr& v) { return tessera::max(v, 0); });
}
Tensor relu6(const Tensor& x) {
    return map(x, [](const Expr& v) { return tessera::clamp(v, 0, 6); });
}
Tensor leaky_relu(const Tensor& x, double slope) {
    return map_float("leaky_relu", x, [&](const Expr& v) { return tessera::select(v < 0, v * slope, v); });
}
Tensor elu(const Tensor& x, double alpha) {
    return map_float("elu", x, [&](const Expr& v) { return tessera::select(v < 0, tessera::expm1(v) * alpha, v); });
}
Tensor gelu(const Tensor& x, Gelu form) {
    return map_float("gelu", x, [&](const Expr& v) {
        if (form == Gelu::erf) return 0.5 * v * (1 + tessera::erf(v * (1 / std::numbers::sqrt2)));
        const double scale = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;  // sqrt(2 / pi)
        return 0.5 * v * (1 + tessera::tanh(scale * (v + 0.044715 * v * v * v)));
    });
}

}  // namespace tessera::ops
