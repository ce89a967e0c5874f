#include "unit/cpu/expect_same.h"

#include <tessera/compile.h>
#include <tessera/schedule_default.h>

#include <regex>
#include <sstream>

// What lowering leaves of comparisons, of vectors over an edge and of values that components share: the text of a kernel, and its
// results bit for bit.
namespace tessera {
namespace {

using test::expect_same;
using test::Shapes;

int count_of(const std::string& text, const std::string& what) {
    int count = 0;
    for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
    return count;
}

std::string lowered(const Algorithm& algorithm, const Schedule& schedule) {
    return compile(algorithm, schedule, {}, {.disk_cache = false}).inspect_ir(IrLevel::tile);
}

TEST(LoweredValues, ComparisonsOfFloatsArePlain) {
    Dim i("i", 64);
    Input a("a", f32, {i});
    Func y("y");
    y(i) = exp(a(i)) + select(a(i) < 0.5f, 1.0f, a(i));
    const Algorithm algorithm({y}, {a});
    const Schedule schedule = default_schedule(algorithm);
    const std::string text = lowered(algorithm, schedule);
    EXPECT_EQ(text.find("mux("), std::string::npos) << text;
    EXPECT_GE(count_of(text, "strict_lt("), 3) << text;
    expect_same(algorithm, schedule, {{}});
}

// 14 values in vectors of 4: the last one reaches over the edge.
TEST(LoweredValues, VectorsOverAnEdgeLoadWhatIsInsideAtOnce) {
    Dim i("i", 14), row("row", 3);
    Input a("a", f64, {i}), b("b", f32, {row, i}), h("h", f16, {i});
    Func half("half"), y("y");
    half(row, i) = a(i) * cast(f64, b(2, i)) + cast(f64, b(row, i)) + cast(f64, h(i));
    y(row, i) = half(row, i) - 1.0;
    const Algorithm algorithm({y}, {a, b, h});
    Schedule s;
    s.stage("half").root().serial("row").serial("i", 4, "columns").tail(Tail::round_up).vector("i");
    s.stage("y").root();
    const std::string text = lowered(algorithm, s);
    EXPECT_EQ(text.find("[min(ramp"), std::string::npos) << text;
    EXPECT_NE(text.find("<= x4(13)"), std::string::npos) << text;
    expect_same(algorithm, s, {{}});
}

// Of steps of an unknown number only those before the first are written before they run.
TEST(LoweredValues, RecurrencesStartWhereTheirStepsDoNotWrite) {
    Dim t("t"), x("x", 8);
    Input a("a", f32, {t, x});
    Func forth("forth"), back("back"), both("both");
    recurrence(t, {{forth(t, x), cast(f32, 3)}}, [&](const Self& s) -> Tuple { return {s[0](t - 1, x) * 0.5f + a(t, x)}; });
    recurrence(t, {{back(t, x), cast(f32, 5)}}, [&](const Self& s) -> Tuple { return {s[0](t + 2, x) * 0.5f + a(t, x)}; },
               {.reverse = true});
    both(x) = forth(t.extent() - 1, x) + back(0, x);
    const Algorithm algorithm({both}, {a});
    Schedule s;
    for (const char* stage : {"forth.recurrence", "back.recurrence"}) {
        StageEdit edit = s.stage(stage);
        edit.root().serial("t").vector("x").init({{.dim = "t"}, {.dim = "x", .as = LoopKind::vector}});
    }
    s.stage("both").root().vector("x");
    const std::string text = lowered(algorithm, s);
    // Halide numbers the names of a process.
    for (const char* start :
         {R"(f_forth_recurrence_s0[$_]\d+\.s0\.d0_t\.p0\.new_max)", R"(f_back_recurrence_s1[$_]\d+\.s0\.d0_t\.p0\.new_min)"})
        EXPECT_TRUE(std::regex_search(text, std::regex(start))) << start << "\n" << text;
    expect_same(algorithm, s, {{{"t", 1}}, {{"t", 2}}, {{"t", 7}}});
}

// The last value is repeated, not what lies behind it.
TEST(LoweredValues, ClampedReadsRepeatTheLastValue) {
    Dim i("i", 40), n("n");
    Input a("a", f32, {i}), b("b", f64, {n});
    Func y("y"), z("z");
    y(i) = clamp(a)(i + 5) - clamp(a)(i - 3);
    z(n) = clamp(b)(n + 2) * 2.0;
    for (const Algorithm& algorithm : {Algorithm({y}, {a}), Algorithm({z}, {b})}) {
        Schedule s = default_schedule(algorithm);
        expect_same(algorithm, s, {{{"n", 1}}, {{"n", 37}}, {{"n", 515}}});
    }
}

TEST(LoweredValues, ValuesBehindTheEdgeAreTheLastOne) {
    Dim i("i", 48);
    Input a("a", f32, {i}), b("b", f64, {i});
    Func y("y");
    y(i) = cast(f64, clamp(a)(i + 5)) * clamp(b)(i + 11);
    const Algorithm algorithm({y}, {a, b});
    Schedule s;
    s.stage("y").root().serial("i", 8, "columns").vector("i");
    const std::string text = lowered(algorithm, s);
    EXPECT_NE(text.find("<= x8(47)"), std::string::npos) << text;
    expect_same(algorithm, s, {{}});
}

// Two states of a step and what others see of it are one computation, though the step reads the states that it writes.
TEST(LoweredValues, StatesOfAStepShareWhatTheyCompute) {
    Dim t("t", 50), c("c", 16);
    Input u("u", f32, {t, c});
    Func p("p"), q("q"), y("y");
    recurrence(t, {{p(t, c), cast(f32, 0)}, {q(t, c), cast(f32, 1)}}, [&](const Self& s) -> Tuple {
        const Expr e = exp(s[0](t - 1, c) * u(t, c)), f = exp(e * s[1](t - 1, c) * -0.1f);
        return {e * 0.1f + f, f - e * s[0](t - 1, c) * 0.01f};
    });
    y(t, c) = p(t, c) + q(t, c);
    const Algorithm algorithm({y}, {u});
    Schedule s;
    s.stage("p.recurrence").root().serial("t").vector("c");
    s.stage("y").root().serial("t").serial("c");
    EXPECT_EQ(count_of(lowered(algorithm, s), "1.442695"), 2) << lowered(algorithm, s);
    expect_same(algorithm, s, {{}});
}

// As a memset of a few vectors they would be written from the last to the first.
TEST(LoweredValues, RowsOfZerosAreNoKnownZeros) {
    Dim v("v", 50), e("e", 64), t("t", 20);
    Input at("at", i32, {t}), given("given", f32, {t, e}), words("words", i16, {t, e});
    Func table("table"), counts("counts");
    table(v, e) = scatter(plus, {to(v, at(t))}, {t}, given(t, e));
    counts(v, e) = scatter(plus, {to(v, at(t))}, {t}, words(t, e));
    for (const Algorithm& algorithm : {Algorithm({table}, {at, given}), Algorithm({counts}, {at, words})}) {
        const Schedule schedule = default_schedule(algorithm);
        EXPECT_EQ(count_of(lowered(algorithm, schedule), "= x16(0.0"), 0) << lowered(algorithm, schedule);
        EXPECT_EQ(count_of(lowered(algorithm, schedule), "= x32((int16)0)"), 0) << lowered(algorithm, schedule);
        expect_same(algorithm, schedule, {{}});
    }
}

// A state whose place in the step before meets that of this step: it is read before it is written.
TEST(LoweredValues, WhatIsWrittenAndReadInOnePlaceKeepsItsOrder) {
    Dim k("k", 37), c("c", 16);
    Input u("u", f32, {k, c});
    Func both("both"), y("y");
    const Monoid pair = monoid(
        "pair",
        [](const std::vector<DType>&) {
            return Tuple{cast(f32, 0), cast(f32, 0)};
        },
        [](const Tuple& a, const Tuple& b) {
            return Tuple{a[0] * 0.5f + exp(b[0] - a[1] * 0.01f) * 0.1f, a[1] + sin(a[0]) * exp(b[1] * a[0] * 0.1f)};
        },
        {});
    both(c) = reduce(pair, {k}, {u(k, c), u(k, c) * 0.5f}, {}, {.order = Order::ascending()});
    y(c) = both(c)[0] - both(c)[1];
    const Algorithm algorithm({y}, {u});
    expect_same(algorithm, default_schedule(algorithm), {{}});
}

// Two scalars side by side, which Halide writes as a ramp: a, a + (b - a).
TEST(LoweredValues, PairsOfFloatsAreThePairItself) {
    const Algorithm a = parse_algorithm(R"(tessera graph 1
algorithm f
dim p = 2
dim n = 7
dim d
input a : f64[p, n, d]
dim x
dim z
input b : f64[x, z]
f(p, n, x) : f64 = {
  %0 : f64 = mirror_interior(b)(x, (x + 3) / 2 - 1)
  %1 : f64 = mirror_interior(a)(x - n, n, p * 2 - n + 1)
  scan(sum, n, max(%0, %1) + min(%0 * 2f64, %1), exclusive, reverse)
}
arguments a, b
outputs f
)");
    const Schedule s =
        parse_schedule(R"({"tessera_schedule": 1, "stages": {"f": {"compute": "root"}, "f.scan": {"compute": "root",
        "loops": [{"dim": "p", "as": "parallel"}, {"name": "block", "dim": "x", "tile": 4, "tail": "round_up"},
                  {"name": "pair", "dim": "x", "tile": 2}, {"name": "part", "dim": "n", "tile": 3, "tail": "guard"}, {"dim": "n"},
                  {"dim": "x", "as": "vector"}]}}})");
    expect_same(a, s, {{{"d", 4}, {"x", 3}, {"z", 3}}, {{"d", 4}, {"x", 9}, {"z", 5}}});
}

// Before the last block of a dim that lanes divide, no test of its end is left, also where what is read is a stored row.
TEST(LoweredValues, LanesAreTestedAtTheEndAlone) {
    Dim y("y"), k("k"), j("j", k.extent());
    Input a("a", f32, {y, k});
    Func e("e"), f("f");
    e(y, k) = exp(a(y, k));
    f(y, k) = e(y, k) * sum({j}, e(y, j));
    Schedule s;
    s.stage("f").root().serial("y", 0, "row").serial("k", 8, "columns").vector("k");
    s.stage("e").at("f", "row").serial("y").serial("k", 8, "columns").vector("k");
    s.stage("f.sum").at("f", "row").serial("y").serial("j%8");
    s.partial("f.sum.lanes", "f.sum", {"j%8"}).at("f", "row").serial("y").serial("j%2").vector("j%8");
    s.partial("f.sum.chains", "f.sum.lanes", {"j%2"}).at("f", "row").serial("y").serial("j").unroll("j%2").vector("j%8");
    const std::string text = lowered(Algorithm({f}, {a}), s);
    std::istringstream lines(text);
    std::string line;
    while (std::getline(lines, line) && line.find("for (f_f_sum_chains") == std::string::npos) {
    }
    for (int chain = 0; chain < 2; ++chain) {
        std::getline(lines, line);
        EXPECT_NE(line.find("strict_add("), std::string::npos) << line;
        EXPECT_EQ(line.find(" if "), std::string::npos) << line;
    }
    EXPECT_EQ(text.find("int64x"), std::string::npos) << text;
}

// Blocks whose ends are guarded run over the tiles that they have, with what is computed for each: 130 columns are three tiles of
// the last block, and not four.
TEST(LoweredValues, BlocksRunOverTheTilesThatTheyHave) {
    Dim m("m"), n("n"), k("k", 5);
    Input a("a", i32, {m, k}), b("b", i32, {k, n});
    Func twice("twice"), f("f");
    twice(k, n) = b(k, n) * 2;
    f(m, n) = sum({k}, a(m, k) * twice(k, n));
    const Algorithm algorithm({f}, {a, b});
    for (const bool parallel : {false, true}) {
        const LoopKind kind = parallel ? LoopKind::parallel : LoopKind::serial;
        Schedule s;
        s.stage("f").root();
        s.stage("f").spec().loops = {{.dim = "n", .tile = 64, .as = kind, .name = "nb", .tail = Tail::guard},
                                     {.dim = "m", .tile = 12, .as = kind, .name = "mb", .tail = Tail::guard},
                                     {.dim = "n", .tile = 16, .name = "nt", .tail = Tail::guard},
                                     {.dim = "m", .tile = 4, .name = "mt"},
                                     {.dim = "m", .as = LoopKind::unroll},
                                     {.dim = "n", .as = LoopKind::vector}};
        s.stage("f.sum").at("f", "mt").space(Space::register_).serial("k").unroll("m").vector("n");
        s.stage("twice").at("f", parallel ? "nt" : "mb");
        const std::string text = lowered(algorithm, s);
        int whole = 0, cut = 0;
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);) {
            const size_t loop = line.find(".l2, 0, ");
            if (line.find("for (f_f_s") == std::string::npos || loop == std::string::npos) continue;
            ++(line.compare(loop + 8, 2, "4)") == 0 ? whole : cut);
        }
        EXPECT_EQ(whole > 0, !parallel) << text;
        EXPECT_GT(cut, 0) << text;
        Shapes shapes;
        for (const std::int64_t columns : {1, 15, 16, 17, 63, 64, 65, 130})
            for (const std::int64_t rows : {1, 5, 12, 13, 31}) shapes.push_back({{"m", rows}, {"n", columns}});
        expect_same(algorithm, s, shapes);
    }
}

}  // namespace
}  // namespace tessera
