#pragma once

#include <array>
#include <string>
#include <string_view>

// Emitted kernels that were compiled for the emulator, by name, and the switch that leaves one synchronisation of them out.
namespace tessera::cuda_test {

/// Calls a kernel with pointers to its parameters.
using EmulatedCall = void (*)(void* const* params);

/// Makes a kernel known while the program starts.
struct EmulatedKernel {
    EmulatedKernel(const std::string& name, EmulatedCall call);
};
/// Null for a name that was not emitted when the tests were built.
[[nodiscard]] EmulatedCall emulated_call(const std::string& name);

/// What starts a line that can be left out.
inline constexpr std::array<std::string_view, 15> synchronisations{
    "sync_cta",    "sync_warp",       "cp_async_commit",   "cp_async_wait", "mbar_wait",
    "mbar_arrive", "mbar_fence_init", "wgmma_fence",       "wgmma_commit",  "wgmma_wait",
    "sync_named",  "arrive_named",    "fence_proxy_async", "cluster_sync",  "tma_store_wait_read"};
/// The place whose synchronisation is left out, counted in its corpus kernel; -1: none.
void leave_out(int place);
[[nodiscard]] bool left_out(int place);

}  // namespace tessera::cuda_test
