#pragma once

#include <memory>
#include <string>
#include <vector>

namespace tessera::tune {

/// Gradient-boosted trees. Rows have one width; values that are not finite count as missing.
class BoostedTrees {
public:
    struct Options {
        int rounds = 80;
        int depth = 5;
        double learning_rate = 0.12;
        unsigned seed = 1;
        double least_weight = 0.2;  // of the rows in a leaf
        double columns = 0.8;       // the share that a tree sees
    };
    BoostedTrees();
    ~BoostedTrees();
    BoostedTrees(BoostedTrees&&) noexcept;
    BoostedTrees& operator=(BoostedTrees&&) noexcept;

    void train(const std::vector<std::vector<float>>& rows, const std::vector<float>& labels, const std::vector<float>& weights,
               const Options& options);
    [[nodiscard]] std::vector<float> predict(const std::vector<std::vector<float>>& rows) const;
    [[nodiscard]] bool trained() const;
    /// The model as JSON; read_model(json()) predicts the same.
    [[nodiscard]] std::string json() const;
    /// Throws E0601 for what is no model.
    [[nodiscard]] static BoostedTrees read_model(const std::string& json);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace tessera::tune
