#include "unit/interpreter/interpreter_cases.h"

#include "algorithm/graph.h"
#include "expr/expr_node.h"
#include "expr/philox.h"
#include "types/runtime_dtype.h"

#include <functional>
#include <limits>
#include <random>

// Every op row over its dtypes against formulas written here from the language's rules.
namespace tessera::interpreter_test {
namespace {

template <class T>
constexpr bool float8 = std::is_same_v<T, float8_e4m3> || std::is_same_v<T, float8_e5m2>;
template <class T>
constexpr bool half = std::is_same_v<T, float16> || std::is_same_v<T, bfloat16> || float8<T>;
template <class T>
constexpr bool real = std::is_floating_point_v<T> || half<T>;
template <class T>
DType dtype() {
    if constexpr (float8<T>)
        return std::is_same_v<T, float8_e4m3> ? DType::f8e4m3 : DType::f8e5m2;
    else if constexpr (half<T>)
        return std::is_same_v<T, float16> ? DType::f16 : DType::bf16;
    else if constexpr (std::is_floating_point_v<T>)
        return sizeof(T) == 4 ? DType::f32 : DType::f64;
    else if constexpr (std::is_same_v<T, bool>)
        return DType::bool_;
    else {
        constexpr DType is[] = {DType::i8, DType::i16, DType::i32, DType::i64},
                        us[] = {DType::u8, DType::u16, DType::u32, DType::u64};
        return (std::is_signed_v<T> ? is : us)[std::bit_width(sizeof(T)) - 1];
    }
}

/// The samples of a row in T, with the values where rules change.
template <class T>
std::vector<T> samples(const OpRow& row, int seed, size_t count) {
    std::vector<T> values;
    if constexpr (std::is_same_v<T, bool>) {
        values = {false, true, true, false};
    } else if constexpr (real<T>) {
        const double inf = std::numeric_limits<double>::infinity();
        for (const double v : {0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-30, 60000.0, inf, -inf, std::nan("")})
            values.push_back(static_cast<T>(v));
    } else {
        using L = std::numeric_limits<T>;
        for (const int v : {0, 1, 2, 3, 7, 8, 31, 63, 64}) values.push_back(static_cast<T>(v));
        values.insert(values.end(), {L::min(), L::max(), static_cast<T>(L::max() - 1), static_cast<T>(-1), static_cast<T>(-3)});
    }
    std::mt19937 random(static_cast<unsigned>(seed));
    std::uniform_real_distribution<double> draw(row.sample_low, row.sample_high);
    while (values.size() < count) {
        const double v = draw(random);
        if constexpr (real<T>)
            values.push_back(static_cast<T>(v));
        else if constexpr (std::is_same_v<T, bool>)
            values.push_back(v > 0.5);
        else
            values.push_back(static_cast<T>(std::is_unsigned_v<T> ? std::fabs(v) : v));
    }
    std::shuffle(values.begin(), values.end(), random);
    return values;
}

template <class T>
bool same(T a, T b) {
    if constexpr (real<T>) {
        const auto x = static_cast<double>(a), y = static_cast<double>(b);
        return (x != x && y != y) || (x == y && std::signbit(x) == std::signbit(y));
    } else {
        return a == b;
    }
}
template <class T>
std::string shown(T v) {
    if constexpr (half<T>)
        return std::to_string(static_cast<float>(v));
    else
        return std::to_string(v);
}

constexpr size_t count = 400;

// Compile time: what depends on the operands' type alone, on the result's type alone or on neither stands apart, since there are
// hundreds of pairs.
struct OpCase {
    std::vector<Expr> args;
    Inputs given;
    std::vector<Argument> arguments;
};

template <class T>
std::vector<std::vector<T>> operand_values(const OpRow& row, OpCase& operands) {
    const Dim i("i");
    std::vector<std::vector<T>> values;
    for (int k = 0; k < row.arity; ++k) {
        const std::string name = "x" + std::to_string(k);
        const Input in(name, dtype<T>(), {i});
        values.push_back(samples<T>(row, 17 * k + 5, count));
        operands.args.push_back(in(i));
        operands.given[name] = filled<T>({count}, values.back()).any();
        operands.arguments.emplace_back(in);
    }
    return values;
}

Algorithm one_op(const OpRow& row, Op op, DType result, const OpCase& operands) {
    Func y("y");
    const Dim i = free_dims(operands.args[0])[0];
    y(i) = row.result == Result::own ? make_op(op, result, operands.args)
                                     : build_op(op, {operands.args.begin(), operands.args.end()});
    return Algorithm({y}, operands.arguments);
}

template <class R>
std::vector<R> result_of(const Algorithm& algorithm, const OpCase& operands) {
    return run<R>(algorithm, operands.given, {count});
}

void report(const OpRow& row, DType dtype, const std::string& operands, const std::string& got, const std::string& want) {
    FAIL() << row.name << " of " << dtype_name(dtype) << ": (" << operands << ") gave " << got << ", not " << want;
}

/// Runs one op over samples and compares every element with expect(a, b, c).
template <class T, class R>
void check(Op op, const std::function<R(T, T, T)>& expect, DType result = dtype<R>()) {
    const OpRow& row = op_row(op);
    OpCase operands;
    const auto values = operand_values<T>(row, operands);
    const auto got = result_of<R>(one_op(row, op, result, operands), operands);
    for (size_t n = 0; n < count; ++n) {
        const T a = values[0][n], b = row.arity > 1 ? values[1][n] : a, c = row.arity > 2 ? values[2][n] : a;
        const R want = expect(a, b, c);
        if (!same<R>(got[n], want))
            return report(row, dtype<T>(), shown(a) + ", " + shown(b) + ", " + shown(c), shown(got[n]), shown(want));
    }
}

template <class... Ts, class Visit>
void for_types(Visit visit) {
    (visit(std::type_identity<Ts>{}), ...);
}
template <class Visit>
void for_integers(Visit visit) {
    for_types<std::int8_t, std::int16_t, std::int32_t, std::int64_t, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>(
        visit);
}
template <class Visit>
void for_floats(Visit visit) {
    for_types<float16, bfloat16, float, double>(visit);
}

using Wide = __int128;
template <class T>
T cut(Wide v) {
    return static_cast<T>(static_cast<std::uint64_t>(v));
}
Wide floor_quotient(Wide a, Wide b) {
    if (b == 0) return 0;
    return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

TEST(IntegerOps, WrapAndFloor) {
    for_integers([]<class T>(std::type_identity<T>) {
        check<T, T>(Op::add, [](T a, T b, T) { return cut<T>(Wide(a) + b); });
        check<T, T>(Op::sub, [](T a, T b, T) { return cut<T>(Wide(a) - b); });
        check<T, T>(Op::mul, [](T a, T b, T) { return cut<T>(Wide(a) * b); });
        check<T, T>(Op::neg, [](T a, T, T) { return cut<T>(-Wide(a)); });
        check<T, T>(Op::abs, [](T a, T, T) { return cut<T>(a < 0 ? -Wide(a) : Wide(a)); });
        check<T, T>(Op::div, [](T a, T b, T) { return cut<T>(floor_quotient(a, b)); });
        check<T, T>(Op::mod, [](T a, T b, T) { return b == 0 ? T{0} : cut<T>(Wide(a) - floor_quotient(a, b) * b); });
        check<T, T>(Op::min, [](T a, T b, T) { return a < b ? a : b; });
        check<T, T>(Op::max, [](T a, T b, T) { return a > b ? a : b; });
    });
}

TEST(IntegerOps, Bits) {
    for_integers([]<class T>(std::type_identity<T>) {
        constexpr int width = 8 * sizeof(T);
        check<T, T>(Op::bit_and, [](T a, T b, T) { return static_cast<T>(a & b); });
        check<T, T>(Op::bit_or, [](T a, T b, T) { return static_cast<T>(a | b); });
        check<T, T>(Op::bit_xor, [](T a, T b, T) { return static_cast<T>(a ^ b); });
        check<T, T>(Op::bit_not, [](T a, T, T) { return static_cast<T>(-Wide(a) - 1); });
        check<T, T>(Op::shl, [](T a, T b, T) {
            Wide v = a;
            if (b < 0 || Wide(b) >= width) return T{0};
            for (int k = 0; k < static_cast<int>(b); ++k) v *= 2;
            return cut<T>(v);
        });
        check<T, T>(Op::shr, [](T a, T b, T) {
            const int by = b < 0 || Wide(b) >= width ? width : static_cast<int>(b);
            Wide v = a;
            for (int k = 0; k < by; ++k) v = floor_quotient(v, 2);
            return cut<T>(v);
        });
    });
}

template <class T>
void check_comparisons() {
    check<T, bool>(Op::eq, [](T a, T b, T) { return a == b; });
    check<T, bool>(Op::ne, [](T a, T b, T) { return a != b; });
    if constexpr (!std::is_same_v<T, bool>) {
        check<T, bool>(Op::lt, [](T a, T b, T) { return a < b; });
        check<T, bool>(Op::le, [](T a, T b, T) { return a <= b; });
    }
}
TEST(Comparisons, OfEveryDtype) {
    for_integers([]<class T>(std::type_identity<T>) { check_comparisons<T>(); });
    for_floats([]<class T>(std::type_identity<T>) { check_comparisons<T>(); });
    check_comparisons<bool>();
}

TEST(Logic, OfBool) {
    check<bool, bool>(Op::and_, [](bool a, bool b, bool) { return a && b; });
    check<bool, bool>(Op::or_, [](bool a, bool b, bool) { return a || b; });
    check<bool, bool>(Op::not_, [](bool a, bool, bool) { return !a; });
}

/// The type in which a float op is computed here: wide enough that rounding its result to T is what the language asks for.
template <class T>
using Compute = std::conditional_t<half<T>, float, T>;

TEST(FloatOps, RoundOnce) {
    for_floats([]<class T>(std::type_identity<T>) {
        using W = Compute<T>;
        const auto w = [](T v) { return static_cast<W>(v); };
        check<T, T>(Op::add, [=](T a, T b, T) { return T(w(a) + w(b)); });
        check<T, T>(Op::sub, [=](T a, T b, T) { return T(w(a) - w(b)); });
        check<T, T>(Op::mul, [=](T a, T b, T) { return T(w(a) * w(b)); });
        check<T, T>(Op::div, [=](T a, T b, T) { return T(w(a) / w(b)); });
        check<T, T>(Op::neg, [=](T a, T, T) { return T(-w(a)); });
        check<T, T>(Op::abs, [=](T a, T, T) { return T(std::fabs(w(a))); });
        check<T, T>(Op::fma, [=](T a, T b, T c) { return T(std::fma(w(a), w(b), w(c))); });
        check<T, T>(Op::sqrt, [=](T a, T, T) { return T(std::sqrt(w(a))); });
        check<T, T>(Op::round, [=](T a, T, T) { return T(std::rint(w(a))); });
        check<T, T>(Op::floor, [=](T a, T, T) { return T(std::floor(w(a))); });
        check<T, T>(Op::ceil, [=](T a, T, T) { return T(std::ceil(w(a))); });
        check<T, T>(Op::trunc, [=](T a, T, T) { return T(std::trunc(w(a))); });
        check<T, bool>(Op::is_nan, [=](T a, T, T) { return std::isnan(w(a)); });
        check<T, T>(Op::mod, [=](T a, T b, T) {
            const W quotient = w(a) / w(b);
            const W whole = w(b) * std::floor(quotient);
            return T(w(a) - whole);
        });
        // NaN wins; of equal values (zeros of both signs) the right one is taken.
        check<T, T>(Op::max, [=](T a, T b, T) { return std::isnan(w(a)) ? a : std::isnan(w(b)) ? b : w(a) > w(b) ? a : b; });
        check<T, T>(Op::min, [=](T a, T b, T) { return std::isnan(w(a)) ? a : std::isnan(w(b)) ? b : w(a) < w(b) ? a : b; });
    });
}

template <class T>
double ulps(T got, double want) {
    const auto g = static_cast<double>(got), rounded = static_cast<double>(static_cast<T>(want));
    if ((std::isnan(g) && std::isnan(rounded)) || g == rounded) return 0;
    if (!std::isfinite(g) || !std::isfinite(rounded)) return 1e30;
    int exponent = 0;
    std::frexp(rounded, &exponent);
    const int digits = std::is_same_v<T, float16> ? 11 : std::is_same_v<T, bfloat16> ? 8 : std::is_same_v<T, float> ? 24 : 53;
    const int least = std::is_same_v<T, float16>  ? -24
                      : std::is_same_v<T, double> ? -1074
                      : std::is_same_v<T, float>  ? -149
                                                  : -133;
    return std::fabs(g - rounded) / std::ldexp(1.0, std::max(exponent - digits, least));
}

template <class T>
void check_near(Op op, double (*reference)(double, double)) {
    const OpRow& row = op_row(op);
    Dim i("i");
    Input x("x", dtype<T>(), {i}), y("y", dtype<T>(), {i});
    std::vector<T> a, b;
    std::mt19937 random(3);
    std::uniform_real_distribution<double> draw(row.sample_low, row.sample_high);
    for (size_t n = 0; n < count; ++n) {
        a.push_back(static_cast<T>(draw(random)));
        b.push_back(static_cast<T>(draw(random)));
    }
    Func f("f");
    f(i) = row.arity == 2 ? build_op(op, {x(i), y(i)}) : build_op(op, {x(i)});
    const std::vector<Argument> arguments = row.arity == 2 ? std::vector<Argument>{x, y} : std::vector<Argument>{x};
    Inputs given{{"x", filled<T>({count}, a).any()}};
    if (row.arity == 2) given["y"] = filled<T>({count}, b).any();
    const auto got = run<T>(Algorithm({f}, arguments), given, {count});
    for (size_t n = 0; n < count; ++n) {
        const double want = reference(static_cast<double>(a[n]), static_cast<double>(b[n]));
        ASSERT_LE(ulps<T>(got[n], want), 3) << row.name << " of " << dtype_name(dtype<T>()) << " at " << shown(a[n]) << ": "
                                            << shown(got[n]) << ", not " << want;
    }
}

TEST(MathFunctions, AreNearTheLibrarys) {
    for_floats([]<class T>(std::type_identity<T>) {
        check_near<T>(Op::exp, [](double x, double) { return std::exp(x); });
        check_near<T>(Op::exp2, [](double x, double) { return std::exp2(x); });
        check_near<T>(Op::expm1, [](double x, double) { return std::expm1(x); });
        check_near<T>(Op::log, [](double x, double) { return std::log(x); });
        check_near<T>(Op::log2, [](double x, double) { return std::log2(x); });
        check_near<T>(Op::log1p, [](double x, double) { return std::log1p(x); });
        check_near<T>(Op::sin, [](double x, double) { return std::sin(x); });
        check_near<T>(Op::cos, [](double x, double) { return std::cos(x); });
        check_near<T>(Op::tan, [](double x, double) { return std::tan(x); });
        check_near<T>(Op::asin, [](double x, double) { return std::asin(x); });
        check_near<T>(Op::acos, [](double x, double) { return std::acos(x); });
        check_near<T>(Op::atan, [](double x, double) { return std::atan(x); });
        check_near<T>(Op::atan2, [](double y, double x) { return std::atan2(y, x); });
        check_near<T>(Op::sinh, [](double x, double) { return std::sinh(x); });
        check_near<T>(Op::cosh, [](double x, double) { return std::cosh(x); });
        check_near<T>(Op::tanh, [](double x, double) { return std::tanh(x); });
        check_near<T>(Op::erf, [](double x, double) { return std::erf(x); });
        check_near<T>(Op::pow, [](double x, double y) { return std::pow(x, y); });
    });
}

/// Every number is exact in long double (64 digits), so one rounding follows.
template <class To, class From>
To cast_reference(From from, bool saturate) {
    const auto v = [&] {
        if constexpr (half<From>)
            return static_cast<long double>(static_cast<float>(from));
        else
            return static_cast<long double>(from);
    }();
    if constexpr (std::is_same_v<To, bool>)
        return v != 0;
    else if constexpr (real<To>) {
        const long double most = std::is_same_v<To, float16>       ? 65504.0L
                                 : std::is_same_v<To, bfloat16>    ? 0x1.fep127L
                                 : std::is_same_v<To, float8_e4m3> ? 448.0L
                                 : std::is_same_v<To, float8_e5m2> ? 57344.0L
                                                                   : std::numeric_limits<Compute<To>>::max();
        const long double x = saturate && v > most ? most : saturate && v < -most ? -most : v;
        if constexpr (!half<To>)
            return static_cast<To>(x);
        else {
            // Nearest by search among the neighbours of a first guess.
            if (std::isnan(x)) return static_cast<To>(std::nan(""));
            if (x == 0) return static_cast<To>(std::signbit(x) ? -0.0f : 0.0f);
            constexpr bool e4m3 = std::is_same_v<To, float8_e4m3>;
            constexpr int digits = std::is_same_v<To, float16>    ? 11
                                   : std::is_same_v<To, bfloat16> ? 8
                                   : e4m3                         ? 4
                                                                  : 3,
                          least = std::is_same_v<To, float16>    ? -24
                                  : std::is_same_v<To, bfloat16> ? -133
                                  : e4m3                         ? -9
                                                                 : -16;
            int exponent = 0;
            std::frexp(x, &exponent);
            const long double unit = std::ldexp(1.0L, std::max(exponent - digits, least));
            const long double rounded = std::isinf(x) ? x : std::nearbyint(x / unit) * unit;
            if (e4m3 && std::fabs(rounded) > most) return static_cast<To>(std::nan(""));
            if (std::fabs(rounded) > most)
                return static_cast<To>(std::copysign(std::numeric_limits<float>::infinity(), static_cast<float>(x)));
            return static_cast<To>(static_cast<float>(rounded));
        }
    } else if constexpr (real<From>) {
        using L = std::numeric_limits<To>;
        if (std::isnan(v)) return 0;
        const long double t = std::trunc(v);
        if (t <= static_cast<long double>(L::min())) return L::min();
        return t >= static_cast<long double>(L::max()) ? L::max() : static_cast<To>(t);
    } else {
        using L = std::numeric_limits<To>;
        if (saturate)
            return Wide(from) > Wide(L::max()) ? L::max() : Wide(from) < Wide(L::min()) ? L::min() : static_cast<To>(from);
        return cut<To>(Wide(from));
    }
}

template <class From>
void check_casts_from() {
    const auto to = []<class To>(std::type_identity<To>) {
        if constexpr (!std::is_same_v<From, To>) {
            check<From, To>(Op::cast, [](From a, From, From) { return cast_reference<To>(a, false); });
            check<From, To>(Op::saturate_cast, [](From a, From, From) { return cast_reference<To>(a, true); });
        }
    };
    for_integers(to);
    for_floats(to);
    for_types<float8_e4m3, float8_e5m2, bool>(to);
}
TEST(Casts, BetweenAllDtypes) {
    for_integers([]<class T>(std::type_identity<T>) { check_casts_from<T>(); });
    for_floats([]<class T>(std::type_identity<T>) { check_casts_from<T>(); });
    check_casts_from<bool>();
    check_casts_from<float8_e4m3>();
    check_casts_from<float8_e5m2>();
}

// What is added, multiplied or compared in 8 bits is added, multiplied or compared in f32 and rounded.
TEST(Float8Ops, AreThoseOfF32) {
    for_types<float8_e4m3, float8_e5m2>([]<class T>(std::type_identity<T>) {
        check<T, T>(Op::add, [](T a, T b, T) { return static_cast<T>(static_cast<float>(a) + static_cast<float>(b)); });
        check<T, T>(Op::mul, [](T a, T b, T) { return static_cast<T>(static_cast<float>(a) * static_cast<float>(b)); });
        check<T, T>(Op::div, [](T a, T b, T) { return static_cast<T>(static_cast<float>(a) / static_cast<float>(b)); });
        check<T, bool>(Op::lt, [](T a, T b, T) { return static_cast<float>(a) < static_cast<float>(b); });
        check<T, std::uint8_t>(Op::bitcast, [](T a, T, T) { return a.bits; });
        check<T, float>(Op::cast, [](T a, T, T) { return static_cast<float>(a); });
    });
}

TEST(Casts, FromDoubleToHalfRoundOnce) {
    // 1 + 2^-11 + 2^-30 is above the middle of two f16 numbers; rounding to f32 first would make it the middle, which ties down.
    const double x = 1 + 0x1p-11 + 0x1p-30;
    Dim i("i");
    Input in("in", f64, {i});
    Func y("y");
    y(i) = cast(f16, in(i));
    const auto got = run<float16>(Algorithm({y}, {in}), {{"in", filled<double>({1}, {x})}}, {1});
    EXPECT_EQ(static_cast<float>(got[0]), 1 + 0x1p-10f);
}

TEST(Bitcast, KeepsBits) {
    check<float, std::int32_t>(Op::bitcast, [](float a, float, float) { return std::bit_cast<std::int32_t>(a); });
    check<std::uint64_t, double>(Op::bitcast,
                                 [](std::uint64_t a, std::uint64_t, std::uint64_t) { return std::bit_cast<double>(a); });
    check<float16, std::int16_t>(Op::bitcast, [](float16 a, float16, float16) { return static_cast<std::int16_t>(a.bits); });
    check<std::uint16_t, bfloat16>(Op::bitcast,
                                   [](std::uint16_t a, std::uint16_t, std::uint16_t) { return bfloat16::from_bits(a); });
    check<std::uint8_t, std::int8_t>(Op::bitcast,
                                     [](std::uint8_t a, std::uint8_t, std::uint8_t) { return static_cast<std::int8_t>(a); });
}

TEST(Choice, SelectAndStraightThrough) {
    Dim i("i");
    Input a("a", f32, {i}), b("b", f32, {i});
    Func y("y");
    y(i) = select(a(i) < b(i), a(i), straight_through(b(i), a(i)));
    const auto got =
        run<float>(Algorithm({y}, {a, b}), {{"a", filled<float>({3}, {1, 5, NAN})}, {"b", filled<float>({3}, {2, 3, 4})}}, {3});
    EXPECT_EQ(got, (std::vector<float>{1, 3, 4}));
}

TEST(Random, IsPhilox) {
    Dim i("i", 50);
    Scalar seed("seed", i64);
    Func u("u"), n("n"), r("r");
    u(i) = uniform(seed, {i, 7});
    n(i) = normal(seed, {i, 7});
    r(i) = random_bits(seed, {i, 7});
    Buffer<float> us({50}), ns({50});
    Buffer<std::uint32_t> rs({50});
    evaluate(Algorithm({u, n, r}, {seed}), {{"seed", std::int64_t{42}}}, {{"u", us}, {"n", ns}, {"r", rs}});
    math::ScalarRandomBuilder b;
    for (std::int64_t k = 0; k < 50; ++k) {
        const std::int64_t key[] = {k, 7};
        EXPECT_EQ(us(k), math::uniform_f32<math::ScalarRandomBuilder>(b, 42, key));
        EXPECT_EQ(ns(k), math::normal_f32<math::ScalarRandomBuilder>(b, 42, key));
        EXPECT_EQ(rs(k), math::random_bits<math::ScalarRandomBuilder>(b, 42, key));
    }
}

TEST(OpTable, EveryScalarRowIsRun) {
    // select, straight_through and the draws stand above; every other row must be known to the evaluator for all its dtypes.
    for (const OpRow& row : op_table()) {
        if (row.operands == Operands::structural || row.result == Result::own || row.arity > 3 || row.op == Op::and_ ||
            row.op == Op::or_)
            continue;
        for (int t = 0; t <= static_cast<int>(DType::f8e5m2); ++t) {
            const auto d = static_cast<DType>(t);
            Dim i("i");
            Input x("x", d, {i});
            Func y("y");
            try {
                y(i) = build_op(row.op, std::vector<Operand>(static_cast<size_t>(row.arity), x(i)));
            } catch (const Error&) {
                continue;  // the row does not take this dtype
            }
            const AnyBuffer out(runtime_dtype(y.dtype()), {1});
            EXPECT_NO_THROW(evaluate(Algorithm({y}, {x}), {{"x", AnyBuffer(runtime_dtype(d), {1})}}, {{"y", out}}))
                << row.name << " of " << dtype_name(d);
        }
    }
}

}  // namespace
}  // namespace tessera::interpreter_test
