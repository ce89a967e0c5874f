#include "fuzz/fuzz_case.h"

#include <tessera/schedule_default.h>
#include <tessera/target.h>

#include "algorithm/called_routine.h"
#include "algorithm/extent_values.h"
#include "fuzz/drawn_case.h"
#include "fuzz/gpu_case.h"
#include "fuzz/nest_comparison.h"
#include "schedule/default_schedule.h"
#include "schedule/loop_tree.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::fuzz {
namespace {

// Whether a loop over a whole dim is empty.
bool has_empty_dim(const DrawnCase& c, const BoundSchedule& bound) {
    ExtentValues extents(c.extents);
    // Others have as many points as their readers need.
    const auto is_empty = [&](const Dim& d) { return (d.state().extent || c.extents.count(d.name())) && extents.of(d) == 0; };
    return std::any_of(bound.graph.stages.begin(), bound.graph.stages.end(), [&](const Stage& s) {
        return std::any_of(s.dims.begin(), s.dims.end(), is_empty) ||
               (s.update && std::any_of(s.update->reduction_dims.begin(), s.update->reduction_dims.end(), is_empty));
    });
}

// The outputs of the kernel compiled for this machine.
interpreter::Outputs run_compiled(const DrawnCase& c, const BoundSchedule& bound, bool checked) {
#if TESSERA_HAVE_HALIDE
    const auto checks = !checked || has_empty_dim(c, bound) ? cpu::KernelChecks::none : cpu::KernelChecks::all;
    const cpu::CompiledKernel kernel = cpu::jit(bound, "host", checks);
    test::Call call(c.algorithm, kernel.parameters, c.named, c.extents);
    if (const int status = kernel.call(call.argv()); status != 0)
        throw Bug(B0951_internal, {}, fmt::format("the kernel returns {}: {}", status, tessera_last_error()));
    return call.outputs;
#else
    (void)c, (void)checked;
    throw Limit(L0901_not_on_target, {}, fmt::format("{} cannot be compiled in this build", bound.graph.algorithm.name()));
#endif
}

constexpr CpuModel wide{.vector_bytes = 64, .vector_registers = 32};

class CaseRun {
public:
    CaseRun(std::uint64_t seed, bool compiled, Family family)
        : seed_(seed), compiled_(compiled), random_(seed),
          case_(family == Family::reals ? draw_real_case(random_) : draw_case(random_, seed % 4 == 1)), wanted_(case_.outputs()) {
    }

    CaseResult run() {
        result_.near_only = case_.tolerance > 0;
        try {
            interpreter::evaluate(case_.algorithm, case_.inputs, wanted_);
        } catch (const Exception& e) {
            fail(std::string("the oracle throws: ") + e.what(), {});
            return result_;
        }
        if (case_.is_hollow() && !case_.is_empty()) return result_;
        try {
            static_cast<void>(make_stages(case_.algorithm));
        } catch (const Limit& e) {
            result_.limit = e.message();  // told, not wrong
            return result_;
        }
        check("random schedule", legal_schedule(), false);
        check_default();
        Schedule roots;
        for (const Stage& s : make_stages(case_.algorithm).stages) roots.stage(s.name).root();
        check("all root", roots, true);
        check_gpu();
        return result_;
    }

private:
    void fail(const std::string& what, const Schedule& schedule) {
        result_.failed = true;
        result_.text = fmt::format("seed {}: {}\nextents: {}\n{}\n{}\n", seed_, what, case_.extents_text(),
                                   case_.algorithm.text(), to_json(schedule));
    }

    void refuse(const std::string& what, const Schedule& schedule) {
        fail(what, schedule);
        result_.refused = true;
    }

    // Where there are many stages, a random schedule is seldom legal as a whole: fewer and fewer of them take part.
    Schedule legal_schedule() {
        Schedule schedule = random_schedule(random_, case_.algorithm);
        if (make_stages(case_.algorithm).stages.size() <= 12) return schedule;
        for (const double share : {0.7, 0.5, 0.5, 0.3, 0.3, 0.2, 0.2, 0.1}) {
            try {
                static_cast<void>(bind(case_.algorithm, schedule));
                break;
            } catch (const Exception&) {
                schedule = random_schedule(random_, case_.algorithm, share);
            }
        }
        return schedule;
    }

    void check_default() {
        if (result_.failed) return;
        try {
            check("default schedule", default_schedule(case_.algorithm, seed_ % 2 == 0 ? CpuModel{} : wide), true);
        } catch (const Exception& e) {
            refuse(std::string("there is no default schedule: ") + e.what(), {});
        }
    }

    void check(const std::string& name, const Schedule& schedule, bool must_bind) {
        if (result_.failed) return;
        std::optional<BoundSchedule> bound;
        try {
            bound = bind(case_.algorithm, schedule);
        } catch (const Bug& e) {
            return fail(name + " bind: " + e.what(), schedule);
        } catch (const Exception& e) {
            if (must_bind) refuse(name + " is refused: " + e.what(), schedule);
            return;
        }
        if (!must_bind) result_.legal = true;
        // The entry of a kernel returns before anything runs when there is nothing to write.
        if (case_.is_empty()) return;
        try {
            std::string found = of_tree(*bound);
            if (found.empty()) found = of_loops(*bound);
            if (found.empty() && compiled_) found = of_kernel(*bound);
            if (!found.empty()) fail(name + " " + found, schedule);
        } catch (const Limit& e) {
            if (must_bind) refuse(name + " is refused: " + e.what(), schedule);
        } catch (const std::exception& e) {
            fail(name + ": " + e.what(), schedule);
        }
    }

    // Drawn apart, so that the other schedules of a seed stay what they are.
    void check_gpu() {
        if (case_.is_empty() || (!compiled_ && seed_ % (case_.tolerance > 0 ? 16 : 4) != 0)) return;
        Random random(seed_ + 1);
        const Schedule drawn = random_gpu_schedule(random, case_.algorithm);
        bool default_legal = false;
        const auto on_gpu = [&](const std::string& name, const Schedule& schedule, bool must_bind, bool& legal) {
            if (result_.failed) return;
            try {
                const std::string found = gpu_fault(case_, schedule, wanted_, seed_, legal);
                if (!found.empty()) fail(name + " " + found, schedule);
            } catch (const Exception& e) {
                // The GPU has no conversions that would round twice.
                const auto* limit = dynamic_cast<const Limit*>(&e);
                if (must_bind && !(limit && limit->code() == L0901_not_on_target))
                    refuse(name + " is refused: " + e.what(), schedule);
            }
        };
        on_gpu("random GPU schedule", drawn, false, result_.legal_on_gpu);
        on_gpu("default GPU schedule", default_schedule(case_.algorithm, parse_target("cuda-sm_80")), true, default_legal);
    }

    // What is wrong; "" when nothing is.
    [[nodiscard]] std::string of_tree(const BoundSchedule& bound) const {
        // Loop trees that call C functions are not executed: kernels call them.
        if (!routine_symbols(case_.algorithm.state()).empty()) return {};
        const LoopTree tree = build_loop_tree(bound);
        try {
            interpreter::Outputs got = case_.outputs();
            interpreter::execute(tree, case_.inputs, got, {.shuffle_seed = seed_ | 1});
            const std::string found = case_.difference(wanted_, got);
            return found.empty() ? "" : "loop tree: " + found + "\n" + to_text(tree);
        } catch (const Limit&) {
            throw;
        } catch (const Exception& e) {
            return std::string("loop tree: ") + e.what() + "\n" + to_text(tree);
        }
    }
    // The loops that the CPU backend gives to Halide against the tree's.
    [[nodiscard]] std::string of_loops(const BoundSchedule& bound) const {
        if (!compiled_ && seed_ % 8 != 0) return {};
#if TESSERA_HAVE_HALIDE
        const std::string found = nest_difference(build_loop_tree(bound));
        return found.empty() ? "" : "loops: " + found;
#else
        return {};
#endif
    }
    [[nodiscard]] std::string of_kernel(const BoundSchedule& bound) const {
        const std::string found = case_.difference(wanted_, run_compiled(case_, bound, seed_ / 2 % 2 == 0));
        return found.empty() ? "" : "compiled: " + found;
    }

    std::uint64_t seed_;
    bool compiled_;
    Random random_;
    DrawnCase case_;
    interpreter::Outputs wanted_;
    CaseResult result_;
};

}  // namespace

CaseResult run_case(std::uint64_t seed, bool compiled, Family family) { return CaseRun(seed, compiled, family).run(); }

}  // namespace tessera::fuzz
