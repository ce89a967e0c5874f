#pragma once

#include "tile/tile_ir.h"

#include <tessera/target.h>

#include <map>

namespace tessera::tile {

/// What one block may use.
struct GpuLimits {
    std::int64_t threads = 1024;
    std::int64_t shared_bytes = 0;
    std::int64_t register_bytes = 255 * 4;  // of one thread's buffers
};
/// Throws E0803 for an architecture without a row.
[[nodiscard]] GpuLimits gpu_limits(const Target& target);

/// Kernels for a loop tree that was bound for CUDA, synchronised: every root nest is a kernel, its block loops the grid. Throws
/// E05xx and L0903 for what does not fit the limits or has no lowering, naming stage and loop. `plain`: every copy moves through
/// registers into one buffer, as for arguments that copy_alignments() of the other program does not fit.
enum class Copies { as_scheduled, plain };
[[nodiscard]] Program lower(const LoopTree& tree, const Target& target, Copies copies = Copies::as_scheduled);

/// The passes behind lower_kernels(), of kernels without barriers.
[[nodiscard]] Program synchronise(Program program, const Target& target, Copies copies = Copies::as_scheduled);

// The passes, in order.
/// Root nests as kernels without barriers.
[[nodiscard]] Program lower_kernels(const LoopTree& tree, Copies copies = Copies::as_scheduled);
/// Loops whose copies have several buffers start them iterations ahead; every copy is committed and awaited.
[[nodiscard]] Program pipeline_copies(Program program);
/// Throws L0903 for a product that its schedule wants in flight and that is not.
void check_in_flight(const Program& program);
/// Fragments of outputs with engine tma go to boxes in shared memory, which the copy engine stores. Throws L0903 for what is no
/// nest of a warpgroup's fragments.
[[nodiscard]] Program store_boxes(Program program);
/// Counts the groups of copies that may be in flight at every Await.
[[nodiscard]] Program order_copies(Program program);
/// Throws E0503, E0508 where a kernel needs more than a block has.
void check_limits(const Program& program, const GpuLimits& limits);
/// Throws L0903 where a thread reads or writes registers of another.
void check_ownership(const Program& program);
/// Puts a barrier before every statement that meets memory another thread may have used since the last one.
[[nodiscard]] Program insert_barriers(Program program);
/// Runs the loops of every kernel a few times on paper; throws Bug where two threads may meet in memory without a barrier
/// between them, or where a copy is not known to have arrived. Shares nothing with insert_barriers() and order_copies().
void check_barriers(const Program& program);

/// Runs the roles of every kernel on paper; throws Bug where a buffer of a ring may be read before it is full or filled before it
/// is free, or where one role waits for what the other one does not do. Shares nothing with pipeline_copies().
void check_roles(const Program& program);

/// Where the shared buffers of a kernel start, one behind the other, in bytes.
struct SharedPlan {
    std::map<size_t, std::int64_t> offsets;  // by stage, of its first buffer
    std::int64_t combine = 0;                // where warps leave their partials
    /// By the first stage of a ring that the copy engine fills: where its barriers of 8 bytes are, and how many.
    std::map<size_t, std::pair<std::int64_t, std::int64_t>> rings;
    std::map<size_t, std::int64_t> released;  // where those that say that a buffer of the ring is free are
    std::int64_t bytes = 0;
};
[[nodiscard]] SharedPlan plan_shared(const Program& program, const Kernel& kernel);
/// Of one buffer of a stage, every component a multiple of 16.
[[nodiscard]] std::int64_t buffer_bytes(const Program& program, const Alloc& alloc);

}  // namespace tessera::tile
