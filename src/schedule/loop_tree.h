#pragma once

#include "schedule/bound.h"

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tessera {

/// Schedule IR: the loops, allocations and stores of a bound schedule, with every index written out. Expressions are over loop
/// variables (Op::variable), extents, scalars, inputs, and accesses of stages (by FuncState) at absolute coordinates.
struct Statement;
using StatementPtr = std::shared_ptr<const Statement>;

struct Block {
    std::vector<StatementPtr> statements;
};
/// for variable in [begin, begin + extent)
struct Loop {
    std::string name;  // "<stage>.<loop>"
    Expr variable;
    Expr begin, extent;
    LoopKind kind = LoopKind::serial;
    StatementPtr body;
};
struct Let {
    Expr variable;
    Expr value;
    StatementPtr body;
};
struct Guard {
    Expr condition;
    StatementPtr body;
};
/// Storage of `stage` for the region [begin, begin + extent) per dim while the body runs.
struct Allocate {
    size_t stage = 0;
    Space space = Space::auto_;
    std::vector<Expr> begin, extent;
    StatementPtr body;
};
/// The loops inside compute `stage` over the region given (inside its allocation).
struct Produce {
    size_t stage = 0;
    std::vector<Expr> begin, extent;
    StatementPtr body;
};
/// stage(place) = values, all components at once.
struct Store {
    size_t stage = 0;
    std::vector<Expr> place;
    std::vector<Expr> values;
};
/// A C function computes all of the stage, a routine.
struct CallRoutine {
    size_t stage = 0;
};

struct Statement {
    std::variant<Block, Loop, Let, Guard, Allocate, Produce, Store, CallRoutine> node;
};

struct LoopTree {
    BoundSchedule bound;
    StatementPtr root;
};

/// Throws E0402 when a required region has no finite end.
[[nodiscard]] LoopTree build_loop_tree(BoundSchedule bound);
/// Text; parse_loop_tree(text, bound) gives a tree that prints the same.
[[nodiscard]] std::string to_text(const LoopTree& tree);
[[nodiscard]] LoopTree parse_loop_tree(std::string_view text, const BoundSchedule& bound);
/// Every variable is bound once and before use, stores and reads are of stages that are allocated and produced around them, every
/// stage is produced; throws Bug otherwise.
void verify(const LoopTree& tree);

}  // namespace tessera
