#pragma once
// Where a thread is, barriers of a CTA, shuffles, loads and stores, integer atomics.

namespace tsr {

/// sm_80 | thread | %tid.x | The thread in its CTA.
TSR_DEV int tid() { return static_cast<int>(threadIdx.x); }

/// sm_80 | thread | %ctaid.x | The CTA along x.
TSR_DEV int cta_x() { return static_cast<int>(blockIdx.x); }

/// sm_80 | thread | %ctaid.y | The CTA along y.
TSR_DEV int cta_y() { return static_cast<int>(blockIdx.y); }

/// sm_80 | thread | %ctaid.z | The CTA along z.
TSR_DEV int cta_z() { return static_cast<int>(blockIdx.z); }

/// sm_80 | thread | %nctaid.x | The CTAs along x.
TSR_DEV int grid_x() { return static_cast<int>(gridDim.x); }

/// sm_80 | thread | %nctaid.y | The CTAs along y.
TSR_DEV int grid_y() { return static_cast<int>(gridDim.y); }

/// sm_80 | thread | %nctaid.z | The CTAs along z.
TSR_DEV int grid_z() { return static_cast<int>(gridDim.z); }

/// sm_80 | thread | cvta.to.shared | The address of the CTA's dynamic shared memory in the shared window, a multiple of 1024.
TSR_DEV u32 smem_base() {
    extern __shared__ __align__(1024) unsigned char tsr_smem_[];
    return static_cast<u32>(__cvta_generic_to_shared(tsr_smem_));
}

/// sm_80 | cta | barrier.sync | All threads of the CTA.
TSR_DEV void sync_cta() { __syncthreads(); }

/// sm_80 | warp | bar.warp.sync | All lanes of the warp.
TSR_DEV void sync_warp() { __syncwarp(); }

/// sm_80 | cta | barrier.sync | `threads` threads at barrier `id` of 1 to 15; `id` is a literal, or ptxas reserves all 16.
TSR_DEV void sync_named(int id, int threads) { asm volatile("barrier.sync %0, %1;" ::"r"(id), "r"(threads) : "memory"); }

/// sm_80 | cta | barrier.arrive | Counts at barrier `id` without waiting; who meets it there with sync_named sees what was written.
TSR_DEV void arrive_named(int id, int threads) { asm volatile("barrier.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory"); }

/// sm_80 | warp | shfl.sync.bfly | The value of lane ^ mask.
template <class T>
TSR_DEV T shfl_xor(T v, int mask) {
    return __shfl_xor_sync(0xffffffffu, v, mask);
}

/// sm_80 | warp | shfl.sync.up | The value of lane - by; the lane's own below `by`.
template <class T>
TSR_DEV T shfl_up(T v, int by) {
    return __shfl_up_sync(0xffffffffu, v, static_cast<u32>(by));
}

/// sm_80 | warp | shfl.sync.down | The value of lane + by; the lane's own where there is none.
template <class T>
TSR_DEV T shfl_down(T v, int by) {
    return __shfl_down_sync(0xffffffffu, v, static_cast<u32>(by));
}

/// sm_80 | warp | shfl.sync.idx | The value of lane `from`.
template <class T>
TSR_DEV T shfl_idx(T v, int from) {
    return __shfl_sync(0xffffffffu, v, from);
}

/// sm_80 | warp | shfl.sync.idx | The value of lane 0, so that the compiler knows it is the same in the warp.
TSR_DEV int uniform(int v) { return __shfl_sync(0xffffffffu, v, 0); }

/// sm_80 | warp | vote.sync.ballot | Bit l is the condition of lane l.
TSR_DEV u32 vote(bool condition) { return __ballot_sync(0xffffffffu, condition); }

/// sm_80 | thread | ld.global | Loads from global memory; a Vec is one access.
template <class T>
TSR_DEV T ldg(const T* p) {
    return *p;
}

/// sm_80 | thread | st.global | Stores to global memory; a Vec is one access.
template <class T>
TSR_DEV void stg(void* p, T v) {
    *static_cast<T*>(p) = v;
}

/// sm_80 | thread | ld.shared | Loads 1, 2, 4, 8 or 16 bytes from shared memory.
template <class T>
TSR_DEV T lds(u32 address) {
    union Bits {
        u32 w[4];
        u64 d;
        u16 h;
        T v;
    } b;
    if constexpr (sizeof(T) == 16)
        asm volatile("ld.shared.v4.b32 {%0,%1,%2,%3}, [%4];"
                     : "=r"(b.w[0]), "=r"(b.w[1]), "=r"(b.w[2]), "=r"(b.w[3])
                     : "r"(address)
                     : "memory");
    else if constexpr (sizeof(T) == 8)
        asm volatile("ld.shared.b64 %0, [%1];" : "=l"(b.d) : "r"(address) : "memory");
    else if constexpr (sizeof(T) == 4)
        asm volatile("ld.shared.b32 %0, [%1];" : "=r"(b.w[0]) : "r"(address) : "memory");
    else if constexpr (sizeof(T) == 2)
        asm volatile("ld.shared.b16 %0, [%1];" : "=h"(b.h) : "r"(address) : "memory");
    else
        asm volatile("ld.shared.u8 %0, [%1];" : "=r"(b.w[0]) : "r"(address) : "memory");
    return b.v;
}

/// sm_80 | thread | st.shared | Stores 1, 2, 4, 8 or 16 bytes to shared memory.
template <class T>
TSR_DEV void sts(u32 address, T v) {
    union Bits {
        u32 w[4];
        u64 d;
        u16 h;
        T v;
    } b;
    if constexpr (sizeof(T) < 4) b.w[0] = 0;
    b.v = v;
    if constexpr (sizeof(T) == 16)
        asm volatile("st.shared.v4.b32 [%0], {%1,%2,%3,%4};" ::"r"(address), "r"(b.w[0]), "r"(b.w[1]), "r"(b.w[2]), "r"(b.w[3])
                     : "memory");
    else if constexpr (sizeof(T) == 8)
        asm volatile("st.shared.b64 [%0], %1;" ::"r"(address), "l"(b.d) : "memory");
    else if constexpr (sizeof(T) == 4)
        asm volatile("st.shared.b32 [%0], %1;" ::"r"(address), "r"(b.w[0]) : "memory");
    else if constexpr (sizeof(T) == 2)
        asm volatile("st.shared.b16 [%0], %1;" ::"r"(address), "h"(b.h) : "memory");
    else
        asm volatile("st.shared.u8 [%0], %1;" ::"r"(address), "r"(b.w[0]) : "memory");
}

/// sm_80 | thread | atom.global.add | Adds to an integer in global memory, wrapping; returns what was there. T: i32, u32, u64.
template <class T>
TSR_DEV T atom_add(T* p, T v) {
    return atomicAdd(p, v);
}

/// sm_80 | thread | atom.global.min | T: i32, u32, i64, u64.
template <class T>
TSR_DEV T atom_min(T* p, T v) {
    return atomicMin(p, v);
}

/// sm_80 | thread | atom.global.max | T: i32, u32, i64, u64.
template <class T>
TSR_DEV T atom_max(T* p, T v) {
    return atomicMax(p, v);
}

/// sm_80 | thread | atom.global.exch | Puts v there; returns what was there. T: i32, u32, u64.
template <class T>
TSR_DEV T atom_exchange(T* p, T v) {
    return atomicExch(p, v);
}

/// sm_80 | thread | atom.global.cas | Puts v there if `expected` was; returns what was there. T: i32, u32, u64.
template <class T>
TSR_DEV T atom_compare(T* p, T expected, T v) {
    return atomicCAS(p, expected, v);
}

/// sm_80 | thread | atom.shared.add.u32 | Adds to a 32-bit integer in shared memory, wrapping; returns what was there.
TSR_DEV u32 atom_add_shared(u32 address, u32 v) {
    u32 r;
    asm volatile("atom.shared.add.u32 %0, [%1], %2;" : "=r"(r) : "r"(address), "r"(v) : "memory");
    return r;
}

/// sm_80 | thread | atom.shared.min.s32 | The smaller of two 32-bit integers; returns what was there.
TSR_DEV i32 atom_min_shared(u32 address, i32 v) {
    i32 r;
    asm volatile("atom.shared.min.s32 %0, [%1], %2;" : "=r"(r) : "r"(address), "r"(v) : "memory");
    return r;
}

/// sm_80 | thread | atom.shared.max.s32 | The larger of two 32-bit integers; returns what was there.
TSR_DEV i32 atom_max_shared(u32 address, i32 v) {
    i32 r;
    asm volatile("atom.shared.max.s32 %0, [%1], %2;" : "=r"(r) : "r"(address), "r"(v) : "memory");
    return r;
}

/// sm_80 | thread | ld.acquire.gpu | Loads a flag: what was written before its st_release is seen after it.
TSR_DEV u32 ld_acquire(const u32* p) {
    u32 r;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(r) : "l"(p) : "memory");
    return r;
}

/// sm_80 | thread | st.release.gpu | Stores a flag after all that the thread wrote.
TSR_DEV void st_release(u32* p, u32 v) { asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory"); }

/// sm_80 | thread | fence.acq_rel.gpu | Orders the thread's accesses of global memory, as the GPU sees them.
TSR_DEV void fence_gpu() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }

}  // namespace tsr
