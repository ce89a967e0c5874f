// The statistics of a comparison: the median and how well it is known.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace bench {

/// The median; the mean of the two middle values when their number is even. values: at least one.
[[nodiscard]] double median(std::vector<double> values);

struct Interval {
    double low = 0;
    double high = 0;
};

struct BootstrapOptions {
    double confidence = 0.95;
    int resamples = 2000;
    std::uint64_t rng_start = 20240229;
};

/// An interval that holds the true median with about the given confidence: the quantiles of the medians of resamples drawn with
/// replacement. The same values give the same interval on every machine.
/// Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3 (percentile interval).
[[nodiscard]] Interval bootstrap_median(std::span<const double> values, BootstrapOptions = {});

}  // namespace bench
