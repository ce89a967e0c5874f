#include "schedule/held_reads.h"

#include "expr/bounds.h"
#include "expr/index_build.h"
#include "schedule/derived_stages.h"
#include "schedule/stage_region.h"

#include <map>
#include <unordered_map>

namespace tessera {
namespace {

// Which ends of an index are not proved inside.
struct OpenEnds {
    bool low = false, high = false;
};
using OpenReads = std::unordered_map<const ExprNode*, std::vector<OpenEnds>>;

// What is known over one domain; accesses share their indices.
struct OpenPlaces {
    explicit OpenPlaces(const Domain& domain) : reader(domain, InputReads::by_range) {}
    RegionReader reader;
    std::map<std::pair<const ExprNode*, const void*>, OpenEnds> ends;  // of an index along a dim
};

Expr wide(const Expr& e) { return e->dtype == DType::i64 ? e : make_op(Op::cast, DType::i64, {e}); }

class ReadHolder {
public:
    explicit ReadHolder(BoundSchedule& bound) : bound_(bound), regions_(bound, {}, {}) {
        facts_.extents_positive = true;
        for (const auto& [a, b] : bound.graph.algorithm.state().require)
            facts_.equalities.emplace_back(index_expr(a), index_expr(b));
    }

    // Consumers first: what they read is held before the regions of producers follow from it.
    void run() {
        for (size_t i = bound_.graph.stages.size(); i-- > 0;) {
            Stage& s = bound_.graph.stages[i];
            if (!reads_edges(s)) continue;
            const OpenReads open = find_open(i);
            if (!open.empty()) edit_exprs(s, [&](const Expr& e) { return held(e, open); });
        }
    }

private:
    // The dims of what must not be read outside its extents.
    const std::vector<Dim>* edges_of(const Stage& s, const Expr& access) const {
        const AccessTarget& target = access->target();
        if (target.boundary != Boundary::none || target.func == s.func) return nullptr;
        if (target.input) return target.input->scalar ? nullptr : &target.input->dims;
        const auto at = bound_.graph.find(target.func.get());
        return at && bound_.graph.stages[*at].output ? &bound_.graph.stages[*at].dims : nullptr;
    }

    bool reads_edges(const Stage& s) const {
        bool found = false;
        for_each_node(exprs_of(s), [&](const Expr& n) { found = found || (n->op == Op::access && edges_of(s, n)); });
        return found;
    }

    // Behind the region of a padded dim nothing is read.
    bool is_padded(size_t i, const Dim& d) const {
        for (const BoundLoop& loop : bound_.stages[i].pure)
            if (loop.dim.id() == d.id()) return loop.tail == Tail::pad && loop.tile > 1;
        return false;
    }

    OpenReads find_open(size_t i) {
        const Stage& s = bound_.graph.stages[i];
        Domain cells;
        for (size_t d = 0; d < s.dims.size(); ++d) {
            const Interval whole = whole_dim(s.dims[d]);
            // Inside a loop less may be known of an index than here, so all of a short dim is computed: x % 32 for x from b on.
            const bool padded = is_padded(i, s.dims[d]), is_short = integer_constant(whole.high) && !padded;
            const Interval region = (padded ? regions_.required(i) : regions_.computed(i))[d];
            cells.set(s.dims[d], is_short ? hull(whole, region) : region);
        }
        OpenReads open;
        const auto walk = [&](const std::vector<Expr>& exprs, const Domain& domain) {
            std::map<const Domain*, OpenPlaces> known;
            AccessWalk(domain).run(exprs, [&](const Expr& access, const Domain& d) {
                note_open(s, access, known.try_emplace(&d, d).first->second, open);
            });
        };
        walk(s.values, cells);
        if (!s.update) return open;
        Domain points = cells;
        for (const Dim& d : s.update->reduction_dims) points.set(d, whole_dim(d));
        std::vector<Expr> always = s.update->place;
        if (s.update->condition.defined()) always.push_back(s.update->condition);
        walk(always, points);
        walk(s.update->values, s.update->condition.defined() ? points.narrowed(s.update->condition) : points);
        return open;
    }

    void note_open(const Stage& s, const Expr& access, OpenPlaces& known, OpenReads& open) const {
        const std::vector<Dim>* dims = edges_of(s, access);
        if (!dims) return;
        for (size_t d = 0; d < dims->size(); ++d) {
            const OpenEnds here = open_ends(access->args[d], (*dims)[d], known);
            if (!here.low && !here.high) continue;
            std::vector<OpenEnds>& ends = open[access.get()];
            ends.resize(dims->size());
            ends[d].low = ends[d].low || here.low;
            ends[d].high = ends[d].high || here.high;
        }
    }
    OpenEnds open_ends(const Expr& index, const Dim& d, OpenPlaces& known) const {
        const auto [at, fresh] = known.ends.try_emplace({index.get(), d.id()});
        if (!fresh) return at->second;
        const Interval range = known.reader.index_range(index);
        at->second.low = !range.low.defined() || !proves_nonnegative(range.low, facts_);
        at->second.high =
            !range.high.defined() || !proves_nonnegative(make_op(Op::sub, DType::i64, {whole_dim(d).high, range.high}), facts_);
        return at->second;
    }

    static Expr held(const Expr& root, const OpenReads& open) {
        std::unordered_map<const ExprNode*, Expr> done;
        for_each_node({root}, [&](const Expr& n) {
            std::vector<Expr> args;
            bool changed = false;
            for (const Expr& a : n->args) {
                args.push_back(done.at(a.get()));
                changed = changed || !args.back().same_as(a);
            }
            if (const auto found = open.find(n.get()); found != open.end()) {
                const std::vector<Dim>& dims = n->target().input ? n->target().input->dims : n->target().func->dims;
                for (size_t d = 0; d < found->second.size(); ++d) {
                    Expr& at = args[d];
                    const OpenEnds& ends = found->second[d];
                    if (ends.high) at = make_op(Op::min, DType::i64, {wide(at), whole_dim(dims[d]).high});
                    if (ends.low) at = make_op(Op::max, DType::i64, {wide(at), number(0)});
                    changed = changed || ends.high || ends.low;
                }
            }
            done[n.get()] = changed ? with_args(n, std::move(args)) : n;
        });
        return done.at(root.get());
    }

    BoundSchedule& bound_;
    RegionsInside regions_;
    Facts facts_;
};

}  // namespace

void hold_reads_inside(BoundSchedule& bound) { ReadHolder(bound).run(); }

}  // namespace tessera
