#pragma once

#include "expr/bounds.h"

#include <map>

namespace tessera::cpu {

/// Which integers are computed in int32, as Halide's bounds are.
class IndexWidth {
public:
    /// An upper bound of |e| in units of 2^31, infinite where e is better computed in 64 bits.
    [[nodiscard]] double weight(const Expr& e);
    [[nodiscard]] bool fits_int32(const Expr& e);
    /// Made of dims, extents, scalars and constants by the arithmetic whose bounds Halide sees; not what is divided in 64 bits.
    [[nodiscard]] bool is_affine(const Expr& e);

    /// The end of a dim that a partial divides: rest*32 + lane < extent. It cuts the last block alone, so that the loop runs
    /// without it before, and it leaves out no element of what is read, so that Halide's bounds may see it.
    [[nodiscard]] bool is_edge(const Expr& condition);

private:
    double compute(const Expr& e);

    std::map<Expr, double, NodeOrder> weights_;
};

}  // namespace tessera::cpu
