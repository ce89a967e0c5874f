#include "compile/inspect.h"

#include "compile/cuda_kernels.h"
#include "compile/module.h"
#include "compile/staging_folder.h"
#include "schedule/loop_tree.h"
#include "tile/kernel_state.h"
#ifdef TESSERA_HAVE_HALIDE
#include "backend/cpu/cpu_backend.h"
#endif

#include <fmt/format.h>

namespace tessera {
namespace {

std::string backend_text([[maybe_unused]] const BoundSchedule& bound, const Target& target, [[maybe_unused]] IrLevel level) {
    if (target.kind == Target::Kind::interpreter)
        throw Limit(L0901_not_on_target, {}, "the interpreter evaluates definitions: it has neither lowered code nor assembly",
                    {fix("inspect the level graph or schedule, or compile for host")});
    require_available(target);
#ifdef TESSERA_HAVE_HALIDE
    const StagingFolder folder(std::filesystem::temp_directory_path());
    const std::string path = folder.file("text").string();
    cpu::emit(bound, to_text(target), "kernel", level == IrLevel::tile ? cpu::Artifact::statement : cpu::Artifact::assembly,
              path);
    return read_text_file(path);
#else
    return "";
#endif
}

}  // namespace

std::string ir_text(const Algorithm& algorithm, const Schedule& schedule, const Target& target, IrLevel level) {
    if (level == IrLevel::graph) return algorithm.text();
    std::string out;
    for (const ScheduleChoice& choice : schedule_choices(schedule)) {
        BoundSchedule bound =
            bind(target.kind == Target::Kind::cuda ? algorithm : algorithm_under(choice, algorithm), choice.schedule, target);
        const bool lowered = level != IrLevel::schedule && target.kind == Target::Kind::cuda;
        if (!schedule.variants.empty())
            out += fmt::format("// {}{}\n", choice.name, choice.when.empty() ? "" : " when " + choice.when);
        if (lowered) {
            const tile::Program program = cuda_program(algorithm, choice.schedule, target);
            out += level == IrLevel::tile
                       ? to_text(program)
                       : cuda_file(program, "Schedule:\n" + to_json(choice.schedule), target, algorithm.state().name).source;
        } else
            out += level == IrLevel::schedule ? to_text(build_loop_tree(std::move(bound))) : backend_text(bound, target, level);
    }
    return out;
}

std::string inspect_ir(const TileKernel& kernel, const Target& target, IrLevel level) {
    if (level == IrLevel::graph) return kernel.algorithm().text();
    if (level == IrLevel::schedule) return kernel.text();
    const tile::Program program = tile::written_program(kernel, target);
    if (level == IrLevel::tile) return to_text(program);
    return cuda_file(program, "Kernel:\n" + kernel.text(), target, kernel.algorithm().name()).source;
}

std::string Module::inspect_ir(IrLevel level) const {
    return ir_text(state_->algorithm, state_->schedule, state_->target, level);
}

}  // namespace tessera
