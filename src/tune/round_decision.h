#pragma once

#include <tessera/tune_measure.h>

#include <cstddef>
#include <optional>
#include <vector>

namespace tessera::tune {

/// What interleaved rounds say about the default and the finalists. Ratios are paired: the default's time over another's in the
/// same round, so that what disturbs both cancels.
struct RoundDecision {
    std::size_t winner = 0;  // 0: the default
    /// The fastest candidate may be faster than the default, but its interval is wide, or the default differs from itself.
    bool too_noisy = false;
    std::optional<std::size_t> fastest;  // of the candidates, by the median of its ratios
    std::optional<Interval> against_fastest, against_itself;
};
/// times[0] are of the default, `again` of its second place in the same rounds. A schedule without times failed; one that
/// stands alone wins.
[[nodiscard]] RoundDecision decide(const std::vector<std::vector<double>>& times, const std::vector<double>& again);

}  // namespace tessera::tune
