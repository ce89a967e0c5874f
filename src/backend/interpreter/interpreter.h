#pragma once

#include <tessera/algorithm.h>
#include <tessera/buffer.h>

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace tessera {
struct LoopTree;
}

namespace tessera::interpreter {

/// A tensor, or the value of a Scalar (converted to its dtype; a rank-0 buffer of the dtype serves as well).
using ArgumentValue = std::variant<AnyBuffer, std::int64_t, std::uint64_t, double>;
using Inputs = std::map<std::string, ArgumentValue>;
/// By the names of output_names().
using Outputs = std::map<std::string, AnyBuffer>;

/// The names of an output Func's buffers: its own name, or "f.0", "f.1", ... for a tuple.
[[nodiscard]] std::vector<std::string> output_names(const Func& output);

/// The meaning of an Algorithm, computed without a schedule: the oracle of every backend.
///
/// Extents come from the buffers. A cell of a Func is computed when something reads it, and kept; a select evaluates only the
/// branch it takes, `&&` and `||` stop at the left operand that decides, a reduction reads only where its predicate holds: what
/// is not read cannot fail. Outputs are written after everything was computed, so an output may share memory with an input.
///
/// Reductions start from the identity and combine (so far, next) over their dims row-major in the order listed, the first dim
/// outermost. A float sum whose body is a multiplication accumulates by fma. Orders:
///   any, ascending   one after the other
///   pairwise(b)      points are cut into blocks of b consecutive ones (points that the predicate leaves out count); each block
///   is
///                    combined from the identity; n block results are combined as a tree: the left part is the largest power of
///                    two below n, down to single blocks
///   blocked(b)       the same blocks, their results combined one after the other
///   kahan            y = x - c; t = s + y; c = (t - s) - y; s = t; from s = c = 0 (a product is rounded before it is added)
/// A scan combines the points of [0, extent) at or before t (strictly before when exclusive), from the other end when reverse. A
/// scatter starts each cell from its init, or the identity, and combines the sources in ascending order. A recurrence's state is
/// its step for t >= 0 (t < extent when reverse), else its init.
///
/// Throws E07xx for arguments that do not fit, E0401 for a read outside an input, naming input, dim and index.
void evaluate(const Algorithm& algorithm, const Inputs& inputs, const Outputs& outputs);

struct ExecuteOptions {
    /// Not 0: the iterations of every parallel loop, and of blocks, warps, lanes and threads, run in an order drawn from it, so
    /// that results that depend on the order differ.
    std::uint64_t shuffle_seed = 0;
};

/// Executes a loop tree as it is written. Loops run serially; in a vector loop every store computes its values for all lanes
/// before it stores any. Every cell of an allocation knows whether it was written: a read of one that was not, or a read or store
/// outside the allocation or an input, is a Bug that names stage, index and loop position. A stage that is an output and not
/// allocated has the region of its output. Outputs are written at the end; a cell that nothing stored is a Bug too.
///
/// Throws E07xx for arguments that do not fit.
void execute(const LoopTree& tree, const Inputs& inputs, const Outputs& outputs, const ExecuteOptions& options = {});

}  // namespace tessera::interpreter
