#pragma once

#include "expr/index_analysis.h"

namespace tessera {

const inline Facts positive_extents{.extents_positive = true};

// Integer expressions of the compiler's own making.

[[nodiscard]] inline Expr number(std::int64_t value) { return make_constant(DType::i64, value); }
[[nodiscard]] inline Expr index_op(Op op, const Expr& a, const Expr& b) { return make_op(op, DType::i64, {a, b}); }
/// The same in normal form.
[[nodiscard]] inline Expr simplified_op(Op op, const Expr& a, const Expr& b) {
    if (op == Op::add || op == Op::sub) {
        IndexAnalysis plain;
        const Polynomial x = plain.normal(a), y = plain.normal(b), p = op == Op::add ? x + y : x - y;
        if (!p.overflowed()) return p.expr();
    }
    return simplify_index(index_op(op, a, b));
}
[[nodiscard]] inline Expr compared(Op op, const Expr& a, const Expr& b) { return make_op(op, DType::bool_, {a, b}); }

}  // namespace tessera
