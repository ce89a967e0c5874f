#include "gradient_builder.h"

#include <cmath>

namespace bench {
namespace {

using namespace tessera;

std::vector<std::int64_t> extents_of(const std::vector<Dim>& dims) {
    std::vector<std::int64_t> extents;
    for (const Dim& d : dims) extents.push_back(d.extent().constant().value());
    return extents;
}

// splitmix64 (Steele, Lea, Flood 2014).
std::uint64_t next(std::uint64_t& state) {
    std::uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

}  // namespace

GradientBuilder::GradientBuilder(std::string name, std::string jax, double tolerance)
    : name_(std::move(name)), jax_(std::move(jax)), tolerance_(tolerance) {}

double GradientBuilder::normal() {
    const double u = (double(next(state_) >> 11) + 1) * 0x1p-53, v = double(next(state_) >> 11) * 0x1p-53;
    return std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
}

Input GradientBuilder::tensor(const std::string& name, const std::vector<Dim>& dims, bool varied, double scale, DType dtype) {
    if (dtype == f64) {
        Buffer<double> values(extents_of(dims));
        values.for_each([&](double& v) { v = scale * normal(); });
        arrays_[name] = values;
    } else {
        Buffer<float> values(extents_of(dims));
        values.for_each([&](float& v) { v = static_cast<float>(scale * normal()); });
        arrays_[name] = values;
    }
    if (varied) by_.push_back(static_cast<int>(arguments_.size()));
    arguments_.push_back(name);
    return inputs_.emplace_back(name, dtype, dims);
}

Input GradientBuilder::indices(const std::string& name, const std::vector<Dim>& dims, std::int64_t below) {
    Buffer<std::int32_t> values(extents_of(dims));
    values.for_each([&](std::int32_t& v) { v = static_cast<std::int32_t>(next(state_) % static_cast<std::uint64_t>(below)); });
    arrays_[name] = values;
    arguments_.push_back(name);
    Input input(name, i32, dims);
    input.values_in(0, below);
    return inputs_.emplace_back(input);
}

GradientCase GradientBuilder::finish(const Func& y) && {
    std::vector<Wrt> wrt;
    for (const int i : by_) wrt.emplace_back(inputs_[static_cast<std::size_t>(i)]);
    std::vector<Func> outputs;
    std::string cotangent;
    if (y.rank() == 0) {
        const ValueAndGrad g = value_and_grad(y, wrt);
        outputs = {g.value};
        outputs.insert(outputs.end(), g.gradients.begin(), g.gradients.end());
    } else {
        cotangent = "given";
        const Input given = tensor(cotangent, y.dims(), false, 1, y.dtype());
        arguments_.pop_back();
        const ValuesAndGrads g = value_and_vjp({{y, given}}, wrt);
        outputs = g.values;
        outputs.insert(outputs.end(), g.gradients.begin(), g.gradients.end());
    }
    const std::vector<std::string> arguments = arguments_;
    std::vector<Tangent> tangents;
    for (const int i : by_) {
        const Input of = inputs_[static_cast<std::size_t>(i)];
        tangents.emplace_back(of, tensor("v_" + of.name(), of.dims(), false, 1, of.dtype()));
    }
    const ValueAndTangent moved = value_and_jvp(y, tangents);
    const std::vector<Func> along{moved.value, moved.tangent};
    std::optional<Algorithm> second;
    if (y.rank() == 0) {
        const std::vector<Func> products = hvp(y, tangents);
        second = Algorithm(products, arguments_of(products));
    }
    return {name_,
            jax_,
            Algorithm({y}, arguments_of({y})),
            Algorithm(outputs, arguments_of(outputs)),
            arrays_,
            arguments,
            by_,
            cotangent,
            tolerance_,
            Algorithm(along, arguments_of(along)),
            second,
            {}};
}

}  // namespace bench
