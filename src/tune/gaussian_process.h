#pragma once

#include <tessera/tune_strategy.h>

#include <vector>

namespace tessera::tune {

/// Points as vectors, two columns for each decision: its place, and what is odd in its value, as divisors and powers of two
/// decide about edges and alignment. Nothing stands where a decision was not made. Distances see only columns that vary.
class Placement {
public:
    /// The columns of a decision are made when it is met for the first time.
    [[nodiscard]] std::vector<float> places(const Point& point);
    [[nodiscard]] size_t width() const { return width_; }
    static constexpr float absent = -1;

private:
    std::vector<std::int32_t> column_;
    size_t width_ = 0;
};

/// Columns four at a time, as the processor works on them; zero behind the last.
using FourPlaces = float __attribute__((vector_size(16)));
using PackedPlaces = std::vector<FourPlaces>;

struct Prediction {
    double mean = 0, deviation = 0;
};

/// Regression by a Gaussian process. The covariance is a product over the columns of rational quadratics, with a weight for each
/// column where the posterior is highest (Rasmussen & Williams 2006, ch. 2, 4, 5).
class GaussianProcess {
public:
    /// Fits values at places. The weights start from those of the last fit and climb for so many steps; what is random is which
    /// points they are fitted to, where there are many.
    void fit(const std::vector<std::vector<float>>& places, const std::vector<double>& values, size_t width, int steps,
             Random& random);
    [[nodiscard]] Prediction predict(const std::vector<float>& places) const;
    /// As if `value` had been seen there; weights stay.
    void add(const std::vector<float>& places, double value);

private:
    void climb(const std::vector<size_t>& fitted, int steps);
    void solve();
    void arrange();
    [[nodiscard]] std::vector<double> covariances(const std::vector<float>& places) const;

    std::vector<std::vector<float>> places_;
    std::vector<double> values_;           // standardized
    std::vector<double> parameters_;       // log squared weights, then log noise
    std::vector<size_t> varying_, equal_;  // columns in which the places differ, and the others
    std::vector<PackedPlaces> packed_;     // of the varying columns
    PackedPlaces packed_weights_;
    std::vector<std::vector<double>> lower_;
    std::vector<double> alpha_;
    std::vector<double> squared_weights_;
    double mean_ = 0, scale_ = 1, noise_ = 1e-2, signal_ = 1;
};

}  // namespace tessera::tune
