#pragma once

#include "expr/expr_node.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tessera {

/// What is behind an Input or Scalar handle.
struct InputState {
    std::string name;
    DType dtype = DType::f32;
    std::vector<Dim> dims;
    SourceLoc where;
    bool scalar = false;
    std::optional<Numerics> numerics;                 // reads are cast to compute; gone in Graph IR, where reads carry the cast
    std::optional<std::pair<Extent, Extent>> values;  // low <= v < high, checked at entry
    bool increasing = false;
};

/// States that evolve together along t. The value of state i at t is inits[i] for t < 0, else FuncState::values[0] of state i.
struct Recurrence {
    Dim t;
    bool reverse = false;
    std::vector<std::weak_ptr<FuncState>> states;
    std::vector<std::shared_ptr<FuncState>> kept;  // states that nothing else may hold
};

struct DerivativeRule;
struct RoutineCall;

/// What is behind a Func handle.
struct FuncState {
    std::string name;
    SourceLoc where;  // of the definition once defined
    std::optional<DType> declared;
    std::optional<Numerics> numerics;  // applied when defined
    bool defined = false;
    std::vector<Dim> dims;
    std::vector<DType> dtypes;
    std::vector<Expr> values;                // one per component, strong
    std::shared_ptr<Recurrence> recurrence;  // set: values are the step, init the value for t < 0
    Expr init;
    std::shared_ptr<const DerivativeRule> rule;  // instead of the derivative of the values
    std::shared_ptr<const RoutineCall> routine;  // what computes the values where it can be called
};

}  // namespace tessera
