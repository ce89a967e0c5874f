#pragma once

#include <tessera/library.h>

#include "compile/descriptor.h"

#include <functional>
#include <string>
#include <vector>

namespace tessera {

/// A parameter of a GPU kernel: a tessera_cuda_param.
struct CudaParam {
    int kind = 0;
    std::int64_t index = 0, axis = 0;
    Bytecode code;
};
/// A launch: a tessera_cuda_launch along x.
struct CudaLaunch {
    std::string function;
    Bytecode grid;
    std::int64_t threads = 0, shared_bytes = 0, resident = 0, cluster = 1;
    std::vector<CudaParam> params;
};
/// A box of an argument that the copy engine moves: a tessera_cuda_tensor_map. Dims innermost first; strides are the argument's.
struct CudaMap {
    std::int64_t argument = 0;
    int dtype = 0, swizzle_bytes = 0;
    std::vector<Bytecode> extents;
    std::vector<std::int64_t> box;
};
/// A tessera_cuda_reach.
struct CudaReach {
    std::int64_t argument = -1, axis = 0;
    Bytecode most;
};
/// Machine code of one architecture and its launches: a tessera_cuda_variant.
struct CudaVariant {
    std::string name, when;
    Bytecode code;
    std::string arch;
    std::string source;  // CUDA text
    std::string image;   // its machine code
    std::vector<Bytecode> scratch_bytes;
    std::vector<CudaLaunch> launches;
    std::vector<CudaMap> maps;
    std::vector<std::pair<std::int64_t, std::int64_t>> alignments;  // argument, bytes of its base and outer strides
    std::vector<CudaReach> reaches;
};

/// One function of a library for what its C texts say.
struct CFunction {
    struct Variant {
        std::string name, when;
        Bytecode code;
        std::uint32_t cpu_features = 0;
        std::string function;       // the compiled one; beside it stands <function>_argv
        std::string scratch_bytes;  // a formula over dims
    };
    std::string symbol;
    KernelSignature signature;
    std::vector<Variant> variants;
    std::vector<CudaVariant> cuda;  // instead of variants: the function puts its work into a stream
    ScheduleOrigin origin;
    std::string schedule_hash;
    std::vector<std::string> routines;  // C functions that it calls
};

/// The tables of a function's GPU kernels and `static const tessera_cuda_kernel <symbol>_cuda`; `code` writes postfix code.
[[nodiscard]] std::string cuda_tables(const CFunction& function, const std::function<std::string(const Bytecode&)>& code);

/// Throws E0102 for a name that C does not take as an identifier.
void require_c_name(const std::string& name);
/// "int gemm(const tessera_buffer* A, float alpha, tessera_buffer* C)"
[[nodiscard]] std::string c_prototype(const CFunction& function);
/// The descriptor as constants, `const tessera_kernel_descriptor <symbol>_kernel`, and the entry <symbol>, in C99.
[[nodiscard]] std::string c_source(const CFunction& function);
/// The header of a library: every function with its arguments, constraints and errors.
[[nodiscard]] std::string c_header(const std::string& library, const std::string& target,
                                   const std::vector<CFunction>& functions);

/// Dims of an argument for people: "[m, k = 64]".
[[nodiscard]] std::string shape_text(const KernelSignature& signature, const KernelSignature::Arg& arg);
/// What the entry checks of a dim: "extent of A at 0, a multiple of 8".
[[nodiscard]] std::string dim_text(const KernelSignature& signature, const KernelSignature::Dimension& dim);

/// The C headers that c_source() includes, as text.
extern const char* const kernel_header_text;
extern const char* const runtime_header_text;
extern const char* const cuda_header_text;

}  // namespace tessera
