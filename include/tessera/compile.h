#pragma once

#include <tessera/algorithm.h>
#include <tessera/buffer.h>
#include <tessera/schedule.h>
#include <tessera/schedule_source.h>
#include <tessera/target.h>
#include <tessera/tessera_cuda.h>

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <variant>

namespace tessera {

/// What a module is called with: a buffer, or the value of a Scalar (converted to the Scalar's dtype).
class ArgumentValue {
public:
    ArgumentValue(AnyBuffer buffer) : value_(std::move(buffer)) {}
    template <class T>
    ArgumentValue(const Buffer<T>& buffer) : value_(buffer.any()) {}
    template <class T>
    requires std::is_arithmetic_v<T> ArgumentValue(T value) : value_(widened(value)) {}
    using Value = std::variant<AnyBuffer, std::int64_t, std::uint64_t, double>;
    [[nodiscard]] const Value& value() const { return value_; }

private:
    template <class T>
    static Value widened(T value) {
        if constexpr (std::is_floating_point_v<T>)
            return static_cast<double>(value);
        else if constexpr (std::is_unsigned_v<T>)
            return static_cast<std::uint64_t>(value);
        else
            return static_cast<std::int64_t>(value);
    }
    Value value_;
};
/// By name; an output that is a tuple takes "f.0", "f.1", ...
using NamedInputs = std::map<std::string, ArgumentValue>;
using NamedOutputs = std::map<std::string, AnyBuffer>;

enum class IrLevel {
    graph,     // the algorithm
    schedule,  // its loop tree under the schedule
    tile,      // what the backend lowered it to
    target     // assembly
};

struct CompileOptions {
    bool profile = false;                 // time stages, see tessera_profile.h; on the CPU, and then not kept on disk
    bool disk_cache = true;               // keep the machine code for the next process, see kernel_cache_folder()
    Require require = Require::default_;  // of a schedule source: what it must know
};

/// Where machine code is kept: $TESSERA_CACHE_DIR, else $XDG_CACHE_HOME/tessera, else ~/.cache/tessera; "" without a home.
[[nodiscard]] std::string kernel_cache_folder();

struct ModuleState;

/// A compiled algorithm in this process; a handle. May be called from several threads at once.
class Module {
public:
    explicit Module(std::shared_ptr<const ModuleState> state) : state_(std::move(state)) {}

    /// Checks every argument, then runs: `gemm({{"A", a}, {"B", b}, {"alpha", 0.5}}, {{"C", c}})`. Extents come from the buffers.
    /// Throws E0701 for a name that is missing or unknown, E07xx and L0902 for what does not fit; nothing is written then.
    /// Of a module for a GPU the buffers' memory is that of the process' first GPU (tessera_cuda_malloc); the call returns when
    /// the GPU is done. Throws E0803 where there is none, E0804 without NVRTC.
    void operator()(const NamedInputs& inputs, const NamedOutputs& outputs) const;
    /// Puts the call into a stream of the GPU and returns. What fails there is reported by tessera_cuda_synchronize.
    void enqueue(const NamedInputs& inputs, const NamedOutputs& outputs, tessera_cuda_stream stream) const;

    /// The bytes that such a call takes for its buffers outside loops, those alive at once in slots that they share over time; 0
    /// when it has none. Checks the arguments and computes nothing.
    [[nodiscard]] std::size_t scratch_bytes(const NamedInputs& inputs, const NamedOutputs& outputs) const;
    /// The call with those bytes given by the caller: at least scratch_bytes(), aligned to 64, this call's alone while it runs.
    void call_with_scratch(const NamedInputs& inputs, const NamedOutputs& outputs, std::span<std::byte> scratch) const;

    /// Text of one level of the compilation. Throws L0901 for a level that the target does not have.
    [[nodiscard]] std::string inspect_ir(IrLevel level) const;
    [[nodiscard]] const Algorithm& algorithm() const;
    [[nodiscard]] const Schedule& schedule() const;
    [[nodiscard]] const Target& target() const;
    /// The kernel as tessera_call() takes it; lives as long as the module.
    [[nodiscard]] const tessera_kernel_descriptor& descriptor() const;
    /// Which source answered and why; "" for a schedule that was given.
    [[nodiscard]] const std::string& schedule_origin() const;
    /// Whether the machine code came from the cache on disk.
    [[nodiscard]] bool from_disk_cache() const;
    /// Hash of the machine code: modules of one hash do the same in the same time. "" where the code is not kept on disk.
    [[nodiscard]] const std::string& code_hash() const;

private:
    std::shared_ptr<const ModuleState> state_;
};

/// Compiles for this process. Variants of the schedule become several kernels, chosen by the extents of each call.
/// Throws E05xx and L0903 for a schedule that does not fit, E0803 for a target that this machine cannot run. For a GPU that is
/// not there the module is made to be inspected; where one is, NVRTC makes the code, and what spills registers is E0804.
[[nodiscard]] Module compile(const Algorithm& algorithm, const Schedule& schedule, const Target& target = {},
                             const CompileOptions& options = {});
/// With the schedule that `source` has for it, or else the default one. Throws E0805 when it has none that `options.require`
/// accepts.
[[nodiscard]] Module compile(const Algorithm& algorithm, const ScheduleSource& source, const Target& target = {},
                             const CompileOptions& options = {});

}  // namespace tessera
