#include "autodiff/graph_of.h"

#include "autodiff/custom_rule.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera {

namespace {
void add_inputs(const std::vector<Expr>& roots, std::vector<std::shared_ptr<const InputState>>& inputs) {
    const auto add = [&](const std::shared_ptr<const InputState>& input) {
        for (const auto& known : inputs)
            if (known == input) return;
        inputs.push_back(input);
    };
    for_each_node(roots, [&](const Expr& n) {
        if (n->op == Op::access && n->target().input) add(n->target().input);
    });
}
}  // namespace

std::vector<Argument> arguments_of(const std::vector<Func>& outputs) {
    std::vector<std::shared_ptr<const InputState>> inputs;
    std::vector<std::shared_ptr<FuncState>> stack;
    std::unordered_set<const FuncState*> seen;
    std::vector<Dim> dims;
    const auto note = [&](const Dim& d) {
        if (!contains_dim(dims, d)) dims.push_back(d);
    };
    for (size_t i = outputs.size(); i-- > 0;) stack.push_back(outputs[i].state());
    while (!stack.empty()) {
        const auto f = stack.back();
        stack.pop_back();
        if (!seen.insert(f.get()).second) continue;
        const std::vector<Expr> roots = definition_roots(*f);
        add_inputs(roots, inputs);
        for (const Dim& d : f->dims) note(d);
        std::vector<std::shared_ptr<FuncState>> reads;
        for_each_node(roots, [&](const Expr& n) {
            if (n->op == Op::access && n->target().func) reads.push_back(n->target().func);
            if (n->op == Op::extent) note(n->dim());
            if (is_structured(n->op))
                for (const Dim& d : n->reduction().dims) note(d);
            if (n->op == Op::scatter)
                for (const Dim& d : n->scatter().destination) note(d);
        });
        if (f->recurrence)
            for (const auto& s : f->recurrence->states) reads.push_back(s.lock());
        for (size_t i = reads.size(); i-- > 0;) stack.push_back(reads[i]);
    }
    // Scalars in extents, and in the promises of inputs.
    for (size_t i = 0; i < dims.size(); ++i) {
        if (!dims[i].state().extent) continue;
        const Expr extent(*dims[i].state().extent);
        add_inputs({extent}, inputs);
        for_each_node({extent}, [&](const Expr& n) {
            if (n->op == Op::extent) note(n->dim());
        });
    }
    for (size_t i = 0; i < inputs.size(); ++i)
        if (const auto& values = inputs[i]->values) add_inputs({Expr(values->first), Expr(values->second)}, inputs);
    std::vector<Argument> arguments;
    for (const auto& input : inputs) arguments.emplace_back(Input(std::const_pointer_cast<InputState>(input)));
    return arguments;
}

Variables variables_of(const std::vector<Wrt>& wrt) {
    Variables variables;
    for (const Wrt& w : wrt) {
        if (w.input())
            variables.inputs.insert(w.input().get());
        else
            variables.funcs.insert(w.func().get());
    }
    return variables;
}

void check_differentiable(const std::vector<Func>& outputs, const std::vector<Wrt>& wrt) {
    for (const Func& y : outputs) {
        bool any = false;
        for (int c = 0; c < y.components(); ++c) any = any || is_float(y.dtype(c));
        if (!any)
            throw Error(E1002_not_differentiable, y.state()->where,
                        fmt::format("{} has {} values; only floats are differentiated", y.name(), dtype_name(y.dtype())),
                        {token(y.name()), expected("f16, bf16, f32 or f64"), received(std::string(dtype_name(y.dtype()))),
                         fix("differentiate the float that it is computed from")});
    }
    for (const Wrt& w : wrt) {
        const std::string& name = w.input() ? w.input()->name : w.func()->name;
        const DType t = w.input() ? w.input()->dtype : Func(w.func()).dtype();
        if (!is_float(t))
            throw Error(E1002_not_differentiable, w.where(),
                        fmt::format("the derivative by {} is asked for, which has {} values", name, dtype_name(t)),
                        {token(name), expected("f16, bf16, f32 or f64"), received(std::string(dtype_name(t))),
                         fix("differentiate by a float input")});
    }
}

namespace {
// Operands of rules that nothing reads are outputs too, ahead of what has the rule.
std::vector<Func> with_operands(const std::vector<Func>& beside, const std::vector<Func>& outputs) {
    std::vector<Func> all = beside;
    for (const Func& y : outputs)
        if (std::none_of(all.begin(), all.end(), [&](const Func& f) { return f.state() == y.state(); })) all.push_back(y);
    return all;
}

NormalGraph made_normal(const std::vector<Func>& outputs, const std::vector<Wrt>& wrt, const std::vector<Argument>& arguments,
                        NormalFormOptions options) {
    check_differentiable(outputs, wrt);
    const Variables variables = variables_of(wrt);
    std::vector<Func> beside = operands_beside(outputs);
    std::vector<Argument> all = arguments;
    if (!beside.empty())
        for (const Argument& a : arguments_of(with_operands(beside, outputs)))
            if (std::none_of(all.begin(), all.end(), [&](const Argument& b) { return a.state() == b.state(); })) all.push_back(a);
    const Algorithm given(with_operands(beside, outputs), all);
    NameSupply names(given.state());
    for (const Func& f : given.funcs())
        if (f.state()->rule) check_captures(f, variables.inputs, variables.funcs);
    const Activity activity(given.funcs(), outputs, variables);
    const NormalForm normal(given.funcs(), activity, names, options);
    NormalGraph out;
    for (const Func& y : outputs) out.outputs.push_back(normal.of(y));
    for (Func& f : beside) f = normal.of(f);
    const Algorithm algorithm(with_operands(beside, out.outputs), all);
    FuncMap made_from;
    for (const Func& f : given.funcs()) made_from.emplace(f.state().get(), normal.of(f));
    out.graph = std::make_unique<DerivativeGraph>(DerivativeGraph{
        algorithm, std::move(made_from), variables, Activity(algorithm.funcs(), out.outputs, variables), std::move(names)});
    return out;
}
}  // namespace

NormalGraph normal_graph(const std::vector<Func>& outputs, const std::vector<Wrt>& wrt) {
    return made_normal(outputs, wrt, arguments_of(outputs), {});
}
NormalGraph normal_graph(const std::vector<Func>& outputs, const std::vector<Wrt>& wrt, const std::vector<Argument>& arguments,
                         bool in_two_calls) {
    return made_normal(outputs, wrt, arguments, {.keep_names = true, .pairs_of_extremes = in_two_calls});
}

void check_per(const Func& y, const GradOptions& options) {
    for (const Dim& d : options.per)
        if (!contains_dim(y.dims(), d)) {
            std::string own;
            for (const Dim& has : y.dims()) own += (own.empty() ? "" : ", ") + has.name();
            throw Error(E1003_derivative_shape, y.state()->where,
                        fmt::format("{} has no dim {}, so it has no gradient for each of its points", y.name(), d.name()),
                        {token(d.name()), expected(own.empty() ? "no dims in `per`" : "`per` among the dims " + own),
                         fix(fmt::format("leave {} out of `per`", d.name())),
                         fix(fmt::format("give {} the dim: do not sum over {} in it", y.name(), d.name()))});
        }
}

void check_scalar(const Func& y, const GradOptions& options) {
    check_per(y, options);
    for (const Dim& d : y.dims())
        if (!contains_dim(options.per, d))
            throw Error(E1003_derivative_shape, y.state()->where,
                        fmt::format("{} has dim {}; a gradient is that of one value", y.name(), d.name()),
                        {token(y.name()), expected("rank 0, apart from the dims of `per`"), received(counted(y.rank(), "dim")),
                         fix(fmt::format("reduce over it: total() = sum({{{}}}, {}(...))", d.name(), y.name())),
                         fix("use vjp() with a cotangent of its dims"),
                         fix(fmt::format("ask for every value's gradient: {{.per = {{{}}}}}", d.name()))});
}

}  // namespace tessera
