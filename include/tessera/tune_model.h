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
    std::string kernel;                        // its hash; "" where it is not known
    std::vector<std::vector<float>> features;  // loop_features() of each trial
    std::vector<double> seconds;
};

/// The analytic model's answer to rows of loop_features(), higher for faster: what is there before anything is learned.
[[nodiscard]] std::vector<float> analytic_ranks(const std::vector<std::vector<float>>& features);

/// How well a model orders trials that it has not seen. Chance is a pairwise accuracy of .5.
struct ModelScores {
    double pairwise = 0;       // the share of a group's pairs, more than 3 % apart, in the right order; the mean of groups
    double best_of_top10 = 0;  // the least time over the least among the ten it ranks first
    double best_of_top3 = 0;
    std::size_t groups = 0, trials = 0;
};
/// What a model was trained on, and how well training on most of its kernels orders the trials of the others.
struct ModelOrigin {
    std::string trained_on;  // training_set_hash()
    std::size_t kernels = 0;
    ModelScores held_out;
};

class LearnedModel {
public:
    /// Trees on features, for what the analytic model leaves of a trial's log time, but for its group's mean. Throws E0805 when
    /// there are fewer than 20 trials.
    [[nodiscard]] static LearnedModel train(const std::vector<ModelGroup>& groups, unsigned seed = 1);
    /// Throws E0601 for what json() did not write, E0603 for features or an analytic model of another version.
    [[nodiscard]] static LearnedModel read(const std::string& json);
    ~LearnedModel();
    LearnedModel(LearnedModel&&) noexcept;
    LearnedModel& operator=(LearnedModel&&) noexcept;

    [[nodiscard]] std::string json() const;
    /// Kept with the model, and read() with it.
    void set_origin(const ModelOrigin& origin);
    [[nodiscard]] const ModelOrigin& origin() const;
    /// Higher is faster: less the logarithm of the time on one core, but for a number that is the same for all of a kernel.
    [[nodiscard]] std::vector<float> rank(const std::vector<std::vector<float>>& features) const;
    [[nodiscard]] ModelScores evaluate(const std::vector<ModelGroup>& groups) const;

private:
    LearnedModel();
    struct State;
    std::unique_ptr<State> state_;
};

/// Names the trials that a model learns from: SHA-256 of features and times, whatever their order.
[[nodiscard]] std::string training_set_hash(const std::vector<ModelGroup>& groups);
/// Scores of groups whose kernels were held out from training, an eighth of the kernels at a time.
[[nodiscard]] ModelScores evaluate_held_out(const std::vector<ModelGroup>& groups, unsigned seed = 1);

}  // namespace tessera::tune
