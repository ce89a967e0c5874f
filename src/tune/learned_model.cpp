#include <tessera/error.h>
#include <tessera/tune_model.h>
#include <tessera/tune_space.h>

#include "tune/boosted_trees.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace tessera::tune {
namespace {

constexpr std::size_t fewest_trials = 20;
constexpr double distinct = 0.03;  // nearer times are in no order

double best_of(const std::vector<double>& seconds) { return *std::min_element(seconds.begin(), seconds.end()); }

// Pairs of a group in the right order, and how many there are.
std::pair<double, double> ordered_pairs(const std::vector<float>& ranks, const std::vector<double>& seconds) {
    double right = 0, all = 0;
    for (std::size_t i = 0; i < seconds.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) {
            if (std::abs(std::log(seconds[i] / seconds[j])) < distinct) continue;
            all += 1;
            if (ranks[i] == ranks[j])
                right += 0.5;
            else
                right += (ranks[i] > ranks[j]) == (seconds[i] < seconds[j]) ? 1 : 0;
        }
    return {right, all};
}

}  // namespace

struct LearnedModel::State {
    BoostedTrees trees;
};
LearnedModel::LearnedModel() : state_(std::make_unique<State>()) {}
LearnedModel::~LearnedModel() = default;
LearnedModel::LearnedModel(LearnedModel&&) noexcept = default;
LearnedModel& LearnedModel::operator=(LearnedModel&&) noexcept = default;

LearnedModel LearnedModel::train(const std::vector<ModelGroup>& groups, unsigned seed) {
    std::vector<std::vector<float>> rows;
    std::vector<float> labels, weights;
    for (const ModelGroup& g : groups) {
        if (g.seconds.empty()) continue;
        const double best = best_of(g.seconds);
        for (std::size_t i = 0; i < g.seconds.size(); ++i) {
            rows.push_back(g.features[i]);
            labels.push_back(static_cast<float>(best / g.seconds[i]));
            weights.push_back(0.1f + labels.back());
        }
    }
    if (rows.size() < fewest_trials)
        throw Error(E0805_usage, {}, fmt::format("{} trials are too few to learn from", rows.size()),
                    {expected(fmt::format("at least {}", fewest_trials)), fix("tune something first")});
    LearnedModel out;
    out.state_->trees.train(rows, labels, weights, {.rounds = 200, .depth = 6, .learning_rate = 0.08, .seed = seed});
    return out;
}

LearnedModel LearnedModel::read(const std::string& text) {
    LearnedModel out;
    try {
        const auto value = nlohmann::json::parse(text);
        if (value.at("features").get<std::vector<std::string>>() != feature_names())
            throw Error(E0603_version, {}, "the model is of other features than this version has",
                        {fix("train it again: tessera-tune model train")});
        out.state_->trees = BoostedTrees::read_model(value.at("trees").dump());
    } catch (const nlohmann::json::exception& e) {
        throw Error(E0601_syntax, {}, fmt::format("the text is no cost model: {}", e.what()),
                    {fix("train one with tessera-tune model train")});
    }
    return out;
}

std::string LearnedModel::json() const {
    return nlohmann::json{{"features", feature_names()}, {"trees", nlohmann::json::parse(state_->trees.json())}}.dump();
}

std::vector<float> LearnedModel::rank(const std::vector<std::vector<float>>& features) const {
    return state_->trees.predict(features);
}

ModelScores LearnedModel::evaluate(const std::vector<ModelGroup>& groups) const {
    ModelScores out;
    double right = 0, all = 0;
    for (const ModelGroup& g : groups) {
        if (g.seconds.size() < 2) continue;
        const auto ranks = rank(g.features);
        const auto [r, n] = ordered_pairs(ranks, g.seconds);
        right += r;
        all += n;
        std::vector<std::size_t> order(ranks.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return ranks[a] > ranks[b]; });
        double best = g.seconds[order[0]];
        for (std::size_t i = 0; i < order.size() && i < 10; ++i) best = std::min(best, g.seconds[order[i]]);
        out.best_of_top10 += best_of(g.seconds) / best;
        ++out.groups;
        out.trials += g.seconds.size();
    }
    if (out.groups > 0) out.best_of_top10 /= static_cast<double>(out.groups);
    out.pairwise = all > 0 ? right / all : 0;
    return out;
}

ModelScores evaluate_held_out(const std::vector<ModelGroup>& groups, unsigned seed) {
    ModelScores sum;
    for (std::size_t held = 0; held < groups.size(); ++held) {
        std::vector<ModelGroup> others;
        for (std::size_t g = 0; g < groups.size(); ++g)
            if (g != held) others.push_back(groups[g]);
        const ModelScores one = LearnedModel::train(others, seed).evaluate({groups[held]});
        if (one.groups == 0) continue;
        sum.pairwise += one.pairwise;
        sum.best_of_top10 += one.best_of_top10;
        sum.trials += one.trials;
        ++sum.groups;
    }
    if (sum.groups > 0) {
        sum.pairwise /= static_cast<double>(sum.groups);
        sum.best_of_top10 /= static_cast<double>(sum.groups);
    }
    return sum;
}

}  // namespace tessera::tune
