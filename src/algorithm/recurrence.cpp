#include "algorithm/graph.h"
#include "algorithm/with_dims.h"

#include <fmt/format.h>

namespace tessera {
namespace {

std::vector<Dim> state_dims(const FuncState& f, const std::vector<Index>& indices) {
    std::vector<Dim> dims;
    for (const Index& i : indices) {
        if (i.expr->op != Op::dim || contains_dim(dims, i.expr->dim()))
            throw Error(E0306_left_hand_side, i.where,
                        fmt::format("state {} is indexed by something else than distinct Dims", f.name),
                        {token(f.name), expected("distinct Dims"), fix(fmt::format("write {}(t, i)", f.name))});
        dims.push_back(i.expr->dim());
    }
    return dims;
}

void begin_state(const StateVar& s, const Dim& t, SourceLoc where) {
    FuncState& f = *s.at.func();
    if (f.defined)
        throw Error(E0302_redefined, where, fmt::format("{} is defined twice", f.name),
                    {token(f.name), note(f.where, "first defined here"), fix("give the state a Func of its own")});
    std::vector<Dim> dims = state_dims(f, s.at.indices());
    if (!contains_dim(dims, t))
        throw Error(E0311_recurrence, s.at.where(), fmt::format("state {} does not have the time dim {}", f.name, t.name()),
                    {token(f.name), fix(fmt::format("write {}({}, ...)", f.name, t.name()))});
    if (is_constant(s.init.expr) && s.init.expr->weak && !f.declared)
        throw Error(E0203_literal, s.init.where, fmt::format("the init of state {} is a literal; its dtype is open", f.name),
                    {token(f.name), fix("write cast(f32, 0)")});
    f.init = s.init.expr->weak ? resolve_weak(s.init.expr, f.declared.value_or(s.init.expr.dtype()), s.init.where) : s.init.expr;
    if (f.declared && f.init.dtype() != *f.declared)
        throw Error(
            E0205_narrowing, s.init.where,
            fmt::format("state {} is declared {} but its init is {}", f.name, dtype_name(*f.declared),
                        dtype_name(f.init.dtype())),
            {token(f.name), expected(std::string(dtype_name(*f.declared))), received(std::string(dtype_name(f.init.dtype()))),
             fix(fmt::format("cast the init: cast({}, ...)", dtype_name(*f.declared)))});
    f.dims = std::move(dims);
    f.dtypes = {f.init.dtype()};
    f.where = s.at.where();
    f.defined = true;
}

}  // namespace

std::shared_ptr<Recurrence> begin_recurrence(const Dim& t, const std::vector<StateVar>& states, bool reverse, SourceLoc where) {
    if (states.empty())
        throw Error(E0311_recurrence, where, "a recurrence has no state",
                    {token("recurrence"), fix("give it at least one: {h(t, i), h0(i)}")});
    auto r = std::make_shared<Recurrence>(Recurrence{t, reverse, {}, {}});
    for (const StateVar& s : states) {
        begin_state(s, t, where);
        s.at.func()->recurrence = r;
        r->states.push_back(s.at.func());
    }
    return r;
}

void finish_recurrence(const Recurrence& recurrence, const Tuple& step, SourceLoc where) {
    if (step.size() != recurrence.states.size())
        throw Error(E0305_tuple, where,
                    fmt::format("the step of a recurrence yields {} values for {} states", step.size(), recurrence.states.size()),
                    {token("recurrence"), expected(std::to_string(recurrence.states.size())),
                     received(std::to_string(step.size())), fix("return one value per state")});
    for (size_t i = 0; i < recurrence.states.size(); ++i) {
        FuncState& f = *recurrence.states[i].lock();
        const Expr value = resolve_weak(step[i], f.dtypes[0], where);
        if (value.dtype() != f.dtypes[0])
            throw Error(E0205_narrowing, where,
                        fmt::format("state {} starts as {} but its step yields {}", f.name, dtype_name(f.dtypes[0]),
                                    dtype_name(value.dtype())),
                        {token(f.name), expected(std::string(dtype_name(f.dtypes[0]))),
                         received(std::string(dtype_name(value.dtype()))), fix("cast the step or the init")});
        for (const Expr& e : {value, f.init})
            for (const Dim& d : free_dims(e))
                if (!contains_dim(f.dims, d))
                    throw Error(E0103_unknown_dim, where,
                                fmt::format("dim {} is free in state {} but not among its dims", d.name(), f.name),
                                {token(d.name()), note(d.state().where, fmt::format("dim {} declared here", d.name())),
                                 fix("add it to the state's dims")});
        f.values = {value};
    }
}

namespace {

[[noreturn]] void fail_until(const Dim& t, SourceLoc where, const std::string& what, std::vector<Hint> hints) {
    hints.insert(hints.begin(), token("until"));
    throw Error(E0311_recurrence, where, fmt::format("the recurrence over {} {}", t.name(), what), std::move(hints));
}

Expr condition_of(const Dim& t, const Expr& until, SourceLoc where) {
    if (!t.extent().constant() && !t.state().at_most)
        fail_until(t, where, "stops by until, but nothing bounds its steps",
                   {fix(fmt::format("promise a bound: {}.at_most(1000)", t.name())),
                    fix(fmt::format("give it an extent: Dim {0}(\"{0}\", 1000)", t.name()))});
    if (until.dtype() != DType::bool_)
        fail_until(t, where, fmt::format("has an until of {}", dtype_name(until.dtype())),
                   {expected("bool"), received(std::string(dtype_name(until.dtype()))), fix("compare: s[0](t, i) < tolerance")});
    return until;
}

// A recurrence that stops has one state more, and its states keep their values where that holds:
//
//   stop(t, b) = stopped(t - 1, b) || (t > 0 && until at t - 1)      stopped(-1, b) = false
//   stopped(t, b) = stop(t, b)          s(t, b, i) = stop(t, b) ? s(t - 1, b, i) : step
void stop_steps(const std::shared_ptr<Recurrence>& r, const Expr& given, SourceLoc where) {
    const Dim& t = r->t;
    const Expr until = condition_of(t, given, where);
    std::vector<Dim> dims{t};
    for (const Dim& d : free_dims(until))
        if (!contains_dim(dims, d)) dims.push_back(d);
    for (const auto& weak : r->states) {
        const FuncState& s = *weak.lock();
        for (const Dim& d : dims)
            if (!contains_dim(s.dims, d))
                fail_until(t, where,
                           fmt::format("stops for each {} by itself, but state {} does not have that dim", d.name(), s.name),
                           {fix(fmt::format("give {} the dim {}", s.name, d.name())),
                            fix(fmt::format("reduce the condition over it: all({{{}}}, ...)", d.name()))});
    }
    const std::string name = r->states[0].lock()->name;
    Func stopped(name + "/stopped", where), stop(name + "/stop", where);
    FuncState& f = *stopped.state();
    f.dims = dims;
    f.dtypes = {DType::bool_};
    f.init = make_constant(DType::bool_, std::int64_t{0});
    f.recurrence = r;
    f.defined = true;
    const std::vector<Index> at(dims.begin(), dims.end());
    const auto before = [&](const std::vector<Dim>& of) {
        std::vector<Index> indices(of.begin(), of.end());
        for (Index& i : indices)
            if (i.expr->op == Op::dim && i.expr->dim().id() == t.id()) i = Index(r->reverse ? t + 1 : t - 1, where);
        return indices;
    };
    const Expr past = index_expr(Index(r->reverse ? t + 1 : t - 1));
    const Expr later = r->reverse ? t < t.extent() - 1 : t > 0;
    stop.at(at, where) = stopped.at(before(dims), where) || (later && with_dims(until, {{t.id(), past}}));
    f.values = {stop.at(at, where).read()};
    for (const auto& weak : r->states) {
        const Func s(weak.lock());
        s.state()->values = {select(stop.at(at, where), s.at(before(s.dims()), where), s.state()->values[0])};
    }
    r->states.push_back(stopped.state());
    r->kept.push_back(stopped.state());
}

}  // namespace

void recurrence(const Dim& t, const std::vector<StateVar>& states, const std::function<Tuple(const Self&)>& step,
                const RecurrenceOptions& options, SourceLoc where) {
    const auto r = begin_recurrence(t, states, options.reverse, where);
    std::vector<Func> handles;
    for (const StateVar& s : states) handles.emplace_back(s.at.func());
    finish_recurrence(*r, step(Self(handles)), where);
    if (options.until) stop_steps(r, options.until(Self(handles)), where);
}

Func at_end(const Func& state, SourceLoc where) {
    const auto& r = state.state()->recurrence;
    if (!r)
        throw Error(E0311_recurrence, where, fmt::format("{} is no state of a recurrence", state.name()),
                    {token(state.name()), note(state.state()->where, fmt::format("{} defined here", state.name())),
                     fix("read it where it is needed")});
    Func end(state.name() + "/end", where);
    std::vector<Index> dims, at;
    for (const Dim& d : state.dims()) {
        const bool time = d.id() == r->t.id();
        at.push_back(!time ? Index(d) : r->reverse ? Index(0) : Index(d.extent() - 1));
        if (!time) dims.emplace_back(d);
    }
    end.at(dims, where) = state.at(at, where);
    return end;
}

}  // namespace tessera
