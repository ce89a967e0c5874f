#include "tune/gaussian_process.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tessera::tune {
namespace {

constexpr size_t fitted_points = 160;  // more do not change the weights, and the cost is cubic

double covariance_at(const std::vector<float>& a, const std::vector<float>& b, const std::vector<double>& squared_weights) {
    double square = 0;
    const size_t width = squared_weights.size();
    for (size_t d = 0; d < width; ++d) {
        const float x = d < a.size() ? a[d] : Placement::absent, y = d < b.size() ? b[d] : Placement::absent;
        if (x == y) continue;
        const double apart = x == Placement::absent || y == Placement::absent ? 1 : static_cast<double>(x - y);
        square += squared_weights[d] * apart * apart;
    }
    const double distance = std::sqrt(5 * square);
    return (1 + distance + distance * distance / 3) * std::exp(-distance);
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
    double likelihood = -std::numeric_limits<double>::infinity();
};

std::vector<double> weights_of(const std::vector<double>& parameters) {
    std::vector<double> out;
    for (size_t d = 0; d + 1 < parameters.size(); ++d) out.push_back(std::exp(2 * parameters[d]));
    return out;
}

// The likelihood with the signal's variance at its optimum, and a wide prior on the parameters.
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
    double square = 0, log_determinant = 0, prior = 0;
    for (size_t i = 0; i < n; ++i) {
        square += half[i] * half[i];
        log_determinant += std::log(f.lower[i][i]);
    }
    for (size_t d = 0; d + 1 < parameters.size(); ++d) prior += (parameters[d] + 0.5) * (parameters[d] + 0.5) / 4;
    prior += (parameters.back() + 5) * (parameters.back() + 5) / 18;
    f.alpha = backward(f.lower, half);
    f.likelihood =
        -0.5 * static_cast<double>(n) * std::log(std::max(square / static_cast<double>(n), 1e-12)) - log_determinant - prior;
    return f;
}

}  // namespace

std::vector<float> Placement::places(const Point& point) {
    std::vector<float> out(width_, absent);
    for (const Choice& c : point.choices) {
        if (c.decision >= column_.size()) column_.resize(c.decision + 1, -1);
        if (column_[c.decision] < 0) {
            column_[c.decision] = static_cast<std::int32_t>(width_++);
            out.push_back(absent);
        }
        out[static_cast<size_t>(column_[c.decision])] = c.place;
    }
    return out;
}

void GaussianProcess::fit(const std::vector<std::vector<float>>& places, const std::vector<double>& values, size_t width,
                          int steps, Random& random) {
    const double noise = parameters_.empty() ? -5 : parameters_.back();
    if (!parameters_.empty()) parameters_.pop_back();
    parameters_.resize(width, -0.5);
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
    double likelihood = factor(some, some_values, parameters_).likelihood;
    for (int step = 0; step < steps; ++step) {
        std::vector<double> proposal = parameters_;
        // One parameter or all of them.
        if (random.chance(0.7)) {
            double& p = proposal[static_cast<size_t>(random.below(static_cast<std::int64_t>(proposal.size())))];
            p += 1.2 * random.normal();
        } else
            for (double& p : proposal) p += 0.3 * random.normal();
        const double next = factor(some, some_values, proposal).likelihood;
        if (next > likelihood) {
            likelihood = next;
            parameters_ = std::move(proposal);
        }
    }
    solve();
}

void GaussianProcess::solve() {
    while (true) {
        Factor f = factor(places_, values_, parameters_);
        if (f.alpha.size() == values_.size()) {
            lower_ = std::move(f.lower);
            alpha_ = std::move(f.alpha);
            break;
        }
        parameters_.back() += 1;
    }
    squared_weights_ = weights_of(parameters_);
    noise_ = std::exp(parameters_.back());
    const auto half = forward(lower_, values_);
    double square = 0;
    for (const double h : half) square += h * h;
    signal_ = std::max(square / static_cast<double>(values_.size()), 1e-12);
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
