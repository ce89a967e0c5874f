#pragma once

#include <tessera/compile.h>

#include "compile/cuda_code.h"
#include "compile/descriptor.h"
#include "schedule/bound.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tessera {

/// Keeps whatever the code of a kernel lives in: a JIT's memory, a shared object.
using CodeOwner = std::shared_ptr<const void>;

struct ModuleState {
    Algorithm algorithm;
    Schedule schedule;
    Target target;
    std::vector<CodeOwner> code;  // one a variant of the descriptor; empty for the interpreter
    std::unique_ptr<DescriptorStorage> storage;
    std::unique_ptr<CudaCode> cuda;  // of a GPU target where a GPU is
    bool from_disk_cache = false;
    std::string schedule_origin;
    std::string code_hash;
};

/// The schedules of a library's kernels in the order in which they are tried: the variants', then the base.
struct ScheduleChoice {
    std::string name;   // "variant0", ..., "base"
    std::string when;   // "" for the base
    Schedule schedule;  // without variants
};
[[nodiscard]] std::vector<ScheduleChoice> schedule_choices(const Schedule& schedule);
/// The algorithm where the condition of a choice holds: its dims are promised to be the multiples that the condition asks for
/// (`n % 32 == 0`, alone or joined by &&). Arguments and dims are those of `algorithm`.
[[nodiscard]] Algorithm algorithm_under(const ScheduleChoice& choice, const Algorithm& algorithm);

}  // namespace tessera
