#include "autodiff/extreme_place.h"
#include "autodiff/monoid_derivative.h"
#include "autodiff/reverse.h"
#include "base/check.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera {
namespace {

std::vector<Expr> operands_of(const Expr& root) {
    return {root->args.begin(), root->args.begin() + static_cast<std::ptrdiff_t>(root->reduction().components())};
}

bool is_builtin(const Reduction& r, std::string_view name) {
    for (const Monoid& m : builtin_monoids())
        if (m.shared() == r.monoid) return m.name() == name;
    return false;
}

Expr equal(const Expr& a, const Expr& b) { return make_op(Op::eq, DType::bool_, {a, b}); }

std::vector<Expr> components_at(const Func& f, const std::vector<Expr>& at, SourceLoc where) {
    std::vector<Expr> out;
    for (int c = 0; c < f.components(); ++c) out.push_back(read_at(f, at, where, c));
    return out;
}

}  // namespace

// What is combined over a dim of `per` is at one point what it is at all of them.
void Reverse::check_apart(const Func& f, const Expr& root) const {
    for (const Dim& d : root->reduction().dims)
        if (contains_dim(options_.parameters, d))
            throw Error(
                E1003_derivative_shape, root->where,
                fmt::format("{} combines values over {}; a derivative per {} needs its points apart", f.name(), d.name(),
                            d.name()),
                {token(f.name()), fix(fmt::format("leave {} out of `per`", d.name())),
                 fix("take all derivatives: jacobian(y, x)"),
                 fix(fmt::format("combine over another Dim of that extent, where nothing that varies has {}", d.name()))});
}

void Reverse::spread_reduce(const Func& f, const Expr& root, const std::vector<Expr>& given) {
    check_apart(f, root);
    const Reduction& r = root->reduction();
    const std::vector<Expr> operands = operands_of(root);
    std::vector<LoopDim> loops = loops_of(f);
    for (const Dim& d : r.dims) loops.push_back({d, whole_dim(d), true});
    std::vector<Expr> conditions;
    if (r.has_where) conditions.push_back(root->where_condition());
    const std::vector<Expr> own = dims_as_indices(f.dims());
    std::vector<Guarded> seeds(operands.size());
    if (r.monoid == plus.shared()) {
        seeds[0] = as_guarded(given[0]);
    } else if (is_builtin(r, "argmax") || is_builtin(r, "argmin")) {
        // The value is the one at the chosen place.
        seeds[0] = restricted(as_guarded(given[0]), equal(read_at(f, own, root->where, 1), converted(DType::i64, operands[1])));
    } else if (is_extreme(*root)) {
        seeds[0] = restricted(as_guarded(given[0]), is_first_extreme(f, root, names_));
    } else if (is_builtin(r, "welford") && is_number(operands[0], 1) && is_number(operands[2], 0)) {
        // d mean / dx = 1 / n, d M2 / dx = 2 (x - mean)
        const DType t = derivative_dtype(operands[1].dtype());
        const auto read = [&](int c) { return converted(t, read_at(f, own, root->where, c)); };
        if (given[1].defined()) seeds[1] = {{}, quotient_of(given[1], read(0))};
        if (given[2].defined()) {
            const Expr away = make_op(Op::sub, t, {converted(t, operands[1]), read(1)});
            seeds[1] = added(seeds[1], {{}, product_of(given[2], product_of(make_constant(t, 2.0), away))});
        }
    } else {
        seeds = general_seeds(f, root, given);
    }
    transpose_all(f, operands, seeds, loops, conditions, context_of(f));
}

// The operands as a Func, the identity where the predicate fails; then prefix ⊕ operand ⊕ suffix.
std::vector<Guarded> Reverse::general_seeds(const Func& f, const Expr& root, const std::vector<Expr>& given) {
    const Reduction& r = root->reduction();
    if (!r.monoid->traits.associative || r.monoid == last.shared()) throw_no_rule(f, root, "the monoid is not associative");
    const std::vector<Dim> outer = with_parameters(f.dims());
    std::vector<Expr> values = operands_of(root);
    if (r.has_where)
        for (size_t i = 0; i < values.size(); ++i)
            values[i] = make_op(Op::select, values[i].dtype(), {root->where_condition(), values[i], r.identity[i]});
    const std::vector<Dim> all = joined_dims(f.dims(), r.dims);
    const Func x = made_func(names_.func(f.name() + "/operands"), all, values, root->where);
    const std::vector<Expr> seeds = prefix_suffix(r, outer, r.dims, x, given, options_.prefix + "/" + f.name(), root->where);
    std::vector<Guarded> out;
    for (const Expr& s : seeds) out.push_back(as_guarded(s));
    return out;
}

std::vector<Expr> Reverse::prefix_suffix(const Reduction& r, const std::vector<Dim>& outer, const std::vector<Dim>& reduced,
                                         const Func& operands, const std::vector<Expr>& given, const std::string& name,
                                         SourceLoc where) {
    if (reduced.empty()) return given;
    // Over several dims: the reductions along all dims but the first are combined along the first.
    const Dim& t = reduced[0];
    const std::vector<Dim> inner(reduced.begin() + 1, reduced.end());
    std::vector<Dim> dims;
    for (const Dim& d : operands.dims())
        if (!contains_dim(inner, d)) dims.push_back(d);
    const std::vector<Expr> at = dims_as_indices(operands.dims());
    Func x = operands;
    const auto read_all = [&](const Func& from) {
        std::vector<Operand> all;
        for (const Expr& e : components_at(from, dims_as_indices(from.dims()), where)) all.emplace_back(e, where);
        return all;
    };
    const auto values_of = [](const Tuple& tuple) {
        std::vector<Expr> all;
        for (size_t i = 0; i < tuple.size(); ++i) all.push_back(tuple[i]);
        return all;
    };
    const Monoid m(r.monoid);
    if (!inner.empty()) x = made_func(names_.func(name + "/part"), dims, values_of(reduce(m, inner, read_all(operands))), where);
    const Func before =
        made_func(names_.func(name + "/before"), dims, values_of(scan(m, t, read_all(x), {.exclusive = true})), where);
    const Func after = made_func(names_.func(name + "/after"), dims,
                                 values_of(scan(flipped(m), t, read_all(x), {.exclusive = true, .reverse = true})), where);
    const std::vector<Expr> here = dims_as_indices(dims);
    const Func any_func("any");
    const SweepContext context = context_of(any_func);
    const std::vector<Guarded> middle = middle_cotangents(r, components_at(before, here, where), components_at(x, here, where),
                                                          components_at(after, here, where), given, context);
    std::vector<Expr> out;
    for (const Guarded& g : middle) out.push_back(g.expr());
    if (inner.empty()) return out;
    // What the parts get is stored, then spread along the other dims.
    std::vector<Expr> stored;
    std::vector<Dim> stored_dims = joined_dims(outer, {t});
    for (size_t c = 0; c < out.size(); ++c) {
        if (!out[c].defined()) {
            stored.emplace_back();
            continue;
        }
        const Func s = made_func(names_.func(fmt::format("{}/part.{}", name, c)), stored_dims, {out[c]}, where);
        stored.push_back(read_at(s, dims_as_indices(stored_dims), where));
    }
    return prefix_suffix(r, stored_dims, inner, operands, stored, name, where);
}

void Reverse::spread_scan(const Func& f, const Expr& root, const std::vector<Expr>& given) {
    check_apart(f, root);
    const Reduction& r = root->reduction();
    const Dim& t = r.dims[0];
    const std::vector<Expr> operands = operands_of(root);
    std::vector<LoopDim> loops = loops_of(f);
    Expr required;  // times at which the scan is read
    for (LoopDim& loop : loops) {
        if (loop.dim.id() != t.id()) continue;
        const Interval whole = whole_dim(t);
        const auto reaches = [](const Expr& a, const Expr& b) {
            return proves_nonnegative(simplify_index(make_op(Op::sub, DType::i64, {a, b})), {.extents_positive = true});
        };
        if (!reaches(loop.range.low, whole.low) || !reaches(whole.high, loop.range.high))
            throw_no_rule(f, root, fmt::format("the scan is read outside [0, {}.extent)", t.name()));
        if (!reaches(whole.low, loop.range.low))
            required = both(required, make_op(Op::le, DType::bool_, {loop.range.low, make_dim(t)}));
        if (!reaches(loop.range.high, whole.high))
            required = both(required, make_op(Op::le, DType::bool_, {make_dim(t), loop.range.high}));
        loop.range = whole;
    }
    std::vector<Expr> at_scan;
    for (const Expr& g : given) at_scan.push_back(g.defined() && required.defined() ? restricted({{}, g}, required).expr() : g);
    const std::vector<Dim> dims = with_parameters(f.dims());
    const std::string name = options_.prefix + "/" + f.name();
    if (r.monoid == plus.shared()) {
        const Expr back = scan(plus, t, Operand(at_scan[0], root->where), {.exclusive = r.exclusive, .reverse = !r.reverse});
        const Func s = made_func(names_.func(name + "/sum"), dims, {back}, root->where);
        return transpose_all(f, operands, {{{}, read_at(s, dims_as_indices(dims), root->where)}}, loops, {}, context_of(f));
    }
    if (!r.monoid->traits.associative || r.monoid == last.shared()) throw_no_rule(f, root, "the monoid is not associative");
    // y(t) = y(t - 1) ⊕ x(t); exclusive y(t + 1) = y(t) ⊕ x(t). The cotangents of y run back in time.
    const Func x = made_func(names_.func(f.name() + "/operands"), f.dims(), operands, root->where);
    const Expr now = make_dim(t);
    const Expr one = make_constant(DType::i64, std::int64_t{1});
    const Expr before = simplify_index(make_op(r.reverse ? Op::add : Op::sub, DType::i64, {now, one}));
    const Expr after = simplify_index(make_op(r.reverse ? Op::sub : Op::add, DType::i64, {now, one}));
    const auto moved = [&](const std::vector<Dim>& all, const Expr& time) {
        std::vector<Expr> indices;
        for (const Dim& d : all) indices.push_back(d.id() == t.id() ? time : make_dim(d));
        return indices;
    };
    const auto exists = [&](const Expr& time) {
        if (time.same_as(simplify_index(make_op(Op::add, DType::i64, {now, one}))))
            return make_op(Op::lt, DType::bool_, {time, index_expr(t.extent())});
        return make_op(Op::le, DType::bool_, {zero_of(DType::i64), time});
    };
    auto recurrence = std::make_shared<Recurrence>(Recurrence{t, !r.reverse, {}, {}});
    std::vector<Func> back;
    std::vector<Expr> back_now, back_after;
    for (size_t c = 0; c < r.components(); ++c) {
        if (!is_float(r.identity[c].dtype())) {
            back_now.emplace_back();
            back_after.emplace_back();
            continue;
        }
        Func s(names_.func(fmt::format("{}/back.{}", name, c)), root->where);
        const DType dtype = derivative_dtype(r.identity[c].dtype());
        define_func(*s.state(), dims, {zero_of(dtype)}, root->where);
        s.state()->recurrence = recurrence;
        s.state()->init = zero_of(dtype);
        recurrence->states.push_back(s.state());
        recurrence->kept.push_back(s.state());
        back.push_back(s);
        back_now.push_back(read_at(s, dims_as_indices(dims), root->where));
        back_after.push_back(read_at(s, moved(dims, after), root->where));
    }
    const auto y_at = [&](const Expr& time) { return components_at(f, moved(f.dims(), time), root->where); };
    const auto x_at = [&](const Expr& time) { return components_at(x, moved(f.dims(), time), root->where); };
    const SweepContext context = context_of(f);
    const CombineCotangents step = combine_cotangents(r, y_at(now), x_at(r.exclusive ? now : after), back_after, context);
    size_t next = 0;
    for (size_t c = 0; c < r.components(); ++c) {
        if (!back_now[c].defined()) continue;
        FuncState& s = *back[next++].state();
        const Guarded total = added({{}, at_scan[c]}, under(exists(after), step.left[c]));
        s.values = {total.zero() ? zero_of(s.dtypes[0]) : total.expr()};
    }
    std::vector<Guarded> seeds;
    if (r.exclusive) {
        for (const Guarded& g : step.right) seeds.push_back(under(exists(after), g));
    } else {
        std::vector<Expr> past = y_at(before);
        for (size_t c = 0; c < past.size(); ++c)
            past[c] = make_op(Op::select, past[c].dtype(), {exists(before), past[c], r.identity[c]});
        seeds = combine_cotangents(r, past, x_at(now), back_now, context).right;
    }
    transpose_all(f, operands, seeds, loops, {}, context);
}

void Reverse::spread_scatter(const Func& f, const Expr& root, const std::vector<Expr>& given) {
    check_apart(f, root);
    const Scatter& s = root->scatter();
    const Reduction& r = *s.reduction;
    const size_t places = s.destination.size();
    if (r.components() != 1) throw_no_rule(f, root, "only scatters of one value have one");
    const Expr value = root->args[places];
    const Expr init = s.has_init ? root->args[places + 1] : Expr();
    std::vector<LoopDim> loops, own = loops_of(f);
    DimValues index;
    Expr inside;
    for (const LoopDim& loop : own) {
        const auto found =
            std::find_if(s.destination.begin(), s.destination.end(), [&](const Dim& d) { return d.id() == loop.dim.id(); });
        if (found == s.destination.end()) {
            loops.push_back(loop);
            continue;
        }
        const Expr at = root->args[static_cast<size_t>(found - s.destination.begin())];
        const Interval whole = whole_dim(loop.dim);
        // Clamped, for reads beside the guard.
        const Expr low = greater(loop.range.low, whole.low), high = lesser(loop.range.high, whole.high);
        index[loop.dim.id()] = make_op(Op::min, DType::i64, {make_op(Op::max, DType::i64, {at, low}), high});
        inside = both(inside, make_op(Op::le, DType::bool_, {low, at}));
        inside = both(inside, make_op(Op::le, DType::bool_, {at, high}));
    }
    for (const Dim& d : r.dims) loops.push_back({d, whole_dim(d), true});
    const Guarded there = restricted({{}, with_dims(given[0], index)}, inside);
    const Expr flat = flat_place(r.dims);
    std::vector<To> to_dims;
    for (size_t k = 0; k < places; ++k) to_dims.push_back({s.destination[k], root->args[k], root->where});
    const std::vector<Expr> here = dims_as_indices(f.dims());
    const auto winner_func = [&](const Monoid& m, const Expr& number) {
        const Expr none = make_constant(DType::i64, std::int64_t{-1});
        const Expr chosen_place =
            scatter(m, to_dims, r.dims, Operand(number, root->where), {.init = {Operand(none, root->where)}});
        return made_func(names_.func(f.name() + "/winner"), f.dims(), {chosen_place}, root->where);
    };
    SweepContext context = context_of(f);
    Guarded to_value = there, to_init{{}, given[0]};
    if (r.monoid == last.shared() || r.monoid == maximum.shared() || r.monoid == minimum.shared()) {
        if (r.monoid == last.shared()) {
            const Func winner = winner_func(maximum, flat);
            to_value = restricted(there, equal(with_dims(read_at(winner, here, root->where), index), flat));
            to_init = restricted(to_init, equal(read_at(winner, here, root->where), make_constant(DType::i64, std::int64_t{-1})));
        } else {
            // The first value that is the result, counted down so that the largest number wins; the init comes before all values.
            const Expr result = with_dims(read_at(f, here, root->where), index);
            Expr count = make_constant(DType::i64, std::int64_t{1});
            for (const Dim& d : r.dims) count = count * index_expr(d.extent());
            const Expr place = make_op(Op::sub, DType::i64, {count, flat});
            const Expr hit = make_op(Op::and_, DType::bool_, {inside, equal(value, result)});
            const Func winner = winner_func(maximum, chosen(hit, place, make_constant(DType::i64, std::int64_t{-1})));
            const Expr is_winner = equal(with_dims(read_at(winner, here, root->where), index), place);
            to_value = restricted(there, is_winner);
            if (init.defined()) {
                const Expr init_wins = equal(init, read_at(f, here, root->where));
                to_value = restricted(to_value, not_of(with_dims(init_wins, index)));
                to_init = restricted(to_init, init_wins);
            }
        }
    } else if (r.monoid != plus.shared()) {
        throw_no_rule(f, root, "scatters add (plus), assign (last) or keep the largest or smallest value");
    }
    transpose_all(f, {value}, {to_value}, loops, {}, context);
    if (init.defined()) transpose_all(f, {init}, {to_init}, own, {}, context);
}

}  // namespace tessera
