#pragma once

#include "algorithm/graph.h"
#include "backend/interpreter/interpreter.h"
#include "backend/interpreter/scalar_ops.h"

#include <unordered_map>

namespace tessera::interpreter {

/// A tensor argument, ready to be read or written element by element.
struct BoundBuffer {
    AnyBuffer buffer;
    LoadFunction load = nullptr;
    StoreFunction store = nullptr;
};

/// Everything that the entry of a call knows.
struct BoundArguments {
    std::unordered_map<const DimState*, std::int64_t> extents;
    std::unordered_map<const InputState*, BoundBuffer> inputs;  // a Scalar is a buffer of rank 0
    std::vector<std::vector<BoundBuffer>> outputs;              // of every output, by component

    [[nodiscard]] std::optional<std::int64_t> extent(const Dim& dim) const;
    /// The value of an extent expression (extents, integer scalars and arithmetic).
    [[nodiscard]] std::int64_t value(const Expr& extent) const;
};

/// Checks the arguments against the algorithm (names, dtypes, ranks, extents and their promises, declared values) and binds them.
[[nodiscard]] BoundArguments bind_arguments(const Algorithm& algorithm, const Inputs& inputs, const Outputs& outputs);

}  // namespace tessera::interpreter
