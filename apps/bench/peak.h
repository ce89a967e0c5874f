// What this machine can do at most, measured: the roof that kernels are compared with.
#pragma once

#include <string>
#include <vector>

#include "harness.h"

namespace bench {

/// Loops that keep one instruction set busy: `chains` vectors of `lanes` floats.
struct PeakKernel {
    const char* name;
    int lanes, chains;
    /// x = fma(x, factor, term) in every lane of every chain, `steps` times from the chain's number; the sum of one lane of each.
    float (*multiply_adds)(float factor, float term, std::int64_t steps);
    /// to[i] = from[i] + 1
    void (*move)(const float* from, float* to, std::int64_t count);
};
/// Those that this processor runs, the widest first; the last is of every processor.
[[nodiscard]] std::vector<PeakKernel> peak_kernels();

/// A cache or the memory: the bytes of arrays that it holds, and bytes a second read and written there, on one thread and on all.
struct Level {
    std::string name;
    double holds_one = 0, holds_all = 0;
    double bytes_one = 0, bytes_all = 0;
};

/// Best of several rounds on one thread and on `threads` threads: f32 operations of independent fused multiply-adds in registers,
/// and the levels of memory, nearest first; the last one holds everything.
struct Peak {
    double flops_one = 0, flops_all = 0;
    std::vector<Level> levels;
    int threads = 1;

    [[nodiscard]] double flops(int count) const { return count > 1 ? flops_all : flops_one; }
    /// Bytes a second for arrays of `footprint` bytes, where the nearest level that holds them has them.
    [[nodiscard]] double bytes(int count, double footprint) const;
};
[[nodiscard]] Peak measure_peak(int threads);
/// "87 GFLOP/s; L1 …, L2 …, memory 11.9 GB/s on one thread; … on 2"
[[nodiscard]] std::string peak_text(const Peak& peak);

/// The least time that `work` takes under the roof of `peak`.
/// Source: Williams, Waterman & Patterson 2009, "Roofline: an insightful visual performance model".
[[nodiscard]] double roof_seconds(const Work& work, const Peak& peak, int threads);

}  // namespace bench
