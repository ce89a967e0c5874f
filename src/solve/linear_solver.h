#pragma once

#include <tessera/implicit.h>

#include "transform/graph_copy.h"

namespace tessera {

/// A v over the dims of v, and A' w over those of w, which are the same.
struct LinearSystem {
    Func v, product;
    Func w, transposed;
};

/// What solvers call what they make: Func names begin with `name`, dims with the same in letters.
struct SolverNames {
    std::string name;
    [[nodiscard]] std::string func(const std::string& part) const { return name + "/" + part; }
    [[nodiscard]] Dim dim(const std::string& part, const Extent& extent, SourceLoc where) const;
};

/// Dims of `x` that are not among `per`.
[[nodiscard]] std::vector<Dim> solved_dims(const std::vector<Dim>& x, const std::vector<Dim>& per);
[[nodiscard]] double tolerance(const ImplicitOptions& options, DType dtype);
/// The largest |f|, over the dims of per that f has.
[[nodiscard]] Func largest(const std::string& name, const Func& f, const std::vector<Dim>& per);

/// `f` with reads of `of` at the step before: over t and the dims of f. `before` stands for `of` and has the dims (t, those of
/// it).
[[nodiscard]] Func stepped(const Dim& t, const std::string& suffix, const Func& f, const Func& of, const Func& before);

/// v with product(v) = right, iterated or eliminated; how good it is is for the caller to check.
[[nodiscard]] Func solved(const SolverNames& names, const LinearSystem& system, const Func& right,
                          const ImplicitOptions& options);

}  // namespace tessera
