#pragma once

#include <tessera/tune_strategy.h>

#include <vector>

namespace tessera::tune {

/// Points as vectors: one place per decision, nothing where a decision was not made. Distances see only decisions that vary.
class Placement {
public:
    /// Column of a decision, made when it is met for the first time.
    [[nodiscard]] std::vector<float> places(const Point& point);
    [[nodiscard]] size_t width() const { return width_; }
    static constexpr float absent = -1;

private:
    std::vector<std::int32_t> column_;
    size_t width_ = 0;
};

struct Prediction {
    double mean = 0, deviation = 0;
};

/// Regression by a Gaussian process, Matern 5/2, with a weight for each decision found by maximum likelihood (Rasmussen &
/// Williams 2006, ch. 2, 4, 5).
class GaussianProcess {
public:
    /// Fits values at places. The weights start from those of the last fit; `steps` proposals are tried to improve them.
    void fit(const std::vector<std::vector<float>>& places, const std::vector<double>& values, size_t width, int steps,
             Random& random);
    [[nodiscard]] Prediction predict(const std::vector<float>& places) const;
    /// As if `value` had been seen there; weights stay.
    void add(const std::vector<float>& places, double value);

private:
    void solve();

    std::vector<std::vector<float>> places_;
    std::vector<double> values_;      // standardized
    std::vector<double> parameters_;  // log weights, then log noise
    std::vector<std::vector<double>> lower_;
    std::vector<double> alpha_;
    std::vector<double> squared_weights_;
    double mean_ = 0, scale_ = 1, noise_ = 1e-2, signal_ = 1;
};

}  // namespace tessera::tune
