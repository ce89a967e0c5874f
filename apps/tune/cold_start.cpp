#include "cold_start.h"

#include <tessera/tune_strategy.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tessera_tune {
namespace {

using namespace tessera::tune;

constexpr std::array<std::size_t, 3> first_trials{8, 16, 32};
constexpr std::size_t learned_trials = 128, fewest_others = 32;
using Shares = std::array<double, first_trials.size()>;

// The session's best time over the best among the first so many.
Shares reached(const std::vector<double>& seconds, const std::vector<float>& ranks) {
    std::vector<std::size_t> order(seconds.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return ranks[a] > ranks[b]; });
    const double best = *std::min_element(seconds.begin(), seconds.end());
    Shares out{};
    for (std::size_t c = 0; c < first_trials.size(); ++c) {
        double least = seconds[order[0]];
        for (std::size_t i = 1; i < first_trials[c]; ++i) least = std::min(least, seconds[order[i]]);
        out[c] = best / least;
    }
    return out;
}

// The mean over all orders: the i-th fastest is the best of `count` when none of those before it is among them.
Shares reached_at_random(std::vector<double> seconds) {
    std::sort(seconds.begin(), seconds.end());
    Shares out{};
    for (std::size_t c = 0; c < first_trials.size(); ++c) {
        double none_yet = 1;
        for (std::size_t i = 0; i < seconds.size(); ++i) {
            const double here = std::min(1.0, static_cast<double>(first_trials[c]) / static_cast<double>(seconds.size() - i));
            out[c] += none_yet * here * seconds[0] / seconds[i];
            none_yet *= 1 - here;
        }
    }
    return out;
}

// Learns from trials of the session at random, and orders the others.
double pairwise_after_learning(const ModelGroup& group) {
    Random random(1);
    std::vector<std::size_t> order(group.seconds.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    for (std::size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i)))]);
    ModelGroup seen{group.name, group.kernel, {}, {}}, others = seen;
    for (std::size_t i = 0; i < order.size(); ++i) {
        ModelGroup& part = i < learned_trials ? seen : others;
        part.features.push_back(group.features[order[i]]);
        part.seconds.push_back(group.seconds[order[i]]);
    }
    return LearnedModel::train({seen}).evaluate({others}).pairwise;
}

std::string shares_text(const Shares& r) { return fmt::format("{:.3f} {:.3f} {:.3f}", r[0], r[1], r[2]); }

}  // namespace

std::string cold_start_text(const LearnedModel& model, const std::vector<ModelGroup>& groups) {
    Shares by_model{}, analytic{}, at_random{};
    double cold = 0, learned = 0, learning = 0;
    for (const ModelGroup& g : groups) {
        if (g.seconds.size() <= first_trials.back()) continue;
        cold += 1;
        const Shares parts[] = {reached(g.seconds, model.rank(g.features)), reached(g.seconds, analytic_ranks(g.features)),
                                reached_at_random(g.seconds)};
        for (std::size_t c = 0; c < first_trials.size(); ++c) {
            by_model[c] += parts[0][c];
            analytic[c] += parts[1][c];
            at_random[c] += parts[2][c];
        }
        if (g.seconds.size() < learned_trials + fewest_others) continue;
        learning += 1;
        learned += pairwise_after_learning(g);
    }
    if (cold == 0) return "";
    for (Shares* r : {&by_model, &analytic, &at_random})
        for (double& share : *r) share /= cold;
    std::string out = fmt::format(
        "after 8, 16 and 32 trials, the share of the best in {} sessions: chosen by the model {}, by the analytic model {}, at "
        "random {}\n",
        cold, shares_text(by_model), shares_text(analytic), shares_text(at_random));
    if (learning > 0)
        out += fmt::format("a model of {} trials of a session orders {:.3f} of the pairs of its others rightly ({} sessions)\n",
                           learned_trials, learned / learning, learning);
    return out;
}

}  // namespace tessera_tune
