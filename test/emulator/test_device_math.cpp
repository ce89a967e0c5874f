// The math functions as text, compiled: bit for bit what the interpreter computes.
#include <gtest/gtest.h>

#include <random>

#include <tessera/float8.h>

#include "emulator/emulated_device.h"
// after the emulator's words
#include "expr/math_definitions.h"
#include "expr/philox.h"
#include "tessera_device_sm_90a.cuh"

namespace tessera {
namespace {

template <class F>
std::vector<F> arguments() {
    std::vector<F> values{0,
                          F{-0.0},
                          1,
                          -1,
                          F{0.5},
                          2,
                          100,
                          -100,
                          1000,
                          F{1e-30},
                          std::numeric_limits<F>::denorm_min(),
                          std::numeric_limits<F>::max(),
                          std::numeric_limits<F>::infinity(),
                          -std::numeric_limits<F>::infinity(),
                          std::numeric_limits<F>::quiet_NaN()};
    std::mt19937_64 random(1);
    std::normal_distribution<double> normal;
    for (int i = 0; i < 2000; ++i)
        values.push_back(static_cast<F>(std::ldexp(normal(random), static_cast<int>(random() % 14) - 8)));
    for (int i = 0; i < 2000; ++i)
        values.push_back(
            std::bit_cast<F>(static_cast<std::conditional_t<sizeof(F) == 4, std::uint32_t, std::uint64_t>>(random())));
    return values;
}

template <class F>
bool same(F a, F b) {
    return (a != a && b != b) || std::memcmp(&a, &b, sizeof a) == 0;
}

#define TESSERA_UNARY(name)                                                                                         \
    TEST(DeviceMath, name) {                                                                                        \
        math::ScalarBuilder<float> narrow;                                                                          \
        math::ScalarBuilder<double> wide;                                                                           \
        for (const float x : arguments<float>()) ASSERT_TRUE(same(tsr::name##_f32(x), math::name(narrow, x))) << x; \
        for (const double x : arguments<double>()) ASSERT_TRUE(same(tsr::name##_f64(x), math::name(wide, x))) << x; \
    }
#define TESSERA_BINARY(name)                                                                                           \
    TEST(DeviceMath, name) {                                                                                           \
        math::ScalarBuilder<float> narrow;                                                                             \
        math::ScalarBuilder<double> wide;                                                                              \
        const auto f = arguments<float>();                                                                             \
        const auto d = arguments<double>();                                                                            \
        for (std::size_t i = 0; i < f.size(); ++i)                                                                     \
            for (std::size_t j = i; j < f.size(); j += 97) {                                                           \
                ASSERT_TRUE(same(tsr::name##_f32(f[i], f[j]), math::name(narrow, f[i], f[j]))) << f[i] << ' ' << f[j]; \
                ASSERT_TRUE(same(tsr::name##_f64(d[i], d[j]), math::name(wide, d[i], d[j]))) << d[i] << ' ' << d[j];   \
            }                                                                                                          \
    }
TESSERA_UNARY(exp)
TESSERA_UNARY(exp2)
TESSERA_UNARY(expm1)
TESSERA_UNARY(log)
TESSERA_UNARY(log2)
TESSERA_UNARY(log1p)
TESSERA_UNARY(sin)
TESSERA_UNARY(cos)
TESSERA_UNARY(tan)
TESSERA_UNARY(asin)
TESSERA_UNARY(acos)
TESSERA_UNARY(atan)
TESSERA_UNARY(sinh)
TESSERA_UNARY(cosh)
TESSERA_UNARY(tanh)
TESSERA_UNARY(erf)
TESSERA_UNARY(sigmoid)
TESSERA_UNARY(rsqrt)
TESSERA_BINARY(atan2)
TESSERA_BINARY(pow)

TEST(DeviceMath, Random) {
    math::ScalarRandomBuilder b;
    std::mt19937_64 random(2);
    for (int i = 0; i < 1000; ++i) {
        const auto seed = static_cast<std::int64_t>(random());
        const std::int64_t k[4] = {i, static_cast<std::int64_t>(random()), -i, static_cast<std::int64_t>(random() >> 40)};
        ASSERT_EQ(tsr::uniform_f32(seed, k[0], k[1], k[2], k[3]), math::uniform_f32(b, seed, k));
        ASSERT_EQ(tsr::normal_f32(seed, k[0], k[1], k[2], k[3]), math::normal_f32(b, seed, k));
        ASSERT_EQ(tsr::random_bits_u32(seed, k[0], k[1], k[2], k[3]), math::random_bits(b, seed, k));
    }
}

TEST(DeviceIntegers, AreTessera) {
    using namespace tsr;
    EXPECT_EQ(div_floor(-7, 2), -4);
    EXPECT_EQ(div_floor(lowest<i32>(), -1), lowest<i32>());
    EXPECT_EQ(div_floor(3, 0), 0);
    EXPECT_EQ(mod_floor(-7, 2), 1);
    EXPECT_EQ(mod_floor(7, -2), -1);
    EXPECT_EQ(div_floor<u8>(200, 3), 66);
    EXPECT_EQ(shift_left(1, 31), lowest<i32>());
    EXPECT_EQ(shift_left(1, 32), 0);
    EXPECT_EQ(shift_left(1, -1), 0);
    EXPECT_EQ(shift_right(-8, 40), -1);
    EXPECT_EQ(shift_right<u16>(40000, 3), 5000);
    EXPECT_EQ((to_integer<i8>(300.5f)), 127);
    EXPECT_EQ((to_integer<i8>(-300.5f)), -128);
    EXPECT_EQ((to_integer<u64>(1.9e19)), highest<u64>());
    EXPECT_EQ((to_integer<i64>(-9.3e18)), lowest<i64>());
    EXPECT_EQ((to_integer<i32>(std::nanf(""))), 0);
    EXPECT_EQ((to_integer<u8>(-1.0f)), 0);
    EXPECT_EQ((to_integer<i32>(-2.9f)), -2);
    EXPECT_EQ((clamp_integer<u8>(-5)), 0);
    EXPECT_EQ((clamp_integer<i8>(1000u)), 127);
    EXPECT_EQ((clamp_integer<i32>(lowest<i64>())), lowest<i32>());
    EXPECT_EQ((clamp_integer<u32>(i64{5000000000})), highest<u32>());
    EXPECT_EQ(add_wrap(highest<i32>(), 1), lowest<i32>());
    EXPECT_EQ(mul_wrap<i16>(300, 300), 24464);
    EXPECT_EQ(abs_wrap(lowest<i32>()), lowest<i32>());
    EXPECT_TRUE(std::isnan(min_of(std::nanf(""), 1.0f)) && std::isnan(min_of(1.0f, std::nanf(""))));
}

// The conversions of 8-bit floats are integer arithmetic; the library's round a double.
template <int mantissa, class Float8>
void check_float8() {
    for (int code = 0; code < 256; ++code) {
        const auto bits = static_cast<std::uint8_t>(code);
        const float want = Float8::from_bits(bits);
        ASSERT_TRUE(same(std::bit_cast<float>(tsr::f8_to_f32_bits<mantissa>(bits)), want)) << code;
    }
    const auto expect = [](float x) {
        ASSERT_EQ(tsr::f32_bits_to_f8<mantissa>(std::bit_cast<std::uint32_t>(x)), Float8(x).bits) << x;
    };
    for (const float x : arguments<float>()) expect(x);
    // Every sign, exponent and pattern of the first bits, with the last bits that decide ties.
    for (std::uint32_t head = 0; head < 0x10000; ++head)
        for (const std::uint32_t tail : {0x0u, 0x1u, 0x8000u, 0xffffu}) expect(std::bit_cast<float>(head << 16 | tail));
}
TEST(DeviceMath, float8_e4m3) { check_float8<3, float8_e4m3>(); }
TEST(DeviceMath, float8_e5m2) { check_float8<2, float8_e5m2>(); }

}  // namespace
}  // namespace tessera
