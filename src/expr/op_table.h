#pragma once

#include <tessera/dtype.h>

#include <cstdint>
#include <span>
#include <string_view>

namespace tessera {

/// Every kind of Expr node. The leaves and structured nodes have their meaning in expr_node.h, the scalar ops in the op table.
enum class Op : std::uint8_t {
    // leaves
    constant,
    dim,
    extent,
    variable,
    // structured
    access,
    reduce,
    scan,
    scatter,
    // conversions and choice
    cast,
    saturate_cast,
    bitcast,
    select,
    straight_through,
    // arithmetic
    add,
    sub,
    mul,
    div,
    mod,
    neg,
    min,
    max,
    fma,
    abs,
    // bits
    bit_and,
    bit_or,
    bit_xor,
    bit_not,
    shl,
    shr,
    // comparisons and logic
    eq,
    ne,
    lt,
    le,
    and_,
    or_,
    not_,
    is_nan,
    // floats
    round,
    floor,
    ceil,
    trunc,
    sqrt,
    // functions with a shared definition (math_definitions.h)
    exp,
    exp2,
    expm1,
    log,
    log2,
    log1p,
    sin,
    cos,
    tan,
    asin,
    acos,
    atan,
    atan2,
    sinh,
    cosh,
    tanh,
    erf,
    pow,
    // random numbers: args = seed, k0..k3 (all i64)
    uniform,
    normal,
    random_bits,
    // promises
    checked,
};
inline constexpr int op_count = static_cast<int>(Op::checked) + 1;

/// Which operand dtypes an op takes.
enum class Operands : std::uint8_t { any, numeric, integer, floating, boolean, structural };
/// The dtype of the result.
enum class Result : std::uint8_t { same, boolean, f32, u32, own };

struct OpRow {
    Op op;
    std::string_view name;  // in canonical text
    int arity;              // -1: structured
    Operands operands;
    Result result;
    double sample_low, sample_high;  // operand values that tests and fuzzers draw
    std::string_view doc;
};
[[nodiscard]] const OpRow& op_row(Op op);
[[nodiscard]] std::span<const OpRow> op_table();
[[nodiscard]] inline bool is_scalar_op(Op op) { return op >= Op::cast; }
/// exp … pow: computed by a shared definition.
[[nodiscard]] inline bool is_math_function(Op op) { return op >= Op::exp && op <= Op::pow; }

}  // namespace tessera
