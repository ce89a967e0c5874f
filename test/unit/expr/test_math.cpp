#include <gtest/gtest.h>

#include <random>

#include "expr/math_bounds.h"
#include "unit/expr/math_accuracy.h"

namespace tessera::math_test {
namespace {

template <class T>
double bound(std::string_view name) {
    for (const math::MathBound& row : math::math_bounds)
        if (row.name == name) return sizeof(T) == 4 ? row.f32_ulp : row.f64_ulp;
    ADD_FAILURE() << "no bound for " << name;
    return 0;
}

/// Zeros, ones, limits, subnormals, infinities, NaN and neighbours of the places where a definition changes branch.
template <class T>
std::vector<T> special_values() {
    using L = std::numeric_limits<T>;
    std::vector<T> positive = {0,
                               L::denorm_min(),
                               L::min() / 2,
                               L::min(),
                               L::epsilon(),
                               T(0.25),
                               T(0.5),
                               T(0.5625),
                               T(0.625),
                               T(0.75),
                               1,
                               T(1.5),
                               2,
                               3,
                               4,
                               T(0.6931471805599453),
                               T(1.5707963267948966),
                               T(3.141592653589793),
                               17,
                               89,
                               104,
                               709,
                               745,
                               4194303,
                               L::max() / 2,
                               L::max(),
                               L::infinity(),
                               L::quiet_NaN(),
                               1 / L::epsilon(),
                               2 / L::epsilon() + 1};
    std::vector<T> values;
    for (T v : positive)
        for (T near : {v, std::nextafter(v, T(0)), std::nextafter(v, L::infinity())}) values.insert(values.end(), {near, -near});
    return values;
}

template <class T>
Reference<T> expected(const Unary<T>& f, T x) {
    const bool inside = std::isnan(x) || std::fabs(x) <= f.range;
    return inside ? f.reference(x) : std::numeric_limits<Reference<T>>::quiet_NaN();
}

template <class T>
void check(const Unary<T>& f, T x, double limit) {
    const T got = f.function(x);
    const double error = ulp_error<T>(got, expected(f, x));
    ASSERT_LE(error, limit) << f.name << "(" << x << ") = " << got << ", exact " << static_cast<double>(expected(f, x));
}

template <class T>
class MathSpecial : public testing::Test {};
using Both = testing::Types<float, double>;
TYPED_TEST_SUITE(MathSpecial, Both);

TYPED_TEST(MathSpecial, UnaryValuesFollowC99) {
    for (const auto& f : unary_functions<TypeParam>())
        for (TypeParam x : special_values<TypeParam>()) check(f, x, bound<TypeParam>(f.name));
}

TYPED_TEST(MathSpecial, BinaryValuesFollowC99) {
    const auto values = special_values<TypeParam>();
    for (const auto& f : binary_functions<TypeParam>())
        for (TypeParam x : values)
            for (TypeParam y : values)
                ASSERT_LE(ulp_error<TypeParam>(f.function(x, y), f.reference(x, y)), bound<TypeParam>(f.name))
                    << f.name << "(" << x << ", " << y << ") = " << f.function(x, y);
}

TYPED_TEST(MathSpecial, PowOfWholeNumbersHasTheSign) {
    math::ScalarBuilder<TypeParam> b;
    EXPECT_EQ(math::pow(b, TypeParam(-3), TypeParam(3)), TypeParam(-27));
    EXPECT_EQ(math::pow(b, TypeParam(-3), TypeParam(4)), TypeParam(81));
    EXPECT_TRUE(std::isnan(math::pow(b, TypeParam(-3), TypeParam(0.5))));
    EXPECT_EQ(math::pow(b, TypeParam(-1), std::numeric_limits<TypeParam>::infinity()), TypeParam(1));
}

// Every float when run by math_exhaustive; here one in 4093 (a prime, so that every exponent and many mantissas occur).
TEST(MathAccuracy, UnaryF32IsWithinItsBound) {
    for (const auto& f : unary_functions<float>()) {
        const double limit = bound<float>(f.name);
        for (std::uint64_t i = 0; i < (1ull << 32); i += 4093)
            check(f, std::bit_cast<float>(static_cast<std::uint32_t>(i)), limit);
    }
}

// Where a reduction of the angle with one rounding more is off by more than 2 ulp, found by math_exhaustive.
TEST(MathAccuracy, HardAnglesAreWithinTheBound) {
    for (const auto& f : unary_functions<float>()) {
        if (std::isinf(f.range)) continue;
        for (float x : {0x1.ed03ecp+18f, 0x1.f9e214p+19f, 0x1.62e144p+19f, 0x1.4f7898p+13f, 0x1.e8d39p+15f, 0x1p20f})
            check(f, x, bound<float>(f.name));
    }
}

TEST(MathAccuracy, UnaryF64IsWithinItsBound) {
    std::mt19937_64 random(11);
    for (const auto& f : unary_functions<double>()) {
        const double limit = bound<double>(f.name);
        for (int i = 0; i < 30000; ++i) {
            const double mantissa = std::ldexp(static_cast<double>(static_cast<std::int64_t>(random())), -63);
            check(f, mantissa, limit);
            check(f, mantissa * 750, limit);
            check(f, mantissa * 0x1p45, limit);
            check(f, std::bit_cast<double>(random()), limit);
        }
    }
}

template <class T>
void check_random_pairs() {
    std::mt19937_64 random(13);
    const auto unit = [&] { return std::ldexp(static_cast<double>(random() >> 11), -53); };
    for (const auto& f : binary_functions<T>()) {
        const double limit = bound<T>(f.name);
        for (int i = 0; i < 100000; ++i) {
            const T x = static_cast<T>(std::exp(unit() * 40 - 20)), y = static_cast<T>((unit() - 0.5) * 60);
            ASSERT_LE(ulp_error<T>(f.function(x, y), f.reference(x, y)), limit) << f.name << "(" << x << ", " << y << ")";
            const T base = static_cast<T>(1 + (unit() - 0.5) * 0.01), large = static_cast<T>((unit() - 0.5) * 30000);
            ASSERT_LE(ulp_error<T>(f.function(base, large), f.reference(base, large)), limit)
                << f.name << "(" << base << ", " << large << ")";
        }
    }
}

TEST(MathAccuracy, BinaryF32IsWithinItsBound) { check_random_pairs<float>(); }
TEST(MathAccuracy, BinaryF64IsWithinItsBound) { check_random_pairs<double>(); }

// Recorded bits: whatever evaluates the definitions must give them exactly.
TEST(MathBits, AreTheSameEverywhere) {
    math::ScalarBuilder<float> f;
    math::ScalarBuilder<double> d;
    EXPECT_EQ(std::bit_cast<std::uint32_t>(math::exp(f, 1.5f)), 0x408f69ffu);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(math::tanh(f, 0.75f)), 0x3f22991fu);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(math::pow(f, 2.5f, 3.25f)), 0x419d2ddfu);
    EXPECT_EQ(std::bit_cast<std::uint64_t>(math::exp(d, 1.5)), 0x4011ed3fe64fc541ull);
    EXPECT_EQ(std::bit_cast<std::uint64_t>(math::sin(d, 1234.5)), 0x3fc29c531dfd031bull);
}

}  // namespace
}  // namespace tessera::math_test
