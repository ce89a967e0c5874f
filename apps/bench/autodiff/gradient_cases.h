// The functions of the autodiff table: definitions, their gradients, and arrays to run them on.
#pragma once

#include <tessera/algorithm.h>
#include <tessera/buffer.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bench {

/// The same written by hand in C.
struct Written {
    std::function<void()> gradient, value;
    std::vector<tessera::AnyBuffer> results;  // as those of GradientCase::both
};

/// One function: its value, and its value with the derivatives by some of its arguments. Both are of static extents, as they are
/// for the rival, which compiles for shapes.
struct GradientCase {
    std::string name;
    std::string jax;  // the function of jax_kernels.py
    tessera::Algorithm value, both;
    std::map<std::string, tessera::AnyBuffer> arrays;
    std::vector<std::string> arguments;  // of the rival, in its order; names of arrays
    std::vector<int> by;                 // by which of them is differentiated; the outputs of `both` are the value, then these
    std::string cotangent;               // the array that comes in at the value; "" when it is one number
    double tolerance = 0;                // of a result, relative to its largest magnitude
    tessera::Algorithm along;            // the value and its derivative along tangents, arrays called v_<argument>
    std::optional<tessera::Algorithm> second;  // the Hessian times the same vectors, where the value is one number
    Written written = {};                      // empty functions where there is none
};

struct ListedGradient {
    std::string name;
    std::function<GradientCase()> make;
    bool when_named = false;  // only where it is asked for by name
};
/// Every function; arrays exist only for those that are made.
[[nodiscard]] std::vector<ListedGradient> gradient_cases();

/// Of the classic suites, f64 (classic_gradients.cpp).
[[nodiscard]] GradientCase gmm(std::int64_t dims, std::int64_t gaussians, std::int64_t points);
[[nodiscard]] GradientCase lstm(std::int64_t layers, std::int64_t steps);

}  // namespace bench
