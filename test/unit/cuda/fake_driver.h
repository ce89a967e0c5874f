#pragma once
// A CUDA driver without a GPU: libcuda.so.1 for the test of the runtime. "Device memory" is main memory that it remembers.
#include <cstdint>
#include <string>
#include <vector>

namespace tessera::fake_cuda {

struct Launch {
    std::string image, function;
    unsigned grid[3], threads, shared_bytes;
    void* stream;
    std::vector<void*> params;  // addresses of values, valid during the launch alone
};

struct Map {
    int type;
    void* base;
    std::vector<std::uint64_t> extents, strides;
    std::vector<std::uint32_t> box;
    int swizzle;
};

/// What the driver is to do, and what it was asked.
struct State {
    int devices = 2, capability = 90;
    int multiprocessors = 132;
    int fail_launch = 0, fail_load = 0, fail_synchronize = 0;  // results of these calls
    std::size_t memory_left = std::size_t{1} << 30;
    std::vector<Launch> launches;
    std::vector<Map> maps;
    int live_allocations = 0, modules_loaded = 0, modules_unloaded = 0, contexts_pushed = 0, attributes_set = 0;
    void (*on_launch)(const Launch&) = nullptr;
    double seconds = 0;            // the GPU's clock: events note it
    double launch_seconds = 1e-4;  // a launch moves it by so much, which on_launch may set
    int inits = 0, events = 0, fills = 0;
};
State& state();

}  // namespace tessera::fake_cuda
