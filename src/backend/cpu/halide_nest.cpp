// Loops, placement and storage of a bound schedule as Halide directives.
#include "backend/cpu/halide_ir.h"
#include "backend/cpu/placed_extents.h"
#include "base/check.h"
#include "schedule/derived_stages.h"
#include "schedule/in_place.h"
#include "schedule/kept_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace tessera::cpu {
namespace {

using Halide::TailStrategy;
using Halide::VarOrRVar;

// Distinct in all nests of a Func: Halide finds the loop of a placement by its name alone.
enum class NestName : char { main = 'l', init = 'p', replacing = 'q' };
std::string loop_variable(size_t loop, NestName nest) { return fmt::format("{}{}", static_cast<char>(nest), loop); }

class Scheduler {
public:
    Scheduler(const BoundSchedule& bound, Translation& translation) : bound_(bound), out_(translation), extents_(bound) {}

    void run() {
        note_placements();
        for (size_t i = 0; i < out_.stages.size(); ++i) {
            const StageFunc& f = out_.stages[i];
            Halide::Func func = f.func;
            if (only_renames_resident(bound_, i) || stage(i).kind == Stage::Kind::routine) continue;
            if (bound_.resident_of(i))
                arrange(i, main_stage(i), bound_.stages[i].pure, false);
            else
                arrange(i, func, bound_.stages[i].pure, false);
            if (bound_.graph.stages[i].update) arrange(i, func.update(0), bound_.stages[i].update, true);
        }
        for (size_t i = 0; i < out_.stages.size(); ++i) {
            place(i);
            store(i);
        }
        for (size_t i = 0; i < out_.stages.size(); ++i) {
            share_loops(i);
            prefetch(i);
        }
    }

private:
    const Stage& stage(size_t i) const { return bound_.graph.stages[i]; }

    void note_placements() {
        for (const BoundStage& b : bound_.stages)
            for (const auto& at : {b.compute_at, b.store_at, b.alloc_at})
                if (at) used_.insert({at->stage, at->loop});
        for (size_t i = 0; i < bound_.stages.size(); ++i)
            if (const auto& fused = bound_.stages[i].fused) used_.insert({{i, fused->loop}, {fused->leader, fused->loop}});
    }

    // ---- loops

    [[nodiscard]] TailStrategy tail_of(size_t i, const BoundLoop& loop, bool first, bool update) const {
        if (!update && first && is_cut_evenly(i, loop)) return TailStrategy::RoundUp;
        switch (loop.tail) {
            case Tail::mask: return TailStrategy::Predicate;
            case Tail::round_up: return TailStrategy::RoundUp;
            case Tail::pad: return TailStrategy::RoundUp;
            case Tail::shift_inwards: break;
            case Tail::guard: return TailStrategy::GuardWithIf;
        }
        // The first block of a small output would start before it: guarded unless the extent is known to hold one tile.
        if (update) return TailStrategy::GuardWithIf;
        const auto extent = loop.dim.extent().constant();
        const bool holds = !stage(i).output || !first || (extent && *extent >= loop.tile);
        return holds ? TailStrategy::ShiftInwards : TailStrategy::GuardWithIf;
    }

    [[nodiscard]] bool shares_loops(size_t i) const {
        return bound_.stages[i].fused || std::any_of(bound_.stages.begin(), bound_.stages.end(),
                                                     [&](const BoundStage& o) { return o.fused && o.fused->leader == i; });
    }
    // Tiles of a whole output without a rest need no guard, behind which windows would not be seen to slide.
    [[nodiscard]] bool is_cut_evenly(size_t i, const BoundLoop& loop) const {
        const auto extent = loop.dim.extent().constant();
        return stage(i).output && !shares_loops(i) && !loop.parts && !loop.reduction &&
               (extent ? *extent % loop.tile == 0 : loop.dim.state().multiple_of % loop.tile == 0);
    }

    // A fused Func or one of its updates gets the loops of `nest`, named l0, l1, ... by position.
    template <class S>
    void arrange(size_t i, S target, const std::vector<BoundLoop>& nest, bool update) {
        const StageFunc& f = out_.stages[i];
        const NestName nest_name = name_of(i, update);
        const bool is_update = update || nest_name == NestName::replacing;  // of the Func
        std::vector<VarOrRVar> loops;
        std::map<const void*, VarOrRVar> rest;  // what the loops of a dim left over
        std::map<const void*, std::int64_t> outer_tile;
        std::set<size_t> dealt;  // loops over the tiles of a block
        for (size_t l = 0; l < nest.size(); ++l) {
            const BoundLoop& loop = nest[l];
            if (dealt.count(l)) {
                loops.push_back(Halide::Var(loop_variable(l, nest_name)));
                continue;
            }
            if (update && f.domain_position.count(l)) {
                const Halide::RVar r = f.domain[static_cast<int>(f.domain_position.at(l))];
                const Halide::RVar named(loop_variable(l, nest_name));
                target.rename(r, named);
                loops.push_back(named);
                continue;
            }
            const void* id = loop.dim.id();
            const bool first = !rest.count(id);
            const VarOrRVar whole = first ? VarOrRVar(variable_of(i, loop.dim)) : rest.at(id);
            const Halide::Var named(loop_variable(l, nest_name));
            const bool last = loop.tile == 1 && !loop.parts;
            if (last)
                target.rename(whole, named);
            else {
                const Halide::Var inner(loop_variable(l, nest_name) + "i");
                TailStrategy tail = tail_of(i, loop, first, is_update);
                // Tiles inside a tile: Halide rounds nothing up inside an update, where whole tiles need no guard either.
                if (!first && is_update)
                    tail = tail == TailStrategy::Predicate ? tail : TailStrategy::GuardWithIf;
                else if (!first && outer_tile.at(id) % loop.tile == 0)
                    tail = TailStrategy::RoundUp;
                const auto tiles = first && tail == TailStrategy::GuardWithIf ? loop_over_tiles(i, nest, l) : std::nullopt;
                if (tiles) {
                    const Halide::Var all(loop_variable(l, nest_name) + "t"), of_block(loop_variable(*tiles, nest_name));
                    target.split(whole, all, inner, static_cast<int>(nest[*tiles].tile), tail);
                    target.split(all, named, of_block, static_cast<int>(loop.tile / nest[*tiles].tile), tail);
                    dealt.insert(*tiles);
                } else
                    target.split(whole, named, inner, tile_of(loop, nest, l), tail);
                rest.insert_or_assign(id, VarOrRVar(inner));
                outer_tile[id] = tiles ? nest[*tiles].tile : loop.tile;
            }
            loops.push_back(named);
        }
        std::vector<VarOrRVar> order(loops.rbegin(), loops.rend());
        if (order.size() > 1) target.reorder(order);
        set_kinds(i, target, nest, loops, update);
    }

    // The loop over the tiles inside a block whose end is guarded. Where tiles are cut first and dealt out to blocks, the guard
    // is one of whole tiles: a block that the extent cuts runs over those that it has.
    //
    //   for block: for tile in [0, 4): if (block*4 + tile)*64 + ... < n: S
    //   ->  for block: for tile in [0, 4): if block*4 + tile < (n + 63)/64: ... if ... < n: S
    [[nodiscard]] std::optional<size_t> loop_over_tiles(size_t i, const std::vector<BoundLoop>& nest, size_t block) const {
        if (nest[block].parts || shares_loops(i)) return {};
        for (size_t l = block + 1; l < nest.size(); ++l) {
            if (nest[l].dim.id() != nest[block].dim.id()) continue;
            const bool runs = nest[l].kind == LoopKind::serial || nest[l].kind == LoopKind::parallel;
            const bool cuts = !nest[l].parts && nest[l].tile > 1 && nest[l].tile < nest[block].tile;
            return runs && cuts && nest[block].tile % nest[l].tile == 0 ? std::optional(l) : std::nullopt;
        }
        return {};
    }

    [[nodiscard]] Halide::Var variable_of(size_t i, const Dim& d) const {
        for (size_t k = 0; k < stage(i).dims.size(); ++k)
            if (stage(i).dims[k].id() == d.id()) return out_.stages[i].vars[k];
        throw Bug(B0951_internal, stage(i).where,
                  fmt::format("loop over {} in stage {}, which has no such dim", d.name(), stage(i).name));
    }

    Halide::Expr tile_of(const BoundLoop& loop, const std::vector<BoundLoop>& nest, size_t l) const {
        if (!loop.parts) return static_cast<int>(loop.tile);
        std::int64_t next = 1;
        for (size_t k = l + 1; k < nest.size() && next == 1; ++k)
            if (nest[k].dim.id() == loop.dim.id()) next = nest[k].tile;
        const auto extent = out_.extents.find(loop.dim.id());
        if (extent == out_.extents.end())
            throw Limit(L0903_schedule, {},
                        fmt::format("loop {} cuts {} into parts, but its extent is known only where it is computed", loop.name,
                                    loop.dim.name()),
                        {fix("give the loop a tile")});
        const int parts = static_cast<int>(*loop.parts), step = static_cast<int>(next);
        return Halide::max((((extent->second + parts - 1) / parts + step - 1) / step) * step, step);
    }

    // LLVM spends minutes on longer vectors, or ends the program.
    static constexpr std::int64_t most_lanes = 4096;

    void check_lanes(size_t i, const std::vector<BoundLoop>& nest) const {
        std::map<const void*, std::int64_t> around;  // dim -> the tile that is cut next
        std::int64_t lanes = 1;
        for (const BoundLoop& loop : nest) {
            const auto outer = around.find(loop.dim.id());
            const std::int64_t whole = outer != around.end() ? outer->second : loop.dim.extent().constant().value_or(loop.tile);
            around[loop.dim.id()] = loop.tile;
            if (loop.kind == LoopKind::vector) lanes *= std::clamp<std::int64_t>(whole / loop.tile, 1, most_lanes + 1);
            if (lanes > most_lanes)
                throw Limit(L0903_schedule, stage(i).where,
                            fmt::format("the vector loops of {} hold more than {} elements at once", stage(i).name, most_lanes),
                            {fix(fmt::format("make {} serial or unrolled", loop.name)), fix("give it a smaller tile")});
        }
    }

    template <class S>
    void set_kinds(size_t i, S& target, const std::vector<BoundLoop>& nest, const std::vector<VarOrRVar>& loops, bool update) {
        // Parallel loops next to each other are one, in pairs: of three in one Halide no longer sees where a loop of the outer
        // two stands, and sizes what is stored inside for all its positions. Nor does it where their extents are those of a
        // region inside another loop.
        check_lanes(i, nest);
        std::optional<VarOrRVar> space;
        for (size_t l = 0; l < nest.size(); ++l) {
            const BoundLoop& loop = nest[l];
            VarOrRVar variable = loops[l];
            bool paired = false;
            const bool carried = variable.is_rvar && !loop.reduction;
            if (carried && (loop.kind == LoopKind::parallel || loop.kind == LoopKind::vector)) target.allow_race_conditions();
            if (loop.kind == LoopKind::parallel && space && !variable.is_rvar) {
                const Halide::Var fused(loop_variable(l, name_of(i, update)) + "f");
                target.fuse(variable, *space, fused);
                renamed_[{i, l, update}] = fused.name();
                variable = fused;
                paired = true;
            }
            if (loop.kind == LoopKind::vector) target.vectorize(variable);
            if (loop.kind == LoopKind::unroll) target.unroll(variable);
            space.reset();
            const bool joins = !paired && loop.kind == LoopKind::parallel && l + 1 < nest.size() &&
                               nest[l + 1].kind == LoopKind::parallel && !variable.is_rvar && !bound_.stages[i].compute_at &&
                               !(is_main(i, update) && used_.count({i, l}));
            if (joins)
                space = variable;
            else if (loop.kind == LoopKind::parallel)
                target.parallel(variable);
            if (loop.partition == tessera::Partition::always)
                target.partition(variable, Halide::Partition::Always);
            else if (loop.partition == tessera::Partition::never || is_skewed(i, loop.dim, nest.back().dim))
                target.partition(variable, Halide::Partition::Never);
        }
    }

    // Whether something is read at an index that moves with a loop and with the innermost one, as x - n. Where such a read is
    // held at an edge, Halide 21 divides both loops at it, and then simplifies other indices in the outer one wrongly where the
    // inner extent is open, which it takes for at least 1 there.
    [[nodiscard]] bool is_skewed(size_t i, const Dim& loop, const Dim& innermost) const {
        if (loop.id() == innermost.id() || innermost.extent().constant()) return false;
        bool skewed = false;
        for_each_node(exprs_of(stage(i)), [&](const Expr& n) {
            if (n->op != Op::access) return;
            for (size_t d = 0; d < n->index_count() && !skewed; ++d) {
                const std::vector<Dim> moving = free_dims(n->args[d]);
                skewed = contains_dim(moving, loop) && contains_dim(moving, innermost);
            }
        });
        return skewed;
    }

    [[nodiscard]] bool is_main(size_t i, bool update) const { return update == stage(i).update.has_value(); }
    [[nodiscard]] NestName name_of(size_t i, bool update) const {
        return !is_main(i, update) ? NestName::init : bound_.resident_of(i) ? NestName::replacing : NestName::main;
    }
    Halide::Stage main_stage(size_t i) {
        Halide::Func f = out_.stages[i].func;
        if (const auto resident = bound_.resident_of(i)) return f.update(stage(*resident).update ? 1 : 0);
        return stage(i).update ? Halide::Stage(f.update(0)) : Halide::Stage(f);
    }

    // ---- placement

    Halide::LoopLevel level(const LoopPosition& at) {
        const bool update = stage(at.stage).update.has_value();
        const auto renamed = renamed_.find({at.stage, at.loop, update});
        const std::string name = renamed == renamed_.end() ? loop_variable(at.loop, name_of(at.stage, update)) : renamed->second;
        const StageFunc& f = out_.stages[at.stage];
        if (update && f.domain_position.count(at.loop)) return {f.func, Halide::RVar(name)};
        return {f.func, Halide::Var(name)};
    }

    void place(size_t i) {
        const BoundStage& b = bound_.stages[i];
        if (b.stored_in) return;
        Halide::Func f = out_.stages[i].func;
        if (!b.compute_at) {
            if (!stage(i).output || !b.users.empty() || shares_loops(i)) f.compute_root();
            return;
        }
        f.compute_at(level(*b.compute_at));
        if (b.store_root || b.store_at) keep_around(i, f);
        if (b.alloc_at) f.hoist_storage(level(*b.alloc_at));
    }

    // The memory of values that are computed further in. What an iteration has computed Halide leaves out of the next, also where
    // it stood under a condition that did not hold: there only the memory is shared, and everything is computed again.
    void keep_around(size_t i, Halide::Func& f) {
        const BoundStage& b = bound_.stages[i];
        const bool again = kept_under_condition(bound_, i);
        if (again && !b.storage.fold.empty())
            throw Limit(L0903_schedule, stage(i).where,
                        fmt::format("{} is folded while it is computed under a condition", stage(i).name),
                        {fix("remove the fold"), fix("store it at the loop where it is computed")});
        if (b.store_root)
            again ? f.hoist_storage_root() : f.store_root();
        else
            again ? f.hoist_storage(level(*b.store_at)) : f.store_at(level(*b.store_at));
    }

    void share_loops(size_t i) {
        const auto& fused = bound_.stages[i].fused;
        if (!fused) return;
        const Halide::LoopAlignStrategy align = fused->align == FuseAlign::start ? Halide::LoopAlignStrategy::AlignStart
                                                : fused->align == FuseAlign::end ? Halide::LoopAlignStrategy::AlignEnd
                                                                                 : Halide::LoopAlignStrategy::NoAlign;
        const auto renamed = renamed_.find({fused->leader, fused->loop, stage(fused->leader).update.has_value()});
        const Halide::Var shared(renamed == renamed_.end() ? loop_variable(fused->loop, NestName::main) : renamed->second);
        main_stage(i).compute_with(main_stage(fused->leader), shared, align);
    }

    // ---- storage

    void store(size_t i) {
        const BoundStage& b = bound_.stages[i];
        const StageFunc& f = out_.stages[i];
        Halide::Func func = f.func;
        if (b.storage.space == Space::heap) func.store_in(Halide::MemoryType::Heap);
        if (b.storage.space == Space::stack) func.store_in(Halide::MemoryType::Stack);
        if (b.storage.space == Space::register_) func.store_in(Halide::MemoryType::Register);
        promise_extents(i, func);
        for (const auto& [name, factor] : b.storage.align)
            func.align_storage(variable_of(i, dim_named(i, name)), static_cast<int>(factor));
        for (const auto& [name, factor] : b.storage.fold) fold(i, dim_named(i, name), factor);
    }

    void promise_extents(size_t i, Halide::Func& func) {
        const auto extents = extents_.promised(i);
        for (size_t d = 0; d < extents.size(); ++d)
            if (extents[d]) func.bound_extent(out_.stages[i].vars[d], static_cast<int>(*extents[d]));
        for (const auto& [d, range] : out_.stages[i].held) func.bound(out_.stages[i].vars[d], range.first, range.second);
    }

    const Dim& dim_named(size_t i, const std::string& name) const {
        for (const Dim& d : stage(i).dims)
            if (d.name() == name) return d;
        throw Bug(B0951_internal, stage(i).where, fmt::format("{} has no dim {}", stage(i).name, name));
    }

    void fold(size_t i, const Dim& d, std::int64_t factor) {
        const BoundStage& b = bound_.stages[i];
        if (!b.compute_at)
            throw Error(E0508_storage, stage(i).where,
                        fmt::format("{} is computed at root and cannot be folded along {}", stage(i).name, d.name()),
                        {fix("compute it at a loop and store it further out")});
        const auto extents = extents_.of(i, *b.compute_at);
        std::optional<std::int64_t> needed;
        for (size_t k = 0; k < extents.size(); ++k)
            if (stage(i).dims[k].id() == d.id()) needed = extents[k];
        if (!needed || *needed > factor)
            throw Error(E0508_storage, stage(i).where,
                        fmt::format("{} is folded to {} along {}", stage(i).name, factor, d.name()),
                        {needed ? expected(fmt::format("at least {}, which one iteration needs", *needed))
                                : note("how much one iteration needs is not a constant"),
                         fix("fold to a larger extent, or remove the fold")});
        Halide::Func func = out_.stages[i].func;
        func.fold_storage(variable_of(i, d), static_cast<int>(factor));
    }

    void prefetch(size_t i) {
        const bool update = stage(i).update.has_value();
        const auto& nest = bound_.main_nest(i);
        if (only_renames_resident(bound_, i)) return;
        for (size_t l = 0; l < nest.size(); ++l)
            for (const Prefetch& p : nest[l].prefetch) {
                const bool rvar = update && out_.stages[i].domain_position.count(l);
                const std::string name = loop_variable(l, name_of(i, update));
                const VarOrRVar at = rvar ? VarOrRVar(Halide::RVar(name)) : VarOrRVar(Halide::Var(name));
                const int distance = static_cast<int>(p.distance);
                const auto image = out_.images.find(p.of);
                const auto made = bound_.graph.find(p.of);
                Halide::Stage target = main_stage(i);
                if (image != out_.images.end())
                    target.prefetch(image->second.parameter(), at, at, distance);
                else if (made)
                    target.prefetch(out_.stages[*made].func, at, at, distance);
                else
                    throw Error(E0501_unknown_stage, stage(i).where,
                                fmt::format("loop {} of {} prefetches {}, which is neither input nor stage", nest[l].name,
                                            stage(i).name, p.of),
                                {fix("name an input or a stage that is computed")});
            }
    }

    const BoundSchedule& bound_;
    Translation& out_;
    PlacedExtents extents_;
    std::set<std::pair<size_t, size_t>> used_;  // loops at which something is placed
    std::map<std::tuple<size_t, size_t, bool>, std::string> renamed_;
};

}  // namespace

void apply_schedule(const BoundSchedule& bound, Translation& translation) { Scheduler(bound, translation).run(); }

}  // namespace tessera::cpu
