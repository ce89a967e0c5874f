#include "autodiff/forward.h"
#include "autodiff/graph_of.h"
#include "autodiff/kept_reads.h"
#include "autodiff/reverse.h"
#include "autodiff/unreached.h"

#include <fmt/format.h>

namespace tessera {

namespace {
// "i, j": with extents where they are known.
std::string dims_text(const std::vector<Dim>& dims) {
    std::string text;
    for (const Dim& d : dims) {
        text += (text.empty() ? "" : ", ") + d.name();
        if (const auto extent = d.extent().constant()) text += fmt::format(" = {}", *extent);
    }
    return dims.empty() ? "no dims" : "dims " + text;
}
}  // namespace

Direction::Direction(const Input& input, SourceLoc where) : input_(input), where_(where) {}
Direction::Direction(const Func& func, SourceLoc where) : func_(func), where_(where) {}

Expr Direction::at(const std::vector<Dim>& dims, DType dtype, std::string_view of) const {
    if (!input_ && !func_) return make_constant(derivative_dtype(dtype), number_);
    const std::string& name = input_ ? input_->name() : func_->name();
    const std::vector<Dim>& own = input_ ? input_->dims() : func_->dims();
    const DType own_dtype = input_ ? input_->dtype() : func_->dtype();
    bool fits = own.size() == dims.size();
    // Dims correspond by position; different ones must have provably equal extents.
    for (size_t i = 0; fits && i < dims.size(); ++i)
        fits = own[i].id() == dims[i].id() ||
               simplify_index(make_op(Op::sub, DType::i64, {index_expr(own[i].extent()), index_expr(dims[i].extent())}))
                   .same_as(zero_of(DType::i64));
    if (!fits)
        throw Error(E1003_derivative_shape, where_,
                    fmt::format("{} is given as the direction of {}, whose dims differ", name, of),
                    {token(name), expected(dims_text(dims)), received(dims_text(own)),
                     fix(fmt::format("declare {} over the dims of {}, or dims with their extents", name, of))});
    if (own_dtype != dtype && own_dtype != derivative_dtype(dtype))
        throw Error(E0201_dtype_mismatch, where_,
                    fmt::format("{} is {}, the direction of {} is {}", name, dtype_name(own_dtype), of, dtype_name(dtype)),
                    {token(name), expected(std::string(dtype_name(dtype))), received(std::string(dtype_name(own_dtype))),
                     fix("cast it in a Func of its own")});
    const std::vector<Index> indices(dims.begin(), dims.end());
    return converted(derivative_dtype(dtype), input_ ? input_->at(indices, where_) : func_->at(indices, where_).read());
}

namespace {

struct Seed {
    int component;
    Expr value;
};

struct Gradients {
    std::vector<Func> by;
    std::vector<std::string> warnings;
};
Gradients gradients(NormalGraph& g, const std::vector<std::vector<Seed>>& seeds, const std::vector<Wrt>& wrt,
                    const ReverseOptions& options, const std::string& of) {
    Reverse reverse(*g.graph, options);
    for (size_t i = 0; i < g.outputs.size(); ++i)
        for (const Seed& s : seeds[i]) reverse.seed(g.outputs[i], s.component, s.value);
    reverse.run();
    Gradients out{{}, warnings_of_unreached(reverse, *g.graph, wrt, of)};
    for (const Wrt& w : wrt) out.by.push_back(w.input() ? reverse.result(w.input()) : reverse.result(Func(w.func())));
    keep_reads_inside(out.by, reverse.regions());
    return out;
}

ReverseOptions reverse_options(const std::string& y, const GradOptions& options) {
    return {options.order, options.name.empty() ? "d_" + y : options.name, options.per, false, options.check_inverses};
}

}  // namespace

ValueAndGrad value_and_grad(const Func& y, const std::vector<Wrt>& wrt, const GradOptions& options) {
    check_scalar(y, options);
    NormalGraph g = normal_graph({y}, wrt);
    g.graph->names.name_dims_after(options.name);
    const Func value = g.outputs[0];
    Gradients out = gradients(g, {{{0, make_constant(derivative_dtype(value.dtype()), 1.0)}}}, wrt,
                              reverse_options(y.name(), options), y.name());
    return {value, std::move(out.by), std::move(out.warnings)};
}

std::vector<Func> grad(const Func& y, const std::vector<Wrt>& wrt, const GradOptions& options) {
    return value_and_grad(y, wrt, options).gradients;
}

ValuesAndGrads value_and_vjp(const std::vector<Cotangent>& outputs, const std::vector<Wrt>& wrt, const GradOptions& options) {
    std::vector<Func> of;
    std::vector<std::vector<Seed>> seeds;
    for (const Cotangent& c : outputs) of.push_back(c.of);
    check_differentiable(of, wrt);
    for (const Cotangent& c : outputs) {
        if (c.of.components() > 1)
            throw Error(
                E1003_derivative_shape, c.of.state()->where,
                fmt::format("{} has {} values at each point; a cotangent is that of one", c.of.name(), c.of.components()),
                {token(c.of.name()), expected("one value"), received(counted(static_cast<size_t>(c.of.components()), "value")),
                 fix(fmt::format("give a Func of one of its values: one(...) = {}(...)[0]", c.of.name()))});
        check_per(c.of, options);
        seeds.push_back({{0, c.value.at(c.of.dims(), c.of.dtype(), c.of.name())}});
    }
    NormalGraph g = normal_graph(of, wrt);
    g.graph->names.name_dims_after(options.name);
    const std::vector<Func> values = g.outputs;
    return {values, gradients(g, seeds, wrt, reverse_options(of.at(0).name(), options), of.at(0).name()).by};
}

std::vector<Func> vjp(const std::vector<Cotangent>& outputs, const std::vector<Wrt>& wrt, const GradOptions& options) {
    return value_and_vjp(outputs, wrt, options).gradients;
}

Func jvp(const Func& y, const std::vector<Tangent>& tangents, const GradOptions& options) {
    return derivatives_along({y}, tangents, options).tangents[0];
}

ValueAndTangent value_and_jvp(const Func& y, const std::vector<Tangent>& tangents, const GradOptions& options) {
    const ValuesAlong both = derivatives_along({y}, tangents, options);
    return {both.values[0], both.tangents[0]};
}

ValuesAlong derivatives_along(const std::vector<Func>& ys, const std::vector<Tangent>& tangents, const GradOptions& options) {
    std::vector<Wrt> wrt;
    std::string by;
    for (const Tangent& t : tangents) {
        for (const Wrt& known : wrt)
            if (known.input() == t.of.input() && known.func() == t.of.func())
                throw Error(E1003_derivative_shape, t.of.where(), fmt::format("{} is given two directions", name_of(t.of)),
                            {token(name_of(t.of)), fix("give their sum: a derivative along it is the sum of both")});
        wrt.push_back(t.of);
        by += (by.empty() ? "" : "_") + (t.of.input() ? t.of.input()->name : t.of.func()->name);
    }
    NormalGraph g = normal_graph(ys, wrt);
    g.graph->names.name_dims_after(options.name);
    Forward forward(*g.graph, {options.name, options.name.empty() ? by : "", {}});
    for (const Tangent& t : tangents) {
        if (t.of.input()) {
            const InputState& x = *t.of.input();
            forward.set(t.of.input(), t.value.at(x.dims, x.dtype, x.name));
        } else {
            const Func x(t.of.func());
            forward.set(x, t.value.at(x.dims(), x.dtype(), x.name()));
        }
    }
    ValuesAlong along{g.outputs, {}};
    for (const Func& y : g.outputs) along.tangents.push_back(forward.result(y));
    return along;
}

Expr stop_gradient(const Operand& e) {
    const Expr value = e.expr.is_weak() ? resolve_weak(e.expr, e.expr.dtype(), e.where) : e.expr;
    return straight_through(Operand(value, e.where), Operand(make_constant(value.dtype(), std::int64_t{0}), e.where));
}

}  // namespace tessera
