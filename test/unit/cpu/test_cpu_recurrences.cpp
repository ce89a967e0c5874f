#include <tessera/autodiff.h>
#include <tessera/tessera.h>

#include "schedule/default_schedule.h"
#include "schedule/stages.h"
#include "unit/cpu/expect_same.h"
#include "unit/cpu/target_comparison.h"

#include <limits>

// Steps that reduce over the states, states of different dims, steps that stop: by definition, as loops, and compiled.
namespace tessera {
namespace {

using test::TargetComparison;

struct Network {
    Dim t{"t"}, j{"j"}, i{"i", j.extent()}, b{"b"};
    Input W{"W", f32, {j, i}}, x{"x", f32, {t, b, j}};
    Func h{"h"};
    Network() {
        recurrence(t, {{h(t, b, j), cast(f32, 0)}},
                   [&](const Self& s) -> Tuple { return {tanh(sum({i}, W(j, i) * s[0](t - 1, b, i)) + x(t, b, j))}; });
    }
};

TEST(CpuRecurrences, AMatrixTimesTheState) {
    const Network n;
    const TargetComparison run(Algorithm({n.h}, {n.W, n.x}));
    for (const std::int64_t T : {0, 1, 6}) run.at({{"t", T}, {"b", 3}, {"j", 5}, {"i", 5}});
    run.at({{"t", 4}, {"b", 1}, {"j", 1}, {"i", 1}});
    run.at({{"t", 4}, {"b", 2}, {"j", 17}, {"i", 17}});
}

TEST(CpuRecurrences, GradientOfANetwork) {
    const Network n;
    Func loss("loss");
    loss() = sum({n.t, n.b, n.j}, n.h(n.t, n.b, n.j) * n.h(n.t, n.b, n.j), {.order = Order::ascending()});
    const std::vector<Func> g = grad(loss, {n.W, n.x}, {.order = Order::ascending()});
    const TargetComparison run(Algorithm({g[0], g[1]}, {n.W, n.x}));
    run.at({{"t", 3}, {"b", 2}, {"j", 4}, {"i", 4}});
}

TEST(CpuRecurrences, StatesOfDifferentDims) {
    Dim t("t"), j("j"), k("k");
    Input a("a", f32, {j}), c("c", f32, {k});
    Func wide("wide"), narrow("narrow"), other("other"), out("out");
    recurrence(t, {{wide(t, j), a(j)}, {narrow(t), cast(f32, 1)}, {other(k, t), c(k)}}, [&](const Self& s) -> Tuple {
        const Expr norm = sum({j}, s[0](t - 1, j) * s[0](t - 1, j)) + 1.0f;
        return {s[0](t - 1, j) / norm + s[1](t - 1), s[1](t - 1) * 0.5f + max({k}, s[2](k, t - 1)),
                s[2](k, t - 1) * norm - s[2](0, t - 2)};
    });
    out(t) = narrow(t) + other(0, t);
    const TargetComparison run(Algorithm({wide, narrow, out}, {a, c}));
    run.at({{"t", 5}, {"j", 4}, {"k", 3}});
    run.at({{"t", 2}, {"j", 1}, {"k", 7}});
    run.at({{"t", 3}, {"j", 0}, {"k", 2}});
}

TEST(CpuRecurrences, ReductionsOfReductionsWithPredicatesAndPlaces) {
    Dim t("t", 4), j("j"), k("k", j.extent());
    Input a("a", f32, {j}), M("M", f32, {j, k});
    Func v("v"), product("product"), end("end");
    recurrence(t, {{v(t, j), a(j)}}, [&](const Self& s) -> Tuple {
        product(t, j) = sum({k}, M(j, k) * s[0](t - 1, k), where(k != j));
        const Expr length = sqrt(sum({j}, product(t, j) * product(t, j)));
        const Expr at = argmax(j, abs(product(t, j)));
        return {product(t, j) / length + select(cast(i64, j) == at, 0.5f, 0.0f)};
    });
    end(j) = v(t.extent() - 1, j);
    const TargetComparison run(Algorithm({end}, {a, M}));
    run.at({{"j", 6}, {"k", 6}});
    run.at({{"j", 2}, {"k", 2}});
}

// A definition of the step that is read at a dim which it reduces over itself.
TEST(CpuRecurrences, ADimThatIsBoundAndAnIndex) {
    Dim t("t", 3), j("j", 4), k("k", 4);
    Input a("a", f32, {j}), M("M", f32, {j, k});
    Func v("v"), product("product");
    recurrence(t, {{v(t, j), a(j)}}, [&](const Self& s) -> Tuple {
        product(t, j) = sum({k}, M(j, k) * s[0](t - 1, k));
        return {sum({k}, M(j, k) * product(t, k))};
    });
    TargetComparison(Algorithm({v}, {a, M})).at({});
    // Bound inside what is read elsewhere: the dim of the definition, and the one of its reduction.
    Func w("w"), scaled("scaled");
    recurrence(t, {{w(t, j), a(j)}}, [&](const Self& s) -> Tuple {
        scaled(t, j) = s[0](t - 1, j) / (1.0f + sum({j}, s[0](t - 1, j) * s[0](t - 1, j)));
        return {sum({k}, M(j, k) * scaled(t, k)) + scaled(t, j)};
    });
    TargetComparison(Algorithm({w}, {a, M})).at({});
}

TEST(CpuRecurrences, InReverse) {
    Dim t("t"), j("j", 5), i("i", 5);
    Input W("W", f64, {j, i}), x("x", f64, {t, j});
    Func h("h"), m("m");
    recurrence(t, {{h(t, j), x(0, j)}, {m(t), cast(f64, t)}},
               [&](const Self& s) -> Tuple {
                   return {sin(sum({i}, W(j, i) * s[0](t + 1, i)) + s[1](t + 2)), min({j}, x(t, j) - s[0](t + 1, j))};
               },
               {.reverse = true});
    const TargetComparison run(Algorithm({h, m}, {W, x}));
    run.at({{"t", 6}});
    run.at({{"t", 1}});
}

TEST(CpuRecurrences, Until) {
    Dim t("t", 30), b("b"), j("j"), i("i", j.extent());
    Input M("M", f64, {j, i}), start("start", f64, {b, j});
    Func x("x"), steps("steps"), end("end"), count("count");
    recurrence(t, {{x(t, b, j), start(b, j)}, {steps(t, b), cast(i32, 0)}},
               [&](const Self& s) -> Tuple {
                   return {0.2 * sum({i}, M(j, i) * s[0](t - 1, b, i)) + 1.0, s[1](t - 1, b) + 1};
               },
               {.until = [&](const Self& s) { return max({j}, abs(s[0](t, b, j) - s[0](t - 1, b, j))) < 1e-4; }});
    end(b, j) = x(t.extent() - 1, b, j);
    count(b) = steps(t.extent() - 1, b);
    const TargetComparison run(Algorithm({end, count}, {M, start}));
    run.at({{"b", 3}, {"j", 4}, {"i", 4}});
    run.at({{"b", 1}, {"j", 1}, {"i", 1}});
}

// What has stopped is copied. A sum over all rows goes on while any of them does.
TEST(CpuRecurrences, StepsThatHaveStoppedAreSkipped) {
    Dim t("t", 40), b("b"), c("c", b.extent()), j("j"), i("i", j.extent());
    Input M("M", f64, {j, i}), start("start", f64, {b, j});
    Func x("x"), all("all"), out("out"), sums("sums");
    recurrence(t, {{x(t, b, j), start(b, j)}},
               [&](const Self& s) -> Tuple { return {0.2 * sum({i}, M(j, i) * s[0](t - 1, b, i)) + start(b, j)}; },
               {.until = [&](const Self& s) { return max({j}, abs(s[0](t, b, j) - s[0](t - 1, b, j))) < 1e-3 * start(b, 0); }});
    out(t, b, j) = x(t, b, j);
    const Algorithm skips({out}, {M, start});
    const TargetComparison run(skips);
    run.at({{"b", 5}, {"j", 3}, {"i", 3}});
    run.at({{"b", 1}, {"j", 6}, {"i", 6}});
    const std::string loops =
        compile(skips, default_schedule(skips, Target()), Target(), {.disk_cache = false}).inspect_ir(IrLevel::schedule);
    EXPECT_NE(loops.find("phase == 3 || not(x.recurrence(x.recurrence.t - 1, "), std::string::npos) << loops;
    recurrence(
        t, {{all(t, b, j), start(b, j)}},
        [&](const Self& s) -> Tuple { return {0.3 * s[0](t - 1, b, j) + 0.01 * sum({c}, s[0](t - 1, c, j)) + start(b, j)}; },
        {.until = [&](const Self& s) { return max({j}, abs(s[0](t, b, j) - s[0](t - 1, b, j))) < 1e-3 * start(b, 0); }});
    sums(t, b, j) = all(t, b, j);
    TargetComparison(Algorithm({sums}, {start})).at({{"b", 5}, {"j", 3}});
}

ErrorCode thrown(const Algorithm& a) {
    try {
        static_cast<void>(compile(a, default_schedule(a, Target()), Target(), {.disk_cache = false}));
    } catch (const Exception& e) {
        return e.code();
    }
    return B0951_internal;
}

TEST(CpuRecurrences, WhatHasNoLoopsYetIsALimit) {
    Dim t("t", 3), s("s", 3), j("j", 4);
    Input a("a", f32, {j});
    Func running("running"), inner("inner"), outer("outer"), kahan("kahan");
    recurrence(t, {{running(t, j), a(j)}}, [&](const Self& self) -> Tuple { return {scan(plus, j, self[0](t - 1, j))}; });
    EXPECT_EQ(thrown(Algorithm({running}, {a})), L0901_not_on_target);
    recurrence(t, {{kahan(t, j), a(j)}},
               [&](const Self& self) -> Tuple { return {sum({j}, self[0](t - 1, j), {.order = Order::kahan()}) + a(j)}; });
    EXPECT_EQ(thrown(Algorithm({kahan}, {a})), L0901_not_on_target);
    recurrence(t, {{outer(t, j), a(j)}}, [&](const Self& self) -> Tuple {
        recurrence(s, {{inner(s, t, j), self[0](t - 1, j)}},
                   [&](const Self& in) -> Tuple { return {in[0](s - 1, t, j) * 0.5f}; });
        return {inner(2, t, j)};
    });
    EXPECT_EQ(thrown(Algorithm({outer}, {a})), L0901_not_on_target);
}

// The steps of a recurrence that reduces over its states run over the extents of its dims: what lies beyond is read through a
// boundary condition, or by the interpreter.
TEST(CpuRecurrences, ReadsOutsideAnExtentOfARecurrenceInPhasesAreALimit) {
    Dim t("t", 4), j("j"), i("i", j.extent());
    Input x("x", f32, {t, j});
    Func h("h"), ahead("ahead"), held("held");
    recurrence(t, {{h(t, j), cast(f32, 1)}},
               [&](const Self& s) -> Tuple { return {0.25f * sum({i}, s[0](t - 1, i)) + clamp(x)(t, j)}; });
    ahead(t, j) = h(t, j) + h(t, j + 1);
    held(t, j) = h(t, j) + clamp(h)(t, j + 1);
    const Algorithm beyond({ahead}, {x});
    try {
        static_cast<void>(make_stages(beyond));
        ADD_FAILURE() << "no limit";
    } catch (const Limit& e) {
        EXPECT_EQ(e.code(), L0901_not_on_target);
        EXPECT_NE(std::string(e.what()).find("state h"), std::string::npos) << e.what();
        EXPECT_NE(std::string(e.what()).find("outside the extent of j"), std::string::npos) << e.what();
        EXPECT_NE(std::string(e.what()).find("clamp(h)"), std::string::npos) << e.what();
    }
    // The alternatives that it names.
    Buffer<float> in({4, 5}), out({4, 5});
    in.for_each([](float& v) { v = 1; });
    compile(beyond, {}, parse_target("interpreter"))({{"x", in}}, {{"ahead", out}});
    EXPECT_EQ(out(0, 4), 4.5f);
    const TargetComparison run(Algorithm({held}, {x}));
    for (const std::int64_t n : {1, 2, 9}) run.at({{"j", n}, {"i", n}});
}

// Without loops of its own at root, as the default schedule has it: the kernel must give the interpreter's 29, -7.
TEST(CpuRecurrences, InPhasesAtRootWithoutLoops) {
    Dim c("c"), x("x"), j("j", x.extent());
    Input b("b", i32, {c, x});
    Func h("h");
    recurrence(c, {{h(c, x), cast(i32, 2)}}, [&](const Self& s) -> Tuple {
        return {s[0](c - 1, x) * 2 - s[0](c - 2, x) * sum({j}, s[0](c - 1, j)) + b(c, x)};
    });
    const Algorithm a({h}, {b});
    Schedule roots;
    roots.stage("h").root();
    roots.stage("h.recurrence").root();
    Buffer<std::int32_t> in({2, 3}), want({2, 3}), got({2, 3});
    in.for_each([](std::int32_t& v) { v = 1; });
    compile(a, Schedule(), parse_target("interpreter"))({{"b", in}}, {{"h", want}});
    compile(a, roots, Target(), {.disk_cache = false})({{"b", in}}, {{"h", got}});
    for (int t = 0; t < 2; ++t)
        for (int i = 0; i < 3; ++i) EXPECT_EQ(got(t, i), want(t, i));
}

// A kernel that checks what it computed ends with an error, by definition and compiled, also in a parallel loop.
TEST(CpuRecurrences, ChecksOfValues) {
    Dim n("n");
    Input x("x", f32, {n}), error("error", f32, {n});
    Func y("y");
    y(n) = checked(x(n), error(n), 0.5f);
    const Algorithm a({y}, {x, error});
    EXPECT_EQ(parse_algorithm(a.text()).text(), a.text());
    Schedule threads;
    threads.stage("y").root().parallel("n", 16).serial("n");
    for (const Module& f :
         {compile(a, {}, parse_target("interpreter")), compile(a, default_schedule(a, Target()), Target(), {.disk_cache = false}),
          compile(a, threads, Target(), {.disk_cache = false})}) {
        Buffer<float> in({100}), errors({100}), out({100});
        const auto code = [&] {
            try {
                f({{"x", in}, {"error", errors}}, {{"y", out}});
            } catch (const Exception& e) {
                EXPECT_NE(std::string(e.what()).find("residual"), std::string::npos) << e.what();
                return e.code();
            }
            return B0951_internal;
        };
        in.for_each([](float& v) { v = 3; });
        errors.for_each([](float& v) { v = 0.5f; });
        EXPECT_EQ(code(), B0951_internal);
        EXPECT_EQ(out(99), 3.0f);
        errors(70) = 0.75f;
        EXPECT_EQ(code(), E0713_unconverged);
        errors(70) = std::numeric_limits<float>::quiet_NaN();
        EXPECT_EQ(code(), E0713_unconverged);
        // The next call starts anew.
        errors(70) = 0;
        EXPECT_EQ(code(), B0951_internal);
    }
}

// A block of columns whose steps read other columns is not all that is computed of them.
TEST(CpuRecurrences, ColumnsInBlocksThatReadEachOther) {
    const Algorithm a = parse_algorithm(R"(tessera graph 1
algorithm f
dim y
dim x
input a : i32[y, x]
recurrence y reverse {
  f(y, x) : i32 = 2i32
}
step f = f(y + 1, x) * 2i32 - f(y + 2, min(max(x + 0, 0), extent(x) - 1)) + a(y, x)
arguments a
outputs f
)");
    const Schedule s =
        parse_schedule(R"({"tessera_schedule": 1, "stages": {"f": {"compute": "root", "loops": [{"dim": "x"}, {"dim": "y"}]},
        "f.recurrence": {"compute": {"at": "f", "loop": "x"}, "store": {"space": "stack"},
                         "loops": [{"dim": "y"}, {"name": "block", "dim": "x", "tile": 5}, {"dim": "x"}]}}})");
    test::expect_same(a, s, {{{"y", 5}, {"x", 13}}, {{"y", 1}, {"x", 3}}});
}

// Recurrences in the strips of the outputs that read them, down and up, one through the other, at steps of their own and before.
TEST(CpuRecurrences, OutputsThatReadThemByDefault) {
    Dim b("b"), t("t"), c("c");
    const Input factor("factor", i32, {b, t, c}), points("points", i32, {b, t, c}), start("start", i32, {b, c});
    Func down("down"), up("up"), first("first"), product("product"), last("last");
    recurrence(t, {{down(b, t, c), start(b, c)}},
               [&](const Self& s) -> Tuple { return {factor(b, t, c) * s[0](b, t - 1, c) + points(b, t, c)}; });
    recurrence(t, {{up(b, t, c), cast(i32, 1)}},
               [&](const Self& s) -> Tuple { return {s[0](b, t + 1, c) - down(b, t, c) * factor(b, t, c)}; }, {.reverse = true});
    first(b, t, c) = down(b, t, c);
    product(b, t, c) = up(b, t, c) * down(b, t - 1, c) + points(b, t, c);
    last(b, t, c) = up(b, t + 1, c) - factor(b, t, c);
    const Algorithm outputs({first, product, last}, {factor, points, start});
    const Schedule s = default_schedule(outputs, CpuModel{});
    for (const char* stage : {"down.recurrence", "up.recurrence"})
        EXPECT_EQ(s.stages.at(stage).compute->at, (LoopRef{"last", "strip"})) << to_json(s);
    for (const char* stage : {"first", "product"}) EXPECT_EQ(s.stages.at(stage).fuse_with, (FuseWith{"last", "t"})) << to_json(s);
    test::expect_same(outputs, s,
                      {{{"b", 2}, {"t", 9}, {"c", 150}},
                       {{"b", 1}, {"t", 1}, {"c", 3}},
                       {{"b", 1}, {"t", 0}, {"c", 70}},
                       {{"b", 3}, {"t", 5}, {"c", 64}}});
}

}  // namespace
}  // namespace tessera
