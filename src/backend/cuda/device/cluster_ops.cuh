#pragma once
// Hopper: clusters, barriers in shared memory, and the bulk tensor copy engine.

namespace tsr {

/// sm_90 | thread | %cluster_ctarank | The CTA in its cluster.
TSR_DEV u32 cluster_rank() {
    u32 r;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(r));
    return r;
}

/// sm_90 | cluster | barrier.cluster | All threads of the cluster.
TSR_DEV void cluster_sync() {
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

/// sm_90 | thread | mapa.shared::cluster | The address that `address` has in CTA `cta` of the cluster.
TSR_DEV u32 map_shared(u32 address, u32 cta) {
    u32 r;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(r) : "r"(address), "r"(cta));
    return r;
}

/// sm_90 | thread | ld.shared::cluster | Loads 4 bytes from an address of map_shared.
template <class T>
TSR_DEV T lds_cluster(u32 address) {
    union Bits {
        u32 w;
        T v;
    } b;
    static_assert(sizeof(T) == 4);
    asm volatile("ld.shared::cluster.b32 %0, [%1];" : "=r"(b.w) : "r"(address) : "memory");
    return b.v;
}

/// sm_90 | thread | st.shared::cluster | Stores 4 bytes to an address of map_shared.
template <class T>
TSR_DEV void sts_cluster(u32 address, T v) {
    union Bits {
        u32 w;
        T v;
    } b;
    static_assert(sizeof(T) == 4);
    b.v = v;
    asm volatile("st.shared::cluster.b32 [%0], %1;" ::"r"(address), "r"(b.w) : "memory");
}

/// sm_90 | warp | elect.sync | True in one lane of the warp.
TSR_DEV bool elect_one() {
    u32 r;
    asm volatile("{\n.reg .pred P;\nelect.sync _|P, 0xffffffff;\nselp.u32 %0, 1, 0, P;\n}" : "=r"(r)::"memory");
    return r != 0;
}

/// sm_90a | warpgroup | setmaxnreg.inc | The warpgroup takes registers up to this count, a multiple of 8; waits until there are.
template <int registers>
TSR_DEV void reg_alloc() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}

/// sm_90a | warpgroup | setmaxnreg.dec | The warpgroup gives registers back, down to this count, a multiple of 8.
template <int registers>
TSR_DEV void reg_dealloc() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}

/// sm_90 | thread | mbarrier.init | A barrier of 8 bytes in shared memory that completes a phase after `arrivals`.
TSR_DEV void mbar_init(u32 barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

/// sm_90 | thread | fence.mbarrier_init, fence.proxy.async | Initialised barriers are seen by the cluster and the copy engine.
TSR_DEV void mbar_fence_init() {
    asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
}

/// sm_90 | thread | mbarrier.arrive | One arrival at a barrier of the own CTA.
TSR_DEV void mbar_arrive(u32 barrier) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory"); }

/// sm_90 | thread | mbarrier.arrive.expect_tx | One arrival; the phase completes also only after `bytes` have landed in this CTA.
TSR_DEV void mbar_expect_tx(u32 barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

/// sm_90 | thread | mapa, mbarrier.arrive.release.cluster | One arrival at the barrier of this address in CTA `cta` of the cluster.
TSR_DEV void mbar_arrive_cluster(u32 barrier, u32 cta) {
    asm volatile(
        "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
        "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}" ::"r"(barrier),
        "r"(cta)
        : "memory");
}

/// sm_90 | thread | mbarrier.arrive.release.cta | As mbar_arrive_cluster for memory that the copy engine and wgmma alone use: no fence, so what threads wrote stays unseen.
TSR_DEV void mbar_arrive_remote(u32 barrier, u32 cta) {
    asm volatile(
        "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
        "mbarrier.arrive.release.cta.shared::cluster.b64 _, [remote];\n}" ::"r"(barrier),
        "r"(cta)
        : "memory");
}

/// sm_90 | thread | mbarrier.try_wait.parity.acquire.cta | Waits for the end of the phase of this parity; of a fresh barrier, 1 is over.
TSR_DEV void mbar_wait(u32 barrier, u32 parity) {
    asm volatile(
        "{\n.reg .pred P;\nwait%=:\nmbarrier.try_wait.parity.acquire.cta.shared::cta.b64 P, [%0], %1;\n@P bra done%=;\n"
        "bra wait%=;\ndone%=:\n}" ::"r"(barrier),
        "r"(parity)
        : "memory");
}

/// sm_90 | thread | mbarrier.try_wait.parity.acquire.cluster | As mbar_wait, and sees what other CTAs wrote before they arrived.
TSR_DEV void mbar_wait_cluster(u32 barrier, u32 parity) {
    asm volatile(
        "{\n.reg .pred P;\nwait%=:\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 P, [%0], %1;\n@P bra done%=;\n"
        "bra wait%=;\ndone%=:\n}" ::"r"(barrier),
        "r"(parity)
        : "memory");
}

/// sm_90 | thread | fence.proxy.async | What the thread wrote to shared memory is seen by the copy engine and by wgmma.
TSR_DEV void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/// sm_90 | thread | prefetch.tensormap | A hint.
TSR_DEV void tma_prefetch_desc(const TensorMap* map) { asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory"); }

/// sm_90 | thread | cp.async.bulk.tensor.2d | The box at (x, y) to shared memory, zeros outside the tensor; its bytes go to `barrier`.
TSR_DEV void tma_load_2d(u32 to, const TensorMap* map, u32 barrier, int x, int y) {
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(to),
        "l"(map), "r"(barrier), "r"(x), "r"(y)
        : "memory");
}

/// sm_90 | thread | cp.async.bulk.tensor.3d | The box at (x, y, z).
TSR_DEV void tma_load_3d(u32 to, const TensorMap* map, u32 barrier, int x, int y, int z) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::"r"(to),
        "l"(map), "r"(barrier), "r"(x), "r"(y), "r"(z)
        : "memory");
}

/// sm_90 | thread | cp.async.bulk.tensor.4d | The box at (x, y, z, w).
TSR_DEV void tma_load_4d(u32 to, const TensorMap* map, u32 barrier, int x, int y, int z, int w) {
    asm volatile(
        "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(
            to),
        "l"(map), "r"(barrier), "r"(x), "r"(y), "r"(z), "r"(w)
        : "memory");
}

/// sm_90 | thread | cp.async.bulk.tensor.2d.multicast::cluster | To the same address in every CTA of `mask`, its bytes to each one's barrier.
TSR_DEV void tma_load_2d_multicast(u32 to, const TensorMap* map, u32 barrier, int x, int y, u16 mask) {
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%3, %4}], "
        "[%2], %5;" ::"r"(to),
        "l"(map), "r"(barrier), "r"(x), "r"(y), "h"(mask)
        : "memory");
}

/// sm_90 | thread | cp.async.bulk.tensor.3d.multicast::cluster | As tma_load_2d_multicast, the box at (x, y, z).
TSR_DEV void tma_load_3d_multicast(u32 to, const TensorMap* map, u32 barrier, int x, int y, int z, u16 mask) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%3, %4, %5}], "
        "[%2], %6;" ::"r"(to),
        "l"(map), "r"(barrier), "r"(x), "r"(y), "r"(z), "h"(mask)
        : "memory");
}

/// sm_90 | thread | cp.async.bulk.tensor.2d | The box from shared memory to (x, y); what lies outside the tensor is not written.
TSR_DEV void tma_store_2d(const TensorMap* map, u32 from, int x, int y) {
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%2, %3}], [%1];" ::"l"(map), "r"(from), "r"(x),
                 "r"(y)
                 : "memory");
}

/// sm_90 | thread | cp.async.bulk.tensor.3d | The box from shared memory to (x, y, z).
TSR_DEV void tma_store_3d(const TensorMap* map, u32 from, int x, int y, int z) {
    asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4}], [%1];" ::"l"(map), "r"(from), "r"(x),
                 "r"(y), "r"(z)
                 : "memory");
}

/// sm_90 | thread | cp.async.bulk | `bytes` (a multiple of 16) from global to shared memory, both aligned to 16; they go to `barrier`.
TSR_DEV void bulk_load(u32 to, const void* from, u32 bytes, u32 barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to), "l"(from),
                 "r"(bytes), "r"(barrier)
                 : "memory");
}

/// sm_90 | thread | cp.async.bulk | `bytes` (a multiple of 16) from shared to global memory, both aligned to 16.
TSR_DEV void bulk_store(void* to, u32 from, u32 bytes) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to), "r"(from), "r"(bytes) : "memory");
}

/// sm_90 | thread | cp.async.bulk.commit_group | Closes the thread's group of bulk stores.
TSR_DEV void tma_store_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }

/// sm_90 | thread | cp.async.bulk.wait_group.read | Waits until all but `groups` store groups have read shared memory.
template <int groups>
TSR_DEV void tma_store_wait_read() {
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(groups) : "memory");
}

/// sm_90 | thread | cp.async.bulk.wait_group | Waits until all but `groups` store groups are complete.
template <int groups>
TSR_DEV void tma_store_wait() {
    asm volatile("cp.async.bulk.wait_group %0;" ::"n"(groups) : "memory");
}

}  // namespace tsr
