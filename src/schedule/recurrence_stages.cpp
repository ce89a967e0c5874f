#include "schedule/recurrence_stages.h"

#include "expr/index_build.h"
#include "schedule/accumulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace tessera {
namespace {

Expr index_of_extent(const Dim& d) { return resolve_weak(Expr(d.extent()), DType::i64, {}); }
Expr both(const Expr& a, const Expr& b) { return !a.defined() ? b : !b.defined() ? a : a && b; }
Expr truth() { return make_constant(DType::bool_, std::int64_t{1}); }

class SteppedUpdate {
public:
    SteppedUpdate(const Stage& stage, const SteppedRecurrence& r)
        : stage_(stage), r_(r), stopped_(stopped_before()),
          phase_(loop_name("phase"), static_cast<std::int64_t>(r.reductions.size()) + (stopped_.defined() ? 2 : 1)) {
        const Expr step = make_dim(r.t);
        here_ = r.reverse ? resolve_weak(Expr(r.t.extent()) - 1 - step, DType::i64, {}) : step;
    }

    Update run() {
        find_loops();
        for (const Loop& l : loops_) require_inside(l.dim);
        Update u;
        u.sequential = true;
        u.reduction_dims = {r_.t, phase_};
        for (const Loop& l : loops_) u.reduction_dims.push_back(l.counter);
        const size_t last = r_.reductions.size();
        for (size_t p = 0; p < last; ++p) add_reduction(p);
        std::vector<Expr> keep = kept();
        // A state that lacks a dim is computed where that has no elements too.
        Expr active;
        std::vector<Expr> exists(r_.values.size());
        for (const Loop& l : loops_) {
            const auto lacks = [&](const std::vector<Dim>& dims) { return !contains_dim(dims, l.dim); };
            if (!contains_dim(stage_.dims, l.dim))
                active = both(active, first(l));
            else if (std::none_of(r_.dims.begin(), r_.dims.end(), lacks))
                active = both(active, inside(l));
            else
                for (size_t i = 0; i < exists.size(); ++i)
                    if (!lacks(r_.dims[i])) exists[i] = both(exists[i], inside(l));
        }
        const auto add_states = [&](const std::vector<Expr>& values) {
            for (size_t i = 0; i < values.size(); ++i)
                keep[i] = exists[i].defined()
                              ? select(exists[i], values[i], read_stage(stage_.func, dim_exprs(stage_.dims), static_cast<int>(i)))
                              : values[i];
            add_phase(keep, dim_exprs(stage_.dims), active);
        };
        add_states(r_.values);
        if (stopped_.defined()) {
            std::vector<Expr> as_before;
            for (const Expr& v : r_.values) as_before.push_back(v->op == Op::select ? v->args[1] : stopped_);
            add_states(as_before);
        }
        u.place = chosen(places_);
        u.values = chosen(values_);
        u.condition = chosen(conditions_)[0];
        if (is_constant(u.condition)) u.condition = {};
        if (stopped_.defined()) u.condition = both(u.condition, both(while_running(), once_stopped()));
        for (auto* exprs : {&u.place, &u.values})
            for (Expr& e : *exprs) e = at_loops(e);
        if (u.condition.defined()) u.condition = at_loops(u.condition);
        return u;
    }

private:
    // A dim that runs in order. Its counter takes at least one value: at 0 stands what lacks the dim.
    struct Loop {
        Dim dim, counter;
    };

    // Loops of one stage are told apart by their names.
    std::string loop_name(const std::string& wanted) {
        if (names_.empty()) names_.insert(r_.t.name());
        std::string name = wanted;
        for (int i = 1; !names_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
        return name;
    }

    // Dims that everything has and reads at itself stay outside.
    bool is_free(const Dim& d) const {
        if (d.id() == r_.t.id()) return false;
        for (const auto& dims : r_.dims)
            if (!contains_dim(dims, d)) return false;
        for (const StepReduction& s : r_.reductions)
            if (!contains_dim(s.free, d) || contains_dim(s.node->reduction().dims, d)) return false;
        size_t at = 0;
        while (stage_.dims[at].id() != d.id()) ++at;
        bool here = true;
        std::vector<Expr> all = r_.values;
        for (const StepReduction& s : r_.reductions) all.insert(all.end(), s.node->args.begin(), s.node->args.end());
        for_each_node(all, [&](const Expr& n) {
            if (n->op == Op::access && n->target().func == stage_.func)
                here = here && n->target().boundary == Boundary::none && n->args[at].same_as(make_dim(d));
        });
        return here;
    }

    // Its loops run over the extents, and nothing computes what lies beyond.
    void require_inside(const Dim& d) const {
        for (const auto& f : r_.states) {
            const auto region = r_.regions.find(f.get());
            if (region == r_.regions.end()) continue;
            for (size_t k = 0; k < f->dims.size(); ++k) {
                if (f->dims[k].id() != d.id()) continue;
                const Interval& needed = region->second[k];
                const Expr last = simplify_index(index_of_extent(d) - 1);
                const Facts positive{.extents_positive = true};  // an extent of 0 has no cell to read
                // 0 has its place whatever the extent.
                const auto reaches = [&](const Expr& end) {
                    return proves_nonnegative(simplify_index(end - needed.high), positive);
                };
                if (needed.bounded() && proves_nonnegative(needed.low, positive) &&
                    (reaches(last) || reaches(number(0)) || reaches(max(last, 0))))
                    continue;
                throw Limit(
                    L0901_not_on_target, f->where,
                    fmt::format("state {} of a recurrence that reduces over its states, or whose states differ in dims, is "
                                "read outside the extent of {}",
                                f->name, d.name()),
                    {fix(fmt::format("read it through a boundary condition: clamp({})", f->name)),
                     fix("evaluate with the interpreter target")});
            }
        }
    }

    void find_loops() {
        const auto add = [&](const Dim& d) {
            for (const Loop& l : loops_)
                if (l.dim.id() == d.id()) return;
            const auto extent = d.extent().constant();
            const std::string name = loop_name(d.name());
            if (extent && *extent > 0) return loops_.push_back({d, name == d.name() ? d : Dim(name, *extent, d.state().where)});
            const Expr at_least_one = max(Expr(d.extent()), 1);
            loops_.push_back({d, Dim(name, Extent(at_least_one.node()), d.state().where)});
        };
        for (const Dim& d : stage_.dims)
            if (is_free(d)) names_.insert(d.name());
        for (const Dim& d : stage_.dims)
            if (d.id() != r_.t.id() && !is_free(d)) add(d);
        for (const StepReduction& s : r_.reductions)
            for (const Dim& d : s.node->reduction().dims) add(d);
    }

    // Conditions are over the dims themselves until at_loops().
    static Expr first(const Loop& l) { return make_op(Op::eq, DType::bool_, {make_dim(l.dim), number(0)}); }
    static Expr inside(const Loop& l) {
        if (l.counter.id() == l.dim.id()) return {};
        return make_op(Op::lt, DType::bool_, {make_dim(l.dim), index_of_extent(l.dim)});
    }

    std::vector<Expr> kept() const {
        std::vector<Expr> keep;
        for (size_t c = 0; c < stage_.dtypes.size(); ++c) keep.push_back({});
        return keep;
    }

    void add_reduction(size_t p) {
        const StepReduction& s = r_.reductions[p];
        const Reduction& r = s.node->reduction();
        const size_t n = r.components();
        std::vector<Dim> dims{r_.t};
        dims.insert(dims.end(), s.free.begin(), s.free.end());
        const std::vector<Expr> place = embedded(stage_.dims, dims, dim_exprs(dims));
        Expr start, takes, active;
        for (const Loop& l : loops_) {
            if (contains_dim(r.dims, l.dim)) {
                start = both(start, first(l));
                takes = both(takes, inside(l));
            } else
                active = both(active, contains_dim(s.free, l.dim) ? inside(l) : first(l));
        }
        if (r.has_where) takes = both(takes, s.node->args.back());
        std::vector<Expr> before;
        for (size_t c = 0; c < n; ++c)
            before.push_back(select(start, r.identity[c], read_stage(stage_.func, place, static_cast<int>(s.component + c))));
        std::vector<Expr> values = kept();
        for (size_t c = 0; c < n; ++c) {
            const Expr next = combined(r, s.node->args, before, c);
            values[s.component + c] = takes.defined() ? select(takes, next, before[c]) : next;
        }
        add_phase(values, place, active);
    }

    static Expr combined(const Reduction& r, const std::vector<Expr>& args, const std::vector<Expr>& before, size_t c) {
        if (const Expr sum = accumulated_products(r, args[0], before[0]); sum.defined()) return sum;
        std::map<const ExprNode*, Expr> values;
        for (size_t i = 0; i < r.left.size(); ++i) {
            values[r.left[i].get()] = before[i];
            values[r.right[i].get()] = args[i];
        }
        return substitute(r.combined[c], values);
    }

    void add_phase(const std::vector<Expr>& values, const std::vector<Expr>& place, const Expr& active) {
        std::vector<Expr> all = values;
        for (size_t c = 0; c < all.size(); ++c)
            if (!all[c].defined()) all[c] = read_stage(stage_.func, place, static_cast<int>(c));
        values_.push_back(std::move(all));
        places_.push_back(place);
        conditions_.push_back({active.defined() ? active : truth()});
    }

    // Of a step that keeps its states where it has stopped before: whether it has, at the dims of that state.
    //   stopped(t) = stopped(t - 1) || until;  s(t) = (stopped(t - 1) || until) ? s(t - 1) : step
    Expr stopped_before() const {
        const auto is_state = [&](const Expr& e, size_t i) {
            return e->op == Op::access && e->target().func == stage_.func && static_cast<size_t>(e->component()) == i;
        };
        for (size_t c = 0; c < r_.values.size(); ++c) {
            const Expr& stop = r_.values[c];
            if (stop->op != Op::or_ || !is_state(stop->args[0], c)) continue;
            bool all = true;
            for (size_t i = 0; i < r_.values.size(); ++i)
                all = all && (i == c || (r_.values[i]->op == Op::select && r_.values[i]->args[0].same_as(stop) &&
                                         is_state(r_.values[i]->args[1], i)));
            if (all) return stop->args[0];
        }
        return {};
    }

    Expr is_phase(size_t p) const {
        return make_op(Op::eq, DType::bool_, {make_dim(phase_), number(static_cast<std::int64_t>(p))});
    }

    // Steps that have stopped copy their states in the last phase and skip the others, whole loops at a time: conjuncts of their
    // own. Reductions over a dim along which some have stopped and others not take all.
    Expr while_running() const {
        const size_t states = r_.reductions.size();
        Expr always = is_phase(states + 1);
        for (size_t p = 0; p < states; ++p) {
            bool skips = true;
            for (const Dim& d : free_dims(stopped_))
                skips = skips && (d.id() == r_.t.id() || (contains_dim(r_.reductions[p].free, d) &&
                                                          !contains_dim(r_.reductions[p].node->reduction().dims, d)));
            if (!skips) always = always || is_phase(p);
        }
        return always || !stopped_;
    }
    Expr once_stopped() const { return !is_phase(r_.reductions.size() + 1) || stopped_; }

    // Per position the value of the phase that runs.
    std::vector<Expr> chosen(const std::vector<std::vector<Expr>>& by_phase) const {
        std::vector<Expr> out = by_phase.back();
        for (size_t p = by_phase.size() - 1; p-- > 0;)
            for (size_t c = 0; c < out.size(); ++c) {
                if (!out[c].same_as(by_phase[p][c])) out[c] = select(is_phase(p), by_phase[p][c], out[c]);
            }
        return out;
    }

    Expr at_loops(const Expr& e) const {
        std::vector<Dim> dims{r_.t};
        std::vector<Expr> indices{here_};
        for (const Loop& l : loops_) {
            dims.push_back(l.dim);
            indices.push_back(make_dim(l.counter));
        }
        return substitute_dims(e, dims, indices);
    }

    const Stage& stage_;
    const SteppedRecurrence& r_;
    std::set<std::string> names_;
    Expr stopped_;
    Dim phase_;
    Expr here_;
    std::vector<Loop> loops_;
    std::vector<std::vector<Expr>> values_, places_, conditions_;  // per phase
};

}  // namespace

std::vector<Expr> embedded(const std::vector<Dim>& stage, const std::vector<Dim>& dims, const std::vector<Expr>& indices) {
    std::vector<Expr> out;
    for (const Dim& d : stage) {
        out.push_back(number(0));
        for (size_t i = 0; i < dims.size(); ++i)
            if (dims[i].id() == d.id()) out.back() = indices[i];
    }
    return out;
}

Expr inlined_at(const Expr& body, const std::vector<Dim>& dims, const std::vector<Expr>& indices, std::set<std::string>& taken) {
    std::vector<Dim> mentioned;
    for (size_t i = 0; i < indices.size(); ++i)
        if (!indices[i].same_as(make_dim(dims[i]))) {
            // What a reduction inside binds is not replaced, nor bound by it when it comes in.
            mentioned.push_back(dims[i]);
            for (const Dim& d : free_dims(indices[i])) mentioned.push_back(d);
        }
    std::map<const void*, Dim> stand_ins;
    const Expr closed = rewrite(body, [&](const Expr& n) -> Expr {
        if (n->op != Op::reduce && n->op != Op::scan && n->op != Op::scatter) return {};
        std::vector<Dim> bound, others;
        for (const Dim& d : n->reduction().dims) {
            others.push_back(d);
            if (!contains_dim(mentioned, d)) continue;
            bound.push_back(d);
            if (!stand_ins.count(d.id())) {
                std::string name = d.name() + "_1";
                for (int i = 2; !taken.insert(name).second; ++i) name = fmt::format("{}_{}", d.name(), i);
                stand_ins.emplace(d.id(), Dim(name, d.extent(), d.state().where));
            }
            others.back() = stand_ins.at(d.id());
        }
        if (bound.empty()) return {};
        if (n->op != Op::reduce)
            throw Limit(L0901_not_on_target, n->where,
                        fmt::format("dim {} of a {} inside a recurrence is also an index of what reads it", bound[0].name(),
                                    op_row(n->op).name),
                        {fix("use a second Dim of the same extent"), fix("evaluate with the interpreter target")});
        ExprNode node = *n;
        auto r = std::make_shared<Reduction>(n->reduction());
        r->dims = others;
        node.attribute = std::shared_ptr<const Reduction>(r);
        for (Expr& a : node.args) a = substitute_dims(a, n->reduction().dims, dim_exprs(others));
        return make_node(std::move(node));
    });
    return substitute_dims(closed, dims, indices);
}

Update stepped_update(const Stage& stage, const SteppedRecurrence& recurrence) { return SteppedUpdate(stage, recurrence).run(); }

}  // namespace tessera
