#include "unit/interpreter/interpreter_cases.h"

#include <functional>

namespace tessera {
namespace {

using interpreter_test::filled;
using interpreter_test::ramp;
using interpreter_test::run;

// The code and message of what `build` throws; "" when it builds.
std::string thrown(const std::function<void()>& build) {
    try {
        build();
    } catch (const Exception& e) {
        return std::string(code_text(e.code())) + " " + e.message();
    }
    return "";
}

struct Broadcast : testing::Test {
    Dim i{"i"}, j{"j"}, one{"one", 1};
    Input a{"a", f32, {i, j}}, row{"row", f32, {j}}, column{"column", f32, {i, one}}, line{"line", f32, {i}};
    std::vector<float> a_values = ramp<float>(15, 3), row_values = ramp<float>(5, 4), column_values = ramp<float>(3, 5);
    interpreter::Inputs inputs(const std::vector<std::string>& names) {
        interpreter::Inputs all{{"a", filled<float>({3, 5}, a_values)},
                                {"row", filled<float>({5}, row_values)},
                                {"column", filled<float>({3, 1}, column_values)},
                                {"line", filled<float>({3}, column_values)}};
        interpreter::Inputs out;
        for (const std::string& n : names) out.insert(*all.find(n));
        return out;
    }
};

TEST_F(Broadcast, TrailingDimsAndExtentOne) {
    const Func y = ops::named("y", (a + row) * column - 2);
    const std::vector<float> got = run<float>(Algorithm({y}, {a, row, column}), inputs({"a", "row", "column"}), {3, 5});
    for (size_t r = 0; r < 3; ++r)
        for (size_t c = 0; c < 5; ++c) EXPECT_EQ(got[r * 5 + c], (a_values[r * 5 + c] + row_values[c]) * column_values[r] - 2);
}

TEST_F(Broadcast, AnOuterDifferenceHasTwoDims) {
    const Func y = ops::named("y", column - line);
    ASSERT_EQ(y.rank(), 2u);
    EXPECT_NE(y.dims()[0].id(), y.dims()[1].id());
    const std::vector<float> got = run<float>(Algorithm({y}, {column, line}), inputs({"column", "line"}), {3, 3});
    for (size_t r = 0; r < 3; ++r)
        for (size_t c = 0; c < 3; ++c) EXPECT_EQ(got[r * 3 + c], column_values[r] - column_values[c]);
}

TEST_F(Broadcast, ProvablyEqualExtentsMatch) {
    Dim p("p", i.extent() * 2 - 1), q("q", i.extent() + i.extent() - 1);
    Func f("f"), g("g");
    f(p) = line(p / 2);
    g(q) = line(q / 2) * 3;
    const Func y = ops::named("y", f + g);
    const std::vector<float> got = run<float>(Algorithm({y}, {line}), inputs({"line"}), {5});
    for (size_t c = 0; c < 5; ++c) EXPECT_EQ(got[c], column_values[c / 2] + column_values[c / 2] * 3);
}

TEST_F(Broadcast, MismatchNamesDimsAndExtents) {
    Dim four("four", 4), six("six", 6);
    Input x("x", f32, {four}), z("z", f32, {six});
    EXPECT_EQ(thrown([&] { (void)(x + z); }), "E0313 x and z do not broadcast: dim four of extent 4 meets dim six of extent 6");
    EXPECT_EQ(thrown([&] { (void)(a + line); }),
              "E0313 a and line do not broadcast: dim j of extent j.extent meets dim i of extent i.extent");
    EXPECT_EQ(thrown([&] { (void)ops::layer_norm("y", line, {i}, a); }).substr(0, 5), "E0313");
    Input n("n", i32, {i});
    EXPECT_EQ(thrown([&] { (void)(line + n); }).substr(0, 5), "E0201");
    EXPECT_EQ(thrown([&] { (void)Tensor({i}, a(i, j)); }), "E0103 dim j is free in a tensor's value but not among its dims");
    EXPECT_EQ(thrown([&] { (void)(a + Func("nothing")); }).substr(0, 5), "E0303");
}

TEST_F(Broadcast, TransposeWithAPack) {
    Dim k("k");
    Input b("b", f32, {i, j, k});
    const Func y = ops::named("y", ops::transpose(b, {k, Dim("...")}));
    EXPECT_EQ(y.dims()[0].name() + y.dims()[1].name() + y.dims()[2].name(), "kij");
    const std::vector<float> values = ramp<float>(24);
    const std::vector<float> got = run<float>(Algorithm({y}, {b}), {{"b", filled<float>({2, 3, 4}, values)}}, {4, 2, 3});
    for (size_t x = 0; x < 2; ++x)
        for (size_t z = 0; z < 3; ++z)
            for (size_t w = 0; w < 4; ++w) EXPECT_EQ(got[(w * 2 + x) * 3 + z], values[(x * 3 + z) * 4 + w]);
    EXPECT_EQ(thrown([&] { (void)ops::transpose(b, {k, i}); }), "E0103 the order of a transpose of b leaves out dim j");
    EXPECT_EQ(thrown([&] { (void)ops::transpose(a, {i, k, j}); }), "E0103 a has no dim k; its dims are [i, j]");
    EXPECT_EQ(thrown([&] { (void)ops::transpose(a, {i, i, j}); }).substr(0, 5), "E0104");
}

TEST_F(Broadcast, ComparisonsSelectAndLiteralsOnTheLeft) {
    const Func y = ops::named("y", ops::select(1.0f < a, 2 * a, -a % 3));
    const std::vector<float> got = run<float>(Algorithm({y}, {a}), inputs({"a"}), {3, 5});
    for (size_t n = 0; n < 15; ++n) {
        const float v = a_values[n];
        EXPECT_NEAR(got[n], 1.0f < v ? 2 * v : -v - 3 * std::floor(-v / 3), 1e-5) << v;
    }
}

TEST_F(Broadcast, SharedSumsStaySmall) {
    Tensor t = line;
    for (int n = 0; n < 200; ++n) t = t + t * 0.5f;
    EXPECT_EQ(ops::named("y", t).rank(), 1u);
}

}  // namespace
}  // namespace tessera
