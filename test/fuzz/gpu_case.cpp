#include "fuzz/gpu_case.h"

#include <tessera/target.h>

#include "backend/cuda/cuda_source.h"
#include "fuzz/fuzz_schedule.h"
#include "schedule/loop_tree.h"
#include "tile/lower.h"

#include <fmt/format.h>

#include <algorithm>

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

// Threads scan rows of integers together, at root: floats would round otherwise than the oracle.
void share_scans(Random& random, const Algorithm& algorithm, Schedule& schedule) {
    for (const Stage& s : make_stages(algorithm).stages) {
        const bool floats = std::any_of(s.dtypes.begin(), s.dtypes.end(), [](DType t) { return is_float(t); });
        if (s.kind != Stage::Kind::scan || floats || !chance(random, 0.6)) continue;
        const std::int64_t own = pick(random, std::vector<std::int64_t>{1, 2, 3}), threads = chance(random, 0.5) ? 4 : 64;
        std::vector<LoopSpec> loops;
        for (const Dim& d : update_pure_dims(s))
            loops.push_back({.dim = d.name(), .as = chance(random, 0.5) ? LoopKind::block : LoopKind::serial});
        std::stable_partition(loops.begin(), loops.end(), [](const LoopSpec& l) { return l.as == LoopKind::block; });
        const std::string t = s.update->reduction_dims[0].name();
        loops.push_back({.dim = t, .tile = own * threads, .name = t + ".round"});
        loops.push_back(
            {.dim = t, .tile = own > 1 ? std::optional(own) : std::nullopt, .as = LoopKind::thread, .name = t + ".own"});
        if (own > 1) loops.push_back({.dim = t, .as = chance(random, 0.5) ? LoopKind::unroll : LoopKind::serial});
        StageSpec& spec = schedule.stages[s.name];
        spec = {};
        spec.compute = Compute{Compute::Kind::root, {}};
        spec.loops = std::move(loops);
        spec.method = Method::blocked;
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
    share_scans(random, algorithm, schedule);
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
