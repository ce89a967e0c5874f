#include "schedule/stage_region.h"

#include "expr/index_analysis.h"
#include "expr/index_build.h"
#include "expr/index_text.h"

#include <fmt/format.h>

#include <numeric>
#include <set>

namespace tessera {
namespace {

Expr sum_of(const Expr& a, const Expr& b) { return simplified_op(Op::add, a, b); }

// Visits accesses, each with the reader of the domain at which it is evaluated.
template <class Visit>
void walk_reads(const std::vector<Expr>& exprs, const Domain& domain, Visit&& visit) {
    std::map<const Domain*, RegionReader> readers;
    AccessWalk(domain).run(exprs, [&](const Expr& access, const Domain& d) {
        visit(access, readers.try_emplace(&d, d, InputReads::symbolic).first->second);
    });
}

[[noreturn]] void throw_unbounded(const Stage& user, const Stage& read, const Expr& access, size_t dim) {
    const std::string index = index_text(access->args[dim]);
    throw Error(
        E0402_unbounded, access->where.known() ? access->where : user.where,
        fmt::format("{} reads {} at {} = {}, which has no finite range", user.name, read.name, read.dims[dim].name(), index),
        {token(read.name), expected("an index with a known range"),
         fix("declare the range of the input that the index comes from: .values_in(0, n)"),
         fix(fmt::format("bound the index: clamp({}, 0, {}.extent() - 1)", index, read.dims[dim].name()))});
}

}  // namespace

Expr extent_of(const Interval& interval) {
    IndexAnalysis plain;
    const Polynomial p = plain.normal(interval.high) - plain.normal(interval.low) + Polynomial(1);
    for (const Expr& atom : atoms_of(p)) {
        if (atom->op != Op::min && atom->op != Op::max) continue;
        const auto split = split_linear(p, atom);
        if (!split || !(split->factor == Polynomial(1))) continue;
        std::vector<Expr> ends;
        for (const Expr& a : atom->args) ends.push_back((plain.normal(a) + split->rest).expr());
        return simplify_index(make_op(atom->op, DType::i64, std::move(ends)));
    }
    return p.expr();
}

std::int64_t rounding_tile(const BoundSchedule& bound, size_t stage, size_t dim) {
    const Dim& d = bound.graph.stages[stage].dims[dim];
    std::int64_t tile = 1;
    for (const auto* nest : {&bound.stages[stage].pure, &bound.stages[stage].update})
        for (const BoundLoop& loop : *nest) {
            if (loop.dim.id() != d.id() || loop.reduction) continue;
            if (loop.tile > 1 && !loop.parts && (loop.tail == Tail::round_up || loop.tail == Tail::pad))
                tile = std::lcm(tile, loop.tile);
            break;
        }
    return tile;
}

std::vector<Interval> rounded_region(const BoundSchedule& bound, size_t stage, std::vector<Interval> region, bool exact) {
    for (size_t d = 0; d < region.size(); ++d) {
        const std::int64_t tile = rounding_tile(bound, stage, d);
        if (tile == 1) continue;
        const Expr extent = extent_of(region[d]);
        if (exact && is_multiple(IndexAnalysis().normal(extent), tile)) continue;
        const Expr blocks = make_op(Op::div, DType::i64, {sum_of(extent, number(tile - 1)), number(tile)});
        const Expr rounded = make_op(Op::mul, DType::i64, {blocks, number(tile)});
        region[d].high = exact ? sum_of(sum_of(region[d].low, rounded), number(-1)) : sum_of(region[d].high, number(tile - 1));
    }
    return region;
}

Expr end_of_range(const Expr& begin, const Expr& extent) { return extent_of({number(1), sum_of(begin, extent)}); }
Expr extent_of_range(const Expr& begin, const Expr& end) { return extent_of({begin, sum_of(end, number(-1))}); }

RegionsInside::RegionsInside(const BoundSchedule& bound, std::optional<LoopPosition> level, std::map<size_t, Domain> tiles,
                             const std::map<size_t, std::vector<Interval>>* around, RegionsInside* whole,
                             ReadConditions conditions)
    : bound_(bound), level_(level), tiles_(std::move(tiles)), around_(around), whole_(whole), conditions_(conditions) {}

Domain RegionsInside::no_points() const {
    Domain out;
    out.narrows = conditions_ == ReadConditions::kept;
    return out;
}

const std::vector<Interval>& RegionsInside::required(size_t stage) {
    if (const auto found = required_.find(stage); found != required_.end()) return found->second;
    const Stage& s = bound_.graph.stages[stage];
    std::vector<Interval> region;
    if (s.output && !level_)
        for (const Dim& d : s.dims) region.push_back(whole_dim(d));
    for (const size_t user : bound_.stages[stage].users) add_use(region, stage, user);
    if (s.kind == Stage::Kind::routine) region.clear();
    if (region.empty())
        for (const Dim& d : s.dims) region.push_back(whole_dim(d));
    close_over_update(region, stage);
    keep_within(region, stage);
    return required_[stage] = std::move(region);
}

const std::vector<Interval>& RegionsInside::computed(size_t stage) {
    if (const auto found = computed_.find(stage); found != computed_.end()) return found->second;
    return computed_[stage] = rounded_region(bound_, stage, required(stage), bound_.stages[stage].compute_at == level_);
}

RegionsInside::UserReads& RegionsInside::reads_of(size_t user) {
    const auto [at, fresh] = reads_.try_emplace(user);
    UserReads& known = at->second;
    if (!fresh) return known;
    const Stage& u = bound_.graph.stages[user];
    const auto tile = tiles_.find(user);
    const bool owner = tile != tiles_.end();
    Domain cells = no_points();
    if (!owner) {
        const std::vector<Interval>& computed_user = computed(user);
        for (size_t d = 0; d < u.dims.size(); ++d) cells.set(u.dims[d], computed_user[d]);
        if (u.kind == Stage::Kind::routine)
            for (const Expr& value : u.values)
                for (const Dim& d : free_dims(value)) cells.set(d, whole_dim(d));
    }
    // Inside a loop of an update the cells have their start values already.
    if (!owner || !u.update) note_reads(known, u.values, owner ? tile->second : cells);
    if (!u.update) return known;
    Domain points = owner ? tile->second : cells;
    if (!owner)
        for (const Dim& d : u.update->reduction_dims) points.set(d, whole_dim(d));
    std::vector<Expr> always = u.update->place;
    if (u.update->condition.defined()) always.push_back(u.update->condition);
    note_reads(known, always, points);
    note_reads(known, u.update->values, u.update->condition.defined() ? points.narrowed(u.update->condition) : points);
    return known;
}

void RegionsInside::note_reads(UserReads& known, const std::vector<Expr>& exprs, const Domain& domain) {
    std::map<const Domain*, size_t> readers;  // of the domains of the walk
    AccessWalk walk(domain);
    walk.run(exprs, [&](const Expr& access, const Domain& d) {
        if (!access->target().func) return;
        const auto [at, fresh] = readers.try_emplace(&d, known.readers.size());
        if (fresh) known.readers.emplace_back(d, InputReads::symbolic);
        known.reads.emplace_back(access, at->second);
    });
}

void RegionsInside::add_use(std::vector<Interval>& region, size_t stage, size_t user) {
    const Stage& s = bound_.graph.stages[stage];
    UserReads& known = reads_of(user);
    std::vector<std::set<std::pair<const ExprNode*, const ExprNode*>>> added(s.dims.size());
    for (const auto& [access, reader] : known.reads) {
        if (access->target().func != s.func) continue;
        const std::vector<bool>* inside = nullptr;
        if (whole_ && access->target().boundary != Boundary::none) {
            const InsideReads& proved = whole_->inside_reads(user);
            if (const auto found = proved.find(access.get()); found != proved.end()) inside = &found->second;
        }
        const std::vector<Interval> read = known.readers[reader].read_region(access, inside);
        for (size_t i = 0; i < read.size(); ++i)
            if (!read[i].bounded()) throw_unbounded(bound_.graph.stages[user], s, access, i);
        const bool first = region.empty();
        for (size_t i = 0; i < read.size(); ++i) {
            const bool fresh = added[i].insert({read[i].low.get(), read[i].high.get()}).second;
            if (first)
                region.push_back(read[i]);
            else if (fresh)
                region[i] = hull(region[i], read[i]);
        }
    }
}

// Of one iteration less may be proved than of all together, as that an index needs no wrapping; and where a condition lets
// nothing through, wrapping would make cells of none.
const RegionsInside::InsideReads& RegionsInside::inside_reads(size_t user) {
    if (const auto found = inside_reads_.find(user); found != inside_reads_.end()) return found->second;
    const Stage& u = bound_.graph.stages[user];
    const std::vector<Interval>& cells = computed(user);
    Domain points = no_points();
    for (size_t d = 0; d < u.dims.size(); ++d) points.set(u.dims[d], cells[d]);
    InsideReads& known = inside_reads_[user];
    const auto note = [&](const Expr& access, RegionReader& reader) {
        if (!access->target().func || access->target().boundary == Boundary::none) return;
        const std::vector<bool> inside = reader.indices_inside(access);
        const auto [at, first] = known.emplace(access.get(), inside);
        for (size_t i = 0; i < inside.size() && !first; ++i) at->second[i] = at->second[i] && inside[i];
    };
    walk_reads(u.values, points, note);
    if (!u.update) return known;
    for (const Dim& d : u.update->reduction_dims) points.set(d, whole_dim(d));
    std::vector<Expr> always = u.update->place;
    if (u.update->condition.defined()) always.push_back(u.update->condition);
    walk_reads(always, points, note);
    walk_reads(u.update->values, u.update->condition.defined() ? points.narrowed(u.update->condition) : points, note);
    return known;
}

// A read of the stage by itself. What stays inside a dim that the region holds whole adds nothing.
void RegionsInside::add_own_read(std::vector<Interval>& region, const Stage& s, const std::vector<Interval>& read,
                                 const Expr& access) {
    const std::vector<Dim> carried = carried_dims(s);
    for (size_t i = 0; i < read.size(); ++i) {
        if (!read[i].bounded()) throw_unbounded(s, s, access, i);
        const Facts positive{.extents_positive = true};
        const bool inside = contains_dim(carried, s.dims[i]) && proves_nonnegative(read[i].low, positive) &&
                            proves_nonnegative(simplified_op(Op::sub, whole_dim(s.dims[i]).high, read[i].high), positive);
        if (!inside) region[i] = hull(region[i], read[i]);
    }
}

// Ends that are known to be tighter further out hold here too: what is proved for all iterations of a loop together, as that an
// index needs no wrapping, may not be proved for one.
void RegionsInside::keep_within(std::vector<Interval>& region, size_t stage) const {
    const std::vector<Interval>* around = nullptr;
    if (around_ != nullptr)
        if (const auto found = around_->find(stage); found != around_->end()) around = &found->second;
    if (around == nullptr && whole_ != nullptr) around = &whole_->required(stage);
    if (around == nullptr) return;
    const auto below = [](const Expr& a, const Expr& b) {
        return !a.same_as(b) && proves_nonnegative(simplified_op(Op::sub, b, a));
    };
    for (size_t d = 0; d < region.size(); ++d) {
        const Interval& outer = (*around)[d];
        if (below(region[d].low, outer.low)) region[d].low = outer.low;
        if (below(outer.high, region[d].high)) region[d].high = outer.high;
    }
}

// A scatter may reach every cell of its destination dims; a scan or recurrence runs through all times and reads earlier ones.
void RegionsInside::close_over_update(std::vector<Interval>& region, size_t stage) {
    const Stage& s = bound_.graph.stages[stage];
    if (!s.update) return;
    const std::vector<Dim> pure = update_pure_dims(s);
    bool all_pure = true;
    for (size_t d = 0; d < s.dims.size(); ++d) {
        if (contains_dim(pure, s.dims[d])) continue;
        region[d] = hull(region[d], whole_dim(s.dims[d]));
        all_pure = false;
    }
    if (all_pure || !s.update->sequential) return;
    // Step by step, reads of neighbours spread over the whole of a dim.
    for (const Dim& carried : carried_dims(s))
        for (size_t d = 0; d < s.dims.size(); ++d)
            if (s.dims[d].id() == carried.id()) region[d] = hull(region[d], whole_dim(carried));
    for (int round = 0; round < 4; ++round) {
        const std::vector<Interval> before = region;
        Domain points = no_points();
        for (size_t d = 0; d < s.dims.size(); ++d) points.set(s.dims[d], region[d]);
        for (const Dim& d : s.update->reduction_dims) points.set(d, whole_dim(d));
        if (s.update->condition.defined()) points = points.narrowed(s.update->condition);
        walk_reads(s.update->values, points, [&](const Expr& access, RegionReader& reader) {
            if (access->target().func == s.func) add_own_read(region, s, reader.read_region(access), access);
        });
        bool same = true;
        for (size_t d = 0; d < region.size(); ++d)
            same = same && region[d].low.same_as(before[d].low) && region[d].high.same_as(before[d].high);
        if (same) return;
    }
    throw Error(E0402_unbounded, s.where, fmt::format("the region of {} grows with every step", s.name),
                {token(s.name), fix("guard the read at the edge: select(index >= 0, read, 0)")});
}

std::vector<Expr> conjuncts(const Expr& condition) {
    if (!condition.defined()) return {};
    if (condition->op != Op::and_) return {condition};
    std::vector<Expr> all = conjuncts(condition->args[0]);
    for (const Expr& c : conjuncts(condition->args[1])) all.push_back(c);
    return all;
}

}  // namespace tessera
