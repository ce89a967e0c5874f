#pragma once

#include "schedule/bound.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// The CPU backend: bound schedules compiled through Halide, of which nothing shows here.
namespace tessera::cpu {

/// One parameter of a compiled function, in the order in which it takes them.
struct Parameter {
    enum class Kind { argument, dim, output };
    Kind kind = Kind::argument;
    size_t index = 0;      // into arguments(), AlgorithmState::dims or outputs() of the algorithm
    size_t component = 0;  // of an output that is a tuple: one buffer per component
    bool operator==(const Parameter&) const = default;
};

/// A kernel in this process. `call` takes Halide's argv: a pointer per parameter, to a halide_buffer_t (dims reversed, mins 0,
/// innermost stride 1; f16 and bf16 as 16-bit elements), to a scalar of its dtype, or to the int32 extent of a dim. It checks
/// nothing: extents must fit, and all be below 2^31.
struct CompiledKernel {
    std::vector<Parameter> parameters;
    std::function<int(void** argv)> call;
};

/// Whether a kernel made by jit() checks, while it runs, what it relies on: that every access is inside its buffer and its
/// storage, and the extents that the backend promised to the compiler. A check that fails makes `call` return nonzero, with
/// tessera_last_error(). Without them a wrong promise is a wrong result. Checks do not know that an empty loop reads nothing:
/// with an empty extent they may fail.
enum class KernelChecks { none, all };

/// Whether a kernel tells the runtime which stage it is in, see tessera_profile.h.
enum class Profiling { off, stages };

/// Compiles for this machine. `target` is "host" or a subset of its features, as in "x86-64-linux-avx2-fma".
/// Throws E0802 for a target that is not understood, E0803 for one that this machine cannot run, L0901 / L0903 for what this
/// backend has not got.
[[nodiscard]] CompiledKernel jit(const BoundSchedule& bound, std::string_view target = "host",
                                 KernelChecks checks = KernelChecks::none, Profiling profiling = Profiling::off);

enum class Artifact { object, assembly, llvm, statement };
/// What emit() wrote.
struct EmittedKernel {
    std::vector<Parameter> parameters;
    std::string scratch_bytes;  // that its buffers outside loops take, as a formula over the extents of dims: "x*y*4"
};
/// Writes `function` (C linkage, with <function>_argv beside it) for `target` to `path`; throws as jit() does, and E0605. Objects
/// refer to the functions of Tessera::Runtime.
EmittedKernel emit(const BoundSchedule& bound, std::string_view target, const std::string& function, Artifact artifact,
                   const std::string& path, Profiling profiling = Profiling::off);

/// A target with every feature spelled out: "x86-64-linux-avx-avx2-f16c-fma-sse41". Throws E0802.
[[nodiscard]] std::string expanded_target(std::string_view target);

/// What compiles, with versions: "Halide 21.0.0, LLVM 210".
[[nodiscard]] std::string compiler_name();

/// The parameters that jit() and emit() give a kernel.
[[nodiscard]] std::vector<Parameter> parameters(const BoundSchedule& bound);

}  // namespace tessera::cpu
