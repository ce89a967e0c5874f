#pragma once

#include "tune/history.h"

namespace tessera::tune {

/// Ranks a pool by boosted trees on features.
[[nodiscard]] std::unique_ptr<Strategy> make_model_strategy(const SearchSpace& space, const StrategyOptions& options);
/// The default: a pool ranked by a Gaussian process over decisions and by boosted trees on features, neighbours of the best, and
/// random points.
[[nodiscard]] std::unique_ptr<Strategy> make_hybrid_strategy(const SearchSpace& space, const StrategyOptions& options);

}  // namespace tessera::tune
