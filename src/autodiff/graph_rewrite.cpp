#include "autodiff/graph_rewrite.h"

namespace tessera {
namespace {

std::vector<std::shared_ptr<FuncState>> funcs_read(const FuncState& f) {
    std::vector<std::shared_ptr<FuncState>> read;
    for_each_node(definition_roots(f), [&](const Expr& n) {
        if (n->op == Op::access && n->target().func) read.push_back(n->target().func);
    });
    if (f.recurrence)
        for (const auto& s : f.recurrence->states) read.push_back(s.lock());
    return read;
}

}  // namespace

std::vector<Func> reachable_funcs(const std::vector<Func>& outputs) {
    std::vector<Func> order;
    std::unordered_set<const FuncState*> seen;
    struct Frame {
        std::shared_ptr<FuncState> func;
        std::vector<std::shared_ptr<FuncState>> reads;
        size_t next = 0;
    };
    std::vector<Frame> stack;
    const auto enter = [&](const std::shared_ptr<FuncState>& f) {
        if (seen.insert(f.get()).second) stack.push_back({f, funcs_read(*f)});
    };
    for (const Func& y : outputs) {
        enter(y.state());
        while (!stack.empty()) {
            if (stack.back().next < stack.back().reads.size()) {
                const auto next = stack.back().reads[stack.back().next++];
                enter(next);
                continue;
            }
            order.emplace_back(stack.back().func);
            stack.pop_back();
        }
    }
    return order;
}

std::vector<Func> GraphRewrite::operator()(const std::vector<Func>& outputs) {
    const std::vector<Func> funcs = reachable_funcs(outputs);
    for (bool grown = true; grown;) {
        grown = false;
        for (const Func& f : funcs) {
            const FuncState& state = *f.state();
            if (changed_.count(&state)) continue;
            bool changes = false;
            for_each_node(definition_roots(state), [&](const Expr& n) {
                if (changes || n->op != Op::access || !n->target().func) return;
                changes = changed_.count(n->target().func.get()) != 0 || replace_(n).defined();
            });
            if (state.recurrence)
                for (const auto& s : state.recurrence->states) changes = changes || changed_.count(s.lock().get()) != 0;
            if (changes) grown = changed_.insert(&state).second || grown;
        }
    }
    for (const Func& f : funcs)
        if (changed_.count(f.state().get())) rewrite(*f.state());
    std::vector<Func> out;
    for (const Func& y : outputs) out.push_back(changed_.count(y.state().get()) ? copies_.at(y.state().get()) : y);
    return out;
}

Func GraphRewrite::shell(const FuncState& f) {
    if (const auto found = copies_.find(&f); found != copies_.end()) return found->second;
    const auto made = [&](const FuncState& from) {
        Func copy(from.name, from.where);
        *copy.state() = from;
        copy.state()->recurrence = nullptr;
        copies_.emplace(&from, copy);
        return copy;
    };
    if (!f.recurrence) return made(f);
    auto recurrence = std::make_shared<Recurrence>(Recurrence{f.recurrence->t, f.recurrence->reverse, {}, {}});
    for (const auto& s : f.recurrence->states) {
        const Func copy = made(*s.lock());
        copy.state()->recurrence = recurrence;
        recurrence->states.push_back(copy.state());
        recurrence->kept.push_back(copy.state());
    }
    return copies_.at(&f);
}

void GraphRewrite::rewrite(const FuncState& f) {
    std::unordered_map<const ExprNode*, Expr> done;
    const std::vector<Expr> roots = definition_roots(f);
    for_each_node(roots, [&](const Expr& n) {
        std::vector<Expr> args;
        for (const Expr& a : n->args) args.push_back(done.at(a.get()));
        if (n->op != Op::access || !n->target().func) {
            done[n.get()] = args.empty() ? n : with_args(n, std::move(args));
            return;
        }
        Expr made = with_args(n, args);
        if (const Expr other = replace_(made); other.defined()) {
            made = other;
        } else if (changed_.count(n->target().func.get())) {
            AccessTarget target = n->target();
            target.func = shell(*target.func).state();
            made = make_access(target, args, n.dtype(), n->component(), n->where);
        }
        done[n.get()] = made;
    });
    FuncState& copy = *shell(f).state();
    for (size_t i = 0; i < f.values.size(); ++i) copy.values[i] = done.at(f.values[i].get());
    if (f.init.defined()) copy.init = done.at(f.init.get());
}

}  // namespace tessera
