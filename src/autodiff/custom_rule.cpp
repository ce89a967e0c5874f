#include "autodiff/custom_rule.h"

#include "autodiff/graph_of.h"
#include "autodiff/graph_rewrite.h"
#include "autodiff/guarded.h"
#include "autodiff/scalar_partials.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera {
namespace {

[[noreturn]] void fail(const Func& f, const std::string& what, std::vector<Hint> hints) {
    hints.insert(hints.begin(), token(f.name()));
    throw Error(E1004_custom_rule, f.state()->where, fmt::format("the rule of {} {}", f.name(), what), std::move(hints));
}

void check_shape(const Func& f, const Func& got, const std::vector<Dim>& dims, DType dtype, const std::string& of) {
    bool fits = got.defined() && got.rank() == dims.size() && got.components() == 1 && is_float(got.dtype()) &&
                derivative_dtype(got.dtype()) == derivative_dtype(dtype);
    for (size_t i = 0; fits && i < dims.size(); ++i) fits = got.dims()[i].id() == dims[i].id();
    if (!fits)
        fail(f, fmt::format("yields {} for {}, whose dims or dtype differ", got.defined() ? got.name() : "an undefined Func", of),
             {expected(fmt::format("{} over the dims of {}", dtype_name(derivative_dtype(dtype)), of)),
              fix(fmt::format("define it with the dims of {}", of))});
}

// Nodes that a derivative may reach: not what stands behind a stopped gradient or a comparison.
template <class Visit>
void for_each_passing_node(const std::vector<Expr>& roots, Visit&& visit) {
    std::unordered_set<const ExprNode*> seen;
    std::vector<Expr> stack(roots);
    while (!stack.empty()) {
        const Expr n = stack.back();
        stack.pop_back();
        if (!seen.insert(n.get()).second) continue;
        visit(n);
        for (size_t k = n->op == Op::access ? n->index_count() : 0; k < n->args.size(); ++k)
            if (!is_scalar_op(n->op) || passes_derivative(n->op, k)) stack.push_back(n->args[k]);
    }
}

// A Func that stands for a direction: an independent variable.
Func placeholder(const std::string& name, const std::vector<Dim>& dims, DType dtype, SourceLoc where) {
    return made_func(name, dims, {zero_of(derivative_dtype(dtype))}, where);
}

void check_linear(const Func& f, const std::vector<Func>& results, const std::vector<Func>& directions) {
    for (const Func& reached : reachable_funcs(results))
        for (const Func& d : directions)
            if (reached.state() == d.state())
                fail(f, fmt::format("is not linear in {}", d.name()),
                     {expected("sums of the cotangent or tangents times factors that are free of them")});
}

// What a rule makes depends on the directions that it is given, and is made for this call: a rule that is called for several
// transforms of one graph gives its definitions the same names each time.
void rename_made(const std::vector<Func>& results, const std::vector<Func>& directions, const std::string& name) {
    std::unordered_set<const FuncState*> made;
    for (const Func& d : directions) made.insert(d.state().get());
    const std::vector<Func> all = reachable_funcs(results);
    for (bool grown = true; grown;) {
        grown = false;
        for (const Func& f : all) {
            if (made.count(f.state().get())) continue;
            bool reads = false;
            for_each_node(definition_roots(*f.state()), [&](const Expr& n) {
                reads = reads || (n->op == Op::access && made.count(n->target().func.get()) != 0);
            });
            if (!reads) continue;
            grown = made.insert(f.state().get()).second;
            if (!f.name().starts_with(name + "/")) f.state()->name = name + "/" + f.name();
        }
    }
}

std::vector<Func> called_reverse(const Func& f, const DerivativeRule& rule, const Func& cotangent, const std::string& name) {
    std::vector<Func> out = rule.reverse(cotangent);
    rename_made(out, {cotangent}, name);
    if (out.size() != rule.operands.size())
        fail(f, fmt::format("yields {} for {}", counted(out.size(), "cotangent"), counted(rule.operands.size(), "operand")),
             {expected(std::to_string(rule.operands.size())), received(std::to_string(out.size())),
              fix("return one Func per operand, zero where nothing comes")});
    for (size_t k = 0; k < out.size(); ++k)
        check_shape(f, out[k], dims_of(rule.operands[k]), wrt_dtype(rule.operands[k]), name_of(rule.operands[k]));
    return out;
}

Func called_forward(const Func& f, const DerivativeRule& rule, const std::vector<Func>& tangents, const std::string& name) {
    const Func out = rule.forward(tangents);
    rename_made({out}, tangents, name);
    check_shape(f, out, f.dims(), f.dtype(), f.name());
    return out;
}

Func with_rule(std::string name, const Func& value, std::shared_ptr<const DerivativeRule> rule) {
    if (!value.defined() || value.components() != 1 || !is_float(value.dtype()))
        throw Error(E1004_custom_rule, value.state()->where,
                    fmt::format("the value {} of a custom rule is no Func of one float", value.name()),
                    {token(value.name()), fix("give every value of a tuple a Func of its own")});
    Func f(std::move(name), value.state()->where);
    std::vector<Index> dims(value.dims().begin(), value.dims().end());
    f.at(dims) = value.at(dims).read();
    f.state()->rule = std::move(rule);
    return f;
}

}  // namespace

Func custom_vjp(std::string name, const Func& value, const std::vector<Wrt>& operands, ReverseRule rule) {
    return with_rule(std::move(name), value,
                     std::make_shared<const DerivativeRule>(DerivativeRule{operands, std::move(rule), {}}));
}
Func custom_jvp(std::string name, const Func& value, const std::vector<Wrt>& operands, ForwardRule rule) {
    return with_rule(std::move(name), value,
                     std::make_shared<const DerivativeRule>(DerivativeRule{operands, {}, std::move(rule)}));
}

std::vector<Func> reverse_of_rule(const Func& f, const Func& cotangent, const std::string& name) {
    const DerivativeRule& rule = *f.state()->rule;
    if (rule.reverse) {
        std::vector<Func> out = called_reverse(f, rule, cotangent, name);
        if (rule.linear) return out;
        // The derivative of what is linear in the cotangent is free of it.
        std::vector<Cotangent> all;
        for (const Func& g : out)
            if (g.state() != cotangent.state() &&
                std::none_of(all.begin(), all.end(), [&](const Cotangent& c) { return c.of.state() == g.state(); }))
                all.push_back({g, 1});
        if (all.empty()) return out;
        check_linear(f, vjp(all, {cotangent}, {.name = name + "/linear"}), {cotangent});
        return out;
    }
    return reverse_of_rule_per(f, cotangent, {}, name);
}

// The transpose of the forward rule.
std::vector<Func> reverse_of_rule_per(const Func& f, const Func& cotangent, const std::vector<Dim>& per,
                                      const std::string& name) {
    std::vector<Func> tangents;
    std::vector<Wrt> by;
    for (const Wrt& x : f.state()->rule->operands) {
        tangents.push_back(placeholder(name + "/tangent_" + name_of(x), dims_of(x), wrt_dtype(x), f.state()->where));
        by.emplace_back(tangents.back());
    }
    const std::vector<Func> out = vjp({{forward_of_rule(f, tangents, name), cotangent}}, by, {.per = per, .name = name});
    check_linear(f, out, tangents);
    return out;
}

Func forward_of_rule(const Func& f, const std::vector<Func>& tangents, const std::string& name) {
    const DerivativeRule& rule = *f.state()->rule;
    if (rule.forward) return called_forward(f, rule, tangents, name);
    const Func given = placeholder(name + "/cotangent", f.dims(), f.dtype(), f.state()->where);
    std::vector<Cotangent> outputs;
    const std::vector<Func> results = called_reverse(f, rule, given, name);
    for (size_t k = 0; k < results.size(); ++k) outputs.push_back({results[k], tangents[k]});
    const Func out = vjp(outputs, {given}, {.name = name})[0];
    check_linear(f, {out}, {given});
    return out;
}

std::shared_ptr<const DerivativeRule> moved_rule(const std::shared_ptr<const DerivativeRule>& rule,
                                                 const std::function<Func(const Func&)>& operand, const GraphRewrite& results) {
    auto moved = std::make_shared<DerivativeRule>(*rule);
    if (!moved->origin) moved->origin = rule;
    for (Wrt& x : moved->operands)
        if (x.func()) x = Wrt(operand(Func(x.func())), x.where());
    if (rule->reverse)
        moved->reverse = [rule, results](const Func& cotangent) { return GraphRewrite(results)(rule->reverse(cotangent)); };
    if (rule->forward)
        moved->forward = [rule, results](const std::vector<Func>& tangents) {
            return GraphRewrite(results)({rule->forward(tangents)})[0];
        };
    return moved;
}

std::vector<Func> operands_beside(const std::vector<Func>& outputs) {
    std::vector<Func> found;
    std::unordered_set<const FuncState*> seen;
    const auto visit = [&](const auto& self, const std::vector<Func>& from) -> void {
        for (const Func& f : reachable_funcs(from)) {
            if (!f.state()->rule || !seen.insert(f.state().get()).second) continue;
            std::unordered_set<const FuncState*> read;
            for (const Func& r : funcs_below(f)) read.insert(r.state().get());
            for (const Wrt& x : f.state()->rule->operands) {
                if (!x.func()) continue;
                self(self, {Func(x.func())});
                if (!read.count(x.func().get()) && seen.insert(x.func().get()).second) found.emplace_back(x.func());
            }
        }
    };
    visit(visit, outputs);
    return found;
}

void check_captures(const Func& f, const std::set<const InputState*>& inputs, const std::set<const FuncState*>& funcs) {
    if (!f.state()->rule->closed) return;
    std::unordered_set<const void*> operands;
    for (const Wrt& x : f.state()->rule->operands)
        operands.insert(x.input() ? static_cast<const void*>(x.input().get()) : x.func().get());
    std::unordered_set<const FuncState*> seen;
    std::vector<const FuncState*> stack{f.state().get()};
    const auto captured = [&](const std::string& name) {
        fail(f, fmt::format("does not have {} among its operands, by which is differentiated and which its value reads", name),
             {note(fmt::format("what is not an operand has no derivative in a rule")),
              fix(fmt::format("list {} as an operand", name)), fix("stop_gradient() what shall be constant")});
    };
    const auto read = [&](const Expr& access) {
        const AccessTarget& target = access->target();
        if (!is_float(access.dtype())) return;
        if (operands.count(target.input ? static_cast<const void*>(target.input.get()) : target.func.get())) return;
        if (target.input) {
            if (inputs.count(target.input.get())) captured(target.input->name);
        } else if (funcs.count(target.func.get())) {
            captured(target.func->name);
        } else {
            stack.push_back(target.func.get());
        }
    };
    while (!stack.empty()) {
        const FuncState* at = stack.back();
        stack.pop_back();
        if (!seen.insert(at).second) continue;
        for_each_passing_node(definition_roots(*at), [&](const Expr& n) {
            if (n->op == Op::access) read(n);
        });
    }
}

}  // namespace tessera
