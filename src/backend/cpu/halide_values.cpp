// The op table in Halide expressions, bit for bit as the interpreter computes it.
#include "backend/cpu/halide_ir.h"
#include "backend/cpu/halide_math_builder.h"
#include "base/check.h"
#include "expr/op_cost.h"
#include "types/largest_value.h"

#include <tessera/float8.h>

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <unordered_map>

namespace tessera::cpu {
namespace {

using E = Halide::Expr;
using Halide::cast;
using Halide::reinterpret;
using Halide::select;
using Args = std::vector<E>;

Halide::Type unsigned_of(Halide::Type t) { return t.with_code(halide_type_uint); }
E number(Halide::Type t, double value) { return Halide::Internal::make_const(t, value); }
E integer(Halide::Type t, std::int64_t value) {
    if (t.is_uint()) return Halide::Internal::UIntImm::make(t, static_cast<std::uint64_t>(value));
    return Halide::Internal::IntImm::make(t, value);
}

// ---- narrow floats

E f16_to_f32(const E& bits) { return cast(Halide::Float(32), reinterpret(Halide::Float(16), bits)); }

// E5M2 is the upper half of a binary16, E4M3 has its digits and exponents that count from 8 further up.
E narrow_to_f32(DType from, const E& bits) {
    if (from == DType::f16) return f16_to_f32(bits);
    if (from == DType::bf16) return reinterpret(Halide::Float(32), cast(Halide::UInt(32), bits) << 16);
    const E wide = cast(Halide::UInt(16), bits);
    if (from == DType::f8e5m2) return f16_to_f32(wide << 8);
    const E magnitude = wide & integer(Halide::UInt(16), 0x7f);
    const E value =
        f16_to_f32(((wide & integer(Halide::UInt(16), 0x80)) << 8) | (magnitude << 7)) * number(Halide::Float(32), 256);
    return select(magnitude == integer(Halide::UInt(16), 0x7f),
                  reinterpret(Halide::Float(32), integer(Halide::UInt(32), 0x7fc00000)), value);
}

// Rounded as an integer where it is normal; below, by the last place of a sum with a power of two.
E f32_to_f8(DType to, const E& x) {
    const Halide::Type u32 = Halide::UInt(32);
    const bool e4m3 = to == DType::f8e4m3;
    const int digits = e4m3 ? 3 : 2, least = e4m3 ? -6 : -14, cut = 23 - digits;
    const E bits = reinterpret(u32, x), magnitude = bits & integer(u32, 0x7fffffff), one = integer(u32, 1);
    const E rounded = ((magnitude + integer(u32, (std::int64_t{1} << (cut - 1)) - 1) + ((magnitude >> cut) & one)) >> cut) -
                      integer(u32, std::int64_t{126 + least} << digits);
    const float unit = std::ldexp(1.0F, 23 - digits + least);
    const E below = reinterpret(u32, reinterpret(Halide::Float(32), magnitude) + number(Halide::Float(32), unit)) -
                    integer(u32, std::bit_cast<std::uint32_t>(unit));
    const E code = Halide::min(select(magnitude < integer(u32, std::int64_t{127 + least} << 23), below, rounded),
                               integer(u32, e4m3 ? 0x7f : 0x7c));
    const E no_number = e4m3 ? code == integer(u32, 0x7f) : magnitude > integer(u32, 0x7f800000);
    return cast(Halide::UInt(8), select(no_number, integer(u32, 0x7f), code | ((bits >> 24) & integer(u32, 0x80))));
}

E f32_to_narrow(DType to, const E& x) {
    if (is_f8(to)) return f32_to_f8(to, x);
    if (to == DType::f16) return reinterpret(Halide::UInt(16), cast(Halide::Float(16), x));
    const E bits = reinterpret(Halide::UInt(32), x);
    const E one = integer(Halide::UInt(32), 1);
    const E rounded = (bits + integer(Halide::UInt(32), 0x7fff) + ((bits >> 16) & one)) >> 16;
    const E quiet = (bits >> 16) | integer(Halide::UInt(32), 0x40);
    return cast(Halide::UInt(16), select(Comparison::is_nan(x), quiet, rounded));
}

// The f32 next to x towards zero with its last bit set where x is not an f32: rounding that again rounds once.
E f64_to_odd_f32(const E& x) {
    const E near = cast(Halide::Float(32), x);
    const E back = cast(Halide::Float(64), near);
    const E bits = reinterpret(Halide::UInt(32), near);
    const E too_far = Comparison::less(HalideMathBuilder<64>().abs(x), HalideMathBuilder<64>().abs(back));
    const E towards_zero = select(too_far, bits - integer(Halide::UInt(32), 1), bits);
    return select(Comparison::equal(back, x) || Comparison::is_nan(x), near,
                  reinterpret(Halide::Float(32), towards_zero | integer(Halide::UInt(32), 1)));
}

// Likewise for 64-bit integers, which an f64 does not hold.
E wide_integer_to_odd_f64(const E& x) {
    const Halide::Type u64 = Halide::UInt(64);
    const E bits = cast(u64, x);
    const E negative = x.type().is_int() ? x < 0 : Halide::Internal::const_false();
    const E magnitude = select(negative, integer(u64, 0) - bits, bits);
    const E sticky = select((magnitude & integer(u64, 0x7ff)) != 0, integer(u64, 1), integer(u64, 0));
    const E cut = cast(Halide::Float(64), (magnitude >> 11) | sticky) * number(Halide::Float(64), 2048);
    const E value = select(magnitude < integer(u64, std::int64_t{1} << 53), cast(Halide::Float(64), magnitude), cut);
    return select(negative, number(Halide::Float(64), 0) - value, value);
}

E to_narrow(DType from, DType to, const E& x) {
    if (from == DType::f32) return f32_to_narrow(to, x);
    if (from == DType::f64) return f32_to_narrow(to, f64_to_odd_f32(x));
    if (dtype_bits(from) <= 16 || to != DType::bf16) return f32_to_narrow(to, cast(Halide::Float(32), x));
    if (dtype_bits(from) == 32) return f32_to_narrow(to, f64_to_odd_f32(cast(Halide::Float(64), x)));
    return f32_to_narrow(to, f64_to_odd_f32(wide_integer_to_odd_f64(x)));
}

// ---- conversions

// Below 32 bits the limits are floats, so that what lies between them needs no test of its own; `>` takes NaN to 0.
E real_to_small_integer(DType to, const E& x) {
    const Halide::Type type = value_type(to), real = x.type();
    const int digits = dtype_bits(to) - (is_signed_integer(to) ? 1 : 0);
    const E low = number(real, is_unsigned(to) ? 0.0 : -std::ldexp(1.0, digits)),
            high = number(real, std::ldexp(1.0, digits) - 1);
    const E above = select(Comparison::less(low, x), x, low);
    const E converted = cast(type, cast(Halide::Int(32), select(Comparison::less(above, high), above, high)));
    return is_unsigned(to) ? converted : select(Comparison::is_nan(x), Halide::Internal::make_zero(type), converted);
}

E real_to_integer(DType to, const E& x) {
    if (dtype_bits(to) < 32) return real_to_small_integer(to, x);
    const Halide::Type type = value_type(to), real = x.type();
    const int digits = dtype_bits(to) - (is_signed_integer(to) ? 1 : 0);
    const double end = std::ldexp(1.0, digits);
    const double last =
        real.bits() == 32 ? static_cast<double>(std::nextafter(static_cast<float>(end), 0.0F)) : std::nextafter(end, 0.0);
    const double first = is_unsigned(to) ? 0.0 : -end;
    const E inside = Halide::max(Halide::min(x, number(real, last)), number(real, first));
    return select(Comparison::is_nan(x), Halide::Internal::make_zero(type), Comparison::at_most(number(real, end), x), type.max(),
                  Comparison::at_most(x, number(real, first)), type.min(), cast(type, inside));
}

E convert(DType from, DType to, const E& x) {
    if (from == to) return x;
    if (is_narrow_float(from)) {
        const E wide = narrow_to_f32(from, x);
        return to == DType::f32 ? wide : convert(DType::f32, to, wide);
    }
    if (to == DType::bool_) return Comparison::differ(x, Halide::Internal::make_zero(x.type()));
    if (is_narrow_float(to)) return to_narrow(from, to, x);
    if (is_float(from) && is_integer(to)) return real_to_integer(to, x);
    // Halide's intervals take what is cast to 32 and 64 signed bits to fit them.
    const bool wraps = is_integer(from) && is_signed_integer(to) && dtype_bits(to) >= 32 &&
                       dtype_bits(from) + (is_signed_integer(from) ? 0 : 1) > dtype_bits(to);
    if (wraps) return Halide::extract_bits(value_type(to), x, Halide::Internal::make_zero(Halide::UInt(8)));
    return cast(value_type(to), x);
}

E saturate_integer(DType from, DType to, const E& x) {
    const Halide::Type t = value_type(to), s = x.type();
    E v = x;
    if (is_signed_integer(from) && is_unsigned(to)) {
        v = Halide::max(v, Halide::Internal::make_zero(s));
        if (dtype_bits(to) < dtype_bits(from)) v = Halide::min(v, cast(s, t.max()));
        return cast(t, v);
    }
    const int from_digits = dtype_bits(from) - (is_signed_integer(from) ? 1 : 0),
              to_digits = dtype_bits(to) - (is_signed_integer(to) ? 1 : 0);
    if (from_digits > to_digits) v = Halide::min(v, cast(s, t.max()));
    if (is_signed_integer(from) && from_digits > to_digits) v = Halide::max(v, cast(s, t.min()));
    return cast(t, v);
}

E saturate(DType from, DType to, const E& x) {
    if (from == DType::bool_ || to == DType::bool_) return convert(from, to, x);
    if (is_integer(from) && is_integer(to)) return saturate_integer(from, to, x);
    if (is_integer(to)) return convert(from, to, x);
    const double highest = largest_value(to);
    const E value = convert(from, DType::f64, x);
    const E high = number(Halide::Float(64), highest), low = number(Halide::Float(64), -highest);
    return select(Comparison::less(high, value), convert(DType::f64, to, high), Comparison::less(value, low),
                  convert(DType::f64, to, low), convert(from, to, x));
}

// ---- arithmetic

// Signed overflow is undefined in Halide at 32 and 64 bits, so values wrap as unsigned ones.
template <class F>
E wrapping(const E& a, const E& b, F&& f) {
    const Halide::Type t = a.type();
    if (!t.is_int() || t.bits() < 32) return f(a, b);
    return cast(t, f(cast(unsigned_of(t), a), cast(unsigned_of(t), b)));
}

E negate(const E& a) {
    const Halide::Type t = a.type();
    if (t.is_float()) {
        const Halide::Type u = Halide::UInt(t.bits());
        return reinterpret(
            t, reinterpret(u, a) ^ integer(u, t.bits() == 32 ? 0x80000000LL : std::numeric_limits<std::int64_t>::min()));
    }
    return wrapping(Halide::Internal::make_zero(t), a, [](const E& x, const E& y) { return x - y; });
}

struct Quotient {
    E quotient, remainder;
};

// Through magnitudes: no operand traps, the lowest value divided by -1 wraps.
Quotient divide(const E& a, const E& b) {
    const Halide::Type t = a.type(), u = unsigned_of(t);
    const E zero = integer(u, 0), one = integer(u, 1);
    if (t.is_uint()) {
        const E divisor = Halide::max(b, one);
        return {select(b == zero, zero, a / divisor), select(b == zero, zero, a % divisor)};
    }
    const E ua = select(a < 0, zero - cast(u, a), cast(u, a)), ub = select(b < 0, zero - cast(u, b), cast(u, b));
    const E divisor = Halide::max(ub, one);
    const E q = ua / divisor, r = ua - q * divisor;
    const E opposite = (a < 0) != (b < 0);
    const E floored = select(opposite, zero - select(r != zero, q + one, q), q);
    const E remainder = cast(u, a) - floored * cast(u, b);
    const E none = b == Halide::Internal::make_zero(t);
    return {cast(t, select(none, zero, floored)), cast(t, select(none, zero, remainder))};
}

bool is_positive_constant(const E& b) {
    const auto value = Halide::Internal::as_const_int(b);
    return (value && *value > 0) || Halide::Internal::is_positive_const(b);
}

E floor_div(const E& a, const E& b) { return a.type().is_float() || is_positive_constant(b) ? a / b : divide(a, b).quotient; }
E floor_mod(const E& a, const E& b) {
    if (a.type().is_float()) return a - b * Halide::floor(a / b);
    return is_positive_constant(b) ? a % b : divide(a, b).remainder;
}

// A constant other than 0 and NaN equals only itself: one comparison, which is the machine's min or max, keeps NaN and every bit.
bool is_plain_constant(const E& b) {
    const auto value = Halide::Internal::as_const_float(b);
    return value && *value == *value && *value != 0;
}

E smaller(const E& a, const E& b) {
    if (!a.type().is_float()) return Halide::min(a, b);
    if (is_plain_constant(b)) return select(Comparison::less(b, a), b, a);
    return select(!Comparison::less(a, b) && !Comparison::is_nan(a), b, a);
}
E larger(const E& a, const E& b) {
    if (!a.type().is_float()) return Halide::max(a, b);
    if (is_plain_constant(b)) return select(Comparison::less(a, b), b, a);
    return select(!Comparison::less(b, a) && !Comparison::is_nan(a), b, a);
}

E fused_multiply_add(const E& a, const E& b, const E& c) {
    return a.type().bits() == 32 ? HalideMathBuilder<32>().fma(a, b, c) : HalideMathBuilder<64>().fma(a, b, c);
}

E magnitude(const E& a) {
    const Halide::Type t = a.type();
    if (t.is_float()) return t.bits() == 32 ? HalideMathBuilder<32>().abs(a) : HalideMathBuilder<64>().abs(a);
    if (t.is_uint()) return a;
    if (t.bits() < 32) return cast(t, Halide::abs(a));
    // Halide's intervals negate the lowest value, which it takes not to happen.
    return select(a < 0, negate(a), a);
}

E shift(const E& a, const E& b, bool left) {
    const Halide::Type t = a.type(), u = unsigned_of(t);
    const E count = cast(u, b), width = integer(u, t.bits()), last = integer(u, t.bits() - 1);
    const E held = Halide::min(count, last);
    if (left) return select(count < width, cast(t, cast(u, a) << held), Halide::Internal::make_zero(t));
    const E beyond = t.is_int() ? a >> last : Halide::Internal::make_zero(t);
    return select(count < width, a >> held, beyond);
}

// ---- functions

#define TESSERA_MATH_1(name)                                                                                                \
    {                                                                                                                       \
        Op::name, [](const Args& a) { return with_builder(a, [](auto& b, const Args& x) { return math::name(b, x[0]); }); } \
    }
#define TESSERA_MATH_2(name)                                                                                                \
    {                                                                                                                       \
        Op::name,                                                                                                           \
            [](const Args& a) { return with_builder(a, [](auto& b, const Args& x) { return math::name(b, x[0], x[1]); }); } \
    }

template <class F>
E with_builder(const Args& a, F&& f) {
    if (a[0].type().bits() == 32) {
        HalideMathBuilder<32> b;
        return f(b, a);
    }
    HalideMathBuilder<64> b;
    return f(b, a);
}

template <class F>
E draw(const Args& a, F&& f) {
    HalideRandomBuilder b;
    const std::array<E, 4> key{a[1], a[2], a[3], a[4]};
    return f(b, a[0], std::span<const E>(key));
}

using Rule = E (*)(const Args&);

// Every op that computes in the type of its operands.
const std::map<Op, Rule>& rules() {
    static const std::map<Op, Rule> table{
        {Op::add, [](const Args& a) { return wrapping(a[0], a[1], [](const E& x, const E& y) { return x + y; }); }},
        {Op::sub, [](const Args& a) { return wrapping(a[0], a[1], [](const E& x, const E& y) { return x - y; }); }},
        {Op::mul, [](const Args& a) { return wrapping(a[0], a[1], [](const E& x, const E& y) { return x * y; }); }},
        {Op::div, [](const Args& a) { return floor_div(a[0], a[1]); }},
        {Op::mod, [](const Args& a) { return floor_mod(a[0], a[1]); }},
        {Op::neg, [](const Args& a) { return negate(a[0]); }},
        {Op::min, [](const Args& a) { return smaller(a[0], a[1]); }},
        {Op::max, [](const Args& a) { return larger(a[0], a[1]); }},
        {Op::fma, [](const Args& a) { return fused_multiply_add(a[0], a[1], a[2]); }},
        {Op::abs, [](const Args& a) { return magnitude(a[0]); }},
        {Op::bit_and, [](const Args& a) { return a[0] & a[1]; }},
        {Op::bit_or, [](const Args& a) { return a[0] | a[1]; }},
        {Op::bit_xor, [](const Args& a) { return a[0] ^ a[1]; }},
        {Op::bit_not, [](const Args& a) { return ~a[0]; }},
        {Op::shl, [](const Args& a) { return shift(a[0], a[1], true); }},
        {Op::shr, [](const Args& a) { return shift(a[0], a[1], false); }},
        {Op::eq, [](const Args& a) { return Comparison::equal(a[0], a[1]); }},
        {Op::ne, [](const Args& a) { return Comparison::differ(a[0], a[1]); }},
        {Op::lt, [](const Args& a) { return Comparison::less(a[0], a[1]); }},
        {Op::le, [](const Args& a) { return Comparison::at_most(a[0], a[1]); }},
        {Op::and_, [](const Args& a) { return a[0] && a[1]; }},
        {Op::or_, [](const Args& a) { return a[0] || a[1]; }},
        {Op::not_, [](const Args& a) { return !a[0]; }},
        {Op::is_nan, [](const Args& a) { return Comparison::is_nan(a[0]); }},
        {Op::checked,
         [](const Args& a) {
             const char* name = a[0].type().bits() == 32 ? "tessera_checked_f32" : "tessera_checked_f64";
             return Halide::Internal::Call::make(a[0].type(), name, a, Halide::Internal::Call::PureExtern);
         }},
        {Op::round, [](const Args& a) { return Halide::round(a[0]); }},
        {Op::floor, [](const Args& a) { return Halide::floor(a[0]); }},
        {Op::ceil, [](const Args& a) { return Halide::ceil(a[0]); }},
        {Op::trunc, [](const Args& a) { return Halide::trunc(a[0]); }},
        {Op::sqrt, [](const Args& a) { return Halide::sqrt(a[0]); }},
        TESSERA_MATH_1(exp),
        TESSERA_MATH_1(exp2),
        TESSERA_MATH_1(expm1),
        TESSERA_MATH_1(log),
        TESSERA_MATH_1(log2),
        TESSERA_MATH_1(log1p),
        TESSERA_MATH_1(sin),
        TESSERA_MATH_1(cos),
        TESSERA_MATH_1(tan),
        TESSERA_MATH_1(asin),
        TESSERA_MATH_1(acos),
        TESSERA_MATH_1(atan),
        TESSERA_MATH_2(atan2),
        TESSERA_MATH_1(sinh),
        TESSERA_MATH_1(cosh),
        TESSERA_MATH_1(tanh),
        TESSERA_MATH_1(erf),
        TESSERA_MATH_2(pow),
        {Op::uniform,
         [](const Args& a) { return draw(a, [](auto& b, const E& s, auto k) { return math::uniform_f32(b, s, k); }); }},
        {Op::normal,
         [](const Args& a) { return draw(a, [](auto& b, const E& s, auto k) { return math::normal_f32(b, s, k); }); }},
        {Op::random_bits,
         [](const Args& a) { return draw(a, [](auto& b, const E& s, auto k) { return math::random_bits(b, s, k); }); }},
    };
    return table;
}
#undef TESSERA_MATH_1
#undef TESSERA_MATH_2

}  // namespace

Halide::Type value_type(DType dtype) {
    if (dtype == DType::bool_) return Halide::Bool();
    if (is_narrow_float(dtype)) return Halide::UInt(dtype_bits(dtype));
    if (is_float(dtype)) return Halide::Float(dtype_bits(dtype));
    return is_unsigned(dtype) ? Halide::UInt(dtype_bits(dtype)) : Halide::Int(dtype_bits(dtype));
}

E constant_value(DType dtype, std::uint64_t bits) {
    const Halide::Type t = value_type(dtype);
    if (is_float(dtype)) {
        const double value = std::bit_cast<double>(bits);
        switch (dtype) {
            case DType::f16: return integer(t, float16(value).bits);
            case DType::bf16: return integer(t, bfloat16(value).bits);
            case DType::f8e4m3: return integer(t, float8_e4m3(value).bits);
            case DType::f8e5m2: return integer(t, float8_e5m2(value).bits);
            default: break;
        }
        return Halide::Internal::FloatImm::make(t, value);
    }
    if (dtype == DType::bool_) return Halide::Internal::make_bool(bits != 0);
    const int cut = 64 - dtype_bits(dtype);
    if (t.is_uint()) return Halide::Internal::UIntImm::make(t, (bits << cut) >> cut);
    return Halide::Internal::IntImm::make(t, static_cast<std::int64_t>(bits << cut) >> cut);
}

E scalar_op(Op op, DType from, DType to, const Args& args) {
    if (op == Op::cast) return convert(from, to, args[0]);
    if (op == Op::saturate_cast) return saturate(from, to, args[0]);
    if (op == Op::bitcast) return reinterpret(value_type(to), args[0]);
    if (op == Op::straight_through) return args[0];
    if (op == Op::select) {
        // Where Halide trims loops to what a condition lets through, it reads a select between conditions as its last branch.
        if (args[1].type().is_bool()) return (args[0] && args[1]) || (!args[0] && args[2]);
        return Halide::Internal::Select::make(args[0], args[1], args[2]);
    }
    const auto rule = rules().find(op);
    TESSERA_CHECK(rule != rules().end(), fmt::format("the CPU backend has no {}", op_row(op).name));
    if (!is_narrow_float(from)) return rule->second(args);
    Args wide;
    for (const E& a : args) wide.push_back(narrow_to_f32(from, a));
    const E result = rule->second(wide);
    return is_narrow_float(to) ? f32_to_narrow(to, result) : result;
}

// Of Halide's operators the remainder is never negative, and both are 0 where the divisor is: its intervals follow them, as they
// do not follow divide() above. Nothing overflows in an index.
E floor_division(const E& a, const E& b) { return is_positive_constant(b) ? a / b : a / b - select(b < 0 && a % b != 0, 1, 0); }
E floor_remainder(const E& a, const E& b) { return is_positive_constant(b) ? a % b : a % b + select(b < 0 && a % b != 0, b, 0); }

E show_domain(const Halide::RDom& domain, const E& v) {
    if (!domain.defined()) return v;
    E zero = 0;
    for (int d = 0; d < domain.dimensions(); ++d) zero = zero + (domain[d] - domain[d]);
    return select(zero == 0, v, v);
}

E held_index(const E& i, const E& extent, bool edge) {
    return Halide::max(Halide::min(edge ? Halide::likely(i) : i, extent - 1), 0);
}

// The forms of Halide's BoundaryConditions: `likely` marks the interior.
E bounded_index(Boundary boundary, const E& i, const E& extent, bool edge) {
    if (boundary == Boundary::clamp || boundary == Boundary::constant) return held_index(i, extent, edge);
    E inside;
    if (boundary == Boundary::periodic)
        inside = i % extent;
    else if (boundary == Boundary::mirror) {
        const E around = i % (2 * extent);
        inside = Halide::select(around >= extent, 2 * extent - 1 - around, around);
    } else {
        const E last = extent - 1, around = i % Halide::max(2 * last, 1);
        inside = Halide::select(around > last, 2 * last - around, around);
    }
    inside = Halide::clamp(inside, 0, extent - 1);
    return Halide::select(i < 0 || i >= extent, inside, held_index(i, extent, edge));
}

Halide::Expr with_named_parts(const Expr& value, const Halide::Expr& made) {
    constexpr double large = 1000;
    constexpr double reads_of_operand = 4;  // in what a transcendental function becomes
    std::unordered_map<const ExprNode*, double> size;
    for_each_node({value}, [&](const Expr& n) {
        double sum = op_cost(*n) + 1;
        for (const Expr& a : n->args) sum += size.at(a.get()) * (op_cost(*n) >= 10 ? reads_of_operand : 1);
        size[n.get()] = sum;
    });
    return size.at(value.get()) < large ? made : Halide::Internal::common_subexpression_elimination(made);
}

}  // namespace tessera::cpu
