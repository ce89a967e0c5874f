#pragma once
// exp, exp2, expm1, sinh, cosh, tanh, sigmoid and erf. Include math_definitions.h.
#include "expr/math_width.h"

namespace tessera::math {
namespace detail {

/// x = n ln2 + r, |r| <= ln2/2; the low bits of `shifted` hold the integer n + offset.
template <class B>
struct ReducedExp {
    Real<B> r;
    Whole<B> shifted;
};

/// n is rounded by adding 1.5 * 2^mantissa (`offset` rides along); Cody-Waite in two parts, the first step exact.
template <class B>
ReducedExp<B> reduce_exp(Real<B> x, std::int64_t offset) {
    using W = Width<B::bits>;
    const double shift = 1.5 * W::round + static_cast<double>(offset);
    const Real<B> shifted = fma(x, W::log2e, shift);
    const Real<B> n = shifted - shift;
    return {fma(n, -W::ln2_lo, fma(n, -W::ln2_hi, x)), to_bits(shifted)};
}

/// e^r, |r| <= ln2/2.
template <class B>
Real<B> exp_near_zero(Real<B> r) {
    return fma(fma(polynomial(Coefficients<B::bits>::exp, r), r, 1.0), r, 1.0);
}

/// e^r - 1, |r| <= ln2/2.
template <class B>
Real<B> expm1_near_zero(Real<B> r) {
    return fma(r * r, polynomial(Coefficients<B::bits>::exp, r), r);
}

/// p 2^(n + offset - 2 bias): two factors, so that overflow is infinite and gradual underflow is rounded once.
template <class B>
Real<B> scale(Real<B> p, Whole<B> shifted) {
    const Whole<B> half = shifted.shr(1);
    return p * power_of_two(half) * power_of_two(shifted - half);
}

/// e^x / 2 for x >= 0, finite as long as it fits.
template <class B>
Real<B> half_exp(Real<B> x) {
    using W = Width<B::bits>;
    const auto [r, shifted] = reduce_exp(clamp_above(x, W::half_exp_max), 2 * W::bias - 1);
    return scale(exp_near_zero(r), shifted);
}

/// e^x for |x| < 60: no overflow, no underflow.
template <class B>
Real<B> exp_moderate(Real<B> x) {
    const auto [r, shifted] = reduce_exp(x, Width<B::bits>::bias);
    return exp_near_zero(r) * power_of_two(shifted);
}

template <class B>
Real<B> exp(Real<B> x) {
    using W = Width<B::bits>;
    const auto [r, shifted] = reduce_exp(clamp_below(clamp_above(x, W::exp_max), W::exp_min), 2 * W::bias);
    return scale(exp_near_zero(r), shifted);
}

template <class B>
Real<B> exp2(Real<B> x) {
    using W = Width<B::bits>;
    constexpr double shift = 1.5 * W::round + 2 * W::bias;
    const Real<B> clamped = clamp_below(clamp_above(x, W::exp2_max), W::exp2_min);
    const Real<B> shifted = clamped + shift;
    const Real<B> r = clamped - (shifted - shift);
    return scale(fma(polynomial(Coefficients<B::bits>::exp2, r), r, 1.0), to_bits(shifted));
}

template <class B>
Real<B> expm1(Real<B> x) {
    using W = Width<B::bits>;
    const auto [r, shifted] = reduce_exp(clamp_below(clamp_above(x, W::exp_max), W::expm1_min), W::bias - 1);
    const Real<B> half_power = power_of_two(shifted);  // half of 2^n is finite up to the largest n
    const Real<B> result = fma(half_power, expm1_near_zero(r), half_power - 0.5) * 2.0;
    return select(abs(x) < W::expm1_tiny, x, result);
}

template <class B>
Real<B> sinh(Real<B> x) {
    const Real<B> a = abs(x);
    const Real<B> z = a * a;
    const Real<B> small = fma(a * z, polynomial(Coefficients<B::bits>::sinh, z), a);
    const Real<B> half = half_exp(a);
    return flip_sign(select(a < 1.0, small, half - 0.25 / half), sign_bit(x));
}

template <class B>
Real<B> cosh(Real<B> x) {
    const Real<B> half = half_exp(abs(x));
    return half + 0.25 / half;
}

/// Below 5/8 an odd polynomial; above, 1 - 2 / (e^2a + 1).
template <class B>
Real<B> tanh(Real<B> x) {
    const Real<B> a = clamp_above(abs(x), Width<B::bits>::tanh_max);
    const Real<B> z = a * a;
    const Real<B> small = fma(a * z, polynomial(Coefficients<B::bits>::tanh, z), a);
    const Real<B> large = 1.0 - 2.0 / (exp_moderate(a + a) + 1.0);
    return flip_sign(select(a < 0.625, small, large), sign_bit(x));
}

template <class B>
Real<B> sigmoid(Real<B> x) {
    const Real<B> e = exp(from_bits(to_bits(x) | Width<B::bits>::sign));
    return select(x < 0.0, e, 1.0) / (e + 1.0);
}

/// Below 1 an odd polynomial; above, 1 - erfc with a polynomial for log(erfc).
template <class B>
Real<B> erf(Real<B> x) {
    using W = Width<B::bits>;
    using C = Coefficients<B::bits>;
    const Real<B> a = abs(x);
    const Real<B> small = fma(a, polynomial(C::erf_small, a * a), a);
    const Real<B> u = clamp_above(a, W::erf_max) - W::erf_center;
    const Real<B> large = 1.0 - exp_moderate(polynomial(C::erf_large, u));
    return flip_sign(select(a < 1.0, small, large), sign_bit(x));
}

}  // namespace detail
}  // namespace tessera::math
