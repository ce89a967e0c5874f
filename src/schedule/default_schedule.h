#pragma once

#include <tessera/schedule.h>

#include "schedule/stages.h"

namespace tessera {

/// What the analytic model knows of a CPU.
struct CpuModel {
    std::int64_t vector_bytes = 32;
    std::int64_t vector_registers = 16;
    std::int64_t l2_bytes = 1 << 20;
};

/// A schedule that is good without tuning: cheap or singly used definitions inline, stencil producers in sliding windows of the
/// consumer's rows, contractions in register tiles with a packed operand, row reductions per row in lanes; outputs tiled by rows,
/// parallel outside, vectors inside. Every choice is legal for all extents.
[[nodiscard]] Schedule default_schedule(const Algorithm& algorithm, const CpuModel& model);

}  // namespace tessera
