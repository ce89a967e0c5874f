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

float column_of(const std::vector<float>& places, size_t column) {
    return column < places.size() ? places[column] : Placement::absent;
}

// A decision that only one of two points has counts like the farthest values of one that both have.
constexpr FourPlaces farthest{1, 1, 1, 1};
FourPlaces squared_apart(FourPlaces a, FourPlaces b) {
    const FourPlaces apart = a - b, square = apart * apart;
    return square < farthest ? square : farthest;
}
double squared_apart(float a, float b) { return std::min((a - b) * (a - b), 1.0f); }

PackedPlaces pack(const std::vector<float>& values, const std::vector<size_t>& columns) {
    PackedPlaces out((columns.size() + 3) / 4, FourPlaces{});
    for (size_t c = 0; c < columns.size(); ++c) out[c / 4][c % 4] = column_of(values, columns[c]);
    return out;
}
double product_of(FourPlaces v) { return static_cast<double>(v[0]) * v[1] * (static_cast<double>(v[2]) * v[3]); }

// A factor 1 / (1 + weight square) for each column: what is alike in one decision stays so whatever the others are.
double likeness(const PackedPlaces& a, const PackedPlaces& b, const PackedPlaces& squared_weights) {
    FourPlaces inverse{1, 1, 1, 1};
    for (size_t c = 0; c < squared_weights.size(); ++c) inverse *= 1 + squared_weights[c] * squared_apart(a[c], b[c]);
    return 1 / product_of(inverse);
}

// Four sums, two in a vector, as the processor adds them at once.
double dot(const double* a, const double* b, size_t count) {
    using Two = double __attribute__((vector_size(16), aligned(8), may_alias));
    Two first{}, second{};
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        first += *reinterpret_cast<const Two*>(a + i) * *reinterpret_cast<const Two*>(b + i);
        second += *reinterpret_cast<const Two*>(a + i + 2) * *reinterpret_cast<const Two*>(b + i + 2);
    }
    for (; i < count; ++i) first[0] += a[i] * b[i];
    return (first[0] + first[1]) + (second[0] + second[1]);
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
PackedPlaces packed_weights(const std::vector<double>& squared_weights, const std::vector<size_t>& columns) {
    return pack(std::vector<float>(squared_weights.begin(), squared_weights.end()), columns);
}

// The posterior with the signal's variance at its optimum.
Factor factor(const std::vector<const PackedPlaces*>& places, const std::vector<double>& values,
              const std::vector<double>& parameters, const PackedPlaces& weights) {
    Factor f;
    const double noise = std::exp(parameters.back());
    const size_t n = places.size();
    f.lower.resize(n);
    for (size_t i = 0; i < n; ++i) {
        f.lower[i].resize(i + 1);
        for (size_t j = 0; j < i; ++j) f.lower[i][j] = likeness(*places[i], *places[j], weights);
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

// Of the posterior by each parameter: half the trace of (a a' / signal - K^-1) dK. Where places are equal only the prior has a
// slope.
std::vector<double> slopes(const Factor& f, const std::vector<const PackedPlaces*>& places, const std::vector<double>& parameters,
                           const std::vector<size_t>& columns, const PackedPlaces& weights) {
    const auto inverses = transposed_inverse(f.lower);
    const size_t n = places.size();
    std::vector<double> out(parameters.size());
    PackedPlaces share(weights.size()), of_row(weights.size());
    for (size_t i = 0; i < n; ++i) {
        std::fill(of_row.begin(), of_row.end(), FourPlaces{});
        for (size_t j = 0; j < i; ++j) {
            FourPlaces inverse{1, 1, 1, 1};
            for (size_t c = 0; c < weights.size(); ++c) {
                const FourPlaces square = weights[c] * squared_apart((*places[i])[c], (*places[j])[c]), under = 1 + square;
                inverse *= under;
                share[c] = square / under;
            }
            const double precision = dot(inverses[i].data() + i, inverses[j].data() + i, n - i);
            const auto factor = static_cast<float>((precision - f.alpha[i] * f.alpha[j] / f.signal) / product_of(inverse));
            for (size_t c = 0; c < weights.size(); ++c) of_row[c] += factor * share[c];
        }
        for (size_t c = 0; c < columns.size(); ++c) out[columns[c]] += static_cast<double>(of_row[c / 4][c % 4]);
        const double precision = dot(inverses[i].data() + i, inverses[i].data() + i, n - i);
        out.back() += 0.5 * std::exp(parameters.back()) * (f.alpha[i] * f.alpha[i] / f.signal - precision);
    }
    for (size_t c = 0; c + 1 < parameters.size(); ++c) out[c] += weight_prior.slope(parameters[c]);
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
    arrange();
    if (steps > 0) climb(order, steps);
    solve();
}

// Which columns tell places apart; in the others all are alike.
void GaussianProcess::arrange() {
    varying_.clear();
    equal_.clear();
    for (size_t c = 0; c + 1 < parameters_.size(); ++c) {
        const float first = column_of(places_.front(), c);
        const bool equal = std::all_of(places_.begin(), places_.end(), [&](const auto& p) { return column_of(p, c) == first; });
        (equal ? equal_ : varying_).push_back(c);
    }
    packed_.clear();
    for (const auto& p : places_) packed_.push_back(pack(p, varying_));
}

// Steps by the signs of the slopes, each with a length of its own (Riedmiller & Braun 1993, "RPROP").
void GaussianProcess::climb(const std::vector<size_t>& fitted, int steps) {
    std::vector<const PackedPlaces*> places;
    std::vector<double> values;
    for (const size_t i : fitted) {
        places.push_back(&packed_[i]);
        values.push_back(values_[i]);
    }
    std::vector<double> best = parameters_, length(parameters_.size(), 0.3), last(parameters_.size());
    double highest = -std::numeric_limits<double>::infinity();
    for (int step = 0; step <= steps; ++step) {
        const PackedPlaces weights = packed_weights(weights_of(parameters_), varying_);
        const Factor f = factor(places, values, parameters_, weights);
        if (f.alpha.empty()) {  // not positive definite
            parameters_ = best;
            parameters_.back() += 1;
            continue;
        }
        if (f.posterior > highest) {
            highest = f.posterior;
            best = parameters_;
        }
        if (step == steps) break;
        const auto slope = slopes(f, places, parameters_, varying_, weights);
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
    std::vector<const PackedPlaces*> places;
    for (const PackedPlaces& p : packed_) places.push_back(&p);
    squared_weights_ = weights_of(parameters_);
    packed_weights_ = packed_weights(squared_weights_, varying_);
    while (true) {
        Factor f = factor(places, values_, parameters_, packed_weights_);
        if (f.alpha.size() == values_.size()) {
            lower_ = std::move(f.lower);
            alpha_ = std::move(f.alpha);
            signal_ = f.signal;
            break;
        }
        parameters_.back() += 1;
    }
    noise_ = std::exp(parameters_.back());
}

// With each place that was seen.
std::vector<double> GaussianProcess::covariances(const std::vector<float>& places) const {
    double equal = 1;  // the factor that is the same for all of them
    for (const size_t c : equal_)
        equal /= 1 + squared_weights_[c] * squared_apart(column_of(places, c), column_of(places_.front(), c));
    const PackedPlaces packed = pack(places, varying_);
    std::vector<double> out;
    out.reserve(packed_.size());
    for (const PackedPlaces& p : packed_) out.push_back(equal * likeness(packed, p, packed_weights_));
    return out;
}

Prediction GaussianProcess::predict(const std::vector<float>& places) const {
    auto k = covariances(places);
    double mean = 0;
    for (size_t i = 0; i < k.size(); ++i) mean += k[i] * alpha_[i];
    const auto half = forward(lower_, std::move(k));
    double left = 1;
    for (const double h : half) left -= h * h;
    return {mean_ + scale_ * mean, scale_ * std::sqrt(signal_ * std::max(left, 1e-10))};
}

void GaussianProcess::add(const std::vector<float>& places, double value) {
    auto row = forward(lower_, covariances(places));
    double left = 1 + noise_;
    for (const double h : row) left -= h * h;
    row.push_back(std::sqrt(std::max(left, 1e-10)));
    lower_.push_back(std::move(row));
    places_.push_back(places);
    values_.push_back((value - mean_) / scale_);
    alpha_ = backward(lower_, forward(lower_, values_));
    // It may be the first to differ in a column.
    if (std::any_of(equal_.begin(), equal_.end(),
                    [&](size_t c) { return column_of(places, c) != column_of(places_.front(), c); })) {
        arrange();
        packed_weights_ = packed_weights(squared_weights_, varying_);
    } else
        packed_.push_back(pack(places, varying_));
}

}  // namespace tessera::tune
