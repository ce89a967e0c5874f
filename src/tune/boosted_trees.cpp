#include "tune/boosted_trees.h"

#include "base/check.h"

#include <tessera/error.h>

#include <fmt/format.h>
#include <xgboost/c_api.h>

#include <limits>

namespace tessera::tune {
namespace {

void require(int status, const char* what) { TESSERA_CHECK(status == 0, fmt::format("{}: {}", what, XGBGetLastError())); }

// A matrix of rows, freed with the object.
class Matrix {
public:
    explicit Matrix(const std::vector<std::vector<float>>& rows) {
        const size_t width = rows.empty() ? 0 : rows[0].size();
        std::vector<float> flat;
        flat.reserve(rows.size() * width);
        for (const auto& row : rows) {
            TESSERA_CHECK(row.size() == width, "rows of one width");
            flat.insert(flat.end(), row.begin(), row.end());
        }
        require(XGDMatrixCreateFromMat(flat.data(), rows.size(), width, std::numeric_limits<float>::quiet_NaN(), &matrix_),
                "matrix");
    }
    ~Matrix() { XGDMatrixFree(matrix_); }
    Matrix(const Matrix&) = delete;
    Matrix& operator=(const Matrix&) = delete;
    [[nodiscard]] DMatrixHandle get() const { return matrix_; }

private:
    DMatrixHandle matrix_ = nullptr;
};

}  // namespace

struct BoostedTrees::State {
    BoosterHandle booster = nullptr;
    ~State() {
        if (booster) XGBoosterFree(booster);
    }
};

BoostedTrees::BoostedTrees() = default;
BoostedTrees::~BoostedTrees() = default;
BoostedTrees::BoostedTrees(BoostedTrees&&) noexcept = default;
BoostedTrees& BoostedTrees::operator=(BoostedTrees&&) noexcept = default;

bool BoostedTrees::trained() const { return state_ != nullptr; }

void BoostedTrees::train(const std::vector<std::vector<float>>& rows, const std::vector<float>& labels,
                         const std::vector<float>& weights, const Options& options) {
    const Matrix matrix(rows);
    require(XGDMatrixSetFloatInfo(matrix.get(), "label", labels.data(), labels.size()), "labels");
    require(XGDMatrixSetFloatInfo(matrix.get(), "weight", weights.data(), weights.size()), "weights");
    auto state = std::make_unique<State>();
    const DMatrixHandle handles[] = {matrix.get()};
    require(XGBoosterCreate(handles, 1, &state->booster), "booster");
    const std::vector<std::pair<const char*, std::string>> parameters{
        {"objective", "reg:squarederror"},
        {"tree_method", "exact"},
        {"max_depth", std::to_string(options.depth)},
        {"eta", fmt::format("{}", options.learning_rate)},
        {"subsample", "0.8"},
        {"colsample_bytree", fmt::format("{}", options.columns)},
        {"min_child_weight", fmt::format("{}", options.least_weight)},
        {"seed", std::to_string(options.seed)},
        {"nthread", "1"},
        {"verbosity", "0"}};
    for (const auto& [name, value] : parameters) require(XGBoosterSetParam(state->booster, name, value.c_str()), name);
    for (int round = 0; round < options.rounds; ++round)
        require(XGBoosterUpdateOneIter(state->booster, round, matrix.get()), "training");
    state_ = std::move(state);
}

std::vector<float> BoostedTrees::predict(const std::vector<std::vector<float>>& rows) const {
    TESSERA_CHECK(trained(), "a model is trained before it predicts");
    if (rows.empty()) return {};
    const Matrix matrix(rows);
    bst_ulong count = 0;
    const float* values = nullptr;
    require(XGBoosterPredict(state_->booster, matrix.get(), 0, 0, 0, &count, &values), "prediction");
    return {values, values + count};
}

std::string BoostedTrees::json() const {
    TESSERA_CHECK(trained(), "a model is trained before it is stored");
    bst_ulong length = 0;
    const char* text = nullptr;
    require(XGBoosterSaveModelToBuffer(state_->booster, R"({"format": "json"})", &length, &text), "saving");
    return {text, length};
}

BoostedTrees BoostedTrees::read_model(const std::string& json) {
    BoostedTrees out;
    out.state_ = std::make_unique<State>();
    require(XGBoosterCreate(nullptr, 0, &out.state_->booster), "booster");
    if (XGBoosterLoadModelFromBuffer(out.state_->booster, json.data(), json.size()) != 0)
        throw Error(E0601_syntax, {}, "the text is no model of boosted trees", {fix("train one with tessera-tune model train")});
    require(XGBoosterSetParam(out.state_->booster, "nthread", "1"), "nthread");
    return out;
}

}  // namespace tessera::tune
