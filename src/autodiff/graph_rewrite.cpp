#include "autodiff/graph_rewrite.h"

#include "algorithm/called_routine.h"
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

GraphRewrite::GraphRewrite(std::shared_ptr<const FuncMap> map)
    : replace_([map](const Expr& access) -> Expr {
          const auto found = map->find(access->target().func.get());
          if (found == map->end() || found->second.state() == access->target().func) return {};
          AccessTarget target = access->target();
          target.func = found->second.state();
          return make_access(target, access->args, access.dtype(), access->component(), access->where);
      }),
      map_(map) {}

std::vector<Func> GraphRewrite::operator()(const std::vector<Func>& outputs) {
    const std::lock_guard lock(copies_->mutex);
    const std::vector<Func> funcs = reachable_funcs(outputs);
    changed_.clear();
    for (bool grown = true; grown;) {
        grown = false;
        for (const Func& f : funcs) {
            const FuncState& state = *f.state();
            if (changed_.count(&state)) continue;
            if (changes(state)) grown = changed_.insert(&state).second || grown;
        }
    }
    std::vector<Func> to_do, rewritten;
    for (const Func& f : funcs)
        if (changed_.count(f.state().get()) && !copy_of(f.state().get()).state()) to_do.push_back(f);
    for (const Func& f : to_do) {
        rewrite(f.state());
        rewritten.push_back(f);
    }
    move_rules(funcs, rewritten);
    std::vector<Func> out;
    for (const Func& y : outputs) out.push_back(changed_.count(y.state().get()) ? copy_of(y.state().get()) : y);
    alive_.clear();
    return out;
}

Func GraphRewrite::copy_of(const FuncState* f) const {
    const auto found = copies_->made.find(f);
    if (found == copies_->made.end() || found->second.of.lock().get() != f) return Func(std::shared_ptr<FuncState>());
    return Func(found->second.copy.lock());
}

void GraphRewrite::note_copy(const std::shared_ptr<FuncState>& of, const Func& copy) {
    copies_->made[of.get()] = {of, copy.state()};
    alive_.push_back(copy);
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
    if (Func copy = copy_of(operand.state().get()); copy.state()) return copy;
    const Expr read = read_at(operand, dims_as_indices(operand.dims()), operand.state()->where);
    const Expr other = replace_(read);
    const bool one =
        other.defined() && other->op == Op::access && other->target().func && other->args.size() == read->args.size();
    for (size_t i = 0; one && i < read->args.size(); ++i)
        if (!other->args[i].same_as(read->args[i])) return operand;
    return one ? Func(other->target().func) : operand;
}

void GraphRewrite::move_rules(const std::vector<Func>& funcs, const std::vector<Func>& rewritten) {
    std::vector<const FuncState*> with_rule;
    for (const Func& f : rewritten)
        if (f.state()->rule) with_rule.push_back(f.state().get());
    if (with_rule.empty()) return;
    const auto operand = [this](const Func& f) { return moved(f); };
    GraphRewrite later = *this;
    if (!map_) {
        auto map = std::make_shared<FuncMap>();
        for (const Func& f : funcs)
            if (const Func to = moved(f); to.state() != f.state()) map->emplace(f.state().get(), to);
        later = GraphRewrite(map);
    }
    later.alive_.clear();
    for (const FuncState* f : with_rule)
        if (FuncState& copy = *copy_of(f).state(); copy.rule == f->rule) copy.rule = moved_rule(f->rule, operand, later);
}

// Where a rule comes from and of what it speaks, as seen by the copy: several copies of one definition are one Func.
std::vector<const void*> GraphRewrite::rule_key(const FuncState& f) const {
    if (!f.rule) return {nullptr};
    std::vector<const void*> key{f.rule->origin ? f.rule->origin.get() : f.rule.get()};
    for (const Wrt& x : f.rule->operands)
        key.push_back(x.input() ? static_cast<const void*>(x.input().get()) : moved(Func(x.func())).state().get());
    return key;
}

// A copy to be defined later; the states of a recurrence are made together.
Func GraphRewrite::shell(const std::shared_ptr<FuncState>& f) {
    if (Func known = copy_of(f.get()); known.state()) return known;
    const auto made = [&](const std::shared_ptr<FuncState>& from) {
        Func copy(from->name, from->where);
        *copy.state() = *from;
        copy.state()->recurrence = nullptr;
        note_copy(from, copy);
        return copy;
    };
    if (!f->recurrence) return made(f);
    auto recurrence = std::make_shared<Recurrence>(Recurrence{f->recurrence->t, f->recurrence->reverse, {}, {}});
    for (const auto& s : f->recurrence->states) {
        const Func copy = made(s.lock());
        copy.state()->recurrence = recurrence;
        recurrence->states.push_back(copy.state());
        recurrence->kept.push_back(copy.state());
    }
    return copy_of(f.get());
}

// A routine goes on where each of its operands is still one tensor, read at the same places.
std::shared_ptr<const RoutineCall> GraphRewrite::routine_of(const FuncState& f) {
    return moved_routine(f.routine, [this](const Wrt& x) -> std::optional<Wrt> {
        if (x.input()) return x;
        const Func to = moved(Func(x.func()));
        if (to.state() != x.func()) return Wrt(to, x.where());
        const Expr read = read_at(to, dims_as_indices(to.dims()), to.state()->where);
        if (replace_(read).defined()) return std::nullopt;
        return changed_.count(x.func().get()) ? Wrt(shell(x.func()), x.where()) : x;
    });
}

void GraphRewrite::rewrite(const std::shared_ptr<FuncState>& f) {
    std::unordered_map<const ExprNode*, Expr> done;
    for_each_node(definition_roots(*f), [&](const Expr& n) {
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
            target.func = shell(target.func).state();
            made = make_access(target, args, n.dtype(), n->component(), n->where);
        }
        done[n.get()] = made;
    });
    std::vector<Expr> values;
    for (const Expr& v : f->values) values.push_back(done.at(v.get()));
    if (!f->recurrence && !copy_of(f.get()).state()) {
        const std::shared_ptr<const RoutineCall> routine = routine_of(*f);
        std::vector<const void*> apart = rule_key(*f);
        if (routine) apart.push_back(f->routine.get());
        note_copy(f, shared_func(f->name, f->dims, values, apart, [&] {
                      Func copy(f->name, f->where);
                      *copy.state() = *f;
                      copy.state()->values = values;
                      copy.state()->routine = routine;
                      return copy;
                  }));
        return;
    }
    FuncState& copy = *shell(f).state();
    copy.values = values;
    copy.routine = routine_of(*f);
    if (f->init.defined()) copy.init = done.at(f->init.get());
}

}  // namespace tessera
