#pragma once
// log, log2, log1p and pow. Include math_definitions.h.
#include "expr/math_exponential.h"

namespace tessera::math {
namespace detail {

/// x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)).
template <class B>
struct SplitFloat {
    Real<B> e;
    Real<B> f;
};

/// e + bias of a positive normal x, as an integer.
template <class B>
Whole<B> biased_exponent(Whole<B> bits) {
    using W = Width<B::bits>;
    return (bits + (W::one - W::root_half)).shr(W::mantissa);
}

/// The float of a small integer >= 0, minus `less`: or-ed into the mantissa of 2^mantissa.
template <class B>
Real<B> small_to_float(Whole<B> n, double less) {
    using W = Width<B::bits>;
    return from_bits(n | W::round_bits) - (W::round + less);
}

template <class B>
SplitFloat<B> split(Real<B> x) {
    using W = Width<B::bits>;
    const Truth<B> subnormal = x < W::min_normal;
    const Whole<B> bits = to_bits(select(subnormal, x * W::lift, x)) + (W::one - W::root_half);
    const Real<B> e = small_to_float(bits.shr(W::mantissa), W::bias) - select(subnormal, W::lift_exponent, x.constant(0));
    return {e, from_bits((bits & W::mantissa_mask) + W::root_half) - 1.0};
}

/// e ln2 + log(1 + f).
template <class B>
Real<B> log_of_split(Real<B> e, Real<B> f) {
    using W = Width<B::bits>;
    using C = Coefficients<B::bits>;
    if constexpr (B::bits == 32) {
        const Real<B> z = f * f;
        const Real<B> low = fma(fma(polynomial(C::log, f), f, -0.5), z, e * W::ln2_lo);
        return fma(e, W::ln2_hi, f + low);
    } else {
        const Real<B> s = f / (f + 2.0);
        const Real<B> z = s * s;
        const Real<B> half_square = f * f * 0.5;
        const Real<B> low = fma(s, fma(z, polynomial(C::log, z), half_square), e * W::ln2_lo);
        return fma(e, W::ln2_hi, f - (half_square - low));
    }
}

/// `result` for x in (0, inf); -inf at 0, NaN below, x itself for +inf and NaN.
template <class B>
Real<B> with_log_limits(Real<B> x, Real<B> result) {
    const Real<B> beyond = select(x == 0.0, -infinity, select(x < 0.0, not_a_number, x));
    return select((0.0 < x) & (x < infinity), result, beyond);
}

template <class B>
Real<B> log(Real<B> x) {
    const auto [e, f] = split(x);
    return with_log_limits(x, log_of_split(e, f));
}

/// log2(1 + f) is formed in two words, so that only the last addition rounds.
template <class B>
Real<B> log2(Real<B> x) {
    using W = Width<B::bits>;
    using C = Coefficients<B::bits>;
    const auto [e, f] = split(x);
    Real<B> result = e;
    if constexpr (B::bits == 32) {
        const Real<B> low = fma(f * f, polynomial(C::log2, f), f * W::log2e_lo);
        result = fma(f, W::log2e, low) + e;
    } else {
        const Real<B> s = f / (f + 2.0);
        const Real<B> z = s * s;
        const Real<B> half = f * 0.5;
        const Real<B> hi = fma(half * -1.0, f, f);  // f - f^2/2, its rounding error goes to lo
        const Real<B> lo = fma(half * -1.0, f, f - hi) + s * fma(z, polynomial(C::log, z), half * f);
        const Real<B> product = hi * W::log2e;
        const Real<B> rest = fma(hi, W::log2e, product * -1.0) + fma(hi, W::log2e_lo, lo * W::log2e);
        const Real<B> sum = e + product;
        result = sum + ((e - sum) + product + rest);
    }
    return with_log_limits(x, result);
}

/// 1 + x is split without being rounded: f = x 2^-e + (2^-e - 1) with e taken from the rounded sum.
template <class B>
Real<B> log1p(Real<B> x) {
    using W = Width<B::bits>;
    const Whole<B> exponent = biased_exponent(to_bits(x + 1.0));  // e + bias, 1 + x is never subnormal
    const Real<B> four_over_power = power_of_two(exponent.constant(2 * W::bias + 2) - exponent);  // 2^(2-e), never subnormal
    const Real<B> x_scaled = from_bits(to_bits(x) - (exponent - exponent.constant(W::bias)).shl(W::mantissa));
    const Real<B> f = x_scaled + fma(four_over_power, 0.25, -1.0);
    const Real<B> result = log_of_split(small_to_float(exponent, W::bias), f);
    const Real<B> beyond = select(x == -1.0, -infinity, select(x < -1.0, not_a_number, x));
    return select((-1.0 < x) & (x < infinity) & (x != 0.0), result, beyond);
}

/// A sum of two floats, |lo| at most an ulp or so of hi.
template <class B>
struct TwoWords {
    Real<B> hi;
    Real<B> lo;
};

/// log(x) of x > 0 to about twice the working precision: the terms s and s^3 of log((1+s)/(1-s)) in two words, the rest in one.
template <class B>
TwoWords<B> log_two_words(Real<B> x) {
    using W = Width<B::bits>;
    const auto [e, f] = split(x);
    const Real<B> d = f + 2.0;
    const Real<B> d_lo = f - (d - 2.0);
    const Real<B> reciprocal = 1.0 / d;
    const Real<B> s = f * reciprocal;
    const Real<B> minus_s = s * -1.0;
    const Real<B> s_lo = fma(minus_s, d_lo, fma(minus_s, d, f)) * reciprocal;
    const Real<B> z = s * s;
    const Real<B> z_lo = fma(s, s, z * -1.0) + s * s_lo * 2.0;
    const Real<B> cube = s * z;
    const Real<B> cube_lo = fma(s, z, cube * -1.0) + fma(s, z_lo, s_lo * z);
    const Real<B> tail = z * polynomial(Coefficients<B::bits>::pow_log, z);
    const Real<B> c = tail + W::two_thirds;
    const Real<B> c_lo = (W::two_thirds - c) + tail + W::two_thirds_lo;
    const Real<B> term = cube * c;
    const Real<B> term_lo = fma(cube, c, term * -1.0) + fma(cube, c_lo, cube_lo * c);
    const Real<B> twice = s + s;
    const Real<B> hi = twice + term;
    const Real<B> lo = (twice - hi) + term + (s_lo + s_lo + term_lo);
    const Real<B> power = e * W::ln2_hi;  // exact
    const Real<B> sum = power + hi;
    return {sum, (power - sum) + hi + fma(e, W::ln2_lo, lo)};
}

/// e^(x.hi + x.lo) for any x.hi, infinite ones included.
template <class B>
Real<B> exp_two_words(TwoWords<B> x) {
    using W = Width<B::bits>;
    const Real<B> hi = clamp_below(clamp_above(x.hi, W::exp_max + 2), W::exp_min - 2);
    const auto [r, shifted] = reduce_exp(hi, 2 * W::bias);
    return scale(exp_near_zero(r + select(hi == x.hi, x.lo, 0.0)), shifted);
}

template <class B>
Real<B> pow(Real<B> x, Real<B> y_given) {
    using W = Width<B::bits>;
    const Real<B> a = abs(x);
    const Real<B> y = clamp_below(clamp_above(y_given, W::power_max), -W::power_max);
    const TwoWords<B> log_a = log_two_words(a);
    const Real<B> log_hi = select((0.0 < a) & (a < infinity), log_a.hi, select(a == 0.0, -infinity, a));
    const Real<B> hi = y * log_hi;
    const Real<B> lo = fma(y, log_hi, hi * -1.0) + y * log_a.lo;
    const Real<B> magnitude = exp_two_words(TwoWords<B>{hi, lo});
    const Truth<B> whole = floor(y) == y;
    const Real<B> half_y = y * 0.5;
    const Truth<B> odd = whole & (floor(half_y) != half_y);
    const Real<B> sign = from_bits(sign_bit(x));  // +0 or -0
    const Real<B> signed_magnitude = flip_sign(magnitude, to_bits(select(odd, sign, 0.0)));
    const Real<B> result = select((x < 0.0) & (-infinity < x) & !whole, not_a_number, signed_magnitude);
    return select((x == 1.0) | (y == 0.0), 1.0, result);
}

}  // namespace detail
}  // namespace tessera::math
