#pragma once

#include "algorithm/graph.h"
#include "schedule/condition.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace tessera {

/// Postfix code of tessera_kernel.h.
using Bytecode = std::vector<std::int64_t>;

/// The numbers by which a kernel's code names dims and integer scalars; they throw when there is none.
struct BytecodeNames {
    std::function<std::int64_t(const Dim&)> dim;
    std::function<std::int64_t(const InputState&)> scalar;
};

/// Code of an extent expression. Throws L0902 when it nests deeper than the runtime's stack, L0901 for an op that extents do not
/// have.
[[nodiscard]] Bytecode extent_bytecode(const Expr& extent, const BytecodeNames& names);
/// Code of a variant's condition; `name` pushes what a name stands for. Throws L0902 when it nests too deep.
[[nodiscard]] Bytecode condition_bytecode(const Condition& condition, const std::function<Bytecode(const std::string&)>& name);

}  // namespace tessera
