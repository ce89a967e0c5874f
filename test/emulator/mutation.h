#pragma once
// Kernels without one of their synchronisations: included between emulated_device.h and the text of a kernel, it gives every
// place where a synchronisation stands a number, and the place `skipped_place` is left out. They must stand as statements, inside
// braces under an if.

namespace tessera::emulator {
/// The place to leave out; -1: none. Defined by the test that uses it.
extern int skipped_place;
}  // namespace tessera::emulator

#define TSR_SKIPPABLE                                        \
    if (::tessera::emulator::skipped_place == __COUNTER__) { \
    } else                                                   \
        ::tsr::
#define cluster_sync TSR_SKIPPABLE cluster_sync
#define cp_async_commit TSR_SKIPPABLE cp_async_commit
#define cp_async_wait TSR_SKIPPABLE cp_async_wait
#define fence_proxy_async TSR_SKIPPABLE fence_proxy_async
#define mbar_arrive TSR_SKIPPABLE mbar_arrive
#define mbar_arrive_cluster TSR_SKIPPABLE mbar_arrive_cluster
#define mbar_arrive_remote TSR_SKIPPABLE mbar_arrive_remote
#define mbar_expect_tx TSR_SKIPPABLE mbar_expect_tx
#define mbar_fence_init TSR_SKIPPABLE mbar_fence_init
#define mbar_wait TSR_SKIPPABLE mbar_wait
#define mbar_wait_cluster TSR_SKIPPABLE mbar_wait_cluster
#define sync_cta TSR_SKIPPABLE sync_cta
#define sync_named TSR_SKIPPABLE sync_named
#define sync_warp TSR_SKIPPABLE sync_warp
#define tma_store_commit TSR_SKIPPABLE tma_store_commit
#define tma_store_wait TSR_SKIPPABLE tma_store_wait
#define tma_store_wait_read TSR_SKIPPABLE tma_store_wait_read
#define wgmma_commit TSR_SKIPPABLE wgmma_commit
#define wgmma_fence TSR_SKIPPABLE wgmma_fence
#define wgmma_wait TSR_SKIPPABLE wgmma_wait
