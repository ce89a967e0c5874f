#pragma once
// sin, cos, tan and their inverses. Include math_definitions.h.
#include "expr/math_width.h"

namespace tessera::math {
namespace detail {

template <int bits>
struct Angle;

/// `part` cuts pi/2 into full-width words, each truncated.
template <>
struct Angle<32> {
    static constexpr double part[] = {0x1.921fb4p+0, 0x1.4442dp-24, 0x1.84698ap-48};
    static constexpr double two_over_pi = 0x1.45f306p-1;
    static constexpr double range = 0x1p20;
    static constexpr double half_pi = 0x1.921fb6p+0, half_pi_lo = -0x1.777a5cp-25;
};

template <>
struct Angle<64> {
    static constexpr double part[] = {0x1.921fb54442d18p+0, 0x1.1a62633145c06p-54, 0x1.c1cd129024e09p-107};
    static constexpr double two_over_pi = 0x1.45f306dc9c883p-1;
    static constexpr double range = 0x1p45;
    static constexpr double half_pi = 0x1.921fb54442d18p+0, half_pi_lo = 0x1.1a62633145c07p-54;
};

/// x = n pi/2 + r + about r_lo with |r| a little over pi/4 at most; the low two bits of `quadrant` are n mod 4.
template <class B>
struct ReducedAngle {
    Real<B> r;
    Real<B> r_lo;
    Whole<B> quadrant;
    Real<B> n;
};

/// Cody-Waite by fma: the first step is exact within the range, and so is the second where it cancels.
template <class B>
ReducedAngle<B> reduce_angle(Real<B> x) {
    using A = Angle<B::bits>;
    constexpr double shift = 1.5 * Width<B::bits>::round;
    const Real<B> shifted = fma(x, A::two_over_pi, shift);
    const Real<B> n = shifted - shift;
    return {fma(n, -A::part[1], fma(n, -A::part[0], x)), n * -A::part[2], to_bits(shifted), n};
}

/// The part of the reduced angle that is lost in `angle.r`: the same three steps in two words (exact product, Knuth's sum).
template <class B>
Real<B> angle_remainder(Real<B> x, const ReducedAngle<B>& angle) {
    using A = Angle<B::bits>;
    const Real<B> n = angle.n;
    const Real<B> first = fma(n, -A::part[0], x);
    const Real<B> product = n * -A::part[1];
    const Real<B> product_lo = fma(n, -A::part[1], product * -1.0);
    const Real<B> sum = first + product;
    const Real<B> back = sum - first;
    const Real<B> sum_lo = (first - (sum - back)) + (product - back);
    return (sum - angle.r) + fma(n, -A::part[2], sum_lo + product_lo);
}

/// sin(r + r_lo).
template <class B>
Real<B> sin_near_zero(Real<B> r, Real<B> r_lo, Real<B> z) {
    return r + fma(z * r, polynomial(Coefficients<B::bits>::sin, z), r_lo);
}

/// cos(r); r_lo is too small to matter, for r is at most an ulp or so away from the angle and its cosine at least 0.6.
template <class B>
Real<B> cos_near_zero(Real<B> z) {
    return fma(fma(polynomial(Coefficients<B::bits>::cos, z), z, -0.5), z, 1.0);
}

/// sin(a + turns pi/2), NaN outside the range.
template <class B>
Real<B> sine(Real<B> a, std::int64_t turns) {
    const ReducedAngle<B> angle = reduce_angle(a);
    const Whole<B> quadrant = angle.quadrant + turns;
    const Real<B> z = angle.r * angle.r;
    const Real<B> value = select((quadrant & 1).is_set(), cos_near_zero(z), sin_near_zero(angle.r, angle.r_lo, z));
    const Whole<B> sign = (quadrant & 2).shl(B::bits - 2);
    return select(a <= Angle<B::bits>::range, flip_sign(value, sign), not_a_number);
}

template <class B>
Real<B> sin(Real<B> x) {
    return flip_sign(sine(abs(x), 0), sign_bit(x));
}

template <class B>
Real<B> cos(Real<B> x) {
    return sine(abs(x), 1);
}

/// sin/cos or -cos/sin of the reduced angle, all in two words; the quotient is corrected once.
template <class B>
Real<B> tan(Real<B> x) {
    using C = Coefficients<B::bits>;
    const Real<B> a = abs(x);
    const ReducedAngle<B> angle = reduce_angle(a);
    const Real<B> r = angle.r;
    const Real<B> r_lo = angle_remainder(a, angle);
    const Real<B> z = r * r;
    const Real<B> half = z * 0.5;
    const Real<B> one_less = 1.0 - half;
    const Real<B> lost = (1.0 - one_less) - half + fma(r, r, z * -1.0) * -0.5;  // what 1 - z/2 lost, and half of what z lost
    const Real<B> s_rest = fma(z * r, polynomial(C::sin, z), r_lo * one_less);
    const Real<B> c_rest = fma(z * z, polynomial(C::cos, z), fma(r * -1.0, r_lo, lost));
    const Real<B> s = r + s_rest;
    const Real<B> c = one_less + c_rest;
    const Real<B> s_lo = (r - s) + s_rest;
    const Real<B> c_lo = (one_less - c) + c_rest;
    const Truth<B> odd = (angle.quadrant & 1).is_set();
    const Real<B> minus_over = select(odd, c, s * -1.0);
    const Real<B> minus_over_lo = select(odd, c_lo, s_lo * -1.0);
    const Real<B> under = select(odd, s, c);
    const Real<B> under_lo = select(odd, s_lo, c_lo);
    const Real<B> reciprocal = 1.0 / under;
    const Real<B> quotient = minus_over * reciprocal * -1.0;
    const Real<B> minus_error = fma(quotient, under, minus_over) + fma(quotient, under_lo, minus_over_lo);
    const Real<B> value = flip_sign(fma(minus_error * -1.0, reciprocal, quotient), sign_bit(x));
    return select(a <= Angle<B::bits>::range, value, not_a_number);
}

/// asin(t) with t = |x| and `large` false, or with t = sqrt((1 - |x|)/2) above 9/16.
template <class B>
struct ReducedArcsine {
    Truth<B> large;
    Real<B> r;
};

template <class B>
ReducedArcsine<B> arcsine(Real<B> a) {
    const Truth<B> large = 0.5625 < a;
    const Real<B> z = select(large, (1.0 - a) * 0.5, a * a);
    const Real<B> t = select(large, sqrt(z), a);
    return {large, fma(t * z, polynomial(Coefficients<B::bits>::asin, z), t)};
}

template <class B>
Real<B> asin(Real<B> x) {
    using A = Angle<B::bits>;
    const auto [large, r] = arcsine(abs(x));
    const Real<B> far = fma(r, -2.0, A::half_pi_lo) + A::half_pi;
    return flip_sign(select(large, far, r), sign_bit(x));
}

template <class B>
Real<B> acos(Real<B> x) {
    using A = Angle<B::bits>;
    const auto [large, r] = arcsine(abs(x));
    const Truth<B> negative = x < 0.0;
    const Real<B> twice = r + r;
    const Real<B> near = flip_sign(r, sign_bit(x));  // asin(x)
    const Real<B> middle = (A::half_pi_lo - near) + A::half_pi;
    const Real<B> left = (2 * A::half_pi_lo - twice) + 2 * A::half_pi;
    return select(large, select(negative, left, twice), middle);
}

/// atan(q), |q| <= 1.
template <class B>
Real<B> atan_near_zero(Real<B> q) {
    const Real<B> z = q * q;
    return fma(q * z, polynomial(Coefficients<B::bits>::atan, z), q);
}

template <class B>
Real<B> atan(Real<B> x) {
    using A = Angle<B::bits>;
    const Real<B> a = abs(x);
    const Truth<B> large = 1.0 < a;
    const Real<B> r = atan_near_zero(select(large, -1.0, a) / select(large, a, 1.0));
    const Real<B> far = (r + A::half_pi_lo) + A::half_pi;
    return flip_sign(select(large, far, r), sign_bit(x));
}

/// atan of the smaller over the larger magnitude, then moved to its octant.
template <class B>
Real<B> atan2(Real<B> y, Real<B> x) {
    using A = Angle<B::bits>;
    const Real<B> a = abs(x);
    const Real<B> c = abs(y);
    const Truth<B> steep = a < c;
    const Truth<B> left = sign_bit(x).is_set();
    const Real<B> over = select(steep, a, c);
    const Real<B> under = select(steep, c, a);
    const Real<B> quotient = select(over == under, select(under == 0.0, 0.0, under.constant(1)), over / under);
    const Real<B> r = atan_near_zero(quotient);
    const Real<B> signed_r = select((steep & !left) | (left & !steep), r * -1.0, r);
    const Real<B> base = select(steep, A::half_pi, select(left, 2 * A::half_pi, r.constant(0)));
    const Real<B> base_lo = select(steep, A::half_pi_lo, select(left, 2 * A::half_pi_lo, r.constant(0)));
    return flip_sign((signed_r + base_lo) + base, sign_bit(y));
}

}  // namespace detail
}  // namespace tessera::math
