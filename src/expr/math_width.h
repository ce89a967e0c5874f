#pragma once
// Constants of the two working types and the small pieces that the definitions of math_definitions.h share.
#include <cstddef>
#include <limits>

#include "expr/math_builder.h"
#include "expr/math_coefficients.h"

namespace tessera::math {

/// Constants of a floating type of 32 or 64 bits.
template <int bits>
struct Width;

template <>
struct Width<32> {
    static constexpr int mantissa = 23;
    static constexpr std::int64_t bias = 127;
    static constexpr std::int64_t one = 0x3f800000;
    static constexpr std::int64_t root_half = 0x3f3504f3;  // bits of sqrt(1/2)
    static constexpr std::int64_t mantissa_mask = 0x007fffff;
    static constexpr std::int64_t sign = 0x80000000;
    static constexpr std::int64_t round_bits = 0x4b000000;  // bits of 2^23
    static constexpr double round = 0x1p23;
    static constexpr double min_normal = 0x1p-126;
    static constexpr double lift = 0x1p25, lift_exponent = 25;  // makes subnormals normal
    static constexpr double ln2_hi = 0x1.62e4p-1, ln2_lo = 0x1.7f7d1cp-20;
    static constexpr double log2e = 0x1.715476p+0, log2e_lo = 0x1.4ae0cp-26;
    static constexpr double two_thirds = 0x1.555556p-1, two_thirds_lo = -0x1.555556p-26;
    static constexpr double exp_min = -104, exp_max = 89, exp2_min = -151, exp2_max = 129;
    static constexpr double expm1_min = -18, expm1_tiny = 0x1p-26, half_exp_max = 90;
    static constexpr double tanh_max = 10, erf_max = 3.95, erf_center = 2;
    static constexpr double power_max = 0x1p60;  // y beyond it: |x|^y is 0, 1 or infinite
};

template <>
struct Width<64> {
    static constexpr int mantissa = 52;
    static constexpr std::int64_t bias = 1023;
    static constexpr std::int64_t one = 0x3ff0000000000000;
    static constexpr std::int64_t root_half = 0x3fe6a09e667f3bcd;
    static constexpr std::int64_t mantissa_mask = 0x000fffffffffffff;
    static constexpr std::int64_t sign = std::numeric_limits<std::int64_t>::min();
    static constexpr std::int64_t round_bits = 0x4330000000000000;
    static constexpr double round = 0x1p52;
    static constexpr double min_normal = 0x1p-1022;
    static constexpr double lift = 0x1p54, lift_exponent = 54;
    static constexpr double ln2_hi = 0x1.62e42fefa38p-1, ln2_lo = 0x1.ef35793c7673p-45;
    static constexpr double log2e = 0x1.71547652b82fep+0, log2e_lo = 0x1.777d0ffda0d24p-56;
    static constexpr double two_thirds = 0x1.5555555555555p-1, two_thirds_lo = 0x1.5555555555555p-55;
    static constexpr double exp_min = -746, exp_max = 710, exp2_min = -1076, exp2_max = 1025;
    static constexpr double expm1_min = -40, expm1_tiny = 0x1p-55, half_exp_max = 711;
    static constexpr double tanh_max = 20, erf_max = 5.95, erf_center = 2.5;
    static constexpr double power_max = 0x1p100;
};

namespace detail {

inline constexpr double infinity = std::numeric_limits<double>::infinity();
inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// c[0] + c[1] x + ... by Horner's rule, one fma a term.
template <class B, std::size_t n>
Real<B> polynomial(const double (&c)[n], Real<B> x) {
    Real<B> sum = x.constant(c[n - 1]);
    for (std::size_t k = n - 1; k-- > 0;) sum = fma(sum, x, c[k]);
    return sum;
}

/// min(x, high) and max(x, low); a NaN stays. The order of the operands is that of the x86 instructions.
template <class B>
Real<B> clamp_above(Real<B> x, double high) {
    return select(high < x, high, x);
}
template <class B>
Real<B> clamp_below(Real<B> x, double low) {
    return select(x < low, low, x);
}

template <class B>
Whole<B> sign_bit(Real<B> x) {
    return to_bits(x) & Width<B::bits>::sign;
}

template <class B>
Real<B> flip_sign(Real<B> x, Whole<B> sign) {
    return from_bits(to_bits(x) ^ sign);
}

/// 2^(n + offset - bias) where the low bits of `shifted` hold n + offset.
template <class B>
Real<B> power_of_two(Whole<B> shifted) {
    return from_bits(shifted.shl(Width<B::bits>::mantissa));
}

}  // namespace detail
}  // namespace tessera::math
