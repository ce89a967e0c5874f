#pragma once
// Error in units of the last place against a reference of higher precision, and the table of functions under test.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>
#include <vector>

#include "expr/math_definitions.h"

namespace tessera::math_test {

template <class T>
struct Wider;
template <>
struct Wider<float> {
    using Type = double;
};
template <>
struct Wider<double> {
    using Type = long double;
};
template <class T>
using Reference = typename Wider<T>::Type;

/// |got - exact| in ulps of T at `exact`; 0 where both are NaN or the same infinity or zero, 1e9 where the kind or the sign of a
/// zero is wrong. A result past the largest finite number counts as 2^(max exponent).
template <class T>
double ulp_error(T got, Reference<T> exact) {
    using Limits = std::numeric_limits<T>;
    using R = Reference<T>;
    constexpr double wrong = 1e9;
    if (std::isnan(exact) || std::isnan(got)) return std::isnan(exact) && std::isnan(got) ? 0 : wrong;
    static const R top = std::ldexp(R(1), Limits::max_exponent);
    if (std::isinf(exact) || std::fabs(exact) >= top)
        return std::isinf(got) && std::signbit(got) == std::signbit(exact) ? 0 : wrong;
    if (exact == 0) return got == 0 ? (std::signbit(got) == std::signbit(exact) ? 0 : wrong) : wrong;
    const R value = std::isinf(got) ? std::copysign(top, R(got)) : R(got);
    if constexpr (std::is_same_v<R, double>) {  // the general case below, without calls
        const auto exponent =
            std::max<std::int64_t>((std::bit_cast<std::int64_t>(exact) >> 52 & 0x7ff) - 1022, Limits::min_exponent);
        return std::fabs(value - exact) * std::bit_cast<double>((1023 + Limits::digits - exponent) << 52);
    }
    int exponent = 0;
    std::frexp(exact, &exponent);  // |exact| in [2^(exponent-1), 2^exponent)
    exponent = std::max(exponent, Limits::min_exponent);
    return static_cast<double>(std::fabs(std::ldexp(value - exact, Limits::digits - exponent)));
}

template <class T>
struct Unary {
    const char* name;
    T (*function)(T);
    Reference<T> (*reference)(Reference<T>);
    T range;  // the bound holds for |x| <= range; NaN beyond
};

template <class T>
struct Binary {
    const char* name;
    T (*function)(T, T);
    Reference<T> (*reference)(Reference<T>, Reference<T>);
};

template <class R>
R sigmoid_reference(R x) {
    return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}

template <class R>
R rsqrt_reference(R x) {
    return 1 / std::sqrt(x);
}

template <class T>
std::vector<Unary<T>> unary_functions() {
    using R = Reference<T>;
    using S = math::ScalarBuilder<T>;
    constexpr T all = std::numeric_limits<T>::infinity();
    constexpr T angle = static_cast<T>(math::detail::Angle<S::bits>::range);
#define TESSERA_ROW(name, reference, range)                                                    \
    Unary<T> {                                                                                 \
#name, [](T x) { S b; return math::name(b, x); }, [](R x) -> R { return reference(x); }, range \
    }
    return {TESSERA_ROW(exp, std::exp, all),
            TESSERA_ROW(exp2, std::exp2, all),
            TESSERA_ROW(expm1, std::expm1, all),
            TESSERA_ROW(sinh, std::sinh, all),
            TESSERA_ROW(cosh, std::cosh, all),
            TESSERA_ROW(tanh, std::tanh, all),
            TESSERA_ROW(sigmoid, sigmoid_reference, all),
            TESSERA_ROW(erf, std::erf, all),
            TESSERA_ROW(log, std::log, all),
            TESSERA_ROW(log2, std::log2, all),
            TESSERA_ROW(log1p, std::log1p, all),
            TESSERA_ROW(sin, std::sin, angle),
            TESSERA_ROW(cos, std::cos, angle),
            TESSERA_ROW(tan, std::tan, angle),
            TESSERA_ROW(asin, std::asin, all),
            TESSERA_ROW(acos, std::acos, all),
            TESSERA_ROW(atan, std::atan, all),
            TESSERA_ROW(rsqrt, rsqrt_reference, all)};
#undef TESSERA_ROW
}

template <class T>
std::vector<Binary<T>> binary_functions() {
    using R = Reference<T>;
    using S = math::ScalarBuilder<T>;
    return {{"pow",
             [](T x, T y) {
                 S b;
                 return math::pow(b, x, y);
             },
             [](R x, R y) -> R { return std::pow(x, y); }},
            {"atan2",
             [](T y, T x) {
                 S b;
                 return math::atan2(b, y, x);
             },
             [](R y, R x) -> R { return std::atan2(y, x); }}};
}

}  // namespace tessera::math_test
