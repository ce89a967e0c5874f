// Sums of products, columns of sums, recurrences and scatters under the default schedule, against the interpreter. Numbers are
// small integers, so that every order of a sum gives the same bits.
#include <tessera/autodiff.h>
#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include "unit/cpu/expect_same.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace tessera {
namespace {

AnyBuffer filled(DType dtype, const std::vector<Dim>& dims, unsigned seed) {
    std::vector<std::int64_t> extents;
    for (const Dim& d : dims) extents.push_back(d.extent().constant().value());
    std::mt19937 random(seed);
    const auto number = [&] { return std::uniform_int_distribution<int>(-3, 3)(random); };
    if (dtype == i32) {
        Buffer<std::int32_t> b(extents);
        b.for_each([&](std::int32_t& v) { v = std::abs(number()); });
        return b;
    }
    if (dtype == f64) {
        Buffer<double> b(extents);
        b.for_each([&](double& v) { v = number(); });
        return b;
    }
    Buffer<float> b(extents);
    b.for_each([&](float& v) { v = static_cast<float>(number()); });
    return b;
}

void expect_same(const std::vector<Func>& outputs) {
    const Algorithm algorithm(outputs, arguments_of(outputs));
    NamedInputs inputs;
    unsigned seed = 1;
    for (const Argument& a : algorithm.arguments()) {
        const Input input(a.state());
        inputs.emplace(input.name(), filled(input.dtype(), input.dims(), seed++));
    }
    std::map<std::string, AnyBuffer> results[2];
    for (int which = 0; which < 2; ++which) {
        const Target target = parse_target(which == 0 ? "interpreter" : "host");
        for (const Func& f : outputs) results[which][f.name()] = filled(f.dtype(), f.dims(), 99);
        compile(algorithm, default_schedule(algorithm, target), target, {.disk_cache = false})(inputs, results[which]);
    }
    for (const auto& [name, want] : results[0]) {
        const std::size_t bytes = static_cast<std::size_t>(want.size()) * (want.dtype() == TESSERA_F64 ? 8 : 4);
        EXPECT_EQ(std::memcmp(want.data(), results[1].at(name).data(), bytes), 0) << name << "\n"
                                                                                  << to_json(default_schedule(algorithm));
    }
}

// Both gradients of a product: one factor strides across the columns, one across the rows.
TEST(DefaultContractions, GradientsOfProducts) {
    for (const auto& [rows, columns, depth] :
         std::vector<std::array<std::int64_t, 3>>{{7, 300, 33}, {64, 70, 40}, {1, 16, 64}, {50, 5, 35}, {1000, 20, 40}}) {
        Dim m("m", rows), n("n", columns), k("k", depth);
        const Input A("A", f32, {m, k}), B("B", f32, {k, n}), given("given", f32, {m, n});
        Func C("C");
        C(m, n) = sum({k}, A(m, k) * B(k, n));
        const ValuesAndGrads g = value_and_vjp({{C, given}}, {A, B});
        expect_same({g.values[0], g.gradients[0], g.gradients[1]});
    }
}

// Rows that follow each other in memory far apart are gathered into panels.
TEST(DefaultContractions, RowsFarApart) {
    Dim h("h", 2), m("m", 40), k("k", 1030), n("n", 17);
    const Input A("A", f32, {h, m, k}), G("G", f32, {h, m, n});
    Func C("C");
    C(h, k, n) = sum({m}, A(h, m, k) * G(h, m, n));
    EXPECT_TRUE(default_schedule(Algorithm({C}, {A, G})).stages.count("A.rows"));
    expect_same({C});
    // Of several tiles of columns also where several of them are in a page.
    const auto has_rows = [](std::int64_t rows, std::int64_t columns) {
        Dim step("step", 40), r("r", rows), c("c", columns);
        const Input P("P", f32, {step, r}), Q("Q", f32, {step, c});
        Func R("R");
        R(r, c) = sum({step}, P(step, r) * Q(step, c));
        return default_schedule(Algorithm({R}, {P, Q})).stages.count("P.rows") > 0;
    };
    EXPECT_TRUE(has_rows(256, 512));
    EXPECT_FALSE(has_rows(255, 512));
    EXPECT_FALSE(has_rows(512, 16));
}

// What fits one tile of columns depends on how wide vectors are.
Schedule schedule_for_wide_vectors(const Algorithm& algorithm) {
    return default_schedule(algorithm, parse_target("x86-64-linux-avx512"));
}

// For one tile of columns they are not: the sum goes in steps whose lines stay in the first cache, and lives in the result.
TEST(DefaultContractions, RowsFarApartForFewColumns) {
    for (const auto& [heads, steps, rows, columns] :
         std::vector<std::array<std::int64_t, 4>>{{1, 140, 1030, 33}, {8, 129, 1024, 16}}) {
        Dim h("h", heads), m("m", steps), k("k", rows), n("n", columns);
        const Input A("A", f32, {h, m, k}), G("G", f32, {h, m, n}), B("B", f32, {m, k}), D("D", f32, {m, n}),
            bias("bias", f32, {n});
        Func C("C"), F("F");
        C(h, k, n) = sum({m}, A(h, m, k) * G(h, m, n));
        F(k, n) = relu(sum({m}, B(m, k) * D(m, n)) + bias(n));
        const Schedule s = schedule_for_wide_vectors(Algorithm({C, F}, {A, G, B, D, bias}));
        for (const std::string name : {"C", "F"}) {
            EXPECT_EQ(s.stages.at(name + ".sum").store.in, name) << to_json(s);
            EXPECT_EQ(s.stages.at(name + ".sum.part").keep, std::vector<std::string>{"m/128"});
        }
        EXPECT_FALSE(s.stages.count("A.rows"));
        expect_same({C, F});
    }
}

TEST(DefaultContractions, RowsFarApartOfAnyNumber) {
    Dim m("m"), k("k"), n("n", 40);
    const Input A("A", i32, {m, k}), G("G", i32, {m, n});
    Func C("C");
    C(k, n) = sum({m}, A(m, k) * G(m, n)) + 1;
    const Algorithm algorithm({C}, {A, G});
    const Schedule s = schedule_for_wide_vectors(algorithm);
    EXPECT_TRUE(s.stages.count("C.sum.part")) << to_json(s);
    test::expect_same(algorithm, s,
                      {{{"m", 1}, {"k", 1}}, {{"m", 131}, {"k", 7}}, {{"m", 256}, {"k", 61}}, {{"m", 0}, {"k", 5}}});
}

// A factor of rows that leaves the cache is computed by each tile of few columns, not stored for them.
TEST(DefaultContractions, FactorsOfRowsForFewColumnsAreInline) {
    const auto outputs = [](std::int64_t columns, std::int64_t rows) {
        Dim k("k", 20), n("n", rows), i("i", 32), j("j", columns);
        const Input s("s", f32, {k, n, i}), w("w", f32, {k, n}), x("x", f32, {n, j});
        Func weighted("weighted"), product("product"), total("total");
        weighted(k, n, i) = w(k, n) * s(k, n, i) * 2.0f;
        product(k, i, j) = sum({n}, weighted(k, n, i) * x(n, j));
        total(k, i) = sum({n}, weighted(k, n, i));
        return std::vector<Func>{product, total};
    };
    const auto stores = [](const std::vector<Func>& of) {
        return default_schedule(Algorithm(of, arguments_of(of))).stages.count("weighted") != 0;
    };
    EXPECT_FALSE(stores(outputs(20, 1700)));
    EXPECT_TRUE(stores(outputs(80, 1700)));
    EXPECT_TRUE(stores(outputs(20, 1000)));
    expect_same(outputs(20, 1700));
}

TEST(DefaultContractions, ConvolutionsAndTheirGradients) {
    Dim i("i", 2), y("y", 5), x("x", 9), c("c", 7), r("r", 3), s("s", 3), o("o", 20);
    const Input image("image", f32, {i, y, x, c}), weight("weight", f32, {r, s, c, o}), given("given", f32, {i, y, x, o});
    Func out("out");
    out(i, y, x, o) = sum({r, s, c}, constant(image, 0)(i, y + r - 1, x + s - 1, c) * weight(r, s, c, o));
    EXPECT_TRUE(default_schedule(Algorithm({out}, {image, weight})).stages.count("image.padded"));
    const ValuesAndGrads g = value_and_vjp({{out, given}}, {image, weight});
    expect_same({g.values[0], g.gradients[0], g.gradients[1]});
}

// As the library writes it: strides and paddings stand in the indices.
TEST(DefaultContractions, ConvolutionsOfTheLibraryAreContractions) {
    Dim i("i", 2), y("y", 8), x("x", 9), c("c", 5), r("r", 3), s("s", 3), o("o", 16);
    const Input image("image", f32, {i, y, x, c}), weight("weight", f32, {r, s, c, o});
    const Func out = ops::conv2d("out", image, weight, {}, {.y = {.padding = 1}, .x = {.padding = 1}});
    const Algorithm algorithm({out}, {image, weight});
    EXPECT_EQ(default_schedule(algorithm).stages.at("out.sum").compute->at.loop, "mt") << to_json(default_schedule(algorithm));
    expect_same({out});
}

// A block of columns that is partly filled computes tiles that nobody reads: products that pack a factor have blocks, others with
// dims for their tasks have none.
TEST(DefaultContractions, BlocksOfColumnsOnlyWherePanelsArePacked) {
    const auto has_blocks = [](const Func& out) {
        return to_json(default_schedule(Algorithm({out}, arguments_of({out})))).find("\"nb\"") != std::string::npos;
    };
    const Dim b("b"), x("x"), o("o"), i("i"), t("t", 3), in_x("in_x", x.extent() + 2);
    const Input in("in", f32, {b, in_x, i}), taps("taps", f32, {t, i, o}), left("left", f32, {x, i}), right("right", f32, {i, o});
    Func convolved("convolved"), product("product");
    convolved(b, x, o) = sum({t, i}, in(b, x + t, i) * taps(t, i, o));
    product(x, o) = sum({i}, left(x, i) * right(i, o));
    EXPECT_FALSE(has_blocks(convolved));
    EXPECT_TRUE(has_blocks(product));
}

// A recurrence whose step is large when it is written out as a tree: parts that are shared are computed once, and named.
TEST(DefaultContractions, StepsWithSharedParts) {
    Dim t("t", 7), b("b", 5);
    const Input x("x", f64, {t, b}), w("w", f64, {b});
    Func h("h"), loss("loss");
    recurrence(t, {{h(t, b), cast(f64, 0.5)}}, [&](const Self& s) -> Tuple {
        Expr v = s[0](t - 1, b);
        for (int depth = 0; depth < 6; ++depth) v = v * v * w(b) * 0.25 + v * x(t, b) - v * v;
        return {v * 0.0 + x(t, b)};
    });
    loss() = sum({t, b}, h(t, b));
    const ValueAndGrad g = value_and_grad(loss, {x});
    expect_same({g.value, g.gradients[0]});
}

// A condition between the dims of a register tile: of some tiles nothing is needed, of others a part. What a whole tile reads
// beyond the edge is held inside.
TEST(DefaultContractions, ChosenByConditionsOnTheirDims) {
    Dim n("n", 40), i("i", 90), j("j", 200);
    Input a("a", f32, {n, i}), b("b", f32, {n, j});
    Func below("below"), right("right"), shifted("shifted");
    below(i, j) = select(j < i, sum({n}, a(n, i) * b(n, j)), 0.0f);
    right(i, j) = select(j >= 150, sum({n}, a(n, i) * b(n, j)) + 1.0f, select(i >= 80, 2.0f, 3.0f));
    shifted(i, j) = select(i > 0 && j > 0, sum({n}, a(n, i - 1) * b(n, j - 1)), 0.0f);
    expect_same({below, right, shifted});
}

// One tensor in both places of a product.
TEST(DefaultContractions, GramMatrix) {
    Dim m("m", 35), n("n", 35), k("k", 40);
    const Input A("A", f32, {m, k});
    Func C("C");
    C(m, n) = sum({k}, A(m, k) * A(n, k));
    expect_same({C});
}

// A product that is read by rows and by columns is stored, with what is done to its values.
TEST(DefaultContractions, LayersInAChain) {
    Dim b("b", 19), i("i", 40), j("j", 70), k("k", 10);
    const Input x("x", f32, {b, i}), v("v", f32, {i, j}), w("w", f32, {j, k});
    Func hidden("hidden"), out("out"), loss("loss");
    hidden(b, j) = relu(sum({i}, x(b, i) * v(i, j)));
    out(b, k) = sum({j}, hidden(b, j) * w(j, k));
    loss() = sum({b, k}, out(b, k));
    const ValueAndGrad g = value_and_grad(loss, {v, w});
    expect_same({g.value, g.gradients[0], g.gradients[1]});
}

TEST(DefaultContractions, SumsOfColumnsAndRows) {
    Dim h("h", 3), row("row", 37), i("i", 300);
    const Input x("x", f32, {h, row, i});
    Func columns("columns"), rows("rows"), few("few");
    columns(i) = sum({h, row}, x(h, row, i) * x(h, row, i));
    rows(h, row) = sum({i}, x(h, row, i) * 2.0f);
    few(row) = sum({h}, x(h, row, 0));
    expect_same({columns});
    expect_same({rows});
    expect_same({few});
}

TEST(DefaultContractions, RecurrencesAndScattersRunInVectors) {
    for (const std::int64_t width : {1, 14, 16, 100}) {
        Dim t("t", 9), c("c", width), v("v", 6);
        const Input a("a", f32, {t, c}), given("given", f32, {t, c});
        Input at("at", i32, {t});
        at.values_in(0, 6);
        Func h("h"), table("table");
        recurrence(t, {{h(t, c), cast(f32, 1)}}, [&](const Self& s) -> Tuple { return {s[0](t - 1, c) + a(t, c)}; });
        const ValuesAndGrads g = value_and_vjp({{h, given}}, {a});
        expect_same({g.values[0], g.gradients[0]});
        table(v, c) = scatter(plus, {to(v, at(t))}, {t}, a(t, c));
        EXPECT_EQ(default_schedule(Algorithm({table}, {at, a})).stages.at("table.scatter").store.in, "table");
        expect_same({table});
    }
}

// Readers of a tuple take a component each: it is not stored for them.
TEST(DefaultContractions, ComponentsThatAreReadOnceAreInline) {
    Dim row("row", 64), i("i", 64);
    const Input x("x", f32, {row, i}), scale("scale", f32, {i}), bias("bias", f32, {i}), given("given", f32, {row, i});
    const ValuesAndGrads g = value_and_vjp({{ops::layer_norm("y", x, {i}, scale, bias), given}}, {x, scale, bias});
    const std::vector<Func> outputs{g.values[0], g.gradients[0], g.gradients[1], g.gradients[2]};
    EXPECT_FALSE(default_schedule(Algorithm(outputs, arguments_of(outputs))).stages.count("d_y/y.1/terms"));
}

// What makes half of each row's weight is three operations a row, dearer than a load; what only the squares' own definition reads
// is computed with it.
TEST(DefaultContractions, LittleThatRowsBeginWithIsInline) {
    Dim k("k", 40), n("n", 300), i("i", 64), j("j", 64);
    const Input w("w", f32, {k, n}), l("l", f32, {k, i, j}), x("x", f32, {n, j});
    Func half("half"), product("product"), scaled("scaled"), squares("squares"), weighted("weighted");
    half(k, n) = (0.25f - w(k, n)) * w(k, n) * 0.5f;
    product(k, n, i) = sum({j}, l(k, i, j) * x(n, j));
    scaled(k, n, i) = product(k, n, i) + 1.0f;
    squares(k, n) = sum({i}, scaled(k, n, i) * scaled(k, n, i));
    weighted(k, n, i) = half(k, n) * scaled(k, n, i);
    const Schedule s = default_schedule(Algorithm({squares, weighted}, arguments_of({squares, weighted})));
    EXPECT_FALSE(s.stages.count("half"));
    EXPECT_FALSE(s.stages.count("product"));
    EXPECT_TRUE(s.stages.count("scaled"));
    expect_same({squares, weighted});
}

}  // namespace
}  // namespace tessera
