#pragma once
#include <tessera/tessera_kernel.h>

#include <cstdint>

namespace tessera::runtime {

/// The interface number of a kernel's descriptor and that there are arguments; a status with the last error set.
[[nodiscard]] int check_descriptor(const tessera_kernel_descriptor* kernel, const tessera_value* args);

/// A scalar as kernels read it.
union ScalarStorage {
    uint64_t bits;
    float f32;
    double f64;
    int32_t i32;
    int64_t i64;
    uint16_t u16;
};

/// The scalar in its own dtype; integers lie in the low bytes (the targets are little-endian).
[[nodiscard]] ScalarStorage narrow_scalar(int32_t dtype, const tessera_value& value);

}  // namespace tessera::runtime
