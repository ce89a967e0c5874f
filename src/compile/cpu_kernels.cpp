#include "compile/cpu_kernels.h"

#include "algorithm/called_routine.h"
#include "base/check.h"
#include "base/hash.h"
#include "compile/kernel_cache.h"
#include "compile/toolchain.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <map>

namespace tessera {
namespace {

int call_compiled(void* context, void** params) { return static_cast<const cpu::CompiledKernel*>(context)->call(params); }

// What calls a kernel in this process has its routines' functions: as code that is loaded finds them.
void require_routines(const Algorithm& algorithm) {
    for (const std::string& symbol : routine_symbols(algorithm.state()))
        if (::dlsym(RTLD_DEFAULT, symbol.c_str()) == nullptr)
            throw Error(
                E0806_missing_routine, algorithm.state().where,
                fmt::format("{} calls routine {}, which is not in this program", algorithm.name(), symbol),
                {token(algorithm.name()),
                 fix(fmt::format("link what defines it, as extern \"C\" int {}(const tessera_buffer*, const tessera_buffer*)",
                                 symbol)),
                 fix("let the program export its functions (-rdynamic; CMake: ENABLE_EXPORTS), or load the library with "
                     "RTLD_GLOBAL"),
                 fix("compile for the interpreter, which has its meaning")});
}

// The kernel of one schedule through the cache on disk; `found` when it was there. Nothing where the cache cannot be used.
std::optional<CachedKernel> cached_kernel(const Algorithm& algorithm, const KernelSignature& signature, const Schedule& schedule,
                                          const Target& target, bool& found) {
    const std::string folder = kernel_cache_folder(), expanded = cpu::expanded_target(to_text(target));
    if (folder.empty() || is_foreign(target) || (cpu_feature_bits(expanded) & ~tessera_cpu_features()) != 0) return {};
    const KernelCache cache(folder);
    const std::string key = cache_key(algorithm, schedule, expanded);
    auto kernel = cache.load(key);
    found = kernel.has_value();
    if (found) return kernel;
    return cache.store(key, [&](const std::filesystem::path& shared) {
        std::filesystem::path object = shared;
        object.replace_extension(".o");
        check_parameters(
            algorithm, signature,
            cpu::emit(bind(algorithm, schedule), to_text(target), cached_function, cpu::Artifact::object, object.string())
                .parameters);
        link_shared(target, {object}, shared);
    });
}

}  // namespace

void check_parameters(const Algorithm& algorithm, const KernelSignature& signature,
                      const std::vector<cpu::Parameter>& parameters) {
    TESSERA_CHECK(parameters.size() == signature.params.size(), "the CPU backend takes another number of parameters");
    const auto inputs = algorithm.arguments().size();
    size_t output = inputs;
    for (size_t p = 0; p < parameters.size(); ++p) {
        const tessera_kernel_param& param = signature.params[p];
        bool fits = false;
        switch (parameters[p].kind) {
            case cpu::Parameter::Kind::argument:
                fits = param.kind == TESSERA_PARAM_ARG && static_cast<size_t>(param.index) == parameters[p].index;
                break;
            case cpu::Parameter::Kind::dim:
                fits = param.kind == TESSERA_PARAM_DIM_I32 && signature.dims[static_cast<size_t>(param.index)].name ==
                                                                  algorithm.state().dims[parameters[p].index].name();
                break;
            case cpu::Parameter::Kind::output:
                fits = param.kind == TESSERA_PARAM_ARG && static_cast<size_t>(param.index) == output++;
                break;
        }
        TESSERA_CHECK(fits, "the CPU backend takes its parameters in another order");
    }
}

std::uint32_t cpu_feature_bits(const std::string& expanded_target) {
    constexpr std::uint32_t zen4 = TESSERA_CPU_AVX512 | TESSERA_CPU_AVX512_VNNI | TESSERA_CPU_AVX512_BF16 |
                                   TESSERA_CPU_AVX512_VBMI | TESSERA_CPU_AVX512_VBMI2;
    static const std::map<std::string, std::uint32_t> bits{{"sse41", TESSERA_CPU_SSE41},
                                                           {"avx", TESSERA_CPU_AVX},
                                                           {"f16c", TESSERA_CPU_F16C},
                                                           {"fma", TESSERA_CPU_FMA},
                                                           {"avx2", TESSERA_CPU_AVX2},
                                                           {"avx512", TESSERA_CPU_AVX512},
                                                           {"avx512_skylake", TESSERA_CPU_AVX512},
                                                           {"avx512_cannonlake", TESSERA_CPU_AVX512 | TESSERA_CPU_AVX512_VBMI},
                                                           {"avx512_zen4", zen4},
                                                           {"avx512_zen5", zen4 | TESSERA_CPU_AVX_VNNI},
                                                           {"avx512_sapphirerapids", zen4 | TESSERA_CPU_AVX_VNNI},
                                                           {"avxvnni", TESSERA_CPU_AVX_VNNI}};
    std::uint32_t all = 0;
    for (size_t at = 0; at < expanded_target.size();) {
        const size_t end = std::min(expanded_target.find('-', at), expanded_target.size());
        if (const auto found = bits.find(expanded_target.substr(at, end - at)); found != bits.end()) all |= found->second;
        at = end + 1;
    }
    return all;
}

void compile_cpu_kernels(ModuleState& state, const CompileOptions& options) {
    require_routines(state.algorithm);
    KernelSignature signature = kernel_signature(state.algorithm, true);
    const std::string target = to_text(state.target);
    std::vector<KernelVariant> variants;
    std::string hashes;
    bool hashed = true;
    const bool disk_cache = options.disk_cache && !options.profile;
    state.from_disk_cache = disk_cache;
    for (const ScheduleChoice& choice : schedule_choices(state.schedule)) {
        KernelVariant variant{.name = choice.name};
        const Algorithm algorithm = algorithm_under(choice, state.algorithm);
        if (!choice.when.empty()) variant.when = variant_code(signature, choice.when);
        bool found = false;
        std::optional<CachedKernel> cached;
        if (disk_cache) cached = cached_kernel(algorithm, signature, choice.schedule, state.target, found);
        state.from_disk_cache = state.from_disk_cache && found;
        if (cached) {
            variant.argv = cached->argv;
            hashes += cached->code_hash;
            state.code.push_back(std::move(cached->owner));
        } else {
            hashed = false;
            auto kernel =
                std::make_shared<cpu::CompiledKernel>(cpu::jit(bind(algorithm, choice.schedule), target, cpu::KernelChecks::none,
                                                               options.profile ? cpu::Profiling::stages : cpu::Profiling::off));
            check_parameters(algorithm, signature, kernel->parameters);
            variant.call = call_compiled;
            variant.context = kernel.get();
            state.code.push_back(std::move(kernel));
        }
        variants.push_back(std::move(variant));
    }
    if (hashed) state.code_hash = variants.size() == 1 ? hashes : sha256(hashes);
    state.storage = std::make_unique<DescriptorStorage>(std::move(signature), std::move(variants));
}

}  // namespace tessera
