#include "tune/cpu_facts.h"

#include <string>
#ifdef TESSERA_HAVE_HALIDE
#include "backend/cpu/cpu_backend.h"
#endif

#include <sched.h>
#include <unistd.h>

#include <algorithm>

namespace tessera::tune {

CpuFacts cpu_facts(const Target& target, int cores) {
    std::string features = to_text(target);
#ifdef TESSERA_HAVE_HALIDE
    if (target.kind == Target::Kind::cpu) features = cpu::expanded_target(features);
#endif
    const auto has = [&](const char* feature) { return features.find(feature) != std::string::npos; };
    CpuFacts facts;
    if (has("avx512")) {
        facts.vector_bytes = 64;
        facts.vector_registers = 32;
    } else if (has("arm")) {
        facts.vector_bytes = 16;
        facts.vector_registers = 32;
    } else if (!has("avx"))
        facts.vector_bytes = 16;
    cpu_set_t allowed;
    facts.cores = cores > 0 ? cores : sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? std::max(CPU_COUNT(&allowed), 1) : 1;
    if (const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE); l2 > 0) facts.l2_bytes = l2;
    return facts;
}

}  // namespace tessera::tune
