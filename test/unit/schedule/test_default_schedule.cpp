#include <gtest/gtest.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include "schedule/bound.h"
#include "schedule/default_schedule.h"
#include "unit/schedule/wide_default.h"

#include <fmt/format.h>

#include <set>

namespace tessera {
namespace {

using test::wide_default;

TEST(DefaultSchedule, BlurSlidesRowsInsideParallelTasks) {
    Dim y("y"), x("x"), r("r", 3);
    Input photo("photo", u8, {y, x});
    Func rows("rows"), blur("blur");
    rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - 1)));
    blur(y, x) = cast(u8, sum({r}, rows(y + r - 1, x + r)) / 9);
    const Schedule s = wide_default(Algorithm({blur}, {photo}));
    EXPECT_TRUE(s.stages.at("rows").store.at == (LoopRef{"blur", "task"})) << to_json(s);
    EXPECT_EQ(s.stages.at("rows.sum").store.space, Space::register_) << to_json(s);
}

TEST(DefaultSchedule, ContractionsAreRegisterTiledWithAPackedOperand) {
    Dim m("m"), n("n"), k("k");
    Input A("A", f32, {m, k}), B("B", f32, {k, n}), bias("bias", f32, {n});
    Func C("C");
    C(m, n) = relu(sum({k}, A(m, k) * B(k, n)) + bias(n));
    const Schedule s = wide_default(Algorithm({C}, {A, B, bias}));
    EXPECT_TRUE(s.stages.count("B.p")) << to_json(s);
    EXPECT_EQ(s.stages.at("C.sum").compute->at, (LoopRef{"C", "mt"})) << to_json(s);
}

// Each has the loops and panels that it has alone.
TEST(DefaultSchedule, SumsOfProductsStandTogetherInATile) {
    Dim m("m"), n("n"), k("k"), j("j");
    Input A("A", f32, {m, k}), B("B", f32, {k, n}), C("C", f32, {m, j}), D("D", f32, {j, n});
    Func f("f");
    f(m, n) = tanh(sum({k}, A(m, k) * B(k, n)) + sum({j}, C(m, j) * D(j, n)));
    const Schedule s = wide_default(Algorithm({f}, {A, B, C, D}));
    for (const char* sum : {"f.sum", "f.sum.1"}) {
        ASSERT_TRUE(s.stages.count(sum)) << to_json(s);
        EXPECT_EQ(s.stages.at(sum).compute->at, (LoopRef{"f", "mt"})) << to_json(s);
        EXPECT_EQ(s.stages.at(sum).store.space, Space::register_) << to_json(s);
    }
    EXPECT_TRUE(s.stages.count("B.p") && s.stages.count("D.p")) << to_json(s);
}

// Rows of tiles run along the inner dim where that has enough of them, and few columns are one tile.
TEST(DefaultSchedule, TilesOfSmallMatricesLieAlongThem) {
    Dim k("k", 50), i("i", 20), j("j", 20), n("n", 1000);
    Input A("A", f64, {k, n, i}), B("B", f64, {n, j});
    Func C("C");
    C(k, i, j) = sum({n}, A(k, n, i) * B(n, j));
    const Schedule s = wide_default(Algorithm({C}, {A, B}));
    const std::vector<LoopSpec>& loops = *s.stages.at("C").loops;
    EXPECT_EQ(loops[0].dim, "k") << to_json(s);
    EXPECT_EQ(loops[1].name, "mt") << to_json(s);
    EXPECT_EQ(loops[1].dim, "i") << to_json(s);
    EXPECT_EQ(loops[1].tile, 8) << to_json(s);  // beside three vectors
}

// Blocks of k where its panels outgrow the cache, added into the result.
TEST(DefaultSchedule, LongSumsAreBlocked) {
    const auto matmul = [](const Dim& k) {
        Dim m("m"), n("n");
        Input A("A", f32, {m, k}), B("B", f32, {k, n});
        Func C("C");
        C(m, n) = sum({k}, A(m, k) * B(k, n));
        return Algorithm({C}, {A, B});
    };
    const Schedule fixed = wide_default(matmul(Dim("k", 8192)));
    EXPECT_EQ(fixed.stages.at("C.sum").store.in, "C") << to_json(fixed);
    EXPECT_EQ(fixed.stages.at("C.sum.part").keep, (std::vector<std::string>{"k/1024"})) << to_json(fixed);
    EXPECT_TRUE(fixed.variants.empty());
    EXPECT_FALSE(wide_default(matmul(Dim("k", 512))).stages.count("C.sum.part"));
    const Algorithm any = matmul(Dim("k"));
    const Schedule both = wide_default(any);
    EXPECT_FALSE(both.stages.count("C.sum.part"));
    ASSERT_EQ(both.variants.size(), 1u);
    EXPECT_EQ(both.variants[0].when, "k >= 4096");
    EXPECT_NO_THROW((void)bind(any, variant_schedule(both, 0))) << to_json(both);
}

// Names of derivatives have slashes, which paths of cleared fields escape.
TEST(DefaultSchedule, LongSumsOfAnyName) {
    Dim m("m"), n("n"), k("k");
    Input A("A", f32, {m, k}), B("B", f32, {k, n});
    Func C("d_loss/C");
    C(m, n) = sum({k}, A(m, k) * B(k, n));
    const Algorithm algorithm({C}, {A, B});
    const Schedule s = wide_default(algorithm);
    ASSERT_EQ(s.variants.size(), 1u);
    EXPECT_NO_THROW((void)bind(algorithm, variant_schedule(s, 0))) << to_json(s);
}

struct Slopes {
    Dim y{"y"}, x{"x"}, in_y{"in_y", y.extent() + 4}, in_x{"in_x", x.extent() + 4};
    Input photo{"photo", f32, {in_y, in_x}};
    Func soft{"soft"}, gx{"gx"}, gy{"gy"}, out{"out"};
    Slopes() {
        soft(y, x) = sqrt(photo(y, x)) * 0.5f + photo(y, x);
        gx(y, x) = soft(y + 1, x + 2) - soft(y + 1, x) + soft(y, x) * 2 + soft(y + 2, x + 1);
        gy(y, x) = soft(y + 2, x + 1) - soft(y, x + 1) + soft(y, x) * 2 + soft(y + 2, x + 2);
        out(y, x) = gx(y, x) * gy(y + 1, x) + gx(y + 2, x + 1) * gy(y + 2, x + 2) + gx(y + 1, x) + gy(y, x);
    }
};

TEST(DefaultSchedule, SlopesShareTheirLoopsAndRows) {
    const Slopes slopes;
    const Schedule s = wide_default(Algorithm({slopes.out}, {slopes.photo}));
    EXPECT_EQ(s.stages.at("gy").fuse_with, (FuseWith{"gx", "columns"})) << to_json(s);
    EXPECT_EQ(s.stages.at("gx").store.at, (LoopRef{"out", "task"})) << to_json(s);
    EXPECT_EQ(s.stages.at("out").loops->at(3).name, "line") << to_json(s);
}

// Sixteen registers have room for two rows of one slope and for four of the other: side by side they take two.
TEST(DefaultSchedule, SlopesOfDifferentSizeShareTheRowsOfTheLarger) {
    Slopes slopes;
    Dim &y = slopes.y, &x = slopes.x;
    const Func& soft = slopes.soft;
    Func wide("wide"), tall("tall"), out("out");
    wide(y, x) = soft(y, x) + soft(y + 2, x) + soft(y, x + 1) + soft(y + 2, x + 1) + soft(y, x + 2) + soft(y + 2, x + 2);
    tall(y, x) = soft(y, x) + soft(y + 1, x) + soft(y + 2, x) + soft(y, x + 2) + soft(y + 1, x + 2) + soft(y + 2, x + 2);
    out(y, x) = wide(y, x) * tall(y + 1, x) + wide(y + 2, x + 1) * tall(y + 2, x + 2) + wide(y + 1, x) + tall(y, x);
    const Algorithm algorithm({out}, {slopes.photo});
    const Schedule s = default_schedule(algorithm, {.vector_bytes = 32, .vector_registers = 16});
    EXPECT_EQ(s.stages.at("tall").fuse_with, (FuseWith{"wide", "columns"})) << to_json(s);
    EXPECT_EQ(s.stages.at("tall").loops, s.stages.at("wide").loops) << to_json(s);
    EXPECT_EQ(s.stages.at("wide").loops->at(0).tile, 2) << to_json(s);
    EXPECT_NO_THROW((void)bind(algorithm, s)) << to_json(s);
}

// Products at one point are no passes that two slopes could be computed in: what is stored are the slopes.
TEST(DefaultSchedule, ProductsOfSlopesNeedNoWindows) {
    Slopes slopes;
    Dim &y = slopes.y, &x = slopes.x;
    Func xx("xx"), xy("xy"), yy("yy"), corner("corner");
    xx(y, x) = slopes.gx(y, x) * slopes.gx(y, x);
    xy(y, x) = slopes.gx(y, x) * slopes.gy(y, x);
    yy(y, x) = slopes.gy(y, x) * slopes.gy(y, x);
    corner(y, x) = xx(y, x) + xx(y + 1, x + 2) + xy(y, x + 1) - xy(y + 2, x) + yy(y, x) * yy(y + 1, x + 1);
    const Schedule s = wide_default(Algorithm({corner}, {slopes.photo}));
    EXPECT_TRUE(s.stages.count("gx") && s.stages.count("gy")) << to_json(s);
    EXPECT_FALSE(s.stages.count("xx") || s.stages.count("xy") || s.stages.count("yy")) << to_json(s);
}

// Down a column and up again, then along its row: the first two stand in strips of columns of what copies the second.
TEST(DefaultSchedule, RecurrencesThatFollowEachOtherStandInStrips) {
    Dim c("c", 3), y("y"), x("x");
    Input photo("photo", f32, {c, y, x});
    Func down("down"), up("up"), right("right"), out("out");
    recurrence(y, {{down(c, y, x), cast(f32, 0)}}, [&](const Self& s) -> Tuple { return {s[0](c, y - 1, x) + photo(c, y, x)}; });
    recurrence(y, {{up(c, y, x), cast(f32, 0)}}, [&](const Self& s) -> Tuple { return {s[0](c, y + 1, x) - down(c, y, x)}; },
               {.reverse = true});
    recurrence(x, {{right(c, x, y), up(c, y, 0)}},
               [&](const Self& s) -> Tuple { return {s[0](c, x - 1, y) * 0.5f + up(c, y, x)}; });
    out(c, y, x) = right(c, x, y);
    const Schedule s = wide_default(Algorithm({out}, {photo}));
    for (const char* member : {"down.recurrence", "up.recurrence"})
        EXPECT_EQ(s.stages.at(member).compute->at, (LoopRef{"up", "strip"})) << to_json(s);
    EXPECT_EQ(s.stages.at("right.recurrence").compute->kind, Compute::Kind::root) << to_json(s);
    EXPECT_FALSE(s.stages.count("right")) << to_json(s);
}

// Outputs that need the steps of recurrences at their own columns are computed in strips of columns with them, which stay in the
// cache; not where something else needs a recurrence, the strips do not fit, or too few of them make tasks.
TEST(DefaultSchedule, RecurrencesStandInTheStripsOfTheirOutputs) {
    const auto filter = [](std::int64_t steps, std::int64_t columns, bool total) {
        const Dim t("t", steps), c("c", columns);
        const Input a("a", f32, {t, c}), u("u", f32, {t, c});
        Func down("down"), up("up"), product("product"), first("first"), sums("sums");
        recurrence(t, {{down(t, c), cast(f32, 0)}}, [&](const Self& s) -> Tuple { return {a(t, c) * s[0](t - 1, c) + u(t, c)}; });
        recurrence(t, {{up(t, c), cast(f32, 0)}}, [&](const Self& s) -> Tuple { return {a(t, c) * s[0](t + 1, c) + u(t, c)}; },
                   {.reverse = true});
        product(t, c) = up(t, c) * down(t - 1, c);
        first(t, c) = down(t, c);
        sums(c) = sum({t}, down(t, c));
        std::vector<Func> outputs{first, product};
        if (total) outputs.push_back(sums);
        return wide_default(Algorithm(outputs, {a, u}));
    };
    const Schedule s = filter(64, 4096, false);
    for (const char* stage : {"down.recurrence", "up.recurrence"})
        EXPECT_EQ(s.stages.at(stage).compute->at, (LoopRef{"product", "strip"})) << to_json(s);
    EXPECT_EQ(s.stages.at("first").fuse_with, (FuseWith{"product", "t"})) << to_json(s);
    const Schedule read = filter(64, 4096, true);
    EXPECT_EQ(read.stages.at("down.recurrence").compute->kind, Compute::Kind::root) << to_json(read);
    EXPECT_EQ(read.stages.at("up.recurrence").compute->at, (LoopRef{"product", "strip"})) << to_json(read);
    EXPECT_FALSE(read.stages.at("first").fuse_with) << to_json(read);
    for (const Schedule& apart : {filter(4096, 4096, false), filter(64, 512, false)})
        EXPECT_EQ(apart.stages.at("down.recurrence").compute->kind, Compute::Kind::root) << to_json(apart);
}

// What is read at the same columns stays in registers over a block of rows.
TEST(DefaultSchedule, RowsOfACheapStencilStayInRegisters) {
    Dim y("y"), x("x"), in_y("in_y", y.extent() + 2), in_x("in_x", x.extent() + 2);
    Input in("in", u16, {in_y, in_x});
    Func rows("rows"), blur("blur");
    rows(y, x) = (in(y, x) + in(y, x + 1) + in(y, x + 2)) / 3;
    blur(y, x) = (rows(y, x) + rows(y + 1, x) + rows(y + 2, x)) / 3;
    const Schedule s = wide_default(Algorithm({blur}, {in}));
    EXPECT_EQ(s.stages.at("rows").compute->at, (LoopRef{"blur", "columns"})) << to_json(s);
    EXPECT_EQ(s.stages.at("blur").loops->at(1).tile, 8) << to_json(s);
    // Ten rows of 16 lanes and what they are computed from fit into sixteen registers as well.
    const Schedule narrow = default_schedule(Algorithm({blur}, {in}), {.vector_bytes = 32, .vector_registers = 16});
    EXPECT_EQ(narrow.stages.at("rows").compute->at, (LoopRef{"blur", "columns"})) << to_json(narrow);
    EXPECT_EQ(narrow.stages.at("blur").loops->at(1).tile, 8) << to_json(narrow);
}

// Sums over the same rows are one pass over them, and what only they read needs no memory.
TEST(DefaultSchedule, SumsOfColumnsShareTheirRows) {
    Dim n("n", 4096), i("i", 64), j("j", 64);
    Input x("x", f32, {n, i}), g("g", f32, {n, i}), other("other", f32, {n, j});
    Func both("both"), scale("scale"), shift("shift"), apart("apart");
    both(n, i) = Tuple{exp(x(n, i)) * g(n, i), g(n, i) / (x(n, i) + 1.0f)};
    scale(i) = sum({n}, both(n, i)[0]);
    shift(i) = sum({n}, both(n, i)[1]);
    apart(j) = sum({n}, other(n, j));
    const Algorithm algorithm({scale, shift, apart}, {x, g, other});
    const Schedule s = wide_default(algorithm);
    EXPECT_EQ(s.stages.at("shift.sum").fuse_with, (FuseWith{"scale.sum", "n"})) << to_json(s);
    EXPECT_FALSE(s.stages.at("apart.sum").fuse_with) << to_json(s);
    EXPECT_FALSE(s.stages.count("both")) << to_json(s);
}

// A state is read where the recurrence stores it.
TEST(DefaultSchedule, StatesAreNotCopied) {
    Dim t("t", 1024), c("c", 64);
    Input u("u", f32, {t, c});
    Func h("h"), sums("sums"), squares("squares");
    recurrence(t, {{h(t, c), cast(f32, 0)}}, [&](const Self& s) -> Tuple { return {tanh(s[0](t - 1, c) + u(t, c))}; });
    sums(t) = sum({c}, h(t, c));
    squares(t) = sum({c}, h(t, c) * h(t, c));
    EXPECT_FALSE(wide_default(Algorithm({sums, squares}, {u})).stages.count("h"));
}

TEST(DefaultSchedule, SoftmaxReducesRowsInLanes) {
    Dim i("i"), j("j");
    Input x("x", f32, {i, j});
    Func e("e"), y("y");
    e(i, j) = exp(x(i, j) - max({j}, x(i, j)));
    y(i, j) = e(i, j) / sum({j}, e(i, j));
    const Schedule s = wide_default(Algorithm({y}, {x}));
    EXPECT_EQ(s.stages.at("y.sum").compute->at, (LoopRef{"y", "row"})) << to_json(s);
    EXPECT_TRUE(s.stages.count("y.sum.lanes")) << to_json(s);
}

// Two outputs of the same normalised rows: each has the sums along its rows to itself, what is dear is computed once.
TEST(DefaultSchedule, SumsAlongRowsAreClonedForEachOutput) {
    Dim row("row", 512), i("i", 256), j("j", 320);
    Input x("x", f32, {row, i}), z("z", f32, {row, j});
    const auto scaled = [&](const Func& factor, const Input& by, const char* name) {
        Func out(name);
        out(row, by.dims()[1]) = by(row, by.dims()[1]) * factor(row);
        return out;
    };
    Func mean("mean"), dear("dear");
    mean(row) = sum({i}, x(row, i)) / 256;
    dear(row) = sum({i}, exp(tanh(x(row, i))));
    const Schedule s = wide_default(Algorithm({scaled(mean, x, "a"), scaled(mean, z, "b")}, {x, z}));
    ASSERT_TRUE(s.stages.count("mean.sum.of.a")) << to_json(s);
    EXPECT_EQ(s.stages.at("mean.sum.of.a").clone_of, "mean.sum");
    EXPECT_EQ(s.stages.at("mean.sum.of.a").compute->at, (LoopRef{"a", "row"})) << to_json(s);
    EXPECT_EQ(s.stages.at("mean.sum").compute->at, (LoopRef{"b", "row"})) << to_json(s);
    EXPECT_FALSE(wide_default(Algorithm({scaled(dear, x, "a"), scaled(dear, z, "b")}, {x, z})).stages.count("dear.sum.of.a"));
    // What is needed for all rows at once is read by each.
    const Schedule kept = wide_default(Algorithm({scaled(mean, x, "a"), scaled(mean, z, "b"), mean}, {x, z}));
    EXPECT_FALSE(kept.stages.count("mean.sum.of.a")) << to_json(kept);
    EXPECT_EQ(kept.stages.at("mean.sum").compute->kind, Compute::Kind::root) << to_json(kept);
}

// Powers are stored for the row that is summed and divided next; what is cheap, or read of other rows, is computed again.
TEST(DefaultSchedule, RowsThatAreReadAgainAreStored) {
    Dim i("i"), j("j"), k("k", j.extent()), r("r", i.extent());
    Input x("x", f32, {i, j});
    Func top("top"), e("e"), y("y");
    top(i) = max({k}, x(i, k));
    e(i, j) = exp(x(i, j) - top(i));
    y(i, j) = e(i, j) / sum({k}, e(i, k));
    const Schedule s = wide_default(Algorithm({y}, {x}));
    ASSERT_TRUE(s.stages.count("e")) << to_json(s);
    EXPECT_EQ(s.stages.at("e").compute->at, (LoopRef{"y", "row"})) << to_json(s);
    EXPECT_EQ(s.stages.at("e").store.alloc, (LoopRef{"y", "task"})) << to_json(s);
    // Four vectors of maxima side by side, which are put together before their lanes are.
    EXPECT_EQ(s.stages.at("top.max.chains").keep, std::vector<std::string>{"k%4"}) << to_json(s);
    Func shifted("shifted"), z("z"), power("power"), columns("columns");
    shifted(i, j) = x(i, j) - top(i);
    z(i, j) = shifted(i, j) / sum({k}, shifted(i, k));
    EXPECT_FALSE(wide_default(Algorithm({z}, {x})).stages.count("shifted"));
    power(i, j) = exp(x(i, j));
    columns(i, j) = power(i, j) / sum({r}, power(r, j));
    EXPECT_FALSE(wide_default(Algorithm({columns}, {x})).stages.count("power"));
}

// `count` sums over (2 reach + 1) rows, one after the other, of planes.
Algorithm row_sums(int count, int reach) {
    Dim c("c", 3), y("y"), x("x");
    Input photo("photo", f32, {c, y, x});
    const Bounded edged = clamp(photo);
    std::vector<Func> stages;
    for (int s = 0; s < count; ++s) {
        Func stage("stage_" + std::to_string(s));
        Expr total;
        for (int dy = -reach; dy <= reach; ++dy)
            for (int dx = -1; dx <= 1; ++dx) {
                const Expr term = s == 0 ? Expr(edged(c, y + dy, x + dx)) : Expr(stages.back()(c, y + dy, x + dx));
                total = total.defined() ? total + term : term;
            }
        stage(c, y, x) = total;
        stages.push_back(stage);
    }
    return Algorithm({stages.back()}, {photo});
}

// The rows that a chain of windows computes again grow with its length.
TEST(DefaultSchedule, LongChainsOfWindowsAreCut) {
    const Schedule s = wide_default(row_sums(9, 1));
    std::set<std::string> roots;
    for (const auto& [name, spec] : s.stages)
        if (spec.compute->kind == Compute::Kind::root) roots.insert(name);
    EXPECT_GE(roots.size(), 2u) << to_json(s);
    EXPECT_LE(roots.size(), 4u) << to_json(s);
}

TEST(DefaultSchedule, TallWindowsHaveTallTasksAndNarrowStrips) {
    const Schedule s = wide_default(row_sums(2, 16));
    const auto& loops = *s.stages.at("stage_1").loops;
    EXPECT_EQ(loops[0].dim, "c") << to_json(s);  // each plane for itself
    EXPECT_EQ(loops[1].tile, 128) << to_json(s);
    Schedule wide = default_schedule(row_sums(2, 16), {.vector_bytes = 64, .vector_registers = 32, .l2_bytes = 1 << 17});
    EXPECT_TRUE(wide.stages.at("stage_0").store.at == (LoopRef{"stage_1", "strip"})) << to_json(wide);
    EXPECT_NO_THROW((void)bind(row_sums(2, 16), wide));
}

// A value that two passes over the same points need is computed twice rather than stored; a scatter's index is stored.
TEST(DefaultSchedule, PassesOverTheSamePointsRecomputeWhatIsCheap) {
    Dim y("y"), x("x"), level("level", 256);
    Input photo("photo", u8, {y, x});
    Func luma("luma"), bin("bin"), rows("rows"), out("out");
    luma(y, x) = 0.5f * cast(f32, photo(y, x)) + 3.0f;
    bin(y, x) = cast(u8, luma(y, x));
    rows(y, level) = scatter(tessera::plus, {to(level, bin(y, x))}, {x}, constant(i32, std::int64_t{1}));
    out(y, x) = luma(y, x) * cast(f32, rows(y, bin(y, x)));
    const Schedule s = wide_default(Algorithm({out}, {photo}));
    EXPECT_FALSE(s.stages.count("luma")) << to_json(s);
    EXPECT_TRUE(s.stages.count("bin")) << to_json(s);
    const auto& init = *s.stages.at("rows.scatter").init;
    EXPECT_EQ(init.front().as, LoopKind::parallel) << to_json(s);
    EXPECT_EQ(init.back().as, LoopKind::vector) << to_json(s);
}

// Every stage is said to be fused, or why it is not.
TEST(DefaultSchedule, FusionIsReported) {
    Dim y("y"), x("x"), level("level", 256);
    Input photo("photo", u8, {y, x});
    Func bin("bin"), counts("counts"), smooth("smooth"), twice("twice"), out("out");
    bin(y, x) = cast(u8, 0.5f * cast(f32, photo(y, x)) + 3.0f);
    counts(level) = scatter(tessera::plus, {to(level, bin(y, x))}, {y, x}, constant(i32, std::int64_t{1}));
    const Bounded edged = clamp(photo);
    smooth(y, x) = cast(f32, edged(y - 1, x)) * 0.25f + cast(f32, edged(y, x)) * 0.5f + cast(f32, edged(y + 1, x)) * 0.25f;
    twice(y, x) = smooth(y - 1, x) + smooth(y, x) + smooth(y + 1, x);
    out(y, x) = twice(y, x) * cast(f32, counts(bin(y, x)));
    const Algorithm algorithm({out}, {photo});
    const std::string report = fusion_report(algorithm, wide_default(algorithm));
    const auto says = [&](const std::string& line) {
        EXPECT_NE(report.find(line), std::string::npos) << line << " is not in\n" << report;
    };
    says("bin: not fused: counts.scatter and out read it, one after the other\n");
    says("counts.scatter: not fused: a scatter is complete only after its last step\n");
    says("smooth: fused: in the loop ");
    says("twice: fused: inline in out\n");
    says("out: an output, a nest of its own\n");
}

// Columns that fill one strip have no loop over strips, whose guard would stand in the last vector.
TEST(DefaultSchedule, NarrowRecurrencesAndSumsHaveNoStrips) {
    const auto loops = [](std::int64_t columns, const char* stage) {
        Dim t("t", 100), b("b", columns);
        Input a("a", f64, {t, b});
        Func h("h"), total("total");
        recurrence(t, {{h(t, b), cast(f64, 0)}}, [&](const Self& s) -> Tuple { return {a(t, b) * s[0](t - 1, b)}; });
        total(b) = sum({t}, h(t, b) * h(t, b));
        return wide_default(Algorithm({total}, {a})).stages.at(stage).loops->front();
    };
    EXPECT_EQ(loops(14, "h.recurrence").dim, "t");
    EXPECT_EQ(loops(14, "total.sum").dim, "t");
    EXPECT_EQ(loops(1000, "h.recurrence").dim, "b");
    EXPECT_EQ(loops(1000, "total.sum").dim, "b");
}

// Two vectors of a step are one, so that one computes while the other waits for the step before.
TEST(DefaultSchedule, StepsOfRecurrencesTakeTwoVectorsTogether) {
    const auto columns = [](std::int64_t extent) {
        Dim t("t", 100), b("b", extent);
        Input a("a", f64, {t, b});
        Func h("h"), y("y");
        recurrence(t, {{h(t, b), cast(f64, 0)}}, [&](const Self& s) -> Tuple { return {exp(a(t, b) * s[0](t - 1, b))}; });
        y(t, b) = h(t, b) + 1.0;
        const Schedule made = wide_default(Algorithm({y}, {a}));
        const auto& loops = *made.stages.at("h.recurrence").loops;
        return loops[loops.size() - 2].tile.value_or(0);
    };
    const std::int64_t width = 8;
    EXPECT_EQ(columns(3 * width), width);
    EXPECT_EQ(columns(2 * width), 2 * width);
    EXPECT_EQ(columns(2 * width - 1), 2 * width);
    EXPECT_EQ(columns(1001), 2 * width);
}

// Rows of much work are not written out beside each other.
TEST(DefaultSchedule, LargeDefinitionsRunRowByRow) {
    const auto rows = [](int terms) {
        Dim y("y"), x("x");
        Input a("a", f32, {y, x});
        Func out("out");
        const Bounded in = clamp(a);
        Expr v = in(y, x) + in(y + 1, x);
        for (int i = 0; i < terms; ++i) v = v * sqrt(abs(v) + static_cast<float>(i + 1));
        out(y, x) = v;
        const Schedule s = wide_default(Algorithm({out}, {a}));
        for (const LoopSpec& l : *s.stages.at("out").loops)
            if (l.name == "row") return l.tile.value_or(1);
        return std::int64_t{0};
    };
    EXPECT_GT(rows(1), 1);
    EXPECT_EQ(rows(60), 1);
}

TEST(DefaultSchedule, EverythingElseBinds) {
    Dim y("y"), x("x"), v("v", 256), t("t"), c("c", 3);
    Input image("image", u8, {c, y, x});
    Func H("H");
    H(c, v) = scatter(plus, {to(v, image(c, y, x))}, {y, x}, cast(u32, 1));
    wide_default(Algorithm({H}, {image}));
    Input z("z", f32, {t, x});
    Func s("s"), total("total"), h("h");
    s(t, x) = scan(plus, t, z(t, x));
    wide_default(Algorithm({s}, {z}));
    total() = sum({t, x}, z(t, x));
    wide_default(Algorithm({total}, {z}));
    recurrence(t, {{h(t, x), cast(f32, 0)}}, [&](const Self& self) -> Tuple { return {self[0](t - 1, x) * 0.5f + z(t, x)}; });
    wide_default(Algorithm({h}, {z}));
}

// Where all that a definition reads varies along a small leading dim, its rows are those of one position, as they lie in memory;
// what some of it lacks is computed once for all positions.
TEST(DefaultSchedule, SmallLeadingDimsStandInsideWhereSomethingLacksThem) {
    Dim c("c", 4), y("y"), x("x");
    Input in("in", f32, {c, y, x}), grey("grey", f32, {y, x});
    Func wave("wave"), level("level"), own("own"), shade("shade"), tinted("tinted");
    wave(c, y, x) = exp(in(c, y, x));
    level(c, y) = max({x}, wave(c, y, x));
    own(c, y, x) = wave(c, y, x) / level(c, y);
    shade(y, x) = exp(grey(y, x));
    tinted(c, y, x) = wave(c, y, x) * shade(y, x) + shade(y, x + 0) * level(c, y);
    const Schedule one = wide_default(Algorithm({own}, {in})), two = wide_default(Algorithm({tinted}, {in, grey}));
    EXPECT_EQ(one.stages.at("own").loops->front().dim, "c") << to_json(one);
    EXPECT_EQ(two.stages.at("tinted").loops->front().dim, "y") << to_json(two);
}

// Tasks over k, which has at most 2 elements, reach further than the 2 of l that are read by k.
TEST(DefaultSchedule, UnrollsADimOnlyWhereWhatIsComputedOfItIsConstant) {
    const auto loop_over_l = [](const std::string& k) {
        const Schedule s = wide_default(parse_algorithm(fmt::format(R"(tessera graph 1
algorithm t
dim l = 2
dim n
dim y
dim x
dim k = {}
dim r = 5
input a : i32[l, y, x]
input b : i32[n]
f(l, y, x) : i32 = sum({{r}}, clamp(a)(l, y + r, x) * periodic(a)(l, y, x - r)) % 7i32
t(k) : i32 = sum({{y, x}}, f(k, y, x) * clamp(f)(k, y, x - 3) * clamp(b)(k))
arguments a, b
outputs t
)",
                                                                    k)));
        for (const LoopSpec& loop : *s.stages.at("f").loops)
            if (loop.dim == "l") return loop.as;
        throw std::runtime_error("no loop over l");
    };
    EXPECT_EQ(loop_over_l("min(extent(n), 2)"), LoopKind::serial);
    EXPECT_EQ(loop_over_l("2"), LoopKind::unroll);
}

TEST(DefaultSchedule, CopyOfAnInputIsForTheDefinitionThatIsWrittenToReadIt) {
    const Algorithm a = parse_algorithm(R"(
tessera graph 1
algorithm wide
dim y
dim x
input a : f32[y, x]
both(y, x) : f32 = clamp(a)(y + 3, x - 2) + clamp(a)(y, x)
wide(y, x) : f32 = both(y + 1, x - 3) + both(y, x)
arguments a
outputs wide
)");
    const Schedule s = default_schedule(a);
    ASSERT_EQ(s.stages.count("a.rows"), 1u) << to_json(s);
    EXPECT_EQ(s.stages.count("both"), 0u);  // it is inlined
    EXPECT_EQ(s.stages.at("a.rows").for_uses, std::vector<std::string>{"both"});
    EXPECT_NO_THROW(static_cast<void>(bind(a, s)));
}

// Inside its reader what is read at places that depend on values would be read there element by element itself.
TEST(DefaultSchedule, WhatIsLookedUpIsStored) {
    Dim y("y"), x("x"), cx("cx", x.extent() / 8 + 2), z("z", 16);
    Input photo("photo", f32, {y, x}), grid("grid", f32, {y, cx, z});
    Func pair("pair"), looked_up("looked_up");
    const auto half = [&](float scale) { return (grid(y, cx, z) + grid(y, cx, z) * scale) * scale; };
    pair(y, cx, z) = {half(0.5f), half(0.25f)};
    const Expr level = clamp(cast(i32, photo(y, x) * 15.0f), 0, 14);
    const auto both = [&](int c) {
        const auto at = [&](int dx, int dz) { return pair(y, x / 8 + dx, level + dz)[c]; };
        return at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1);
    };
    looked_up(y, x) = both(0) / both(1);
    const Schedule s = wide_default(Algorithm({looked_up}, {photo, grid}));
    ASSERT_TRUE(s.stages.count("pair")) << to_json(s);
    // The place along z does not move it out of the row.
    EXPECT_TRUE(s.stages.at("pair").compute->at == (LoopRef{"looked_up", "row"})) << to_json(s);
}

// Five taps along an outer dim: computed in the rows of its reader, each of them would compute all five again.
TEST(DefaultSchedule, WhatOuterDimsReadManyTimesIsNoWindow) {
    Dim t("t"), y("y"), x("x"), t_in("t_in", t.extent() + 4), y_in("y_in", y.extent() + 2);
    Input video("video", f32, {t_in, y_in, x});
    const auto chain = [&](const Dim& taps) {
        Func smooth("smooth"), far("far");
        smooth(t, y, x) = sqrt(video(t, y, x) + video(t, y + 1, x) * 2.0f + video(t, y + 2, x));
        Expr all = smooth(t, y, x);
        for (std::int64_t i = 1; i < *taps.extent().constant(); ++i) all = all + smooth(t + i, y, x);
        far(t, y, x) = all;
        return wide_default(Algorithm({far}, {video}));
    };
    EXPECT_EQ(chain(Dim("five", 5)).stages.at("smooth").compute->kind, Compute::Kind::root);
}

}  // namespace
}  // namespace tessera
