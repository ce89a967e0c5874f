#pragma once

#include "autodiff/reverse.h"

namespace tessera {

/// A sentence for each variable that no derivative reaches, saying why: the graph does not read it, or nothing passes on the way.
[[nodiscard]] std::vector<std::string> warnings_of_unreached(const Reverse& reverse, const DerivativeGraph& graph,
                                                             const std::vector<Wrt>& wrt, const std::string& of);

}  // namespace tessera
