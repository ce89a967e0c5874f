#pragma once

#include "fuzz/drawn_case.h"

#include <tessera/schedule.h>

namespace tessera::fuzz {

/// A random schedule for the CPU as one for a GPU, sometimes legal: parallel loops become blocks, vectors and some serial loops
/// threads; some stages lie in shared memory or registers. Of the stages only a `share` is scheduled at random.
[[nodiscard]] Schedule random_gpu_schedule(Random& random, const Algorithm& algorithm, double share = 1);

/// What is wrong with a schedule on sm_80: its loop tree executed against `wanted`, its tile program with all checks, printed and
/// parsed, and the text emitted; "" when nothing is. Throws what refuses the schedule; `legal`: nothing did.
[[nodiscard]] std::string gpu_fault(const DrawnCase& c, const Schedule& schedule, const interpreter::Outputs& wanted,
                                    std::uint64_t seed, bool& legal);

}  // namespace tessera::fuzz
