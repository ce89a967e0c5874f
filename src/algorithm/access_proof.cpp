#include "algorithm/called_routine.h"
#include "algorithm/graph.h"
#include "algorithm/required_region.h"
#include "expr/bounds.h"
#include "expr/index_build.h"
#include "expr/index_text.h"

#include <fmt/format.h>

#include <map>

namespace tessera {
namespace {

std::string end_text(const Expr& e) { return e.defined() ? index_text(e) : "unbounded"; }
std::string range_text(const Interval& i) { return fmt::format("[{}, {}]", end_text(i.low), end_text(i.high)); }

// Regions flow from the outputs, whose regions are their extents, through consumers to producers; every unwrapped read of an
// Input on the way has to stay inside.
class AccessProof {
public:
    /// `simple`: regions with large ends are taken as simpler ones that hold them.
    AccessProof(const AlgorithmState& a, bool simple) : a_(a), simple_(simple) {
        facts_.extents_positive = true;
        for (const auto& [x, y] : a.require) facts_.equalities.emplace_back(index_expr(x), index_expr(y));
        for (const Func& f : a.funcs) cyclic_ = cyclic_ || f.state()->recurrence;
    }

    RequiredRegions prove() {
        for (const Func& f : a_.outputs)
            for (const Dim& d : f.dims()) regions_[f.state().get()].push_back(whole_dim(d));
        for (const Func& f : a_.outputs) regions_[f.state().get()];
        // States of recurrences and what stands between them need more than one round. Dims still growing after some grow for
        // ever.
        for (int round = 0; round < (cyclic_ ? 6 : 1); ++round) {
            grown_ = false;
            last_round_ = round == 5;
            for (size_t i = a_.funcs.size(); i-- > 0;)
                if (regions_.count(a_.funcs[i].state().get())) visit_func(*a_.funcs[i].state());
            if (!grown_) break;
        }
        return std::move(regions_);
    }

private:
    void visit_func(const FuncState& f) {
        if (f.routine) need_whole(f);
        const std::vector<Interval> region = regions_[&f];
        Domain domain;
        for (size_t i = 0; i < f.dims.size(); ++i) domain.set(f.dims[i], region[i]);
        if (f.recurrence) return visit_state(f, domain, region);
        AccessWalk(domain).run(f.values, [&](const Expr& access, const Domain& d) { visit_access(access, d); });
    }

    // A routine computes all of its Func from all of its operands.
    void need_whole(const FuncState& f) {
        const auto whole = [](const std::vector<Dim>& dims) {
            std::vector<Interval> region;
            for (const Dim& d : dims) region.push_back(whole_dim(d));
            return region;
        };
        regions_[&f] = whole(f.dims);
        for (const Wrt& x : f.routine->operands) {
            if (!x.func()) continue;
            const std::vector<Interval> all = whole(x.func()->dims);
            const auto [known, fresh] = regions_.emplace(x.func().get(), all);
            for (size_t i = 0; i < all.size(); ++i) known->second[i] = fresh ? all[i] : hull(known->second[i], all[i]);
        }
    }

    // The step runs for every time from 0 on (reverse: from the last down), the init before that.
    void visit_state(const FuncState& f, const Domain& domain, const std::vector<Interval>& region) {
        const Dim& t = f.recurrence->t;
        const Expr now = make_dim(t);
        const Interval times = whole_dim(t);
        Domain timeless = domain;
        timeless.ranges.erase(now);
        timeless.nonnegative = {now, simplified_op(Op::sub, times.high, now)};
        AccessWalk(timeless).run(f.values, [&](const Expr& access, const Domain& d) { check_past(f, access, d); });
        Domain steps = domain;
        steps.set(t, times);
        AccessWalk(steps).run(f.values, [&](const Expr& access, const Domain& d) { visit_access(access, d); });
        for (size_t i = 0; i < f.dims.size(); ++i) {
            if (f.dims[i].id() != t.id()) continue;
            Domain before = domain;
            if (f.recurrence->reverse)
                before.set(t, {index_expr(t.extent()), region[i].high});
            else
                before.set(t, {region[i].low, make_constant(DType::i64, std::int64_t{-1})});
            AccessWalk(before).run({f.init}, [&](const Expr& access, const Domain& d) { visit_access(access, d); });
        }
    }

    // A state of the same recurrence is read at a time before t.
    void check_past(const FuncState& f, const Expr& access, const Domain& domain) {
        const FuncState* read = access->target().func.get();
        if (!read || read->recurrence != f.recurrence) return;
        const Dim& t = f.recurrence->t;
        const bool reverse = f.recurrence->reverse;
        for (size_t i = 0; i < read->dims.size(); ++i) {
            if (read->dims[i].id() != t.id()) continue;
            const Expr at = access->args[i], now = make_dim(t);
            const Expr distance = simplified_op(Op::sub, reverse ? at : now, reverse ? now : at);
            const Interval range = bounds(simplified_op(Op::sub, distance, make_constant(DType::i64, std::int64_t{1})), domain);
            Facts facts = facts_;
            facts.nonnegative = domain.nonnegative;
            if (range.low.defined() && proves_nonnegative(range.low, facts)) continue;
            throw Error(E0311_recurrence, access->where,
                        fmt::format("state {} is read at {} = {}, which is not provably {} {}", read->name, t.name(),
                                    index_text(at), reverse ? "after" : "before", t.name()),
                        {token(read->name), expected(fmt::format("a time {} {}", reverse ? "after" : "before", t.name())),
                         received(index_text(at)), note(f.where, fmt::format("the recurrence over {} is here", t.name())),
                         fix(fmt::format("read {}({} {} 1, ...)", read->name, t.name(), reverse ? "+" : "-")),
                         fix(fmt::format("bound a computed time: {}(..., {} {} 1)", reverse ? "max" : "min", t.name(),
                                         reverse ? "+" : "-"))});
        }
    }

    // Dims that the transforms count by have no extent of their own.
    Interval kept(const Interval& region, const Dim& d) const {
        return simple_ && contains_dim(a_.dims, d) ? simpler_region(region, d) : region;
    }

    void visit_access(const Expr& access, const Domain& domain) {
        const AccessTarget& target = access->target();
        if (target.input) {
            if (target.boundary == Boundary::none)
                prove_inside(access, domain, target.input->name, target.input->dims, target.input->where);
            return;
        }
        if (target.func->routine && target.boundary == Boundary::none)
            prove_inside(access, domain, target.func->name, target.func->dims, target.func->where);
        std::vector<Interval> read = read_region(access, domain);
        for (size_t i = 0; i < read.size(); ++i) {
            if (!read[i].bounded()) throw_unbounded(access, target.func->name, target.func->dims[i].name(), i, read[i]);
            read[i] = kept(read[i], target.func->dims[i]);
        }
        const auto [known, fresh] = regions_.emplace(target.func.get(), read);
        grown_ = grown_ || fresh;
        if (fresh) return;
        for (size_t i = 0; i < read.size(); ++i) {
            Interval& region = known->second[i];
            const Interval joined = kept(hull(region, read[i]), target.func->dims[i]);
            if (joined.low.same_as(region.low) && joined.high.same_as(region.high)) continue;
            if (last_round_) throw_growing(access, i);
            region = joined;
            grown_ = true;
        }
    }

    void prove_inside(const Expr& access, const Domain& domain, const std::string& name, const std::vector<Dim>& dims,
                      SourceLoc declared) {
        for (size_t i = 0; i < dims.size(); ++i) {
            const Interval range = bounds(access->args[i], domain);
            if (range.bounded() && proves_nonnegative(range.low, facts_) &&
                proves_nonnegative(simplified_op(Op::sub, whole_dim(dims[i]).high, range.high), facts_))
                continue;
            if (range.bounded() && !reads_unbounded_scalar(range)) throw_outside(access, name, dims[i], declared, i, range);
            throw_unbounded(access, name, dims[i].name(), i, range);
        }
    }

    static bool reads_unbounded_scalar(const Interval& range) {
        bool found = false;
        for_each_node({range.low, range.high}, [&](const Expr& n) {
            found = found || (n->op == Op::access && n->target().input && !n->target().input->values);
        });
        return found;
    }

    [[noreturn]] static void throw_outside(const Expr& access, const std::string& name, const Dim& d, SourceLoc declared,
                                           size_t i, const Interval& range) {
        const std::string extent = index_text(simplify_index(index_expr(d.extent())));
        throw Error(
            E0401_out_of_bounds, access->where,
            fmt::format("{} is read at {} = {}, which ranges over {}, but {} has extent {}", name, d.name(),
                        index_text(access->args[i]), range_text(range), d.name(), extent),
            {token(name), expected(fmt::format("an index in [0, {} - 1]", extent)), received(range_text(range)),
             note(declared, fmt::format("{} declared here", name)),
             fix(fmt::format("give reads outside a meaning: clamp({0})(...), mirror({0})(...) or constant({0}, 0)(...)", name)),
             fix(fmt::format("compute fewer points: declare a derived Dim, for example Dim o(\"o\", {}.extent() - 2)", d.name())),
             fix("guard the read: select(index >= 0 && index < extent, read, 0)")});
    }

    [[noreturn]] static void throw_unbounded(const Expr& access, const std::string& name, const std::string& dim, size_t i,
                                             const Interval& range) {
        const std::string index = index_text(access->args[i]);
        throw Error(E0402_unbounded, access->where,
                    fmt::format("{} is read at {} = {}, which has no finite range", name, dim, index),
                    {token(name), expected("an index with a known range"), received(range_text(range)),
                     fix("declare the range of the input that the index comes from: .values_in(0, n)"),
                     fix(fmt::format("bound the index: clamp({}, 0, {}.extent() - 1)", index, dim))});
    }

    [[noreturn]] static void throw_growing(const Expr& access, size_t i) {
        const FuncState& f = *access->target().func;
        throw Error(
            E0402_unbounded, access->where,
            fmt::format("the region of {} along {} grows with every step of the recurrence that reads it at {}", f.name,
                        f.dims[i].name(), index_text(access->args[i])),
            {token(f.name), expected("reads that stay inside a fixed region"), received(index_text(access->args[i])),
             fix("guard the read at the edge: select(index >= 0, read, 0)"),
             fix(fmt::format("bound the index: clamp({}, 0, {}.extent() - 1)", index_text(access->args[i]), f.dims[i].name()))});
    }

    const AlgorithmState& a_;
    bool simple_;
    Facts facts_;
    RequiredRegions regions_;  // of what was reached so far
    bool cyclic_ = false, grown_ = false, last_round_ = false;
};

}  // namespace

void prove_accesses(const AlgorithmState& algorithm) { static_cast<void>(required_regions(algorithm)); }
// What large ends say is decided where they arise: a few boundary conditions further on nothing is proved of them any more. Where
// the simpler region is too much, the exact one decides.
RequiredRegions required_regions(const AlgorithmState& algorithm) {
    try {
        return AccessProof(algorithm, true).prove();
    } catch (const Error&) {
        return AccessProof(algorithm, false).prove();
    }
}

}  // namespace tessera
