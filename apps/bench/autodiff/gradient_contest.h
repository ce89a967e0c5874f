// A gradient as a case of the harness.
#pragma once

#include "gradient_cases.h"
#include "harness.h"
#include "jax_process.h"

namespace bench {

inline constexpr const char* value_alone = "Tessera, the value alone";
inline constexpr const char* gradient_alone = "Tessera, value and gradient";

/// Our value and gradients under default schedules, against `jax` (which must outlive the case), what is written by hand in C for
/// this function, and our value alone. Results are compared with those of every rival.
[[nodiscard]] Case gradient_contest(GradientCase c, JaxProcess& jax);

/// The value with its derivative along tangents, against the value alone; and, of a number, the product of the Hessian and a
/// vector against value and gradient.
[[nodiscard]] std::vector<Case> forward_contests(const GradientCase& c);

/// How `ours` and `theirs`, raw numbers, differ: "" when they are within `tolerance`, relative to the largest magnitude of
/// theirs.
[[nodiscard]] std::string result_difference(const tessera::AnyBuffer& ours, const std::vector<char>& theirs, double tolerance);

}  // namespace bench
