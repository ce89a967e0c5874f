#include "tune/candidate_device.h"

#include <tessera/schedule_default.h>
#include <tessera/tessera_cuda.h>
#include <tessera/tessera_runtime.h>

#include "backend/cuda/runtime_compiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

namespace tessera::tune {
namespace {

constexpr std::int32_t first_gpu = 0;                              // the first that the process sees
constexpr double shortest_batch = 1e-3;                            // seconds between two events
constexpr std::size_t flushed_gpu_bytes = std::size_t{256} << 20;  // more than the caches of any GPU
constexpr double reference_patience = 10;                          // times the timeout of a candidate: the CPU computes it

void require_ok(int status) {
    if (status == TESSERA_OK) return;
    const ErrorCode code = status == TESSERA_OUT_OF_MEMORY        ? E0711_out_of_memory
                           : status == TESSERA_TARGET_UNAVAILABLE ? E0803_target_unavailable
                                                                  : E0712_kernel_failed;
    const std::string repair = tessera_last_error_fix();
    throw Error(code, {}, tessera_last_error(), {repair.empty() ? note("the driver says so") : fix(repair)});
}

/// Memory of the GPU.
class GpuMemory {
public:
    explicit GpuMemory(std::size_t bytes) : bytes_(bytes) { require_ok(tessera_cuda_malloc(first_gpu, bytes, &data_)); }
    ~GpuMemory() { (void)tessera_cuda_free(first_gpu, data_); }
    GpuMemory(GpuMemory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
    GpuMemory& operator=(GpuMemory&&) = delete;
    [[nodiscard]] void* at(std::size_t offset) const { return static_cast<char*>(data_) + offset; }
    void copy_from_main(const void* from) const { require_ok(tessera_cuda_copy_to(first_gpu, data_, from, bytes_, nullptr)); }
    void copy_to_main(void* to) const { require_ok(tessera_cuda_copy_from(first_gpu, to, data_, bytes_, nullptr)); }
    void fill(std::uint8_t value) const { require_ok(tessera_cuda_fill(first_gpu, data_, value, bytes_, nullptr)); }

private:
    void* data_ = nullptr;
    std::size_t bytes_;
};

class GpuEvent {
public:
    GpuEvent() { require_ok(tessera_cuda_event_create(first_gpu, &event_)); }
    ~GpuEvent() { (void)tessera_cuda_event_free(first_gpu, event_); }
    GpuEvent(const GpuEvent&) = delete;
    GpuEvent& operator=(const GpuEvent&) = delete;
    void record() const { require_ok(tessera_cuda_event_record(first_gpu, event_, nullptr)); }
    [[nodiscard]] double seconds_since(const GpuEvent& before) const {
        double out = 0;
        require_ok(tessera_cuda_seconds_between(first_gpu, before.event_, event_, &out));
        return out;
    }

private:
    tessera_cuda_event event_ = nullptr;
};

class CudaCandidate : public Candidate {
public:
    CudaCandidate(Module module, KernelArguments& arguments, bool cold)
        : module_(std::move(module)), arguments_(arguments), cold_(cold) {}

    [[nodiscard]] const std::string& code_hash() const override { return module_.code_hash(); }
    void run() override {
        bind();
        for (auto& [name, guarded] : arguments_.outputs) output_memory_.at(name).copy_from_main(guarded.with_guards().data());
        module_(inputs_, outputs_);
        for (auto& [name, guarded] : arguments_.outputs) output_memory_.at(name).copy_to_main(guarded.with_guards().data());
        require_ok(tessera_cuda_synchronize(first_gpu, nullptr));
    }
    // Calls follow each other in the stream, so that what starting one takes lies behind the one before.
    [[nodiscard]] std::vector<double> take_samples(int count) override {
        bind();
        (void)batch(1);
        const double once = std::max(batch(1), 1e-7);
        const int calls = flush_.empty() ? static_cast<int>(std::clamp(std::ceil(shortest_batch / once), 1.0, 1000.0)) : 1;
        std::vector<double> samples;
        for (int s = 0; s < count; ++s) {
            for (const GpuMemory& flushed : flush_) flushed.fill(static_cast<std::uint8_t>(s));
            samples.push_back(batch(calls));
        }
        return samples;
    }

private:
    // The GPU's memory is of the candidate that runs, not of those that are compiled and wait.
    void bind() {
        if (before_) return;
        before_.emplace();
        after_.emplace();
        for (const auto& [name, value] : arguments_.inputs) {
            const auto* buffer = std::get_if<AnyBuffer>(&value.value());
            if (!buffer) {
                inputs_.emplace(name, value);
                continue;
            }
            const std::size_t bytes = static_cast<std::size_t>(buffer->size()) * tessera_dtype_bytes(buffer->dtype());
            memory_.emplace_back(bytes);
            memory_.back().copy_from_main(buffer->data());
            inputs_.emplace(name, AnyBuffer(buffer->dtype(), memory_.back().at(0), buffer->extents()));
        }
        // With the guards around them.
        for (auto& [name, guarded] : arguments_.outputs) {
            const auto [at, fresh] = output_memory_.emplace(name, GpuMemory(guarded.with_guards().size()));
            outputs_.emplace(
                name, AnyBuffer(guarded.buffer().dtype(), at->second.at(GuardedBuffer::guard_bytes), guarded.buffer().extents()));
        }
        if (cold_) flush_.emplace_back(flushed_gpu_bytes);
    }

    double batch(int calls) const {
        before_->record();
        for (int c = 0; c < calls; ++c) module_.enqueue(inputs_, outputs_, nullptr);
        after_->record();
        return after_->seconds_since(*before_) / calls;
    }

    Module module_;
    KernelArguments& arguments_;
    bool cold_;
    std::vector<GpuMemory> memory_, flush_;
    std::map<std::string, GpuMemory> output_memory_;
    NamedInputs inputs_;
    NamedOutputs outputs_;
    std::optional<GpuEvent> before_, after_;
};

class CudaDevice : public CandidateDevice {
public:
    CudaDevice(const Algorithm& algorithm, const Target& target, const MeasureOptions& options)
        : algorithm_(algorithm), target_(target), options_(options) {}

    // The driver maps far more than it uses; what is left of the GPU's own memory is its limit.
    [[nodiscard]] MeasureOptions limits() const override {
        MeasureOptions out = options_;
        out.memory_bytes = 0;
        out.timeout_ratio = 0;  // the reference is compiled and run by another compiler and processor
        return out;
    }

    [[nodiscard]] MeasureOptions reference_limits() const override {
        MeasureOptions out = options_;
        out.timeout_seconds *= reference_patience;
        return out;
    }

    void require() const override {
        require_available(target_);
        std::int32_t count = 0, capability = 0;
        require_ok(tessera_cuda_device_count(&count));
        require_ok(tessera_cuda_compute_capability(first_gpu, &capability));
        const int wanted = std::atoi(target_.arch.c_str() + 3);
        const bool exact = !target_.arch.empty() && target_.arch.back() == 'a';
        if (exact ? capability != wanted : capability / 10 != wanted / 10 || capability < wanted)
            throw Error(E0803_target_unavailable, {},
                        fmt::format("the GPU of this machine has compute capability {}.{}, which does not run {}",
                                    capability / 10, capability % 10, to_text(target_)),
                        {fix(fmt::format("tune for cuda-sm_{}{}", capability, capability == 90 ? "a" : ""))});
        (void)cuda::compile_at_run_time("extern \"C\" __global__ void nothing() {}\n", target_.arch, "nothing.cu");
    }

    // By the CPU, which shares neither schedule nor code with the candidates.
    void compute_reference(const Schedule& reference, const KernelArguments& arguments,
                           const NamedOutputs& outputs) const override {
        const Target host = Target::host();
        tessera::compile(algorithm_, reference.stages.empty() ? default_schedule(algorithm_, host) : reference, host)(
            arguments.inputs, outputs);
    }
    [[nodiscard]] std::unique_ptr<Candidate> compile(const Schedule& schedule, KernelArguments& arguments) const override {
        return std::make_unique<CudaCandidate>(tessera::compile(algorithm_, schedule, target_), arguments, options_.cold);
    }
    [[nodiscard]] Verdict failed_kernel() const override { return Verdict::crash; }

private:
    const Algorithm& algorithm_;
    const Target& target_;
    const MeasureOptions& options_;
};

}  // namespace

std::unique_ptr<CandidateDevice> cuda_device(const Algorithm& algorithm, const Target& target, const MeasureOptions& options) {
    return std::make_unique<CudaDevice>(algorithm, target, options);
}

}  // namespace tessera::tune
