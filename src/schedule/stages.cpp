#include "schedule/stages.h"

#include "base/check.h"

#include <fmt/format.h>

#include <set>
#include <unordered_map>
#include <unordered_set>

namespace tessera {

std::optional<size_t> StageGraph::find(const FuncState* func) const {
    for (size_t i = 0; i < stages.size(); ++i)
        if (stages[i].func.get() == func) return i;
    return std::nullopt;
}
std::optional<size_t> StageGraph::find(const std::string& name) const {
    for (size_t i = 0; i < stages.size(); ++i)
        if (stages[i].name == name) return i;
    return std::nullopt;
}
std::vector<std::string> StageGraph::names() const {
    std::vector<std::string> out;
    for (const Stage& s : stages) out.push_back(s.name);
    return out;
}

Expr substitute(const Expr& e, const std::map<const ExprNode*, Expr>& replacements) {
    return rewrite(e, [&](const Expr& n) {
        const auto found = replacements.find(n.get());
        return found == replacements.end() ? Expr() : found->second;
    });
}
Expr substitute_dims(const Expr& e, const std::vector<Dim>& dims, const std::vector<Expr>& indices) {
    std::map<const ExprNode*, Expr> replacements;
    std::vector<Expr> keys;  // keeps the dims' nodes alive while their addresses are keys
    for (size_t i = 0; i < dims.size(); ++i) {
        keys.push_back(make_dim(dims[i]));
        replacements[keys.back().get()] = indices[i];
    }
    return substitute(e, replacements);
}

std::shared_ptr<FuncState> make_stage_func(std::string name, std::vector<Dim> dims, std::vector<DType> dtypes, SourceLoc where) {
    auto f = std::make_shared<FuncState>();
    f->name = std::move(name);
    f->dims = std::move(dims);
    f->dtypes = std::move(dtypes);
    f->where = where;
    f->defined = true;
    return f;
}

Expr read_stage(const std::shared_ptr<FuncState>& func, std::vector<Expr> indices, int component) {
    return make_access({nullptr, func, Boundary::none}, std::move(indices), func->dtypes.at(static_cast<size_t>(component)),
                       component, {});
}

std::vector<Expr> dim_exprs(const std::vector<Dim>& dims) {
    std::vector<Expr> out;
    for (const Dim& d : dims) out.push_back(make_dim(d));
    return out;
}

std::vector<Dim> update_pure_dims(const Stage& stage) {
    std::vector<Dim> out;
    for (size_t i = 0; i < stage.dims.size(); ++i) {
        const Expr& place = stage.update->place[i];
        if (place->op == Op::dim && place->dim().id() == stage.dims[i].id() &&
            !contains_dim(stage.update->reduction_dims, stage.dims[i]))
            out.push_back(stage.dims[i]);
    }
    return out;
}

std::vector<Dim> carried_dims(const Stage& stage) {
    std::vector<Dim> out;
    for (const Dim& d : update_pure_dims(stage)) {
        size_t at = 0;
        while (stage.dims[at].id() != d.id()) ++at;
        for_each_node(stage.update->values, [&](const Expr& n) {
            if (n->op != Op::access || n->target().func != stage.func) return;
            const Expr& index = n->args[at];
            if ((index->op != Op::dim || index->dim().id() != d.id() || n->target().boundary != Boundary::none) &&
                !contains_dim(out, d))
                out.push_back(d);
        });
    }
    return out;
}

namespace {

bool is_structured(const Expr& e) { return e->op == Op::reduce || e->op == Op::scan || e->op == Op::scatter; }

// The node of component 0: what the components of one reduction share.
Expr first_component(const Expr& e) {
    ExprNode node = *e;
    node.bits = 0;
    node.dtype = node.reduction().identity[0].dtype();
    return make_node(std::move(node));
}

std::string kind_of(const Expr& e) {
    if (e->op == Op::scan) return "scan";
    if (e->op == Op::scatter) return "scatter";
    return e->reduction().monoid->name;
}

class Splitter {
public:
    explicit Splitter(const Algorithm& algorithm) : graph_{algorithm, {}} {}

    StageGraph run() {
        for (const Func& f : graph_.algorithm.funcs())
            if (const auto& r = f.state()->recurrence) note_cycle(*r);
        find_twins();
        for (const Func& f : graph_.algorithm.funcs()) {
            if (inlined_.count(f.state().get())) continue;
            if (f.state()->recurrence)
                add_recurrence(*f.state());
            else
                add_definition(*f.state(), f.state());
        }
        return std::move(graph_);
    }

private:
    // ---- names

    void number(const FuncState& f, const std::vector<Expr>& values) {
        std::map<std::string, int> count;
        std::unordered_set<const ExprNode*> seen;
        stage_names_.clear();
        std::vector<Expr> stack(values.rbegin(), values.rend());
        while (!stack.empty()) {
            const Expr e = stack.back();
            stack.pop_back();
            if (!seen.insert(e.get()).second) continue;
            if (is_structured(e)) {
                const Expr key = first_component(e);
                if (!stage_names_.count(key.get())) {
                    const std::string kind = kind_of(e);
                    const int n = count[kind]++;
                    std::string name = e->reduction().name;
                    if (name.empty())
                        name = n == 0 ? fmt::format("{}.{}", f.name, kind) : fmt::format("{}.{}.{}", f.name, kind, n);
                    if (graph_.find(name) || !taken_.insert(name).second) name = fmt::format("{}.{}.{}", f.name, kind, n + 1);
                    stage_names_[key.get()] = name;
                    alive_.push_back(key);
                }
            }
            for (size_t i = e->args.size(); i-- > 0;) stack.push_back(e->args[i]);
        }
    }

    // ---- definitions

    // `e` of the definition `f` with reductions replaced by reads of stages made for them.
    Expr split(const FuncState& f, const Expr& root) {
        std::unordered_map<const ExprNode*, Expr> done;
        for_each_node({root}, [&](const Expr& n) {
            std::vector<Expr> args;
            bool changed = false;
            for (const Expr& a : n->args) {
                args.push_back(done.at(a.get()));
                changed = changed || !args.back().same_as(a);
            }
            if (is_structured(n))
                done[n.get()] = read_structured(f, n, args);
            else if (n->op == Op::access && n->target().func && states_.count(n->target().func.get())) {
                const auto& [stage, component] = states_.at(n->target().func.get());
                AccessTarget target = n->target();
                target.func = stage;
                done[n.get()] = make_access(target, args, n->dtype, component, {});
            } else if (n->op == Op::access) {
                // Bounds were proved with the places of the reads; from here on equal reads are one node.
                AccessTarget target = n->target();
                if (const auto twin = twins_.find(target.func.get()); twin != twins_.end()) target.func = twin->second;
                done[n.get()] = make_access(target, args, n->dtype, n->component(), {});
            } else
                done[n.get()] = changed ? with_args(n, std::move(args)) : n;
        });
        return done.at(root.get());
    }

    void add_definition(const FuncState& f, const std::shared_ptr<FuncState>& shared) {
        stage_of_.clear();
        number(f, f.values);
        Stage s;
        s.kind = Stage::Kind::definition;
        s.func = shared;
        s.name = f.name;
        s.dims = f.dims;
        s.dtypes = f.dtypes;
        s.where = f.where;
        for (const Expr& v : f.values) s.values.push_back(split(f, inline_cycle(v)));
        if (const auto twin = twins_.find(&f); twin != twins_.end()) {
            Stage inner = s;
            inner.func = twin->second;
            inner.name = inner.func->name;
            graph_.stages.push_back(std::move(inner));
            for (size_t c = 0; c < s.values.size(); ++c)
                s.values[c] = read_stage(twin->second, dim_exprs(s.dims), static_cast<int>(c));
        }
        set_output(s);
        graph_.stages.push_back(std::move(s));
    }

    // An output has the region of its extents. One that other definitions may read elsewhere gets a stage "<func>.value" beside
    // it.
    void find_twins() {
        const auto is_output = [&](const FuncState* f) {
            for (const Func& o : graph_.algorithm.outputs())
                if (o.state().get() == f) return true;
            return false;
        };
        const auto note = [&](const Func& reader, const Expr& n) {
            if (n->op != Op::access || !n->target().func || n->target().boundary != Boundary::none) return;
            const auto& read = n->target().func;
            if (!is_output(read.get()) || read == reader.state() || twins_.count(read.get())) return;
            if (read->recurrence && read->recurrence == reader.state()->recurrence) return;
            bool same = is_output(reader.state().get());
            for (size_t d = 0; same && d < n->args.size(); ++d)
                same = n->args[d]->op == Op::dim && contains_dim(reader.dims(), n->args[d]->dim()) &&
                       n->args[d]->dim().id() == read->dims[d].id();
            if (!same) twins_[read.get()] = make_stage_func(read->name + ".value", read->dims, read->dtypes, read->where);
        };
        for (const Func& f : graph_.algorithm.funcs()) for_each_node(f.state()->values, [&](const Expr& n) { note(f, n); });
    }

    void set_output(Stage& s) {
        const auto& outputs = graph_.algorithm.outputs();
        for (size_t i = 0; i < outputs.size(); ++i)
            if (outputs[i].name() == s.name) s.output = i;
    }

    // ---- reductions, scans, scatters

    Expr read_structured(const FuncState& f, const Expr& n, const std::vector<Expr>& args) {
        const Expr key = first_component(n);
        auto& made = stage_of_[key.get()];
        if (!made) made = add_structured(f, n, args, stage_names_.at(key.get()));
        alive_.push_back(key);
        return read_stage(made, n->op == Op::scan ? scan_indices(*made, n->reduction()) : dim_exprs(made->dims), n->component());
    }

    // A scan's stage holds the inclusive combinations of [0, extent) and the identity before the first one. Outside, and for an
    // exclusive scan, the value is one of these.
    static std::vector<Expr> scan_indices(const FuncState& stage, const Reduction& r) {
        const Dim& t = r.dims[0];
        const Expr extent = resolve_weak(Expr(t.extent()), DType::i64, {}), at = make_dim(t);
        const Expr one = make_constant(DType::i64, std::int64_t{1}), zero = make_constant(DType::i64, std::int64_t{0});
        const Expr index = !r.exclusive ? at : r.reverse ? at + one : at - one;
        return substituted(dim_exprs(stage.dims), t,
                           r.reverse ? max(min(index, extent), zero) : max(min(index, extent - one), zero - one));
    }

    // Free dims, those of the definition's left-hand side first and in its order.
    static std::vector<Dim> stage_dims(const FuncState& f, const Expr& n) {
        const std::vector<Dim> free = free_dims(n);
        std::vector<Dim> dims;
        for (const Dim& d : f.dims)
            if (contains_dim(free, d)) dims.push_back(d);
        for (const Dim& d : free)
            if (!contains_dim(dims, d)) dims.push_back(d);
        return dims;
    }

    std::shared_ptr<FuncState> add_structured(const FuncState& f, const Expr& n, const std::vector<Expr>& args,
                                              const std::string& name) {
        for (const Expr& a : args) refuse_state_reads(a, f, n->where);
        const Reduction& r = n->reduction();
        if (r.order.kind == Order::Kind::pairwise)
            throw Limit(L0901_not_on_target, n->where, fmt::format("order pairwise of {} has no schedule yet", name),
                        {fix("use order ascending or kahan"), fix("evaluate with the interpreter target")});
        const bool kahan = r.order.kind == Order::Kind::kahan;
        Stage s;
        s.name = name;
        s.where = n->where;
        s.dims = n->op == Op::scan && !contains_dim(stage_dims(f, n), r.dims[0]) ? with_time(stage_dims(f, n), r.dims[0])
                                                                                 : stage_dims(f, n);
        for (const Expr& e : r.identity) s.dtypes.push_back(e.dtype());
        s.values = r.identity;
        if (kahan) {
            s.dtypes.push_back(s.dtypes[0]);
            s.values.push_back(s.values[0]);
        }
        s.func = make_stage_func(name, s.dims, s.dtypes, n->where);
        // What the stage computes, whole: ranges of its values are known from it.
        for (size_t i = 0; i < r.components(); ++i) {
            ExprNode component = *n;
            component.bits = i;
            component.dtype = r.identity[i].dtype();
            s.func->values.push_back(make_node(std::move(component)));
        }
        s.update = n->op == Op::reduce ? reduction_update(s, n, args, kahan)
                   : n->op == Op::scan ? scan_update(s, n, args)
                                       : scatter_update(s, n, args);
        s.update->order = r.order;
        s.update->monoid = r.monoid;
        s.kind = n->op == Op::reduce ? Stage::Kind::reduction : n->op == Op::scan ? Stage::Kind::scan : Stage::Kind::scatter;
        graph_.stages.push_back(s);
        return s.func;
    }

    static std::vector<Dim> with_time(std::vector<Dim> dims, const Dim& t) {
        dims.push_back(t);
        return dims;
    }

    static std::vector<Expr> combine(const Reduction& r, const std::vector<Expr>& left, const std::vector<Expr>& right) {
        std::map<const ExprNode*, Expr> values;
        for (size_t i = 0; i < r.left.size(); ++i) {
            values[r.left[i].get()] = left[i];
            values[r.right[i].get()] = right[i];
        }
        std::vector<Expr> out;
        for (const Expr& e : r.combined) out.push_back(substitute(e, values));
        return out;
    }

    static std::vector<Expr> self(const Stage& s, const std::vector<Expr>& place) {
        std::vector<Expr> out;
        for (size_t i = 0; i < s.dtypes.size(); ++i) out.push_back(read_stage(s.func, place, static_cast<int>(i)));
        return out;
    }

    static Update reduction_update(const Stage& s, const Expr& n, const std::vector<Expr>& args, bool kahan) {
        const Reduction& r = n->reduction();
        Update u;
        u.reduction_dims = r.dims;
        u.place = dim_exprs(s.dims);
        if (r.has_where) u.condition = args.back();
        const std::vector<Expr> now = self(s, u.place);
        if (kahan) {
            // Kahan 1965: the second component carries the low-order part that was lost.
            const Expr y = args[0] - now[1];
            const Expr total = now[0] + y;
            u.values = {total, (total - now[0]) - y};
        } else if (r.monoid->name == "sum" && is_float(args[0].dtype()) && args[0]->op == Op::mul) {
            u.values = {fma(args[0]->args[0], args[0]->args[1], now[0])};
        } else {
            u.values = combine(r, now, {args.begin(), args.begin() + static_cast<std::ptrdiff_t>(r.components())});
        }
        return u;
    }

    // s(t) = s(t-1) ⊕ body(t), where s(-1) is the identity; mirrored from the other end when reverse.
    static Update scan_update(const Stage& s, const Expr& n, const std::vector<Expr>& args) {
        const Reduction& r = n->reduction();
        const Dim& t = r.dims[0];
        const Expr extent = Expr(Extent(t.extent())), step = make_dim(t);
        const Expr one = make_constant(DType::i64, std::int64_t{1});
        const Expr here = r.reverse ? resolve_weak(extent - 1 - step, DType::i64, {}) : step;
        const Expr before = r.reverse ? here + one : here - one;
        Update u;
        u.reduction_dims = {t};
        u.sequential = true;
        u.place = substituted(dim_exprs(s.dims), t, here);
        std::vector<Expr> operands;
        for (const Expr& a : args) operands.push_back(substitute_dims(a, {t}, {here}));
        u.values = combine(r, self(s, substituted(dim_exprs(s.dims), t, before)), operands);
        return u;
    }

    static std::vector<Expr> substituted(std::vector<Expr> exprs, const Dim& d, const Expr& index) {
        for (Expr& e : exprs) e = substitute_dims(e, {d}, {index});
        return exprs;
    }

    static Update scatter_update(Stage& s, const Expr& n, const std::vector<Expr>& args) {
        const Scatter& sc = n->scatter();
        const Reduction& r = *sc.reduction;
        const size_t destinations = sc.destination.size(), components = r.components();
        Update u;
        u.reduction_dims = r.dims;
        u.place = dim_exprs(s.dims);
        for (size_t i = 0; i < destinations; ++i) {
            const Expr& index = args[i];
            for (size_t d = 0; d < s.dims.size(); ++d)
                if (s.dims[d].id() == sc.destination[i].id()) u.place[d] = index;
            const Expr inside = index >= 0 && index < Expr(sc.destination[i].extent());
            u.condition = u.condition.defined() ? u.condition && inside : inside;
        }
        if (sc.has_init)
            for (size_t i = 0; i < components; ++i) s.values[i] = args[destinations + components + i];
        const auto first = args.begin() + static_cast<std::ptrdiff_t>(destinations);
        u.values = combine(r, self(s, u.place), {first, first + static_cast<std::ptrdiff_t>(components)});
        return u;
    }

    // ---- recurrences

    // Funcs of a step that read the states stand between a state and itself: they are inlined into the step.
    void note_cycle(const Recurrence& r) {
        std::unordered_set<const FuncState*> states;
        for (const auto& weak : r.states) states.insert(weak.lock().get());
        std::unordered_map<const FuncState*, bool> reaches;
        for (const auto& weak : r.states)
            for (const Expr& v : weak.lock()->values) mark_cycle(v, states, reaches);
        for (const auto& [f, does] : reaches)
            if (does) {
                inlined_.insert(f);
                for (const Func& o : graph_.algorithm.outputs())
                    if (o.state().get() == f) inlined_.erase(f);
            }
    }

    bool mark_cycle(const Expr& root, const std::unordered_set<const FuncState*>& states,
                    std::unordered_map<const FuncState*, bool>& reaches) {
        bool any = false;
        for_each_node({root}, [&](const Expr& n) {
            if (n->op != Op::access || !n->target().func) return;
            const FuncState* f = n->target().func.get();
            if (states.count(f)) {
                any = true;
                return;
            }
            if (!reaches.count(f)) {
                reaches[f] = false;
                bool below = false;
                for (const Expr& v : f->values) below = mark_cycle(v, states, reaches) || below;
                reaches[f] = below && !f->recurrence;
            }
            any = any || reaches[f];
        });
        return any;
    }

    Expr inline_cycle(const Expr& root) {
        if (inlined_.empty()) return root;
        return rewrite(root, [&](const Expr& n) -> Expr {
            if (n->op != Op::access || !n->target().func || !inlined_.count(n->target().func.get())) return {};
            const FuncState& f = *n->target().func;
            if (n->target().boundary != Boundary::none)
                throw Limit(L0901_not_on_target, n->where,
                            fmt::format("{} reads a state of a recurrence and is read through a boundary condition", f.name),
                            {fix("write the boundary inside the step with clamp() on the index")});
            return substitute_dims(inline_cycle(f.values[static_cast<size_t>(n->component())]), f.dims, n->args);
        });
    }

    void refuse_state_reads(const Expr& e, const FuncState& f, SourceLoc where) const {
        if (!current_recurrence_) return;
        for_each_node({e}, [&](const Expr& n) {
            if (n->op == Op::access && n->target().func == current_recurrence_)
                throw Limit(L0901_not_on_target, where,
                            fmt::format("the step of recurrence {} reduces over its own state", f.name),
                            {fix("evaluate with the interpreter target"),
                             fix("make the state a tuple of the few values that are needed and write the sum out")});
        });
    }

    void add_recurrence(const FuncState& first) {
        if (done_states_.count(&first)) return;
        const Recurrence& r = *first.recurrence;
        Stage s;
        s.kind = Stage::Kind::recurrence;
        s.name = r.states[0].lock()->name + ".recurrence";
        s.dims = first.dims;
        s.where = first.where;
        std::vector<std::shared_ptr<FuncState>> states;
        for (const auto& weak : r.states) {
            states.push_back(weak.lock());
            bool same = states.back()->dims.size() == s.dims.size();
            for (size_t i = 0; same && i < s.dims.size(); ++i) same = states.back()->dims[i].id() == s.dims[i].id();
            if (!same)
                throw Limit(
                    L0901_not_on_target, first.where,
                    fmt::format("the states {} and {} of one recurrence have different dims", first.name, states.back()->name),
                    {fix("evaluate with the interpreter target"), fix("give both states the same dims")});
            s.dtypes.push_back(states.back()->dtypes[0]);
        }
        s.func = make_stage_func(s.name, s.dims, s.dtypes, s.where);
        for (size_t i = 0; i < states.size(); ++i) states_[states[i].get()] = {s.func, static_cast<int>(i)};
        current_recurrence_ = s.func;
        stage_of_.clear();
        Update u;
        u.reduction_dims = {r.t};
        u.sequential = true;
        const Expr step = make_dim(r.t);
        const Expr here = r.reverse ? resolve_weak(Expr(r.t.extent()) - 1 - step, DType::i64, {}) : step;
        u.place = substituted(dim_exprs(s.dims), r.t, here);
        for (const auto& f : states) {
            const Expr value = inline_cycle(f->values[0]);
            number(*f, {value, f->init});
            s.values.push_back(split(*f, f->init));
            u.values.push_back(substitute_dims(split(*f, value), {r.t}, {here}));
        }
        current_recurrence_ = nullptr;
        s.update = std::move(u);
        graph_.stages.push_back(s);
        for (const auto& f : states) {
            Stage d;
            d.kind = Stage::Kind::definition;
            d.func = f;
            d.name = f->name;
            d.dims = f->dims;
            d.dtypes = f->dtypes;
            d.where = f->where;
            d.values = {read_stage(s.func, dim_exprs(s.dims), states_.at(f.get()).second)};
            if (const auto twin = twins_.find(f.get()); twin != twins_.end()) {
                Stage inner = d;
                inner.func = twin->second;
                inner.name = inner.func->name;
                graph_.stages.push_back(std::move(inner));
            }
            set_output(d);
            graph_.stages.push_back(std::move(d));
        }
        // Later readers see the state's own stage.
        states_.clear();
        for (const auto& f : states) done_states_.insert(f.get());
    }

    StageGraph graph_;
    std::unordered_map<const ExprNode*, std::string> stage_names_;
    std::set<std::string> taken_;
    std::unordered_map<const ExprNode*, std::shared_ptr<FuncState>> stage_of_;  // of the current definition
    std::vector<Expr> alive_;                                                   // keys of the maps above
    std::unordered_set<const FuncState*> inlined_;
    std::unordered_map<const FuncState*, std::pair<std::shared_ptr<FuncState>, int>> states_;  // while their step is split
    std::unordered_set<const FuncState*> done_states_;
    std::unordered_map<const FuncState*, std::shared_ptr<FuncState>> twins_;
    std::shared_ptr<FuncState> current_recurrence_;
};

}  // namespace

StageGraph make_stages(const Algorithm& algorithm) { return Splitter(algorithm).run(); }

}  // namespace tessera
