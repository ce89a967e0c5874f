#pragma once

#include <tessera/library.h>

#include "compile/descriptor.h"

#include <string>
#include <vector>

namespace tessera {

/// One function of a library for what its C texts say.
struct CFunction {
    struct Variant {
        std::string name, when;
        Bytecode code;
        std::uint32_t cpu_features = 0;
        std::string function;  // the compiled one; beside it stands <function>_argv
    };
    std::string symbol;
    KernelSignature signature;
    std::vector<Variant> variants;
    ScheduleOrigin origin;
    std::string schedule_hash;
};

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

}  // namespace tessera
