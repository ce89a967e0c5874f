#include <gtest/gtest.h>
#include <tessera/float8.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace tessera {
namespace {

/// The value of a 16-bit pattern, from its definition: nothing of half.h is used.
double decode(uint16_t bits, int mantissa_bits, int bias) {
    const int exponent = (bits & 0x7fff) >> mantissa_bits;
    const int fraction = bits & ((1 << mantissa_bits) - 1);
    const int largest = (0x7fff >> mantissa_bits);
    const double sign = (bits & 0x8000) != 0 ? -1 : 1;
    if (exponent == largest)
        return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
    if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - mantissa_bits);
    return sign * std::ldexp(fraction + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

template <class Half, int mantissa_bits, int bias>
void check_all_patterns() {
    for (uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
        const auto bits = static_cast<uint16_t>(pattern);
        const double value = decode(bits, mantissa_bits, bias);
        const float seen = Half::from_bits(bits);
        if (std::isnan(value)) {
            ASSERT_TRUE(std::isnan(seen)) << pattern;
            ASSERT_TRUE(std::isnan(static_cast<float>(Half(seen)))) << pattern;
            continue;
        }
        ASSERT_EQ(std::bit_cast<uint64_t>(static_cast<double>(seen)), std::bit_cast<uint64_t>(value)) << pattern;
        ASSERT_EQ(Half(seen).bits, bits);
        ASSERT_EQ(Half(value).bits, bits);
    }
}

/// Between every two neighbours: below the middle, the middle (to even) and above it.
template <class Half, int mantissa_bits, int bias>
void check_rounding() {
    const uint32_t infinity = 0x7fffu & ~((1u << mantissa_bits) - 1);
    for (uint32_t pattern = 0; pattern < infinity; ++pattern) {
        const auto low = static_cast<uint16_t>(pattern);
        const auto high = static_cast<uint16_t>(pattern + 1);
        const double a = decode(low, mantissa_bits, bias);
        // One step beyond the largest finite number stands where infinity is.
        const double b = high == infinity ? a + (a - decode(static_cast<uint16_t>(pattern - 1), mantissa_bits, bias))
                                          : decode(high, mantissa_bits, bias);
        const double middle = (a + b) / 2;
        const uint16_t even = (low & 1) == 0 ? low : high;
        ASSERT_EQ(Half(middle).bits, even) << pattern;
        ASSERT_EQ(Half(std::nextafter(middle, a)).bits, low) << pattern;
        ASSERT_EQ(Half(std::nextafter(middle, b)).bits, high) << pattern;
        ASSERT_EQ(Half(-middle).bits, even | 0x8000) << pattern;
        const auto middle_float = static_cast<float>(middle);
        if (static_cast<double>(middle_float) == middle) {
            ASSERT_EQ(Half(middle_float).bits, even) << pattern;
            ASSERT_EQ(Half(std::nextafter(middle_float, std::numeric_limits<float>::infinity())).bits, high) << pattern;
        }
    }
}

TEST(Half, AllPatternsOfFloat16RoundTrip) { check_all_patterns<float16, 10, 15>(); }
TEST(Half, AllPatternsOfBfloat16RoundTrip) { check_all_patterns<bfloat16, 7, 127>(); }
TEST(Half, Float16RoundsToNearestEvenOnce) { check_rounding<float16, 10, 15>(); }
TEST(Half, Bfloat16RoundsToNearestEvenOnce) { check_rounding<bfloat16, 7, 127>(); }

TEST(Half, OverflowUnderflowAndZeros) {
    EXPECT_EQ(float16(65519.99).bits, 0x7bff);
    EXPECT_EQ(float16(65520.0).bits, 0x7c00);
    EXPECT_EQ(float16(-1e300).bits, 0xfc00);
    EXPECT_EQ(float16(1e-300).bits, 0);
    EXPECT_EQ(float16(-0.0).bits, 0x8000);
    EXPECT_EQ(float16(0x1p-25).bits, 0);  // a tie with zero, which is even
    EXPECT_EQ(float16(std::nextafter(0x1p-25, 1.0)).bits, 1);
    EXPECT_EQ(bfloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
    EXPECT_EQ(bfloat16(-std::numeric_limits<double>::denorm_min()).bits, 0x8000);
}

TEST(Half, IntegersRoundOnce) {
    // 2^62 + 2^54 is the middle of two bfloat16 numbers; the added 1 is lost by a double.
    const int64_t middle = (int64_t{1} << 62) + (int64_t{1} << 54);
    EXPECT_EQ(bfloat16(middle).bits, bfloat16(0x1p62).bits);
    EXPECT_EQ(bfloat16(middle + 1).bits, bfloat16(0x1p62).bits + 1);
    EXPECT_EQ(bfloat16(-(middle + 1)).bits, (bfloat16(0x1p62).bits + 1) | 0x8000);
    EXPECT_EQ(static_cast<float>(float16(2049)), 2048.0F);
    EXPECT_EQ(static_cast<float>(float16(std::numeric_limits<int64_t>::min())), -std::numeric_limits<float>::infinity());
    EXPECT_EQ(static_cast<float>(bfloat16(std::numeric_limits<uint64_t>::max())), 0x1p64F);
}

// ---- 8-bit floats: the tables of the OCP 8-bit Floating Point Specification (OFP8), revision 1.0, section 5

struct Format {
    int mantissa_bits, bias;
    uint8_t largest, infinity;  // codes; 0: no infinity
};
constexpr Format e4m3{3, 7, 0x7e, 0}, e5m2{2, 15, 0x7b, 0x7c};

double decode8(uint8_t bits, const Format& f) {
    const int magnitude = bits & 0x7f, exponent = magnitude >> f.mantissa_bits,
              fraction = magnitude & ((1 << f.mantissa_bits) - 1);
    const double sign = (bits & 0x80) != 0 ? -1 : 1;
    if (f.infinity != 0 && magnitude == f.infinity) return sign * std::numeric_limits<double>::infinity();
    if (magnitude > f.largest) return std::numeric_limits<double>::quiet_NaN();
    if (exponent == 0) return sign * std::ldexp(fraction, 1 - f.bias - f.mantissa_bits);
    return sign * std::ldexp(fraction + (1 << f.mantissa_bits), exponent - f.bias - f.mantissa_bits);
}

/// The code of the nearest value, found by looking at all of them; beyond the largest the code of where the next one would stand.
uint8_t nearest8(double value, const Format& f) {
    if (std::isnan(value)) return 0x7f;
    const auto sign = static_cast<uint8_t>(std::signbit(value) ? 0x80 : 0);
    const double magnitude = std::min(std::fabs(value), 1e6);  // beyond, distances to all values are the same number
    uint8_t best = 0;
    double distance = magnitude;
    for (int code = 1; code <= f.largest + 1; ++code) {
        const double at = code > f.largest ? 2 * decode8(f.largest, f) - decode8(static_cast<uint8_t>(f.largest - 1), f)
                                           : decode8(static_cast<uint8_t>(code), f);
        const double d = std::fabs(magnitude - at);
        if (d < distance || (d == distance && code % 2 == 0)) best = static_cast<uint8_t>(code), distance = d;
    }
    if (std::isinf(value)) best = static_cast<uint8_t>(f.largest + 1);
    if (best > f.largest && f.infinity == 0) return 0x7f;  // E4M3 has a NaN there
    return static_cast<uint8_t>(sign | best);
}

template <class Float8>
void check_format(const Format& f) {
    for (int pattern = 0; pattern < 256; ++pattern) {
        const auto bits = static_cast<uint8_t>(pattern);
        const double value = decode8(bits, f);
        const float seen = Float8::from_bits(bits);
        if (std::isnan(value)) {
            ASSERT_TRUE(std::isnan(seen)) << pattern;
            ASSERT_EQ(Float8(seen).bits, 0x7f) << pattern;
            continue;
        }
        ASSERT_EQ(std::bit_cast<uint64_t>(static_cast<double>(seen)), std::bit_cast<uint64_t>(value)) << pattern;
        ASSERT_EQ(Float8(seen).bits, bits);
        ASSERT_EQ(nearest8(value, f), bits);
    }
    std::vector<double> values{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(), 1e300, -1e300,
                               1e-300};
    for (int code = 0; code <= f.largest; ++code) {
        const double a = decode8(static_cast<uint8_t>(code), f);
        const double b =
            code == f.largest ? 2 * a - decode8(static_cast<uint8_t>(code - 1), f) : decode8(static_cast<uint8_t>(code + 1), f);
        for (const double v : {(a + b) / 2, std::nextafter((a + b) / 2, a), std::nextafter((a + b) / 2, b), a + (b - a) / 8, b})
            for (const double s : {v, -v}) values.push_back(s);
    }
    std::mt19937 random(11);
    for (int i = 0; i < 20000; ++i) {
        values.push_back(std::ldexp(std::normal_distribution<double>()(random), static_cast<int>(random() % 36) - 18));
        values.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
    }
    for (const double v : values) {
        ASSERT_EQ(Float8(v).bits, nearest8(v, f)) << v;
        const auto single = static_cast<float>(v);
        ASSERT_EQ(Float8(single).bits, nearest8(single, f)) << single;
    }
}

TEST(Float8, E4m3IsThatOfTheStandard) {
    check_format<float8_e4m3>(e4m3);
    EXPECT_EQ(decode8(0x7e, e4m3), 448);
    EXPECT_EQ(decode8(0x01, e4m3), 0x1p-9);
    EXPECT_EQ(decode8(0x08, e4m3), 0x1p-6);
    EXPECT_EQ(float8_e4m3(464.0).bits, 0x7e);  // a tie between 448 and where 480 would be
    EXPECT_EQ(float8_e4m3(464.1).bits, 0x7f);
    EXPECT_EQ(float8_e4m3(-1e9).bits, 0x7f);
    EXPECT_EQ(float8_e4m3(int64_t{449}).bits, 0x7e);
}
TEST(Float8, E5m2IsThatOfTheStandard) {
    check_format<float8_e5m2>(e5m2);
    EXPECT_EQ(decode8(0x7b, e5m2), 57344);
    EXPECT_EQ(decode8(0x01, e5m2), 0x1p-16);
    EXPECT_EQ(decode8(0x04, e5m2), 0x1p-14);
    EXPECT_EQ(float8_e5m2(61439.9).bits, 0x7b);
    EXPECT_EQ(float8_e5m2(61440.0).bits, 0x7c);
    EXPECT_EQ(float8_e5m2(-1e9).bits, 0xfc);
}

}  // namespace
}  // namespace tessera
