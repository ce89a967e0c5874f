#pragma once

#include "backend/cpu/halide_ir.h"

namespace tessera::cpu {

/// A lowering pass that lets the kernel tell the runtime which stage each thread is in, and what each call has to do:
///     produce f {for x {produce g {...} ...}}
///  -> let p = tessera_profile_begin("kernel\nf\n...g\n..."); tessera_profile_work(p, 0, operations, bytes) ...
///     enter(p, 0) for x {enter(p, 1) ... leave(p) ...} leave(p)  tessera_profile_end(p)
/// Tasks of parallel loops enter the stage of the loop on the thread that runs them.
void profile_stages(Halide::Pipeline& pipeline, const BoundSchedule& bound, const Translation& translation);

/// What to try for a stage when memory, or arithmetic, is what it waits for.
struct StageAdvice {
    std::string memory, compute;
};
[[nodiscard]] StageAdvice stage_advice(const BoundSchedule& bound, size_t stage);

}  // namespace tessera::cpu
