#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

/// The cost model: which of several schedules of one kernel is faster, from features of their loop trees, learned over many
/// kernels.
namespace tessera::tune {

/// Trials of one kernel on one machine and shape: their times are comparable with each other only.
struct ModelGroup {
    std::string name;
    std::vector<std::vector<float>> features;  // loop_features() of each trial
    std::vector<double> seconds;
};

/// How well a model orders trials that it has not seen. Chance is a pairwise accuracy of .5.
struct ModelScores {
    double pairwise = 0;       // the share of pairs, more than 3 % apart, in the right order
    double best_of_top10 = 0;  // the least time over the least among the ten it ranks first
    std::size_t groups = 0, trials = 0;
};

class LearnedModel {
public:
    /// Trees on features; the label of a trial is the group's least time over its own. Throws E0805 when there are fewer than 20
    /// trials.
    [[nodiscard]] static LearnedModel train(const std::vector<ModelGroup>& groups, unsigned seed = 1);
    /// Throws E0601 for what json() did not write, E0603 for features of another version.
    [[nodiscard]] static LearnedModel read(const std::string& json);
    ~LearnedModel();
    LearnedModel(LearnedModel&&) noexcept;
    LearnedModel& operator=(LearnedModel&&) noexcept;

    [[nodiscard]] std::string json() const;
    /// Higher is faster; about the least time of its kernel over the time.
    [[nodiscard]] std::vector<float> rank(const std::vector<std::vector<float>>& features) const;
    [[nodiscard]] ModelScores evaluate(const std::vector<ModelGroup>& groups) const;

private:
    LearnedModel();
    struct State;
    std::unique_ptr<State> state_;
};

/// Scores with each group held out in turn from training.
[[nodiscard]] ModelScores evaluate_held_out(const std::vector<ModelGroup>& groups, unsigned seed = 1);

}  // namespace tessera::tune
