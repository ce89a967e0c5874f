// What this machine can do at most, measured: the roof that kernels are compared with.
#pragma once

#include "harness.h"

namespace bench {

/// Best of several rounds on one thread and on `threads` threads: f32 operations of independent fused multiply-adds in registers,
/// and bytes a second read from and written to arrays that no cache holds.
struct Peak {
    double flops_one = 0, flops_all = 0;
    double bytes_one = 0, bytes_all = 0;
    int threads = 1;

    [[nodiscard]] double flops(int count) const { return count > 1 ? flops_all : flops_one; }
    [[nodiscard]] double bytes(int count) const { return count > 1 ? bytes_all : bytes_one; }
};
[[nodiscard]] Peak measure_peak(int threads);

/// The least time that `work` takes under the roof of `peak`.
/// Source: Williams, Waterman & Patterson 2009, "Roofline: an insightful visual performance model".
[[nodiscard]] double roof_seconds(const Work& work, const Peak& peak, int threads);

}  // namespace bench
