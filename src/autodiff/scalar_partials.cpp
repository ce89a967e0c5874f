#include "autodiff/scalar_partials.h"

#include "algorithm/graph.h"
#include "types/largest_value.h"

#include <array>
#include <cmath>
#include <numbers>

namespace tessera {
namespace {

using Place = OpPlace;
using Rule = Partial (*)(const Place&);

struct PartialRow {
    Op op;
    std::array<Rule, 3> by = {};          // by operand
    std::string_view no_derivative = {};  // instead of rules
};

Expr typed_constant(const Place& p, double value) { return make_constant(p.value.dtype(), value); }
Expr call(Op op, std::vector<Expr> args) {
    const DType t = args[0].dtype();
    return make_op(op, t, std::move(args));
}
Expr compare(Op op, const Expr& a, const Expr& b) { return make_op(op, DType::bool_, {a, b}); }

Partial zero(const Place&) { return {.zero = true}; }
Partial one(const Place&) { return {}; }
Partial minus_one(const Place&) { return {.negative = true}; }
Partial first(const Place& p) { return {.factor = p.args[0]}; }
Partial second(const Place& p) { return {.factor = p.args[1]}; }
Partial by_value(const Place& p) { return {.factor = p.value}; }

// The operand wins where `wins`; the loser has no share, so the shares add up to one.
bool first_wins_ties(const Place& p) { return !p.free_of_inputs[1] || p.free_of_inputs[0]; }
Partial max_first(const Place& p) {
    if (first_wins_ties(p)) return {.guard = not_of(compare(Op::lt, p.args[0], p.args[1]))};
    return {.guard = compare(Op::lt, p.args[1], p.args[0])};
}
Partial max_second(const Place& p) { return {.guard = not_of(max_first(p).guard)}; }
Partial min_first(const Place& p) {
    if (first_wins_ties(p)) return {.guard = not_of(compare(Op::lt, p.args[1], p.args[0]))};
    return {.guard = compare(Op::lt, p.args[0], p.args[1])};
}
Partial min_second(const Place& p) { return {.guard = not_of(min_first(p).guard)}; }

Partial abs_rule(const Place& p) {
    const Expr zero = typed_constant(p, 0);
    return {.factor = chosen(compare(Op::lt, zero, p.args[0]), typed_constant(p, 1), typed_constant(p, -1)),
            .guard = compare(Op::ne, p.args[0], zero)};
}
Partial pow_base(const Place& p) {
    const Expr& x = p.args[0];
    const Expr& y = p.args[1];
    if (is_number(y, 0)) return {.zero = true};
    if (is_number(y, 2)) return {.factor = product_of(y, x)};
    if (is_constant(y)) return {.factor = product_of(y, call(Op::pow, {x, typed_constant(p, y->floating() - 1)}))};
    return {.factor = product_of(y, call(Op::pow, {x, call(Op::sub, {y, typed_constant(p, 1)})})),
            .guard = compare(Op::ne, y, typed_constant(p, 0))};
}
// x^y log x; 0^y does not depend on y > 0.
Partial pow_exponent(const Place& p) {
    return {.factor = product_of(p.value, call(Op::log, {p.args[0]})), .guard = compare(Op::ne, p.args[0], typed_constant(p, 0))};
}
Expr squared(const Expr& x) { return product_of(x, x); }
Expr one_minus(const Place& p, const Expr& x) { return call(Op::sub, {typed_constant(p, 1), x}); }
Partial by_arc(const Place& p, bool negative) {
    const Expr x = p.args[0];
    return {.negative = negative,
            .divisor = call(Op::sqrt, {product_of(one_minus(p, x), call(Op::add, {typed_constant(p, 1), x}))})};
}
// factor / divisor. A divisor that is the same along some dim of the quotient is inverted once there.
Partial divided(const Place& p, bool negative, const Expr& factor) {
    const Expr& divisor = p.args[1];
    const std::vector<Dim> own = free_dims(divisor), all = free_dims(*p.node);
    if (is_constant(divisor) || own.size() >= all.size()) return {.negative = negative, .factor = factor, .divisor = divisor};
    const Expr inverse = quotient_of(typed_constant(p, 1), divisor);
    return {.negative = negative, .factor = factor.defined() ? product_of(factor, inverse) : inverse};
}
Expr radius_squared(const Place& p) { return call(Op::add, {squared(p.args[0]), squared(p.args[1])}); }

// Inside the range of the narrower dtype the conversion is the identity; what it clamps does not depend on its operand.
Partial saturate_rule(const Place& p) {
    const Expr x = (*p.node)->args[0];
    const double top = largest_value((*p.node)->dtype);
    if (!is_float(x.dtype()) || largest_value(x.dtype()) <= top) return {};
    return {.guard = make_op(Op::le, DType::bool_, {make_op(Op::abs, x.dtype(), {x}), make_constant(x.dtype(), top)})};
}

constexpr std::string_view piecewise = "piecewise constant: its derivative is zero wherever it has one";
constexpr std::array rows{
    PartialRow{Op::cast, {one}},
    PartialRow{Op::saturate_cast, {saturate_rule}},
    PartialRow{Op::bitcast, {}, "bits are no numbers"},
    PartialRow{Op::select, {zero, one, one}},  // the branches under their conditions: the sweeps know select
    PartialRow{Op::straight_through, {zero, one}},
    PartialRow{Op::checked, {one, zero, zero}},
    PartialRow{Op::add, {one, one}},
    PartialRow{Op::sub, {one, minus_one}},
    PartialRow{Op::mul, {second, first}},
    PartialRow{Op::div,
               {[](const Place& p) { return divided(p, false, {}); },
                // What a sigmoid is made of: its own square instead of another division.
                [](const Place& p) {
                    if (is_number(p.args[0], 1)) return Partial{.negative = true, .factor = squared(p.value)};
                    return divided(p, true, p.value);
                }}},
    PartialRow{Op::mod,
               {one,
                [](const Place& p) {
                    const Expr whole = call(Op::floor, {quotient_of(p.args[0], p.args[1])});
                    // Constant between the jumps: higher derivatives are zero.
                    return Partial{.negative = true, .factor = call(Op::straight_through, {whole, typed_constant(p, 0)})};
                }}},
    PartialRow{Op::neg, {minus_one}},
    PartialRow{Op::min, {min_first, min_second}},
    PartialRow{Op::max, {max_first, max_second}},
    PartialRow{Op::fma, {second, first, one}},
    PartialRow{Op::abs, {abs_rule}},
    PartialRow{Op::round, {}, piecewise},
    PartialRow{Op::floor, {}, piecewise},
    PartialRow{Op::ceil, {}, piecewise},
    PartialRow{Op::trunc, {}, piecewise},
    PartialRow{Op::sqrt, {[](const Place& p) {
                   return Partial{.divisor = call(Op::add, {p.value, p.value})};
               }}},
    PartialRow{Op::exp, {by_value}},
    PartialRow{Op::exp2,
               {[](const Place& p) { return Partial{.factor = product_of(p.value, typed_constant(p, std::numbers::ln2))}; }}},
    PartialRow{Op::expm1, {[](const Place& p) {
                   return Partial{.factor = call(Op::add, {p.value, typed_constant(p, 1)})};
               }}},
    PartialRow{Op::log, {[](const Place& p) { return Partial{.divisor = p.args[0]}; }}},
    PartialRow{Op::log2,
               {[](const Place& p) { return Partial{.divisor = product_of(p.args[0], typed_constant(p, std::numbers::ln2))}; }}},
    PartialRow{Op::log1p, {[](const Place& p) {
                   return Partial{.divisor = call(Op::add, {typed_constant(p, 1), p.args[0]})};
               }}},
    PartialRow{Op::sin, {[](const Place& p) { return Partial{.factor = call(Op::cos, {p.args[0]})}; }}},
    PartialRow{Op::cos, {[](const Place& p) { return Partial{.negative = true, .factor = call(Op::sin, {p.args[0]})}; }}},
    PartialRow{Op::tan, {[](const Place& p) {
                   return Partial{.factor = call(Op::add, {typed_constant(p, 1), squared(p.value)})};
               }}},
    PartialRow{Op::asin, {[](const Place& p) { return by_arc(p, false); }}},
    PartialRow{Op::acos, {[](const Place& p) { return by_arc(p, true); }}},
    PartialRow{Op::atan, {[](const Place& p) {
                   return Partial{.divisor = call(Op::add, {typed_constant(p, 1), squared(p.args[0])})};
               }}},
    PartialRow{Op::atan2,
               {[](const Place& p) { return Partial{.factor = p.args[1], .divisor = radius_squared(p)}; },
                [](const Place& p) { return Partial{.negative = true, .factor = p.args[0], .divisor = radius_squared(p)}; }}},
    PartialRow{Op::sinh, {[](const Place& p) { return Partial{.factor = call(Op::cosh, {p.args[0]})}; }}},
    PartialRow{Op::cosh, {[](const Place& p) { return Partial{.factor = call(Op::sinh, {p.args[0]})}; }}},
    PartialRow{Op::tanh, {[](const Place& p) { return Partial{.factor = one_minus(p, squared(p.value))}; }}},
    PartialRow{Op::erf, {[](const Place& p) {
                   const Expr bell = call(Op::exp, {negative_of(squared(p.args[0]))});
                   return Partial{.factor = product_of(typed_constant(p, 2 / std::sqrt(std::numbers::pi)), bell)};
               }}},
    PartialRow{Op::pow, {pow_base, pow_exponent}},
};

const PartialRow* row_of(Op op) {
    for (const PartialRow& row : rows)
        if (row.op == op) return &row;
    return nullptr;
}

// Every op of floats that yields floats has rules or a reason.
bool table_is_complete() {
    for (const OpRow& op : op_table()) {
        const bool floats =
            is_scalar_op(op.op) &&
            (op.operands == Operands::floating || op.operands == Operands::numeric || op.operands == Operands::any) &&
            op.result != Result::boolean;
        const PartialRow* row = row_of(op.op);
        if (floats != (row != nullptr)) return false;
        if (!row || !row->no_derivative.empty()) continue;
        for (int k = 0; k < op.arity; ++k)
            if (row->by.at(static_cast<size_t>(k)) == nullptr) return false;
    }
    return true;
}

}  // namespace

Guarded Partial::of(const Guarded& g) const {
    if (zero || g.zero()) return {};
    Expr value = g.value;
    if (factor.defined()) value = product_of(value, factor);
    if (divisor.defined()) value = quotient_of(value, divisor);
    if (negative) value = negative_of(value);
    return {both(g.condition, guard), value};
}

bool passes_derivative(Op op, size_t k) {
    const PartialRow* row = row_of(op);
    return row && (!row->no_derivative.empty() || (k < row->by.size() && row->by[k] != nullptr && row->by[k] != &zero));
}

std::string_view no_derivative(Op op) {
    const PartialRow* row = row_of(op);
    return row ? row->no_derivative : std::string_view{};
}

std::optional<Partial> partial_of(const OpPlace& place, size_t k) {
    const PartialRow* row = row_of((*place.node)->op);
    if (!row || !row->no_derivative.empty() || k >= row->by.size() || !row->by[k]) return {};
    return row->by[k](place);
}

bool scalar_partials_are_complete() { return table_is_complete(); }

}  // namespace tessera
