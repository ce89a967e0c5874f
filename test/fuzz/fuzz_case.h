#pragma once

#include "fuzz/fuzz_schedule.h"

#include <string>

namespace tessera::fuzz {

enum class Family {
    whole_numbers,  // random_algorithm()
    reals           // random_real()
};

struct CaseResult {
    bool failed = false;
    bool refused = false;       // it failed because a schedule that must be legal is refused; no value differs
    bool legal = false;         // the random schedule was accepted
    bool legal_on_gpu = false;  // the random schedule for a GPU was lowered
    bool near_only = false;     // values were compared within a tolerance
    std::string limit;          // what the algorithm asks for and stages do not have: nothing was compared
    std::string text;           // what differs, with algorithm and schedule
};

/// One random algorithm on random extents and arguments, three schedules (random, default, all root): the oracle's outputs
/// against the executed loop tree's and, where there is a compiler, the compiled kernel's (every other seed with the checks of
/// what it relies on, the rest as users get it), bit for bit where every legal schedule has the same bits. Two more for a GPU
/// (random, default) are executed as loop trees and lowered to text, at some of the seeds where nothing is compiled. All follows
/// from the seed.
[[nodiscard]] CaseResult run_case(std::uint64_t seed, bool compiled, Family family = Family::whole_numbers);

}  // namespace tessera::fuzz
