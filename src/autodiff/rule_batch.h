#pragma once

#include "autodiff/graph_rewrite.h"

#include <functional>
#include <vector>

namespace tessera {

/// What a rule makes of what comes in, each over the dims of what it belongs to.
using RuleCall = std::function<std::vector<Func>(const std::vector<Func>& given)>;

/// `call` at every point of `parameters`: `given` has these dims in front of those of what it belongs to, and so have the
/// results.
[[nodiscard]] std::vector<Func> called_per(const std::vector<Dim>& parameters, const std::vector<Func>& given,
                                           const RuleCall& call);

}  // namespace tessera
