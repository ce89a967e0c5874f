// The cost model: trees over the analytic model, what it says of itself, and how it is scored.
#include <gtest/gtest.h>
#include <tessera/error.h>
#include <tessera/tune_model.h>
#include <tessera/tune_strategy.h>

#include "tune/analytic_model.h"
#include "tune/loop_features.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

namespace tessera::tune {
namespace {

using Row = std::vector<float>;

double analytic(const Row& row) { return *analytic_seconds(row, {64, 32, 1, 1 << 20}); }
// What the analytic model does not know: gathers and guards cost far more.
double hidden(const Row& row) {
    const auto high = [&](LoopFeature f) { return row[static_cast<std::size_t>(f)] > 6; };
    return analytic(row) * (high(LoopFeature::gathers) ? 4 : 1) * (high(LoopFeature::guards) ? 3 : 1);
}

ModelGroup group(int number, const std::function<double(const Row&)>& seconds) {
    Random random(static_cast<std::uint64_t>(number));
    ModelGroup out{std::to_string(number), "kernel" + std::to_string(number), {}, {}};
    for (int i = 0; i < 40; ++i) {
        Row row(loop_feature_count);
        for (float& f : row) f = static_cast<float>(12 * random.uniform());
        out.features.push_back(row);
        out.seconds.push_back(100.0 * number * seconds(row));  // kernels are not comparable
    }
    return out;
}

std::vector<ModelGroup> groups(int first, int count, const std::function<double(const Row&)>& seconds) {
    std::vector<ModelGroup> out;
    for (int g = first; g < first + count; ++g) out.push_back(group(g, seconds));
    return out;
}

TEST(LearnedModel, CorrectsTheAnalyticModelOnKernelsItHasNotSeen) {
    const auto unseen = groups(50, 4, hidden);
    // Trained on what the analytic model says already there is nothing to correct: its own score.
    const ModelScores before = LearnedModel::train(groups(1, 12, analytic)).evaluate(unseen);
    const ModelScores after = LearnedModel::train(groups(1, 12, hidden)).evaluate(unseen);
    EXPECT_LT(before.pairwise, 0.85);
    EXPECT_GT(after.pairwise, 0.92);
    EXPECT_GE(after.best_of_top3, before.best_of_top3);
    EXPECT_GE(after.best_of_top10, after.best_of_top3);
    EXPECT_EQ(after.groups, 4u);
    EXPECT_EQ(after.trials, 160u);
}

TEST(LearnedModel, KernelsAreHeldOutWhole) {
    // Times that nothing explains: only who has seen the very rows can order them.
    const auto noise = [](const Row& row) { return std::exp(3 * std::sin(1e4 * static_cast<double>(row[0] + row[1]))); };
    std::vector<ModelGroup> all = groups(1, 6, noise);
    for (std::size_t g = 0; g < 6; ++g) {
        all.push_back(all[g]);  // the kernel once more, in another session
        all.back().name += " again";
    }
    EXPECT_NEAR(evaluate_held_out(all).pairwise, 0.5, 0.06);
    EXPECT_GT(LearnedModel::train(all).evaluate(all).pairwise, 0.6);
}

TEST(LearnedModel, SaysWhatItWasTrainedOn) {
    const auto some = groups(1, 3, hidden);
    LearnedModel model = LearnedModel::train(some);
    EXPECT_EQ(LearnedModel::read(model.json()).origin().trained_on, "");
    ModelScores scores;
    scores.pairwise = 0.75;
    scores.trials = 120;
    model.set_origin({training_set_hash(some), 3, scores});
    const LearnedModel read = LearnedModel::read(model.json());
    EXPECT_EQ(read.origin().trained_on, training_set_hash(some));
    EXPECT_EQ(read.origin().kernels, 3u);
    EXPECT_EQ(read.origin().held_out.pairwise, 0.75);
    EXPECT_EQ(read.origin().held_out.trials, 120u);
    EXPECT_EQ(read.rank(some[0].features), model.rank(some[0].features));
}

TEST(LearnedModel, TheHashOfATrainingSetIsOfItsTrialsAlone) {
    auto some = groups(1, 3, hidden);
    const std::string hash = training_set_hash(some);
    std::reverse(some.begin(), some.end());
    some[0].name = "elsewhere";
    EXPECT_EQ(training_set_hash(some), hash);
    some[0].seconds[7] *= 1.0000001;
    EXPECT_NE(training_set_hash(some), hash);
}

TEST(LearnedModel, OfAnotherVersionIsRefused) {
    const std::string text = LearnedModel::train(groups(1, 3, hidden)).json();
    auto value = nlohmann::json::parse(text);
    value["analytic"] = value["analytic"].get<double>() + 0.01;
    EXPECT_THROW((void)LearnedModel::read(value.dump()), Error);
    value = nlohmann::json::parse(text);
    value["features"].erase(3);
    EXPECT_THROW((void)LearnedModel::read(value.dump()), Error);
    EXPECT_THROW((void)LearnedModel::read("{}"), Error);
}

}  // namespace
}  // namespace tessera::tune
