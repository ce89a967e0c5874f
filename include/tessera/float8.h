#pragma once

#include <tessera/half.h>

namespace tessera {
namespace float8_bits {

/// Rounds to nearest, ties to even, once; every NaN becomes 0x7f. `last` is the code of the largest magnitude, behind which
/// `beyond` stands.
template <int mantissa_bits, int emin, uint8_t last, uint8_t beyond>
constexpr uint8_t from_double(double value) {
    const auto bits = std::bit_cast<uint64_t>(value);
    const auto sign = static_cast<uint8_t>((bits >> 56) & 0x80);
    const uint64_t magnitude = bits & ~(uint64_t{1} << 63);
    constexpr uint64_t infinity = uint64_t{0x7ff} << 52;
    if (magnitude > infinity) return 0x7f;
    const uint64_t code = magnitude == infinity ? uint64_t{0xff} : half_bits::rounded_magnitude<mantissa_bits, emin>(magnitude);
    const uint8_t held = code > last ? beyond : static_cast<uint8_t>(code);
    return held == 0x7f ? held : static_cast<uint8_t>(sign | held);
}

}  // namespace float8_bits

/// OCP 8-bit float E4M3, storage only: compute in float. Values to 448, one NaN, no infinity: what rounds beyond 448 becomes NaN
/// (a saturating conversion holds it at 448). Conversions to it round to nearest even, once.
struct float8_e4m3 {
    uint8_t bits = 0;

    constexpr float8_e4m3() = default;
    template <class Number>
    requires std::is_arithmetic_v<Number>
    explicit constexpr float8_e4m3(Number value)
        : bits(float8_bits::from_double<3, -6, 0x7e, 0x7f>(half_bits::exact_double(value))) {}
    static constexpr float8_e4m3 from_bits(uint8_t bits) {
        float8_e4m3 result;
        result.bits = bits;
        return result;
    }
    constexpr operator float() const {
        if ((bits & 0x7f) == 0x7f) return std::bit_cast<float>(0x7fc00000u);
        // The same digits as a binary16, whose exponents count from 8 further down.
        return float16::from_bits(static_cast<uint16_t>((bits & 0x80) << 8 | (bits & 0x7f) << 7)) * 256.0f;
    }
};

/// OCP 8-bit float E5M2, storage only: compute in float. The upper half of a binary16: values to 57344, infinities, NaNs.
/// Conversions to it round to nearest even, once.
struct float8_e5m2 {
    uint8_t bits = 0;

    constexpr float8_e5m2() = default;
    template <class Number>
    requires std::is_arithmetic_v<Number>
    explicit constexpr float8_e5m2(Number value)
        : bits(float8_bits::from_double<2, -14, 0x7b, 0x7c>(half_bits::exact_double(value))) {}
    static constexpr float8_e5m2 from_bits(uint8_t bits) {
        float8_e5m2 result;
        result.bits = bits;
        return result;
    }
    constexpr operator float() const { return float16::from_bits(static_cast<uint16_t>(bits << 8)); }
};

static_assert(sizeof(float8_e4m3) == 1 && std::is_trivially_copyable_v<float8_e4m3>);
static_assert(sizeof(float8_e5m2) == 1 && std::is_trivially_copyable_v<float8_e5m2>);

}  // namespace tessera
