#include <gtest/gtest.h>
#include <tessera/tessera.h>

#include "schedule/bound.h"
#include "schedule/default_schedule.h"
#include "schedule/loop_tree.h"

namespace tessera {
namespace {

struct Blur {
    Dim y{"y"}, x{"x"}, r{"r", 3};
    Input photo{"photo", u8, {y, x}};
    Func rows{"rows"}, blur{"blur"};
    Blur() {
        rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - 1)));
        blur(y, x) = cast(u8, sum({r}, rows(y + r - 1, x)) / 9);
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({blur}, {photo}); }
};

struct Gemm {
    Dim m{"m"}, n{"n"}, k{"k"};
    Input A{"A", f32, {m, k}}, B{"B", f32, {k, n}};
    Func C{"C"};
    Gemm() { C(m, n) = relu(sum({k}, A(m, k) * B(k, n))); }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({C}, {A, B}); }
};

std::vector<std::string> loop_names(const std::vector<BoundLoop>& nest) {
    std::vector<std::string> names;
    for (const BoundLoop& l : nest) names.push_back(l.name);
    return names;
}

TEST(Stages, ReductionsAreStages) {
    const StageGraph g = make_stages(Blur().algorithm());
    EXPECT_EQ(g.names(), (std::vector<std::string>{"rows.sum", "rows", "blur.sum", "blur"}));
    EXPECT_EQ(g.stages[3].output, 0u);
    EXPECT_EQ(g.stages[0].update->reduction_dims.size(), 1u);
}

TEST(Stages, ProductsAccumulateByFma) {
    const StageGraph g = make_stages(Gemm().algorithm());
    EXPECT_EQ(g.stages[0].update->values[0]->op, Op::fma);
}

TEST(Stages, ComponentsOfOneReductionAreOneStage) {
    Dim i("i"), j("j");
    Input x("x", f32, {i, j});
    Func f("f");
    const Tuple w = welford({j}, x(i, j));
    f(i) = w[1] + w[2];
    const StageGraph g = make_stages(Algorithm({f}, {x}));
    ASSERT_EQ(g.stages.size(), 2u);
    EXPECT_EQ(g.stages[0].dtypes.size(), 3u);
}

TEST(Stages, StatesOfARecurrenceAreOneStage) {
    Dim t("t"), i("i");
    Input x("x", f32, {t, i});
    Func h("h"), m("m");
    recurrence(t, {{h(t, i), cast(f32, 0)}, {m(t, i), cast(f32, 0)}}, [&](const Self& s) -> Tuple {
        return {s[0](t - 1, i) * 0.5f + s[1](t - 2, i), x(t, i)};
    });
    const StageGraph g = make_stages(Algorithm({h}, {x}));
    EXPECT_EQ(g.names(), (std::vector<std::string>{"h.recurrence", "h", "m"}));
    EXPECT_EQ(g.stages[0].dtypes.size(), 2u);
}

TEST(Bind, UnlistedStagesAreInlineAndReductionsPrivate) {
    const BoundSchedule b = bind(Blur().algorithm(), Schedule());
    EXPECT_EQ(b.graph.names(), (std::vector<std::string>{"rows.sum", "blur.sum", "blur"}));
    EXPECT_EQ(b.stages[1].compute_at, (LoopPosition{2, 1}));
    EXPECT_EQ(b.stages[0].compute_at, (LoopPosition{1, 2}));
}

TEST(Bind, PackedMatmul) {
    Schedule s;
    s.stage("C")
        .root()
        .parallel("m", 96, "mb")
        .serial("n", 96, "nb")
        .serial("m", 6, "mt")
        .serial("n", 16, "nt")
        .unroll("m")
        .unroll("n", 8, "nu")
        .vector("n");
    s.stage("C.sum").at("C", "nt").space(Space::register_).serial("k").unroll("m").unroll("n", 8, "nu").vector("n");
    s.copy("B.p", "B", {"C.sum"}).at("C", "nb").layout({"n/16", "k", "n%16"}).serial("k").unroll("n", 8).vector("n");
    const BoundSchedule b = bind(Gemm().algorithm(), s);
    EXPECT_EQ(b.graph.names(), (std::vector<std::string>{"B.p", "C.sum", "C"}));
    EXPECT_EQ(b.graph.stages[0].dims.size(), 3u);
    EXPECT_EQ(loop_names(b.stages[0].pure).size(), 4u);
    EXPECT_EQ(b.stages[1].compute_at, (LoopPosition{2, 3}));
}

TEST(Bind, PartialSplitsAReduction) {
    Schedule s;
    s.stage("C").root();
    s.stage("C.sum").root();
    s.partial("C.part", "C.sum", {"k/256"}).root();
    const BoundSchedule b = bind(Gemm().algorithm(), s);
    EXPECT_EQ(b.graph.names(), (std::vector<std::string>{"C.part", "C.sum", "C"}));
    EXPECT_EQ(b.graph.stages[0].dims.front().name(), "k/256");
    EXPECT_TRUE(b.graph.stages[0].update->condition.defined());
    EXPECT_EQ(b.graph.stages[1].update->values[0]->op, Op::add);
}

template <class Make>
ErrorCode code_of(Make make) {
    try {
        make();
    } catch (const Exception& e) {
        return e.code();
    }
    return B0951_internal;
}

// One of them runs all of the tile around.
TEST(Bind, AWarpgroupMayHaveTheTileOfItsBlock) {
    const auto with = [](LoopKind inner, std::int64_t tile) {
        Schedule s;
        s.stage("C").root().loop({.dim = "m", .tile = 64, .as = LoopKind::block, .name = "mb"});
        s.stage("C").loop({.dim = "m", .tile = tile, .as = inner, .name = "mg"}).serial("m").serial("n");
        return code_of([&] { (void)bind(Gemm().algorithm(), s, parse_target("cuda-sm_90a")); });
    };
    for (const LoopKind one : {LoopKind::warp, LoopKind::warpgroup}) {
        EXPECT_EQ(with(one, 64), B0951_internal);  // nothing is thrown
        EXPECT_EQ(with(one, 128), E0503_tile);
    }
    EXPECT_EQ(with(LoopKind::thread, 64), E0503_tile);
    EXPECT_EQ(with(LoopKind::serial, 64), E0503_tile);
}

TEST(Bind, RefusesWhatIsIllegal) {
    const Algorithm gemm = Gemm().algorithm();
    const auto refused = [&](auto edit) {
        Schedule s;
        edit(s);
        return code_of([&] { (void)bind(gemm, s); });
    };
    EXPECT_EQ(refused([](Schedule& s) { s.stage("D").root(); }), E0501_unknown_stage);
    EXPECT_EQ(refused([](Schedule& s) { s.stage("C").root().vector("q"); }), E0502_unknown_loop);
    EXPECT_EQ(refused([](Schedule& s) { s.stage("C").root().serial("m", 8, "a").serial("m", 8, "b").serial("m"); }), E0503_tile);
    EXPECT_EQ(refused([](Schedule& s) { s.stage("C").root().serial("m", 8, "a"); }), E0503_tile);
    EXPECT_EQ(refused([](Schedule& s) { s.stage("C").root().vector("n"); }), E0506_loop_kind);
    EXPECT_EQ(refused([](Schedule& s) { s.stage("C.sum").root().vector("k", 8); }), E0505_order);
    EXPECT_EQ(refused([](Schedule& s) {
                  s.stage("C").root();
                  s.stage("C.sum").at("C", "z");
              }),
              E0502_unknown_loop);
    EXPECT_EQ(refused([](Schedule& s) {
                  s.stage("C").root();
                  s.copy("B.p", "B", {"C.sum"}).root();
                  s.stage("C.sum").at("B.p", "k");
              }),
              E0504_placement);
    EXPECT_EQ(refused([](Schedule& s) { s.stage("C").root().serial("m", 8, "a").tail(Tail::round_up).serial("m"); }), E0507_tail);
    EXPECT_EQ(refused([](Schedule& s) { s.copy("X.p", "X", {"C.sum"}).root(); }), E0501_unknown_stage);
    EXPECT_EQ(refused([](Schedule& s) { s.partial("P", "C", {"k/8"}).root(); }), E0509_derived_stage);
    EXPECT_EQ(refused([](Schedule& s) { s.stage("C").root().loop({.dim = "m", .as = LoopKind::block}); }), L0903_schedule);
    EXPECT_EQ(refused([](Schedule& s) { s.partial("P", "C.sum", {"k/8%4"}).root(); }), L0903_schedule);
}

// Every column of a step needs its neighbours of the step before.
TEST(Bind, StepsOfARecurrenceStandOutsideTheDimsThatItReadsAcross) {
    Dim t("t"), x("x"), c("c");
    Input in("in", f32, {t, x, c});
    Func h("h");
    recurrence(t, {{h(t, x, c), cast(f32, 0)}},
               [&](const Self& s) -> Tuple { return {in(t, x, c) + s[0](t - 1, clamp(x + 1, 0, x.extent() - 1), c)}; });
    const Algorithm algorithm({h}, {in});
    const auto nest = [&](const Schedule& s) {
        const BoundSchedule b = bind(algorithm, s);
        return loop_names(b.main_nest(*b.graph.find("h.recurrence")));
    };
    Schedule listed;
    listed.stage("h").root();
    listed.stage("h.recurrence").root().parallel("c").parallel("x").serial("t");
    EXPECT_EQ(nest(listed), (std::vector<std::string>{"c", "t", "x"}));
    Schedule plain;
    plain.stage("h").root();
    plain.stage("h.recurrence").root();
    EXPECT_EQ(nest(plain), (std::vector<std::string>{"c", "t", "x"}));
    EXPECT_EQ(nest(default_schedule(algorithm, CpuModel{})), (std::vector<std::string>{"c", "t", "x"}));
    // The region of a tile holds all of x and ends there.
    Schedule inside;
    inside.stage("h").root().serial("t").serial("x", 4, "xo").serial("x").serial("c");
    inside.stage("h.recurrence").at("h", "xo");
    EXPECT_NO_THROW((void)build_loop_tree(bind(algorithm, inside)));
}

TEST(Bind, KeepsDeclaredOrder) {
    Dim m("m"), k("k"), l("l");
    Input A("A", f32, {m, k, l});
    Func C("C");
    C(m) = sum({k, l}, A(m, k, l), ReduceOptions{.order = Order::ascending()});
    Schedule s;
    s.stage("C.sum").root().serial("l").serial("k");
    EXPECT_EQ(code_of([&] { (void)bind(Algorithm({C}, {A}), s); }), E0505_order);
    s.stages.at("C.sum").loops.reset();
    s.stage("C.sum").serial("k").serial("l", 8, "lo").serial("l");
    EXPECT_NO_THROW((void)bind(Algorithm({C}, {A}), s));
}

// Threads scan together where the method says so, one row at a time, and each needs consecutive steps.
TEST(Bind, ThreadsScanWhereTheMethodSaysSo) {
    Dim r("r"), t("t");
    Input a("a", f32, {r, t});
    const auto with = [&](const Monoid& combined, std::vector<LoopSpec> loops, Method method) {
        Func y("y");
        y(r, t) = scan(combined, t, a(r, t), {.name = "scan"});
        Schedule s;
        s.stage("y").root();
        StageEdit edit = s.stage("scan").root().method(method);
        for (const LoopSpec& l : loops) edit.loop(l);
        return code_of([&] { (void)bind(Algorithm({y}, {a}), s, parse_target("cuda-sm_80")); });
    };
    const ErrorCode accepted = B0951_internal;
    const LoopSpec rows{.dim = "r", .as = LoopKind::block}, all{.dim = "t"};
    const LoopSpec own{.dim = "t", .tile = 4, .as = LoopKind::thread, .name = "own"};
    const LoopSpec lanes{.dim = "t", .tile = 4, .as = LoopKind::lane, .name = "own"};
    const auto row_loop = [](LoopKind kind) { return LoopSpec{.dim = "r", .as = kind}; };
    const Monoid halving = monoid(
        "halving", [](const std::vector<DType>&) { return Tuple{0}; },
        [](const Tuple& x, const Tuple& y) { return Tuple{x[0] * 0.5 + y[0]}; }, {.commutative = false, .associative = false});
    EXPECT_EQ(with(plus, {rows, own, all}, Method::blocked), accepted);
    EXPECT_EQ(with(plus, {row_loop(LoopKind::warp), lanes, all}, Method::blocked), accepted);
    EXPECT_EQ(with(plus, {rows, own, all}, Method::serial), E0505_order);
    EXPECT_EQ(with(halving, {rows, own, all}, Method::blocked), E0505_order);
    EXPECT_EQ(with(plus, {rows, all}, Method::blocked), E0506_loop_kind);
    EXPECT_EQ(with(plus, {row_loop(LoopKind::thread), own, all}, Method::blocked), E0506_loop_kind);
    EXPECT_EQ(with(plus, {own, row_loop(LoopKind::serial), all}, Method::blocked), E0506_loop_kind);
    Schedule sums;
    sums.stage("C").root();
    sums.stage("C.sum").root().method(Method::blocked);
    EXPECT_EQ(code_of([&] { (void)bind(Gemm().algorithm(), sums, parse_target("cuda-sm_80")); }), E0505_order);
}

TEST(Bind, KeepsTheOrderOfAMonoidThatIsNotAssociative) {
    Dim m("m"), k("k"), l("l");
    Input A("A", f32, {m, k, l});
    const Monoid halving = monoid(
        "halving", [](const std::vector<DType>&) { return Tuple{0}; },
        [](const Tuple& a, const Tuple& b) { return Tuple{a[0] * 0.5 + b[0]}; }, {.commutative = false, .associative = false});
    Func C("C");
    C(m) = reduce(halving, {k, l}, {A(m, k, l)})[0];
    const Algorithm algorithm({C}, {A});
    const auto refused = [&](const Schedule& s) { return code_of([&] { (void)bind(algorithm, s); }); };
    Schedule reordered, split, kept;
    reordered.stage("C.halving").root().serial("l").serial("k");
    EXPECT_EQ(refused(reordered), E0505_order);
    split.stage("C.halving").root();
    split.partial("P", "C.halving", {"k/8"}).root();
    EXPECT_EQ(refused(split), E0505_order);
    kept.stage("C.halving").root().serial("k").serial("l", 8, "lo").serial("l");
    EXPECT_NO_THROW((void)bind(algorithm, kept));
}

// The extent of u is that of what is read: of a stage that nothing reads it would be unknown.
TEST(Bind, StagesWhoseClonesTakeAllUsesAreGone) {
    const Dim x("x"), u("u");
    const Input a("a", i32, {x});
    Func inner("inner"), f("f"), g("g"), h("h");
    inner(u) = clamp(a)(u) + 1;
    f(u) = inner(u) * 2;
    g(x) = f(x / 2) + 1;
    h(x) = f(x + 1) + g(x);
    const Algorithm algorithm({h}, {a});
    Schedule s;
    for (const char* name : {"inner", "f", "g", "h"}) s.stage(name).root();
    s.clone("f.of_g", "f", {"g"}).root();
    EXPECT_EQ(bind(algorithm, s).graph.names(), (std::vector<std::string>{"inner", "f", "f.of_g", "g", "h"}));
    s.clone("f.of_h", "f", {"h"}).root();
    s.clone("inner.of_g", "inner", {"f.of_g"}).root();
    s.clone("inner.of_h", "inner", {"f.of_h"}).root();
    const BoundSchedule bound = bind(algorithm, s);
    EXPECT_FALSE(bound.graph.find("f"));
    EXPECT_FALSE(bound.graph.find("inner"));
    EXPECT_EQ(bound.graph.stages.size(), 6U);
    EXPECT_EQ(to_text(build_loop_tree(bound)).find("[0, u)"), std::string::npos);
}

}  // namespace
}  // namespace tessera
