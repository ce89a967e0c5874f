#pragma once

#include <tessera/schedule.h>

#include <ostream>
#include <random>
#include <string>
#include <vector>

namespace tessera {
inline void PrintTo(const Schedule& schedule, std::ostream* out) { *out << to_json(schedule); }
}  // namespace tessera

namespace tessera::test {

/// Random schedules that parse: every field of every record has its turn.
class RandomSchedule {
public:
    explicit RandomSchedule(unsigned seed) : random_(seed) {}

    Schedule next() {
        Schedule s;
        for (int i = below(4); i >= 0; --i) s.stages[stage_name()] = stage();
        if (chance(3)) s.kernels[stage_name()] = kernel();
        for (int i = chance(3) ? below(3) : 0; i > 0; --i) {
            Variant v{conditions_[static_cast<size_t>(below(4))], {}, {}};
            const std::string name = stage_name();
            const auto base = s.stages.find(name);
            StageSpec deltas = stage();
            if (base != s.stages.end()) keep_apart(base->second, deltas);
            v.stages[name] = deltas;
            s.variants.push_back(v);
        }
        return s;
    }

    StageSpec stage() {
        StageSpec s;
        if (chance(2)) s.compute = Compute{Compute::Kind(below(2)), {}};
        if (chance(3)) s.compute = Compute{Compute::Kind::at, reference()};
        if (chance(6)) s.fuse_with = FuseWith{stage_name(), loop_name(), FuseAlign(below(3)), chance(2)};
        if (chance(2)) s.loops = loops();
        if (chance(6)) s.init = loops();
        if (chance(3)) s.store = store();
        if (!s.loops && chance(3))
            s.tile =
                TileRecord{.tile_m = number(), .block_n = number(), .prefetch_distance = 0, .swizzle_pattern = Swizzle(below(5))};
        if (chance(5))
            s.copy_of = "A";
        else if (chance(5))
            s.clone_of = stage_name();
        else if (chance(5))
            s.partial_of = stage_name();
        if (chance(4)) s.for_uses = std::vector<std::string>{stage_name(), "C.sum#1"};
        if (chance(6)) s.keep = std::vector<std::string>{"k/256", "m"};
        if (chance(6)) s.engine = Engine(below(6));
        if (chance(6)) s.vector_width = 1 + below(16);
        if (chance(6)) s.method = Method(below(7));
        if (chance(6)) s.mma = Mma{"wgmma.n256", chance(2) ? std::optional<std::int64_t>(below(2)) : std::nullopt};
        if (chance(8)) s.axes["m"] = {"b", "y"};
        if (chance(8)) s.kernel = "main";
        return s;
    }

    int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
    bool chance(int one_in) { return below(one_in) == 0; }
    std::string stage_name() { return stages_[static_cast<size_t>(below(5))]; }

private:
    std::string dim() { return dims_[static_cast<size_t>(below(4))]; }
    std::string loop_name() { return chance(2) ? dim() : "x" + std::to_string(below(4)); }
    LoopRef reference() { return {stage_name(), loop_name()}; }
    std::int64_t number() { return 1 + below(chance(5) ? 2000000000 : 200); }

    // A derived variant keeps to what the base's record is: loops or tile, one kind of derived stage.
    static void keep_apart(const StageSpec& base, StageSpec& deltas) {
        if (base.loops) deltas.tile.reset();
        if (base.tile) deltas.loops.reset();
        deltas.copy_of = base.copy_of;
        deltas.clone_of = base.clone_of;
        deltas.partial_of = base.partial_of;
    }

    std::vector<LoopSpec> loops() {
        std::vector<LoopSpec> list;
        for (int i = below(5); i > 0; --i) {
            LoopSpec loop{.dim = dim(), .as = LoopKind(below(12))};
            if (chance(2))
                loop.tile = number();
            else if (chance(4))
                loop.parts = number();
            if (chance(2)) loop.name = "x" + std::to_string(list.size());
            if (chance(3)) loop.tail = Tail(below(5));
            if (chance(4)) loop.partition = Partition(below(3));
            if (chance(5)) loop.prefetch = {{"A", number() % 1000 + 1}};
            if (loop.as == LoopKind::mesh) loop.mesh_axis = "data";
            list.push_back(loop);
        }
        return list;
    }

    StoreSpec store() {
        StoreSpec s;
        if (chance(2)) s.at = chance(4) ? LoopRef{"root", ""} : reference();
        if (chance(3)) s.alloc = chance(4) ? LoopRef{"root", ""} : reference();
        if (chance(2)) s.space = Space(below(6));
        if (chance(3)) s.layout = std::vector<std::string>{"k/16", dim(), "k%16"};
        if (chance(3)) s.align = {{dim(), number()}, {dim(), number()}};
        if (chance(3)) s.fold = {{dim(), number()}};
        if (chance(3)) s.buffers = 1 + below(4);
        if (chance(3)) s.swizzle = Swizzle(below(5));
        if (chance(4)) s.in = stage_name();
        return s;
    }

    KernelSpec kernel() {
        return {.producer_regs = 40,
                .overlap = Overlap(below(2)),
                .raster = Raster{dim(), number() % 1000 + 1},
                .persistent = chance(2),
                .threads = 256};
    }

    std::mt19937 random_;
    std::vector<std::string> stages_{"C", "C.sum", "ops/max", "t~x", "B.p"};
    std::vector<std::string> dims_{"m", "n", "k", "y"};
    std::vector<std::string> conditions_{"m % 192 == 0 && k <= 256", "!(n > 7) || A.stride.m == 1", "(m + 3) * -2 != k / 5 - 1",
                                         "y >= 1"};
};

}  // namespace tessera::test
