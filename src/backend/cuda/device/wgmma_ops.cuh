#pragma once
// Hopper: what surrounds the products of a warpgroup. The products themselves, wgmma_m64n..., come from wgmma_text.cpp.

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

/// sm_90a | warpgroup | wgmma.fence | Registers and shared memory written before are seen by the products that follow.
TSR_DEV void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

/// sm_90a | warpgroup | wgmma.commit_group | Closes the warpgroup's group of products.
TSR_DEV void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

/// sm_90a | warpgroup | wgmma.wait_group | Waits until at most `groups` of the latest groups are in flight.
template <int groups>
TSR_DEV void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups) : "memory");
}

/// sm_80 | thread | - | The compiler moves no use of `r` across this line.
TSR_DEV void reg_fence(float& r) { asm volatile("" : "+f"(r)::"memory"); }
TSR_DEV void reg_fence(i32& r) { asm volatile("" : "+r"(r)::"memory"); }
TSR_DEV void reg_fence(u32& r) { asm volatile("" : "+r"(r)::"memory"); }

}  // namespace tsr
