#include "backend/interpreter/scalar_ops.h"

#include "base/check.h"
#include "expr/philox.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <span>
#include <utility>

namespace tessera::interpreter {
namespace {

template <class T>
Working<T> operand(Bits bits) {
    return static_cast<Working<T>>(from_bits<T>(bits));
}
template <class T>
Bits result(Working<T> value) {
    return to_bits(static_cast<T>(value));
}

template <auto function, class T>
Bits unary(const Bits* a) {
    return result<T>(function(operand<T>(a[0])));
}
template <auto function, class T>
Bits binary(const Bits* a) {
    return result<T>(function(operand<T>(a[0]), operand<T>(a[1])));
}
template <auto function, class T>
Bits predicate(const Bits* a) {
    return function(operand<T>(a[0]), operand<T>(a[1])) ? 1 : 0;
}

// Integers are computed in 64 bits, where + - * wrap, and cut to the dtype.
template <class W>
std::uint64_t wide(W value) {
    return static_cast<std::uint64_t>(value);
}

template <class W>
struct Arithmetic {
    static constexpr bool real = std::is_floating_point_v<W>;
    static constexpr int width = static_cast<int>(8 * sizeof(W));

    static W add(W a, W b) {
        if constexpr (real)
            return a + b;
        else
            return static_cast<W>(wide(a) + wide(b));
    }
    static W sub(W a, W b) {
        if constexpr (real)
            return a - b;
        else
            return static_cast<W>(wide(a) - wide(b));
    }
    static W mul(W a, W b) {
        if constexpr (real)
            return a * b;
        else
            return static_cast<W>(wide(a) * wide(b));
    }
    static W neg(W a) {
        if constexpr (real)
            return -a;
        else
            return static_cast<W>(0 - wide(a));
    }
    static W div(W a, W b) {
        if constexpr (real)
            return a / b;
        else if constexpr (std::is_unsigned_v<W>)
            return b == 0 ? W{0} : static_cast<W>(a / b);
        else {
            if (b == 0) return 0;
            if (b == -1) return neg(a);
            const auto quotient = static_cast<W>(a / b);
            return a % b != 0 && (a < 0) != (b < 0) ? static_cast<W>(quotient - 1) : quotient;
        }
    }
    static W mod(W a, W b) {
        if constexpr (real)
            return a - b * std::floor(a / b);
        else
            return b == 0 ? W{0} : sub(a, mul(b, div(a, b)));
    }
    static W min(W a, W b) { return (a < b || a != a) ? a : b; }
    static W max(W a, W b) { return (a > b || a != a) ? a : b; }
    static W abs(W a) {
        if constexpr (real)
            return std::fabs(a);
        else if constexpr (std::is_unsigned_v<W>)
            return a;
        else
            return a < 0 ? neg(a) : a;
    }
    static W bit_and(W a, W b) { return static_cast<W>(a & b); }
    static W bit_or(W a, W b) { return static_cast<W>(a | b); }
    static W bit_xor(W a, W b) { return static_cast<W>(a ^ b); }
    static W bit_not(W a) { return static_cast<W>(~a); }
    static bool outside_width(W b) {
        if constexpr (std::is_signed_v<W>)
            if (b < 0) return true;
        return wide(b) >= static_cast<std::uint64_t>(width);
    }
    static W shl(W a, W b) { return outside_width(b) ? W{0} : static_cast<W>(wide(a) << b); }
    static W shr(W a, W b) {
        if (!outside_width(b)) return static_cast<W>(a >> b);
        if constexpr (std::is_unsigned_v<W>)
            return 0;
        else
            return static_cast<W>(a >> (width - 1));
    }
    static bool eq(W a, W b) { return a == b; }
    static bool ne(W a, W b) { return a != b; }
    static bool lt(W a, W b) { return a < b; }
    static bool le(W a, W b) { return a <= b; }
};

template <class T>
ScalarFunction number_function(Op op) {
    using A = Arithmetic<Working<T>>;
    switch (op) {
        case Op::add: return &binary<&A::add, T>;
        case Op::sub: return &binary<&A::sub, T>;
        case Op::mul: return &binary<&A::mul, T>;
        case Op::div: return &binary<&A::div, T>;
        case Op::mod: return &binary<&A::mod, T>;
        case Op::neg: return &unary<&A::neg, T>;
        case Op::min: return &binary<&A::min, T>;
        case Op::max: return &binary<&A::max, T>;
        case Op::abs: return &unary<&A::abs, T>;
        case Op::lt: return &predicate<&A::lt, T>;
        case Op::le: return &predicate<&A::le, T>;
        default: return nullptr;
    }
}

template <class T>
ScalarFunction integer_function(Op op) {
    using A = Arithmetic<T>;
    switch (op) {
        case Op::bit_and: return &binary<&A::bit_and, T>;
        case Op::bit_or: return &binary<&A::bit_or, T>;
        case Op::bit_xor: return &binary<&A::bit_xor, T>;
        case Op::bit_not: return &unary<&A::bit_not, T>;
        case Op::shl: return &binary<&A::shl, T>;
        case Op::shr: return &binary<&A::shr, T>;
        default: return nullptr;
    }
}

template <class W>
struct Real {
    using B = math::ScalarBuilder<W>;
    static W round(W x) { return std::nearbyint(x); }
    static W floor(W x) { return std::floor(x); }
    static W ceil(W x) { return std::ceil(x); }
    static W trunc(W x) { return std::trunc(x); }
    static W sqrt(W x) { return std::sqrt(x); }
#define TESSERA_MATH_1(name)     \
    static W name(W x) {         \
        B b;                     \
        return math::name(b, x); \
    }
#define TESSERA_MATH_2(name)        \
    static W name(W x, W y) {       \
        B b;                        \
        return math::name(b, x, y); \
    }
    TESSERA_MATH_1(exp)
    TESSERA_MATH_1(exp2)
    TESSERA_MATH_1(expm1)
    TESSERA_MATH_1(log)
    TESSERA_MATH_1(log2)
    TESSERA_MATH_1(log1p)
    TESSERA_MATH_1(sin)
    TESSERA_MATH_1(cos)
    TESSERA_MATH_1(tan)
    TESSERA_MATH_1(asin)
    TESSERA_MATH_1(acos)
    TESSERA_MATH_1(atan)
    TESSERA_MATH_2(atan2)
    TESSERA_MATH_1(sinh)
    TESSERA_MATH_1(cosh)
    TESSERA_MATH_1(tanh)
    TESSERA_MATH_1(erf)
    TESSERA_MATH_2(pow)
#undef TESSERA_MATH_1
#undef TESSERA_MATH_2
};

template <class T>
Bits fused_multiply_add(const Bits* a) {
    return result<T>(std::fma(operand<T>(a[0]), operand<T>(a[1]), operand<T>(a[2])));
}
template <class T>
Bits not_a_number(const Bits* a) {
    const auto x = operand<T>(a[0]);
    return x != x ? 1 : 0;
}

template <class T>
ScalarFunction float_function(Op op) {
    using R = Real<Working<T>>;
    switch (op) {
        case Op::fma: return &fused_multiply_add<T>;
        case Op::is_nan: return &not_a_number<T>;
        case Op::round: return &unary<&R::round, T>;
        case Op::floor: return &unary<&R::floor, T>;
        case Op::ceil: return &unary<&R::ceil, T>;
        case Op::trunc: return &unary<&R::trunc, T>;
        case Op::sqrt: return &unary<&R::sqrt, T>;
        case Op::exp: return &unary<&R::exp, T>;
        case Op::exp2: return &unary<&R::exp2, T>;
        case Op::expm1: return &unary<&R::expm1, T>;
        case Op::log: return &unary<&R::log, T>;
        case Op::log2: return &unary<&R::log2, T>;
        case Op::log1p: return &unary<&R::log1p, T>;
        case Op::sin: return &unary<&R::sin, T>;
        case Op::cos: return &unary<&R::cos, T>;
        case Op::tan: return &unary<&R::tan, T>;
        case Op::asin: return &unary<&R::asin, T>;
        case Op::acos: return &unary<&R::acos, T>;
        case Op::atan: return &unary<&R::atan, T>;
        case Op::atan2: return &binary<&R::atan2, T>;
        case Op::sinh: return &unary<&R::sinh, T>;
        case Op::cosh: return &unary<&R::cosh, T>;
        case Op::tanh: return &unary<&R::tanh, T>;
        case Op::erf: return &unary<&R::erf, T>;
        case Op::pow: return &binary<&R::pow, T>;
        default: return nullptr;
    }
}

// ---- conversions

template <class To, class From>
To real_to_integer(From x) {
    if (x != x) return 0;
    constexpr int digits = std::numeric_limits<To>::digits;
    const From end = static_cast<From>(std::ldexp(1.0, digits));
    if (x >= end) return std::numeric_limits<To>::max();
    if constexpr (std::is_unsigned_v<To>) {
        if (x <= 0) return 0;
    } else {
        if (x <= -end) return std::numeric_limits<To>::min();
    }
    return static_cast<To>(x);
}

template <class To, class From>
To converted(From x) {
    if constexpr (std::is_same_v<To, bool>)
        return x != 0;
    else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>)
        return real_to_integer<To>(x);
    else if constexpr (std::is_same_v<From, bool>)
        return static_cast<To>(static_cast<int>(x));
    else
        return static_cast<To>(x);  // 16-bit floats round once from every type
}

template <class To, class From>
To saturated(From x) {
    if constexpr (std::is_same_v<To, bool> || std::is_same_v<From, bool>)
        return converted<To>(x);
    else if constexpr (std::is_integral_v<To> && std::is_integral_v<From>) {
        using Limits = std::numeric_limits<To>;
        if (std::cmp_greater(x, Limits::max())) return Limits::max();
        return std::cmp_less(x, Limits::min()) ? Limits::min() : static_cast<To>(x);
    } else if constexpr (std::is_integral_v<To>)
        return converted<To>(x);
    else {
        constexpr double highest_f16 = 65504, highest_bf16 = 0x1.fep127, highest_e4m3 = 448, highest_e5m2 = 57344;
        const double highest = std::is_same_v<To, float16>       ? highest_f16
                               : std::is_same_v<To, bfloat16>    ? highest_bf16
                               : std::is_same_v<To, float8_e4m3> ? highest_e4m3
                               : std::is_same_v<To, float8_e5m2> ? highest_e5m2
                               : std::is_same_v<To, float>       ? static_cast<double>(std::numeric_limits<float>::max())
                                                                 : std::numeric_limits<double>::max();
        const auto value = static_cast<double>(x);
        if (value > highest) return static_cast<To>(highest);
        if (value < -highest) return static_cast<To>(-highest);
        return converted<To>(x);
    }
}

template <class From, class To, bool saturate>
Bits conversion(const Bits* a) {
    const Working<From> x = operand<From>(a[0]);
    if constexpr (saturate)
        return to_bits(saturated<To>(x));
    else
        return to_bits(converted<To>(x));
}

template <bool saturate>
ScalarFunction conversion_function(DType from, DType to) {
    return with_type(from, [&]<class From>(std::type_identity<From>) {
        return with_type(to, [&]<class To>(std::type_identity<To>) -> ScalarFunction { return &conversion<From, To, saturate>; });
    });
}

template <class To>
Bits same_bits(const Bits* a) {
    return to_bits(from_bits<To>(a[0]));
}
Bits first(const Bits* a) { return a[0]; }
Bits negation(const Bits* a) { return a[0] == 0 ? 1 : 0; }

// ---- random numbers

enum class Draw { uniform, normal, bits };
template <Draw draw>
Bits random(const Bits* a) {
    math::ScalarRandomBuilder b;
    std::int64_t key[4];
    for (int i = 0; i < 4; ++i) key[i] = static_cast<std::int64_t>(a[i + 1]);
    const std::span<const std::int64_t> keys(key);
    const auto seed = static_cast<std::int64_t>(a[0]);
    if constexpr (draw == Draw::uniform)
        return to_bits(math::uniform_f32(b, seed, keys));
    else if constexpr (draw == Draw::normal)
        return to_bits(math::normal_f32(b, seed, keys));
    else
        return to_bits(math::random_bits(b, seed, keys));
}

template <class T>
Bits checked_value(const Bits* a) {
    const double error = static_cast<double>(from_bits<T>(a[1])), most = static_cast<double>(from_bits<T>(a[2]));
    if (!(error <= most))
        throw Error(E0713_unconverged, {},
                    fmt::format("a solve did not converge: its residual is {:g}, above the tolerance {:g}", error, most),
                    {expected(fmt::format("at most {:g}", most)), received(fmt::format("{:g}", error)),
                     fix("allow more iterations, or a larger tolerance"), fix("start nearer to the solution")});
    return a[0];
}

template <class T>
ScalarFunction typed_function(Op op) {
    using A = Arithmetic<Working<T>>;
    if (op == Op::eq) return &predicate<&A::eq, T>;
    if (op == Op::ne) return &predicate<&A::ne, T>;
    if (op == Op::checked) return &checked_value<T>;
    if constexpr (!std::is_same_v<T, bool>) {
        if (const ScalarFunction f = number_function<T>(op)) return f;
        if constexpr (std::is_integral_v<T>)
            return integer_function<T>(op);
        else
            return float_function<T>(op);
    }
    return nullptr;
}

}  // namespace

ScalarFunction scalar_function(Op op, DType operand, DType result) {
    ScalarFunction function = nullptr;
    switch (op) {
        case Op::cast: function = conversion_function<false>(operand, result); break;
        case Op::saturate_cast: function = conversion_function<true>(operand, result); break;
        case Op::bitcast:
            function = with_type(result, []<class T>(std::type_identity<T>) -> ScalarFunction { return &same_bits<T>; });
            break;
        case Op::straight_through: function = &first; break;
        case Op::not_: function = &negation; break;
        case Op::uniform: function = &random<Draw::uniform>; break;
        case Op::normal: function = &random<Draw::normal>; break;
        case Op::random_bits: function = &random<Draw::bits>; break;
        default: function = with_type(operand, [&]<class T>(std::type_identity<T>) { return typed_function<T>(op); });
    }
    TESSERA_CHECK(function != nullptr, fmt::format("the interpreter has no {} of {}", op_row(op).name, dtype_name(operand)));
    return function;
}

LoadFunction load_function(DType dtype) {
    return with_type(dtype, []<class T>(std::type_identity<T>) -> LoadFunction {
        return [](const void* memory, std::int64_t element) {
            if constexpr (std::is_same_v<T, bool>)
                return Bits{static_cast<const std::uint8_t*>(memory)[element] != 0};
            else
                return to_bits(static_cast<const T*>(memory)[element]);
        };
    });
}
StoreFunction store_function(DType dtype) {
    return with_type(dtype, []<class T>(std::type_identity<T>) -> StoreFunction {
        return [](void* memory, std::int64_t element, Bits value) { static_cast<T*>(memory)[element] = from_bits<T>(value); };
    });
}

Bits constant_value(DType dtype, std::uint64_t bits) {
    return scalar_function(Op::cast, is_float(dtype) ? DType::f64 : DType::i64, dtype)(&bits);
}

std::string value_text(DType dtype, Bits value) {
    return with_type(dtype, [&]<class T>(std::type_identity<T>) {
        if constexpr (is_narrow<T>)
            return fmt::format("{}", static_cast<float>(from_bits<T>(value)));
        else if constexpr (std::is_integral_v<T> && sizeof(T) == 1 && !std::is_same_v<T, bool>)
            return fmt::format("{}", static_cast<int>(from_bits<T>(value)));
        else
            return fmt::format("{}", from_bits<T>(value));
    });
}

tessera_dtype buffer_dtype(DType dtype) {
    return with_type(dtype, []<class T>(std::type_identity<T>) { return dtype_of<T>; });
}

}  // namespace tessera::interpreter
