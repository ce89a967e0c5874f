#pragma once
// Runs a kernel on the CPU: every thread is a fiber, what the hardware does asynchronously is done early, late or at random, and
// every access of shared memory is checked for races. The kernel is the text that nvcc compiles; emulated_device.h declares its
// functions.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace tessera::emulator {

/// When asynchronous copies and products happen: at once, as late as allowed, or at random.
enum class Async { eager, lazy, random };

/// Memory that the kernel may touch. Outside all of it an access is a fault; so is a write to what is read-only.
struct GlobalMemory {
    void* begin;
    std::size_t bytes;
    bool read_only = false;
};

struct Options {
    std::uint64_t seed = 0;  // of the order of threads and of what happens at random; 0: threads in their order
    Async async = Async::lazy;
    bool check_races = true;
    bool together = false;             // all clusters at once, for kernels whose CTAs wait for one another
    std::vector<GlobalMemory> memory;  // empty: global memory is not checked
};

struct Shape {
    int grid_x = 1, grid_y = 1, grid_z = 1;
    int threads = 128;
    std::uint32_t shared_bytes = 0;
    int cluster_x = 1, cluster_y = 1;
};

/// What a kernel did wrong. The message begins with the kind of fault, as "race: " or "deadlock: ".
struct Fault : std::runtime_error {
    using runtime_error::runtime_error;
};

struct Counts {
    std::uint64_t switches = 0, warp_products = 0, warpgroup_products = 0, thread_copies = 0, bulk_copies = 0;
};

/// Throws a Fault for the first thing that is wrong.
Counts launch(const Shape& shape, const Options& options, const std::function<void()>& kernel);

/// A tensor for the copy engine: extents and box innermost first, strides in bytes of all but the innermost.
struct TensorShape {
    void* base;
    int element_bytes;
    std::vector<std::uint64_t> extents;
    std::vector<std::uint64_t> strides;
    std::vector<std::uint32_t> box;
    int swizzle = 0;  // 0, 32, 64 or 128 bytes
};

/// The tensor map of emulated kernels. Throws a Fault for what the driver would refuse.
void encode_tensor_map(void* map, const TensorShape& tensor);

}  // namespace tessera::emulator
