#include "bootstrap.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace bench {

double median(std::vector<double> values) {
    const std::size_t middle = values.size() / 2;
    std::nth_element(values.begin(), values.begin() + middle, values.end());
    const double upper = values[middle];
    if (values.size() % 2 == 1) return upper;
    return (*std::max_element(values.begin(), values.begin() + middle) + upper) / 2;
}

Interval bootstrap_median(std::span<const double> values, BootstrapOptions options) {
    std::mt19937_64 rng(options.rng_start);
    std::vector<double> medians(options.resamples);
    std::vector<double> resample(values.size());
    for (double& m : medians) {
        // The bias of % is below 2^-50 for any number of values that was ever measured.
        for (double& drawn : resample) drawn = values[rng() % values.size()];
        m = median(resample);
    }
    std::sort(medians.begin(), medians.end());
    const double tail = (1 - options.confidence) / 2;
    const auto at = [&](double share) { return medians[static_cast<std::size_t>(std::lround(share * (options.resamples - 1)))]; };
    return {at(tail), at(1 - tail)};
}

}  // namespace bench
