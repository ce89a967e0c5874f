#include <tessera/error.h>
#include <tessera/tune_model.h>
#include <tessera/tune_space.h>

#include "base/check.h"
#include "base/hash.h"
#include "tune/analytic_model.h"
#include "tune/boosted_trees.h"
#include "tune/loop_features.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace tessera::tune {
namespace {

constexpr std::size_t fewest_trials = 20;
constexpr double distinct = 0.03;  // nearer times are in no order

constexpr double largest_residual = 2;  // of a log time; what is further off is only that
constexpr std::size_t folds = 8;
// The analytic model that is corrected: of one core, whatever machine it is.
constexpr CpuFacts reference{.vector_bytes = 64, .vector_registers = 32, .cores = 1, .l2_bytes = 1 << 20};

double best_of(const std::vector<double>& seconds) { return *std::min_element(seconds.begin(), seconds.end()); }

float value(const std::vector<float>& row, LoopFeature f) { return row[static_cast<std::size_t>(f)]; }

// The analytic model's answer, higher for faster.
double analytic_score(const std::vector<float>& row) {
    const auto seconds = analytic_seconds(row, reference);
    TESSERA_CHECK(seconds.has_value(), "a row of features is whole");
    return -std::log(*seconds);
}

// Ratios of counts beside the counts: trees cannot divide.
std::vector<float> with_ratios(const std::vector<float>& row) {
    using F = LoopFeature;
    static constexpr std::pair<F, F> ratios[] = {{F::operations_issued, F::operations},
                                                 {F::loads_issued, F::operations},
                                                 {F::stores_issued, F::output_bytes},
                                                 {F::gathers, F::operations},
                                                 {F::operations, F::output_bytes},
                                                 {F::operations_issued, F::output_bytes},
                                                 {F::loop_steps, F::output_bytes},
                                                 {F::guards, F::operations_issued},
                                                 {F::allocated_bytes, F::output_bytes},
                                                 {F::allocated_bytes, F::input_bytes},
                                                 {F::loads_issued, F::operations_issued},
                                                 {F::index_operations, F::operations_issued},
                                                 {F::scalar_operations, F::operations_issued},
                                                 {F::broadcast_loads, F::loads_issued},
                                                 {F::contiguous_loads, F::loads_issued},
                                                 {F::loads_issued, F::output_bytes},
                                                 {F::gathers, F::output_bytes},
                                                 {F::scattered_stores, F::output_bytes},
                                                 {F::index_operations, F::output_bytes},
                                                 {F::scalar_operations, F::output_bytes},
                                                 {F::reduced_operations, F::output_bytes},
                                                 {F::guards, F::output_bytes},
                                                 {F::allocations, F::output_bytes}};
    std::vector<float> out = row;
    for (const auto& [over, under] : ratios) out.push_back(value(row, over) - value(row, under));
    out.push_back(static_cast<float>(-analytic_score(row) / std::log(2.0)) - value(row, F::output_bytes));
    return out;
}

// What a model of another analytic part cannot have: its score of one row.
double analytic_fingerprint() {
    std::vector<float> row(loop_feature_count);
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(1 + i % 7);
    return analytic_score(row);
}

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
    ModelOrigin origin;
};
LearnedModel::LearnedModel() : state_(std::make_unique<State>()) {}
LearnedModel::~LearnedModel() = default;
LearnedModel::LearnedModel(LearnedModel&&) noexcept = default;
LearnedModel& LearnedModel::operator=(LearnedModel&&) noexcept = default;

LearnedModel LearnedModel::train(const std::vector<ModelGroup>& groups, unsigned seed) {
    std::vector<std::vector<float>> rows;
    std::vector<float> labels;
    for (const ModelGroup& g : groups) {
        std::vector<double> residuals;
        double sum = 0, weights = 0;
        for (std::size_t i = 0; i < g.seconds.size(); ++i) {
            residuals.push_back(-std::log(g.seconds[i]) - analytic_score(g.features[i]));
            const double weight = 0.1 + best_of(g.seconds) / g.seconds[i];
            sum += weight * residuals.back();
            weights += weight;
        }
        for (std::size_t i = 0; i < residuals.size(); ++i) {
            rows.push_back(with_ratios(g.features[i]));
            labels.push_back(static_cast<float>(std::clamp(residuals[i] - sum / weights, -largest_residual, largest_residual)));
        }
    }
    if (rows.size() < fewest_trials)
        throw Error(E0805_usage, {}, fmt::format("{} trials are too few to learn from", rows.size()),
                    {expected(fmt::format("at least {}", fewest_trials)), fix("tune something first")});
    LearnedModel out;
    out.state_->trees.train(rows, labels, std::vector<float>(rows.size(), 1),
                            {.rounds = 150, .depth = 5, .learning_rate = 0.06, .seed = seed, .least_weight = 3, .columns = 0.6});
    return out;
}

LearnedModel LearnedModel::read(const std::string& text) {
    LearnedModel out;
    try {
        const auto value = nlohmann::json::parse(text);
        const double fingerprint = value.value("analytic", 0.0);
        if (value.at("features").get<std::vector<std::string>>() != feature_names() ||
            std::abs(fingerprint - analytic_fingerprint()) > 1e-6)
            throw Error(E0603_version, {}, "the model is of other features, or of another analytic model, than this version has",
                        {fix("train it again: tessera-tune model train")});
        out.state_->trees = BoostedTrees::read_model(value.at("trees").dump());
        if (const auto t = value.find("trained"); t != value.end())
            out.state_->origin = {
                t->at("set"),
                t->at("kernels"),
                {t->at("pairwise"), t->at("best_of_top10"), t->at("best_of_top3"), t->at("sessions"), t->at("trials")}};
    } catch (const nlohmann::json::exception& e) {
        throw Error(E0601_syntax, {}, fmt::format("the text is no cost model: {}", e.what()),
                    {fix("train one with tessera-tune model train")});
    }
    return out;
}

std::string LearnedModel::json() const {
    nlohmann::ordered_json out{{"features", feature_names()}, {"analytic", analytic_fingerprint()}};
    if (const ModelOrigin& o = state_->origin; !o.trained_on.empty())
        out["trained"] = {{"set", o.trained_on},
                          {"trials", o.held_out.trials},
                          {"sessions", o.held_out.groups},
                          {"kernels", o.kernels},
                          {"pairwise", o.held_out.pairwise},
                          {"best_of_top10", o.held_out.best_of_top10},
                          {"best_of_top3", o.held_out.best_of_top3}};
    out["trees"] = nlohmann::json::parse(state_->trees.json());
    return out.dump();
}

void LearnedModel::set_origin(const ModelOrigin& origin) { state_->origin = origin; }
const ModelOrigin& LearnedModel::origin() const { return state_->origin; }

std::vector<float> LearnedModel::rank(const std::vector<std::vector<float>>& features) const {
    std::vector<std::vector<float>> rows;
    for (const auto& row : features) rows.push_back(with_ratios(row));
    std::vector<float> out = state_->trees.predict(rows);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += static_cast<float>(analytic_score(features[i]));
    return out;
}

ModelScores LearnedModel::evaluate(const std::vector<ModelGroup>& groups) const {
    ModelScores out;
    std::size_t ordered = 0;  // groups that have an order
    for (const ModelGroup& g : groups) {
        if (g.seconds.size() < 2) continue;
        const auto ranks = rank(g.features);
        const auto [right, all] = ordered_pairs(ranks, g.seconds);
        if (all > 0) {
            out.pairwise += right / all;
            ++ordered;
        }
        std::vector<std::size_t> order(ranks.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return ranks[a] > ranks[b]; });
        double best = g.seconds[order[0]];
        for (std::size_t i = 0; i < order.size() && i < 10; ++i) {
            best = std::min(best, g.seconds[order[i]]);
            if (i == std::min<std::size_t>(2, order.size() - 1)) out.best_of_top3 += best_of(g.seconds) / best;
        }
        out.best_of_top10 += best_of(g.seconds) / best;
        ++out.groups;
        out.trials += g.seconds.size();
    }
    if (out.groups > 0) {
        out.best_of_top10 /= static_cast<double>(out.groups);
        out.best_of_top3 /= static_cast<double>(out.groups);
    }
    if (ordered > 0) out.pairwise /= static_cast<double>(ordered);
    return out;
}

std::vector<float> analytic_ranks(const std::vector<std::vector<float>>& features) {
    std::vector<float> out;
    for (const auto& row : features) out.push_back(static_cast<float>(analytic_score(row)));
    return out;
}

std::string training_set_hash(const std::vector<ModelGroup>& groups) {
    std::vector<std::string> lines;
    for (const ModelGroup& g : groups)
        for (std::size_t i = 0; i < g.seconds.size(); ++i) {
            lines.push_back(fmt::format("{:.17g}", g.seconds[i]));
            for (const float f : g.features[i]) lines.back() += fmt::format(" {:.5g}", f);
        }
    std::sort(lines.begin(), lines.end());
    return sha256(fmt::format("{}", fmt::join(lines, "\n")));
}

ModelScores evaluate_held_out(const std::vector<ModelGroup>& groups, unsigned seed) {
    std::map<std::string, std::size_t> fold_of;  // by kernel
    for (const ModelGroup& g : groups) fold_of.emplace(g.kernel.empty() ? g.name : g.kernel, 0);
    std::size_t next = 0;
    for (auto& [kernel, fold] : fold_of) fold = next++ % folds;
    ModelScores sum;
    for (std::size_t fold = 0; fold < std::min(folds, fold_of.size()); ++fold) {
        std::vector<ModelGroup> held, others;
        for (const ModelGroup& g : groups)
            (fold_of.at(g.kernel.empty() ? g.name : g.kernel) == fold ? held : others).push_back(g);
        const ModelScores part = LearnedModel::train(others, seed).evaluate(held);
        const auto share = static_cast<double>(part.groups);
        sum.pairwise += share * part.pairwise;
        sum.best_of_top10 += share * part.best_of_top10;
        sum.best_of_top3 += share * part.best_of_top3;
        sum.trials += part.trials;
        sum.groups += part.groups;
    }
    if (sum.groups > 0)
        for (double* score : {&sum.pairwise, &sum.best_of_top10, &sum.best_of_top3}) *score /= static_cast<double>(sum.groups);
    return sum;
}

}  // namespace tessera::tune
