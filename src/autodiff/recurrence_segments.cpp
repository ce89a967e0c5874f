#include "autodiff/recurrence_segments.h"

#include "autodiff/activity.h"
#include "autodiff/guarded.h"
#include "base/check.h"
#include "expr/index_build.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace tessera {
namespace {}  // namespace

RecurrenceSegments::RecurrenceSegments(const Recurrence& recurrence, const std::vector<Func>& funcs, std::int64_t steps,
                                       std::optional<DType> as, NameSupply& names)
    : recurrence_(recurrence), steps_(steps), extent_(index_expr(recurrence.t.extent())), segment_("segment"), step_("step"),
      ends_("ends"), back_("back") {
    find_inside(funcs);
    for (const auto& s : recurrence.states) lag_ = std::max(lag_, lag_of(*s.lock()));
    steps_ = std::max(steps_, lag_);
    const Expr k = number(steps_);
    segment_ = names.dim("segment", extent_of(simplified_op(Op::div, simplified_op(Op::add, extent_, number(steps_ - 1)), k)));
    step_ = names.dim("step", steps_);
    ends_ = names.dim("ends", extent_of(greater(simplified_op(Op::div, extent_, k), number(1))));
    back_ = names.dim("back", lag_);
    auto again = std::make_shared<Recurrence>(Recurrence{step_, false, {}, {}});
    for (const FuncState* f : inside_) {
        Func copy(names.func(f->name + "/again"), f->where);
        copies_.emplace(f, Copy{copy, time_position(*f)});
        std::vector<Expr> zero;
        for (const DType t : f->dtypes) zero.push_back(make_constant(t, std::int64_t{0}));
        define_func(*copy.state(), segment_dims(*f), zero, f->where);
        again_.push_back(copy);
    }
    for (const auto& s : recurrence.states) keep(s.lock(), as, names);
    const Expr time = inside(time_at(make_dim(segment_), make_dim(step_)));
    for (size_t i = 0; i < inside_.size(); ++i) {
        FuncState& copy = *again_[i].state();
        for (size_t c = 0; c < copy.values.size(); ++c) copy.values[c] = moved(*inside_[i], inside_[i]->values[c], time);
        if (i >= recurrence.states.size()) continue;
        copy.recurrence = again;
        again->states.push_back(again_[i].state());
        again->kept.push_back(again_[i].state());
    }
}

void RecurrenceSegments::find_inside(const std::vector<Func>& funcs) {
    const auto reads = [](const FuncState& f, bool with_init) {
        std::vector<const FuncState*> read;
        for_each_node(with_init ? definition_roots(f) : f.values, [&](const Expr& n) {
            if (n->op == Op::access && n->target().func) read.push_back(n->target().func.get());
        });
        return read;
    };
    std::unordered_set<const FuncState*> reaching, below;
    for (const auto& s : recurrence_.states) {
        inside_.push_back(s.lock().get());
        reaching.insert(inside_.back());
    }
    const size_t states = inside_.size();
    for (size_t before = 0; before != reaching.size();) {
        before = reaching.size();
        for (const Func& f : funcs)
            for (const FuncState* r : reads(*f.state(), true))
                if (reaching.count(r)) reaching.insert(f.state().get());
    }
    std::vector<const FuncState*> stack(inside_.begin(), inside_.end());
    while (!stack.empty()) {
        const FuncState* f = stack.back();
        stack.pop_back();
        for (const FuncState* r : reads(*f, false))
            if (reaching.count(r) && below.insert(r).second) stack.push_back(r);
    }
    for (const Func& f : funcs) {
        const FuncState* state = f.state().get();
        if (below.count(state) && std::find(inside_.begin(), inside_.begin() + static_cast<std::ptrdiff_t>(states), state) ==
                                      inside_.begin() + static_cast<std::ptrdiff_t>(states))
            inside_.push_back(state);
    }
}

size_t RecurrenceSegments::time_position(const FuncState& f) const {
    for (size_t i = 0; i < f.dims.size(); ++i)
        if (f.dims[i].id() == recurrence_.t.id()) return i;
    throw Limit(
        L0904_derivative, f.where,
        fmt::format("{} stands between the states of a recurrence and does not have its dim {}: its steps cannot be computed "
                    "once more by segments",
                    f.name, recurrence_.t.name()),
        {token(f.name), fix(fmt::format("give {} the dim {}", f.name, recurrence_.t.name())),
         fix("keep all states: SavePolicy{.kind = SavePolicy::Kind::save}")});
}

// How many steps before `reader` the access reads.
std::int64_t RecurrenceSegments::steps_back(const FuncState& reader, const Expr& access) const {
    const size_t at = time_position(*access->target().func);
    const auto distance = integer_constant(simplified_op(Op::sub, access->args[at], make_dim(recurrence_.t)));
    if (distance && access->target().boundary == Boundary::none) return recurrence_.reverse ? *distance : -*distance;
    throw Limit(
        L0904_derivative, access->where,
        fmt::format("{} reads {} at another time than a fixed number of steps before: its steps cannot be computed once more "
                    "by segments",
                    reader.name, access->target().func->name),
        {token(access->target().func->name), expected(fmt::format("{} - constant", recurrence_.t.name())),
         fix("keep all states: SavePolicy{.kind = SavePolicy::Kind::save}")});
}

std::int64_t RecurrenceSegments::lag_of(const FuncState& f) const {
    std::int64_t most = 0;
    const auto is_state = [&](const FuncState* g) {
        return std::any_of(recurrence_.states.begin(), recurrence_.states.end(),
                           [&](const auto& s) { return s.lock().get() == g; });
    };
    for_each_node(f.values, [&](const Expr& n) {
        if (n->op != Op::access || !n->target().func) return;
        const FuncState* read = n->target().func.get();
        if (std::find(inside_.begin(), inside_.end(), read) == inside_.end()) return;
        const std::int64_t back = steps_back(f, n);
        most = std::max(most, back + (is_state(read) ? 0 : lag_of(*read)));
    });
    return most;
}

std::vector<Dim> RecurrenceSegments::segment_dims(const FuncState& f) const {
    std::vector<Dim> dims;
    for (const Dim& d : f.dims) {
        if (d.id() == recurrence_.t.id()) dims.push_back(segment_);
        dims.push_back(d.id() == recurrence_.t.id() ? step_ : d);
    }
    return dims;
}

Expr RecurrenceSegments::time_at(const Expr& segment, const Expr& step) const {
    const Expr since_start = simplified_op(Op::add, simplified_op(Op::mul, segment, number(steps_)), step);
    if (!recurrence_.reverse) return since_start;
    return simplified_op(Op::sub, simplified_op(Op::sub, extent_, number(1)), since_start);
}

// The last segment ends behind the last step: what is computed there is read by nothing, and must read what exists.
Expr RecurrenceSegments::inside(const Expr& time) const {
    if (recurrence_.reverse) return make_op(Op::max, DType::i64, {time, number(0)});
    return make_op(Op::min, DType::i64, {time, simplified_op(Op::sub, extent_, number(1))});
}

// An expression of the step with t as `time`, and states and what stands between them as their copies.
Expr RecurrenceSegments::moved(const FuncState& f, const Expr& e, const Expr& time) const {
    std::unordered_map<const ExprNode*, Expr> done;
    for_each_node({e}, [&](const Expr& n) {
        if (n->op == Op::dim && n->dim().id() == recurrence_.t.id()) {
            done[n.get()] = time;
            return;
        }
        std::vector<Expr> args;
        for (const Expr& a : n->args) args.push_back(done.at(a.get()));
        const auto copy = n->op == Op::access && n->target().func ? copies_.find(n->target().func.get()) : copies_.end();
        if (copy == copies_.end()) {
            done[n.get()] = args.empty() ? n : with_args(n, std::move(args));
            return;
        }
        const auto at = args.begin() + static_cast<std::ptrdiff_t>(copy->second.time);
        *at = simplified_op(Op::sub, make_dim(step_), number(steps_back(f, n)));
        args.insert(args.begin() + static_cast<std::ptrdiff_t>(copy->second.time), make_dim(segment_));
        done[n.get()] =
            make_access({nullptr, copy->second.func.state(), Boundary::none}, args, n.dtype(), n->component(), n->where);
    });
    return done.at(e.get());
}

void RecurrenceSegments::keep(const std::shared_ptr<FuncState>& given, std::optional<DType> as, NameSupply& names) {
    const FuncState& f = *given;
    const Copy& copy = copies_.at(&f);
    const Func state(given);
    const bool several = lag_ > 1;
    std::vector<Dim> dims;
    std::vector<Expr> from, to;
    if (several) dims.push_back(back_);
    const Expr at_end = simplified_op(Op::add, number(steps_ - lag_), several ? make_dim(back_) : number(0));
    if (several) to.push_back(simplified_op(Op::add, make_dim(step_), number(lag_)));
    for (const Dim& d : f.dims) {
        const bool is_time = d.id() == recurrence_.t.id();
        dims.push_back(is_time ? ends_ : d);
        from.push_back(is_time ? inside(time_at(make_dim(ends_), at_end)) : make_dim(d));
        to.push_back(is_time ? simplified_op(Op::sub, make_dim(segment_), number(1)) : make_dim(d));
    }
    const DType own = f.dtypes[0];
    const DType dtype = as && is_float(own) && dtype_bits(*as) < dtype_bits(own) ? *as : own;
    const std::string name = names.func(f.name + "/kept");
    kept_.push_back(made_func(name, dims, {converted(dtype, read_at(state, from, f.where))}, f.where));
    saved_.emplace_back(name, dtype, dims, f.where);
    const Expr before = converted(own, make_access({saved_.back().state(), nullptr, Boundary::clamp}, to, dtype, 0, f.where));
    const Expr started = with_dims(f.init, {{recurrence_.t.id(), time_at(make_dim(segment_), make_dim(step_))}});
    const Expr is_first = make_op(Op::eq, DType::bool_, {make_dim(segment_), number(0)});
    copy.func.state()->init = chosen(is_first, started, before);
}

Expr RecurrenceSegments::read(const Expr& access) const {
    const Copy& copy = copies_.at(access->target().func.get());
    std::vector<Expr> args = access->args;
    // Reads are guarded to times inside; where that is not seen the time is clamped, which changes no value.
    const Expr after_last = simplified_op(Op::sub, extent_, number(1));
    const Expr given = recurrence_.reverse ? simplified_op(Op::sub, after_last, args[copy.time]) : args[copy.time];
    const Expr since_start =
        simplify_index(make_op(Op::max, DType::i64, {make_op(Op::min, DType::i64, {given, after_last}), number(0)}));
    args[copy.time] = simplified_op(Op::mod, since_start, number(steps_));
    args.insert(args.begin() + static_cast<std::ptrdiff_t>(copy.time), simplified_op(Op::div, since_start, number(steps_)));
    return make_access({nullptr, copy.func.state(), access->target().boundary}, args, access.dtype(), access->component(),
                       access->where);
}

}  // namespace tessera
