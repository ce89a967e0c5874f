#include "peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int rounds = 7;

// Vectors of 16 floats, one register with AVX-512 and two with AVX2.
using Vector = float __attribute__((vector_size(64)));
constexpr std::int64_t steps = 400'000;

/// Enough independent chains to hide the latency of a multiply-add, few enough to stay in registers.
template <int chains>
inline __attribute__((always_inline)) float multiply_adds(float scale, float add) {
    Vector sums[chains] = {};
    const Vector factor = Vector{} + scale, term = Vector{} + add;
    for (std::int64_t step = 0; step < steps; ++step) {
        for (int chain = 0; chain < chains; ++chain) sums[chain] = sums[chain] * factor + term;
    }
    float total = 0;
    for (const Vector& sum : sums) total += sum[0] + sum[15];
    return total;
}

constexpr int wide_chains = 12, narrow_chains = 6;
#if defined(__x86_64__)
__attribute__((target("avx512f"))) float wide_multiply_adds(float a, float b) { return multiply_adds<wide_chains>(a, b); }
__attribute__((target("avx2,fma"))) float narrow_multiply_adds(float a, float b) { return multiply_adds<narrow_chains>(a, b); }
#endif
float plain_multiply_adds(float a, float b) { return multiply_adds<narrow_chains>(a, b); }

struct Kernel {
    float (*run)(float, float);
    int chains;
};
Kernel best_kernel() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return {wide_multiply_adds, wide_chains};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {narrow_multiply_adds, narrow_chains};
#endif
    return {plain_multiply_adds, narrow_chains};
}

/// Runs `task(part)` on that many threads at once; the seconds from the first start to the last end.
template <typename Task>
double seconds_of(int threads, Task&& task) {
    const auto start = Clock::now();
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back([&task, i] { task(i); });
    task(0);
    for (std::thread& other : others) other.join();
    return std::chrono::duration<double>(Clock::now() - start).count();
}

void copy(const float* from, float* to, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) to[i] = from[i] + 1.0f;
}

}  // namespace

Peak measure_peak(int threads) {
    Peak peak{.threads = threads};
    const Kernel kernel = best_kernel();
    std::vector<float> results(std::size_t(threads), 0.5f);
    constexpr std::int64_t elements = std::int64_t{1} << 24;  // 64 MiB an array
    std::vector<float> from(elements, 1.0f), to(elements, 0.0f);
    for (const int count : {1, threads}) {
        double& flops = count == 1 ? peak.flops_one : peak.flops_all;
        double& bytes = count == 1 ? peak.bytes_one : peak.bytes_all;
        for (int round = 0; round < rounds; ++round) {
            const double compute = seconds_of(count, [&](int part) {
                results[std::size_t(part)] = kernel.run(0.5f + results[std::size_t(part)] * 1e-30f, 1.0f);
            });
            flops = std::max(flops, 2.0 * 16 * kernel.chains * double(steps) * count / compute);
            const std::int64_t share = elements / count;
            const double move =
                seconds_of(count, [&](int part) { copy(from.data() + part * share, to.data() + part * share, share); });
            // The line that is written is read first.
            bytes = std::max(bytes, 3.0 * sizeof(float) * double(share) * count / move);
        }
    }
    if (threads == 1) {
        peak.flops_all = peak.flops_one;
        peak.bytes_all = peak.bytes_one;
    }
    return peak;
}

double roof_seconds(const Work& work, const Peak& peak, int threads) {
    return std::max(work.operations / peak.flops(threads), work.bytes / peak.bytes(threads));
}

}  // namespace bench
