#pragma once

#include "algorithm/graph_names.h"

namespace tessera {

/// The text of a graph; with canonical `names` that of every graph which differs in names alone.
[[nodiscard]] std::string graph_text(const AlgorithmState& algorithm, GraphNames& names);

/// The version that the first line of the text states.
inline constexpr int graph_text_version = 1;

}  // namespace tessera
