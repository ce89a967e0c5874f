#include <tessera/tune_measure.h>
#include <tessera/tune_strategy.h>

#include "base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace tessera::tune {
namespace {

constexpr int resamples = 2000;

double quantile(const std::vector<double>& sorted, double share) {
    const double at = share * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<size_t>(at);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double median_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return quantile(values, 0.5);
}

}  // namespace

std::string_view word(Verdict verdict) {
    constexpr std::string_view words[] = {"ok", "invalid", "compile_error", "crash", "timeout", "out_of_memory", "wrong"};
    return words[static_cast<std::size_t>(verdict)];
}

Verdict parse_verdict(const std::string& text) {
    for (int v = 0; v <= static_cast<int>(Verdict::wrong); ++v)
        if (word(static_cast<Verdict>(v)) == text) return static_cast<Verdict>(v);
    throw Error(E0601_syntax, {}, fmt::format("there is no verdict {}", text), {fix("restore the file")});
}

Interval bootstrap_median(const std::vector<double>& values, std::uint64_t seed) {
    TESSERA_CHECK(!values.empty(), "a median of nothing");
    Random random(seed);
    std::vector<double> medians, sample(values.size());
    for (int n = 0; n < resamples; ++n) {
        for (double& v : sample) v = values[static_cast<size_t>(random.below(static_cast<std::int64_t>(values.size())))];
        medians.push_back(median_of(sample));
    }
    std::sort(medians.begin(), medians.end());
    return {median_of(values), quantile(medians, 0.025), quantile(medians, 0.975)};
}

bool faster(const std::vector<double>& challenger, const std::vector<double>& incumbent) {
    const size_t rounds = std::min(challenger.size(), incumbent.size());
    if (rounds < 5) return false;
    std::vector<double> ratios;
    for (size_t r = 0; r < rounds; ++r) ratios.push_back(std::log(challenger[r] / incumbent[r]));
    return bootstrap_median(ratios).high < 0;
}

}  // namespace tessera::tune
