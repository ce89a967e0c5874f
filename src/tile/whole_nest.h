#pragma once

#include "tile/environment.h"

#include <functional>
#include <map>
#include <set>
#include <vector>

namespace tessera::tile {

/// An innermost loop over cells that follow each other in memory: one store, and the reads that every round makes.
struct VectorLoop {
    const Assign* store = nullptr;
    std::int64_t cells = 0;
    Expr variable;
    std::vector<Expr> loads;  // accesses as they stand in the value
};

/// What holds in all rounds of a nest of loops with known extents, so that they run without guards, and with several cells to an
/// access. The condition is over variables outside the nest; undefined: always. Guards are those that the condition implies; who
/// runs the vector loops so must also know the memory to be aligned.
struct WholeNest {
    Expr condition;
    std::set<const Statement*> guards;
    std::map<const Statement*, VectorLoop> vectors;
};

/// Where the stages of a nest lie. Boxes of a warpgroup in shared memory have rows of 128 bytes, so that vectors are aligned
/// there.
struct NestMemory {
    std::function<bool(size_t)> is_global, is_boxed, is_register;
};

/// Nothing where the nest does more than store, or where nothing is gained.
[[nodiscard]] std::optional<WholeNest> whole_nest(const Program& program, const Statement& nest, Environment environment,
                                                  const NestMemory& memory);

}  // namespace tessera::tile
