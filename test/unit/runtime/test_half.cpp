#include <gtest/gtest.h>
#include <tessera/half.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

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

}  // namespace
}  // namespace tessera
