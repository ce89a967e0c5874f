#include "expr/op_table.h"

#include <array>

namespace tessera {
namespace {

using enum Operands;

constexpr std::array<OpRow, op_count> table{{
    {Op::constant, "constant", -1, structural, Result::own, 0, 0, "a literal of a dtype"},
    {Op::dim, "dim", -1, structural, Result::own, 0, 0, "the index of a dim"},
    {Op::extent, "extent", -1, structural, Result::own, 0, 0, "the extent of a dim"},
    {Op::variable, "variable", -1, structural, Result::own, 0, 0, "a bound value: a monoid's operand, a loop, a placeholder"},
    {Op::access, "access", -1, structural, Result::own, 0, 0, "a read of an input or a definition"},
    {Op::reduce, "reduce", -1, structural, Result::own, 0, 0, "a combination over dims"},
    {Op::scan, "scan", -1, structural, Result::own, 0, 0, "a running combination along a dim"},
    {Op::scatter, "scatter", -1, structural, Result::own, 0, 0, "a combination into data-dependent places"},
    {Op::cast, "cast", 1, any, Result::own, -100, 100, "conversion; integers wrap, float to integer truncates and saturates"},
    {Op::saturate_cast, "saturate_cast", 1, any, Result::own, -1000, 1000, "conversion that clamps to the range"},
    {Op::bitcast, "bitcast", 1, any, Result::own, -100, 100, "the same bits"},
    {Op::select, "select", 3, any, Result::own, -10, 10, "second operand where the first holds, else the third"},
    {Op::straight_through, "straight_through", 2, any, Result::same, -10, 10, "value of the first, derivative of the second"},
    {Op::add, "add", 2, numeric, Result::same, -100, 100, "a + b"},
    {Op::sub, "sub", 2, numeric, Result::same, -100, 100, "a - b"},
    {Op::mul, "mul", 2, numeric, Result::same, -100, 100, "a * b"},
    {Op::div, "div", 2, numeric, Result::same, -100, 100, "a / b; floor for integers, x/0 = 0 there"},
    {Op::mod, "mod", 2, numeric, Result::same, -100, 100, "a - b*floor(a/b); integers: x%0 = 0"},
    {Op::neg, "neg", 1, numeric, Result::same, -100, 100, "-a"},
    {Op::min, "min", 2, numeric, Result::same, -100, 100, "the smaller; NaN when either is"},
    {Op::max, "max", 2, numeric, Result::same, -100, 100, "the larger; NaN when either is"},
    {Op::fma, "fma", 3, floating, Result::same, -100, 100, "a*b + c rounded once"},
    {Op::abs, "abs", 1, numeric, Result::same, -100, 100, "absolute value; wraps on the lowest integer"},
    {Op::bit_and, "bit_and", 2, integer, Result::same, -100, 100, "bitwise and"},
    {Op::bit_or, "bit_or", 2, integer, Result::same, -100, 100, "bitwise or"},
    {Op::bit_xor, "bit_xor", 2, integer, Result::same, -100, 100, "bitwise exclusive or"},
    {Op::bit_not, "bit_not", 1, integer, Result::same, -100, 100, "bitwise not"},
    {Op::shl, "shl", 2, integer, Result::same, 0, 40, "shift left; 0 when b < 0 or b >= width"},
    {Op::shr, "shr", 2, integer, Result::same, 0, 40,
     "shift right, arithmetic for signed; as by width - 1 or 0 when b is outside"},
    {Op::eq, "eq", 2, any, Result::boolean, -3, 3, "a == b"},
    {Op::ne, "ne", 2, any, Result::boolean, -3, 3, "a != b"},
    {Op::lt, "lt", 2, numeric, Result::boolean, -3, 3, "a < b"},
    {Op::le, "le", 2, numeric, Result::boolean, -3, 3, "a <= b"},
    {Op::and_, "and", 2, boolean, Result::boolean, 0, 1, "both"},
    {Op::or_, "or", 2, boolean, Result::boolean, 0, 1, "either"},
    {Op::not_, "not", 1, boolean, Result::boolean, 0, 1, "not"},
    {Op::is_nan, "is_nan", 1, floating, Result::boolean, -3, 3, "is not a number"},
    {Op::round, "round", 1, floating, Result::same, -100, 100, "nearest integral value, ties to even"},
    {Op::floor, "floor", 1, floating, Result::same, -100, 100, "largest integral value not above"},
    {Op::ceil, "ceil", 1, floating, Result::same, -100, 100, "smallest integral value not below"},
    {Op::trunc, "trunc", 1, floating, Result::same, -100, 100, "integral part"},
    {Op::sqrt, "sqrt", 1, floating, Result::same, 0, 100, "square root, correctly rounded"},
    {Op::exp, "exp", 1, floating, Result::same, -8, 8, "e^x"},
    {Op::exp2, "exp2", 1, floating, Result::same, -8, 8, "2^x"},
    {Op::expm1, "expm1", 1, floating, Result::same, -8, 8, "e^x - 1"},
    {Op::log, "log", 1, floating, Result::same, 0.01, 100, "natural logarithm"},
    {Op::log2, "log2", 1, floating, Result::same, 0.01, 100, "logarithm to base 2"},
    {Op::log1p, "log1p", 1, floating, Result::same, -0.9, 100, "log(1 + x)"},
    {Op::sin, "sin", 1, floating, Result::same, -10, 10, "sine"},
    {Op::cos, "cos", 1, floating, Result::same, -10, 10, "cosine"},
    {Op::tan, "tan", 1, floating, Result::same, -1.5, 1.5, "tangent"},
    {Op::asin, "asin", 1, floating, Result::same, -1, 1, "arc sine"},
    {Op::acos, "acos", 1, floating, Result::same, -1, 1, "arc cosine"},
    {Op::atan, "atan", 1, floating, Result::same, -10, 10, "arc tangent"},
    {Op::atan2, "atan2", 2, floating, Result::same, -10, 10, "angle of the point (b, a)"},
    {Op::sinh, "sinh", 1, floating, Result::same, -8, 8, "hyperbolic sine"},
    {Op::cosh, "cosh", 1, floating, Result::same, -8, 8, "hyperbolic cosine"},
    {Op::tanh, "tanh", 1, floating, Result::same, -4, 4, "hyperbolic tangent"},
    {Op::erf, "erf", 1, floating, Result::same, -4, 4, "error function"},
    {Op::pow, "pow", 2, floating, Result::same, 0.01, 8, "a^b"},
    {Op::uniform, "uniform", 5, integer, Result::f32, 0, 1000, "uniform in [0, 1) of seed and four keys"},
    {Op::normal, "normal", 5, integer, Result::f32, 0, 1000, "standard normal of seed and four keys"},
    {Op::random_bits, "random_bits", 5, integer, Result::u32, 0, 1000, "32 random bits of seed and four keys"},
    {Op::checked, "checked", 3, floating, Result::same, 0, 0,
     "the first; E0713 at run time unless the second is at most the third"},
}};

constexpr bool rows_are_in_order() {
    for (int i = 0; i < op_count; ++i)
        if (static_cast<int>(table[i].op) != i || table[i].doc.empty()) return false;
    return true;
}
static_assert(rows_are_in_order());

}  // namespace

const OpRow& op_row(Op op) { return table[static_cast<size_t>(op)]; }
std::span<const OpRow> op_table() { return table; }

}  // namespace tessera
