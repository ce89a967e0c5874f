// Functions of the suites that compare tools for derivatives: Gaussian mixtures and a recurrent network (Srajer, Kukelova,
// Fitzgibbon 2018, "A benchmark of selected algorithmic differentiation tools on some problems in computer vision and machine
// learning"), with the same written by hand in C. A mixture's factor is given as its diagonal's logarithms and a matrix whose
// lower part is read.
#include <tessera/tessera.h>

#include "gradient_builder.h"
#include "written_gradients.h"

namespace bench {
namespace {

using namespace tessera;

constexpr double tolerance = 1e-10;

const double* values_of(const GradientCase& c, const std::string& name) {
    return static_cast<const double*>(c.arrays.at(name).data());
}

// Results as those of `both`: the value, then an array for every argument that is differentiated by.
Written written_results(const GradientCase& c) {
    Written w;
    w.results.push_back(Buffer<double>(std::vector<std::int64_t>{}));
    for (const int i : c.by) w.results.push_back(Buffer<double>(c.arrays.at(c.arguments[static_cast<std::size_t>(i)]).extents()));
    return w;
}
double* result(const Written& w, std::size_t i) { return static_cast<double*>(w.results[i].data()); }

}  // namespace

GradientCase gmm(std::int64_t dims, std::int64_t gaussians, std::int64_t points) {
    GradientBuilder b("GMM d" + std::to_string(dims) + " k" + std::to_string(gaussians) + " n" + std::to_string(points), "gmm",
                      tolerance);
    Dim n("n", points), k("k", gaussians), i("i", dims), j("j", dims);
    const Input alphas = b.tensor("alphas", {k}, true, 1, f64), means = b.tensor("means", {k, i}, true, 1, f64),
                q = b.tensor("q", {k, i}, true, 0.1, f64), lower = b.tensor("lower", {k, i, j}, true, 0.1, f64),
                x = b.tensor("x", {n, i}, false, 1, f64);
    Func diagonal("diagonal"), strict("strict"), shift("shift"), scaled("scaled"), terms("terms"), each("each"), prior("prior"),
        loss("loss");
    diagonal(k, i) = exp(q(k, i));
    strict(k, i, j) = select(j < i, lower(k, i, j), 0.0);
    shift(k, i) = diagonal(k, i) * means(k, i) + sum({j}, strict(k, i, j) * means(k, j));
    scaled(k, n, i) = diagonal(k, i) * x(n, i) + sum({j}, strict(k, i, j) * x(n, j)) - shift(k, i);
    terms(k, n) = alphas(k) + sum({i}, q(k, i)) - 0.5 * sum({i}, scaled(k, n, i) * scaled(k, n, i));
    each(n) = logsumexp({k}, terms(k, n));
    prior() = 0.5 * (sum({k, i}, diagonal(k, i) * diagonal(k, i)) + sum({k, i, j}, strict(k, i, j) * strict(k, i, j))) -
              sum({k, i}, q(k, i));
    loss() = sum({n}, each(n)) - static_cast<double>(points) * logsumexp({k}, alphas(k)) - prior();
    GradientCase c = std::move(b).finish(loss);
    Written w = written_results(c);
    const auto call = [c, w, points, gaussians, dims](bool gradient) {
        *result(w, 0) =
            written_gmm(static_cast<int>(points), static_cast<int>(gaussians), static_cast<int>(dims), values_of(c, "alphas"),
                        values_of(c, "means"), values_of(c, "q"), values_of(c, "lower"), values_of(c, "x"),
                        gradient ? result(w, 1) : nullptr, result(w, 2), result(w, 3), result(w, 4));
    };
    w.gradient = [call] { call(true); };
    w.value = [call] { call(false); };
    c.written = w;
    return c;
}

GradientCase lstm(std::int64_t layers, std::int64_t steps) {
    GradientBuilder made("LSTM l" + std::to_string(layers) + " c" + std::to_string(steps), "lstm", tolerance);
    Dim l("l", layers), four("four", 4), two("two", 2), b("b", 14), t("t", steps - 1), times("times", steps);
    const Input weights = made.tensor("weights", {l, four, b}, true, 0.5, f64),
                biases = made.tensor("biases", {l, four, b}, true, 0.5, f64), into = made.tensor("into", {b}, true, 1, f64),
                out = made.tensor("out", {b}, true, 1, f64), out_bias = made.tensor("out_bias", {b}, true, 1, f64),
                state = made.tensor("state", {l, two, b}, false, 1, f64),
                sequence = made.tensor("sequence", {times, b}, false, 1, f64);
    std::vector<Func> hidden, cell;
    std::vector<StateVar> states;
    for (std::int64_t i = 0; i < layers; ++i) {
        hidden.emplace_back("hidden" + std::to_string(i));
        cell.emplace_back("cell" + std::to_string(i));
        states.push_back({hidden.back()(t, b), state(i, 0, b)});
        states.push_back({cell.back()(t, b), state(i, 1, b)});
    }
    const auto sigmoid = [](const Expr& v) { return 1.0 / (1.0 + exp(-v)); };
    recurrence(t, states, [&](const Self& self) {
        std::vector<Expr> next;
        Expr flow = sequence(t, b) * into(b);
        for (std::int64_t i = 0; i < layers; ++i) {
            const Expr before = self[2 * i](t - 1, b), held = self[2 * i + 1](t - 1, b);
            const Expr forget = sigmoid(flow * weights(i, 0, b) + biases(i, 0, b)),
                       entry = sigmoid(before * weights(i, 1, b) + biases(i, 1, b)),
                       leave = sigmoid(flow * weights(i, 2, b) + biases(i, 2, b)),
                       change = tanh(before * weights(i, 3, b) + biases(i, 3, b));
            const Expr now_held = held * forget + entry * change;
            flow = leave * tanh(now_held);
            next.push_back(flow);
            next.push_back(now_held);
        }
        return Tuple(next);
    });
    Func guess("guess"), total("total"), loss("loss");
    guess(t, b) = hidden.back()(t, b) * out(b) + out_bias(b);
    total(t) = log(sum({b}, exp(guess(t, b))) + 2.0);
    loss() = -sum({t, b}, (guess(t, b) - total(t)) * sequence(t + 1, b)) / static_cast<double>((steps - 1) * 14);
    GradientCase c = std::move(made).finish(loss);
    Written w = written_results(c);
    const auto call = [c, w, layers, steps](bool gradient) {
        *result(w, 0) = written_lstm(static_cast<int>(layers), static_cast<int>(steps - 1), 14, values_of(c, "weights"),
                                     values_of(c, "biases"), values_of(c, "into"), values_of(c, "out"), values_of(c, "out_bias"),
                                     values_of(c, "state"), values_of(c, "sequence"), gradient ? result(w, 1) : nullptr,
                                     result(w, 2), result(w, 3), result(w, 4), result(w, 5));
    };
    w.gradient = [call] { call(true); };
    w.value = [call] { call(false); };
    c.written = w;
    return c;
}

}  // namespace bench
