#include "tune/gaussian_process.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tessera::tune {
namespace {

constexpr size_t fitted_points = 160;  // more do not change the weights, and the cost is cubic

// Of a log squared weight and of the log noise: normal, wide.
struct Prior {
    double mean, variance;
    [[nodiscard]] double log_density(double x) const { return -(x - mean) * (x - mean) / (2 * variance); }
    [[nodiscard]] double slope(double x) const { return -(x - mean) / variance; }
};
constexpr Prior weight_prior{-1, 8}, noise_prior{-5, 9};

double squared_apart(const std::vector<float>& a, const std::vector<float>& b, size_t column) {
    const float x = column < a.size() ? a[column] : Placement::absent, y = column < b.size() ? b[column] : Placement::absent;
    if (x == y) return 0;
    if (x == Placement::absent || y == Placement::absent) return 1;
    return static_cast<double>(x - y) * static_cast<double>(x - y);
}

double matern(double square) {
    const double distance = std::sqrt(5 * square);
    return (1 + distance + distance * distance / 3) * std::exp(-distance);
}
// By the square of the distance.
double matern_slope(double square) {
    const double distance = std::sqrt(5 * square);
    return -5.0 / 6 * (1 + distance) * std::exp(-distance);
}

double covariance_at(const std::vector<float>& a, const std::vector<float>& b, const std::vector<double>& squared_weights) {
    double square = 0;
    for (size_t c = 0; c < squared_weights.size(); ++c) square += squared_weights[c] * squared_apart(a, b, c);
    return matern(square);
}

// Four sums, which the processor adds at once.
double dot(const double* a, const double* b, size_t count) {
    double sums[4] = {};
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (size_t s = 0; s < 4; ++s) sums[s] += a[i + s] * b[i + s];
    for (; i < count; ++i) sums[0] += a[i] * b[i];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// In place, of the lower triangle; false when it is not positive definite.
bool cholesky(std::vector<std::vector<double>>& m) {
    for (size_t i = 0; i < m.size(); ++i) {
        for (size_t j = 0; j <= i; ++j) {
            const double sum = m[i][j] - dot(m[i].data(), m[j].data(), j);
            if (i != j)
                m[i][j] = sum / m[j][j];
            else if (sum <= 0)
                return false;
            else
                m[i][i] = std::sqrt(sum);
        }
    }
    return true;
}

std::vector<double> forward(const std::vector<std::vector<double>>& lower, std::vector<double> v) {
    for (size_t i = 0; i < v.size(); ++i) v[i] = (v[i] - dot(lower[i].data(), v.data(), i)) / lower[i][i];
    return v;
}

std::vector<double> backward(const std::vector<std::vector<double>>& lower, std::vector<double> v) {
    for (size_t i = v.size(); i-- > 0;) {
        v[i] /= lower[i][i];
        for (size_t k = 0; k < i; ++k) v[k] -= lower[i][k] * v[i];
    }
    return v;
}

struct Factor {
    std::vector<std::vector<double>> lower;
    std::vector<double> alpha;
    double signal = 1;
    double posterior = -std::numeric_limits<double>::infinity();
};

std::vector<double> weights_of(const std::vector<double>& parameters) {
    std::vector<double> out;
    for (size_t c = 0; c + 1 < parameters.size(); ++c) out.push_back(std::exp(parameters[c]));
    return out;
}

// The posterior with the signal's variance at its optimum.
Factor factor(const std::vector<std::vector<float>>& places, const std::vector<double>& values,
              const std::vector<double>& parameters) {
    Factor f;
    const auto weights = weights_of(parameters);
    const double noise = std::exp(parameters.back());
    const size_t n = places.size();
    f.lower.resize(n);
    for (size_t i = 0; i < n; ++i) {
        f.lower[i].resize(i + 1);
        for (size_t j = 0; j < i; ++j) f.lower[i][j] = covariance_at(places[i], places[j], weights);
        f.lower[i][i] = 1 + noise;
    }
    if (!cholesky(f.lower)) return f;
    const auto half = forward(f.lower, values);
    double square = 0, log_determinant = 0, prior = noise_prior.log_density(parameters.back());
    for (size_t i = 0; i < n; ++i) {
        square += half[i] * half[i];
        log_determinant += std::log(f.lower[i][i]);
    }
    for (size_t c = 0; c + 1 < parameters.size(); ++c) prior += weight_prior.log_density(parameters[c]);
    f.alpha = backward(f.lower, half);
    f.signal = std::max(square / static_cast<double>(n), 1e-12);
    f.posterior = -0.5 * static_cast<double>(n) * std::log(f.signal) - log_determinant + prior;
    return f;
}

// The rows of the transposed inverse of a lower triangle: [j][i] is its element (i, j), i >= j.
std::vector<std::vector<double>> transposed_inverse(const std::vector<std::vector<double>>& lower) {
    const size_t n = lower.size();
    std::vector<std::vector<double>> out(n, std::vector<double>(n));
    for (size_t j = 0; j < n; ++j) {
        out[j][j] = 1 / lower[j][j];
        for (size_t i = j + 1; i < n; ++i) out[j][i] = -dot(lower[i].data() + j, out[j].data() + j, i - j) / lower[i][i];
    }
    return out;
}

// Of the posterior by each parameter: half the trace of (a a' / signal - K^-1) dK.
std::vector<double> slopes(const Factor& f, const std::vector<std::vector<float>>& places,
                           const std::vector<double>& parameters) {
    const auto weights = weights_of(parameters);
    const auto inverse = transposed_inverse(f.lower);
    const size_t n = places.size();
    std::vector<double> out(parameters.size()), square(weights.size());
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < i; ++j) {
            double sum = 0;
            for (size_t c = 0; c < weights.size(); ++c) sum += square[c] = weights[c] * squared_apart(places[i], places[j], c);
            const double precision = dot(inverse[i].data() + i, inverse[j].data() + i, n - i);
            const double factor = (f.alpha[i] * f.alpha[j] / f.signal - precision) * matern_slope(sum);
            for (size_t c = 0; c < weights.size(); ++c) out[c] += factor * square[c];
        }
        const double precision = dot(inverse[i].data() + i, inverse[i].data() + i, n - i);
        out.back() += 0.5 * std::exp(parameters.back()) * (f.alpha[i] * f.alpha[i] / f.signal - precision);
    }
    for (size_t c = 0; c < weights.size(); ++c) out[c] += weight_prior.slope(parameters[c]);
    out.back() += noise_prior.slope(parameters.back());
    return out;
}

// In [0, 1]: 0 for powers of two, log2 of the largest odd divisor over three for others.
float oddness(std::int64_t value) {
    if (value <= 0) return 0;
    while (value % 2 == 0) value /= 2;
    return static_cast<float>(std::min(1.0, std::log2(static_cast<double>(value)) / 3));
}

}  // namespace

std::vector<float> Placement::places(const Point& point) {
    std::vector<float> out(width_, absent);
    for (const Choice& c : point.choices) {
        if (c.decision >= column_.size()) column_.resize(c.decision + 1, -1);
        if (column_[c.decision] < 0) {
            column_[c.decision] = static_cast<std::int32_t>(width_);
            width_ += 2;
            out.resize(width_, absent);
        }
        out[static_cast<size_t>(column_[c.decision])] = c.place;
        out[static_cast<size_t>(column_[c.decision]) + 1] = oddness(c.value);
    }
    return out;
}

void GaussianProcess::fit(const std::vector<std::vector<float>>& places, const std::vector<double>& values, size_t width,
                          int steps, Random& random) {
    const double noise = parameters_.empty() ? noise_prior.mean : parameters_.back();
    if (!parameters_.empty()) parameters_.pop_back();
    parameters_.resize(width, weight_prior.mean);
    parameters_.push_back(noise);
    mean_ = 0;
    for (const double v : values) mean_ += v / static_cast<double>(values.size());
    double square = 0;
    for (const double v : values) square += (v - mean_) * (v - mean_);
    scale_ = std::max(std::sqrt(square / static_cast<double>(values.size())), 1e-9);
    places_ = places;
    values_.clear();
    for (const double v : values) values_.push_back((v - mean_) / scale_);

    // The best half and a sample of the others decide the weights.
    std::vector<size_t> order(places.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values_[a] < values_[b]; });
    while (order.size() > fitted_points)
        order.erase(order.begin() + static_cast<std::ptrdiff_t>(fitted_points / 2) +
                    random.below(static_cast<std::int64_t>(order.size() - fitted_points / 2)));
    std::vector<std::vector<float>> some;
    std::vector<double> some_values;
    for (const size_t i : order) {
        some.push_back(places_[i]);
        some_values.push_back(values_[i]);
    }
    climb(some, some_values, steps);
    solve();
}

// Steps by the signs of the slopes, each with a length of its own (Riedmiller & Braun 1993, "RPROP").
void GaussianProcess::climb(const std::vector<std::vector<float>>& places, const std::vector<double>& values, int steps) {
    std::vector<double> best = parameters_, length(parameters_.size(), 0.3), last(parameters_.size());
    double highest = -std::numeric_limits<double>::infinity();
    for (int step = 0; step <= steps; ++step) {
        const Factor f = factor(places, values, parameters_);
        if (f.alpha.empty()) {  // not positive definite
            parameters_ = best;
            parameters_.back() += 1;
            continue;
        }
        if (f.posterior > highest) {
            highest = f.posterior;
            best = parameters_;
        }
        const auto slope = slopes(f, places, parameters_);
        for (size_t p = 0; p < parameters_.size(); ++p) {
            const double same = slope[p] * last[p];
            length[p] = same > 0 ? std::min(1.3 * length[p], 1.0) : same < 0 ? 0.5 * length[p] : length[p];
            last[p] = same < 0 ? 0 : slope[p];
            if (last[p] != 0) parameters_[p] += std::copysign(length[p], last[p]);
        }
    }
    parameters_ = std::move(best);
}

void GaussianProcess::solve() {
    while (true) {
        Factor f = factor(places_, values_, parameters_);
        if (f.alpha.size() == values_.size()) {
            lower_ = std::move(f.lower);
            alpha_ = std::move(f.alpha);
            signal_ = f.signal;
            break;
        }
        parameters_.back() += 1;
    }
    squared_weights_ = weights_of(parameters_);
    noise_ = std::exp(parameters_.back());
}

Prediction GaussianProcess::predict(const std::vector<float>& places) const {
    std::vector<double> k(places_.size());
    double mean = 0;
    for (size_t i = 0; i < k.size(); ++i) {
        k[i] = covariance_at(places, places_[i], squared_weights_);
        mean += k[i] * alpha_[i];
    }
    const auto half = forward(lower_, std::move(k));
    double left = 1;
    for (const double h : half) left -= h * h;
    return {mean_ + scale_ * mean, scale_ * std::sqrt(signal_ * std::max(left, 1e-10))};
}

void GaussianProcess::add(const std::vector<float>& places, double value) {
    std::vector<double> k(places_.size());
    for (size_t i = 0; i < k.size(); ++i) k[i] = covariance_at(places, places_[i], squared_weights_);
    auto row = forward(lower_, std::move(k));
    double left = 1 + noise_;
    for (const double h : row) left -= h * h;
    row.push_back(std::sqrt(std::max(left, 1e-10)));
    lower_.push_back(std::move(row));
    places_.push_back(places);
    values_.push_back((value - mean_) / scale_);
    alpha_ = backward(lower_, forward(lower_, values_));
}

}  // namespace tessera::tune
