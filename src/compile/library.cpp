#include <tessera/library.h>

#include "algorithm/called_routine.h"
#include "compile/c_text.h"
#include "compile/cuda_library.h"
#include "compile/inspect.h"
#include "compile/library_json.h"
#include "compile/module.h"
#include "compile/staging_folder.h"
#include "compile/toolchain.h"
#include "schedule/canonical_stages.h"
#ifdef TESSERA_HAVE_HALIDE
#include "backend/cpu/cpu_backend.h"
#include "compile/cpu_kernels.h"
#endif

#include <fmt/format.h>

#include <set>

namespace tessera {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t space_per_kernel = std::size_t{2} << 20;

// Compiles the variants of one function into objects of the staging folder.
CFunction cpu_function([[maybe_unused]] const LibraryKernel& kernel, [[maybe_unused]] const Target& target,
                       [[maybe_unused]] const StagingFolder& staging, [[maybe_unused]] bool profile,
                       [[maybe_unused]] std::vector<fs::path>& objects) {
    CFunction function{.symbol = kernel.name,
                       .signature = kernel_signature(kernel.algorithm, true),
                       .origin = kernel.origin,
                       .routines = routine_symbols(kernel.algorithm.state())};
    function.signature.name = kernel.name;
#ifdef TESSERA_HAVE_HALIDE
    const std::string text = to_text(target);
    const std::uint32_t features = cpu_feature_bits(cpu::expanded_target(text));
    for (const ScheduleChoice& choice : schedule_choices(kernel.schedule)) {
        CFunction::Variant variant{choice.name, choice.when, {}, features, fmt::format("{}_{}", kernel.name, choice.name), "0"};
        if (!choice.when.empty()) variant.code = variant_code(function.signature, choice.when);
        objects.push_back(staging.file(variant.function + ".o"));
        const Algorithm algorithm = algorithm_under(choice, kernel.algorithm);
        const cpu::EmittedKernel emitted =
            cpu::emit(bind(algorithm, choice.schedule), text, variant.function, cpu::Artifact::object, objects.back().string(),
                      profile ? cpu::Profiling::stages : cpu::Profiling::off);
        check_parameters(algorithm, function.signature, emitted.parameters);
        variant.scratch_bytes = emitted.scratch_bytes;
        function.variants.push_back(std::move(variant));
    }
#endif
    return function;
}

CFunction compile_function(const LibraryKernel& kernel, const Target& target, const StagingFolder& staging, bool profile,
                           std::vector<fs::path>& objects) {
    const bool gpu = target.kind == Target::Kind::cuda;
    CFunction function = gpu ? cuda_function(kernel, target, staging) : cpu_function(kernel, target, staging, profile, objects);
    function.schedule_hash = schedule_hash(kernel.algorithm, kernel.schedule);
    staging.write(kernel.name + ".c", c_source(function));
    objects.push_back(staging.file(kernel.name + "_entry.o"));
    compile_c(gpu ? Target::host() : target, staging.file(kernel.name + ".c"), staging.path(), objects.back());
    return function;
}

void require_distinct_names(const std::vector<LibraryKernel>& kernels, const std::string& library) {
    require_c_name(library);
    std::set<std::string> names;
    if (kernels.empty())
        throw Error(E0805_usage, {}, fmt::format("library {} has no kernel", library), {fix("list at least one")});
    for (const LibraryKernel& kernel : kernels) {
        require_c_name(kernel.name);
        if (!names.insert(kernel.name).second)
            throw Error(E0101_duplicate_name, {}, fmt::format("library {} has two functions named {}", library, kernel.name),
                        {fix("give one of them another name")});
    }
}

void require_written(const LibraryKernel& kernel, bool gpu, const Target& target) {
    const SourceLoc where = kernel.algorithm.state().where;
    if (!gpu)
        throw Limit(L0901_not_on_target, where, fmt::format("{} is a kernel for a GPU, not for {}", kernel.name, to_text(target)),
                    {fix("compile for cuda-sm_80"), fix("compile its algorithm with a schedule")});
    if (&kernel.written->algorithm().state() != &kernel.algorithm.state())
        throw Error(E0805_usage, where, fmt::format("{} is given a kernel of another algorithm", kernel.name),
                    {fix("make it by library_kernel()")});
}

std::string emitted_name(IrLevel level) {
    switch (level) {
        case IrLevel::graph: return ".graph";
        case IrLevel::schedule: return ".schedule";
        case IrLevel::tile: return ".stmt";
        case IrLevel::target: return ".s";
    }
    return "";
}

}  // namespace

LibraryFiles compile_library(const std::vector<LibraryKernel>& kernels, const Target& target, const std::string& name,
                             const std::string& out_dir, const LibraryOptions& options) {
    require_available(target);
    const bool gpu = target.kind == Target::Kind::cuda;
    if (target.kind == Target::Kind::interpreter)
        throw Error(E0803_target_unavailable, {},
                    fmt::format("library {} cannot be compiled for {}: it makes no machine code", name, to_text(target)),
                    {fix("compile for host")});
    require_distinct_names(kernels, name);
    if (gpu && options.profile)
        throw Limit(L0901_not_on_target, {}, fmt::format("kernels for {} are not profiled", to_text(target)),
                    {fix("compile for the CPU"), fix("use a profiler of the GPU's maker")});
    for (const LibraryKernel& kernel : kernels)
        if (kernel.written) require_written(kernel, gpu, target);
    const StagingFolder staging(out_dir);
    staging.require_space(space_per_kernel * (kernels.size() + options.emit.size()));
    fs::create_directory(staging.file("tessera"));
    staging.write("tessera/tessera_kernel.h", kernel_header_text);
    staging.write("tessera/tessera_runtime.h", runtime_header_text);
    staging.write("tessera/tessera_cuda.h", cuda_header_text);

    std::vector<fs::path> objects;
    std::vector<CFunction> functions;
    nlohmann::ordered_json metadata{{"tessera_library", library_protocol}, {"name", name}, {"target", to_text(target)}};
#ifdef TESSERA_HAVE_HALIDE
    if (!gpu) metadata["target_features"] = cpu::expanded_target(to_text(target));
#endif
    metadata["versions"] = {{"tessera", tessera_version},
                            {"kernel_abi", int{TESSERA_KERNEL_ABI}},
                            {"c_compiler", compiler_version(c_compiler(gpu ? Target::host() : target))}};
    metadata["functions"] = nlohmann::ordered_json::array();
    for (const LibraryKernel& kernel : kernels) {
        functions.push_back(compile_function(kernel, target, staging, options.profile, objects));
        metadata["functions"].push_back(function_json(functions.back(), kernel.algorithm.hash(), kernel.schedule));
    }
    std::vector<std::string> files{name + ".h", name + ".json"};
    staging.write(files[0], c_header(name, to_text(target), functions));
    staging.write(files[1], metadata.dump(2) + "\n");
    LibraryFiles written{(fs::path(out_dir) / (name + ".a")).string(),
                         (fs::path(out_dir) / files[0]).string(),
                         (fs::path(out_dir) / files[1]).string(),
                         {}};
    for (const IrLevel level : options.emit) {
        std::string text;
        for (const LibraryKernel& kernel : kernels)
            text += kernel.written ? inspect_ir(*kernel.written, target, level)
                                   : ir_text(kernel.algorithm, kernel.schedule, target, level);
        files.push_back(name + emitted_name(level));
        staging.write(files.back(), text);
        written.texts.push_back((fs::path(out_dir) / files.back()).string());
    }
    make_archive(objects, staging.file(name + ".a"));
    files.push_back(name + ".a");
    staging.publish(files);
    return written;
}

LibraryFiles compile_library(const Algorithm& algorithm, const Schedule& schedule, const Target& target, const std::string& name,
                             const std::string& out_dir, const LibraryOptions& options) {
    return compile_library({LibraryKernel{name, algorithm, schedule}}, target, name, out_dir, options);
}

}  // namespace tessera
