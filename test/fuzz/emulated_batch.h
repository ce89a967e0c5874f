#pragma once

#include "fuzz/fuzz_case.h"

#include <string>

namespace tessera::fuzz {

struct BatchResult {
    std::size_t algorithms = 0, schedules = 0, kernels = 0;  // that ran
    std::string fault;                                       // what is wrong first; "" when nothing is
};

/// Random algorithms of seeds [first, first + count), each with its default GPU schedule and, where it is legal, a random one:
/// the emitted kernels are compiled for the emulator, all in one file in `folder`, and their outputs compared with the oracle's.
[[nodiscard]] BatchResult run_batch(std::uint64_t first, std::uint64_t count, Family family, const std::string& folder);

}  // namespace tessera::fuzz
