#pragma once

#include "fuzz/fuzz_schedule.h"

#include <string>

namespace tessera::fuzz {

struct CaseResult {
    bool failed = false;
    bool legal = false;  // the random schedule was accepted
    std::string text;    // what differs, with algorithm and schedule
};

/// One random algorithm on random extents and data, three schedules (random, default, all root): the oracle's outputs against the
/// executed loop tree's and, where there is a compiler, the compiled kernel's, bit for bit. All follows from the seed.
[[nodiscard]] CaseResult run_case(std::uint64_t seed, bool compiled);

}  // namespace tessera::fuzz
