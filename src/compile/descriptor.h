#pragma once

#include "compile/extent_bytecode.h"
#include "types/runtime_dtype.h"

#include <tessera/schedule.h>
#include <tessera/tessera_kernel.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tessera {

/// The content of a tessera_kernel_descriptor as values: what a kernel's callers pass and what is checked at entry. One source
/// for the descriptor in memory, the C source of a library, its header and its JSON.
struct KernelSignature {
    struct Dimension {
        std::string name;
        tessera_dim_kind kind = TESSERA_DIM_STATIC;
        int arg = -1, axis = -1;  // of bound dims: the first argument that has it
        std::int64_t value = 0;   // of static dims
        Bytecode code;            // of derived dims, over dims that stand before it
        std::int64_t multiple_of = 1;
        std::int64_t at_most = -1;
    };
    struct Arg {
        std::string name;
        tessera_arg_kind kind = TESSERA_ARG_INPUT;
        DType dtype = DType::f32;
        std::vector<std::int32_t> dims;  // numbers of dimensions
        std::uint32_t flags = 0;         // tessera_arg_flags
        std::int32_t in_place_of = -1;
        Bytecode value_low, value_high;
    };
    struct Requirement {
        Bytecode left, right;
        std::string text;
    };

    std::string name;
    std::vector<Arg> args;  // inputs and scalars in the algorithm's order, then outputs (a tuple's components apart)
    std::vector<Dimension> dims;
    std::vector<Requirement> requirements;
    std::vector<tessera_kernel_param> params;  // of CPU kernels: arguments, every symbolic dim's extent, outputs
};

/// `dense_rows`: buffers must have stride 1 in the last dim, as CPU kernels want them.
[[nodiscard]] KernelSignature kernel_signature(const Algorithm& algorithm, bool dense_rows);
/// Code of a variant's `when`: names are dims and integer Scalars. Throws E0511 with the closest name, L0903 for strides.
[[nodiscard]] Bytecode variant_code(const KernelSignature& signature, const std::string& when);

/// Postfix code as a formula: "h + 2".
[[nodiscard]] std::string bytecode_text(const KernelSignature& signature, const Bytecode& code);

/// The code as a descriptor has it; it must outlive what is returned.
[[nodiscard]] tessera_code c_code(const Bytecode& code);

/// A compiled function and when it is to be called.
struct KernelVariant {
    std::string name;
    Bytecode when;  // empty: always
    std::uint32_t cpu_features = 0;
    int (*argv)(void** params) = nullptr;
    int (*call)(void* context, void** params) = nullptr;
    void* context = nullptr;
};

/// A descriptor in memory with everything that it points to. Neither copied nor moved.
class DescriptorStorage {
public:
    DescriptorStorage(KernelSignature signature, std::vector<KernelVariant> variants);
    DescriptorStorage(const DescriptorStorage&) = delete;
    DescriptorStorage& operator=(const DescriptorStorage&) = delete;
    [[nodiscard]] const tessera_kernel_descriptor& descriptor() const { return descriptor_; }
    [[nodiscard]] const KernelSignature& signature() const { return signature_; }

private:
    KernelSignature signature_;
    std::vector<KernelVariant> variants_;
    std::vector<tessera_arg_descriptor> args_;
    std::vector<tessera_dim_descriptor> dims_;
    std::vector<tessera_requirement> requirements_;
    std::vector<tessera_kernel_variant> compiled_;
    tessera_kernel_descriptor descriptor_{};
};

}  // namespace tessera
