#include "solve/linear_solver.h"

#include <fmt/format.h>

#include <cctype>

namespace tessera {
namespace {

std::vector<Dim> in_front(const Dim& d, const std::vector<Dim>& dims) {
    std::vector<Dim> all{d};
    all.insert(all.end(), dims.begin(), dims.end());
    return all;
}
// f at the step t + shift.
Expr at_step(const Func& f, const Expr& time, const std::vector<Dim>& dims, SourceLoc where) {
    std::vector<Index> at{Index(time, where)};
    at.insert(at.end(), dims.begin(), dims.end());
    return f.at(at, where).read();
}

// The vectors of an iteration: over the dims of the right side, and products of two of them.
class Iteration {
public:
    Iteration(const SolverNames& names, const LinearSystem& system, const Func& right, const ImplicitOptions& options)
        : names_(names), system_(system), right_(right), where_(right.state()->where), dims_(right.dims()),
          solved_(solved_dims(right.dims(), options.per)), t_(names.dim("step", options.max_iters, where_)),
          most_(largest(names.func("right"), right, options.per)), tol_(0.5 * tolerance(options, right.dtype())) {
        for (const Dim& d : dims_)
            if (contains_dim(options.per, d)) per_.push_back(d);
    }

    Func conjugate_gradients() {
        const DType dtype = right_.dtype();
        Func x(func("x")), r(func("r")), p(func("p")), rr(func("rr"));
        recurrence(
            t_,
            {{at(x), zero()}, {at(r), here(right_)}, {at(p), here(right_)}, {at_per(rr), squared(here(right_), here(right_))}},
            [&](const Self& s) -> Tuple {
                const Func before = previous(s[2], "p_before");
                const Func q = stepped(t_, "/" + t_.name(), system_.product, system_.v, before);
                const Func length = defined("length", per_, quotient(last(s[3], per_), squared(now(before), now(q))));
                const Func rest = defined("rest", dims_, last(s[1], dims_) - now(length, per_) * now(q));
                const Func left = defined("left", per_, squared(now(rest), now(rest)));
                return {last(s[0], dims_) + now(length, per_) * now(before), now(rest),
                        now(rest) + quotient(now(left, per_), last(s[3], per_)) * now(before), now(left, per_)};
            },
            {.until = [&](const Self& s) { return sqrt(now(s[3], per_)) <= here(most_) * constant(dtype, tol_); }}, where_);
        return at_end(x, where_);
    }

    // On the normal equations, with the residual itself at hand (CGLS; Bjorck 1996, "Numerical methods for least squares
    // problems").
    Func normal_equations() {
        const DType dtype = right_.dtype();
        const Func first = started();
        Func x(func("x")), r(func("r")), p(func("p")), gg(func("gg"));
        recurrence(
            t_, {{at(x), zero()}, {at(r), here(right_)}, {at(p), here(first)}, {at_per(gg), squared(here(first), here(first))}},
            [&](const Self& s) -> Tuple {
                const Func before = previous(s[2], "p_before");
                const Func q = stepped(t_, "/" + t_.name(), system_.product, system_.v, before);
                const Func length = defined("length", per_, quotient(last(s[3], per_), squared(now(q), now(q))));
                const Func rest = defined("rest", dims_, last(s[1], dims_) - now(length, per_) * now(q));
                const Func g = stepped(t_, "/" + t_.name(), system_.transposed, system_.w, rest);
                const Func left = defined("left", per_, squared(now(g), now(g)));
                return {last(s[0], dims_) + now(length, per_) * now(before), now(rest),
                        now(g) + quotient(now(left, per_), last(s[3], per_)) * now(before), now(left, per_)};
            },
            {.until = [&](const Self& s) { return most_of(now(s[1])) <= here(most_) * constant(dtype, tol_); }}, where_);
        return at_end(x, where_);
    }

    Func relaxed() {
        const DType dtype = right_.dtype();
        Func x(func("x"));
        recurrence(
            t_, {{at(x), here(right_)}},
            [&](const Self& s) -> Tuple {
                const Func before = previous(s[0], "x_before");
                const Func q = stepped(t_, "/" + t_.name(), system_.product, system_.v, before);
                return {now(before) + here(right_) - now(q)};
            },
            {.until =
                 [&](const Self& s) { return most_of(now(s[0]) - last(s[0], dims_)) <= here(most_) * constant(dtype, tol_); }},
            where_);
        return at_end(x, where_);
    }

private:
    std::string func(const std::string& part) const { return names_.func(part); }
    FuncRef at(const Func& state) const { return state.at(indices_of(in_front(t_, dims_)), where_); }
    FuncRef at_per(const Func& state) const { return state.at(indices_of(in_front(t_, per_)), where_); }
    Expr zero() const { return constant(right_.dtype(), 0.0); }
    Expr here(const Func& f) const { return f.at(indices_of(f.dims()), where_).read(); }
    Expr now(const Func& f, const std::vector<Dim>& dims) const { return at_step(f, Expr(t_), dims, where_); }
    Expr now(const Func& f) const { return now(f, dims_); }
    Expr last(const Func& f, const std::vector<Dim>& dims) const { return at_step(f, t_ - 1, dims, where_); }
    Expr squared(const Expr& a, const Expr& b) const { return solved_.empty() ? a * b : sum(Dims(solved_), a * b); }
    Expr most_of(const Expr& e) const { return solved_.empty() ? abs(e) : tessera::max(Dims(solved_), abs(e)); }
    static Expr quotient(const Expr& a, const Expr& b) { return select(b == 0, 0, a / b); }
    Func defined(const std::string& part, const std::vector<Dim>& dims, const Expr& value) const {
        Func f(func(part), where_);
        f.at(indices_of(in_front(t_, dims)), where_) = value;
        return f;
    }
    Func previous(const Func& state, const std::string& part) const { return defined(part, dims_, last(state, dims_)); }

    // A' of the right side.
    Func started() const {
        CopyChanges changes{.suffix = "/start"};
        Replacement r{{nullptr, right_.state(), Boundary::none}, {}};
        for (size_t i = 0; i < dims_.size(); ++i) r.position.emplace_back(i);
        changes.tensors.emplace(system_.w.state().get(), std::move(r));
        const Func copy = (*std::make_shared<GraphCopy>(std::move(changes)))({system_.transposed})[0];
        Func f(func("start"), where_);
        f.at(indices_of(dims_), where_) = copy.at(indices_of(dims_), where_).read();
        return f;
    }

    const SolverNames& names_;
    const LinearSystem& system_;
    Func right_;
    SourceLoc where_;
    std::vector<Dim> dims_, solved_, per_;
    Dim t_;
    Func most_;
    double tol_;
};

// Gauss-Jordan elimination: at step t the column t becomes that of the unit matrix.
Func eliminated(const SolverNames& names, const LinearSystem& system, const Func& right, const ImplicitOptions& options) {
    const SourceLoc where = right.state()->where;
    const std::vector<Dim> solved = solved_dims(right.dims(), options.per);
    if (solved.size() != 1)
        throw Limit(L0904_derivative, where,
                    fmt::format("{} is solved for {}; elimination is for one", names.name, counted(solved.size(), "dim")),
                    {fix("choose {.solver = Solver::cgnr}"), fix("join the dims into one")});
    const Dim& i = solved[0];
    const Dim j = names.dim("column", i.extent(), where), t = names.dim("pivot", i.extent(), where);
    std::vector<Dim> kept_apart;
    for (const Dim& d : right.dims())
        if (contains_dim(options.per, d)) kept_apart.push_back(d);
    const Func matrix = jacobian(system.product, system.v, {j}, {.per = kept_apart, .name = names.func("matrix")});
    Func M(names.func("rows"), where), y(names.func("rest"), where);
    // `d` stands where i stands in the dims of the right side.
    const auto row = [&](const Index& d) {
        std::vector<Index> at;
        for (const Dim& x : right.dims()) at.push_back(x.id() == i.id() ? d : Index(x, where));
        return at;
    };
    const auto with = [](const Index& a, std::vector<Index> at) {
        at.insert(at.begin(), a);
        return at;
    };
    const auto entry = [](std::vector<Index> at, const Index& column) {
        at.push_back(column);
        return at;
    };
    const Expr first = matrix.at(entry(row(Index(i, where)), Index(j, where)), where).read();
    recurrence(
        t,
        {{M.at(entry(with(Index(t), row(Index(i, where))), Index(j)), where), first},
         {y.at(with(Index(t), row(Index(i))), where), right.at(row(Index(i)), where).read()}},
        [&](const Self& s) -> Tuple {
            const Index before(t - 1, where);
            const auto m = [&](const Index& r, const Index& c) { return s[0].at(entry(with(before, row(r)), c), where).read(); };
            const auto v = [&](const Index& r) { return s[1].at(with(before, row(r)), where).read(); };
            std::vector<Dim> per;
            for (const Dim& d : right.dims())
                if (d.id() != i.id()) per.push_back(d);
            Func pivot(names.func("pivot"), where);
            pivot.at(indices_of(in_front(t, per)), where) =
                clamp(argmax(i, abs(m(Index(i), Index(t))), tessera::where(i >= t)), 0, max(Expr(i.extent()) - 1, 0));
            const Expr chosen = pivot.at(indices_of(in_front(t, per)), where).read();
            const Index p(chosen, where);
            const Index from(select(i == t, chosen, cast(i64, i) == chosen, cast(i64, t), cast(i64, i)), where);
            const Expr divisor = m(p, Index(t)), factor = m(from, Index(t)) / divisor;
            return {select(i == t, m(p, Index(j)) / divisor, m(from, Index(j)) - factor * m(p, Index(j))),
                    select(i == t, v(p) / divisor, v(from) - factor * v(p))};
        },
        {}, where);
    return at_end(y, where);
}

}  // namespace

Dim SolverNames::dim(const std::string& part, const Extent& extent, SourceLoc where) const {
    std::string spelled = name + "_" + part;
    for (char& c : spelled)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    return Dim(spelled, extent, where);
}

std::vector<Dim> solved_dims(const std::vector<Dim>& x, const std::vector<Dim>& per) {
    std::vector<Dim> out;
    for (const Dim& d : x)
        if (!contains_dim(per, d)) out.push_back(d);
    return out;
}

double tolerance(const ImplicitOptions& options, DType dtype) {
    if (options.tol > 0) return options.tol;
    return dtype == DType::f64 ? 1e-10 : 1e-5;
}

Func largest(const std::string& name, const Func& f, const std::vector<Dim>& per) {
    const SourceLoc where = f.state()->where;
    std::vector<Dim> kept;
    for (const Dim& d : f.dims())
        if (contains_dim(per, d)) kept.push_back(d);
    Func out(name + "/largest", where);
    const Expr size = abs(f.at(indices_of(f.dims()), where));
    const std::vector<Dim> over = solved_dims(f.dims(), per);
    // A NaN is the largest.
    out.at(indices_of(kept), where) = over.empty() ? size : tessera::max(Dims(over), size);
    return out;
}

Func stepped(const Dim& t, const std::string& suffix, const Func& f, const Func& of, const Func& before) {
    CopyChanges changes{.added = t, .suffix = suffix};
    Replacement r{{nullptr, before.state(), Boundary::none}, {std::nullopt}};
    for (size_t i = 0; i < of.rank(); ++i) r.position.emplace_back(i);
    changes.tensors.emplace(of.state().get(), std::move(r));
    return std::make_shared<GraphCopy>(std::move(changes))->over_added({f})[0];
}

Func solved(const SolverNames& names, const LinearSystem& system, const Func& right, const ImplicitOptions& options) {
    const std::vector<Dim> dims = solved_dims(right.dims(), options.per);
    Solver solver = options.solver;
    if (solver == Solver::automatic) {
        const bool small = dims.size() == 1 && dims[0].extent().constant() && *dims[0].extent().constant() <= 64;
        solver = small ? Solver::lu : Solver::cgnr;
    }
    if (solver == Solver::lu) return eliminated(names, system, right, options);
    Iteration iteration(names, system, right, options);
    if (solver == Solver::cg) return iteration.conjugate_gradients();
    return solver == Solver::relax ? iteration.relaxed() : iteration.normal_equations();
}

}  // namespace tessera
