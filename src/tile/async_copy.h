#pragma once

#include "tile/environment.h"

namespace tessera::tile {

/// The copy that a vector loop around one store starts, without its `otherwise`; nothing where its stage is not moved by
/// cp_async. The copy is whole where every condition around the store holds for all positions of the loop and no index is held at
/// an end: conditions must be monotone in the loop's variable. Throws L0903, E0508 for a loop that is no contiguous copy of 4, 8
/// or 16 bytes.
[[nodiscard]] std::optional<AsyncCopy> asynchronous_copy(const BoundSchedule& bound, const tessera::Loop& loop,
                                                         const Environment& environment);
/// A stage that is moved by cp_async is stored outside a vector loop.
[[noreturn]] void refuse_single_cells(const Stage& stage);

/// The number of an input among the arguments of the algorithm.
[[nodiscard]] size_t argument_of(const Program& program, const InputState& input);

/// What a program's asynchronous copies ask of memory that it is called with: its base and its strides but the innermost, which
/// is 1, are multiples of `bytes`.
struct CopyAlignment {
    size_t argument = 0;  // of the call: the algorithm's arguments, then the components of its outputs
    std::int64_t bytes = 0;
};
[[nodiscard]] std::vector<CopyAlignment> copy_alignments(const Program& program);

}  // namespace tessera::tile
