#include "autodiff/forward.h"
#include "autodiff/graph_of.h"
#include "autodiff/kept_reads.h"
#include "autodiff/reverse.h"

#include <fmt/format.h>

namespace tessera {
namespace {

// The dims of the derivative that stand for those of x: the user's, else x's own, or like them where y has them.
std::vector<Dim> dims_for(const Wrt& x, const Func& y, const std::vector<Dim>& wanted, const GradOptions& options,
                          NameSupply& names) {
    std::vector<Dim> own;
    for (const Dim& d : dims_of(x))
        if (!contains_dim(options.per, d)) own.push_back(d);
    if (!wanted.empty()) {
        if (wanted.size() != own.size())
            throw Error(E1003_derivative_shape, x.where(),
                        fmt::format("{} has {} to differentiate by, but {} are named", name_of(x), counted(own.size(), "dim"),
                                    wanted.size()),
                        {token(name_of(x)), expected(std::to_string(own.size())), received(std::to_string(wanted.size())),
                         fix("name one Dim for each dim of it that is not in `per`")});
        for (const Dim& d : wanted)
            if (contains_dim(y.dims(), d))
                throw Error(E1003_derivative_shape, x.where(),
                            fmt::format("dim {} is one of {} and shall be one of the derivative too", d.name(), y.name()),
                            {token(d.name()), fix("name another Dim of that extent")});
        return wanted;
    }
    for (Dim& d : own)
        if (contains_dim(y.dims(), d)) d = names.dim(d.name(), d.extent());
    return own;
}

// 1 where all pairs of dims are equal.
Expr delta(const std::vector<Dim>& a, const std::vector<Dim>& b, DType dtype) {
    const Expr one = make_constant(dtype, 1.0);
    Expr same;
    for (size_t i = 0; i < a.size(); ++i) same = both(same, make_op(Op::eq, DType::bool_, {make_dim(a[i]), make_dim(b[i])}));
    return same.defined() ? chosen(same, one, zero_of(dtype)) : one;
}

std::vector<Dim> without(const std::vector<Dim>& dims, const std::vector<Dim>& per) {
    std::vector<Dim> out;
    for (const Dim& d : dims)
        if (!contains_dim(per, d)) out.push_back(d);
    return out;
}

std::vector<Dim> like(const std::vector<Dim>& dims, NameSupply& names) {
    std::vector<Dim> out;
    for (const Dim& d : dims) out.push_back(names.dim(d.name(), d.extent()));
    return out;
}

// `made` over `from`, as a Func over y's dims and then those of x.
Func arranged(const std::string& name, const Func& made, const std::vector<std::pair<Dim, Dim>>& renamed,
              const std::vector<Dim>& dims, SourceLoc where) {
    std::vector<Expr> indices;
    for (const Dim& d : made.dims()) {
        Expr at = make_dim(d);
        for (const auto& [from, to] : renamed)
            if (from.id() == d.id()) at = make_dim(to);
        indices.push_back(at);
    }
    return made_func(name, dims, {read_at(made, indices, where)}, where);
}

}  // namespace

Func jacrev(const Func& y, const Wrt& x, const std::vector<Dim>& wrt_dims, const GradOptions& options) {
    check_per(y, options);
    NormalGraph g = normal_graph({y}, {x});
    NameSupply& names = g.graph->names;
    names.name_dims_after(options.name);
    const Func& normal = g.outputs[0];
    const std::vector<Dim> rows = without(y.dims(), options.per), parameters = like(rows, names);
    const std::vector<Dim> columns = dims_for(x, y, wrt_dims, options, names);
    const std::string prefix = options.name.empty() ? "d_" + y.name() : options.name;
    Reverse reverse(*g.graph, {options.order, prefix, joined_dims(options.per, parameters)});
    reverse.seed(normal, 0, delta(rows, parameters, derivative_dtype(y.dtype())));
    reverse.run();
    const Func made = x.input() ? reverse.result(x.input()) : reverse.result(Func(x.func()));
    keep_reads_inside({made}, reverse.regions());
    std::vector<std::pair<Dim, Dim>> renamed;
    for (size_t i = 0; i < rows.size(); ++i) renamed.emplace_back(parameters[i], rows[i]);
    const std::vector<Dim> own = without(dims_of(x), options.per);
    for (size_t i = 0; i < own.size(); ++i) renamed.emplace_back(own[i], columns[i]);
    return arranged(names.func(prefix + "/" + name_of(x) + "/all"), made, renamed, joined_dims(y.dims(), columns),
                    y.state()->where);
}

Func jacfwd(const Func& y, const Wrt& x, const std::vector<Dim>& wrt_dims, const GradOptions& options) {
    if (!options.per.empty()) return jacrev(y, x, wrt_dims, options);
    NormalGraph g = normal_graph({y}, {x});
    NameSupply& names = g.graph->names;
    names.name_dims_after(options.name);
    const std::vector<Dim> parameters = like(dims_of(x), names), columns = dims_for(x, y, wrt_dims, options, names);
    Forward forward(*g.graph, {options.name, options.name.empty() ? name_of(x) : "", parameters});
    const Expr seed = delta(dims_of(x), parameters, derivative_dtype(wrt_dtype(x)));
    if (x.input())
        forward.set(x.input(), seed);
    else
        forward.set(Func(x.func()), seed);
    const Func made = forward.result(g.outputs[0]);
    std::vector<std::pair<Dim, Dim>> renamed;
    for (size_t i = 0; i < parameters.size(); ++i) renamed.emplace_back(parameters[i], columns[i]);
    return arranged(names.func(made.name() + "/all"), made, renamed, joined_dims(y.dims(), columns), y.state()->where);
}

Func jacobian(const Func& y, const Wrt& x, const std::vector<Dim>& wrt_dims, const GradOptions& options) {
    const size_t rows = without(y.dims(), options.per).size(), columns = without(dims_of(x), options.per).size();
    return columns < rows ? jacfwd(y, x, wrt_dims, options) : jacrev(y, x, wrt_dims, options);
}

Func hessian(const Func& y, const Wrt& x, const std::vector<Dim>& second_dims, const GradOptions& options) {
    return jacfwd(grad(y, {x}, options)[0], x, second_dims,
                  {.order = options.order, .name = options.name.empty() ? "" : options.name + "/second"});
}

std::vector<Func> hvp(const Func& y, const std::vector<Tangent>& directions, const GradOptions& options) {
    std::vector<Wrt> wrt;
    for (const Tangent& t : directions) wrt.push_back(t.of);
    return derivatives_along(grad(y, wrt, options), directions,
                             {.order = options.order, .name = options.name.empty() ? "" : options.name + "/along"})
        .tangents;
}

std::vector<Func> transpose(const Func& linear, const std::vector<Wrt>& by, const Direction& cotangent,
                            const GradOptions& options) {
    const std::vector<Func> result = vjp({{linear, cotangent}}, by, options);
    for (const Func& f : result)
        for (const Argument& a : arguments_of({f}))
            for (const Wrt& x : by)
                if (x.input() == a.state())
                    throw Error(E1003_derivative_shape, x.where(),
                                fmt::format("{} is not linear in {}: its derivative depends on it", linear.name(), name_of(x)),
                                {token(name_of(x)), note(linear.state()->where, fmt::format("{} defined here", linear.name())),
                                 fix("transpose what jvp() makes, by its direction"), fix("use vjp() for what is not linear")});
    return result;
}

Linearized linearize(const Func& y, const std::vector<Wrt>& wrt, const GradOptions& options) {
    std::vector<Tangent> tangents;
    std::vector<Input> directions;
    for (const Wrt& x : wrt) {
        directions.emplace_back((options.name.empty() ? "d" : options.name) + "_" + name_of(x), wrt_dtype(x), dims_of(x),
                                x.where());
        tangents.push_back({x, directions.back()});
    }
    return {jvp(y, tangents, options), std::move(directions)};
}

}  // namespace tessera
