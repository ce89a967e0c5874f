#include "peak.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <limits>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int rounds = 7;

// Macros: the compiler lowers vector types for the target of the function that they are written in, so that a template of no
// target is scalars before it is inlined into one that has registers for them; and sums in an array stay in memory. Twelve chains
// hide the latency of a multiply-add, and leave registers for the factor and the term.
#define BENCH_PEAK_EACH(each) each(0) each(1) each(2) each(3) each(4) each(5) each(6) each(7) each(8) each(9) each(10) each(11)
constexpr int chains = 12;
#define BENCH_PEAK_SUM(i) Vector sum##i = Vector{} + float(i);
#define BENCH_PEAK_STEP(i) sum##i = sum##i * factors + terms;
#define BENCH_PEAK_TOTAL(i) total += sum##i[0];
#define BENCH_PEAK_KERNEL(suffix, attribute, lanes)                                                                    \
    attribute float multiply_adds_##suffix(float factor, float term, std::int64_t steps) {                             \
        using Vector = float __attribute__((vector_size((lanes) * sizeof(float))));                                    \
        BENCH_PEAK_EACH(BENCH_PEAK_SUM)                                                                                \
        const Vector factors = Vector{} + factor, terms = Vector{} + term;                                             \
        for (std::int64_t step = 0; step < steps; ++step) {                                                            \
            BENCH_PEAK_EACH(BENCH_PEAK_STEP)                                                                           \
        }                                                                                                              \
        float total = 0;                                                                                               \
        BENCH_PEAK_EACH(BENCH_PEAK_TOTAL)                                                                              \
        return total;                                                                                                  \
    }                                                                                                                  \
    attribute void move_##suffix(const float* __restrict from, float* __restrict to, std::int64_t count) {             \
        using Vector = float __attribute__((vector_size((lanes) * sizeof(float)), aligned(sizeof(float)), may_alias)); \
        for (std::int64_t i = 0; i + (lanes) <= count; i += (lanes))                                                   \
            *reinterpret_cast<Vector*>(to + i) = *reinterpret_cast<const Vector*>(from + i) + 1.0f;                    \
    }

#if defined(__x86_64__)
BENCH_PEAK_KERNEL(avx512, __attribute__((target("avx512f"))), 16)
BENCH_PEAK_KERNEL(avx2, __attribute__((target("avx2,fma"))), 8)
#endif
BENCH_PEAK_KERNEL(plain, , 4)
#undef BENCH_PEAK_KERNEL
#undef BENCH_PEAK_TOTAL
#undef BENCH_PEAK_STEP
#undef BENCH_PEAK_SUM
#undef BENCH_PEAK_EACH

/// Runs `task(part)` on that many threads at once; the seconds from when all are there to the last end.
template <typename Task>
double seconds_of(int threads, Task&& task) {
    Clock::time_point start;
    std::barrier ready(threads, [&]() noexcept { start = Clock::now(); });
    const auto run = [&](int part) {
        ready.arrive_and_wait();
        task(part);
    };
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(run, i);
    run(0);
    for (std::thread& other : others) other.join();
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double multiply_add_rate(const PeakKernel& kernel, int threads) {
    constexpr std::int64_t steps = 200'000;
    double best = 0;
    std::vector<float> results(std::size_t(threads), 0.5f);
    for (int round = 0; round < rounds; ++round) {
        const double seconds = seconds_of(threads, [&](int part) {
            float& result = results[std::size_t(part)];
            result = kernel.multiply_adds(0.5f + result * 1e-30f, 1.0f, steps);
        });
        best = std::max(best, 2.0 * kernel.lanes * kernel.chains * double(steps) * threads / seconds);
    }
    return best;
}

/// The bytes of the arrays of each thread, together at most half of what a level holds and more than the nearer level does. Where
/// others share a cache, the most that it holds is less than the system says.
std::vector<std::int64_t> sizes_in(double nearer, double holds, int threads) {
    constexpr double beyond_caches = double(std::int64_t{1} << 27);
    std::vector<std::int64_t> sizes;
    for (double bytes = std::min(holds / 2, beyond_caches); sizes.empty() || (nearer > 0 && bytes >= 2 * nearer); bytes /= 2)
        sizes.push_back(std::int64_t(bytes / threads) / 64 * 64);
    return sizes;
}

/// Every thread moves its part of the arrays until `least_bytes` are moved.
double move_rate(const PeakKernel& kernel, int threads, std::int64_t bytes_of_part) {
    constexpr std::int64_t least_bytes = std::int64_t{1} << 26;
    const std::int64_t count = bytes_of_part / 2 / std::int64_t(sizeof(float));
    const std::int64_t times = std::max<std::int64_t>(least_bytes / bytes_of_part, 1);
    std::vector<std::vector<float>> from(std::size_t(threads), std::vector<float>(std::size_t(count), 1.0f)), to = from;
    double best = 0;
    for (int round = 0; round < rounds; ++round) {
        const double seconds = seconds_of(threads, [&](int part) {
            for (std::int64_t i = 0; i < times; ++i)
                kernel.move(from[std::size_t(part)].data(), to[std::size_t(part)].data(), count);
        });
        // The line that is written is read first.
        best = std::max(best, 3.0 * sizeof(float) * double(count) * double(times) * threads / seconds);
    }
    return best;
}

/// The levels that the system tells of, and the memory.
std::vector<Level> levels_of(int threads) {
    struct Cache {
        const char* name;
        int question;
        bool shared;
    };
    std::vector<Level> levels;
#ifdef _SC_LEVEL1_DCACHE_SIZE
    for (const Cache& cache : {Cache{"L1", _SC_LEVEL1_DCACHE_SIZE, false}, Cache{"L2", _SC_LEVEL2_CACHE_SIZE, false},
                               Cache{"L3", _SC_LEVEL3_CACHE_SIZE, true}}) {
        const double holds = double(sysconf(cache.question));
        const double nearer = levels.empty() ? 0 : levels.back().holds_all;
        if (holds > nearer) levels.push_back({cache.name, holds, cache.shared ? holds : holds * threads});
    }
#endif
    levels.push_back({"memory", std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()});
    return levels;
}

}  // namespace

std::vector<PeakKernel> peak_kernels() {
    std::vector<PeakKernel> kernels;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) kernels.push_back({"avx512", 16, chains, multiply_adds_avx512, move_avx512});
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        kernels.push_back({"avx2", 8, chains, multiply_adds_avx2, move_avx2});
#endif
    kernels.push_back({"plain", 4, chains, multiply_adds_plain, move_plain});
    return kernels;
}

double Peak::bytes(int count, double footprint) const {
    for (const Level& level : levels)
        if (footprint <= (count > 1 ? level.holds_all : level.holds_one)) return count > 1 ? level.bytes_all : level.bytes_one;
    return 0;
}

Peak measure_peak(int threads) {
    const PeakKernel kernel = peak_kernels().front();
    Peak peak{.levels = levels_of(threads), .threads = threads};
    peak.flops_one = multiply_add_rate(kernel, 1);
    peak.flops_all = threads == 1 ? peak.flops_one : multiply_add_rate(kernel, threads);
    double nearer_one = 0, nearer_all = 0;
    for (Level& level : peak.levels) {
        // Memory is what lies beyond all caches, the largest size alone.
        const bool cache = &level != &peak.levels.back();
        const auto best_of = [&](double nearer, double holds, int count) {
            double best = 0;
            for (const std::int64_t bytes : sizes_in(cache ? nearer : holds, holds, count))
                best = std::max(best, move_rate(kernel, count, bytes));
            return best;
        };
        level.bytes_one = best_of(nearer_one, level.holds_one, 1);
        level.bytes_all = threads == 1 ? level.bytes_one : best_of(nearer_all, level.holds_all, threads);
        nearer_one = level.holds_one;
        nearer_all = level.holds_all;
    }
    return peak;
}

std::string peak_text(const Peak& peak) {
    const auto rates = [&](double flops, double Level::*bytes) {
        std::string text = fmt::format("{:.0f} GFLOP/s;", flops * 1e-9);
        for (const Level& level : peak.levels)
            text += fmt::format("{} {} {:.1f}", &level == &peak.levels.front() ? "" : ",", level.name, level.*bytes * 1e-9);
        return text + " GB/s";
    };
    std::string text = rates(peak.flops_one, &Level::bytes_one) + " on one thread";
    if (peak.threads > 1) text += fmt::format("; {} on {}", rates(peak.flops_all, &Level::bytes_all), peak.threads);
    return text;
}

double roof_seconds(const Work& work, const Peak& peak, int threads) {
    return std::max(work.operations / peak.flops(threads), work.bytes / peak.bytes(threads, work.bytes));
}

}  // namespace bench
