#pragma once

#include "backend/cpu/halide_ir.h"

namespace tessera::cpu {

/// What plan_memory() decided; filled when the pipeline is lowered.
struct MemoryPlan {
    Halide::Expr bytes;  // that a call takes at once for its root buffers, over the kernel's parameters; undefined: none
};

/// A lowering pass that gives the buffers that stand outside all loops one block of scratch memory with a slot each, where
/// buffers that are never alive at once share a slot:
///     allocate a {produce a; allocate b {produce b; free a; allocate c {...}}}
///  -> let s = tessera_scratch_begin(slot 0 + slot 1)
///     if (s != 0) {let a = s; produce a; let b = s + slot 0; produce b; let c = s; ...}
///     tessera_scratch_end(s)
/// Slots are as large as the largest of their buffers, for whatever extents. Buffers inside loops, on the stack, under
/// conditions, or of extents that are read from memory keep an allocation of their own. A kernel without any asks for 0 bytes.
void plan_memory(Halide::Pipeline& pipeline, const std::shared_ptr<MemoryPlan>& plan);

/// `bytes` as a formula over the names of dims: "max(x*y, 0)*4".
[[nodiscard]] std::string memory_text(const BoundSchedule& bound, const std::vector<Halide::Argument>& arguments,
                                      const std::vector<Parameter>& parameters, const Halide::Expr& bytes);

}  // namespace tessera::cpu
