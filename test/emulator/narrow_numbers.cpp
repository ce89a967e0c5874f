#include <bit>
#include <cmath>
#include <cstring>

#include "emulator/emulated_ops.h"

namespace tessera::emulator {
namespace {

/// A float with `mantissa` bits and exponents from `least` (of the smallest normal): rounded to nearest, ties to even; infinite
/// stays.
double rounded(double value, int mantissa, int least) {
    if (value == 0 || !std::isfinite(value)) return value;
    int exponent = 0;
    (void)std::frexp(value, &exponent);  // |value| in [2^(exponent-1), 2^exponent)
    const int unit = std::max(exponent - 1, least) - mantissa;
    return std::ldexp(std::nearbyint(std::ldexp(value, -unit)), unit);
}

/// The bits of a value that the format holds exactly.
std::uint32_t encoded(double value, int mantissa, int least, int sign_shift) {
    const std::uint32_t sign = std::signbit(value) ? 1u << sign_shift : 0;
    const double size = std::fabs(value);
    if (size == 0) return sign;
    int exponent = 0;
    (void)std::frexp(size, &exponent);
    const int e = std::max(exponent - 1, least);
    const auto significand = static_cast<std::uint32_t>(std::ldexp(size, mantissa - e));
    // A significand without its leading bit belongs to exponent field 0, which has the exponent of field 1.
    return sign | ((static_cast<std::uint32_t>(e - least) << mantissa) + significand);
}

double decoded(std::uint32_t bits, int mantissa, int least, int sign_shift) {
    const auto field = static_cast<int>((bits & ((1u << sign_shift) - 1)) >> mantissa);
    const std::uint32_t fraction = bits & ((1u << mantissa) - 1);
    const double size = field == 0 ? std::ldexp(fraction, least - mantissa)
                                   : std::ldexp(fraction + (1u << mantissa), least + field - 1 - mantissa);
    return (bits >> sign_shift & 1) != 0 ? -size : size;
}

}  // namespace

std::uint16_t bf16_bits(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if (std::isnan(value)) return 0x7fff;
    return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

std::uint16_t f16_bits(float value) {
    if (std::isnan(value)) return 0x7fff;
    const double r = rounded(value, 10, -14);
    if (std::fabs(r) > 65504) return std::signbit(value) ? 0xfc00 : 0x7c00;
    return static_cast<std::uint16_t>(encoded(r, 10, -14, 15));
}

float f16_value(std::uint16_t bits) {
    if ((bits & 0x7c00) == 0x7c00) {
        if ((bits & 0x3ff) != 0) return std::nanf("");
        return (bits & 0x8000) != 0 ? -INFINITY : INFINITY;
    }
    return static_cast<float>(decoded(bits, 10, -14, 15));
}

std::uint32_t tf32_bits(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if (std::isnan(value)) return 0x7fffffff;
    if (std::isinf(value)) return bits;
    return (bits + 0x1000) & ~0x1fffu;  // ties away from zero: the sign is not part of the carry
}

std::uint8_t e4m3_bits(float value) {
    if (std::isnan(value)) return 0x7f;
    const double r = rounded(value, 3, -6);
    if (std::fabs(r) > 448) return std::signbit(value) ? 0xfe : 0x7e;
    return static_cast<std::uint8_t>(encoded(r, 3, -6, 7));
}

float e4m3_value(std::uint8_t bits) {
    if ((bits & 0x7f) == 0x7f) return std::nanf("");
    return static_cast<float>(decoded(bits, 3, -6, 7));
}

std::uint8_t e5m2_bits(float value) {
    if (std::isnan(value)) return 0x7f;
    const double r = rounded(value, 2, -14);
    if (std::fabs(r) > 57344) return std::signbit(value) ? 0xfb : 0x7b;
    return static_cast<std::uint8_t>(encoded(r, 2, -14, 7));
}

float e5m2_value(std::uint8_t bits) {
    if ((bits & 0x7c) == 0x7c) {
        if ((bits & 3) != 0) return std::nanf("");
        return (bits & 0x80) != 0 ? -INFINITY : INFINITY;
    }
    return static_cast<float>(decoded(bits, 2, -14, 7));
}

int bytes_of(Number number) { return number == Number::tf32 ? 4 : number == Number::bf16 || number == Number::f16 ? 2 : 1; }

float number_value(Number number, const void* at) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, at, static_cast<std::size_t>(bytes_of(number)));
    switch (number) {
        case Number::bf16: return std::bit_cast<float>(bits << 16);
        case Number::f16: return f16_value(static_cast<std::uint16_t>(bits));
        case Number::tf32: return std::bit_cast<float>(bits & ~0x1fffu);  // the hardware reads the upper 19 bits
        case Number::e4m3: return e4m3_value(static_cast<std::uint8_t>(bits));
        case Number::e5m2: return e5m2_value(static_cast<std::uint8_t>(bits));
        case Number::s8: return static_cast<float>(static_cast<std::int8_t>(bits));
        case Number::u8: return static_cast<float>(bits);
    }
    return 0;
}

}  // namespace tessera::emulator
