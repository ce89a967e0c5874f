#include <tessera/compile.h>
#include <tessera/implicit.h>
#include <tessera/schedule_default.h>
#include <tessera/transform.h>

#include "thrown.h"
#include "unit/autodiff/derivative_cases.h"

#include <cmath>

// Tensors that equations define: values by iteration or elimination, derivatives by the equation.
namespace tessera::autodiff_test {
namespace {

constexpr double tight = 2e-14;

// x = tanh(W x + b), W small.
struct Layer {
    Dim i{"i"}, j{"j", i.extent()};
    Input W{"W", f64, {i, j}}, b{"b", f64, {i}}, start{"start", f64, {i}};
    Func x0{"x0"};
    std::map<std::string, std::int64_t> extents{{"i", 3}};
    Layer() { x0(i) = start(i); }
    Func solution(const std::string& name, const ImplicitOptions& options = {.tol = tight}) const {
        return fixed_point(
            name, x0, [&](const Func& x) { return tanh(0.3 * sum({j}, W(i, j) * x(j)) + b(i)); }, options);
    }
    Program program(const Func& y, std::vector<Input> wrt) const {
        return {.y = y, .wrt = std::move(wrt), .extents = extents, .low = -0.9, .high = 0.9};
    }
};

TEST(FixedPoint, HoldsAndIsDifferentiated) {
    const Layer l;
    for (const Solver solver : {Solver::automatic, Solver::cgnr}) {
        const Func x = l.solution("x", {.tol = tight, .solver = solver});
        check_derivative(l.program(x, {l.W, l.b}));
        Func loss("loss");
        loss() = sum({l.i}, x(l.i) * x(l.i) * cast(f64, l.i + 1));
        check_derivative(l.program(loss, {l.W, l.b}));
    }
    const Func x = l.solution("x");
    Func off("off");
    off(l.i) = x(l.i) - tanh(0.3 * sum({l.j}, l.W(l.i, l.j) * x(l.j)) + l.b(l.i));
    const Program p = l.program(off, {});
    const auto left = evaluated({off}, p, random_values(p, {off}, 1));
    for (const double v : left[0]) EXPECT_LE(std::abs(v), tight);
}

TEST(FixedPoint, IsDifferentiatedTwice) {
    const Layer l;
    const Func x = l.solution("x");
    Func loss("loss");
    loss() = sum({l.i}, x(l.i) * x(l.i) * cast(f64, l.i + 1));
    check_derivative(l.program(grad(loss, {l.b})[0], {l.W, l.b}));
    check_derivative(l.program(hvp(loss, {{l.b, 1}})[0], {l.b}));
}

// Where the iteration starts does not matter for what the equation says.
TEST(FixedPoint, T15TheGradientByTheFirstGuessIsZero) {
    const Layer l;
    Func loss("loss");
    const Func x = l.solution("x");
    loss() = sum({l.i}, x(l.i));
    const Program p = l.program(loss, {l.start});
    const std::vector<Func> g = grad(loss, {l.start, l.b});
    const auto values = evaluated(g, p, random_values(p, {g[0], g[1], loss}, 1));
    EXPECT_EQ(values[0], (std::vector<double>{0, 0, 0}));
    EXPECT_NE(values[1][0], 0.0);
}

// Each in an algorithm of its own, with the same arguments.
std::vector<std::vector<double>> each_evaluated(const std::vector<Func>& all, const Program& p, unsigned seed) {
    std::vector<std::vector<double>> out;
    Values values;
    for (const Func& f : all) values.merge(random_values(p, {f}, seed));
    for (const Func& f : all) out.push_back(evaluated({f}, p, values)[0]);
    return out;
}

// One linear solve for every row, or column: by rows as by columns as along a direction.
TEST(FixedPoint, JacobiansGoThroughTheEquation) {
    const Layer l;
    Dim k("k", l.i.extent()), m("m", l.i.extent());
    for (const Solver solver : {Solver::automatic, Solver::lu, Solver::cgnr}) {
        const Func x = l.solution("x", {.tol = tight, .solver = solver});
        Func y("y"), loss("loss");
        y(l.i) = x(l.i) * x(l.i) + l.b(l.i);
        loss() = sum({l.i}, y(l.i) * cast(f64, l.i + 1));
        const std::vector<Func> all{jacrev(y, l.b, {k}), jacfwd(y, l.b, {k}), jvp(y, {{l.b, 1}}), hessian(loss, l.b, {m}),
                                    hvp(loss, {{l.b, 1}})[0]};
        Program p = l.program(y, {});
        p.extents["k"] = p.extents["m"] = 3;
        const auto found = each_evaluated(all, p, 1);
        ASSERT_EQ(found[0].size(), 9u);
        for (size_t e = 0; e < 9; ++e) EXPECT_NEAR(found[0][e], found[1][e], 1e-12);
        for (size_t r = 0; r < 3; ++r) {
            EXPECT_NEAR(found[0][3 * r] + found[0][3 * r + 1] + found[0][3 * r + 2], found[2][r], 1e-12);
            EXPECT_NEAR(found[3][3 * r] + found[3][3 * r + 1] + found[3][3 * r + 2], found[4][r], 1e-12);
        }
    }
}

// Equations that are independent along n, each with its own gradient.
TEST(FixedPoint, GradientsPerPointOfIndependentEquations) {
    const Layer l;
    Dim n("n", 2);
    const Input bs("bs", f64, {n, l.i});
    Func first("first"), each("each"), total("total");
    first(n, l.i) = 0.0 * bs(n, l.i);
    const Func x =
        fixed_point("x", first, [&](const Func& v) { return tanh(0.3 * sum({l.j}, l.W(l.i, l.j) * v(n, l.j)) + bs(n, l.i)); },
                    {.tol = tight, .per = {n}});
    each(n) = sum({l.i}, x(n, l.i) * x(n, l.i));
    total() = sum({n}, each(n));
    const std::vector<Func> all{grad(each, {bs}, {.per = {n}})[0], grad(total, {bs})[0]};
    const Program p = l.program(total, {});
    const auto found = each_evaluated(all, p, 1);
    ASSERT_EQ(found[0].size(), 6u);
    for (size_t e = 0; e < 6; ++e) EXPECT_NEAR(found[0][e], found[1][e], 1e-12);
    // By what all equations share.
    const std::vector<Func> shared{grad(each, {l.W}, {.per = {n}})[0], jacrev(each, l.W), grad(total, {l.W})[0]};
    const auto by_W = each_evaluated(shared, p, 1);
    ASSERT_EQ(by_W[0].size(), 18u);
    for (size_t e = 0; e < 18; ++e) EXPECT_NEAR(by_W[0][e], by_W[1][e], 1e-12);
    for (size_t e = 0; e < 9; ++e) EXPECT_NEAR(by_W[0][e] + by_W[0][9 + e], by_W[2][e], 1e-12);
    check_derivative(l.program(shared[0], {l.W, bs}));
    // One equation for all: its gradient by b for every weight n.
    const Func one = l.solution("one");
    Func weighted("weighted");
    const Input weights("weights", f64, {n, l.i});
    weighted(n) = sum({l.i}, one(l.i) * weights(n, l.i));
    const std::vector<Func> rows{grad(weighted, {l.b}, {.per = {n}})[0], jacrev(weighted, l.b)};
    const auto both = each_evaluated(rows, p, 2);
    ASSERT_EQ(both[0].size(), 6u);
    for (size_t e = 0; e < 6; ++e) EXPECT_NEAR(both[0][e], both[1][e], 1e-12);
}

// An equation that couples the points of n: one linear solve for each.
TEST(FixedPoint, GradientsPerPointOfOneEquation) {
    const Layer l;
    Dim n("n", 2), m("m", 2);
    const Input bs("bs", f64, {n, l.i}), mix("mix", f64, {n, m});
    Func first("first"), each("each"), total("total");
    first(n, l.i) = 0.0 * bs(n, l.i);
    for (const Solver solver : {Solver::automatic, Solver::cgnr}) {
        const Func x = fixed_point(
            "x", first,
            [&](const Func& v) {
                return tanh(0.3 * sum({l.j}, l.W(l.i, l.j) * v(n, l.j)) + 0.2 * sum({m}, mix(n, m) * v(m, l.i)) + bs(n, l.i));
            },
            {.tol = tight, .solver = solver});
        each(n) = sum({l.i}, x(n, l.i) * x(n, l.i));
        const std::vector<Func> all{grad(each, {l.W}, {.per = {n}})[0], jacrev(each, l.W)};
        const auto found = each_evaluated(all, l.program(each, {}), 1);
        ASSERT_EQ(found[0].size(), 18u);
        for (size_t e = 0; e < 18; ++e) EXPECT_NEAR(found[0][e], found[1][e], 1e-12);
        check_derivative(l.program(all[0], {l.W}));
        EXPECT_EQ(thrown([&] { static_cast<void>(grad(each, {bs}, {.per = {n}})); }), E1003_derivative_shape);
        each = Func("each");
    }
}

TEST(FixedPoint, CapturedFuncsAndFuncsThatAreCut) {
    const Layer l;
    Func shift("shift"), loss("loss"), by_hand("by_hand");
    shift(l.i) = 2.0 * sum({l.j}, l.W(l.i, l.j)) * l.b(l.i) + 0.1;
    const Func x = fixed_point("x", l.x0, [&](const Func& v) { return 0.5 * sin(v(l.i)) + shift(l.i) * 0.3; }, {.tol = tight});
    loss() = sum({l.i}, x(l.i) * x(l.i));
    check_derivative(l.program(loss, {l.W, l.b}));
    // dx/dshift = 0.3 / (1 - cos(x) / 2)
    by_hand(l.i) = 2.0 * x(l.i) * 0.3 / (1.0 - 0.5 * cos(x(l.i)));
    const Func g = grad(loss, {shift})[0];
    const Program p = l.program(by_hand, {});
    const auto values = evaluated({g, by_hand}, p, random_values(p, {g, by_hand}, 1));
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(values[0][i], values[1][i], 1e-12);
}

TEST(FixedPoint, MappedOverABatchEachConvergesForItself) {
    const Layer l;
    Dim n("n", 3);
    const Input bs("bs", f64, {n, l.i});
    const Func x = l.solution("x"), all = vmap(x, n, {{l.b, bs}});
    check_derivative(l.program(all, {l.W, bs}));
    const Program p = l.program(all, {});
    Values values = random_values(p, {all}, 1);
    const auto batch = evaluated({all}, p, values)[0];
    for (size_t r = 0; r < 3; ++r) {
        Buffer<double> b({3});
        for (int k = 0; k < 3; ++k) b(k) = Buffer<double>(values.at("bs"))(static_cast<std::int64_t>(r), k);
        values["b"] = b.any();
        EXPECT_EQ(evaluated({x}, p, values)[0], std::vector<double>(batch.begin() + static_cast<std::ptrdiff_t>(3 * r),
                                                                    batch.begin() + static_cast<std::ptrdiff_t>(3 * r + 3)));
    }
}

TEST(FixedPoint, Unconverged) {
    const Layer l;
    const Func x = l.solution("x", {.tol = 1e-12, .max_iters = 3});
    Func loss("loss");
    loss() = sum({l.i}, x(l.i));
    const Program p = l.program(loss, {});
    const Values values = random_values(p, {loss}, 1);
    try {
        static_cast<void>(evaluated({loss}, p, values));
        FAIL() << "three steps do not reach 1e-12";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), E0713_unconverged);
        EXPECT_NE(std::string(e.what()).find("residual"), std::string::npos) << e.what();
    }
    // The value is good, the linear system of the gradient is not solved far enough.
    Func exact("exact"), y("y");
    exact(l.i) = l.b(l.i) * 2.0;
    const Func z = implicit("z", exact, [&](const Func& v) { return sum({l.j}, l.W(l.i, l.j) * (v(l.j) - 2.0 * l.b(l.j))); },
                            {.max_iters = 1, .solver = Solver::cgnr});
    y() = sum({l.i}, z(l.i));
    EXPECT_NO_THROW(static_cast<void>(evaluated({y}, l.program(y, {}), random_values(l.program(y, {}), {y}, 1))));
    const Func g = grad(y, {l.b})[0];
    EXPECT_EQ(thrown([&] { static_cast<void>(evaluated({g}, l.program(g, {}), random_values(l.program(g, {}), {g}, 1))); }),
              E0713_unconverged);
}

// A v = b with A = M'M + 1.
struct Linear {
    Dim i{"i", 4}, j{"j", 4}, k{"k", 4};
    Input M{"M", f64, {k, i}}, b{"b", f64, {i}};
    Func right{"right"};
    Linear() { right(i) = b(i); }
    void reset(const Dim& open) {
        i = open;
        j = Dim("j", i.extent());
        k = Dim("k", i.extent());
        M = Input("M", f64, {k, i});
        b = Input("b", f64, {i});
        right = Func("right");
        right(i) = b(i);
    }
    Expr product(const Func& v) const { return v(i) + sum({k}, M(k, i) * sum({j}, M(k, j) * v(j))); }
};

TEST(Solve, EverySolverAndItsDerivatives) {
    for (const Solver solver : {Solver::automatic, Solver::lu, Solver::cg, Solver::cgnr}) {
        const Linear l;
        const Func v = solve("v", l.right, [&](const Func& x) { return l.product(x); }, {.tol = 1e-13, .solver = solver});
        Func off("off"), loss("loss");
        off(l.i) = l.product(v) - l.b(l.i);
        const Program p{.y = off, .wrt = {}};
        const auto left = evaluated({off}, p, random_values(p, {off}, 2));
        for (const double e : left[0]) EXPECT_LE(std::abs(e), 1e-12);
        check_derivative({.y = v, .wrt = {l.M, l.b}});
        loss() = sum({l.i}, v(l.i) * v(l.i) * cast(f64, l.i + 1));
        check_derivative({.y = loss, .wrt = {l.M, l.b}});
        if (solver == Solver::lu) check_derivative({.y = grad(loss, {l.b})[0], .wrt = {l.M, l.b}});
    }
}

// Not symmetric, with zeros on the diagonal: rows are exchanged, and the transpose is another matrix.
TEST(Solve, PivotsAndMatricesThatAreNotSymmetric) {
    Dim i("i", 3), j("j", 3), n("n", 2);
    const Input A("A", f64, {n, i, j}), b("b", f64, {n, i});
    const std::vector<double> entries{0, 2, 1, 3, 0, 0, 1, 1, 0, 0, 0, 4, 0, 5, 1, 2, 1, 3};
    Func right("right");
    right(n, i) = b(n, i);
    for (const Solver solver : {Solver::lu, Solver::cgnr}) {
        const Func v = solve("v", right, [&](const Func& x) { return sum({j}, A(n, i, j) * x(n, j)); },
                             {.tol = 1e-12, .solver = solver, .per = {n}});
        Program p{.y = v, .wrt = {A, b}, .floats = {{"A", entries}}};
        check_derivative(p);
        const auto got = evaluated({v}, p, random_values(p, {v}, 1))[0];
        const auto values = random_values(p, {v}, 1);
        const Buffer<double> rights(values.at("b"));
        for (int m = 0; m < 2; ++m)
            for (int r = 0; r < 3; ++r) {
                double sum = 0;
                for (int c = 0; c < 3; ++c)
                    sum += entries[static_cast<size_t>(m * 9 + r * 3 + c)] * got[static_cast<size_t>(m * 3 + c)];
                EXPECT_NEAR(sum, rights(m, r), 1e-11);
            }
    }
}

TEST(Solve, T15ConjugateGradientsOfASystemThatIsNotSymmetricAreRefused) {
    Dim i("i", 3), j("j", 3);
    const Input A("A", f64, {i, j}), b("b", f64, {i});
    Func right("right");
    right(i) = b(i);
    const Func v = solve("v", right, [&](const Func& x) { return sum({j}, A(i, j) * x(j)); }, {.solver = Solver::cg});
    const Program p{.y = v, .wrt = {}, .floats = {{"A", {0, 2, 1, 3, 0, 0, 1, 1, 0}}}};
    EXPECT_EQ(thrown([&] { static_cast<void>(evaluated({v}, p, random_values(p, {v}, 1))); }), E0713_unconverged);
}

TEST(Implicit, TheValueIsWhatItIsAndTheDerivativeThatOfTheEquation) {
    Dim i("i");
    const Input a("a", f64, {i});
    Func root("root"), plain("plain");
    root(i) = sqrt(a(i));
    const Func x = implicit("x", root, [&](const Func& v) { return v(i) * v(i) - a(i); }, {.tol = 1e-12, .per = {i}});
    plain(i) = sqrt(a(i)) * 3.0;
    const Program p{.y = x, .wrt = {a}, .extents = {{"i", 5}}, .low = 0.5, .high = 4};
    EXPECT_EQ(evaluated({x}, p, random_values(p, {x}, 1)), evaluated({root}, p, random_values(p, {x}, 1)));
    Func loss("loss"), same("same");
    loss() = sum({i}, 3.0 * x(i));
    same() = sum({i}, plain(i));
    const Func g = grad(loss, {a})[0], want = grad(same, {a})[0];
    const auto values = evaluated({g, want}, p, random_values(p, {g, want}, 1));
    for (size_t k = 0; k < 5; ++k) EXPECT_NEAR(values[0][k], values[1][k], 1e-10);
    // A value that does not solve the equation.
    const Func wrong =
        implicit("wrong", root, [&](const Func& v) { return v(i) * v(i) - 1.01 * a(i); }, {.tol = 1e-6, .per = {i}});
    EXPECT_EQ(thrown([&] { static_cast<void>(evaluated({wrong}, p, random_values(p, {wrong}, 1))); }), E0713_unconverged);
}

TEST(Argmin, OfAConvexFunctionAndItsDerivatives) {
    Dim n("n", 2), i("i", 3);
    const Input a("a", f64, {n, i}), c("c", f64, {i});
    Func start("start");
    start(n, i) = cast(f64, 0);
    const auto objective = [&](const Func& x) {
        const Expr d = x(n, i) - a(n, i);
        return sum({i}, (1.5 + c(i)) * d * d + 0.25 * x(n, i) * x(n, i) * x(n, i) * x(n, i)) + 0.5 * x(n, 0) * x(n, 1);
    };
    const Func x = argmin("x", start, objective, {.tol = 1e-12, .per = {n}});
    const Program p{.y = x, .wrt = {a, c}, .low = -1, .high = 1};
    check_derivative(p);
    Func loss("loss");
    loss() = sum({n, i}, x(n, i) * x(n, i));
    check_derivative({.y = loss, .wrt = {a, c}, .low = -1, .high = 1});
}

TEST(Implicit, PrintsAndParsesBack) {
    const Layer l;
    Func loss("loss");
    const Func x = l.solution("x");
    loss() = sum({l.i}, x(l.i));
    const Func g = grad(loss, {l.b})[0];
    const Algorithm all({loss, g}, arguments_of({loss, g}));
    EXPECT_EQ(parse_algorithm(all.text()).text(), all.text());
    EXPECT_EQ(parse_algorithm(all.text()).hash(), all.hash());
    ASSERT_EQ(all.effects().size(), 1u);
    EXPECT_EQ(all.effects()[0].kind, EffectKind::check);
}

TEST(Implicit, WhatDoesNotFitIsRefused) {
    Dim i("i", 2), j("j", 2);
    const Input h("h", f16, {i}), b("b", f64, {i, j});
    Func half("half"), right("right");
    half(i) = h(i);
    right(i, j) = b(i, j);
    EXPECT_EQ(thrown([&] { static_cast<void>(fixed_point("x", half, [&](const Func& x) { return x(i) * 0.5; })); }),
              E0202_dtype_unsupported);
    EXPECT_EQ(thrown([&] { static_cast<void>(solve("x", right, [&](const Func& x) { return x(i, j) * x(i, j); })); }),
              E1003_derivative_shape);
    EXPECT_EQ(thrown([&] {
                  static_cast<void>(solve("x", right, [&](const Func& x) { return x(i, j) * 2.0; }, {.solver = Solver::lu}));
              }),
              L0904_derivative);
    EXPECT_EQ(thrown([&] { static_cast<void>(implicit("x", right, [&](const Func& x) { return cast(f32, x(i, j)); })); }),
              E0205_narrowing);
}

#ifdef TESSERA_HAVE_HALIDE
struct Calls {
    Module meaning, kernel;
    explicit Calls(const Algorithm& a)
        : meaning(compile(a, Schedule{}, parse_target("interpreter"))),
          kernel(compile(a, default_schedule(a, Target()), Target(), {.disk_cache = false})) {}
};

TEST(Implicit, CompiledAndItsGradient) {
    const Layer l;
    Func loss("loss");
    const Func x = l.solution("x", {.tol = 1e-12});
    loss() = sum({l.i}, x(l.i) * x(l.i));
    const ValueAndGrad g = value_and_grad(loss, {l.W, l.b});
    const Calls calls(Algorithm({g.value, g.gradients[0], g.gradients[1]}, {l.W, l.b, l.start}));
    Buffer<double> W({5, 5}), b({5}), start({5});
    double next = 0.4;
    for (Buffer<double>* buffer : {&W, &b, &start})
        buffer->for_each([&](double& v) { v = (next = 3.9 * next * (1 - next)) * 1.4 - 0.7; });
    Buffer<double> value({}), dW({5, 5}), db({5}), want({}), want_W({5, 5}), want_b({5});
    const NamedInputs in{{"W", W}, {"b", b}, {"start", start}};
    calls.meaning(in, {{g.value.name(), want}, {g.gradients[0].name(), want_W}, {g.gradients[1].name(), want_b}});
    calls.kernel(in, {{g.value.name(), value}, {g.gradients[0].name(), dW}, {g.gradients[1].name(), db}});
    EXPECT_NEAR(value(), want(), 1e-13);
    for (int r = 0; r < 5; ++r) {
        EXPECT_NEAR(db(r), want_b(r), 1e-11);
        for (int c = 0; c < 5; ++c) EXPECT_NEAR(dW(r, c), want_W(r, c), 1e-11);
    }
}

TEST(Implicit, AKernelSaysThatItDidNotConverge) {
    const Layer l;
    const Func x = l.solution("x", {.tol = 1e-12, .max_iters = 3});
    Func y("y");
    y(l.i) = x(l.i);
    const Calls calls(Algorithm({y}, {l.W, l.b, l.start}));
    Buffer<double> W({3, 3}), b({3}), start({3}), out({3});
    const auto code = [&](const Module& f) { return thrown([&] { f({{"W", W}, {"b", b}, {"start", start}}, {{"y", out}}); }); };
    // All zero: converged at once.
    for (Buffer<double>* buffer : {&W, &b, &start}) buffer->for_each([](double& v) { v = 0; });
    EXPECT_EQ(code(calls.kernel), B0951_internal);
    for (Buffer<double>* buffer : {&W, &b, &start}) buffer->for_each([](double& v) { v = 0.8; });
    EXPECT_EQ(code(calls.meaning), E0713_unconverged);
    EXPECT_EQ(code(calls.kernel), E0713_unconverged);
    // The next call starts anew.
    for (Buffer<double>* buffer : {&W, &b, &start}) buffer->for_each([](double& v) { v = 0; });
    EXPECT_EQ(code(calls.kernel), B0951_internal);
}

TEST(Implicit, KernelsSolveSystems) {
    for (const Solver solver : {Solver::lu, Solver::cg, Solver::cgnr}) {
        Linear l;
        l.reset(Dim("i"));
        const Func v = solve("v", l.right, [&](const Func& x) { return l.product(x); }, {.tol = 1e-12, .solver = solver});
        Func y("y");
        y(l.i) = v(l.i);
        const Calls calls(Algorithm({y}, {l.M, l.b}));
        Buffer<double> M({4, 4}), b({4}), out({4}), want({4});
        double next = 0.4;
        for (Buffer<double>* buffer : {&M, &b})
            buffer->for_each([&](double& e) { e = (next = 3.9 * next * (1 - next)) * 2 - 1; });
        calls.meaning({{"M", M}, {"b", b}}, {{"y", want}});
        calls.kernel({{"M", M}, {"b", b}}, {{"y", out}});
        for (int r = 0; r < 4; ++r) EXPECT_NEAR(out(r), want(r), 1e-12);
    }
}
#endif

}  // namespace
}  // namespace tessera::autodiff_test
