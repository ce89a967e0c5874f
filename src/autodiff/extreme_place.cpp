#include "autodiff/extreme_place.h"

#include "autodiff/activity.h"
#include "autodiff/guarded.h"
#include "base/check.h"
#include "expr/op_cost.h"

#include <limits>

namespace tessera {
namespace {

constexpr double most_computed_twice = 8;  // operations: beyond that the pair of value and place costs less

bool is_exact(const Reduction& r) {
    if (r.order.kind != Order::Kind::any) return true;
    if (r.monoid == maximum.shared() || r.monoid == minimum.shared()) return true;
    bool floats = false;
    for (const Expr& e : r.identity) floats = floats || is_float(e.dtype());
    return !floats;
}

// Whether all schedules give a value the same bits.
bool has_fixed_bits(const std::vector<Expr>& roots, std::unordered_set<const FuncState*>& seen) {
    bool fixed = true;
    std::vector<const FuncState*> funcs;
    for_each_node(roots, [&](const Expr& n) {
        if (is_structured(n->op)) fixed = fixed && is_exact(n->reduction());
        if (n->op == Op::access && n->target().func && seen.insert(n->target().func.get()).second)
            funcs.push_back(n->target().func.get());
    });
    for (const FuncState* f : funcs) fixed = fixed && !f->routine && has_fixed_bits(definition_roots(*f), seen);
    return fixed;
}

// The narrowest dtype that has all places.
DType dtype_of_places(const std::vector<Dim>& dims) {
    double points = 1;
    for (const Dim& d : dims) {
        if (!d.extent().constant()) return DType::i64;
        points *= static_cast<double>(*d.extent().constant());
    }
    return points < std::numeric_limits<std::int32_t>::max() ? DType::i32 : DType::i64;
}

}  // namespace

bool is_extreme(const ExprNode& n) {
    return n.op == Op::reduce && (n.reduction().monoid == maximum.shared() || n.reduction().monoid == minimum.shared());
}

bool found_by_equality(const Expr& extreme) {
    double cost = 0;
    for_each_node({extreme->args[0]}, [&](const Expr& n) { cost += is_structured(n->op) ? most_computed_twice : op_cost(*n); });
    std::unordered_set<const FuncState*> seen;
    return cost < most_computed_twice && has_fixed_bits({extreme->args.begin(), extreme->args.end()}, seen);
}

Expr flat_place(const std::vector<Dim>& dims) {
    Expr place;
    for (const Dim& d : dims) {
        const Expr at = make_dim(d);
        place = place.defined() ? place * index_expr(d.extent()) + at : at;
    }
    return place.defined() ? place : zero_of(DType::i64);
}

Expr first_extreme(const Func& f, const Expr& root, NameSupply& names) {
    TESSERA_CHECK(is_extreme(*root), "only maxima and minima have a first place");
    const Reduction& r = root->reduction();
    const std::vector<Expr> own = dims_as_indices(f.dims());
    const DType t = dtype_of_places(r.dims);
    const Expr here = converted(t, flat_place(r.dims)), value = root->args[0];
    Expr chosen = make_op(Op::eq, DType::bool_, {value, read_at(f, own, root->where)});
    if (is_float(value.dtype())) chosen = chosen || is_nan(value);
    const std::int64_t beyond =
        t == DType::i32 ? std::numeric_limits<std::int32_t>::max() : std::numeric_limits<std::int64_t>::max();
    Where condition;
    if (r.has_where) condition.condition = root->where_condition();
    const Expr place = make_op(Op::select, t, {chosen, here, make_constant(t, beyond)});
    const Expr first = reduce(minimum, r.dims, {Operand(place, root->where)}, condition)[0];
    const Func places = shared_func(f.name() + "/first", f.dims(), {first}, root->where, names);
    return read_at(places, own, root->where);
}

Expr is_first_extreme(const Func& f, const Expr& root, NameSupply& names) {
    const Expr place = first_extreme(f, root, names);
    return make_op(Op::eq, DType::bool_, {place, converted(place.dtype(), flat_place(root->reduction().dims))});
}

}  // namespace tessera
