#pragma once

#include <tessera/target.h>

#include <cstdint>

namespace tessera::tune {

/// What the analytic model and the search space know of a CPU.
struct CpuFacts {
    std::int64_t vector_bytes = 32;
    std::int64_t vector_registers = 16;
    int cores = 1;
    std::int64_t l2_bytes = 1 << 20;
};
/// `cores` 0: those that this process may run on.
[[nodiscard]] CpuFacts cpu_facts(const Target& target, int cores);

}  // namespace tessera::tune
