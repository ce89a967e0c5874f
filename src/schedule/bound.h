#pragma once

#include <tessera/schedule.h>
#include <tessera/target.h>

#include "schedule/stages.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tessera {

/// One loop of a nest: peels blocks of `tile` off what the loops of the same dim outside it left over; the last loop of a dim has
/// tile 1. With T the tile of the loop of this dim outside it (the dim's whole range when there is none), the loop has
/// ceil(T / tile) iterations. Blocks count from the start of the stage's required region (reduction dims: from the loop's lower
/// bound).
struct BoundLoop {
    std::string name;  // unique in its nest
    Dim dim;
    std::int64_t tile = 1;
    std::optional<std::int64_t> parts;  // set: tile = ceil(extent / parts) rounded up to the next inner tile, known at run time
    LoopKind kind = LoopKind::serial;
    Tail tail = Tail::guard;  // of the split made by this loop; meaningless for the last loop of a dim
    Partition partition = Partition::auto_;
    std::vector<Prefetch> prefetch;
    bool reduction = false;  // the dim is one of the update's reduction dims
};

/// A loop of a stage: `loop` indexes the stage's main nest (the update's for stages that have one, else the pure nest).
struct LoopPosition {
    size_t stage = 0;
    size_t loop = 0;
    bool operator==(const LoopPosition&) const = default;
};

/// Main nest loops [0, loop] run once for this stage and for `leader`, which stands before it at the same place and is fused with
/// none. Iterations meet at equal loop variables, or shifted so that both start or end together; each stage runs its own ones
/// only.
struct FusedLoops {
    size_t leader = 0;
    size_t loop = 0;
    FuseAlign align = FuseAlign::none;
};

/// Loop `loop` of the reduction `leader`, behind it, in whose iterations the loop `own` over the same tiles runs: the leader
/// reads the value so far and is rescaled (src/tile/online_rows.h). The loop tree has both loops.
struct OnlineLoop {
    size_t leader = 0;
    size_t loop = 0, own = 0;
};

/// A stage with its resolved record. `compute_at` unset: root. Inline stages are gone: their definitions stand in their users.
struct BoundStage {
    std::optional<LoopPosition> compute_at;
    std::optional<LoopPosition>
        store_at;  // lifetime of values; further out than compute_at: sliding window. Unset with compute_at set: at compute_at
    bool store_root = false;               // stored at root although computed inside a loop
    std::optional<LoopPosition> alloc_at;  // allocation only
    std::optional<FusedLoops> fused;       // unset for a leader
    std::optional<OnlineLoop> online;
    std::optional<size_t> stored_in;  // the stage whose memory it writes and which then replaces cell by cell what it reads of it
    std::vector<BoundLoop> pure;      // loops of the definition or of the init
    std::vector<BoundLoop> update;    // loops over dims and reduction dims; empty for definitions
    StoreSpec storage;                // space, align, fold, buffers as written; names are user names
    std::optional<Method> method;
    std::optional<std::string> mma;  // the instruction of a contraction
    std::optional<std::int64_t>
        in_flight;                  // its products that the next one does not wait for; unset: as many as its copies allow
    Engine engine = Engine::auto_;  // what moves a copy
    std::vector<size_t> users;      // stages that read it, ascending
};

/// An Algorithm bound to a Schedule: derived stages inserted, inline stages substituted, names resolved, legality checked.
/// stages[i] belongs to graph.stages[i]; producers come first, stages that share loops stand together, their leader first.
struct BoundSchedule {
    StageGraph graph;
    std::vector<BoundStage> stages;
    std::map<std::string, KernelSpec> kernels;  // by the stage with the block loops

    [[nodiscard]] const std::vector<BoundLoop>& main_nest(size_t stage) const {
        return graph.stages[stage].update ? stages[stage].update : stages[stage].pure;
    }
    /// Whether the loop `at` is a loop of `stage` too: its own, or one that it shares.
    [[nodiscard]] bool runs_in(size_t stage, const LoopPosition& at) const {
        const auto& fused = stages[stage].fused;
        return stage == at.stage || (fused && fused->leader == at.stage && fused->loop >= at.loop);
    }
    /// The stage whose memory holds the values of `stage`.
    [[nodiscard]] size_t memory_of(size_t stage) const { return stages[stage].stored_in.value_or(stage); }
    /// The stage that lives in the memory of `stage`.
    [[nodiscard]] std::optional<size_t> resident_of(size_t stage) const {
        for (size_t i = 0; i < stage; ++i)
            if (stages[i].stored_in == stage) return i;
        return std::nullopt;
    }
};

/// Throws E05xx naming stage, loop, reason and the nearest legal choice; L0903 for what the target does not have. The interpreter
/// takes what any backend has.
[[nodiscard]] BoundSchedule bind(const Algorithm& algorithm, const Schedule& schedule, const Target& target = {});

}  // namespace tessera
