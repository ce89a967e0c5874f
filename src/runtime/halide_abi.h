#pragma once

#include <tessera/tessera_runtime.h>

#include <cstddef>
#include <cstdint>

// The memory layout of what Halide 21 kernels take, declared anew so that shipped programs need no Halide header.
// Source: HalideRuntime.h of Halide 21, halide_buffer_t, halide_dimension_t, halide_type_t.
namespace tessera::runtime {

struct HalideType {
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
};

struct HalideDim {
    int32_t min;
    int32_t extent;
    int32_t stride;
    uint32_t flags;
};

/// Dims innermost first.
struct HalideBuffer {
    uint64_t device;
    const void* device_interface;
    uint8_t* host;
    uint64_t flags;
    HalideType type;
    int32_t dimensions;
    HalideDim* dim;
    void* padding;
};
static_assert(sizeof(HalideDim) == 16 && sizeof(HalideBuffer) == 56 && offsetof(HalideBuffer, dim) == 40);

[[nodiscard]] constexpr HalideType halide_type(int32_t dtype) {
    switch (dtype) {
        case TESSERA_BOOL: return {1, 1, 1};
        case TESSERA_I8: return {0, 8, 1};
        case TESSERA_I16: return {0, 16, 1};
        case TESSERA_I32: return {0, 32, 1};
        case TESSERA_I64: return {0, 64, 1};
        case TESSERA_U8: return {1, 8, 1};
        case TESSERA_U16: return {1, 16, 1};
        case TESSERA_U32: return {1, 32, 1};
        case TESSERA_U64: return {1, 64, 1};
        case TESSERA_F16: return {2, 16, 1};
        case TESSERA_BF16: return {4, 16, 1};
        case TESSERA_F32: return {2, 32, 1};
        case TESSERA_F64: return {2, 64, 1};
        case TESSERA_F8E4M3:
        case TESSERA_F8E5M2: return {1, 8, 1};
        default: return {3, 64, 1};  // a handle: no kernel takes it
    }
}

}  // namespace tessera::runtime
