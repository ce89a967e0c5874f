#include "autodiff/residuals.h"

#include "autodiff/graph_rewrite.h"
#include "autodiff/guarded.h"
#include "base/closest_name.h"
#include "expr/op_cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tessera {
namespace {

bool is_within(const Interval& range, const Dim& d, bool below_too, bool above_too) {
    if (!range.bounded()) return false;
    const Expr over = simplify_index(make_op(Op::sub, DType::i64, {whole_dim(d).high, range.high}));
    return (below_too || proves_nonnegative(range.low)) && (above_too || proves_nonnegative(over, {.extents_positive = true}));
}

double bytes_of(const std::vector<Input>& inputs, ExtentValues& extents) {
    double bytes = 0;
    for (const Input& x : inputs) bytes += extents.count(x.dims()) * static_cast<double>(dtype_bytes(x.dtype()));
    return bytes;
}

}  // namespace

double work_of(const FuncState& f, ExtentValues& extents) {
    double per_cell = 0;
    for_each_node(f.values, [&](const Expr& n) {
        double points = 1;
        if (n->op == Op::reduce || n->op == Op::scatter) points = extents.count(n->reduction().dims);
        per_cell += is_structured(n->op) ? 2 * points : op_cost(*n);
    });
    return per_cell * extents.count(f.dims);
}

Residuals::Residuals(const Algorithm& forward, const std::vector<Func>& backward, const SavePolicy& policy, NameSupply& names)
    : forward_(forward), policy_(policy), names_(names), regions_(required_regions(forward.state())) {
    for (const Func& f : forward.funcs()) primal_.insert(f.state().get());
    for (const Func& f : reachable_funcs(backward))
        if (!primal_.count(f.state().get())) need_reads(*f.state(), false, needed_at_first_);
    for (const Func& y : backward)
        if (primal_.count(y.state().get())) needed_at_first_.insert(y.state().get());
    check_names();
    if (policy.every > 1) keep_every();
    if (policy.bytes) meet_budget();
    const Choice choice = chosen_with(dropped_);
    for (const Func& f : choice.kept) save(f);
    for (const size_t g : choice.segments) {
        used_groups_.insert(g);
        const RecurrenceSegments& s = *groups_[g].segments;
        outputs_.insert(outputs_.end(), s.kept().begin(), s.kept().end());
        inputs_.insert(inputs_.end(), s.saved().begin(), s.saved().end());
    }
}

void Residuals::check_names() const {
    std::vector<std::string> known;
    for (const Func& f : forward_.funcs()) known.push_back(f.name());
    for (const std::string& name : policy_.keep)
        if (std::find(known.begin(), known.end(), name) == known.end())
            throw Error(E0303_undefined, forward_.state().where,
                        fmt::format("{} is to be kept, and no definition of {} is called so", name, forward_.name()),
                        {token("\"" + name + "\""), fix_spelling(name, known)});
    if (policy_.every < 1)
        throw Error(E0105_extent, forward_.state().where, fmt::format("states are to be kept every {} steps", policy_.every),
                    {expected("a number >= 1")});
}

// Reads of other definitions of the forward part.
void Residuals::need_reads(const FuncState& f, bool init_alone, std::unordered_set<const FuncState*>& needed) const {
    const std::vector<Expr> roots = init_alone ? std::vector<Expr>{f.init} : definition_roots(f);
    for_each_node(roots, [&](const Expr& n) {
        if (n->op == Op::access && n->target().func && primal_.count(n->target().func.get()))
            needed.insert(n->target().func.get());
    });
}

// What the backward part needs, with what has to be computed once more for it; goes over the list until nothing is added, since a
// recurrence that is computed once more needs more of what stands before it in the list too.
Residuals::Choice Residuals::chosen_with(const std::unordered_set<const FuncState*>& dropped) const {
    std::unordered_set<const FuncState*> needed = needed_at_first_, kept;
    std::set<size_t> segments;
    for (size_t before = ~size_t{0}; before != needed.size() + kept.size() + segments.size();) {
        before = needed.size() + kept.size() + segments.size();
        for (size_t i = forward_.funcs().size(); i-- > 0;) {
            const Func& f = forward_.funcs()[i];
            const FuncState* state = f.state().get();
            if (!needed.count(state) || kept.count(state)) continue;
            if (const auto group = group_of_.find(state); group != group_of_.end()) {
                segments.insert(group->second);
                for (const auto& [member, of] : group_of_)
                    if (of == group->second) need_reads(*member, false, needed);
            } else if (!dropped.count(state) && is_storable(f) && is_wanted(f)) {
                kept.insert(state);
                if (state->recurrence) need_reads(*state, true, needed);
            } else {
                need_reads(*state, false, needed);
            }
        }
    }
    Choice choice{{}, {segments.begin(), segments.end()}};
    for (size_t i = forward_.funcs().size(); i-- > 0;)
        if (kept.count(forward_.funcs()[i].state().get())) choice.kept.push_back(forward_.funcs()[i]);
    return choice;
}

bool Residuals::is_output(const FuncState& f) const {
    return std::any_of(forward_.outputs().begin(), forward_.outputs().end(),
                       [&](const Func& y) { return y.state().get() == &f; });
}

// A buffer has the cells inside the extents; of states those before the start are computed once more from the init.
bool Residuals::is_storable(const Func& f) const {
    const std::vector<Interval>& region = regions_.at(f.state().get());
    const auto& recurrence = f.state()->recurrence;
    for (size_t i = 0; i < region.size(); ++i) {
        const bool is_time = recurrence && recurrence->t.id() == f.dims()[i].id();
        if (!is_within(region[i], f.dims()[i], is_time && !recurrence->reverse, is_time && recurrence->reverse)) return false;
    }
    return true;
}

bool Residuals::is_wanted(const Func& f) const {
    if (only_) return only_->count(f.state().get()) != 0;
    if (std::find(policy_.keep.begin(), policy_.keep.end(), f.name()) != policy_.keep.end()) return true;
    if (policy_.kind == SavePolicy::Kind::recompute) return false;
    if (policy_.kind == SavePolicy::Kind::save || f.state()->recurrence) return true;
    // Reductions and what costs more than a few loads.
    constexpr double cheap = 12;
    double cost = 0;
    bool structured = false;
    for_each_node(f.state()->values, [&](const Expr& n) {
        cost += op_cost(*n);
        structured = structured || is_structured(n->op);
    });
    return structured || cost > cheap;
}

void Residuals::segment(const Recurrence& recurrence, std::int64_t steps) {
    const auto found = std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return g.recurrence == &recurrence; });
    const size_t at = static_cast<size_t>(found - groups_.begin());
    auto segments = std::make_unique<RecurrenceSegments>(recurrence, forward_.funcs(), steps, policy_.as, names_);
    for (const FuncState* member : segments->members()) group_of_[member] = at;
    if (found == groups_.end())
        groups_.push_back({&recurrence, steps, std::move(segments)});
    else
        *found = {&recurrence, steps, std::move(segments)};
}

// Of recurrences the states at every k-th step, of what else is kept every k-th definition along the way. Outputs cost nothing.
void Residuals::keep_every() {
    const auto is_named = [&](const Func& f) {
        return std::find(policy_.keep.begin(), policy_.keep.end(), f.name()) != policy_.keep.end();
    };
    for (const Func& f : chosen_with({}).kept)
        if (f.state()->recurrence && !group_of_.count(f.state().get()) && !is_named(f))
            segment(*f.state()->recurrence, policy_.every);
    std::vector<Func> along = chosen_with({}).kept;
    std::reverse(along.begin(), along.end());
    only_.emplace();
    std::int64_t at = 0;
    for (const Func& f : along)
        if (is_output(*f.state()) || is_named(f) || ++at % policy_.every == 0) only_->insert(f.state().get());
}

double Residuals::bytes_of(const Choice& choice, ExtentValues& extents) const {
    double bytes = 0;
    for (const Func& f : choice.kept) {
        if (is_output(*f.state())) continue;
        for (int c = 0; c < f.components(); ++c) {
            const DType own = f.dtype(c);
            const bool narrow = policy_.as && is_float(own) && dtype_bits(*policy_.as) < dtype_bits(own);
            bytes += extents.count(f.dims()) * static_cast<double>(dtype_bytes(narrow ? *policy_.as : own));
        }
    }
    for (const size_t g : choice.segments) bytes += tessera::bytes_of(groups_[g].segments->saved(), extents);
    return bytes;
}

// Drops what costs least to compute once more for the memory that it takes, until the budget is met; last, recurrences by longer
// and longer segments.
void Residuals::meet_budget() {
    ExtentValues extents(policy_.extents);
    for (;;) {
        const Choice choice = chosen_with(dropped_);
        const double bytes = bytes_of(choice, extents);
        if (bytes <= static_cast<double>(*policy_.bytes)) return;
        const FuncState* least = nullptr;
        double least_ratio = 0;
        for (const Func& f : choice.kept) {
            if (is_output(*f.state()) || f.state()->recurrence) continue;
            const double ratio = work_of(*f.state(), extents) / std::max(bytes_of({{f}, {}}, extents), 1.0);
            if (!least || ratio < least_ratio) {
                least = f.state().get();
                least_ratio = ratio;
            }
        }
        if (least)
            dropped_.insert(least);
        else if (!coarsen(choice, extents))
            throw Limit(
                L0904_derivative, forward_.state().where,
                fmt::format("{} bytes are to be kept between forward and backward; {} take the least", *policy_.bytes, bytes),
                {expected(fmt::format("at least {} bytes", bytes)), fix("raise the budget"),
                 fix("keep it narrower: SavePolicy{.as = bf16}")});
    }
}

// Longer segments for the recurrence that takes the most memory; false when none can be.
bool Residuals::coarsen(const Choice& choice, ExtentValues& extents) {
    for (const Func& f : choice.kept)
        if (f.state()->recurrence && !is_output(*f.state())) {
            const double steps = static_cast<double>(extents.of(f.state()->recurrence->t));
            segment(*f.state()->recurrence, std::max<std::int64_t>(2, static_cast<std::int64_t>(std::ceil(std::sqrt(steps)))));
            return true;
        }
    std::optional<size_t> largest;
    double most = 0;
    for (const size_t g : choice.segments) {
        if (groups_[g].steps >= extents.of(groups_[g].recurrence->t)) continue;
        const double bytes = tessera::bytes_of(groups_[g].segments->saved(), extents);
        if (bytes > most) largest = g;
        most = std::max(most, bytes);
    }
    if (!largest) return false;
    segment(*groups_[*largest].recurrence, groups_[*largest].steps * 2);
    return true;
}

void Residuals::save(const Func& f) {
    std::vector<Input> inputs;
    const bool output = is_output(*f.state());
    std::vector<Expr> stored;
    bool narrowed = false;
    for (int c = 0; c < f.components(); ++c) {
        const DType own = f.dtype(c);
        const bool narrow = policy_.as && is_float(own) && dtype_bits(*policy_.as) < dtype_bits(own) && !output;
        const std::string name = f.name() + (narrow ? "/saved" : "") + (f.components() > 1 ? "." + std::to_string(c) : "");
        inputs.emplace_back(name, narrow ? *policy_.as : own, f.dims(), f.state()->where);
        stored.push_back(converted(inputs.back().dtype(), read_at(f, dims_as_indices(f.dims()), f.state()->where, c)));
        narrowed = narrowed || narrow;
    }
    if (narrowed)
        outputs_.push_back(made_func(f.name() + "/saved", f.dims(), stored, f.state()->where));
    else if (!output)
        outputs_.push_back(f);
    inputs_.insert(inputs_.end(), inputs.begin(), inputs.end());
    saved_.emplace(f.state().get(), std::move(inputs));
}

// ---- reading

std::vector<Func> Residuals::reading_saved(const std::vector<Func>& funcs) {
    // States first: what starts them reads others, and so do steps that are computed once more.
    std::vector<Func> out = funcs;
    for (size_t pass = 0; pass <= groups_.size(); ++pass)
        out = GraphRewrite([this](const Expr& access) { return replaced(access, true); })(out);
    return GraphRewrite([this](const Expr& access) { return replaced(access, false); })(out);
}

// The values of a state before the start.
Func Residuals::started_by(const FuncState& f) {
    const auto found = starts_.find(&f);
    if (found != starts_.end()) return found->second;
    return starts_.emplace(&f, made_func(f.name + "/init", f.dims, {f.init}, f.where)).first->second;
}

// A read of what is kept as a read of its buffer; of a recurrence's state before the start as its init.
Expr Residuals::replaced(const Expr& access, bool states) {
    const AccessTarget& target = access->target();
    const auto group = group_of_.find(target.func.get());
    const bool by_segments = group != group_of_.end() && used_groups_.count(group->second) != 0;
    const auto found = saved_.find(target.func.get());
    const auto& recurrence = target.func->recurrence;
    if ((found == saved_.end() && !by_segments) || states != (by_segments || recurrence != nullptr)) return {};
    Expr value;
    if (by_segments) {
        value = groups_[group->second].segments->read(access);
    } else {
        const Input& input = found->second.at(static_cast<size_t>(access->component()));
        value = converted(access.dtype(),
                          make_access({input.state(), nullptr, target.boundary}, access->args, input.dtype(), 0, access->where));
    }
    if (!recurrence) return value;
    Expr started;
    for (size_t i = 0; i < target.func->dims.size(); ++i) {
        const Dim& d = target.func->dims[i];
        if (d.id() != recurrence->t.id()) continue;
        started = recurrence->reverse ? make_op(Op::lt, DType::bool_, {access->args[i], index_expr(d.extent())})
                                      : make_op(Op::le, DType::bool_, {zero_of(DType::i64), access->args[i]});
    }
    return chosen(started, value, read_at(started_by(*target.func), access->args, access->where));
}

}  // namespace tessera
