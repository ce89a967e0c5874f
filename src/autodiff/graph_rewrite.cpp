#include "autodiff/graph_rewrite.h"

#include "autodiff/custom_rule.h"

namespace tessera {
namespace {

std::vector<std::shared_ptr<FuncState>> funcs_read(const FuncState& f, bool with_operands) {
    std::vector<std::shared_ptr<FuncState>> read;
    for_each_node(definition_roots(f), [&](const Expr& n) {
        if (n->op == Op::access && n->target().func) read.push_back(n->target().func);
    });
    if (f.recurrence)
        for (const auto& s : f.recurrence->states) read.push_back(s.lock());
    if (f.rule && with_operands)
        for (const Wrt& x : f.rule->operands)
            if (x.func()) read.push_back(x.func());
    return read;
}

std::vector<Func> reached(const std::vector<Func>& outputs, bool with_operands) {
    std::vector<Func> order;
    std::unordered_set<const FuncState*> seen;
    struct Frame {
        std::shared_ptr<FuncState> func;
        std::vector<std::shared_ptr<FuncState>> reads;
        size_t next = 0;
    };
    std::vector<Frame> stack;
    const auto enter = [&](const std::shared_ptr<FuncState>& f) {
        if (seen.insert(f.get()).second) stack.push_back({f, funcs_read(*f, with_operands)});
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

}  // namespace

std::vector<Func> reachable_funcs(const std::vector<Func>& outputs) { return reached(outputs, true); }
std::vector<Func> funcs_below(const Func& f) { return reached({f}, false); }

std::vector<Func> GraphRewrite::operator()(const std::vector<Func>& outputs) {
    const std::vector<Func> funcs = reachable_funcs(outputs);
    for (bool grown = true; grown;) {
        grown = false;
        for (const Func& f : funcs) {
            const FuncState& state = *f.state();
            if (changed_.count(&state)) continue;
            if (changes(state)) grown = changed_.insert(&state).second || grown;
        }
    }
    for (const Func& f : funcs)
        if (changed_.count(f.state().get())) rewrite(*f.state());
    move_rules(funcs);
    std::vector<Func> out;
    for (const Func& y : outputs) out.push_back(changed_.count(y.state().get()) ? copies_.at(y.state().get()) : y);
    return out;
}

bool GraphRewrite::changes(const FuncState& f) const {
    bool changes = false;
    for_each_node(definition_roots(f), [&](const Expr& n) {
        if (changes || n->op != Op::access || !n->target().func) return;
        changes = changed_.count(n->target().func.get()) != 0 || replace_(n).defined();
    });
    if (f.recurrence)
        for (const auto& s : f.recurrence->states) changes = changes || changed_.count(s.lock().get()) != 0;
    if (f.rule)
        for (const Wrt& x : f.rule->operands)
            changes = changes || (x.func() && (changed_.count(x.func().get()) || moved(Func(x.func())).state() != x.func()));
    return changes;
}

// What a read of the Func at its dims becomes, where that is a read of one other Func.
Func GraphRewrite::moved(const Func& operand) const {
    if (const auto copy = copies_.find(operand.state().get()); copy != copies_.end()) return copy->second;
    const Expr read = read_at(operand, dims_as_indices(operand.dims()), operand.state()->where);
    const Expr other = replace_(read);
    const bool one =
        other.defined() && other->op == Op::access && other->target().func && other->args.size() == read->args.size();
    for (size_t i = 0; one && i < read->args.size(); ++i)
        if (!other->args[i].same_as(read->args[i])) return operand;
    return one ? Func(other->target().func) : operand;
}

void GraphRewrite::move_rules(const std::vector<Func>& funcs) {
    std::vector<const FuncState*> with_rule;
    for (const Func& f : funcs)
        if (f.state()->rule && changed_.count(f.state().get())) with_rule.push_back(f.state().get());
    if (with_rule.empty()) return;
    auto map = std::make_shared<std::map<const FuncState*, Func>>();
    for (const Func& f : funcs)
        if (const Func to = moved(f); to.state() != f.state()) map->emplace(f.state().get(), to);
    for (const FuncState* f : with_rule) copies_.at(f).state()->rule = moved_rule(f->rule, map);
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
