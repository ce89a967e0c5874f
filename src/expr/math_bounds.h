#pragma once
// The accuracy that the definitions of math_definitions.h promise; test/unit/expr measures it.
#include <string_view>

namespace tessera::math {

/// The largest error of a function, in ulps of the exact result (0.5 is correctly rounded). f16 and bf16 are computed in f32.
/// f32 of one argument was measured over every float by math_exhaustive against f64, the rest over 8 to 20 million random values.
struct MathBound {
    std::string_view name;
    double f32_ulp;
    double f64_ulp;
};

inline constexpr MathBound math_bounds[] = {
    {"exp", 1, 1},   {"exp2", 1, 1},        {"expm1", 2, 2}, {"sinh", 2, 2},      {"cosh", 2, 2},
    {"tanh", 2, 2},  {"sigmoid", 2.5, 2.5}, {"erf", 2, 2},   {"log", 1, 1},       {"log2", 1, 1},
    {"log1p", 2, 2}, {"sin", 2, 2},         {"cos", 2, 2},   {"tan", 1.25, 1.25}, {"asin", 2, 2},
    {"acos", 2, 2},  {"atan", 2, 2},        {"atan2", 2, 2}, {"pow", 1.25, 1.5},  {"rsqrt", 1.5, 1.5},
};

}  // namespace tessera::math
