#include "autodiff/reverse.h"
#include "base/check.h"
#include "expr/op_cost.h"

#include <algorithm>

// The states of a recurrence and what stands between them: the cotangents of the states are states of a recurrence that runs the
// other way.
//
//   h(t) = f(a(t), h(t - 1)), h(-1) = h0
//   ->  d_h(t) = given(t) + (t + 1 < T ? d_h(t + 1) * df/dh at t + 1 : 0), from the end down
//       what a(t) gets is d_h(t) * df/da at t; what h0 gets is the same sum at t = -1
namespace tessera {
namespace {

// Those of the values that are not one division away from others of them: dividing again is cheaper than one more value in memory
// for every step.
//
//   e, 1 / (1 + e), tanh(x)  ->  e, tanh(x)
std::vector<Expr> without_cheap_ones(const std::vector<Expr>& values) {
    constexpr double one_division = 6;
    std::unordered_set<const ExprNode*> wanted, kept;
    for (const Expr& v : values) wanted.insert(v.get());
    for_each_node(values, [&](const Expr& v) {
        if (!wanted.count(v.get())) return;
        double cost = 0;
        bool reads = false, from_kept = false;
        std::unordered_set<const ExprNode*> seen;
        std::vector<Expr> open{v};
        while (!open.empty()) {
            const Expr n = open.back();
            open.pop_back();
            if (!seen.insert(n.get()).second) continue;
            if (kept.count(n.get())) {
                from_kept = true;
                continue;
            }
            reads = reads || n->op == Op::access;
            cost += op_cost(*n);
            open.insert(open.end(), n->args.begin(), n->args.end());
        }
        if (reads || !from_kept || cost > one_division) kept.insert(v.get());
    });
    std::vector<Expr> out;
    for (const Expr& v : values)
        if (kept.count(v.get())) out.push_back(v);
    return out;
}

std::vector<const FuncState*> funcs_read(const std::vector<Expr>& roots) {
    std::vector<const FuncState*> read;
    for_each_node(roots, [&](const Expr& n) {
        if (n->op == Op::access && n->target().func) read.push_back(n->target().func.get());
    });
    return read;
}

// Accesses that every step evaluates: none under the branch of a select, or behind a condition that may decide alone.
std::unordered_set<const ExprNode*> unconditional_reads(const std::vector<Expr>& roots) {
    std::unordered_set<const ExprNode*> seen, reads;
    std::vector<Expr> open = roots;
    while (!open.empty()) {
        const Expr n = open.back();
        open.pop_back();
        if (!seen.insert(n.get()).second) continue;
        if (n->op == Op::access) reads.insert(n.get());
        const bool first_only = n->op == Op::select || n->op == Op::and_ || n->op == Op::or_;
        open.insert(open.end(), n->args.begin(), first_only ? n->args.begin() + 1 : n->args.end());
    }
    return reads;
}

}  // namespace

// Funcs that a step reads and that read a state, producers first. They stand inside the recurrence.
std::vector<Func> Reverse::stages_of(const Recurrence& recurrence) const {
    std::unordered_set<const FuncState*> states, reaches, below;
    for (const auto& s : recurrence.states) states.insert(s.lock().get());
    for (bool grown = true; grown;) {
        grown = false;
        for (const Func& f : algorithm_.funcs) {
            const FuncState* state = f.state().get();
            if (states.count(state) || reaches.count(state)) continue;
            for (const FuncState* read : funcs_read(definition_roots(*state)))
                if (states.count(read) || reaches.count(read)) grown = reaches.insert(state).second || grown;
        }
    }
    std::vector<const FuncState*> stack;
    for (const auto& s : recurrence.states)
        for (const FuncState* read : funcs_read(s.lock()->values)) stack.push_back(read);
    while (!stack.empty()) {
        const FuncState* f = stack.back();
        stack.pop_back();
        if (states.count(f) || !below.insert(f).second) continue;
        for (const FuncState* read : funcs_read(definition_roots(*f))) stack.push_back(read);
    }
    std::vector<Func> inside, ordered;
    for (const Func& f : algorithm_.funcs)
        if (reaches.count(f.state().get()) && below.count(f.state().get())) inside.push_back(f);
    std::unordered_set<const FuncState*> placed;
    while (ordered.size() < inside.size()) {
        const size_t before = ordered.size();
        for (const Func& f : inside) {
            if (placed.count(f.state().get())) continue;
            bool ready = true;
            for (const FuncState* read : funcs_read(definition_roots(*f.state())))
                for (const Func& other : inside) ready = ready && (other.state().get() != read || placed.count(read));
            if (!ready) continue;
            placed.insert(f.state().get());
            ordered.push_back(f);
        }
        TESSERA_CHECK(ordered.size() > before, "stages of a recurrence that read each other at one time");
    }
    return ordered;
}

void Reverse::spread_group(const Recurrence& recurrence) {
    const Dim& t = recurrence.t;
    const std::vector<Func> stages = stages_of(recurrence);
    for (const Func& f : stages) done_.insert(f.state().get());
    std::vector<Func> states;
    for (const auto& s : recurrence.states) {
        done_.insert(s.lock().get());
        states.emplace_back(s.lock());
    }
    const auto reached = [this](const std::vector<Func>& funcs) {
        return std::any_of(funcs.begin(), funcs.end(), [this](const Func& f) {
            for (int c = 0; c < f.components(); ++c)
                if (terms_.count({f.state().get(), c})) return true;
            return false;
        });
    };
    if (!reached(states) && !reached(stages)) return;
    // The reverse states, defined when everything that they get is known.
    auto back = std::make_shared<Recurrence>(Recurrence{t, !recurrence.reverse, {}, {}});
    std::vector<Func> reversed;
    for (const Func& f : states) {
        const SourceLoc where = f.state()->where;
        const DType dtype = derivative_dtype(f.dtype());
        Func s(names_.func(options_.prefix + "/" + f.name()), where);
        define_func(*s.state(), with_parameters(f.dims()), {zero_of(dtype)}, where);
        s.state()->init = zero_of(dtype);
        reversed.push_back(s);
        if (is_float(f.dtype()) && activity_.varies(*f.state()))
            states_[{f.state().get(), 0}] = read_at(s, dims_as_indices(s.dims()), where);
    }
    const auto times_of = [&](const Func& f, const Interval& range) {
        std::vector<LoopDim> loops = loops_of(f);
        for (LoopDim& loop : loops)
            if (loop.dim.id() == t.id()) loop.range = range;
        return loops;
    };
    std::unordered_set<const FuncState*> inside;
    for (const Func& f : states) inside.insert(f.state().get());
    for (const Func& f : stages) inside.insert(f.state().get());
    for (const std::vector<Func>& group : of_equal_dims(states)) spread_steps(group, inside, times_of(group[0], whole_dim(t)));
    for (size_t i = stages.size(); i-- > 0;)
        if (activity_.varies(*stages[i].state())) spread(stages[i]);
    for (size_t i = 0; i < states.size(); ++i) {
        const Func& f = states[i];
        const Key key{f.state().get(), 0};
        if (!states_.count(key)) continue;
        states_.erase(key);
        FuncState& s = *reversed[i].state();
        const Expr total = combined(key, s.name + "/step", f.dims(), s.where);
        if (!total.defined()) continue;
        // Inside the recurrence only [0, T) is summed; the value before the start is that of the init.
        s.values = {converted(s.dtypes[0], total)};
        s.recurrence = back;
        back->states.push_back(reversed[i].state());
        back->kept.push_back(reversed[i].state());
    }
    for (size_t i = 0; i < states.size(); ++i)
        if (reversed[i].state()->recurrence)
            spread_init(states[i], reversed[i], t, recurrence.reverse);
        else
            reversed[i].state()->init = {};
}

// States of equal dims whose cotangents are known here, in their order.
std::vector<std::vector<Func>> Reverse::of_equal_dims(const std::vector<Func>& states) const {
    std::vector<std::vector<Func>> groups;
    for (const Func& f : states) {
        if (!states_.count({f.state().get(), 0})) continue;
        const auto same = [&](const std::vector<Func>& group) {
            return std::equal(group[0].dims().begin(), group[0].dims().end(), f.dims().begin(), f.dims().end(),
                              [](const Dim& a, const Dim& b) { return a.id() == b.id(); });
        };
        const auto found = std::find_if(groups.begin(), groups.end(), same);
        if (found == groups.end())
            groups.push_back({f});
        else
            found->push_back(f);
    }
    return groups;
}

// One sweep over the steps of states that are computed together. What goes to states stays inside the recurrence; what others get
// is computed once per point behind it.
void Reverse::spread_steps(const std::vector<Func>& group, const std::unordered_set<const FuncState*>& inside,
                           const std::vector<LoopDim>& loops) {
    SweepContext context = context_of(group[0]);
    std::vector<Expr> roots;
    std::vector<Guarded> seeds;
    for (const Func& f : group) {
        const Expr& step = f.state()->values[0];
        if (!step->args.empty() && step->op != Op::access)
            context.stored.emplace(step.get(), read_at(f, dims_as_indices(f.dims()), f.state()->where));
        roots.push_back(step);
        seeds.push_back({{}, states_.at({f.state().get(), 0})});
    }
    std::vector<Contribution> to_states, to_others;
    for (Contribution& c : with_held_values(group[0], roots, context, reverse_sweep(roots, seeds, context))) {
        const bool state = c.access->target().func && inside.count(c.access->target().func.get());
        (state ? to_states : to_others).push_back(std::move(c));
    }
    transpose_each(group[0], to_states, loops, {});
    transpose_each(group[0], stored_terms(group[0], std::move(to_others)), loops, {});
}

// What a step computes dearly and its derivative needs, and no cotangent reaches: computed for all steps at once before they run
// back one after the other, and once for all that reads it. What is cheap is computed where it is needed.
//
//   d_h(t) = ... d_h(t + 1) * exp(x(t + 1)) ...   ->   held(t) = exp(x(t));  d_h(t) = ... d_h(t + 1) * held(t + 1) ...
std::vector<Contribution> Reverse::with_held_values(const Func& f, const std::vector<Expr>& roots, const SweepContext& context,
                                                    std::vector<Contribution> contributions) {
    constexpr double dear = 4, worth_storing = 15;
    std::vector<Expr> all;
    for (const Contribution& c : contributions) all.push_back(c.value.value);
    auto reads = unconditional_reads(roots);
    for (const auto& stored : context.stored) reads.insert(stored.second.get());
    std::unordered_set<const FuncState*> cotangents;
    for (const auto& state : states_)
        for (const FuncState* s : funcs_read({state.second})) cotangents.insert(s);
    std::unordered_set<const ExprNode*> fixed;  // the same whatever the cotangents are, and readable at every step
    for_each_node(all, [&](const Expr& n) {
        bool is = n->op != Op::access || n->target().input || cotangents.count(n->target().func.get()) == 0;
        is = is && (n->op != Op::access || reads.count(n.get()));
        for (const Expr& a : n->args) is = is && fixed.count(a.get());
        if (is) fixed.insert(n.get());
    });
    std::vector<Expr> values, open = all;
    std::unordered_set<const ExprNode*> seen;
    double cost = 0;
    while (!open.empty()) {
        const Expr n = open.back();
        open.pop_back();
        if (!seen.insert(n.get()).second) continue;
        if (is_float(n.dtype()) && n->op != Op::access && op_cost(*n) >= dear && fixed.count(n.get())) {
            values.push_back(n);
            for_each_node({n}, [&](const Expr& part) { cost += op_cost(*part); });
        } else if (n->op != Op::access) {
            open.insert(open.end(), n->args.rbegin(), n->args.rend());
        }
    }
    if (cost < worth_storing) return contributions;
    values = without_cheap_ones(values);
    const std::vector<Dim> dims = with_parameters(f.dims());
    const SourceLoc where = f.state()->where;
    const Func held = made_func(names_.func(options_.prefix + "/" + f.name() + "/held"), dims, values, where);
    NodeValues read;
    for (size_t i = 0; i < values.size(); ++i)
        read.emplace(values[i], read_at(held, dims_as_indices(dims), where, static_cast<int>(i)));
    for (Contribution& c : contributions) c.value.value = with_nodes(c.value.value, read);
    return contributions;
}

// The cotangent of the state before the start, spread to what the init reads.
void Reverse::spread_init(const Func& f, const Func& reversed, const Dim& t, bool reverse) {
    const SweepContext context = context_of(f);
    const auto varying = activity_.varying_nodes({f.state()->init});
    if (!varying.count(f.state()->init.get())) return;
    const std::vector<Expr> value = reversed.state()->values;
    const Func before = made_func(names_.func(reversed.name() + "/init"), reversed.dims(), value, f.state()->where);
    std::vector<LoopDim> loops = loops_of(f);
    for (LoopDim& loop : loops)
        if (loop.dim.id() == t.id()) {
            if (reverse)
                loop.range.low = index_expr(t.extent());
            else
                loop.range.high = make_constant(DType::i64, std::int64_t{-1});
        }
    transpose_all(f, {f.state()->init}, {{{}, read_at(before, dims_as_indices(before.dims()), f.state()->where)}}, loops, {},
                  context);
}

}  // namespace tessera
