#include "schedule/stages.h"

#include "algorithm/called_routine.h"
#include "base/check.h"
#include "schedule/accumulation.h"
#include "schedule/block_stages.h"
#include "schedule/recurrence_stages.h"
#include "schedule/routine_stages.h"
#include "schedule/scatter_place.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace tessera {

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
    explicit Splitter(const Algorithm& algorithm) : graph_{algorithm, {}}, funcs_(computed_funcs(algorithm.state())) {}

    StageGraph run() {
        note_dim_names();
        for (const Func& f : funcs_)
            if (const auto& r = f.state()->recurrence) note_cycle(*r);
        find_twins();
        for (const Func& f : funcs_) {
            if (f.state()->routine) {
                add_routine(f);
                continue;
            }
            if (inlined_.count(f.state().get()) && !is_output(f.state().get())) continue;
            if (f.state()->recurrence)
                add_recurrence(*f.state());
            else
                add_definition(*f.state(), f.state());
        }
        return std::move(graph_);
    }

private:
    // ---- names

    void note_dim_names() {
        const auto note = [&](const std::vector<Dim>& dims) {
            for (const Dim& d : dims) dim_names_.insert(d.name());
        };
        for (const Func& f : graph_.algorithm.funcs()) {
            if (f.state()->recurrence) note({f.state()->recurrence->t});
            note(f.dims());
            for_each_node(f.state()->values, [&](const Expr& n) {
                if (is_structured(n)) note(n->reduction().dims);
            });
        }
    }

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
                if (target.boundary == Boundary::none) args = embedded(stage->dims, n->target().func->dims, args);
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
        std::vector<Expr> values;
        for (const Expr& v : f.values) values.push_back(inline_cycle(v));
        number(f, values);
        Stage s;
        s.kind = Stage::Kind::definition;
        s.func = shared;
        s.name = f.name;
        s.dims = f.dims;
        s.dtypes = f.dtypes;
        s.where = f.where;
        for (const Expr& v : values) s.values.push_back(split(f, v));
        if (const auto twin = twins_.find(&f); twin != twins_.end()) add_twin(s, twin->second);
        set_output(s);
        graph_.stages.push_back(std::move(s));
    }

    void add_routine(const Func& f) {
        if (inlined_.count(f.state().get()))
            throw Limit(L0901_not_on_target, f.state()->where,
                        fmt::format("routine {} runs inside the step of a recurrence", f.state()->routine->symbol),
                        {fix("evaluate with the interpreter target"), fix("use its meaning there")});
        Stage s = make_routine_stage(f.state(), [this](const std::shared_ptr<FuncState>& operand) {
            const auto twin = twins_.find(operand.get());
            return twin == twins_.end() ? operand : twin->second;
        });
        if (const auto twin = twins_.find(f.state().get()); twin != twins_.end()) add_twin(s, twin->second);
        set_output(s);
        graph_.stages.push_back(std::move(s));
    }

    // The twin becomes what the stage is, which reads it.
    void add_twin(Stage& s, const std::shared_ptr<FuncState>& twin) {
        Stage inner = s;
        inner.func = twin;
        inner.name = twin->name;
        graph_.stages.push_back(std::move(inner));
        s.kind = Stage::Kind::definition;
        s.symbol.clear();
        for (size_t c = 0; c < s.values.size(); ++c) s.values[c] = read_stage(twin, dim_exprs(s.dims), static_cast<int>(c));
    }

    // An output has the region of its extents. One that other definitions may read elsewhere gets a stage "<func>.value" beside
    // it.
    void find_twins() {
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
        for (const Func& f : funcs_)
            if (!f.state()->routine) for_each_node(f.state()->values, [&](const Expr& n) { note(f, n); });
    }

    bool is_output(const FuncState* f) const {
        for (const Func& o : graph_.algorithm.outputs())
            if (o.state().get() == f) return true;
        return false;
    }

    void set_output(Stage& s) {
        const auto& outputs = graph_.algorithm.outputs();
        for (size_t i = 0; i < outputs.size(); ++i)
            if (outputs[i].name() == s.name) s.output = i;
    }

    // ---- reductions, scans, scatters

    Expr read_structured(const FuncState& f, const Expr& n, const std::vector<Expr>& args) {
        const Expr key = first_component(n);
        if (n->op == Op::reduce && reads_state(args)) return read_in_step(key, n, args);
        auto& made = stage_of_[key.get()];
        if (!made) made = add_structured(f, n, args, stage_names_.at(key.get()));
        alive_.push_back(key);
        if (const auto blocks = results_.find(made.get()); blocks != results_.end())
            return read_stage(made, blocks->second, n->component());
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
        if (needs_blocks(r)) return add_blocks(f, n, args, name);
        Stage s;
        s.name = name;
        s.where = n->where;
        s.dims = n->op == Op::scan && !contains_dim(stage_dims(f, n), r.dims[0]) ? with_time(stage_dims(f, n), r.dims[0])
                                                                                 : stage_dims(f, n);
        s.values = start_of(r);
        for (const Expr& e : s.values) s.dtypes.push_back(e.dtype());
        s.func = make_stage_func(name, s.dims, s.dtypes, n->where);
        // What the stage computes, whole: ranges of its values are known from it.
        for (size_t i = 0; i < r.components(); ++i) {
            ExprNode component = *n;
            component.bits = i;
            component.dtype = r.identity[i].dtype();
            s.func->values.push_back(make_node(std::move(component)));
        }
        s.update = n->op == Op::reduce ? reduction_update(s, n, args)
                   : n->op == Op::scan ? scan_update(s, n, args)
                                       : scatter_update(s, n, args);
        s.update->order = r.order;
        s.update->monoid = r.monoid;
        s.kind = n->op == Op::reduce ? Stage::Kind::reduction : n->op == Op::scan ? Stage::Kind::scan : Stage::Kind::scatter;
        graph_.stages.push_back(s);
        return s.func;
    }

    std::shared_ptr<FuncState> add_blocks(const FuncState& f, const Expr& n, const std::vector<Expr>& args,
                                          const std::string& name) {
        if (n->op != Op::reduce)
            throw Limit(L0901_not_on_target, n->where, fmt::format("order blocked of {} has no schedule for floats", name),
                        {fix("leave its order ascending"), fix("evaluate with the interpreter target")});
        BlockStages made = make_block_stages(name, n, stage_dims(f, n), args);
        const std::shared_ptr<FuncState> func = made.whole.func;
        results_[func.get()] = std::move(made.result);
        graph_.stages.push_back(std::move(made.blocks));
        graph_.stages.push_back(std::move(made.whole));
        return func;
    }

    static std::vector<Dim> with_time(std::vector<Dim> dims, const Dim& t) {
        dims.push_back(t);
        return dims;
    }

    static std::vector<Expr> self(const Stage& s, const std::vector<Expr>& place) {
        std::vector<Expr> out;
        for (size_t i = 0; i < s.dtypes.size(); ++i) out.push_back(read_stage(s.func, place, static_cast<int>(i)));
        return out;
    }

    static Update reduction_update(const Stage& s, const Expr& n, const std::vector<Expr>& args) {
        const Reduction& r = n->reduction();
        Update u;
        u.reduction_dims = r.dims;
        u.place = dim_exprs(s.dims);
        u.condition = predicate_of(r, args);
        u.values = accumulated(r, args, self(s, u.place));
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
        u.values = combined(r, self(s, substituted(dim_exprs(s.dims), t, before)), operands);
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
            const Expr inside = lands_inside(index, sc.destination[i]);
            if (inside.defined()) u.condition = u.condition.defined() ? u.condition && inside : inside;
        }
        if (sc.has_init)
            for (size_t i = 0; i < components; ++i) s.values[i] = args[destinations + components + i];
        const auto first = args.begin() + static_cast<std::ptrdiff_t>(destinations);
        u.values = combined(r, self(s, u.place), {first, first + static_cast<std::ptrdiff_t>(components)});
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
            if (does) inlined_.insert(f);
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
                if (f->init.defined()) below = mark_cycle(f->init, states, reaches) || below;
                if (below && f->recurrence)
                    throw Limit(L0901_not_on_target, n->where,
                                fmt::format("recurrence {} runs inside the step of another one and reads its states", f->name),
                                {fix("evaluate with the interpreter target"),
                                 fix("run both in one recurrence, or the outer one from the program")});
                reaches[f] = below;
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
            return inlined_at(inline_cycle(f.values[static_cast<size_t>(n->component())]), f.dims, n->args, dim_names_);
        });
    }

    bool reads_state(const std::vector<Expr>& roots) const {
        bool found = false;
        if (current_recurrence_)
            for_each_node(
                roots, [&](const Expr& n) { found = found || (n->op == Op::access && n->target().func == current_recurrence_); });
        return found;
    }

    void refuse_state_reads(const Expr& e, const FuncState& f, SourceLoc where) const {
        if (reads_state({e}))
            throw Limit(L0901_not_on_target, where,
                        fmt::format("the step of recurrence {} has a scan or scatter over its own state", f.name),
                        {fix("evaluate with the interpreter target"), fix("write it as a sum with a predicate: where(j <= i)")});
    }

    // A reduction over the states: components of the recurrence's own stage.
    Expr read_in_step(const Expr& key, const Expr& n, const std::vector<Expr>& args) {
        const Reduction& r = n->reduction();
        if (r.order.kind != Order::Kind::any && r.order.kind != Order::Kind::ascending)
            throw Limit(L0901_not_on_target, n->where,
                        "a reduction over the states of a recurrence has an order that has no schedule",
                        {fix("use order ascending"), fix("evaluate with the interpreter target")});
        alive_.push_back(key);
        const auto known = in_step_.find(key.get());
        size_t at = known == in_step_.end() ? step_reductions_.size() : known->second;
        if (known == in_step_.end()) {
            in_step_[key.get()] = at;
            StepReduction s{with_args(n, args), {}, current_recurrence_->dtypes.size()};
            for (const Dim& d : free_dims(n))
                if (d.id() != current_time_) s.free.push_back(d);
            for (const Expr& e : r.identity) current_recurrence_->dtypes.push_back(e.dtype());
            step_reductions_.push_back(std::move(s));
        }
        const StepReduction& s = step_reductions_[at];
        std::vector<Dim> dims = s.free;
        for (const Dim& d : current_recurrence_->dims)
            if (d.id() == current_time_) dims.push_back(d);
        return read_stage(current_recurrence_, embedded(current_recurrence_->dims, dims, dim_exprs(dims)),
                          static_cast<int>(s.component) + n->component());
    }

    // Dims of all states, and those at which reductions over them are read.
    std::vector<Dim> dims_of_step(const std::vector<std::shared_ptr<FuncState>>& states, const std::vector<Expr>& values) const {
        std::vector<Dim> dims = states[0]->dims;
        const auto add = [&](const std::vector<Dim>& more) {
            for (const Dim& d : more)
                if (!contains_dim(dims, d)) dims.push_back(d);
        };
        for (const auto& f : states) add(f->dims);
        std::unordered_map<const ExprNode*, bool> reads;
        for_each_node(values, [&](const Expr& n) {
            bool& own = reads[n.get()];
            for (const auto& f : states) own = own || (n->op == Op::access && n->target().func == f);
            for (const Expr& a : n->args) own = own || reads.at(a.get());
            if (own && n->op == Op::reduce) add(free_dims(n));
        });
        return dims;
    }

    static bool same_dims(const std::vector<Dim>& a, const std::vector<Dim>& b) {
        bool same = a.size() == b.size();
        for (size_t i = 0; same && i < a.size(); ++i) same = a[i].id() == b[i].id();
        return same;
    }

    void add_recurrence(const FuncState& first) {
        if (done_states_.count(&first)) return;
        const Recurrence& r = *first.recurrence;
        Stage s;
        s.kind = Stage::Kind::recurrence;
        s.name = r.states[0].lock()->name + ".recurrence";
        s.where = first.where;
        std::vector<std::shared_ptr<FuncState>> states;
        std::vector<Expr> steps;
        for (const auto& weak : r.states) {
            states.push_back(weak.lock());
            s.dtypes.push_back(states.back()->dtypes[0]);
            steps.push_back(inline_cycle(states.back()->values[0]));
        }
        s.dims = dims_of_step(states, steps);
        bool same = true;
        for (const auto& f : states)
            if (!same_dims(f->dims, s.dims)) {
                same = false;
                refuse_boundaries(steps, *f);
            }
        s.func = make_stage_func(s.name, s.dims, s.dtypes, s.where);
        for (size_t i = 0; i < states.size(); ++i) states_[states[i].get()] = {s.func, static_cast<int>(i)};
        current_recurrence_ = s.func;
        current_time_ = r.t.id();
        stage_of_.clear();
        in_step_.clear();
        step_reductions_.clear();
        SteppedRecurrence stepped{r.t, r.reverse, {}, {}, {}, states, required_regions(graph_.algorithm.state())};
        for (size_t i = 0; i < states.size(); ++i) {
            const FuncState& f = *states[i];
            number(f, {steps[i], f.init});
            s.values.push_back(where_it_exists(f, s.dims, states, split(f, f.init)));
            stepped.values.push_back(split(f, steps[i]));
            stepped.dims.push_back(f.dims);
        }
        s.dtypes = s.func->dtypes;
        for (const StepReduction& reduction : step_reductions_)
            for (const Expr& e : reduction.node->reduction().identity) s.values.push_back(e);
        stepped.reductions = step_reductions_;
        s.update = same && step_reductions_.empty() ? plain_update(s, stepped) : stepped_update(s, stepped);
        current_recurrence_ = nullptr;
        graph_.stages.push_back(s);
        for (const auto& f : states) add_state(s, f);
        // Later readers see the state's own stage.
        states_.clear();
        for (const auto& f : states) done_states_.insert(f.get());
    }

    // The stage has a place 0 along the dims that some state lacks, also where they have no elements to start from.
    static Expr where_it_exists(const FuncState& f, const std::vector<Dim>& dims,
                                const std::vector<std::shared_ptr<FuncState>>& states, const Expr& init) {
        Expr exists;
        for (const Dim& d : dims) {
            const bool lacked =
                std::any_of(states.begin(), states.end(), [&](const auto& s) { return !contains_dim(s->dims, d); });
            if (!lacked || !contains_dim(f.dims, d) || d.extent().constant()) continue;
            const Expr some = resolve_weak(Expr(d.extent()), DType::i64, {}) > 0;
            exists = exists.defined() ? exists && some : some;
        }
        if (!exists.defined()) return init;
        const Expr none =
            is_float(init.dtype()) ? make_constant(init.dtype(), 0.0) : make_constant(init.dtype(), std::int64_t{0});
        return select(exists, init, none);
    }

    // States of other dims lie at 0 of the dims that they lack, where no boundary condition belongs.
    static void refuse_boundaries(const std::vector<Expr>& steps, const FuncState& f) {
        for_each_node(steps, [&](const Expr& n) {
            if (n->op == Op::access && n->target().func.get() == &f && n->target().boundary != Boundary::none)
                throw Limit(
                    L0901_not_on_target, n->where,
                    fmt::format("state {} is read through a boundary condition, and other states have other dims", f.name),
                    {fix("write the boundary inside the step with clamp() on the index")});
        });
    }

    static Update plain_update(const Stage& s, const SteppedRecurrence& r) {
        Update u;
        u.reduction_dims = {r.t};
        u.sequential = true;
        const Expr step = make_dim(r.t);
        const Expr here = r.reverse ? resolve_weak(Expr(r.t.extent()) - 1 - step, DType::i64, {}) : step;
        u.place = substituted(dim_exprs(s.dims), r.t, here);
        for (const Expr& v : r.values) u.values.push_back(substitute_dims(v, {r.t}, {here}));
        return u;
    }

    void add_state(const Stage& s, const std::shared_ptr<FuncState>& f) {
        Stage d;
        d.kind = Stage::Kind::definition;
        d.func = f;
        d.name = f->name;
        d.dims = f->dims;
        d.dtypes = f->dtypes;
        d.where = f->where;
        d.values = {read_stage(s.func, embedded(s.dims, f->dims, dim_exprs(f->dims)), states_.at(f.get()).second)};
        if (const auto twin = twins_.find(f.get()); twin != twins_.end()) {
            Stage inner = d;
            inner.func = twin->second;
            inner.name = inner.func->name;
            graph_.stages.push_back(std::move(inner));
        }
        set_output(d);
        graph_.stages.push_back(std::move(d));
    }

    StageGraph graph_;
    std::vector<Func> funcs_;
    std::unordered_map<const ExprNode*, std::string> stage_names_;
    std::set<std::string> taken_;
    std::unordered_map<const ExprNode*, std::shared_ptr<FuncState>> stage_of_;  // of the current definition
    std::vector<Expr> alive_;                                                   // keys of the maps above
    std::unordered_set<const FuncState*> inlined_;
    std::unordered_map<const FuncState*, std::pair<std::shared_ptr<FuncState>, int>> states_;  // while their step is split
    std::unordered_set<const FuncState*> done_states_;
    std::unordered_map<const FuncState*, std::shared_ptr<FuncState>> twins_;
    std::shared_ptr<FuncState> current_recurrence_;  // the stage whose step is split
    const void* current_time_ = nullptr;
    std::set<std::string> dim_names_;
    std::vector<StepReduction> step_reductions_;
    std::unordered_map<const ExprNode*, size_t> in_step_;
    std::unordered_map<const FuncState*, std::vector<Expr>> results_;  // where readers find them, when not at their own dims
};

}  // namespace

StageGraph make_stages(const Algorithm& algorithm) { return Splitter(algorithm).run(); }

}  // namespace tessera
