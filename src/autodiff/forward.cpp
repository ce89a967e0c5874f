#include "autodiff/forward.h"

#include "algorithm/required_region.h"
#include "autodiff/custom_rule.h"
#include "autodiff/extreme_place.h"
#include "autodiff/monoid_derivative.h"
#include "autodiff/rule_batch.h"
#include "autodiff/scalar_partials.h"
#include "autodiff/transposed_access.h"
#include "base/check.h"

#include <fmt/format.h>

namespace tessera {

namespace {
bool asks_for_equal_dims(const Guarded& g) {
    if (g.zero() || g.always()) return false;
    std::vector<Expr> parts;
    split_conjunction(g.condition, parts);
    for (const Expr& p : parts)
        if (p->op == Op::eq && is_integer(p->args[0].dtype())) return true;
    return false;
}
// A product of two tensors, each of which has a dim of `dims` to itself.
bool is_outer_product(const Expr& e, const std::vector<Dim>& dims) {
    if (e->op != Op::mul || e->args[0]->op != Op::access || e->args[1]->op != Op::access) return false;
    const std::vector<Dim> left = free_dims(e->args[0]), right = free_dims(e->args[1]);
    bool by_left = false, by_right = false;
    for (const Dim& d : dims) {
        by_left = by_left || (contains_dim(left, d) && !contains_dim(right, d));
        by_right = by_right || (contains_dim(right, d) && !contains_dim(left, d));
    }
    return by_left && by_right;
}
// The terms of `e` where all are such products, else nothing.
std::vector<Expr> outer_products(const Expr& e, const std::vector<Dim>& dims) {
    if (is_outer_product(e, dims)) return {e};
    if (e->op != Op::add) return {};
    std::vector<Expr> terms = outer_products(e->args[0], dims), more = outer_products(e->args[1], dims);
    if (terms.empty() || more.empty()) return {};
    terms.insert(terms.end(), more.begin(), more.end());
    return terms;
}

// Whether `e` is a tensor, read at `dims`.
bool is_whole_read(const Expr& e, const std::vector<Dim>& dims) {
    if (e->op != Op::access || e->target().boundary != Boundary::none || e->index_count() != dims.size()) return false;
    for (size_t i = 0; i < dims.size(); ++i)
        if (e->args[i]->op != Op::dim || e->args[i]->dim().id() != dims[i].id()) return false;
    return true;
}
}  // namespace

Forward::Forward(DerivativeGraph& graph, ForwardOptions options)
    : normal_(graph.normal), in_normal_form_(std::make_shared<const FuncMap>(graph.normal)), activity_(graph.activity),
      names_(graph.names), options_(std::move(options)) {}

std::vector<Dim> Forward::with_parameters(const std::vector<Dim>& dims) const {
    std::vector<Dim> all = options_.parameters;
    all.insert(all.end(), dims.begin(), dims.end());
    return all;
}

// "d_u/x", or "<name>/u" for a name of the user's.
std::string Forward::name_of(const std::string& func) const {
    return options_.by.empty() ? options_.prefix + "/" + func : "d_" + func + "/" + options_.by;
}

void Forward::set_variable(const void* key, const std::string& name, const std::vector<Dim>& dims, const Expr& tangent,
                           SourceLoc where) {
    variables_.emplace(key, made_func(names_.func(name_of(name)), with_parameters(dims), {tangent}, where));
}
void Forward::set(const std::shared_ptr<const InputState>& input, const Expr& tangent) {
    set_variable(input.get(), input->name, input->dims, tangent, input->where);
}
void Forward::set(const Func& cut, const Expr& tangent) {
    set_variable(cut.state().get(), cut.name(), cut.dims(), tangent, cut.state()->where);
}

// A read of the tangent where `access` reads the value. Where a constant is read outside, 0 is; where what is read there may
// vary, the sweep knows.
Guarded Forward::tangent_of(const Expr& access) {
    const AccessTarget& target = access->target();
    const void* key = target.input ? static_cast<const void*>(target.input.get()) : target.func.get();
    const auto own_indices = access->args.begin() + static_cast<std::ptrdiff_t>(access->index_count());
    std::vector<Expr> indices = dims_as_indices(options_.parameters);
    indices.insert(indices.end(), access->args.begin(), own_indices);
    const bool outside = target.boundary == Boundary::constant;
    const bool zero_outside = outside && access->index_count() > 0 && is_constant(access->args.back());
    const Boundary boundary = outside && !zero_outside ? Boundary::none : target.boundary;
    const auto read = [&](const AccessTarget& of, DType dtype, int component) -> Guarded {
        std::vector<Expr> args = indices;
        if (zero_outside) args.push_back(zero_of(dtype));
        return {{}, make_access({of.input, of.func, boundary}, std::move(args), dtype, component, access->where)};
    };
    if (const auto variable = variables_.find(key); variable != variables_.end()) {
        const Func& f = variable->second;
        const Expr& value = f.state()->values[0];
        if (is_constant(value)) return {{}, value};
        if (is_whole_read(value, f.dims())) return read(value->target(), value.dtype(), value->component());
        // A delta is solved where it stands; it has one value outside too.
        if (value->op == Op::select && is_constant(value->args[1]) && (boundary == Boundary::none || zero_outside)) {
            DimValues at;
            for (size_t i = 0; i < f.dims().size(); ++i) at[f.dims()[i].id()] = indices[i];
            return as_guarded(with_dims(value, at));
        }
        return read({nullptr, f.state(), boundary}, f.dtype(), 0);
    }
    if (!target.func) return {};
    const Tangents& t = tangents(Func(target.func));
    const int c = t.component.at(static_cast<size_t>(access->component()));
    if (c < 0) return {};
    return read({nullptr, t.func.state(), boundary}, t.func.dtype(c), c);
}

std::vector<Guarded> Forward::swept(const Func& f, const std::vector<Expr>& roots) {
    SweepContext context;
    context.active = [this](const Expr& access) { return activity_.access_varies(access); };
    context.free_of_inputs = [this](const Expr& access) { return activity_.access_is_free(access); };
    context.missing = [f](const Expr& node) {
        const std::string name(op_row(node->op).name);
        throw Error(E1001_no_derivative, f.state()->where,
                    fmt::format("{} in the definition of {} has no derivative: {}", name, f.name(), no_derivative(node->op)),
                    {token(name), fix(fmt::format("straight_through({}(x), x) passes the derivative of x", name)),
                     fix(fmt::format("stop_gradient({}(x)) makes it zero", name))});
    };
    // Of scalar operations the value is at hand: tangents are written with it (tanh, exp, sqrt).
    const FuncState& state = *f.state();
    if (!state.recurrence && !structured_root(state).defined())
        for (size_t c = 0; c < state.values.size(); ++c)
            if (!state.values[c]->args.empty() && state.values[c]->op != Op::access)
                context.stored.emplace(state.values[c].get(),
                                       read_at(f, dims_as_indices(f.dims()), state.where, static_cast<int>(c)));
    return forward_sweep(
        roots, [this](const Expr& access) { return tangent_of(access); }, context);
}

const Forward::Tangents& Forward::tangents(const Func& f) {
    const FuncState* state = f.state().get();
    if (const auto found = tangents_.find(state); found != tangents_.end()) return found->second;
    if (state->rule && activity_.varies(*state)) {
        define_by_rule(f);
    } else if (state->recurrence) {
        define_recurrence(*state->recurrence);
    } else if (const Expr root = structured_root(*state); root.defined() && activity_.varies(*state)) {
        define_reduction(f, root);
    } else if (activity_.varies(*state)) {
        define(f, swept(f, state->values));
    } else {
        define(f, std::vector<Guarded>(state->values.size()));
    }
    return tangents_.at(state);
}

void Forward::define(const Func& f, const std::vector<Guarded>& values) {
    std::vector<Expr> stored;
    std::vector<int> component;
    for (size_t c = 0; c < values.size(); ++c) {
        const DType t = f.dtype(static_cast<int>(c));
        component.push_back(is_float(t) ? static_cast<int>(stored.size()) : -1);
        if (is_float(t)) stored.push_back(values[c].zero() ? zero_of(derivative_dtype(t)) : values[c].expr());
    }
    if (stored.empty()) stored.push_back(zero_of(DType::f32));
    const Func made = shared_func(name_of(f.name()), with_parameters(f.dims()), stored, f.state()->where, names_);
    tangents_.emplace(f.state().get(), Tangents{made, component});
}

void Forward::define_by_rule(const Func& f) {
    check_captures(f, activity_.variables().inputs, activity_.variables().funcs);
    const std::string name = names_.prefix(name_of(f.name()) + "/rule");
    std::vector<Func> given;
    for (const Wrt& x : f.state()->rule->operands) {
        const std::vector<Dim>& dims = x.input() ? x.input()->dims : x.func()->dims;
        const DType dtype = x.input() ? x.input()->dtype : Func(x.func()).dtype();
        std::shared_ptr<FuncState> func = x.func();
        if (func)
            if (const auto found = normal_.find(func.get()); found != normal_.end()) func = found->second.state();
        const Expr read = make_access({x.input(), func, Boundary::none}, dims_as_indices(dims), dtype, 0, f.state()->where);
        const Guarded tangent = activity_.access_varies(read) ? tangent_of(read) : Guarded{};
        const std::string& of = x.input() ? x.input()->name : x.func()->name;
        given.push_back(made_func(name + "/" + of, with_parameters(dims),
                                  {tangent.zero() ? zero_of(derivative_dtype(dtype)) : tangent.expr()}, f.state()->where));
    }
    const Func made = called_per(options_.parameters, given, [&](const std::vector<Func>& each) {
        return in_normal_form_({forward_of_rule(f, each, name)});
    })[0];
    define(f, {{{}, converted(derivative_dtype(f.dtype()), read_at(made, dims_as_indices(made.dims()), f.state()->where))}});
}

void Forward::define_reduction(const Func& f, const Expr& root) {
    const Reduction& r = root->reduction();
    const size_t n = r.components();
    const size_t first = root->op == Op::scatter ? root->scatter().destination.size() : 0;
    const std::vector<Expr> operands(root->args.begin() + static_cast<std::ptrdiff_t>(first),
                                     root->args.begin() + static_cast<std::ptrdiff_t>(first + n));
    std::vector<Expr> tangents;
    for (size_t i = 0; i < n; ++i) {
        const Guarded g = is_float(operands[i].dtype()) ? swept(f, {operands[i]})[0] : Guarded{};
        if (root->op == Op::reduce && r.monoid == plus.shared() && asks_for_equal_dims(g))
            return define(f, {{{}, solved_sum(f, root, g)}});
        tangents.push_back(g.zero() ? zero_of(derivative_dtype(operands[i].dtype())) : g.expr());
    }
    Where condition;
    if (r.has_where) condition.condition = root->where_condition();
    const auto at = [&](const Expr& e) { return Operand(e, root->where); };
    // The value's place is known: the tangent is the one there.
    const bool pair = root->op == Op::reduce && n == 2 && (r.monoid->name == "argmax" || r.monoid->name == "argmin");
    if (pair || is_extreme(*root)) {
        std::vector<Guarded> values{{{}, at_extreme(f, root, tangents[0])}};
        if (pair) values.emplace_back();
        return define(f, values);
    }
    const bool adds = r.monoid == plus.shared();
    // Contractions are sums of their own: each has its factors in the nearest caches.
    if (adds && root->op == Op::reduce && r.order.kind == Order::Kind::any)
        if (const std::vector<Expr> terms = outer_products(tangents[0], with_parameters(f.dims())); terms.size() > 1) {
            Expr sum;
            for (const Expr& t : terms) sum = sum_of(sum, reduce(plus, r.dims, {at(t)}, condition)[0]);
            return define(f, {{{}, sum}});
        }
    const DualMonoid both_monoid = adds ? DualMonoid{plus, {0}} : dual(r);
    std::vector<Operand> all;
    if (!adds)
        for (const Expr& e : operands) all.push_back(at(e));
    for (const size_t i : both_monoid.tangents) all.push_back(at(tangents[i]));
    const auto combined = [&]() -> Tuple {
        const Order order = r.order.kind == Order::Kind::kahan && !adds ? Order::ascending() : r.order;
        if (root->op == Op::reduce) return reduce(both_monoid.monoid, r.dims, all, condition, {.order = order});
        if (root->op == Op::scan)
            return scan(both_monoid.monoid, r.dims[0], all, {.exclusive = r.exclusive, .reverse = r.reverse});
        const Scatter& s = root->scatter();
        std::vector<To> to_dims;
        for (size_t k = 0; k < first; ++k) to_dims.push_back({s.destination[k], root->args[k], root->where});
        std::vector<Operand> init;
        if (s.has_init) {
            const std::vector<Expr> inits(root->args.begin() + static_cast<std::ptrdiff_t>(first + n), root->args.end());
            if (!adds)
                for (const Expr& e : inits) init.push_back(at(e));
            for (const size_t i : both_monoid.tangents) {
                const Guarded g = swept(f, {inits[i]})[0];
                init.push_back(at(g.zero() ? zero_of(derivative_dtype(inits[i].dtype())) : g.expr()));
            }
        }
        return scatter(both_monoid.monoid, to_dims, r.dims, all, {.order = order, .init = init});
    };
    const Tuple result = combined();
    std::vector<Expr> values;
    for (size_t i = 0; i < result.size(); ++i) values.push_back(result[i]);
    const Func made = shared_func(name_of(f.name()), with_parameters(f.dims()), values, f.state()->where, names_);
    std::vector<int> component(n, -1);
    for (size_t k = 0; k < both_monoid.tangents.size(); ++k)
        component[both_monoid.tangents[k]] = static_cast<int>((adds ? 0 : n) + k);
    tangents_.emplace(f.state().get(), Tangents{made, component});
}

// What `tangent` is at the place of a maximum or minimum. Along one dim it is read there; else it is summed where that is.
Expr Forward::at_extreme(const Func& f, const Expr& root, const Expr& tangent) {
    const Reduction& r = root->reduction();
    const bool pair = r.components() == 2;
    const std::vector<Expr> own = dims_as_indices(f.dims());
    const Expr flat = flat_place(r.dims);
    if (r.dims.size() == 1 && !r.has_where && (!pair || converted(DType::i64, root->args[1]).same_as(flat))) {
        const Expr place = converted(DType::i64, pair ? read_at(f, own, root->where, 1) : first_extreme(f, root, names_));
        const Expr count = index_expr(r.dims[0].extent());
        // Where there is no point, a pair has the place -1.
        Expr inside = make_op(Op::lt, DType::bool_, {place, count});
        if (pair) inside = make_op(Op::le, DType::bool_, {zero_of(DType::i64), place}) && inside;
        const DimValues at{{r.dims[0].id(), max(min(place, count - 1), 0)}};
        return chosen(inside, with_dims(tangent, at), zero_of(tangent.dtype()));
    }
    const Expr here = pair
                          ? make_op(Op::eq, DType::bool_, {read_at(f, own, root->where, 1), converted(DType::i64, root->args[1])})
                          : is_first_extreme(f, root, names_);
    Where condition;
    if (r.has_where) condition.condition = root->where_condition();
    const Expr picked = chosen(here, tangent, zero_of(tangent.dtype()));
    return reduce(plus, r.dims, {Operand(picked, root->where)}, condition)[0];
}

// A sum of a delta: the loop that it picks from is solved.
Expr Forward::solved_sum(const Func& f, const Expr& root, const Guarded& value) {
    AccessPlace place;
    for (const Dim& d : root->reduction().dims) place.loops.push_back({d, whole_dim(d), true});
    if (root->reduction().has_where) place.conditions.push_back(root->where_condition());
    place.parameters = options_.parameters;
    place.target_dims = f.dims();
    place.target_region.resize(f.dims().size());
    place.order = root->reduction().order;
    return sum_over_loops(value, place, root->where, names_);
}

// The tangents of the states are states too, of a recurrence in the same direction.
void Forward::define_recurrence(const Recurrence& recurrence) {
    auto made = std::make_shared<Recurrence>(Recurrence{recurrence.t, recurrence.reverse, {}, {}});
    std::vector<std::pair<Func, Func>> states;
    for (const auto& weak : recurrence.states) {
        const Func f(weak.lock());
        const bool has_tangent = is_float(f.dtype()) && activity_.varies(*f.state());
        if (!has_tangent) {
            const Func none =
                made_func(names_.func(name_of(f.name())), with_parameters(f.dims()),
                          {zero_of(is_float(f.dtype()) ? derivative_dtype(f.dtype()) : DType::f32)}, f.state()->where);
            tangents_.emplace(f.state().get(), Tangents{none, {is_float(f.dtype()) ? 0 : -1}});
            continue;
        }
        Func s(names_.func(name_of(f.name())), f.state()->where);
        const Expr zero = zero_of(derivative_dtype(f.dtype()));
        define_func(*s.state(), with_parameters(f.dims()), {zero}, f.state()->where);
        s.state()->init = zero;
        s.state()->recurrence = made;
        made->states.push_back(s.state());
        made->kept.push_back(s.state());
        tangents_.emplace(f.state().get(), Tangents{s, {0}});
        states.emplace_back(f, s);
    }
    for (const auto& [f, s] : states) {
        const Guarded step = swept(f, {f.state()->values[0]})[0], init = swept(f, {f.state()->init})[0];
        if (!step.zero()) s.state()->values = {step.expr()};
        if (!init.zero()) s.state()->init = init.expr();
    }
}

Func Forward::result(const Func& f) {
    const std::string name = name_of(f.name());
    if (activity_.is_cut(*f.state())) {
        const Func& v = variables_.at(f.state().get());
        return made_func(names_.func(name), v.dims(),
                         {converted(f.dtype(), read_at(v, dims_as_indices(v.dims()), f.state()->where))}, f.state()->where);
    }
    const Tangents& t = tangents(f);
    std::vector<Expr> values;
    bool same = true;
    for (size_t c = 0; c < t.component.size(); ++c) {
        if (t.component[c] < 0) continue;
        const Expr read = read_at(t.func, dims_as_indices(t.func.dims()), f.state()->where, t.component[c]);
        values.push_back(converted(f.dtype(static_cast<int>(c)), read));
        same = same && values.back().same_as(read) && t.component[c] + 1 == static_cast<int>(values.size());
    }
    if (same && static_cast<int>(values.size()) == t.func.components()) return t.func;
    return made_func(names_.func(name), t.func.dims(), values, f.state()->where);
}

}  // namespace tessera
