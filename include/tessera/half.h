#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

namespace tessera {
namespace half_bits {

/// The code of a finite double, given by its bits without a sign, in a format with exponents from `emin` on, the least normal
/// one: rounded to nearest, ties to even, once; as if exponents had no end.
template <int mantissa_bits, int emin>
constexpr uint64_t rounded_magnitude(uint64_t bits) {
    const uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
    const int exponent_field = static_cast<int>(bits >> 52);
    if (exponent_field == 0) return 0;  // doubles below the normal range are far below half of the least narrow number
    const int exponent = exponent_field - 1023;
    const bool normal = exponent >= emin;
    const int shift = 52 - mantissa_bits + (normal ? 0 : emin - exponent);
    if (shift > 53) return 0;
    const uint64_t significand = fraction | (uint64_t{1} << 52);
    const uint64_t rest = significand & ((uint64_t{1} << shift) - 1);
    const uint64_t middle = uint64_t{1} << (shift - 1);
    uint64_t rounded = significand >> shift;
    if (rest > middle || (rest == middle && (rounded & 1) != 0)) ++rounded;
    // A carry out of the fraction moves into the exponent, from the largest subnormal to the least normal as well.
    if (normal) rounded += static_cast<uint64_t>(exponent - emin) << mantissa_bits;
    return rounded;
}

/// Rounds to nearest, ties to even, once, into a 16-bit format; overflow gives infinity, a NaN stays one (quiet, its upper
/// payload kept). `emin` is the exponent of the least normal number.
template <int mantissa_bits, int emin>
constexpr uint16_t from_double(double value) {
    const auto bits = std::bit_cast<uint64_t>(value);
    const auto sign = static_cast<uint16_t>((bits >> 48) & 0x8000);
    constexpr uint64_t infinity = 0x7fff & ~((1u << mantissa_bits) - 1);
    const uint64_t fraction = bits & ((uint64_t{1} << 52) - 1);
    if (((bits >> 52) & 0x7ff) == 0x7ff) {
        if (fraction == 0) return static_cast<uint16_t>(sign | infinity);
        return static_cast<uint16_t>(sign | infinity | (1u << (mantissa_bits - 1)) | (fraction >> (52 - mantissa_bits)));
    }
    const uint64_t rounded = rounded_magnitude<mantissa_bits, emin>(bits & ~(uint64_t{1} << 63));
    return static_cast<uint16_t>(sign | (rounded < infinity ? rounded : infinity));
}

/// The nearest double with the last bit set when inexact ("round to odd"), so that rounding it again to 16 bits or fewer rounds
/// once.
template <class Integer>
constexpr double odd_double(Integer value) {
    const bool negative = std::is_signed_v<Integer> && value < 0;
    const uint64_t magnitude = negative ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
    double result = 0;
    if (magnitude < (uint64_t{1} << 53))
        result = static_cast<double>(magnitude);
    else
        result = static_cast<double>((magnitude >> 11) | ((magnitude & 0x7ff) != 0 ? 1 : 0)) * 2048.0;
    return negative ? -result : result;
}

template <class Number>
constexpr double exact_double(Number value) {
    if constexpr (std::is_integral_v<Number>)
        return odd_double(value);
    else
        return static_cast<double>(value);
}

}  // namespace half_bits

/// IEEE binary16, storage only: compute in float. Conversions to it round to nearest even, once.
struct float16 {
    uint16_t bits = 0;

    constexpr float16() = default;
    template <class Number>
    requires std::is_arithmetic_v<Number>
    explicit constexpr float16(Number value) : bits(half_bits::from_double<10, -14>(half_bits::exact_double(value))) {}
    static constexpr float16 from_bits(uint16_t bits) {
        float16 result;
        result.bits = bits;
        return result;
    }
    constexpr operator float() const {
        const uint32_t sign = (bits & 0x8000u) << 16;
        const uint32_t exponent = (bits >> 10) & 0x1f;
        const uint32_t fraction = bits & 0x3ff;
        if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
        if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
        const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
};

/// bfloat16, storage only: the upper half of a float. Conversions to it round to nearest even, once.
struct bfloat16 {
    uint16_t bits = 0;

    constexpr bfloat16() = default;
    template <class Number>
    requires std::is_arithmetic_v<Number>
    explicit constexpr bfloat16(Number value) : bits(half_bits::from_double<7, -126>(half_bits::exact_double(value))) {}
    static constexpr bfloat16 from_bits(uint16_t bits) {
        bfloat16 result;
        result.bits = bits;
        return result;
    }
    constexpr operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

static_assert(sizeof(float16) == 2 && std::is_trivially_copyable_v<float16>);
static_assert(sizeof(bfloat16) == 2 && std::is_trivially_copyable_v<bfloat16>);

}  // namespace tessera
