// A gradient as a case of the harness.
#pragma once

#include "gradient_cases.h"
#include "harness.h"
#include "jax_process.h"

namespace bench {

inline constexpr const char* value_alone = "Tessera, the value alone";

/// Our value and gradients under default schedules, against `jax` (which must outlive the case), what is written by hand in C for
/// this function, and our value alone. Results are compared with those of every rival.
[[nodiscard]] Case gradient_contest(GradientCase c, JaxProcess& jax);

/// How `ours` and `theirs`, raw numbers, differ: "" when they are within `tolerance`, relative to the largest magnitude of
/// theirs.
[[nodiscard]] std::string result_difference(const tessera::AnyBuffer& ours, const std::vector<char>& theirs, double tolerance);

}  // namespace bench
