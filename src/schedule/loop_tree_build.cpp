#include "schedule/loop_tree.h"

#include "base/check.h"
#include "base/match.h"
#include "expr/index_analysis.h"
#include "schedule/in_place.h"
#include "schedule/loop_split.h"
#include "schedule/stage_region.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace tessera {
namespace {

template <class Node>
StatementPtr statement(Node node) {
    return std::make_shared<const Statement>(Statement{std::move(node)});
}
StatementPtr block(std::vector<StatementPtr> statements) {
    return statements.size() == 1 ? statements[0] : statement(Block{std::move(statements)});
}
StatementPtr with_lets(const std::vector<std::pair<Expr, Expr>>& lets, StatementPtr body) {
    for (size_t i = lets.size(); i-- > 0;) body = statement(Let{lets[i].first, lets[i].second, std::move(body)});
    return body;
}
bool is_simple(const Expr& e) { return is_constant(e) || e->op == Op::variable || e->op == Op::extent; }

// One nest of a stage being built: what is left of its dims, and the conjuncts of the update's condition not yet in a loop's
// range.
struct Nest {
    size_t stage = 0;
    const std::vector<BoundLoop>* loops = nullptr;
    bool main = false;  // stages may be placed at its loops
    bool update = false;
    std::vector<Dim> dims;  // parts[i] is of dims[i]
    std::vector<DimPart> parts;
    std::vector<Expr> conditions;
    std::vector<Interval> required;  // of the stage, before rounding

    [[nodiscard]] size_t find(const Dim& d) const {
        for (size_t i = 0; i < dims.size(); ++i)
            if (dims[i].id() == d.id()) return i;
        throw Bug(B0951_internal, {}, fmt::format("a loop over {}, which is no dim of its nest", d.name()));
    }
    [[nodiscard]] std::vector<Expr> indices() const {
        std::vector<Expr> out;
        for (const DimPart& p : parts) out.push_back(p.index);
        return out;
    }
};

// The loop around a level, for sliding windows.
struct Surrounding {
    Expr variable, first;
    std::vector<std::pair<Expr, Expr>> lets;
    LoopKind kind = LoopKind::serial;
};

class TreeBuilder {
public:
    explicit TreeBuilder(BoundSchedule bound) : tree_{std::move(bound), nullptr} {}

    LoopTree run() {
        note_memory_around(std::nullopt, whole_);
        tree_.root = place_stages({}, whole_, nullptr, nullptr);
        note_derived_extents();
        if (!derived_.empty()) tree_.root = with_known_extents(tree_.root);
        return std::move(tree_);
    }

private:
    // ---- extents of dims that the schedule made ("k/4"), which the entry does not know

    void note_derived_extents() {
        const auto add = [&](const Dim& d) {
            const auto& extent = d.state().extent;
            if (!extent || extent->constant() || contains_dim(bound().graph.algorithm.state().dims, d)) return;
            derived_[simplify_index(Expr(d.extent()))] = simplify_index(Expr(*extent));
        };
        for (const Stage& s : bound().graph.stages) {
            for (const Dim& d : s.dims) add(d);
            if (s.update)
                for (const Dim& d : s.update->reduction_dims) add(d);
        }
    }
    Expr known(const Expr& e) const {
        bool found = false;
        const Expr out = rewrite(e, [&](const Expr& n) -> Expr {
            if (n->op != Op::extent) return {};
            const auto at = derived_.find(simplify_index(n));
            if (at == derived_.end()) return {};
            found = true;
            return known(at->second);
        });
        return found ? out : e;
    }
    std::vector<Expr> known(std::vector<Expr> exprs, bool simple) const {
        for (Expr& e : exprs) {
            const Expr k = known(e);
            if (!k.same_as(e)) e = simple ? simplify_index(k) : k;
        }
        return exprs;
    }
    StatementPtr with_known_extents(const StatementPtr& s) const {
        const auto inner = [&](const StatementPtr& body) { return with_known_extents(body); };
        return match(
            s->node,
            [&](const Block& b) {
                Block out;
                for (const StatementPtr& child : b.statements) out.statements.push_back(inner(child));
                return statement(std::move(out));
            },
            [&](const Loop& l) {
                return statement(
                    Loop{l.name, l.variable, known({l.begin}, true)[0], known({l.extent}, true)[0], l.kind, inner(l.body)});
            },
            [&](const Let& l) {
                return statement(Let{l.variable, known({l.value}, true)[0], inner(l.body)});
            },
            [&](const Guard& g) {
                return statement(Guard{known(g.condition), inner(g.body)});
            },
            [&](const Allocate& a) {
                return statement(Allocate{a.stage, a.space, known(a.begin, true), known(a.extent, true), inner(a.body)});
            },
            [&](const Produce& p) {
                return statement(Produce{p.stage, known(p.begin, true), known(p.extent, true), inner(p.body)});
            },
            [&](const Store& w) {
                return statement(Store{w.stage, known(w.place, false), known(w.values, false)});
            },
            [&](const CallRoutine&) { return s; });
    }

    const BoundSchedule& bound() const { return tree_.bound; }
    const Stage& stage(size_t i) const { return bound().graph.stages[i]; }

    // ---- stages at a level

    // Where the memory of a stage is taken.
    std::optional<LoopPosition> memory_level(size_t i) const {
        const BoundStage& b = bound().stages[i];
        if (b.alloc_at) return b.alloc_at;
        if (b.store_root) return std::nullopt;
        return b.store_at ? b.store_at : b.compute_at;
    }
    bool slides(size_t i) const {
        const BoundStage& b = bound().stages[i];
        return b.compute_at && !b.alloc_at && (b.store_root || (b.store_at && *b.store_at != *b.compute_at)) &&
               !(stage(i).update && (stage(i).update->sequential || stage(i).kind == Stage::Kind::scatter));
    }

    // What is required at `level` of stages whose memory is taken there and that are computed further in.
    void note_memory_around(std::optional<LoopPosition> level, RegionsInside& regions) {
        for (size_t i = 0; i < bound().stages.size(); ++i) {
            const BoundStage& b = bound().stages[i];
            if (!stage(i).output && !b.stored_in && b.compute_at != level && memory_level(i) == level)
                around_[i] = regions.required(i);
        }
    }

    // Allocations and computations of the stages placed at `level`, then `inner`.
    StatementPtr place_stages(std::optional<LoopPosition> level, RegionsInside& regions, const Surrounding* around,
                              StatementPtr inner) {
        std::vector<StatementPtr> tail;
        if (inner) tail.push_back(std::move(inner));
        std::vector<std::pair<Expr, Expr>> lets, windows;
        std::vector<std::pair<size_t, std::vector<Interval>>> allocations;
        std::map<size_t, Production> renamed;  // stages that are what lives in their memory
        std::set<size_t> open;                 // stages whose residents are still to be produced
        std::vector<Production> group;         // stages that share loops stand together, their leader first
        for (size_t i = bound().stages.size(); i-- > 0;) {
            const bool computed = bound().stages[i].compute_at == level;
            const bool allocated = !stage(i).output && memory_level(i) == level && !bound().stages[i].stored_in;
            if (!computed && !allocated) continue;
            const std::vector<Interval> whole = rounded_region(bound(), i, named_begins(i, regions.required(i), lets), computed);
            if (allocated) allocations.emplace_back(i, whole);
            if (computed) {
                const bool behind = around && slides(i);
                group.insert(group.begin(), {i, behind ? part_behind(i, regions.required(i), whole, *around, windows) : whole,
                                             regions.required(i)});
                if (bound().stages[i].fused) continue;
                if (only_renames_resident(bound(), i))
                    renamed[i] = std::move(group[0]);
                else
                    tail.insert(tail.begin(), produce(group));
                if (const auto name = renamed.find(bound().memory_of(i)); name != renamed.end() && name->first != i)
                    tail[0] = produced(name->second, tail[0]);
            }
            tail = {with_lets(windows, block(std::move(tail)))};
            windows.clear(), group.clear();
            // Memory that a producer of this level uses as well starts before it.
            if (computed && bound().resident_of(i)) open.insert(i);
            if (bound().stages[i].stored_in) open.erase(*bound().stages[i].stored_in);
            if (!open.empty()) continue;
            for (const auto& [stored, region] : allocations) tail = {allocate(stored, region, block(std::move(tail)))};
            tail = {with_lets(lets, block(std::move(tail)))};
            lets.clear(), allocations.clear();
        }
        return block(std::move(tail));
    }

    // The region with a name for every begin that is a longer expression.
    std::vector<Interval> named_begins(size_t i, const std::vector<Interval>& region, std::vector<std::pair<Expr, Expr>>& lets) {
        std::vector<Interval> out = region;
        for (size_t d = 0; d < region.size(); ++d) {
            if (is_simple(region[d].low)) continue;
            const Expr name = make_variable(fmt::format("{}.{}.begin", stage(i).name, stage(i).dims[d].name()), DType::i64);
            lets.emplace_back(name, region[d].low);
            const Expr extent = extent_of(region[d]);
            out[d].low = name;
            if (is_simple(extent)) out[d].high = index_sum(name, index_difference(extent, index_number(1)));
        }
        return out;
    }

    // Storage outlives the loop `around` whose iterations compute the stage: where the region moves upwards along one dim, what
    // the iteration before computed is kept and only the part behind it is computed.
    std::vector<Interval> part_behind(size_t i, const std::vector<Interval>& region, const std::vector<Interval>& named,
                                      const Surrounding& around, std::vector<std::pair<Expr, Expr>>& lets) {
        if (around.kind != LoopKind::serial && around.kind != LoopKind::unroll) return named;
        const Expr before = index_difference(around.variable, index_number(1));
        const auto now = [&](Expr e) {
            for (size_t k = around.lets.size(); k-- > 0;)
                e = substitute(e, {{around.lets[k].first.get(), around.lets[k].second}});
            return simplify_index(e);
        };
        const auto previous = [&](const Expr& e) {
            return simplify_index(substitute(now(e), {{around.variable.get(), before}}));
        };
        std::optional<size_t> moving;
        for (size_t k = 0; k < region.size(); ++k) {
            if (previous(region[k].low).same_as(now(region[k].low)) && previous(region[k].high).same_as(now(region[k].high)))
                continue;
            if (moving) return named;
            moving = k;
        }
        if (!moving) return named;
        const size_t d = *moving;
        const Expr high = previous(region[d].high);
        if (!proves_nonnegative(index_difference(now(region[d].low), previous(region[d].low))) ||
            !proves_nonnegative(index_difference(now(region[d].high), high)))
            return named;
        std::vector<Interval> out = named;
        const Expr start = greater(named[d].low, index_sum(high, index_number(1)));
        if (start.same_as(named[d].low)) return named;
        const Expr is_first = make_op(Op::eq, DType::bool_, {around.variable, around.first});
        const Expr name = make_variable(fmt::format("{}.{}.next", stage(i).name, stage(i).dims[d].name()), DType::i64);
        lets.emplace_back(name, make_op(Op::select, DType::i64, {is_first, named[d].low, start}));
        out[d].low = name;
        return out;
    }

    StatementPtr allocate(size_t i, const std::vector<Interval>& region, StatementPtr body) const {
        Allocate a;
        a.stage = i;
        const StoreSpec& storage = bound().stages[i].storage;
        a.space = storage.space.value_or(Space::auto_);
        for (size_t d = 0; d < region.size(); ++d) {
            a.begin.push_back(region[d].low);
            Expr extent = extent_of(region[d]);
            const auto align = storage.align.find(stage(i).dims[d].name());
            if (align != storage.align.end()) {
                const Expr factor = index_number(align->second);
                const Expr blocks = make_op(Op::div, DType::i64, {index_sum(extent, index_number(align->second - 1)), factor});
                extent = simplify_index(make_op(Op::mul, DType::i64, {blocks, factor}));
            }
            a.extent.push_back(extent);
        }
        a.body = std::move(body);
        return statement(std::move(a));
    }

    // ---- one stage

    // What is computed of a stage, and of that what is needed.
    struct Production {
        size_t stage = 0;
        std::vector<Interval> region, required;
    };

    // Several that share loops: their inits, then the shared nest.
    StatementPtr produce(const std::vector<Production>& group) {
        if (stage(group[0].stage).kind == Stage::Kind::routine) return produced(group[0], statement(CallRoutine{group[0].stage}));
        std::vector<StatementPtr> body;
        std::vector<Nest> nests;
        for (const Production& p : group) {
            const BoundStage& b = bound().stages[p.stage];
            if (stage(p.stage).update) body.push_back(loops_from(nest_of(p, b.pure, false), 0));
            nests.push_back(nest_of(p, bound().main_nest(p.stage), stage(p.stage).update.has_value()));
        }
        body.push_back(nests.size() == 1 ? loops_from(nests[0], 0)
                                         : shared_loops(std::move(nests), std::vector<Expr>(group.size()), 0));
        StatementPtr out = block(std::move(body));
        for (size_t i = group.size(); i-- > 0;) out = produced(group[i], std::move(out));
        return out;
    }
    static StatementPtr produced(const Production& what, StatementPtr body) {
        Produce p;
        p.stage = what.stage;
        for (const Interval& r : what.region) {
            p.begin.push_back(r.low);
            p.extent.push_back(extent_of(r));
        }
        p.body = std::move(body);
        return statement(std::move(p));
    }

    Nest nest_of(const Production& p, const std::vector<BoundLoop>& loops, bool update) const {
        const Stage& s = stage(p.stage);
        Nest n;
        n.stage = p.stage;
        n.loops = &loops;
        n.update = update;
        n.main = update == s.update.has_value();
        n.required = p.required;
        n.dims = update ? update_pure_dims(s) : s.dims;
        for (const Dim& d : n.dims)
            for (size_t k = 0; k < s.dims.size(); ++k)
                if (s.dims[k].id() == d.id()) n.parts.push_back(DimPart::of(p.region[k].low, extent_of(p.region[k])));
        if (!update) return n;
        for (const Dim& d : s.update->reduction_dims) {
            n.dims.push_back(d);
            n.parts.emplace_back();
        }
        n.conditions = conjuncts(s.update->condition);
        return n;
    }

    // Loop `at` of all nests as one, over what any of them runs through; `inside[i]`: when the body of nest i runs (undefined:
    // always).
    StatementPtr shared_loops(std::vector<Nest> nests, std::vector<Expr> inside, size_t at) {
        const DimPart led = part_of(nests[0], at);
        std::vector<Split> splits;
        std::vector<bool> follows;  // takes the leader's variables for its own
        for (Nest& n : nests) {
            follows.push_back(!splits.empty() && takes_same_tiles(n, nests[0], at, led));
            splits.push_back(follows.back() ? splits[0] : split_loop(n, at));
            if (follows.back()) part_of(n, at) = splits[0].rest;
        }
        const Expr& variable = splits[0].variable;
        const auto end_of = [](const Split& s) { return index_sum(s.begin, s.extent); };
        Interval all;  // of the leader's variable
        std::vector<Interval> own;
        std::vector<std::pair<Expr, Expr>> outside, lets;
        for (size_t i = 0; i < nests.size(); ++i) {
            const auto& fused = bound().stages[nests[i].stage].fused;
            Expr shift = index_number(0);
            if (fused && fused->align == FuseAlign::start) shift = index_difference(splits[i].begin, splits[0].begin);
            if (fused && fused->align == FuseAlign::end) shift = index_difference(end_of(splits[i]), end_of(splits[0]));
            own.push_back({index_difference(splits[i].begin, shift), index_difference(end_of(splits[i]), shift)});
            all = {i == 0 ? own[i].low : lesser(all.low, own[i].low), i == 0 ? own[i].high : greater(all.high, own[i].high)};
            if (follows[i]) continue;
            outside.insert(outside.end(), splits[i].outside.begin(), splits[i].outside.end());
            if (i > 0) lets.emplace_back(splits[i].variable, index_sum(variable, shift));
            lets.insert(lets.end(), splits[i].lets.begin(), splits[i].lets.end());
        }
        for (size_t i = 0; i < nests.size(); ++i) {
            if (!own[i].low.same_as(all.low)) inside[i] = both(inside[i], make_op(Op::le, DType::bool_, {own[i].low, variable}));
            if (!own[i].high.same_as(all.high))
                inside[i] = both(inside[i], make_op(Op::lt, DType::bool_, {variable, own[i].high}));
            inside[i] = both(inside[i], splits[i].condition);
        }
        const auto rest = [&] {
            std::vector<StatementPtr> body;
            std::vector<Nest> deeper;
            std::vector<Expr> when;
            for (size_t i = 0; i < nests.size(); ++i) {
                if (i == 0 ? shared_by_leader(nests, at + 1) : bound().stages[nests[i].stage].fused->loop > at) {
                    deeper.push_back(nests[i]);
                    when.push_back(inside[i]);
                    continue;
                }
                StatementPtr own_loops = loops_from(nests[i], at + 1);
                body.push_back(inside[i].defined() ? statement(Guard{inside[i], std::move(own_loops)}) : std::move(own_loops));
            }
            if (!deeper.empty()) body.insert(body.begin(), shared_loops(std::move(deeper), std::move(when), at + 1));
            return block(std::move(body));
        };
        const LoopKind kind = (*nests[0].loops)[at].kind;
        StatementPtr body = level_body(nests, {nests[0].stage, at}, {variable, all.low, lets, kind}, rest, inside);
        const std::string name = fmt::format("{}.{}", stage(nests[0].stage).name, (*nests[0].loops)[at].name);
        const bool same = std::all_of(own.begin(), own.end(), [&](const Interval& each) {
            return each.low.same_as(own[0].low) && each.high.same_as(own[0].high);
        });
        if (!same)
            for (auto& [end, suffix] : {std::pair{&all.low, "first"}, std::pair{&all.high, "end"}}) {
                const Expr named = make_variable(fmt::format("{}.{}", name, suffix), DType::i64);
                outside.emplace_back(named, *end);
                *end = named;
            }
        StatementPtr loop =
            statement(Loop{name, variable, all.low, extent_of_range(all.low, all.high), kind, with_lets(lets, std::move(body))});
        return with_lets(outside, std::move(loop));
    }
    [[nodiscard]] bool shared_by_leader(const std::vector<Nest>& nests, size_t at) const {
        return std::any_of(nests.begin() + 1, nests.end(),
                           [&](const Nest& n) { return bound().stages[n.stage].fused->loop >= at; });
    }
    static Expr both(const Expr& a, const Expr& b) {
        return !a.defined() ? b : !b.defined() ? a : make_op(Op::and_, DType::bool_, {a, b});
    }

    DimPart& part_of(Nest& nest, size_t at) {
        const Dim& dim = (*nest.loops)[at].dim;
        DimPart& part = nest.parts[nest.find(dim)];
        if (!part.begin.defined()) part = reduction_range(nest, dim);
        return part;
    }
    // Of what both reduce, where the leader's part is `led` before the loop.
    bool takes_same_tiles(Nest& nest, const Nest& leader, size_t at, const DimPart& led) {
        const BoundLoop &own = (*nest.loops)[at], &other = (*leader.loops)[at];
        if (!own.reduction || own.dim.id() != other.dim.id() || own.tile != other.tile || own.tail != other.tail || own.parts)
            return false;
        const auto is_last = [&](const Nest& n) {
            return std::none_of(n.loops->begin() + static_cast<std::ptrdiff_t>(at) + 1, n.loops->end(),
                                [&](const BoundLoop& l) { return l.dim.id() == own.dim.id(); });
        };
        const DimPart& part = part_of(nest, at);
        return is_last(nest) == is_last(leader) && part.begin.same_as(led.begin) && part.size.same_as(led.size) &&
               part.full == led.full && part.end.same_as(led.end);
    }

    // Loop `at` of the nest, which then has what the loop leaves.
    Split split_loop(Nest& nest, size_t at) {
        const BoundLoop& loop = (*nest.loops)[at];
        DimPart& part = part_of(nest, at);
        bool last = true;
        std::int64_t inner_tile = 1;
        for (size_t k = nest.loops->size(); k-- > at + 1;)
            if ((*nest.loops)[k].dim.id() == loop.dim.id()) {
                last = false;
                inner_tile = (*nest.loops)[k].tile;
            }
        Split split = split_part(part, loop, fmt::format("{}.{}", stage(nest.stage).name, loop.name), last, inner_tile);
        part = split.rest;
        return split;
    }

    StatementPtr loops_from(const Nest& nest, size_t at) {
        if (at == nest.loops->size()) return store(nest);
        const BoundLoop& loop = (*nest.loops)[at];
        Nest inside = nest;
        const Split split = split_loop(inside, at);
        StatementPtr body = level_body({inside}, {nest.stage, at}, {split.variable, split.begin, split.lets, loop.kind},
                                       [&] { return loops_from(inside, at + 1); });
        if (split.condition.defined()) body = statement(Guard{split.condition, std::move(body)});
        body = with_lets(split.lets, std::move(body));
        const std::string name = fmt::format("{}.{}", stage(nest.stage).name, loop.name);
        return with_lets(split.outside,
                         statement(Loop{name, split.variable, split.begin, split.extent, loop.kind, std::move(body)}));
    }

    // What stands in a loop of all `nests`: what is placed there, where any of them runs, then `rest`.
    template <class Rest>
    StatementPtr level_body(const std::vector<Nest>& nests, LoopPosition here, const Surrounding& around, Rest&& rest,
                            const std::vector<Expr>& runs = {}) {
        bool any = false;
        for (size_t i = 0; i < bound().stages.size(); ++i)
            any = any || bound().stages[i].compute_at == here ||
                  (!stage(i).output && !bound().stages[i].stored_in && memory_level(i) == std::optional(here));
        if (!nests[0].main || !any) return rest();
        std::map<size_t, Domain> tiles;
        for (const Nest& nest : nests) {
            Nest probe = nest;
            for (size_t i = 0; i < nest.dims.size(); ++i)
                tiles[nest.stage].set(
                    nest.dims[i],
                    (nest.parts[i].begin.defined() ? nest.parts[i] : reduction_range(probe, nest.dims[i])).interval());
        }
        const auto outside = around_;
        RegionsInside regions(bound(), here, tiles, &outside, &whole_);
        note_memory_around(here, regions);
        StatementPtr inner = rest();
        around_ = outside;
        StatementPtr all = place_stages(here, regions, &around, std::move(inner));
        if (runs.empty() || std::any_of(runs.begin(), runs.end(), [](const Expr& e) { return !e.defined(); })) return all;
        Expr any_runs = runs[0];
        for (const Expr& e : runs)
            if (!e.same_as(runs[0])) any_runs = make_op(Op::or_, DType::bool_, {any_runs, e});
        return statement(Guard{any_runs, std::move(all)});
    }

    // [0, extent) narrowed by conjuncts that bound the dim by what is known outside the loop; those leave the condition.
    DimPart reduction_range(Nest& nest, const Dim& d) {
        Interval range = whole_dim(d);
        std::vector<Expr> kept;
        for (const Expr& c : nest.conditions) {
            const auto fact = bound_on(c, nest, d);
            if (!fact) {
                kept.push_back(c);
                continue;
            }
            if (fact->low.defined()) range.low = greater(range.low, fact->low);
            if (fact->high.defined()) range.high = lesser(range.high, fact->high);
        }
        nest.conditions = std::move(kept);
        return DimPart::of(range.low, extent_of(range));
    }

    // The bound that `condition` puts on `d` when it is a comparison with an index that is known already.
    std::optional<Interval> bound_on(const Expr& condition, const Nest& nest, const Dim& d) const {
        if ((condition->op != Op::lt && condition->op != Op::le) || !is_integer(condition->args[0]->dtype)) return std::nullopt;
        IndexAnalysis plain;
        Polynomial difference = plain.normal(condition->args[1]) - plain.normal(condition->args[0]);
        if (condition->op == Op::lt) difference = difference - Polynomial(1);
        const auto split = split_linear(difference, make_dim(d));
        const auto factor = split ? split->factor.constant() : std::nullopt;
        if (!factor || (*factor != 1 && *factor != -1)) return std::nullopt;
        const Expr rest = split->rest.expr();
        std::vector<Expr> indices;
        for (const Dim& free : free_dims(rest)) {
            if (free.id() == d.id() || !contains_dim(nest.dims, free) || !nest.parts[nest.find(free)].index.defined())
                return std::nullopt;
            indices.push_back(nest.parts[nest.find(free)].index);
        }
        bool reads_stage = false;
        for_each_node({rest}, [&](const Expr& n) { reads_stage = reads_stage || (n->op == Op::access && n->target().func); });
        if (reads_stage) return std::nullopt;
        const Expr known = substitute_dims(rest, free_dims(rest), indices);
        if (*factor == 1) return Interval{index_difference(index_number(0), known), {}};
        return Interval{{}, simplify_index(known)};
    }

    StatementPtr store(const Nest& nest) const {
        const Stage& s = stage(nest.stage);
        const std::vector<Expr> indices = nest.indices();
        const auto placed = [&](const Expr& e) { return substitute_dims(e, nest.dims, indices); };
        Store out;
        out.stage = nest.stage;
        if (!nest.update) {
            out.place = indices;
            for (const Expr& v : s.values) out.values.push_back(padded(nest, placed(v)));
            return statement(std::move(out));
        }
        for (const Expr& p : s.update->place) out.place.push_back(placed(p));
        for (const Expr& v : s.update->values) out.values.push_back(placed(v));
        Expr condition;
        for (const Expr& c : nest.conditions)
            condition = condition.defined() ? make_op(Op::and_, DType::bool_, {condition, placed(c)}) : placed(c);
        StatementPtr stored = statement(std::move(out));
        return condition.defined() ? statement(Guard{condition, std::move(stored)}) : stored;
    }

    // 0 behind the required region of dims whose tail is pad.
    Expr padded(const Nest& nest, const Expr& value) const {
        Expr inside;
        for (size_t d = 0; d < nest.dims.size(); ++d) {
            const auto first = std::find_if(nest.loops->begin(), nest.loops->end(),
                                            [&](const BoundLoop& l) { return l.dim.id() == nest.dims[d].id(); });
            if (first == nest.loops->end() || first->tail != Tail::pad || first->tile == 1) continue;
            const Expr here = make_op(Op::le, DType::bool_, {nest.parts[d].index, nest.required[d].high});
            inside = inside.defined() ? make_op(Op::and_, DType::bool_, {inside, here}) : here;
        }
        return inside.defined() ? make_op(Op::select, value->dtype, {inside, value, make_constant(value->dtype, std::int64_t{0})})
                                : value;
    }

    LoopTree tree_;
    RegionsInside whole_{bound(), {}, {}};
    std::map<size_t, std::vector<Interval>> around_;  // stage -> what is required of it where its memory is taken
    std::map<Expr, Expr, NodeOrder> derived_;         // extent -> what it is made of
};

}  // namespace

LoopTree build_loop_tree(BoundSchedule bound) { return TreeBuilder(std::move(bound)).run(); }

}  // namespace tessera
