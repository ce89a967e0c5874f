#include "solve/linear_solver.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

namespace tessera {
namespace {

Expr here(const Func& f, SourceLoc where) { return f.at(indices_of(f.dims()), where).read(); }

Func named(const std::string& name, const std::vector<Dim>& dims, const Expr& value, SourceLoc where) {
    Func f(name, where);
    f.at(indices_of(dims), where) = value;
    return f;
}

// `of` replaced by `by`, a Func over the same dims.
CopyChanges standing_for(const Func& of, const Func& by, const std::string& suffix) {
    CopyChanges changes{.suffix = suffix};
    Replacement r{{nullptr, by.state(), Boundary::none}, {}};
    for (size_t i = 0; i < of.rank(); ++i) r.position.emplace_back(i);
    changes.tensors.emplace(of.state().get(), std::move(r));
    return changes;
}

using StandIns = std::vector<std::pair<Func, Func>>;  // and what they stand for

// F(x) = 0 as definitions: x stands for the solution.
struct Equation {
    std::string name;
    Func x, residual;
    std::vector<Wrt> captured;
    ImplicitOptions options;
    SourceLoc where;
    std::string copies = "/at";  // behind the names of copies at the solution
    // Transforms see the equation alone: what comes in from outside may read other copies of what the equation reads.
    StandIns given = {};
};

bool reads(const FuncState& f, const std::set<const FuncState*>& any) {
    bool found = false;
    std::vector<Expr> roots = f.values;
    if (f.init.defined()) roots.push_back(f.init);
    for_each_node(roots, [&](const Expr& n) { found = found || (n->op == Op::access && any.count(n->target().func.get())); });
    if (f.recurrence)
        for (const auto& s : f.recurrence->states) found = found || any.count(s.lock().get());
    return found;
}

std::vector<Func> reachable(const Func& f) {
    std::vector<Func> found;
    const Algorithm all({f}, arguments_of({f}));
    for (const Func& g : all.funcs()) found.push_back(g);
    return found;
}

// What Funcs that depend on x read and does not: floats, in the order of first use.
std::vector<Wrt> captured_by(const Func& residual, const Func& x) {
    std::vector<std::shared_ptr<FuncState>> all{residual.state()};
    std::unordered_set<const FuncState*> seen{residual.state().get()};
    const auto each_read = [](const FuncState& f, auto&& visit) {
        std::vector<Expr> roots = f.values;
        if (f.init.defined()) roots.push_back(f.init);
        for_each_node(roots, [&](const Expr& n) {
            if (n->op == Op::access) visit(n->target());
        });
    };
    for (size_t i = 0; i < all.size(); ++i) {
        if (all[i] == x.state()) continue;
        each_read(*all[i], [&](const AccessTarget& t) {
            if (t.func && seen.insert(t.func.get()).second) all.push_back(t.func);
        });
        if (all[i]->recurrence)
            for (const auto& s : all[i]->recurrence->states)
                if (const auto state = s.lock(); seen.insert(state.get()).second) all.push_back(state);
    }
    std::set<const FuncState*> depends{x.state().get()};
    for (bool grown = true; grown;) {
        grown = false;
        for (const auto& f : all)
            if (!depends.count(f.get()) && reads(*f, depends)) grown = depends.insert(f.get()).second;
    }
    std::vector<Wrt> captured;
    std::unordered_set<const void*> listed;
    depends.insert(residual.state().get());
    for (const auto& f : all) {
        if (!depends.count(f.get()) || f == x.state()) continue;
        each_read(*f, [&](const AccessTarget& t) {
            if (t.input && is_float(t.input->dtype) && listed.insert(t.input.get()).second)
                captured.emplace_back(Input(std::const_pointer_cast<InputState>(t.input)), residual.state()->where);
            if (t.func && !depends.count(t.func.get()) && t.func->dtypes.size() == 1 && is_float(t.func->dtypes[0]) &&
                listed.insert(t.func.get()).second)
                captured.emplace_back(Func(t.func), residual.state()->where);
        });
    }
    return captured;
}

[[nodiscard]] Func solution(const Equation& equation, const std::string& name, const Expr& value);

// The derivative of a solution. Linear systems are those at the solution itself, which is differentiated again through `at`.
class ImplicitRule {
public:
    ImplicitRule(Equation equation, Func x_star) : e_(std::move(equation)), x_star_(std::move(x_star)) {}

    std::vector<Func> reverse(const Func& cotangent) {
        const std::string name = cotangent.name() + "/solve";
        const Func w = direction(name + "/w", cotangent.dtype()), v = direction(name + "/v", cotangent.dtype());
        const Func transposed = at(vjp({{e_.residual, w}}, {e_.x}, {.name = name + "/transposed"}))[0];
        const Func product = at({jvp(e_.residual, {{e_.x, v}}, {.name = name + "/product"})})[0];
        const Func lambda = checked_solution({name}, {w, transposed, v, product}, cotangent);
        const Func minus = named(name + "/minus", lambda.dims(), -here(lambda, e_.where), e_.where);
        StandIns given = e_.given;
        given.emplace_back(direction(name + "/given", cotangent.dtype()), minus);
        return replaced(at(vjp({{e_.residual, given.back().first}}, e_.captured, {.name = name + "/by"})), given);
    }

    Func forward(const std::vector<Func>& tangents) {
        const std::string name = tangents[0].name() + "/solve";
        std::vector<Tangent> along;
        StandIns given = e_.given;
        for (size_t k = 0; k < tangents.size(); ++k) {
            const Func& t = tangents[k];
            given.emplace_back(named(fmt::format("{}/given_{}", name, k), t.dims(), constant(t.dtype(), 0.0), e_.where), t);
            along.push_back({e_.captured[k], given.back().first});
        }
        const Func moved = replaced(at({jvp(e_.residual, along, {.name = name + "/moved"})}), given)[0];
        const Func right = named(name + "/minus", e_.x.dims(), -here(moved, e_.where), e_.where);
        const Func w = direction(name + "/w", right.dtype()), v = direction(name + "/v", right.dtype());
        const Func transposed = at(vjp({{e_.residual, w}}, {e_.x}, {.name = name + "/transposed"}))[0];
        const Func product = at({jvp(e_.residual, {{e_.x, v}}, {.name = name + "/product"})})[0];
        return checked_solution({name}, {v, product, w, transposed}, right);
    }

private:
    Func direction(const std::string& name, DType dtype) const {
        return named(name, e_.x.dims(), constant(dtype, 0.0), e_.where);
    }

    static std::vector<Func> replaced(const std::vector<Func>& funcs, const StandIns& by) {
        CopyChanges changes;
        for (const auto& [from, to] : by) changes.tensors.merge(standing_for(from, to, "").tensors);
        return (*std::make_shared<GraphCopy>(std::move(changes)))(funcs);
    }

    // At the solution.
    std::vector<Func> at(const std::vector<Func>& funcs) {
        const std::lock_guard lock(mutex_);
        if (!copy_)
            copy_ = std::make_shared<GraphCopy>(
                standing_for(e_.x, solution(e_, e_.name + "/again", here(x_star_, e_.where)), e_.copies));
        return copy_->over_added(funcs);
    }

    // product(v) = right, as an equation of its own.
    Func checked_solution(const SolverNames& names, const LinearSystem& system, const Func& right) const {
        ImplicitOptions options = e_.options;
        const Func value = solved(names, system, right, options);
        const Func given = direction(names.func("right"), right.dtype());
        const Func residual =
            named(names.func("equation"), right.dims(), here(system.product, e_.where) - here(given, e_.where), e_.where);
        const Equation linear{
            names.func("solution"), system.v, residual, captured_by(residual, system.v), options, e_.where, "/at",
            {{given, right}}};
        return checked(linear, value, &right);
    }

public:
    // `value` where the residual at it is below the tolerance, for linear systems relative to their right side.
    static Func checked(const Equation& e, const Func& value, const Func* right) {
        const DType dtype = value.dtype();
        CopyChanges changes = standing_for(e.x, value, "/check");
        for (const auto& [from, to] : e.given) changes.tensors.merge(standing_for(from, to, "").tensors);
        const Func at = (*std::make_shared<GraphCopy>(std::move(changes)))({e.residual})[0];
        const Func error = largest(e.name + "/residual", at, e.options.per);
        Expr most = constant(dtype, tolerance(e.options, dtype));
        if (right) most = most * here(largest(e.name + "/right", *right, e.options.per), e.where);
        return solution(e, e.name, tessera::checked(here(value, e.where), here(error, e.where), most));
    }

private:
    Equation e_;
    Func x_star_;
    std::mutex mutex_;
    std::shared_ptr<GraphCopy> copy_;
};

Func solution(const Equation& equation, const std::string& name, const Expr& value) {
    const Func f = named(name, equation.x.dims(), value, equation.where);
    Expr plain = value;
    if (plain->op == Op::checked) plain = plain->args[0];
    Equation own = equation;
    own.name = name;
    if (name != equation.name) own.copies += "/again";
    auto by = std::make_shared<ImplicitRule>(std::move(own), Func(plain->target().func));
    auto rule = std::make_shared<DerivativeRule>();
    for (Wrt operand : equation.captured) {
        for (const auto& [from, to] : equation.given)
            if (operand.func() == from.state()) operand = Wrt(to, equation.where);
        rule->operands.push_back(operand);
    }
    rule->closed = false;
    rule->per = equation.options.per;
    rule->linear = true;
    rule->reverse = [by](const Func& cotangent) { return by->reverse(cotangent); };
    if (!equation.captured.empty()) rule->forward = [by](const std::vector<Func>& tangents) { return by->forward(tangents); };
    f.state()->rule = std::move(rule);
    return f;
}

void check_floats(const std::string& name, const Func& x) {
    if (x.components() != 1 || (x.dtype() != DType::f32 && x.dtype() != DType::f64))
        throw Error(E0202_dtype_unsupported, x.state()->where,
                    fmt::format("{} is solved for {} of {}", name, x.name(), dtype_name(x.dtype())),
                    {token(x.name()), expected("f32 or f64"), received(std::string(dtype_name(x.dtype()))),
                     fix("cast it, and the solution back")});
}

// The equation residual(x) == 0 with x over the dims of `like`.
Equation equation_of(const std::string& name, const Func& like, const std::function<Expr(const Func&)>& residual,
                     const ImplicitOptions& options) {
    check_floats(name, like);
    const SourceLoc where = like.state()->where;
    const Func x = named(name + "/unknown", like.dims(), constant(like.dtype(), 0.0), where);
    Func F(name + "/equation", like.dtype(), where);
    F.at(indices_of(like.dims()), where) = residual(x);
    return {name, x, F, captured_by(F, x), options, where};
}

}  // namespace

Func implicit(const std::string& name, const Func& x_star, const std::function<Expr(const Func&)>& residual,
              const ImplicitOptions& options) {
    return ImplicitRule::checked(equation_of(name, x_star, residual, options), x_star, nullptr);
}

Func fixed_point(const std::string& name, const Func& start, const std::function<Expr(const Func&)>& step,
                 const ImplicitOptions& given) {
    ImplicitOptions options = given;
    if (options.solver == Solver::automatic) options.solver = Solver::relax;
    Func image(name + "/image", start.dtype(), start.state()->where);
    const Equation e = equation_of(
        name, start,
        [&](const Func& x) {
            image.at(indices_of(start.dims()), x.state()->where) = step(x);
            return here(x, x.state()->where) - here(image, x.state()->where);
        },
        options);
    const SolverNames names{name};
    const Dim t = names.dim("step", options.max_iters, e.where);
    const std::vector<Dim> over = solved_dims(start.dims(), options.per);
    // x at a step, by its equation x - step(x).
    Func state(name + "/x", e.where);
    std::vector<Index> now{Index(t, e.where)}, before{Index(t - 1, e.where)};
    for (const Dim& d : start.dims()) {
        now.emplace_back(d, e.where);
        before.emplace_back(d, e.where);
    }
    recurrence(
        t, {{state.at(now, e.where), here(start, e.where)}},
        [&](const Self& s) -> Tuple {
            Func earlier(name + "/x_before", e.where);
            earlier.at(now, e.where) = s[0].at(before, e.where);
            return {stepped(t, "/" + t.name(), image, e.x, earlier).at(now, e.where)};
        },
        {.until =
             [&](const Self& s) {
                 const Expr change = abs(s[0].at(now, e.where) - s[0].at(before, e.where));
                 return (over.empty() ? change : tessera::max(Dims(over), change)) <=
                        constant(start.dtype(), 0.5 * tolerance(options, start.dtype()));
             }},
        e.where);
    return ImplicitRule::checked(e, at_end(state, e.where), nullptr);
}

Func solve(const std::string& name, const Func& right, const std::function<Expr(const Func&)>& product,
           const ImplicitOptions& options) {
    check_floats(name, right);
    Func image(name + "/image", right.dtype(), right.state()->where);
    const Equation e = equation_of(
        name, right,
        [&](const Func& v) {
            image.at(indices_of(right.dims()), v.state()->where) = product(v);
            return here(image, v.state()->where) - here(right, v.state()->where);
        },
        options);
    const Func w = named(name + "/w", right.dims(), constant(right.dtype(), 0.0), e.where);
    const Func transposed = transpose(image, {e.x}, w, {.name = name + "/transposed"})[0];
    for (const Func& f : reachable(transposed))
        if (f.state() == e.x.state())
            throw Error(E1003_derivative_shape, e.where,
                        fmt::format("the product of {} is not linear in what it is solved for", name),
                        {token(name), expected("sums of v times factors that are free of it"),
                         fix("use implicit() for equations that are not linear")});
    return ImplicitRule::checked(e, solved({name + "/solve"}, {e.x, image, w, transposed}, right, options), &right);
}

Func argmin(const std::string& name, const Func& start, const std::function<Expr(const Func&)>& objective,
            const ImplicitOptions& given) {
    check_floats(name, start);
    ImplicitOptions options = given;
    if (options.solver == Solver::automatic) options.solver = Solver::cg;
    const SourceLoc where = start.state()->where;
    std::vector<Dim> per;
    for (const Dim& d : start.dims())
        if (contains_dim(options.per, d)) per.push_back(d);
    const Func x = named(name + "/point", start.dims(), constant(start.dtype(), 0.0), where);
    const Func value = named(name + "/objective", per, objective(x), where);
    const Func slope = grad(value, {x}, {.per = per, .name = name + "/slope"})[0];
    // Over the dims of x, in their order.
    const Equation e{
        name, x,       named(name + "/equation", start.dims(), slope.at(indices_of(slope.dims()), where).read(), where),
        {},   options, where};
    Equation equation = e;
    equation.captured = captured_by(e.residual, x);
    const SolverNames names{name};
    const Dim t = names.dim("step", options.max_iters, where);
    const std::vector<Dim> over = solved_dims(start.dims(), options.per);
    const auto at = [&](const Func& f, const Expr& time, const std::vector<Dim>& dims) {
        std::vector<Index> all{Index(time, where)};
        all.insert(all.end(), dims.begin(), dims.end());
        return f.at(all, where);
    };
    const auto total = [&](const Expr& a) { return over.empty() ? a : sum(Dims(over), a); };
    const Func first = (*std::make_shared<GraphCopy>(standing_for(x, start, "/start")))({e.residual})[0];
    const Func steepest = largest(name + "/first", first, options.per);
    const DType dtype = start.dtype();
    Func point(name + "/x", where), direction(name + "/g", where), length(name + "/length", where);
    recurrence(
        t,
        {{at(point, Expr(t), start.dims()), here(start, where)},
         {at(direction, Expr(t), start.dims()), here(first, where)},
         {at(length, Expr(t), per), constant(dtype, 0.1) / max(here(steepest, where), constant(dtype, 1.0))}},
        [&](const Self& s) -> Tuple {
            const Expr before = t - 1;
            Func next(name + "/next", where);
            at(next, Expr(t), start.dims()) =
                at(s[0], before, start.dims()) - at(s[2], before, per) * at(s[1], before, start.dims());
            const Func g = stepped(t, "/" + t.name(), e.residual, x, next);
            const Expr moved = at(g, Expr(t), start.dims()) - at(s[1], before, start.dims());
            const Expr along = total(at(s[1], before, start.dims()) * moved), size = total(moved * moved);
            return {at(next, Expr(t), start.dims()).read(), at(g, Expr(t), start.dims()).read(),
                    select(size > 0, at(s[2], before, per) * abs(along) / size, at(s[2], before, per))};
        },
        {.until =
             [&](const Self& s) {
                 const Expr slopes = abs(at(s[1], Expr(t), start.dims()));
                 return (over.empty() ? slopes : tessera::max(Dims(over), slopes)) <=
                        constant(dtype, 0.5 * tolerance(options, dtype));
             }},
        where);
    return ImplicitRule::checked(equation, at_end(point, where), nullptr);
}

}  // namespace tessera
