#pragma once

#include "schedule/loop_tree.h"
#include "tile/tile_ir.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tessera::tune {

/// What loop_features() counts; every entry is log2(1 + count).
enum class LoopFeature {
    operations,         // scalar operations of stored values
    operations_issued,  // a vector counts once
    index_operations,   // of indices that are not affine steps: divisions, selects
    loads_issued,
    contiguous_loads,
    broadcast_loads,
    gathers,
    stores_issued,
    scattered_stores,
    reduced_operations,  // issued, into accumulators
    vector_width,        // the widest
    scalar_operations,   // outside vectors
    unrolled,            // the largest product of unrolled loops around a store
    innermost_trips,     // of serial loops with a store directly inside, the mean weighted by work
    loop_steps,
    guards,
    tasks,
    task_starts,
    work_per_task,
    allocations,
    allocated_bytes,
    largest_allocation,
    allocation_in_task,  // live at once inside a task
    heap_allocations,
    input_bytes,
    output_bytes,
    stages,
    depth,
    count
};
inline constexpr size_t loop_feature_count = static_cast<size_t>(LoopFeature::count);

/// loop_features() of a tree; of one for a GPU with its tile program.
[[nodiscard]] std::vector<float> tree_features(const LoopTree& tree, const std::map<std::string, std::int64_t>& extents,
                                               const tile::Program* program = nullptr);

}  // namespace tessera::tune
