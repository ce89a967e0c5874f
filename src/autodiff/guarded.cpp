#include "autodiff/guarded.h"

#include "algorithm/graph.h"

namespace tessera {

DType derivative_dtype(DType dtype) { return is_narrow_float(dtype) ? DType::f32 : dtype; }

Expr zero_of(DType dtype) { return make_constant(dtype, std::int64_t{0}); }
bool is_number(const Expr& e, double value) { return is_constant(e) && is_float(e->dtype) && e->floating() == value; }

Expr sum_of(const Expr& a, const Expr& b) {
    if (!a.defined()) return b;
    if (!b.defined()) return a;
    if (is_number(b, 0)) return a;
    if (is_number(a, 0)) return b;
    if (b->op == Op::neg) return make_op(Op::sub, a.dtype(), {a, b->args[0]});
    // Twice a product stays one, which sums accumulate in one operation: the factor that is the same at more points is doubled.
    if (a.same_as(b) && a->op == Op::mul) {
        const bool first = free_dims(a->args[0]).size() <= free_dims(a->args[1]).size();
        const Expr &doubled = a->args[first ? 0 : 1], &other = a->args[first ? 1 : 0];
        return make_op(Op::mul, a.dtype(), {make_op(Op::add, a.dtype(), {doubled, doubled}), other});
    }
    return make_op(Op::add, a.dtype(), {a, b});
}
Expr product_of(const Expr& a, const Expr& b) {
    if (is_number(a, 1)) return b;
    if (is_number(b, 1)) return a;
    if (is_number(a, -1)) return negative_of(b);
    if (is_number(b, -1)) return negative_of(a);
    if (is_constant(a) && is_constant(b)) return make_constant(a.dtype(), a->floating() * b->floating());
    return make_op(Op::mul, a.dtype(), {a, b});
}
Expr quotient_of(const Expr& a, const Expr& b) {
    if (is_number(b, 1)) return a;
    return make_op(Op::div, a.dtype(), {a, b});
}
Expr negative_of(const Expr& a) {
    if (a->op == Op::neg) return a->args[0];
    if (is_constant(a)) return make_constant(a.dtype(), -a->floating());
    return make_op(Op::neg, a.dtype(), {a});
}
Expr not_of(const Expr& condition) {
    if (condition->op == Op::not_) return condition->args[0];
    return make_op(Op::not_, DType::bool_, {condition});
}
Expr both(const Expr& a, const Expr& b) {
    if (!a.defined() || a.same_as(b)) return b;
    if (!b.defined()) return a;
    return make_op(Op::and_, DType::bool_, {a, b});
}
Expr chosen(const Expr& condition, const Expr& value, const Expr& otherwise) {
    if (value.same_as(otherwise)) return value;
    return make_op(Op::select, value.dtype(), {condition, value, otherwise});
}
Expr converted(DType dtype, const Expr& e) { return e.dtype() == dtype ? e : make_op(Op::cast, dtype, {e}); }

namespace {
// Each part of a conjunction is only evaluated where those before it hold.
Expr chosen_in_turn(const Expr& condition, const Expr& value) {
    if (condition->op != Op::and_) return chosen(condition, value, zero_of(value.dtype()));
    return chosen_in_turn(condition->args[0], chosen_in_turn(condition->args[1], value));
}
}  // namespace

Expr Guarded::expr() const { return zero() || always() ? value : chosen_in_turn(condition, value); }

Guarded under(const Expr& condition, const Guarded& g) { return g.zero() ? g : Guarded{both(condition, g.condition), g.value}; }

Guarded as_guarded(const Expr& e) {
    if (e.defined() && e->op == Op::select && is_number(e->args[2], 0)) return {e->args[0], e->args[1]};
    return {{}, e};
}

Guarded restricted(const Guarded& g, const Expr& condition) {
    if (g.zero() || !condition.defined()) return g;
    return {both(g.condition, condition), g.value};
}

Guarded added(const Guarded& a, const Guarded& b) {
    if (a.zero()) return b;
    if (b.zero()) return a;
    if (a.always() && b.always()) return {{}, sum_of(a.value, b.value)};
    if (!a.always() && !b.always()) {
        if (a.condition.same_as(b.condition)) return {a.condition, sum_of(a.value, b.value)};
        if (not_of(a.condition).same_as(b.condition)) {
            // Of a condition and its opposite the positive one is asked.
            if (a.condition->op == Op::not_) return {{}, chosen(b.condition, b.value, a.value)};
            return {{}, chosen(a.condition, a.value, b.value)};
        }
    }
    const Expr sum = sum_of(a.expr(), b.expr());
    if (a.always() || b.always()) return {{}, sum};
    return {make_op(Op::or_, DType::bool_, {a.condition, b.condition}), sum};
}

}  // namespace tessera
