// What the time of a schedule depends on beside its kernel, as texts.
#include <tessera/schedule_source.h>

#include "backend/cuda/runtime_compiler.h"
#include "base/hash.h"
#include "compile/library_json.h"
#ifdef TESSERA_HAVE_HALIDE
#include "backend/cpu/cpu_backend.h"
#endif

#include <fmt/format.h>

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <fstream>
#include <map>

namespace tessera {
namespace {

// Raised with each change of how loops become machine code.
constexpr int cpu_codegen_abi = 1, cuda_codegen_abi = 1;

// The lines "name : value" of the first processor.
std::map<std::string, std::string> first_processor() {
    std::map<std::string, std::string> out;
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line) && !line.empty();) {
        const std::size_t colon = line.find(':');
        if (colon == std::string::npos) continue;
        std::string name = line.substr(0, colon), value = colon + 2 <= line.size() ? line.substr(colon + 2) : "";
        name.erase(name.find_last_not_of(" \t") + 1);
        out.emplace(std::move(name), std::move(value));
    }
    return out;
}

std::string micro_architecture(std::map<std::string, std::string>& cpu) {
    if (cpu.count("vendor_id")) return fmt::format("{} {}.{}", cpu["vendor_id"], cpu["cpu family"], cpu["model"]);
    if (cpu.count("CPU implementer")) return fmt::format("arm {}.{}", cpu["CPU implementer"], cpu["CPU part"]);
    return "unknown";
}

// Memory to the next power of two: what the kernel keeps for itself differs from boot to boot.
std::int64_t memory_gib() {
    const auto bytes = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    return static_cast<std::int64_t>(std::bit_ceil(bytes) >> 30);
}

// What the driver says in files: asking it itself would keep processes that are forked later from the GPU.
std::string gpu_model() {
    std::error_code error;
    std::vector<std::string> models;
    for (std::filesystem::directory_iterator it("/proc/driver/nvidia/gpus", error), end; !error && it != end;
         it.increment(error)) {
        std::ifstream file(it->path() / "information");
        for (std::string line; std::getline(file, line);)
            if (line.starts_with("Model:")) models.push_back(line.substr(line.find_first_not_of(" \t", 6)));
    }
    std::sort(models.begin(), models.end());
    return models.empty() ? "unknown" : models.front();
}

// Times of a GPU's kernels depend on it alone.
BuildContext gpu_context(const Target& target) {
    BuildContext out;
    out.micro_architecture = target.arch;
    out.machine = nlohmann::json{{"processor", gpu_model()}, {"micro_architecture", target.arch}}.dump();
    out.target = to_text(target);
    out.toolchain = nlohmann::json{{"tessera", tessera_version}, {"compiler", cuda::runtime_compiler_version()}}.dump();
    out.codegen_abi = cuda_codegen_abi;
    return out;
}

}  // namespace

BuildContext build_context(const Target& target) {
    if (target.kind == Target::Kind::cuda) return gpu_context(target);
    auto cpu = first_processor();
    cpu_set_t allowed;
    const int cores = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
    const auto cache = [](int name) { return std::max<std::int64_t>(sysconf(name), 0); };
    BuildContext out;
    out.micro_architecture = micro_architecture(cpu);
    out.machine = nlohmann::json{{"processor", cpu.count("model name") ? cpu["model name"] : out.micro_architecture},
                                 {"micro_architecture", out.micro_architecture},
                                 {"cores", cores},
                                 {"l1_bytes", cache(_SC_LEVEL1_DCACHE_SIZE)},
                                 {"l2_bytes", cache(_SC_LEVEL2_CACHE_SIZE)},
                                 {"l3_bytes", cache(_SC_LEVEL3_CACHE_SIZE)},
                                 {"memory_gib", memory_gib()}}
                      .dump();
    nlohmann::json toolchain{{"tessera", tessera_version}};
    out.target = to_text(target);
#ifdef TESSERA_HAVE_HALIDE
    toolchain["compiler"] = cpu::compiler_name();
    if (target.kind == Target::Kind::cpu) out.target = cpu::expanded_target(out.target);
#endif
    out.toolchain = toolchain.dump();
    out.codegen_abi = cpu_codegen_abi;
    return out;
}

}  // namespace tessera
