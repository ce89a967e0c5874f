#include "tune/analytic_model.h"

#include "tune/loop_features.h"

#include <algorithm>
#include <cmath>

namespace tessera::tune {
namespace {

// Rough constants of a server core; only the ranking counts.
constexpr double issue_per_second = 6e9;
constexpr double bytes_per_second = 10e9;
constexpr double seconds_per_loop = 1e-9;
constexpr double seconds_per_task = 3e-7;
constexpr double seconds_per_allocation = 3e-8;

}  // namespace

std::optional<double> analytic_seconds(std::span<const float> features, const CpuFacts& facts) {
    if (features.size() != loop_feature_count) return std::nullopt;
    const auto value = [&](LoopFeature f) { return std::exp2(static_cast<double>(features[static_cast<size_t>(f)])) - 1; };
    const double tasks = value(LoopFeature::tasks);
    const double used = std::clamp(tasks, 1.0, static_cast<double>(facts.cores));
    const double waves = tasks > 1 ? std::ceil(tasks / used) * used / tasks : 1;
    double instructions = value(LoopFeature::operations_issued) + value(LoopFeature::loads_issued) +
                          2 * value(LoopFeature::stores_issued) + 8 * value(LoopFeature::gathers);
    // Unrolled accumulators beyond the registers are spilled.
    const double live = value(LoopFeature::unrolled);
    if (live > static_cast<double>(facts.vector_registers))
        instructions *= 1 + 0.05 * (live / static_cast<double>(facts.vector_registers) - 1);
    // A single chain of dependent additions waits for each of them.
    if (live < 4) instructions += value(LoopFeature::reduced_operations) * (4 - live) / 2;
    double traffic = value(LoopFeature::input_bytes) + value(LoopFeature::output_bytes);
    if (value(LoopFeature::largest_allocation) > static_cast<double>(facts.l2_bytes))
        traffic += 2 * value(LoopFeature::allocated_bytes);
    return instructions / issue_per_second / used * waves + traffic / bytes_per_second +
           value(LoopFeature::loop_steps) * seconds_per_loop / used + value(LoopFeature::task_starts) * seconds_per_task +
           value(LoopFeature::allocations) * seconds_per_allocation / used;
}

}  // namespace tessera::tune
