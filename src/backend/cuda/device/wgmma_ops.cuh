#pragma once
// Hopper: what surrounds the products of a warpgroup. The products themselves, wgmma_m64n..., come from wgmma_text.cpp.

namespace tsr {

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
