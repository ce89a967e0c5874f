#pragma once

#include "autodiff/guarded.h"

#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace tessera {

/// What a sweep over the expressions of one definition has to know about its surroundings.
struct SweepContext {
    /// Reads that vary with what is differentiated.
    std::function<bool(const Expr& access)> active;
    /// Variables (a monoid's operands) that vary; what they get is reported like an access.
    std::unordered_set<const ExprNode*> leaves = {};
    /// Reads that no Input reaches (a tie of min or max goes to their side).
    std::function<bool(const Expr& access)> free_of_inputs;
    /// Reads that hold a node's value, used instead of computing it once more.
    std::unordered_map<const ExprNode*, Expr> stored;
    /// Throws for an op without derivative, naming the definition and the way from the input to the output.
    std::function<void(const Expr& node)> missing;
};

/// What an access gets from the definitions' cotangents, in the order of the accesses in the text.
struct Contribution {
    Expr access;
    Guarded value;
};
/// One reverse sweep over the shared nodes of `roots`, whose cotangents are `seeds` (of derivative_dtype). No structured node may
/// be among them.
[[nodiscard]] std::vector<Contribution> reverse_sweep(const std::vector<Expr>& roots, const std::vector<Guarded>& seeds,
                                                      const SweepContext& context);
/// The tangents of `roots`, given those of the accesses.
[[nodiscard]] std::vector<Guarded> forward_sweep(const std::vector<Expr>& roots,
                                                 const std::function<Guarded(const Expr& access)>& tangent,
                                                 const SweepContext& context);

/// Whether every index of `access` is inside its tensor.
[[nodiscard]] Expr reads_inside(const Expr& access);

}  // namespace tessera
