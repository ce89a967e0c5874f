#pragma once

#include "schedule/stages.h"

#include <string>
#include <vector>

namespace tessera {

/// Whether the blocks of a pairwise or blocked order show in its results: not where every grouping gives the same bits.
[[nodiscard]] bool needs_blocks(const Reduction& r);

/// A reduction whose order cuts its points into blocks, as stages:
///   <name>.blocks(q, dims)   block q of consecutive points, from the identity
///   <name>                   order blocked: over q, the blocks one after the other
///   <name>(q, dims)          order pairwise: level by level, the right neighbour into each second, fourth, eighth ... block in
///                            place, so that the tree's result ends in block 0
struct BlockStages {
    Stage blocks, whole;
    std::vector<Expr> result;  // indices of `whole` at which a reader finds the result
};
/// `dims`: the free dims; `args`: the operands of the reduction node `n`.
[[nodiscard]] BlockStages make_block_stages(const std::string& name, const Expr& n, const std::vector<Dim>& dims,
                                            const std::vector<Expr>& args);

}  // namespace tessera
