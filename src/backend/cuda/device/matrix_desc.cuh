#pragma once
// Descriptors of operands of wgmma in shared memory.

#include "backend/cuda/device/word_types.cuh"

namespace tsr {

/// any | thread | wgmma matrix descriptor | Address, leading and stride offsets in bytes; swizzle 0 none, 1 128 B, 2 64 B, 3 32 B.
TSR_DEV u64 matrix_desc(u32 address, u32 leading, u32 stride, int swizzle) {
    return static_cast<u64>((address & 0x3ffff) >> 4) | static_cast<u64>(leading >> 4) << 16 | static_cast<u64>(stride >> 4) << 32 |
           static_cast<u64>(swizzle) << 62;
}

/// any | thread | wgmma matrix descriptor | Rows of 128 swizzled bytes along k. Adding 2 to the descriptor moves 32 bytes along k.
TSR_DEV u64 desc_k_sw128(u32 address) { return matrix_desc(address, 16, 1024, 1); }

/// any | thread | wgmma matrix descriptor | Rows of 64 swizzled bytes along k.
TSR_DEV u64 desc_k_sw64(u32 address) { return matrix_desc(address, 16, 512, 2); }

/// any | thread | wgmma matrix descriptor | Rows of 32 swizzled bytes along k.
TSR_DEV u64 desc_k_sw32(u32 address) { return matrix_desc(address, 16, 256, 3); }

}  // namespace tsr
