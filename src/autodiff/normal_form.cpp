#include "autodiff/normal_form.h"

#include "algorithm/called_routine.h"
#include "autodiff/custom_rule.h"
#include "autodiff/extreme_place.h"
#include "autodiff/scalar_partials.h"
#include "base/check.h"

namespace tessera {
namespace {

Expr component_of(const Expr& node, size_t i) {
    ExprNode component = *node;
    component.bits = i;
    component.dtype = node->reduction().identity[i].dtype();
    return make_node(std::move(component));
}

std::vector<const void*> definition_key(const std::vector<Dim>& dims, const std::vector<Expr>& values,
                                        const DerivativeRule* rule = nullptr, const RoutineCall* routine = nullptr) {
    std::vector<const void*> key{rule, routine};
    for (const Dim& d : dims) key.push_back(d.id());
    key.push_back(nullptr);
    for (const Expr& v : values) key.push_back(v.get());
    return key;
}

bool reads(const FuncState& f, const std::unordered_set<const FuncState*>& any_of) {
    bool found = false;
    for_each_node(definition_roots(f), [&](const Expr& n) {
        if (n->op == Op::access && n->target().func) found = found || any_of.count(n->target().func.get()) != 0;
    });
    return found;
}

}  // namespace

Expr structured_root(const FuncState& f) {
    if (f.recurrence || f.values.empty() || !is_structured(f.values[0]->op)) return {};
    const Expr& root = f.values[0];
    if (root->reduction().components() != f.values.size()) return {};
    for (size_t i = 0; i < f.values.size(); ++i)
        if (!component_of(root, i).same_as(f.values[i])) return {};
    return root;
}

bool NormalForm::becomes_pair(const Expr& node) const {
    return is_extreme(*node) && (options_.pairs_of_extremes || !found_by_equality(node));
}

bool NormalForm::is_normal(const FuncState& f) const {
    if (!activity_.varies(f)) return true;
    const std::vector<Expr> roots = definition_roots(f);
    const auto carrying = carrying_nodes(roots, activity_.varying_nodes(roots));
    const Expr root = structured_root(f);
    if (root.defined() && carrying.count(root.get()) && becomes_pair(root)) return false;
    bool flat = true;
    for_each_node(root.defined() ? root->args : roots, [&](const Expr& n) { flat = flat && !is_structured(n->op); });
    return flat;
}

NormalForm::NormalForm(const std::vector<Func>& funcs, const Activity& activity, NameSupply& names, NormalFormOptions options)
    : activity_(activity), names_(names), options_(options) {
    find_changed(funcs);
    for (const Func& f : funcs)
        if (!changed_.count(f.state().get())) {
            map_.emplace(f.state().get(), f);
            known_.emplace(definition_key(f.dims(), f.state()->values, f.state()->rule.get(), f.state()->routine.get()), f);
        }
    for (const Func& f : funcs)
        if (changed_.count(f.state().get())) rewrite(f);
    move_rules(funcs);
}

// Rules of what is rewritten speak of the Funcs that stand in the places of theirs.
void NormalForm::move_rules(const std::vector<Func>& funcs) {
    auto map = std::make_shared<FuncMap>();
    for (const Func& f : funcs)
        if (of(f).state() != f.state()) map->emplace(f.state().get(), of(f));
    for (const Func& f : funcs)
        if (f.state()->rule && of(f).state() != f.state() && of(f).state()->rule == f.state()->rule)
            of(f).state()->rule = moved_rule(
                f.state()->rule, [this](const Func& x) { return of(x); }, GraphRewrite(map));
}

Func NormalForm::of(const Func& f) const {
    const auto found = map_.find(f.state().get());
    return found == map_.end() ? f : found->second;
}

void NormalForm::find_changed(const std::vector<Func>& funcs) {
    for (const Func& f : funcs)
        if (!activity_.is_cut(*f.state()) && !is_normal(*f.state())) changed_.insert(f.state().get());
    for (bool grown = true; grown;) {
        grown = false;
        for (const Func& f : funcs) {
            if (activity_.is_cut(*f.state()) || changed_.count(f.state().get())) continue;
            bool changes = reads(*f.state(), changed_);
            if (f.state()->rule)
                for (const Wrt& x : f.state()->rule->operands) changes = changes || changed_.count(x.func().get()) != 0;
            if (f.state()->recurrence)
                for (const auto& state : f.state()->recurrence->states)
                    changes = changes || changed_.count(state.lock().get()) != 0;
            if (changes) grown = changed_.insert(f.state().get()).second || grown;
        }
    }
}

// A Func to be defined later; the states of a recurrence are made together.
Func NormalForm::shell(const FuncState& f) {
    if (const auto found = map_.find(&f); found != map_.end()) return found->second;
    const auto made = [&](const FuncState& from) {
        Func copy(options_.keep_names ? from.name : names_.func(from.name), from.where);
        FuncState& to = *copy.state();
        to.declared = from.declared;
        to.numerics = from.numerics;
        to.rule = from.rule;
        to.dims = from.dims;
        to.dtypes = from.dtypes;
        to.defined = true;
        map_.emplace(&from, copy);
        return copy;
    };
    if (!f.recurrence) return made(f);
    auto recurrence = std::make_shared<Recurrence>(Recurrence{f.recurrence->t, f.recurrence->reverse, {}, {}});
    for (const auto& state : f.recurrence->states) {
        const Func copy = made(*state.lock());
        copy.state()->recurrence = recurrence;
        recurrence->states.push_back(copy.state());
        recurrence->kept.push_back(copy.state());
    }
    return map_.at(&f);
}

void NormalForm::rewrite(const Func& f) {
    const FuncState& from = *f.state();
    const bool own_root = structured_root(from).defined() && (is_normal(from) || !becomes_pair(from.values[0]));
    const std::vector<Expr> values = flattened(f, definition_roots(from), own_root);
    if (!map_.count(&from) && !from.recurrence) {
        const auto key = definition_key(from.dims, values, from.rule.get(), from.routine.get());
        auto same = known_.find(key);
        if (same == known_.end()) {
            const Func made = options_.keep_names
                                  ? made_func(from.name, from.dims, values, from.where)
                                  : shared_func(from.name, from.dims, values, from.where, names_, from.rule.get());
            made.state()->declared = from.declared;
            made.state()->numerics = from.numerics;
            if (!made.state()->rule) made.state()->rule = from.rule;
            if (!made.state()->routine) made.state()->routine = routine_of(from);
            same = known_.emplace(key, made).first;
        }
        map_.emplace(&from, same->second);
        return;
    }
    FuncState& to = *shell(from).state();
    to.values = values;
    to.routine = routine_of(from);
    if (from.init.defined()) {
        to.init = to.values.back();
        to.values.pop_back();
    }
}

std::shared_ptr<const RoutineCall> NormalForm::routine_of(const FuncState& f) {
    return moved_routine(f.routine, [this](const Wrt& x) -> std::optional<Wrt> {
        if (x.input() || !changed_.count(x.func().get())) return x;
        return Wrt(shell(*x.func()), x.where());
    });
}

std::vector<Expr> NormalForm::flattened(const Func& f, const std::vector<Expr>& roots, bool keep_root) {
    const auto carrying = carrying_nodes(roots, activity_.varying_nodes(roots));
    std::unordered_set<const ExprNode*> kept;
    if (keep_root)
        for (const Expr& r : roots) kept.insert(r.get());
    std::unordered_map<const ExprNode*, Expr> done;
    for_each_node(roots, [&](const Expr& n) {
        std::vector<Expr> args;
        for (const Expr& a : n->args) args.push_back(done.at(a.get()));
        Expr made = n;
        if (n->op == Op::access && n->target().func && changed_.count(n->target().func.get())) {
            AccessTarget target = n->target();
            target.func = shell(*target.func).state();
            made = make_access(target, args, n.dtype(), n->component(), n->where);
        } else if (!args.empty()) {
            made = with_args(n, args);
        }
        if (is_structured(n->op) && !kept.count(n.get()))
            made = carrying.count(n.get()) && becomes_pair(n) ? selected_place(made, args) : made;
        if (is_structured(n->op) && !kept.count(n.get())) made = lifted(f, made);
        done[n.get()] = made;
    });
    std::vector<Expr> out;
    for (const Expr& r : roots) out.push_back(done.at(r.get()));
    return out;
}

// The pair of the extreme value and its place (row-major over the reduced dims), the first one on ties.
Expr NormalForm::selected_place(const Expr& node, const std::vector<Expr>& args) {
    const Reduction& r = node->reduction();
    const Expr place = flat_place(r.dims);
    const std::string_view wanted = r.monoid == maximum.shared() ? "argmax" : "argmin";
    for (const Monoid& m : builtin_monoids()) {
        if (m.name() != wanted) continue;
        Where condition;
        if (r.has_where) condition.condition = args.back();
        return reduce(m, r.dims, {Operand(args[0], node->where), Operand(place, node->where)}, condition, {.name = r.name})[0];
    }
    TESSERA_CHECK(false, "there is no monoid for the place of an extreme value");
    return {};
}

Expr NormalForm::lifted(const Func& f, const Expr& node) {
    const Reduction& r = node->reduction();
    const std::vector<Dim> free = free_dims(node);
    std::vector<Dim> dims;
    for (const Dim& d : f.dims())
        if (contains_dim(free, d)) dims.push_back(d);
    for (const Dim& d : free)
        if (!contains_dim(dims, d)) dims.push_back(d);
    std::vector<Expr> values;
    for (size_t i = 0; i < r.components(); ++i) values.push_back(component_of(node, i));
    const auto key = definition_key(dims, values);
    auto found = known_.find(key);
    if (found == known_.end()) {
        const std::string name = r.name.empty() ? f.name() + "/" + r.monoid->name : r.name;
        found = known_.emplace(key, shared_func(name, dims, values, node->where, names_)).first;
    }
    return read_at(found->second, dims_as_indices(dims), node->where, node->component());
}

}  // namespace tessera
