#include "fuzz/emulated_batch.h"

#include <tessera/schedule_default.h>

#include "backend/cuda/cuda_source.h"
#include "cuda/emulated_run.h"
#include "cuda/emulated_text.h"
#include "fuzz/gpu_case.h"
#include "schedule/loop_tree.h"
#include "tile/lower.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>

#include <dlfcn.h>

namespace tessera::fuzz {
namespace {

struct Emulated {
    std::string name;
    DrawnCase drawn;
    Schedule schedule;
    interpreter::Outputs wanted;
    tile::Program program;
    std::vector<cuda::EmittedKernel> kernels;
};

const Target& gpu() {
    static const Target target = parse_target("cuda-sm_80");
    return target;
}

class Batch {
public:
    Batch(std::uint64_t first, std::uint64_t count, Family family) : family_(family) {
        for (std::uint64_t seed = first; seed < first + count && result_.fault.empty(); ++seed) add(seed);
    }

    BatchResult run(const std::string& folder) {
        if (!result_.fault.empty() || all_.empty()) return result_;
        compile(folder);
        for (const Emulated& e : all_) {
            for (const std::uint64_t order : {0, 5}) {
                if (result_.fault.empty()) result_.fault = fault_of(e, order);
            }
            result_.kernels += e.kernels.size();
        }
        return result_;
    }

private:
    void add(std::uint64_t seed) {
        Random random(seed);
        const DrawnCase drawn = family_ == Family::reals ? draw_real_case(random) : draw_case(random);
        if (drawn.is_empty() || drawn.is_hollow()) return;
        interpreter::Outputs wanted = drawn.outputs();
        interpreter::evaluate(drawn.algorithm, drawn.inputs, wanted);
        try {
            static_cast<void>(make_stages(drawn.algorithm));
        } catch (const Limit&) {
            return;
        }
        ++result_.algorithms;
        const std::string name = fmt::format("{}{}", family_ == Family::reals ? "reals" : "whole", seed);
        add_schedule(name + "_default", drawn, default_schedule(drawn.algorithm, gpu()), wanted, true);
        Random schedules(seed + 1);
        for (const double share : {1.0, 0.7, 0.7, 0.5, 0.5, 0.3, 0.3, 0.2})
            if (add_schedule(name + "_drawn", drawn, random_gpu_schedule(schedules, drawn.algorithm, share), wanted, false))
                break;
    }
    bool add_schedule(const std::string& name, const DrawnCase& drawn, const Schedule& schedule,
                      const interpreter::Outputs& wanted, bool must_be_legal) {
        try {
            tile::Program program = tile::lower(build_loop_tree(bind(drawn.algorithm, schedule, gpu())), gpu());
            std::vector<cuda::EmittedKernel> kernels = cuda::emit_kernels(program, name);
            ++result_.schedules;
            all_.push_back({name, drawn, schedule, wanted, std::move(program), std::move(kernels)});
            return true;
        } catch (const Bug& e) {
            result_.fault = fmt::format("{}: {}", name, e.what());
        } catch (const Exception& e) {
            if (must_be_legal && e.code() != L0901_not_on_target)
                result_.fault = fmt::format("{} is refused: {}", name, e.what());
        }
        return false;
    }

    void compile(const std::string& folder) {
        std::vector<cuda::EmittedKernel> kernels;
        for (const Emulated& e : all_) kernels.insert(kernels.end(), e.kernels.begin(), e.kernels.end());
        const std::string base = fmt::format("{}/{}", folder, all_[0].name);
        std::ofstream(base + ".cpp") << cuda_test::emulated_source(kernels, gpu(), "random algorithms");
        const std::string command =
            fmt::format("{} -std=c++20 -O1 -ffp-contract=off -fPIC -shared -w -I{}/src -I{}/test {}.cpp -o {}.so",
                        TESSERA_EMULATED_COMPILER, TESSERA_SOURCES, TESSERA_SOURCES, base, base);
        if (std::system(command.c_str()) != 0)
            result_.fault = "emitted text does not compile: " + command;
        else if (!dlopen((base + ".so").c_str(), RTLD_NOW | RTLD_LOCAL))
            result_.fault = dlerror();
    }

    static std::string fault_of(const Emulated& e, std::uint64_t order) {
        const auto told = [&](const std::string& what) {
            return fmt::format("{}, thread order {}: {}\nextents: {}\n{}\n{}\n", e.name, order, what, e.drawn.extents_text(),
                               e.drawn.algorithm.text(), to_json(e.schedule));
        };
        try {
            cuda_test::EmulatedRun run(e.drawn.algorithm, e.program, e.kernels, {e.drawn.inputs, e.drawn.outputs()});
            emulator::Options options;
            options.seed = order;
            run.run(options);
            const std::string found = e.drawn.difference(e.wanted, run.outputs());
            return found.empty() ? "" : told(found);
        } catch (const std::exception& fault) {
            return told(fault.what());
        }
    }

    Family family_;
    std::vector<Emulated> all_;
    BatchResult result_;
};

}  // namespace

BatchResult run_batch(std::uint64_t first, std::uint64_t count, Family family, const std::string& folder) {
    return Batch(first, count, family).run(folder);
}

}  // namespace tessera::fuzz
