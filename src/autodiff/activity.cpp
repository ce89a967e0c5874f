#include "autodiff/activity.h"

#include "autodiff/custom_rule.h"
#include "autodiff/scalar_partials.h"

namespace tessera {

std::vector<Expr> definition_roots(const FuncState& f) {
    std::vector<Expr> roots = f.values;
    if (f.init.defined()) roots.push_back(f.init);
    return roots;
}

std::unordered_set<const ExprNode*> carrying_nodes(const std::vector<Expr>& roots,
                                                   const std::unordered_set<const ExprNode*>& varying) {
    std::unordered_set<const ExprNode*> carrying;
    std::vector<Expr> stack = roots;
    while (!stack.empty()) {
        const Expr n = stack.back();
        stack.pop_back();
        if (!varying.count(n.get()) || !carrying.insert(n.get()).second) continue;
        for (size_t k = n->op == Op::access ? n->index_count() : 0; k < n->args.size(); ++k)
            if (is_structured(n->op) || n->op == Op::access || passes_derivative(n->op, k)) stack.push_back(n->args[k]);
    }
    return carrying;
}

Activity::Activity(const std::vector<Func>& funcs, const std::vector<Func>& outputs, const Variables& variables)
    : variables_(variables) {
    // States of recurrences read each other: repeat until nothing is added.
    for (bool grown = true; grown;) {
        grown = false;
        for (const Func& f : funcs) {
            const FuncState* state = f.state().get();
            const std::vector<Expr> roots = definition_roots(*state);
            if (state->rule && !varying_.count(state) && !is_cut(*state)) {
                for (const Wrt& x : state->rule->operands) {
                    const bool varies_here =
                        x.input() ? variables_.inputs.count(x.input().get()) != 0 : varies(*x.func()) || is_cut(*x.func());
                    if (varies_here) grown = varying_.insert(state).second || grown;
                }
            } else if (!varying_.count(state) && !is_cut(*state)) {
                const auto nodes = varying_nodes(roots);
                for (const Expr& root : roots)
                    if (nodes.count(root.get())) grown = varying_.insert(state).second || grown;
            }
            if (fed_.count(state)) continue;
            bool fed = is_cut(*state);
            for_each_node(roots, [&](const Expr& n) {
                if (n->op == Op::access) fed = fed || !access_is_free(n);
            });
            if (fed) grown = fed_.insert(state).second || grown;
        }
    }
    keep_carrying(outputs);
}

// Of the Funcs that vary those from which a derivative reaches an output.
void Activity::keep_carrying(const std::vector<Func>& outputs) {
    std::unordered_set<const FuncState*> kept;
    std::vector<const FuncState*> stack;
    for (const Func& f : outputs) stack.push_back(f.state().get());
    while (!stack.empty()) {
        const FuncState* f = stack.back();
        stack.pop_back();
        if (!varying_.count(f) || !kept.insert(f).second) continue;
        if (f->rule)
            for (const Wrt& x : f->rule->operands)
                if (x.func()) stack.push_back(x.func().get());
        const std::vector<Expr> roots = definition_roots(*f);
        const auto carrying = carrying_nodes(roots, varying_nodes(roots));
        for_each_node(roots, [&](const Expr& n) {
            if (n->op == Op::access && n->target().func && carrying.count(n.get())) stack.push_back(n->target().func.get());
        });
    }
    varying_ = std::move(kept);
}

bool Activity::access_varies(const Expr& access) const {
    if (!is_float(access.dtype())) return false;
    const AccessTarget& target = access->target();
    if (target.input) return variables_.inputs.count(target.input.get()) != 0;
    return is_cut(*target.func) || varies(*target.func);
}

bool Activity::access_is_free(const Expr& access) const {
    const AccessTarget& target = access->target();
    return !target.input && fed_.count(target.func.get()) == 0;
}

std::unordered_set<const ExprNode*> Activity::varying_nodes(const std::vector<Expr>& roots) const {
    std::unordered_set<const ExprNode*> varying;
    for_each_node(roots, [&](const Expr& n) {
        if (!is_float(n.dtype())) return;
        bool varies = n->op == Op::access && access_varies(n);
        const size_t first = n->op == Op::access ? n->index_count() : 0;
        for (size_t k = first; k < n->args.size(); ++k) {
            const bool passes = is_structured(n->op) || n->op == Op::access || passes_derivative(n->op, k);
            varies = varies || (passes && varying.count(n->args[k].get()) != 0);
        }
        if (varies) varying.insert(n.get());
    });
    return varying;
}

}  // namespace tessera
