#include "runtime/call_values.h"

#include "runtime/last_error.h"

#include <tessera/float8.h>

#include <bit>

namespace tessera::runtime {

int check_descriptor(const tessera_kernel_descriptor* kernel, const tessera_value* args) {
    if (kernel == nullptr) return fail(TESSERA_ARGUMENT, "the kernel is null");
    if (kernel->abi != TESSERA_KERNEL_ABI)
        return add_fix(fail(TESSERA_INTERNAL, "%s: the kernel was compiled for runtime interface %d, this runtime has %d",
                            kernel->name, kernel->abi, TESSERA_KERNEL_ABI),
                       "link kernels and Tessera::Runtime of one release");
    if (args == nullptr && kernel->arg_count > 0) return fail(TESSERA_ARGUMENT, "%s: the arguments are null", kernel->name);
    return TESSERA_OK;
}

ScalarStorage narrow_scalar(int32_t dtype, const tessera_value& value) {
    static_assert(std::endian::native == std::endian::little);
    ScalarStorage out{};
    switch (dtype) {
        case TESSERA_F16: out.u16 = float16(value.f).bits; break;
        case TESSERA_BF16: out.u16 = bfloat16(value.f).bits; break;
        case TESSERA_F8E4M3: out.u16 = float8_e4m3(value.f).bits; break;
        case TESSERA_F8E5M2: out.u16 = float8_e5m2(value.f).bits; break;
        case TESSERA_F32: out.f32 = static_cast<float>(value.f); break;
        case TESSERA_F64: out.f64 = value.f; break;
        default: out.bits = value.u; break;
    }
    return out;
}

}  // namespace tessera::runtime
