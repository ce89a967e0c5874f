#include <gtest/gtest.h>
#include <tessera/autodiff.h>
#include <tessera/schedule_default.h>
#include <tessera/sentinel.h>
#include <tessera/tessera.h>

#include <cmath>
#include <limits>

namespace tessera {
namespace {

const float inf = std::numeric_limits<float>::infinity();
const std::vector<std::string> targets{"interpreter", "host"};

Buffer<float> filled(const std::vector<std::int64_t>& extents, const std::vector<float>& values) {
    const Buffer<float> out(extents);
    for (std::int64_t i = 0; i < out.size(); ++i) out.data()[i] = values[static_cast<size_t>(i) % values.size()];
    return out;
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct Chain {
    Dim i{"i"}, k{"k"};
    Input x{"x", f32, {i, k}};
    Func shifted{"shifted"}, logs{"logs"}, total{"total"};
    Chain() {
        shifted(i, k) = x(i, k) - 1.0f;
        logs(i, k) = 2.0f * log(shifted(i, k)) + 3.0f;
        total(i) = sum({k}, logs(i, k));
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({total}, {x}); }
};

TEST(Sentinel, NamesDefinitionIndexAndOperation) {
    const Chain c;
    const Buffer<float> x = filled({3, 4}, {2});
    x(1, 2) = 0.5f;
    x(2, 0) = 1;
    for (const std::string& target : targets) {
        const auto found = first_nonfinite(c.algorithm(), {{"x", x}}, {.target = parse_target(target)});
        ASSERT_TRUE(found);
        EXPECT_EQ(found->name, "logs");
        EXPECT_EQ(found->index, (std::vector<std::int64_t>{1, 2}));
        EXPECT_TRUE(std::isnan(found->value));
        EXPECT_EQ(found->operation, "log(-0.5)");
        EXPECT_EQ(found->count, 12);
        EXPECT_EQ(found->nans, 1);
        EXPECT_EQ(found->infinities, 1);
        EXPECT_EQ(found->lowest, 3);
        EXPECT_EQ(found->highest, 3);
        EXPECT_GT(found->where.line, 0);
        EXPECT_TRUE(has(found->text(), "error: logs is nan at (1, 2)")) << found->text();
        EXPECT_TRUE(has(found->text(), "possible fix: take the logarithm where its operand is in range")) << found->text();
        // With NaN alone the infinite one counts as a number.
        x(1, 2) = 3;
        EXPECT_FALSE(first_nonfinite(c.algorithm(), {{"x", x}}, {.infinities = false, .target = parse_target(target)}));
        EXPECT_EQ(first_nonfinite(c.algorithm(), {{"x", x}}, {.target = parse_target(target)})->operation, "log(0)");
        x(1, 2) = 0.5f;
    }
    EXPECT_FALSE(first_nonfinite(c.algorithm(), {{"x", filled({3, 4}, {2})}}));
}

TEST(Sentinel, ArgumentsComeFirst) {
    const Chain c;
    const Buffer<float> x = filled({2, 2}, {0, inf});
    const auto found = first_nonfinite(c.algorithm(), {{"x", x}});
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->is_input);
    EXPECT_EQ(found->name, "x");
    EXPECT_EQ(found->index, (std::vector<std::int64_t>{0, 1}));
}

TEST(Sentinel, BackwardDefinitionsAreNamedAsSuch) {
    // The value is finite, its derivative is not: d sqrt(0).
    Dim i("i");
    const Input x("x", f32, {i});
    Func root("root"), loss("loss");
    root(i) = sqrt(x(i) * x(i));
    loss() = sum({i}, root(i));
    const ValueAndGrad g = value_and_grad(loss, {x});
    const Algorithm step({g.value, g.gradients[0]}, {x});
    for (const std::string& target : targets) {
        const auto found = first_nonfinite(step, {{"x", filled({5}, {1, 2, 0})}}, {.target = parse_target(target)});
        ASSERT_TRUE(found) << step.text();
        EXPECT_TRUE(found->name.starts_with("d_loss")) << found->name;
        EXPECT_EQ(found->index, (std::vector<std::int64_t>{2}));
        EXPECT_TRUE(has(found->operation, "div(")) << found->operation;
    }
    EXPECT_FALSE(first_nonfinite(Algorithm({loss}, {x}), {{"x", filled({5}, {1, 2, 0})}}));
}

TEST(Sentinel, OverflowInsideAReductionNamesThePoint) {
    Dim i("i"), k("k");
    const Input x("x", f32, {i, k});
    Func sums("sums"), share("share");
    sums(i) = sum({k}, exp(x(i, k)), where(x(i, k) > 0));
    share(i, k) = exp(x(i, k)) / sums(i);
    const Buffer<float> values = filled({3, 4}, {1});
    values(2, 1) = 89.5f;
    const auto found = first_nonfinite(Algorithm({share}, {x}), {{"x", values}});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->name, "sums");
    EXPECT_EQ(found->index, (std::vector<std::int64_t>{2}));
    EXPECT_EQ(found->operation, "exp(89.5) at k = 1");
    EXPECT_TRUE(has(found->text(), "subtract the largest operand first")) << found->text();
}

TEST(Sentinel, NarrowCastsThatOverflowAreNamed) {
    Dim i("i");
    const Input x("x", f32, {i});
    Func half("half");
    half(i) = cast(f16, x(i) * x(i));
    const auto found = first_nonfinite(Algorithm({half}, {x}), {{"x", filled({3}, {1, 300, 2})}});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->operation, "cast<f16>(90000)");
    EXPECT_TRUE(has(found->text(), "loss scaling")) << found->text();
}

TEST(Sentinel, OnlyCellsThatAreNeededAreLookedAt) {
    // inverse is needed from 1 on: what it would be at 0 does not count; and from -2 on, where the index starts below 0.
    Dim i("i"), o("o", i.extent() - 1), far("far", i.extent() + 2);
    const Input x("x", f32, {i});
    Func inverse("inverse"), y("y"), z("z");
    inverse(i) = 1.0f / cast(f32, i);
    y(o) = inverse(o + 1) * x(o);
    EXPECT_FALSE(first_nonfinite(Algorithm({y}, {x}), {{"x", filled({4}, {1})}}));
    z(far) = inverse(far - 2);
    const auto found = first_nonfinite(Algorithm({z, y}, {x}), {{"x", filled({4}, {1})}});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->index, (std::vector<std::int64_t>{0}));
    EXPECT_EQ(found->operation, "div(1, 0)");
    EXPECT_EQ(found->count, 6);
}

TEST(Sentinel, ACompiledAlgorithmTellsOnEveryCall) {
    const Chain c;
    const Sentinels sentinels = with_sentinels(c.algorithm());
    EXPECT_EQ(sentinels.watched, (std::vector<std::string>{"shifted", "logs", "total"}));
    const Target host;
    const Module module = compile(sentinels.algorithm, default_schedule(sentinels.algorithm, host), host);
    const AnyBuffer flags = sentinels.flags();
    const Buffer<float> total({40}), x = filled({40, 50}, {3});
    const NamedInputs inputs{{"x", x}};
    module(inputs, {{"total", total}, {sentinels.output, flags}});
    EXPECT_FALSE(sentinels.found(flags, inputs));
    EXPECT_NEAR(total(3), 50 * (2 * std::log(2.0f) + 3), 1e-3);
    x(17, 31) = -2;
    x(18, 2) = -2;
    module(inputs, {{"total", total}, {sentinels.output, flags}});
    const auto found = sentinels.found(flags, inputs);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->name, "logs");
    EXPECT_EQ(found->index, (std::vector<std::int64_t>{17, 31}));
}

TEST(Sentinel, ABranchThatIsNotTakenIsNotBlamed) {
    Dim i("i");
    const Input x("x", f32, {i});
    Func y("y");
    y(i) = select(x(i) > 0, log(x(i)), x(i)) / (x(i) + 2.0f);
    EXPECT_FALSE(first_nonfinite(Algorithm({y}, {x}), {{"x", filled({3}, {1, -1, 2})}}));
    const auto found = first_nonfinite(Algorithm({y}, {x}), {{"x", filled({3}, {1, -1, -2})}});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->operation, "div(-2, 0)");
}

TEST(Sentinel, IntegersHaveNoSentinels) {
    Dim i("i");
    const Input x("x", i32, {i});
    Func y("y");
    y(i) = x(i) + 1;
    EXPECT_THROW(static_cast<void>(with_sentinels(Algorithm({y}, {x}))), Error);
}

}  // namespace
}  // namespace tessera
