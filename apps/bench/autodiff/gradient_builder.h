// Puts a case together: arrays filled with random numbers, gradients, the algorithms.
#pragma once

#include <tessera/autodiff.h>

#include "gradient_cases.h"

namespace bench {

class GradientBuilder {
public:
    GradientBuilder(std::string name, std::string jax, double tolerance);

    /// An argument of normally distributed numbers times `scale`; `varied`: differentiated by it.
    tessera::Input tensor(const std::string& name, const std::vector<tessera::Dim>& dims, bool varied = true, double scale = 1,
                          tessera::DType dtype = tessera::f32);
    /// An argument of indices in [0, below).
    tessera::Input indices(const std::string& name, const std::vector<tessera::Dim>& dims, std::int64_t below);

    /// The case of `y`; where it is a tensor a cotangent of its dims comes in.
    [[nodiscard]] GradientCase finish(const tessera::Func& y) &&;

private:
    double normal();

    std::string name_, jax_;
    double tolerance_;
    std::map<std::string, tessera::AnyBuffer> arrays_;
    std::vector<tessera::Input> inputs_;
    std::vector<std::string> arguments_;
    std::vector<int> by_;
    std::uint64_t state_ = 0x9E3779B97F4A7C15u;
};

}  // namespace bench
