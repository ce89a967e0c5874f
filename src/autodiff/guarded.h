#pragma once

#include "expr/expr_node.h"

namespace tessera {

/// The dtype in which derivatives of a value are added up: f32 for the 16-bit floats, else its own.
[[nodiscard]] DType derivative_dtype(DType dtype);

/// A derivative as a symbol: zero (no value), or `value` where `condition` holds and zero elsewhere. An undefined condition
/// always holds. `value` may only be evaluated where the condition holds.
struct Guarded {
    Expr condition, value;

    [[nodiscard]] bool zero() const { return !value.defined(); }
    [[nodiscard]] bool always() const { return !condition.defined(); }
    /// As one Expr: a select around the value where there is a condition; undefined for zero.
    [[nodiscard]] Expr expr() const;
};

/// `g` where `condition` holds and then its own one, which is only evaluated there.
[[nodiscard]] Guarded under(const Expr& condition, const Guarded& g);
/// The other way round: a select with 0 becomes its condition, so that deltas are solved together with the index they stand by.
[[nodiscard]] Guarded as_guarded(const Expr& e);

[[nodiscard]] Guarded added(const Guarded& a, const Guarded& b);
/// Where `condition` holds as well; an undefined condition changes nothing.
[[nodiscard]] Guarded restricted(const Guarded& g, const Expr& condition);

// Arithmetic that leaves out what does nothing. Operands have one dtype; an undefined summand is zero.
[[nodiscard]] Expr sum_of(const Expr& a, const Expr& b);
[[nodiscard]] Expr product_of(const Expr& a, const Expr& b);
[[nodiscard]] Expr quotient_of(const Expr& a, const Expr& b);
[[nodiscard]] Expr negative_of(const Expr& a);
[[nodiscard]] Expr both(const Expr& a, const Expr& b);  // conditions; undefined holds always
[[nodiscard]] Expr not_of(const Expr& condition);
[[nodiscard]] Expr chosen(const Expr& condition, const Expr& value, const Expr& otherwise);
[[nodiscard]] Expr converted(DType dtype, const Expr& e);
[[nodiscard]] Expr zero_of(DType dtype);
[[nodiscard]] bool is_number(const Expr& e, double value);

}  // namespace tessera
