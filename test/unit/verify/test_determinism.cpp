#include <gtest/gtest.h>
#include <tessera/autodiff.h>
#include <tessera/determinism.h>
#include <tessera/ops.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>
#include <tessera/tessera_runtime.h>

#include "unit/autodiff/constructs.h"

#include <algorithm>

namespace tessera {
namespace {

Buffer<float> random_floats(const std::vector<std::int64_t>& extents, std::uint32_t seed) {
    const Buffer<float> out(extents);
    std::uint32_t state = seed;
    out.for_each([&](float& v) { v = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-23f - 1; });
    return out;
}

// The gradients of an algorithm's first output, of rank 0, under the default schedule: the same bits for 1, 2, 3 and 7 threads.
void expect_same_bits(const Func& loss, const std::vector<Wrt>& wrt, const NamedInputs& inputs, const Order& order = {}) {
    const ValueAndGrad g = value_and_grad(loss, wrt, {.order = order});
    std::vector<Func> outputs{g.value};
    outputs.insert(outputs.end(), g.gradients.begin(), g.gradients.end());
    const Algorithm step(outputs, arguments_of(outputs));
    const DeterminismReport report = verify_determinism(step, {default_schedule(step)}, inputs);
    EXPECT_TRUE(report.same()) << report.text();
    EXPECT_EQ(report.runs, 8);
}

// Outputs that share their rows, and sums of columns in parts that their tasks compute.
TEST(Determinism, RowsThatOutputsShareHaveTheSameBits) {
    const int before = tessera_num_threads();
    Dim b("b"), i("i");
    const Input x("x", f32, {b, i}), given("given", f32, {b, i}), scale("scale", f32, {i}), bias("bias", f32, {i});
    const ValuesAndGrads g = value_and_vjp({{ops::layer_norm("norm", x, {i}, scale, bias), given}}, {x, scale, bias});
    std::vector<Func> outputs = g.values;
    outputs.insert(outputs.end(), g.gradients.begin(), g.gradients.end());
    const Algorithm step(outputs, arguments_of(outputs));
    const Schedule s = default_schedule(step);
    int parts = 0, shared = 0;
    for (const auto& entry : s.stages) {
        parts += entry.second.partial_of && entry.second.fuse_with ? 1 : 0;
        shared += entry.second.fuse_with && entry.second.fuse_with->loop == "row" ? 1 : 0;
    }
    EXPECT_EQ(parts, 1) << to_json(s);
    EXPECT_EQ(shared, 1) << to_json(s);
    const DeterminismReport report = verify_determinism(step, {s},
                                                        {{"x", random_floats({203, 133}, 1)},
                                                         {"given", random_floats({203, 133}, 2)},
                                                         {"scale", random_floats({133}, 3)},
                                                         {"bias", random_floats({133}, 4)}});
    EXPECT_TRUE(report.same()) << report.text();
    const ValuesAndGrads numbers = value_and_vjp({{ops::logsumexp("total", x, {i}), Input("of_total", f32, {b})}}, {x});
    const Algorithm both({numbers.values[0], numbers.gradients[0]}, arguments_of({numbers.values[0], numbers.gradients[0]}));
    const Schedule with_numbers = default_schedule(both);
    EXPECT_TRUE(with_numbers.stages.at(numbers.values[0].name()).fuse_with) << to_json(with_numbers);
    const DeterminismReport of_numbers =
        verify_determinism(both, {with_numbers}, {{"x", random_floats({203, 133}, 1)}, {"of_total", random_floats({203}, 2)}});
    EXPECT_TRUE(of_numbers.same()) << of_numbers.text();
    tessera_set_num_threads(before);
}

TEST(Determinism, GradientsHaveTheSameBitsForEveryNumberOfThreads) {
    const int before = tessera_num_threads();
    Dim b("b"), i("i"), h("h"), v("v");
    const Input x("x", f32, {b, i}), w("w", f32, {i, h});
    {
        SCOPED_TRACE("a layer");
        Func out("out"), loss("loss");
        out(b, h) = tanh(sum({i}, x(b, i) * w(i, h)));
        loss() = sum({b, h}, out(b, h) * out(b, h));
        expect_same_bits(loss, {x, w}, {{"x", random_floats({70, 33}, 1)}, {"w", random_floats({33, 65}, 2)}});
    }
    {
        SCOPED_TRACE("layer norm and softmax");
        const Func norm = ops::layer_norm("norm", x, {i}), soft = ops::softmax("soft", norm, i);
        Func loss("loss");
        loss() = sum({b, i}, soft(b, i) * x(b, i) * x(b, i));
        expect_same_bits(loss, {x}, {{"x", random_floats({70, 133}, 1)}});
    }
    {
        SCOPED_TRACE("a scatter: rows of an embedding that are read several times");
        const Input table("table", f32, {v, i});
        const Input at = Input("at", i32, {b}).values_in(0, v.extent());
        Func loss("loss");
        loss() = sum({b, i}, exp(table(at(b), i)) * x(b, i));
        const Buffer<std::int32_t> places({200});
        for (int k = 0; k < 200; ++k) places(k) = k * 7 % 5;
        expect_same_bits(loss, {table, x},
                         {{"x", random_floats({200, 33}, 1)}, {"table", random_floats({9, 33}, 3)}, {"at", places}});
    }
    {
        SCOPED_TRACE("a stencil and a recurrence");
        Dim t("t"), r("r", 3);
        const Input a("a", f32, {t, b});
        Func state("state"), loss("loss");
        recurrence(t, {{state(t, b), cast(f32, 0)}},
                   [&](const Self& s) -> Tuple { return {0.5f * s[0](t - 1, b) + sum({r}, clamp(a)(t, b + r - 1))}; });
        loss() = sum({t, b}, state(t, b) * state(t, b));
        expect_same_bits(loss, {a}, {{"a", random_floats({20, 300}, 1)}});
    }
    {
        SCOPED_TRACE("a recurrence in the strips of its outputs");
        Dim t("t", 20), c("c", 1030);
        const Input a("a", f32, {t, c}), u("u", f32, {t, c}), of_state("of_state", f32, {t, c});
        Func state("state");
        recurrence(t, {{state(t, c), cast(f32, 0)}},
                   [&](const Self& s) -> Tuple { return {a(t, c) * s[0](t - 1, c) + u(t, c)}; });
        const ValuesAndGrads g = value_and_vjp({{state, of_state}}, {a, u});
        const Algorithm step({g.values[0], g.gradients[0], g.gradients[1]}, {a, u, of_state});
        const Schedule s = default_schedule(step);
        EXPECT_TRUE(std::any_of(s.stages.begin(), s.stages.end(), [](const auto& entry) {
            return entry.second.compute->at.loop == "strip";
        })) << to_json(s);
        const DeterminismReport report = verify_determinism(step, {s},
                                                            {{"a", random_floats({20, 1030}, 1)},
                                                             {"u", random_floats({20, 1030}, 2)},
                                                             {"of_state", random_floats({20, 1030}, 3)}});
        EXPECT_TRUE(report.same()) << report.text();
    }
    EXPECT_EQ(tessera_num_threads(), before);
}

// Every construct with its gradient, at extents that are cut into tasks.
TEST(Determinism, EveryConstructAndItsGradientHaveTheSameBitsForEveryNumberOfThreads) {
    const autodiff_test::Constructs c(70, 40);
    std::vector<Func> outputs;
    for (const Func& y : c.all) {
        const Expr value = y.at(autodiff_test::all_of(y.dims())).read();
        Func loss(y.name() + "_loss");
        loss() = y.rank() == 0 ? value * value : sum(y.dims(), value * value);
        std::vector<Wrt> wrt;
        for (const Argument& argument : arguments_of({y}))
            for (const Input& x : {c.a, c.b})
                if (argument.state() == x.state()) wrt.emplace_back(x);
        const ValueAndGrad g = value_and_grad(loss, wrt, {.name = "d_" + y.name()});
        outputs.push_back(g.value);
        outputs.insert(outputs.end(), g.gradients.begin(), g.gradients.end());
    }
    const Algorithm all(outputs, {c.a, c.b, c.at});
    const Buffer<double> a({70, 40}), b({40});
    const Buffer<std::int32_t> at({40});
    double next = 0.3;
    for (const Buffer<double>* x : {&a, &b})
        x->for_each([&](double& value) { value = next = next > 1.4 ? next - 1.09 : next + 0.37; });
    for (std::int64_t k = 0; k < 40; ++k) at(k) = static_cast<std::int32_t>(k * 7 % 5);
    const DeterminismReport report = verify_determinism(all, {default_schedule(all)}, {{"a", a}, {"b", b}, {"at", at}});
    EXPECT_TRUE(report.same()) << report.text();
    EXPECT_EQ(report.runs, 8);
}

// A mean of sums in the middle of the graph, under two schedules of the sum.
struct Sums {
    Dim i{"i"}, k{"k"};
    Input x{"x", f32, {i, k}};
    Func scaled{"scaled"}, total{"total"}, after{"after"};
    explicit Sums(Order order) {
        scaled(i, k) = x(i, k) * 3.0f;
        total(i) = sum({k}, scaled(i, k), {.order = order});
        after(i) = total(i) * total(i);
    }
    [[nodiscard]] DeterminismReport verified() const {
        const Algorithm algorithm({after}, {x});
        Schedule plain, lanes;
        plain.stage("after").root();
        plain.stage("total").root();
        plain.stage("total.sum").at("total", "i");
        lanes = plain;
        lanes.partial("total.lanes", "total.sum", {"k%8"}).root();
        return verify_determinism(algorithm, {plain, lanes}, {{"x", random_floats({5, 1000}, 9)}}, {.threads = {1, 3}});
    }
};

TEST(Determinism, TheFirstDefinitionThatDiffersIsNamed) {
    const DeterminismReport report = Sums(Order::any()).verified();
    ASSERT_FALSE(report.same());
    EXPECT_EQ(report.first->func, "total") << report.text();
    EXPECT_TRUE(report.first->located);
    EXPECT_NE(report.first->left, report.first->right);
    EXPECT_EQ(report.first->left_run, "schedule 0, 1 thread, run 0");
    EXPECT_EQ(report.first->right_run, "schedule 1, 1 thread, run 0");
    EXPECT_NE(report.text().find("Order::ascending()"), std::string::npos) << report.text();
}

TEST(Determinism, AReproducibleOrderHasOneResultUnderAllSchedules) {
    Dim i("i"), k("k"), b("b");
    const Input x("x", f32, {b, i}), w("w", f32, {i, k});
    Func out("out"), loss("loss");
    out(b, k) = sum({i}, x(b, i) * w(i, k), {.order = Order::kahan()});
    loss() = sum({b, k}, out(b, k) * out(b, k), {.order = Order::kahan()});
    const std::vector<Func> g = grad(loss, {w}, {.order = Order::kahan()});
    const Algorithm step(g, arguments_of(g));
    Schedule plain;
    plain.stage(g[0].name()).root();
    const DeterminismReport report = verify_determinism(step, {default_schedule(step), plain},
                                                        {{"x", random_floats({70, 20}, 1)}, {"w", random_floats({20, 30}, 2)}});
    EXPECT_TRUE(report.same()) << report.text();
    EXPECT_EQ(report.runs, 16);
}

TEST(Determinism, MissingInputsAreNamed) {
    const Sums s(Order::any());
    EXPECT_THROW(static_cast<void>(verify_determinism(Algorithm({s.after}, {s.x}), {{}}, {})), Error);
}

}  // namespace
}  // namespace tessera
