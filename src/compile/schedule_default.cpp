#include <tessera/schedule_default.h>

#include "schedule/default_cuda.h"
#include "schedule/default_schedule.h"
#ifdef TESSERA_HAVE_HALIDE
#include "backend/cpu/cpu_backend.h"
#endif

namespace tessera {
namespace {

// Vector units by the widest instruction set: 512 bits and 32 registers, 256 and 16, 128 and 16 (arm: 32).
CpuModel cpu_model(const std::string& features) {
    const auto has = [&](const char* feature) { return features.find(feature) != std::string::npos; };
    CpuModel model;
    if (has("avx512")) {
        model.vector_bytes = 64;
        model.vector_registers = 32;
    } else if (has("arm")) {
        model.vector_bytes = 16;
        model.vector_registers = 32;
    } else if (!has("avx")) {
        model.vector_bytes = 16;
    }
    return model;
}

}  // namespace

Schedule default_schedule(const Algorithm& algorithm, const Target& target) {
    require_available(target);
    if (target.kind == Target::Kind::interpreter) return {};
    if (target.kind == Target::Kind::cuda) return default_cuda_schedule(algorithm);
    std::string features = to_text(target);
#ifdef TESSERA_HAVE_HALIDE
    features = cpu::expanded_target(features);
#endif
    return default_schedule(algorithm, cpu_model(features));
}

}  // namespace tessera
