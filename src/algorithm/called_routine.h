#pragma once

#include <tessera/routine.h>

#include "algorithm/graph.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tessera {

/// The C function that computes a Func, and what it is given.
struct RoutineCall {
    std::string symbol;
    std::vector<Wrt> operands;
};

/// Makes `func` one that a routine computes. Throws E0317.
void call_routine(FuncState& func, const std::string& symbol, const std::vector<Wrt>& operands, SourceLoc where);

/// The routine of a copy: `operand` gives what stands for an operand, nothing where that is no tensor of the same dims. Null
/// then.
[[nodiscard]] std::shared_ptr<const RoutineCall> moved_routine(const std::shared_ptr<const RoutineCall>& routine,
                                                               const std::function<std::optional<Wrt>(const Wrt&)>& operand);

/// The symbols that the algorithm's definitions need, in the order of its Funcs, each once. What only the meanings of routines
/// need is not among them.
[[nodiscard]] std::vector<std::string> routine_symbols(const AlgorithmState& algorithm);

/// The Funcs of `algorithm`, in its order, without those that only the meanings of routines read.
[[nodiscard]] std::vector<Func> computed_funcs(const AlgorithmState& algorithm);

}  // namespace tessera
