#include <tessera/compile.h>
#include <tessera/gradcheck.h>
#include <tessera/schedule_default.h>

#include "autodiff/graph_rewrite.h"
#include "unit/autodiff/derivative_cases.h"

#include <cmath>
#include <limits>

// What goes wrong silently in transforms of this kind, one by one.
namespace tessera::autodiff_test {
namespace {

const double inf = std::numeric_limits<double>::infinity();

std::vector<double> gradient(const Func& y, const Input& x, const std::vector<double>& at,
                             std::map<std::string, std::int64_t> extents) {
    const Program p{.y = y, .wrt = {x}, .extents = std::move(extents), .floats = {{x.name(), at}}};
    const std::vector<Func> g = grad(y, {x});
    Values values = random_values(p, {y}, 1);
    for (const auto& [name, buffer] : random_values(p, g, 1)) values.emplace(name, buffer);
    return evaluated(g, p, values)[0];
}
// d/dx_i of the sum of the gradient's elements.
std::vector<double> second(const Func& y, const Input& x, const std::vector<double>& at,
                           const std::map<std::string, std::int64_t>& extents) {
    const Func g = grad(y, {x})[0];
    Func total("total_of_gradient");
    total() = sum(x.dims(), g.at(std::vector<Index>(x.dims().begin(), x.dims().end())));
    return gradient(total, x, at, extents);
}
size_t nodes_of(const std::vector<Func>& outputs) {
    size_t count = 0;
    for (const Func& f : reachable_funcs(outputs)) for_each_node(f.state()->values, [&](const Expr&) { ++count; });
    return count;
}

TEST(DerivativeTraps, T01BothEquationsOfADiagonalCount) {
    Dim i("i", 3), r("r", 3), c("c", 3);
    const Input a("a", f64, {r, c});
    Func trace("trace");
    trace() = sum({i}, a(i, i));
    EXPECT_EQ(gradient(trace, a, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {}), (std::vector<double>{1, 0, 0, 0, 1, 0, 0, 0, 1}));
}

TEST(DerivativeTraps, T02NegativeIndicesRoundDown) {
    Dim x("x", 6), u("u", 4);
    const Input a("a", f64, {u});
    Func y("y");
    y() = sum({x}, a((x - 3) / 2 + 2) * cast(f64, x + 1));
    // Places of x: (x - 3) / 2 + 2 = 0, 1, 1, 2, 2, 3.
    EXPECT_EQ(gradient(y, a, {1, 1, 1, 1}, {}), (std::vector<double>{1, 5, 9, 6}));
}

TEST(DerivativeTraps, T03OnlyTheRequiredRegionCounts) {
    // rows is required on [-1, N]; what it is outside must not come in, and extents of 0 and 1 are served.
    Dim x("x");
    const Input a("a", f64, {x});
    Func rows("rows"), y("y");
    rows(x) = clamp(a)(x) * 2.0;
    y() = sum({x}, rows(x - 1) * rows(x + 1));
    check_derivative({.y = y, .wrt = {a}, .extents = {{"x", 1}}});
    check_derivative({.y = y, .wrt = {a}, .extents = {{"x", 4}}});
    EXPECT_TRUE(gradient(y, a, {1}, {{"x", 0}}).empty());
}

TEST(DerivativeTraps, T04GuardsStandOutsideOfProducts) {
    Dim x("x"), r("r", 3);
    const Input a("a", f64, {x}), w("w", f64, {r});
    Dim o("o", x.extent() - 2);
    Func y("y");
    y() = sum({o, r}, a(o + r) * w(r) / a(o));
    // An infinite factor next to places where nothing is read.
    const auto g = gradient(y, a, {inf, 1, 2, 4}, {{"x", 4}});
    EXPECT_TRUE(std::isfinite(g[3]));
    Func chosen_value("chosen_value");
    chosen_value() = sum({x}, select(a(x) > 1e300, 0.0, a(x) * a(x)));
    EXPECT_EQ(gradient(chosen_value, a, {inf, 1, 2}, {{"x", 3}}), (std::vector<double>{0, 2, 4}));
}

TEST(DerivativeTraps, T05GuardedSingularitiesGiveNumbers) {
    Dim i("i");
    const Input a("a", f64, {i});
    const auto check = [&](const Expr& e, const std::vector<double>& at, const std::vector<double>& first,
                           const std::vector<double>& twice) {
        Func y("y");
        y() = sum({i}, e);
        const std::map<std::string, std::int64_t> n{{"i", static_cast<std::int64_t>(at.size())}};
        const auto g = gradient(y, a, at, n), h = second(y, a, at, n);
        for (size_t k = 0; k < at.size(); ++k) {
            EXPECT_NEAR(g[k], first[k], 1e-12) << "first order at " << at[k];
            EXPECT_NEAR(h[k], twice[k], 1e-12) << "second order at " << at[k];
        }
    };
    check(select(a(i) > 0, sqrt(a(i)), 0.0), {0, -1, 4}, {0, 0, 0.25}, {0, 0, -1.0 / 32});
    check(select(a(i) == 0, 0.0, a(i) / abs(a(i))), {0, -2, 3}, {0, 0, 0}, {0, 0, 0});
    check(abs(a(i)), {0, -2, 3}, {0, -1, 1}, {0, 0, 0});
    check(select(a(i) > 0, a(i) * log(a(i)), 0.0), {0, 1}, {0, 1}, {0, 1});
    check(pow(a(i), 2.0), {0, -3, 2}, {0, -6, 4}, {2, 2, 2});
    check(pow(a(i), 3.0), {0, -3, 2}, {0, 27, 12}, {0, -18, 12});
    check(relu(a(i)), {0, -1, 2}, {0, 0, 1}, {0, 0, 0});
}

TEST(DerivativeTraps, T06SharedNodesAreVisitedOnce) {
    // As trees both have more than 2^60 nodes: whoever visits a node once for each of its uses does not end.
    Dim i("i");
    const Input a("a", f64, {i});
    const auto power_of_two = [&](int squares) {
        Expr x = a(i);
        for (int k = 0; k < squares; ++k) x = x * x;
        Func y("y"), total("total");
        y(i) = x;
        total() = sum({i}, y(i));
        return total;
    };
    // Definitions, each of which reads the one before it twice.
    const auto chain = [&](int length) {
        Func before("f0");
        before(i) = a(i);
        for (int k = 1; k <= length; ++k) {
            Func next("f" + std::to_string(k));
            next(i) = before(i) * 0.5 + sin(before(i));
            before = next;
        }
        Func end("end");
        end() = sum({i}, before(i));
        return end;
    };
    const auto nodes_of_gradient = [&](const Func& f) { return nodes_of(grad(f, {a})); };
    EXPECT_LE(nodes_of(value_and_grad(power_of_two(60), {a}).gradients), 6 * nodes_of({power_of_two(60)}));
    EXPECT_LE(nodes_of_gradient(chain(200)), 6 * nodes_of({chain(200)}));
    // As much again for every node and every definition.
    EXPECT_EQ(nodes_of_gradient(power_of_two(60)) - nodes_of_gradient(power_of_two(40)),
              nodes_of_gradient(power_of_two(40)) - nodes_of_gradient(power_of_two(20)));
    EXPECT_EQ(nodes_of_gradient(chain(200)) - nodes_of_gradient(chain(150)),
              nodes_of_gradient(chain(150)) - nodes_of_gradient(chain(100)));
}

TEST(DerivativeTraps, T07BodiesAreNotRunPerAccessNorReductionsInsideReductions) {
    Dim i("i"), k("k");
    const Input a("a", f64, {i, k});
    Func y("y"), total("total");
    y(i, k) = exp(a(i, k) - max({k}, a(i, k))) / sum({k}, exp(a(i, k)));
    total() = sum({i, k}, y(i, k) * y(i, k));
    for (const Func& f : reachable_funcs(grad(total, {a})))
        for_each_node(f.state()->values, [&](const Expr& n) {
            if (!is_structured(n->op)) return;
            for_each_node(n->args, [&](const Expr& inner) { EXPECT_FALSE(is_structured(inner->op)) << f.name(); });
        });
}

TEST(DerivativeTraps, T07OneSweepPerPointOfAStencil) {
    // Three reads of a; the exponential is computed once in the value and never again, and its derivative is one product.
    Dim x("x");
    const Input a("a", f64, {x});
    Func y("y"), total("total");
    y(x) = exp(clamp(a)(x - 1) * a(x)) * tanh(clamp(a)(x + 1));
    total() = sum({x}, y(x) * y(x));
    const std::vector<Func> g = grad(total, {a});
    std::map<std::string, int> functions;
    for (const Func& f : reachable_funcs(g))
        for_each_node(f.state()->values, [&](const Expr& n) {
            if (n->op == Op::exp || n->op == Op::tanh) ++functions[std::string(op_row(n->op).name) + " in " + f.name()];
        });
    EXPECT_EQ(functions.size(), 4u) << Algorithm(g, arguments_of(g)).text();  // in y, and once more where both factors are needed
    for (const auto& [where, count] : functions) EXPECT_EQ(count, 1) << where;
    check_derivative({.y = total, .wrt = {a}, .extents = {{"x", 7}}});
}

TEST(DerivativeTraps, T08SumsHaveOneOrder) {
    const auto text = [] {
        Dim i("i"), j("j"), r("r", 3);
        const Input a("a", f64, {i, j}), b("b", f64, {j});
        Func h("h"), loss("loss");
        h(i, j) = tanh(clamp(a)(i, j + r.extent() - 3) * b(j)) + exp(b(j)) * clamp(a)(i - 1, j);
        loss() = sum({i, j}, h(i, j) * h(i, j) * b(j));
        const std::vector<Func> g = grad(loss, {a, b});
        return Algorithm(g, arguments_of(g)).text();
    };
    EXPECT_EQ(text(), text());
}

TEST(DerivativeTraps, T09TiesShareOne) {
    Dim i("i");
    const Input a("a", f64, {i});
    Func largest("largest"), both("both"), self("self");
    largest() = max({i}, a(i));
    EXPECT_EQ(gradient(largest, a, {3, 5, 5, 1, 5}, {{"i", 5}}), (std::vector<double>{0, 1, 0, 0, 0}));
    both() = sum({i}, max(a(i), 2.0 * a(i)) + min(a(i), 3.0 * a(i)));
    EXPECT_EQ(gradient(both, a, {0}, {{"i", 1}}), (std::vector<double>{2}));
    Func smallest("smallest");
    smallest() = min({i}, a(i) * a(i));
    EXPECT_EQ(gradient(smallest, a, {-1, 1, 2}, {{"i", 3}}), (std::vector<double>{-2, 0, 0}));
}

TEST(DerivativeTraps, T10RowsThatAreMaskedAltogether) {
    Dim i("i"), k("k");
    const Input a("a", f64, {i, k}), mask("mask", i32, {i, k});
    Func l("l"), total("total");
    l(i) = logsumexp({k}, a(i, k), where(mask(i, k) != 0));
    total() = sum({i}, select(l(i) > -inf, l(i), 0.0));
    const Program p{.y = total, .wrt = {a}, .extents = {{"i", 2}, {"k", 3}}, .integers = {{"mask", {1, 0, 1, 0, 0, 0}}}};
    const auto g = grad(total, {a});
    const auto values = random_values(p, {total}, 2);
    const auto d = evaluated(g, p, values)[0];
    EXPECT_NEAR(d[0] + d[2], 1, 1e-12);
    for (const size_t e : {1, 3, 4, 5}) EXPECT_EQ(d[e], 0);
}

TEST(DerivativeTraps, T11ScansAreNotOffByOne) {
    Dim t("t");
    const Input a("a", f64, {t}), h0("h0", f64, {});
    Func h("h"), end("end");
    recurrence(t, {{h(t), h0()}}, [&](const Self& s) -> Tuple { return {a(t) * s[0](t - 1)}; });
    end() = h(t.extent() - 1);
    EXPECT_EQ(gradient(end, a, {2, 3, 5}, {{"t", 3}}).size(), 3u);
    const Program p{.y = end, .wrt = {a, h0}, .extents = {{"t", 3}}, .floats = {{"a", {2, 3, 5}}, {"h0", {7}}}};
    const auto g = grad(end, {a, h0});
    EXPECT_EQ(evaluated(g, p, random_values(p, {end}, 1)), (std::vector<std::vector<double>>{{105, 70, 42}, {30}}));
}

TEST(DerivativeTraps, T13NarrowCotangentsAreAddedUpWide) {
    Dim i("i");
    const Input w("w", bf16, {}), x("x", f32, {i});
    Func loss("loss");
    loss() = sum({i}, x(i) * cast(f32, w()));
    const std::vector<Func> g = grad(loss, {w, x});
    EXPECT_EQ(g[0].dtype(), bf16);
    EXPECT_EQ(g[1].dtype(), f32);
    const Algorithm algorithm(g, {w, x});
    const std::int64_t n = 1000;
    const Buffer<float> ones({n}), dx({n});
    ones.fill(1);
    const Buffer<bfloat16> one({}), dw({});
    one() = bfloat16(1.0f);
    interpreter::evaluate(algorithm, {{"w", one}, {"x", ones}}, {{g[0].name(), dw}, {g[1].name(), dx}});
    EXPECT_EQ(static_cast<float>(dw()), 1000.0f);  // a sum in bf16 would stop at 256
    // Nothing is promoted beyond the dtype of the definition.
    for (const Func& f : algorithm.funcs()) EXPECT_NE(f.dtype(), f64) << f.name();
}

TEST(DerivativeTraps, T14ValuesOfTheForwardPartLiveUntilTheBackwardPart) {
    // Every layer is read long after the layers behind it: memory that is used again after the forward part would be wrong.
    Dim i("i"), k("k", i.extent());
    const Input x("x", f32, {i}), w("w", f32, {i, k});
    Func before("l0"), loss("loss");
    before(i) = x(i) * 0.5f;
    for (int n = 1; n <= 6; ++n) {
        Func next("l" + std::to_string(n));
        next(i) = tanh(sum({k}, w(i, k) * before(k)));
        before = next;
    }
    loss() = sum({i}, before(i) * before(i));
    const ValueAndGrad g = value_and_grad(loss, {w, x});
    std::vector<Func> all{g.value};
    all.insert(all.end(), g.gradients.begin(), g.gradients.end());
    const Algorithm step(all, arguments_of(all));
    const std::int64_t n = 37;
    const Buffer<float> xs({n}), ws({n, n});
    for (std::int64_t e = 0; e < n; ++e) xs(e) = static_cast<float>(std::sin(static_cast<double>(e)));
    for (std::int64_t e = 0; e < n * n; ++e) ws.data()[e] = 0.3f * static_cast<float>(std::cos(3.0 * static_cast<double>(e)));
    std::vector<std::vector<float>> results;
    for (const char* name : {"interpreter", "host"}) {
        const Target target = parse_target(name);
        const Buffer<float> value({}), dw({n, n}), dx({n});
        compile(step, default_schedule(step, target), target)({{"x", xs}, {"w", ws}},
                                                              {{all[0].name(), value}, {all[1].name(), dw}, {all[2].name(), dx}});
        results.emplace_back(dw.data(), dw.data() + dw.size());
        results.back().insert(results.back().end(), dx.data(), dx.data() + dx.size());
        results.back().push_back(value());
    }
    for (size_t e = 0; e < results[0].size(); ++e) ASSERT_NEAR(results[0][e], results[1][e], 1e-5) << e;
}

TEST(DerivativeTraps, T16RecomputedRandomNumbersAreTheSame) {
    Dim i("i");
    const Input x("x", f64, {i});
    Func kept("kept"), loss("loss");
    kept(i) = select(uniform(7, {i}) < 0.5f, x(i) * 2.0, 0.0);
    loss() = sum({i}, kept(i) * kept(i));
    const Program p{.y = loss, .wrt = {x}, .extents = {{"i", 40}}};
    const Values values = random_values(p, {loss}, 5);
    const auto g = evaluated(grad(loss, {x}), p, values)[0], k = evaluated({kept}, p, values)[0];
    for (size_t e = 0; e < g.size(); ++e) EXPECT_EQ(g[e] != 0, k[e] != 0) << e;
    check_derivative(p);
}

// The shift of a softmax gets no derivative: its maximum stays what it is, without the place of it.
TEST(DerivativeTraps, ShiftsWithoutDerivativeAreNotChanged) {
    Dim i("i"), j("j");
    const Input x("x", f64, {i, j});
    Func loss("loss"), total("total");
    const Func y = ops::softmax("y", x, j), l = ops::logsumexp("l", x, {j});
    loss() = sum({i, j}, y(i, j) * y(i, j)) + sum({i}, l(i));
    const std::vector<Func> g = grad(loss, {x});
    const auto has_places = [&](const std::vector<Func>& of) {
        const std::string text = Algorithm(of, {x}).text();
        return text.find("argmax") != std::string::npos || text.find("/first") != std::string::npos;
    };
    EXPECT_FALSE(has_places(g)) << Algorithm(g, {x}).text();
    total() = sum({i}, max({j}, x(i, j)));
    EXPECT_TRUE(has_places(grad(total, {x})));
}

TEST(DerivativeTraps, T17ChecksSeeWhatSquareShapesAndOnesHide) {
    // The transpose of the gradient, and one whose cotangent is taken for 1: right on a square matrix of ones.
    Dim i("i"), j("j");
    const Input a("a", f64, {i, j});
    Func y("y");
    y(i, j) = a(i, j) * a(i, j);
    const Func ignores = custom_vjp("ignores", y, {a}, [&](const Func& given) -> std::vector<Func> {
        Func g("g");
        g(i, j) = 2.0 * a(i, j) * given(0, 0);
        return {g};
    });
    Func plain("plain"), weighted("weighted");
    plain() = sum({i, j}, ignores(i, j));
    weighted(i, j) = ignores(i, j) * 1.0;
    EXPECT_TRUE(gradcheck(plain, {a}).agrees());
    EXPECT_FALSE(gradcheck(weighted, {a}).agrees());
    // Extents that nobody gives differ from each other.
    Func swapped("swapped");
    swapped() = sum({i, j}, a(i, j) * cast(f64, i + 2 * j));
    const GradCheck check = gradcheck(swapped, {a});
    EXPECT_TRUE(check.agrees()) << check.text();
    EXPECT_NE(check.rows[0].left, 0);
}

}  // namespace
}  // namespace tessera::autodiff_test
