#include <gtest/gtest.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include "schedule/bound.h"
#include "schedule/default_schedule.h"
#include "unit/schedule/wide_default.h"

#include <vector>

namespace tessera {
namespace {

using test::wide_default;

// A filter over every channel by itself, then products over channels: computed for the rows of one register tile, its vectors
// along the channels; for a line of tiles where the channels are many or open.
TEST(DefaultHomes, RowFactorsWithSumsStandAtTheTiles) {
    const auto layer = [&](const Dim& i, const Dim& o) {
        Dim y("y"), x("x"), ky("ky", 3), kx("kx", 3), in_y("in_y", y.extent() + 2), in_x("in_x", x.extent() + 2);
        Input in("in", f32, {in_y, in_x, i}), taps("taps", f32, {ky, kx, i}), mix("mix", f32, {i, o});
        Func each("each"), out("out");
        each(y, x, i) = relu(sum({ky, kx}, in(y + ky, x + kx, i) * taps(ky, kx, i)));
        out(y, x, o) = sum({i}, each(y, x, i) * mix(i, o));
        return wide_default(Algorithm({out}, {in, taps, mix}));
    };
    const Schedule small = layer(Dim("i", 32), Dim("o", 16));
    EXPECT_EQ(small.stages.at("each").compute->at, (LoopRef{"out", "mt"})) << to_json(small);
    EXPECT_EQ(small.stages.at("each").loops->back().dim, "i") << to_json(small);
    EXPECT_EQ(small.stages.at("each.sum").compute->at, (LoopRef{"each", "columns"})) << to_json(small);
    // 256 columns are several tiles, for each of which it would be computed again.
    for (const Schedule& line : {layer(Dim("i", 32), Dim("o", 256)), layer(Dim("i"), Dim("o", 16))})
        EXPECT_EQ(line.stages.at("each").compute->at, (LoopRef{"out", "y"})) << to_json(line);
}

// Sums along rows of which an output adds three rows each: of two such definitions those rows fit in registers, three are
// computed where they are added, once for the rows of a block.
TEST(DefaultHomes, RowsThatAnOutputAddsStandInIt) {
    Dim y("y", 512), x("x", 512), in_y("in_y", 514), in_x("in_x", 514);
    Input a("a", f32, {in_y, in_x}), b("b", f32, {in_y, in_x});
    const auto products = [&](const Input& l, const Input& r) {
        return fma(l(y, x + 2), r(y, x + 2), fma(l(y, x + 1), r(y, x + 1), l(y, x) * r(y, x)));
    };
    Func aa("aa"), ab("ab"), bb("bb"), two("two"), three("three");
    aa(y, x) = products(a, a);
    ab(y, x) = products(a, b);
    bb(y, x) = products(b, b);
    const auto rows = [&](const Func& f) -> Expr { return f(y, x) + f(y + 1, x) + f(y + 2, x); };
    two(y, x) = rows(aa) * rows(bb);
    three(y, x) = rows(aa) * rows(bb) - rows(ab) * rows(ab);
    const Schedule apart = wide_default(Algorithm({two}, {a, b})), together = wide_default(Algorithm({three}, {a, b}));
    EXPECT_TRUE(apart.stages.count("aa") && apart.stages.count("bb")) << to_json(apart);
    EXPECT_EQ(together.stages.size(), 1U) << to_json(together);
    EXPECT_GE(together.stages.at("three").loops->at(1).tile.value_or(1), 4) << to_json(together);
}

// Outputs whose rows need the same sums along rows share those rows; sums of columns are added up in parts by the same tasks, and
// what they need of a row stands there too.
TEST(DefaultHomes, OutputsThatShareRowSumsShareTheirRows) {
    Dim row("row", 512), i("i", 256);
    Input x("x", f32, {row, i}), z("z", f32, {row, i});
    Func total("total"), spread("spread"), a("a"), b("b"), column("column"), second("second");
    total(row) = sum({i}, exp(tanh(x(row, i))));
    spread(row) = sum({i}, z(row, i) * (x(row, i) - total(row)));
    a(row, i) = x(row, i) * total(row);
    b(row, i) = z(row, i) * total(row) + spread(row);
    column(i) = sum({row}, x(row, i) * total(row));
    second(i) = sum({row}, z(row, i) * x(row, i));
    const Schedule two = wide_default(Algorithm({a, b}, {x, z}));
    EXPECT_EQ(two.stages.at("a").fuse_with, (FuseWith{"b", "row"})) << to_json(two);
    for (const char* sum : {"total.sum", "spread.sum"})
        EXPECT_EQ(two.stages.at(sum).compute->at, (LoopRef{"b", "row"})) << to_json(two);
    const Schedule all = wide_default(Algorithm({a, b, column, second}, {x, z}));
    ASSERT_TRUE(all.stages.count("column.sum.parts")) << to_json(all);
    EXPECT_EQ(all.stages.at("column.sum.parts").fuse_with, (FuseWith{"b", "task"})) << to_json(all);
    EXPECT_EQ(all.stages.at("second.sum").fuse_with->stage, "column.sum") << to_json(all);
    EXPECT_EQ(all.stages.at("total.sum").compute->at, (LoopRef{"b", "task"})) << to_json(all);
    EXPECT_EQ(all.stages.at("spread.sum").compute->at, (LoopRef{"b", "row"})) << to_json(all);
    // One output alone has such parts too; where an output needs another, neither shares with it.
    EXPECT_TRUE(wide_default(Algorithm({b, column}, {x, z})).stages.count("column.sum.parts"));
    Func after("after");
    after(row, i) = b(row, i) * total(row);
    EXPECT_FALSE(wide_default(Algorithm({b, after}, {x, z})).stages.at("b").fuse_with);
}

// So do outputs of one number a row, which need what an output of whole rows needs, unless that needs them.
TEST(DefaultHomes, NumbersOfRowsStandInTheirRows) {
    Dim batch("batch", 6), row("row", 512), i("i", 256);
    Input x("x", f32, {batch, row, i});
    Func largest("largest"), total("total"), a("a"), number("number"), of_number("of_number");
    largest(batch, row) = max({i}, x(batch, row, i));
    total(batch, row) = sum({i}, exp(x(batch, row, i) - largest(batch, row)));
    number(batch, row) = log(total(batch, row)) + largest(batch, row);
    a(batch, row, i) = exp(x(batch, row, i) - largest(batch, row)) / total(batch, row);
    for (const bool number_first : {true, false}) {
        const Schedule s =
            wide_default(Algorithm(number_first ? std::vector<Func>{number, a} : std::vector<Func>{a, number}, {x}));
        EXPECT_EQ(s.stages.at("number").fuse_with, (FuseWith{"a", "row"})) << to_json(s);
        for (const char* sum : {"largest.max", "total.sum"})
            EXPECT_EQ(s.stages.at(sum).compute->at, (LoopRef{"a", "row"})) << to_json(s);
    }
    of_number(batch, row, i) = x(batch, row, i) * total(batch, row) - number(batch, row);
    EXPECT_FALSE(wide_default(Algorithm({number, of_number}, {x})).stages.at("number").fuse_with);
}

// What a scatter gives is no number of a row, though it needs the same sums.
TEST(DefaultHomes, ScattersStandInNoRowsOfOthers) {
    Dim row("row", 512), other("other", 512), i("i", 256);
    Input x("x", f32, {row, i}), to_row("to_row", i32, {other});
    to_row.values_in(0, row.extent());
    Func total("total"), a("a"), b("b"), sent("sent");
    total(row) = sum({i}, exp(tanh(x(row, i))));
    a(row, i) = x(row, i) * total(row);
    b(row) = total(row) * 0.5f;
    sent(row) = scatter(plus, {to(row, to_row(other))}, {other}, total(other) * total(other));
    const Algorithm algorithm({a, b, sent}, {x, to_row});
    const Schedule s = wide_default(algorithm);
    EXPECT_EQ(s.stages.at("b").fuse_with, (FuseWith{"a", "row"})) << to_json(s);
    EXPECT_FALSE(s.stages.at("sent").fuse_with) << to_json(s);
    EXPECT_NO_THROW((void)bind(algorithm, s)) << to_json(s);
}

// Levels of a pyramid read twice the row, or half of it: windows as well, without a ring, as steps need different numbers of
// rows. What such a window reads so is computed for the whole task.
TEST(DefaultHomes, LevelsOfAPyramidSlide) {
    Dim y("y"), x("x"), ry("ry", 2 * y.extent() + 1), rx("rx", 2 * x.extent() + 1);
    Input photo("photo", f32, {ry, rx});
    Func rows("rows"), half("half"), again("again");
    rows(ry, x) = sqrt(photo(ry, 2 * x) + photo(ry, 2 * x + 1) + photo(ry, 2 * x + 2));
    half(y, x) = rows(2 * y, x) + rows(2 * y + 1, x) + rows(2 * y + 2, x);
    const Schedule down = wide_default(Algorithm({half}, {photo}));
    EXPECT_EQ(down.stages.at("rows").compute->at, (LoopRef{"half", "row"})) << to_json(down);
    EXPECT_EQ(down.stages.at("rows").store.at, (LoopRef{"half", "task"})) << to_json(down);
    Dim big_y("big_y"), big_x("big_x");
    Input small("small", f32, {y, x});
    Func wide("wide");
    wide(y, big_x) = sqrt(clamp(small)(y, big_x / 2) + clamp(small)(y, (big_x + 1) / 2));
    again(big_y, big_x) = wide(big_y / 2, big_x) + wide((big_y + 1) / 2, big_x);
    const Schedule up = wide_default(Algorithm({again}, {small}));
    EXPECT_EQ(up.stages.at("wide").compute->at, (LoopRef{"again", "row"})) << to_json(up);
    EXPECT_EQ(up.stages.at("wide").store.at, (LoopRef{"again", "task"})) << to_json(up);
    Dim top_y("top_y");
    Func first("first"), last("last");
    first(y, x) = sqrt(clamp(small)(y, x - 1) + clamp(small)(y, x + 1));
    Func second("second");
    second(big_y, x) = sqrt(first(big_y / 2, x) + first((big_y + 1) / 2, x));
    last(top_y, x) = second(top_y / 2, x) + second((top_y + 1) / 2, x);
    const Schedule twice = wide_default(Algorithm({last}, {small}));
    EXPECT_EQ(twice.stages.at("second").compute->at, (LoopRef{"last", "row"})) << to_json(twice);
    EXPECT_EQ(twice.stages.at("first").compute->at, (LoopRef{"last", "task"})) << to_json(twice);
    EXPECT_FALSE(twice.stages.at("first").store.at) << to_json(twice);
}

// Two rows of a mosaic are made together, for the whole task where a window reads them.
TEST(DefaultHomes, RowsThatAreMadeInTurnsAreMadeTogether) {
    Dim y("y"), x("x"), iy("iy", y.extent() + 8), ix("ix", x.extent() + 8);
    Input samples("samples", u16, {iy, ix});
    Func even("even"), odd("odd"), mosaic("mosaic"), smooth("smooth"), out("out");
    const Expr a = samples(y, x), b = samples(y + 1, x + 1);
    even(y, x) = max(a, b) - min(a, b) / 2;
    odd(y, x) = max(a, b) - min(a, b) / 3;
    mosaic(y, x) = select(y % 2 == 0, even(y, x) + even(y, x + 1), odd(y, x) + odd(y, x + 2));
    smooth(y, x) = max(mosaic(y, x), max(mosaic(y + 1, x), mosaic(y, x + 1))) / 3;
    out(y, x) = max(smooth(y, x), max(smooth(y + 1, x), smooth(y, x + 1))) / 5;
    const Schedule s = wide_default(Algorithm({out}, {samples}));
    ASSERT_TRUE(s.stages.count("mosaic") && s.stages.count("smooth")) << to_json(s);
    EXPECT_EQ(s.stages.at("smooth").compute->at, (LoopRef{"out", "row"})) << to_json(s);
    EXPECT_EQ(s.stages.at("mosaic").compute->at, (LoopRef{"out", "task"})) << to_json(s);
    const LoopSpec& rows = s.stages.at("mosaic").loops->front();
    EXPECT_EQ(rows.name, "rows") << to_json(s);
    EXPECT_EQ(rows.tile, 2) << to_json(s);
}

// Fine levels that coarse ones need around a task would be computed by many tasks: they are passes of their own, coarse ones not.
TEST(DefaultHomes, FineLevelsOfAPyramidAreNoWindows) {
    Dim y("y"), x("x");
    Input photo("photo", f32, {y, x});
    const Bounded edged = clamp(photo);
    std::vector<Func> down, up;
    std::vector<Dim> rows{y};
    for (std::int64_t l = 1; l < 8; ++l) {
        rows.emplace_back("y" + std::to_string(l), y.extent() / (std::int64_t{1} << l) + 1);
        const Dim& own = rows.back();
        const auto below = [&](const Expr& row) -> Expr { return l == 1 ? Expr(edged(row, x)) : Expr(down.back()(row, x)); };
        const Expr value = sqrt(below(2 * own - 1) + below(2 * own) + below(2 * own + 1));
        down.emplace_back("down_" + std::to_string(l));
        down.back()(own, x) = value;
    }
    Func filled = down.back();
    for (std::size_t l = 7; l-- > 0;) {
        Func next("filled_" + std::to_string(l));
        const Expr coarse = sqrt(filled(rows[l] / 2, x) + filled((rows[l] + 1) / 2, x));
        next(rows[l], x) = l == 0 ? edged(y, x) + coarse : down[l - 1](rows[l], x) + coarse;
        filled = next;
    }
    const Schedule s = wide_default(Algorithm({filled}, {photo}));
    EXPECT_EQ(s.stages.at("down_1").compute->kind, Compute::Kind::root) << to_json(s);
    EXPECT_EQ(s.stages.at("filled_1").compute->at, (LoopRef{"filled_0", "row"})) << to_json(s);
    EXPECT_EQ(s.stages.at("filled_2").compute->at, (LoopRef{"filled_0", "task"})) << to_json(s);
    for (const LoopSpec& l : *s.stages.at("filled_0").loops) EXPECT_NE(l.name, "strip") << to_json(s);
}

// Two outputs read what is little work on the Input, one of them at its own point alone.
TEST(DefaultHomes, LittleWorkOnInputsIsDoneInEveryHome) {
    Dim y("y"), x("x");
    Input photo("photo", f32, {y, x}), mask("mask", f32, {y, x});
    Func lit("lit"), soft("soft"), dark("dark");
    const Bounded edged = clamp(photo), held = clamp(mask);
    lit(y, x) = edged(y, x) * held(y, x) + 1.0f;
    soft(y, x) = lit(y - 1, x) + lit(y, x) + lit(y + 1, x) + lit(y, x - 1) + lit(y, x + 1);
    dark(y, x) = 1.0f - lit(y, x) * lit(y + 1, x + 1);
    const Schedule s = wide_default(Algorithm({soft, dark}, {photo, mask}));
    ASSERT_TRUE(s.stages.count("lit.of.soft")) << to_json(s);
    for (const char* name : {"lit", "lit.of.soft"})
        EXPECT_TRUE(!s.stages.count(name) || !s.stages.at(name).compute || s.stages.at(name).compute->kind != Compute::Kind::root)
            << to_json(s);
}

// More work on a plane and a table, of which there are many planes of results: not stored for two outputs that read it at other
// places, unless it reads as much as it gives.
TEST(DefaultHomes, WorkOnTablesIsDoneInEveryHome) {
    Dim k("k", 8), y("y"), x("x"), v("v", 2048);
    Input photo("photo", f32, {y, x}), deep("deep", f32, {k, y, x}), first("first", i32, {y, x});
    const auto schedule_of = [&](bool of_plane) {
        Func table("table"), plane("plane"), tones("tones"), soft("soft"), picked("picked");
        table(v) = exp(-cast(f32, Expr(v)) / 256.0f);
        plane(y, x) = sqrt(clamp(photo)(y, x)) + exp(clamp(photo)(y, x)) * clamp(photo)(y + 1, x);
        const Expr value = of_plane ? Expr(plane(y, x)) : clamp(deep)(k, y, x);
        tones(k, y, x) = sqrt(value) * 0.5f + value + table(clamp(cast(i32, value * 256.0f) + 128 * cast(i32, k), 0, 2047));
        soft(k, y, x) = tones(k, y - 1, x) + tones(k, y, x) * 2.0f + tones(k, y + 1, x);
        picked(y, x) = tones(clamp(first(y, x), 0, 6), y, x) + tones(clamp(first(y, x), 0, 6) + 1, y, x);
        return wide_default(Algorithm({soft, picked, plane}, {photo, deep, first}));
    };
    const Schedule s = schedule_of(true);
    ASSERT_TRUE(s.stages.count("tones.of.soft")) << to_json(s);
    EXPECT_EQ(s.stages.at("tones.of.soft").compute->at.stage, "soft") << to_json(s);
    const auto rest = s.stages.find("tones");
    EXPECT_TRUE(rest == s.stages.end() || !rest->second.compute || rest->second.compute->kind != Compute::Kind::root)
        << to_json(s);
    EXPECT_FALSE(schedule_of(false).stages.count("tones.of.soft")) << to_json(schedule_of(false));
}

// What two stages further back is computed once for all colours would be computed for each.
TEST(DefaultHomes, ColoursStandInsideWhereTheirProducersMixThem) {
    Dim c("c", 3), y("y"), x("x"), in_y("in_y", y.extent() + 4), in_x("in_x", x.extent() + 4);
    Input photo("photo", f32, {c, in_y, in_x}), matrix("matrix", f32, {c});
    Func full("full"), toned("toned"), sharp("sharp");
    full(c, y, x) = sqrt(photo(c, y, x) + photo(c, y + 1, x) + photo(c, y + 2, x));
    toned(c, y, x) = exp(full(0, y, x) + full(1, y, x) * matrix(c) + full(2, y, x));
    sharp(c, y, x) = toned(c, y, x) + toned(c, y + 1, x) + toned(c, y + 2, x);
    const Schedule s = wide_default(Algorithm({sharp}, {photo, matrix}));
    EXPECT_NE(s.stages.at("sharp").loops->front().dim, "c") << to_json(s);
}

}  // namespace
}  // namespace tessera
