#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

// What profiled kernels write and reports read.
namespace tessera::runtime {

struct StageTexts {
    std::string name, memory_hint, compute_hint;
};

/// What one thread measured of one kernel; only that thread writes.
struct ThreadTimes {
    explicit ThreadTimes(size_t stages) : nanoseconds(stages), entries(stages) {}
    std::vector<std::atomic<std::int64_t>> nanoseconds, entries;
};

/// A kernel that was compiled with profiling; lives until the program ends.
struct ProfiledKernel {
    std::string name;
    std::vector<StageTexts> stages;
    std::atomic<std::int64_t> calls{0}, wall_nanoseconds{0};
    std::vector<std::atomic<double>> operations, bytes;  // per stage, summed over calls
    std::mutex mutex;                                    // of `threads`
    std::vector<std::unique_ptr<ThreadTimes>> threads;
};

/// A stretch of time in which a thread worked on a stage and what stands inside its loops.
struct Span {
    const ProfiledKernel* kernel;
    int stage;
    std::int64_t begin, end;  // nanoseconds of the steady clock
};
struct ThreadSpans {
    static constexpr size_t most = 65536;
    std::mutex mutex;
    std::vector<Span> spans;
    std::int64_t dropped = 0;
};

struct ProfileRegistry {
    std::mutex mutex;
    std::vector<std::unique_ptr<ProfiledKernel>> kernels;
    std::vector<std::unique_ptr<ThreadSpans>> threads;
    double roof_operations = 0, roof_bytes = 0;
};
[[nodiscard]] ProfileRegistry& profile_registry();

}  // namespace tessera::runtime
