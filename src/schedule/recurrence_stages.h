#pragma once

#include "algorithm/required_region.h"
#include "schedule/stages.h"

#include <set>

namespace tessera {

/// A reduction over the states inside the step of a recurrence, at the time t of the step.
struct StepReduction {
    Expr node;              // with its args as they stand in the update
    std::vector<Dim> free;  // dims of the value, without t
    size_t component = 0;   // of the stage, the first of its own
};

/// The step of a recurrence in which states may differ in dims and reductions over the states may stand.
struct SteppedRecurrence {
    Dim t;
    bool reverse = false;
    std::vector<std::vector<Dim>> dims;     // of each state
    std::vector<Expr> values;               // of each state: reads of states and reductions are reads of the stage
    std::vector<StepReduction> reductions;  // what one reads of another stands before it
    std::vector<std::shared_ptr<FuncState>> states;
    RequiredRegions regions;  // of the states, where anything needs them
};

/// Where a value over `dims` lies in the stage, or is read: `indices` are of `dims`; dims of the stage that it lacks are at 0.
[[nodiscard]] std::vector<Expr> embedded(const std::vector<Dim>& stage, const std::vector<Dim>& dims,
                                         const std::vector<Expr>& indices);

/// `body`, a value over `dims`, at `indices`: dims that its reductions bind and the indices mention get stand-ins.
/// Stand-ins may become dims of a stage: their names are none of `taken`, to which they are added.
[[nodiscard]] Expr inlined_at(const Expr& body, const std::vector<Dim>& dims, const std::vector<Expr>& indices,
                              std::set<std::string>& taken);

/// The update of such a recurrence: one loop over phases inside that over t. Each reduction is a phase that accumulates into
/// components of its own, the last phase computes all states.
///
///   h(t, j) = tanh(sum({i}, W(j, i) * h(t - 1, i)))
///   -> for t, phase < 2, j, i where phase == 0 || i == 0:
///        self(t, j) = (tanh of the second, sum)   phase 0: (the same, (i == 0 ? 0 : sum) + W(j, i) * self(t - 1, i)[0])
[[nodiscard]] Update stepped_update(const Stage& stage, const SteppedRecurrence& recurrence);

}  // namespace tessera
