#include "tune/candidate_device.h"

#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera_runtime.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace tessera::tune {
namespace {

using SampleClock = std::chrono::steady_clock;

constexpr double shortest_sample = 1e-3;  // seconds; shorter calls are repeated within a sample
constexpr std::size_t flushed_cpu_bytes = std::size_t{64} << 20;

double elapsed_since(SampleClock::time_point start) { return std::chrono::duration<double>(SampleClock::now() - start).count(); }

class CpuCandidate : public Candidate {
public:
    CpuCandidate(Module module, const KernelArguments& arguments, bool cold)
        : module_(std::move(module)), inputs_(arguments.inputs), outputs_(arguments.named_outputs()), cold_(cold) {}

    [[nodiscard]] const std::string& code_hash() const override { return module_.code_hash(); }
    void run() override { module_(inputs_, outputs_); }
    [[nodiscard]] std::vector<double> take_samples(int count) override {
        std::vector<std::uint8_t> flush(cold_ ? flushed_cpu_bytes : 0);
        auto start = SampleClock::now();
        run();  // pages and caches
        const double once = std::max(elapsed_since(start), 1e-7);
        const int repeats = cold_ ? 1 : static_cast<int>(std::clamp(std::ceil(shortest_sample / once), 1.0, 1000.0));
        std::vector<double> samples;
        for (int s = 0; s < count; ++s) {
            for (std::size_t i = 0; i < flush.size(); i += 64) flush[i] = static_cast<std::uint8_t>(flush[i] + 1);
            start = SampleClock::now();
            for (int r = 0; r < repeats; ++r) run();
            samples.push_back(elapsed_since(start) / repeats);
        }
        return samples;
    }

private:
    Module module_;
    NamedInputs inputs_;
    NamedOutputs outputs_;
    bool cold_;
};

class CpuDevice : public CandidateDevice {
public:
    CpuDevice(const Algorithm& algorithm, const Target& target, const MeasureOptions& options)
        : algorithm_(algorithm), target_(target), options_(options) {}

    [[nodiscard]] MeasureOptions limits() const override { return options_; }
    void require() const override { require_available(target_); }
    void compute_reference(const Schedule& reference, const KernelArguments& arguments,
                           const NamedOutputs& outputs) const override {
        const Module module =
            tessera::compile(algorithm_, reference.stages.empty() ? default_schedule(algorithm_, target_) : reference, target_);
        tessera_set_num_threads(options_.threads);
        module(arguments.inputs, outputs);
    }
    [[nodiscard]] std::unique_ptr<Candidate> compile(const Schedule& schedule, KernelArguments& arguments) const override {
        auto out = std::make_unique<CpuCandidate>(tessera::compile(algorithm_, schedule, target_), arguments, options_.cold);
        tessera_set_num_threads(options_.threads);
        return out;
    }
    [[nodiscard]] Verdict failed_kernel() const override { return Verdict::wrong; }

private:
    const Algorithm& algorithm_;
    const Target& target_;
    const MeasureOptions& options_;
};

}  // namespace

std::unique_ptr<CandidateDevice> cpu_device(const Algorithm& algorithm, const Target& target, const MeasureOptions& options) {
    return std::make_unique<CpuDevice>(algorithm, target, options);
}

std::unique_ptr<CandidateDevice> candidate_device(const Algorithm& algorithm, const Target& target,
                                                  const MeasureOptions& options) {
    return target.kind == Target::Kind::cuda ? cuda_device(algorithm, target, options) : cpu_device(algorithm, target, options);
}

}  // namespace tessera::tune
