#pragma once
// The definitions of the transcendental functions, as templates over a builder (math_builder.h): the interpreter, the CPU and the
// CUDA backend all evaluate these same operations, so they give the same bits. Branch-free, no tables, IEEE operations and fma
// only. NaN in gives NaN out except where C99 Annex F says otherwise (pow). Bounds as a table: math_bounds.h.
#include "expr/math_exponential.h"
#include "expr/math_logarithm.h"
#include "expr/math_trigonometric.h"

namespace tessera::math {

/// e^x. Error <= 1 ulp. Infinite where the result overflows; gradual underflow, 0 below ln(smallest subnormal / 2).
template <class B>
[[nodiscard]] typename B::Float exp(B& b, typename B::Float x) {
    return detail::exp(Real<B>{&b, x}).value;
}

/// 2^x. Error <= 1 ulp; exact for whole x. Overflow and underflow as exp.
template <class B>
[[nodiscard]] typename B::Float exp2(B& b, typename B::Float x) {
    return detail::exp2(Real<B>{&b, x}).value;
}

/// e^x - 1 without cancellation near 0. Error <= 2 ulp. Keeps the sign of zero; -1 for large negative x.
template <class B>
[[nodiscard]] typename B::Float expm1(B& b, typename B::Float x) {
    return detail::expm1(Real<B>{&b, x}).value;
}

/// (e^x - e^-x) / 2. Error <= 2 ulp. Keeps the sign of zero.
template <class B>
[[nodiscard]] typename B::Float sinh(B& b, typename B::Float x) {
    return detail::sinh(Real<B>{&b, x}).value;
}

/// (e^x + e^-x) / 2. Error <= 2 ulp.
template <class B>
[[nodiscard]] typename B::Float cosh(B& b, typename B::Float x) {
    return detail::cosh(Real<B>{&b, x}).value;
}

/// Error <= 2 ulp. Keeps the sign of zero; +-1 at +-inf.
template <class B>
[[nodiscard]] typename B::Float tanh(B& b, typename B::Float x) {
    return detail::tanh(Real<B>{&b, x}).value;
}

/// 1 / (1 + e^-x), gradual underflow for large negative x. Error <= 2.5 ulp.
template <class B>
[[nodiscard]] typename B::Float sigmoid(B& b, typename B::Float x) {
    return detail::sigmoid(Real<B>{&b, x}).value;
}

/// 2/sqrt(pi) times the integral of e^-t^2 from 0 to x. Error <= 2 ulp. Keeps the sign of zero; +-1 at +-inf.
template <class B>
[[nodiscard]] typename B::Float erf(B& b, typename B::Float x) {
    return detail::erf(Real<B>{&b, x}).value;
}

/// ln x. Error <= 1 ulp. -inf at +-0, NaN for x < 0, inf at inf; the bound holds for subnormal x.
template <class B>
[[nodiscard]] typename B::Float log(B& b, typename B::Float x) {
    return detail::log(Real<B>{&b, x}).value;
}

/// Base 2 logarithm. Error <= 1 ulp; exact at powers of 2. Limits as log.
template <class B>
[[nodiscard]] typename B::Float log2(B& b, typename B::Float x) {
    return detail::log2(Real<B>{&b, x}).value;
}

/// ln(1 + x) without cancellation near 0. Error <= 2 ulp. Keeps the sign of zero; -inf at -1, NaN below.
template <class B>
[[nodiscard]] typename B::Float log1p(B& b, typename B::Float x) {
    return detail::log1p(Real<B>{&b, x}).value;
}

/// Error <= 2 ulp for |x| <= 2^20 (f32) or 2^45 (f64); beyond, and at +-inf, NaN: the reduction has no more digits of pi. Keeps
/// the sign of zero.
template <class B>
[[nodiscard]] typename B::Float sin(B& b, typename B::Float x) {
    return detail::sin(Real<B>{&b, x}).value;
}

/// Error <= 2 ulp; range as sin.
template <class B>
[[nodiscard]] typename B::Float cos(B& b, typename B::Float x) {
    return detail::cos(Real<B>{&b, x}).value;
}

/// Error <= 1.25 ulp; range as sin. Keeps the sign of zero.
template <class B>
[[nodiscard]] typename B::Float tan(B& b, typename B::Float x) {
    return detail::tan(Real<B>{&b, x}).value;
}

/// Error <= 2 ulp. NaN for |x| > 1. Keeps the sign of zero.
template <class B>
[[nodiscard]] typename B::Float asin(B& b, typename B::Float x) {
    return detail::asin(Real<B>{&b, x}).value;
}

/// Error <= 2 ulp. NaN for |x| > 1. acos(1) = +0.
template <class B>
[[nodiscard]] typename B::Float acos(B& b, typename B::Float x) {
    return detail::acos(Real<B>{&b, x}).value;
}

/// Error <= 2 ulp. +-pi/2 at +-inf. Keeps the sign of zero.
template <class B>
[[nodiscard]] typename B::Float atan(B& b, typename B::Float x) {
    return detail::atan(Real<B>{&b, x}).value;
}

/// The angle of (x, y) in [-pi, pi], signs of zeros and infinities as C99 Annex F. Error <= 2 ulp.
template <class B>
[[nodiscard]] typename B::Float atan2(B& b, typename B::Float y, typename B::Float x) {
    return detail::atan2(Real<B>{&b, y}, Real<B>{&b, x}).value;
}

/// x^y with every special case of C99 Annex F: x^0 = 1 and 1^y = 1 also for a NaN, NaN for x < 0 and y not whole.
/// Error <= 1.25 ulp (f32), 1.5 ulp (f64).
template <class B>
[[nodiscard]] typename B::Float pow(B& b, typename B::Float x, typename B::Float y) {
    return detail::pow(Real<B>{&b, x}, Real<B>{&b, y}).value;
}

/// 1 / sqrt(x), both rounded. Error <= 1.5 ulp. inf at +0, NaN for x < 0.
template <class B>
[[nodiscard]] typename B::Float rsqrt(B& b, typename B::Float x) {
    return (1.0 / sqrt(Real<B>{&b, x})).value;
}

}  // namespace tessera::math
