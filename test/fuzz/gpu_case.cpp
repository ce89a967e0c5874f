#include "fuzz/gpu_case.h"

#include <tessera/target.h>

#include "backend/cuda/cuda_source.h"
#include "fuzz/fuzz_schedule.h"
#include "schedule/loop_tree.h"
#include "tile/lower.h"

#include <fmt/format.h>

namespace tessera::fuzz {
namespace {

void spread_loops(Random& random, std::vector<LoopSpec>& loops) {
    bool outermost = true;
    for (LoopSpec& l : loops) {
        if (l.as == LoopKind::parallel) l.as = LoopKind::block;
        if (outermost && l.as == LoopKind::serial && chance(random, 0.4)) l.as = LoopKind::block;
        if (l.as == LoopKind::vector || (l.as == LoopKind::serial && chance(random, 0.3))) l.as = LoopKind::thread;
        outermost = outermost && l.as == LoopKind::block;
        l.prefetch.clear();
        l.partition = Partition::auto_;
        // Two threads or blocks would store the same value to one cell, which the emulator calls a race.
        if (l.tail == Tail::shift_inwards) l.tail = Tail::guard;
    }
}

// Lowered with all checks, printed and parsed, emitted.
std::string lowering_fault(const LoopTree& tree, const Target& target) {
    for (const tile::Copies copies : {tile::Copies::as_scheduled, tile::Copies::plain}) {
        const tile::Program program = tile::lower(tree, target, copies);
        const std::string text = to_text(program), again = to_text(tile::parse_program(text, program.bound));
        if (text != again) return fmt::format("a tile program prints differently after parsing:\n{}\n{}", text, again);
        const std::vector<cuda::EmittedKernel> kernels = cuda::emit_kernels(program, "fuzz");
        if (cuda::cuda_source(kernels, target, "fuzz").empty()) return "no text is emitted";
    }
    return {};
}

}  // namespace

Schedule random_gpu_schedule(Random& random, const Algorithm& algorithm, double share) {
    Schedule schedule = random_schedule(random, algorithm, share);
    for (auto& [name, spec] : schedule.stages) {
        if (spec.loops) spread_loops(random, *spec.loops);
        if (spec.init) spread_loops(random, *spec.init);
        spec.store.fold.clear();
        spec.store.in.reset();
        spec.store.space.reset();
        if (chance(random, 0.3)) spec.store.space = chance(random, 0.7) ? Space::shared : Space::register_;
    }
    return schedule;
}

std::string gpu_fault(const DrawnCase& c, const Schedule& schedule, const interpreter::Outputs& wanted, std::uint64_t seed,
                      bool& legal) {
    const Target target = parse_target("cuda-sm_80");
    legal = false;
    try {
        const LoopTree tree = build_loop_tree(bind(c.algorithm, schedule, target));
        interpreter::Outputs got = c.outputs();
        interpreter::execute(tree, c.inputs, got, {.shuffle_seed = seed | 1});
        if (const std::string found = c.difference(wanted, got); !found.empty())
            return "loop tree: " + found + "\n" + to_text(tree);
        const std::string found = lowering_fault(tree, target);
        legal = found.empty();
        return found;
    } catch (const Bug& e) {
        return e.what();
    }
}

}  // namespace tessera::fuzz
