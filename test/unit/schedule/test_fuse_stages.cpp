#include "unit/schedule/tree_cases.h"

namespace tessera::interpreter_test {
namespace {

// Two slopes of a photo, and what reads both.
struct Slopes {
    Dim y{"y"}, x{"x"}, in_y{"in_y", y.extent() + 2}, in_x{"in_x", x.extent() + 2};
    Input photo{"photo", u8, {in_y, in_x}};
    Func down{"down"}, across{"across"}, edge{"edge"};
    Slopes() {
        down(y, x) = cast(i16, photo(y + 2, x)) - cast(i16, photo(y, x));
        across(y, x) = cast(i16, photo(y, x + 2)) - cast(i16, photo(y, x));
        edge(y, x) = cast(u8, (abs(down(y, x)) + abs(across(y, x)) + abs(down(y, x))) / cast(i16, 4));
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({edge}, {photo}); }
    [[nodiscard]] Schedule schedule() const {
        Schedule s;
        s.stage("edge").root().parallel("y", 8, "strip").serial("y", 0, "row").serial("x", 16, "xo").vector("x");
        for (const char* slope : {"down", "across"})
            s.stage(slope).at("edge", "row").store_at("edge", "strip").serial("y").serial("x", 8, "xo").vector("x");
        s.stage("across").fuse_with({"down", "xo"});
        return s;
    }
};

void expect_same_slopes(const Schedule& s) {
    const Algorithm a = Slopes().algorithm();
    for (const std::int64_t h : {1, 9, 16})
        for (const std::int64_t w : {1, 7, 40})
            expect_same(
                a, s,
                {{"photo", filled<std::uint8_t>({h + 2, w + 2}, ramp<std::uint8_t>(static_cast<size_t>((h + 2) * (w + 2))))}},
                dtype_of<std::uint8_t>, {h, w});
}

TEST(FuseStages, ProducersInTheRowsOfTheirReader) {
    expect_golden("fused_slopes", tree_of(Slopes().algorithm(), Slopes().schedule()));
    expect_same_slopes(Slopes().schedule());
}

// Windows of another size: `across` needs two rows more than `down`, from one earlier on.
TEST(FuseStages, StagesOfDifferentRegions) {
    const Dim y("y"), x("x");
    const Input in("in", i32, {y, x});
    for (const FuseAlign align : {FuseAlign::none, FuseAlign::start, FuseAlign::end}) {
        Func wide("wide"), narrow("narrow"), out("out");
        wide(y, x) = mirror(in)(y, x) * 3;
        narrow(y, x) = in(y, x) - 7;
        out(y, x) = mirror(wide)(y - 2, x) + mirror(wide)(y + 1, x + 1) + narrow(y, x);
        Schedule s;
        s.stage("out").root().serial("y", 4, "yo").serial("x", 8, "xo").serial("y").serial("x");
        s.stage("wide").at("out", "xo").serial("y", 2, "pair").serial("x").serial("y");
        s.stage("narrow").at("out", "xo").serial("y").serial("x").fuse_with({"wide", "x", align});
        const Algorithm a({out}, {in});
        for (const std::int64_t h : {1, 4, 11})
            for (const std::int64_t w : {1, 8, 19})
                expect_same(a, s, {{"in", filled<std::int32_t>({h, w}, ramp<std::int32_t>(static_cast<size_t>(h * w)))}},
                            dtype_of<std::int32_t>, {h, w});
    }
}

// Outputs of different extents in one nest, one of them a reduction, and a third stage that shares the outer loop only.
struct Outputs3 {
    Dim y{"y"}, x{"x"}, half{"half", y.extent() / 2}, k{"k", 5};
    Input in{"in", f32, {y, x}};
    Func copy{"copy"}, rows{"rows"}, third{"third"};
    Outputs3() {
        copy(y, x) = in(y, x) * 2;
        rows(half, x) = sum({k}, in(half * 2, x) * cast(f32, k));
        third(x) = in(0, x);
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({copy, rows, third}, {in}); }
    [[nodiscard]] Schedule schedule(FuseAlign align) const {
        Schedule s;
        s.stage("copy").root().serial("y", 4, "yo").serial("y").serial("x");
        s.stage("rows.sum")
            .root()
            .serial("half", 2, "yo")
            .serial("half")
            .serial("k")
            .serial("x")
            .fuse_with({"copy", "y.1", align});
        s.stage("rows").root();
        s.stage("third").root().serial("x").fuse_with({"copy", "yo", align});
        return s;
    }
};

TEST(FuseStages, OutputsOfDifferentExtents) {
    for (const FuseAlign align : {FuseAlign::none, FuseAlign::start, FuseAlign::end}) {
        const Algorithm a = Outputs3().algorithm();
        const LoopTree tree = tree_of(a, Outputs3().schedule(align));
        for (const std::int64_t h : {1, 2, 9}) {
            const Inputs in{{"in", filled<float>({h, 6}, ramp<float>(static_cast<size_t>(h * 6)))}};
            Buffer<float> copy({h, 6}), rows({h / 2, 6}), third({6}), copy2({h, 6}), rows2({h / 2, 6}), third2({6});
            evaluate(a, in, {{"copy", copy}, {"rows", rows}, {"third", third}});
            interpreter::execute(tree, in, {{"copy", copy2}, {"rows", rows2}, {"third", third2}}, {.shuffle_seed = 3});
            EXPECT_EQ(elements(copy), elements(copy2));
            EXPECT_EQ(elements(rows), elements(rows2));
            EXPECT_EQ(elements(third), elements(third2));
        }
    }
}

// A row's total for two outputs of that row and for a part of a sum over rows; squares for one of them.
TEST(FuseStages, StagesInSharedLoops) {
    const Dim y("y"), x("x");
    const Input in("in", i32, {y, x});
    Func total("total"), a("a"), b("b"), column("column"), wide("wide");
    wide(y, x) = in(y, x) * in(y, x);
    total(y) = sum({x}, in(y, x));
    a(y, x) = in(y, x) - total(y);
    b(y, x) = wide(y, x) * 3 + total(y);
    column(x) = sum({y}, in(y, x) * total(y));
    const Algorithm all({a, b, column}, {in});
    for (const FuseAlign align : {FuseAlign::none, FuseAlign::start, FuseAlign::end}) {
        Schedule s;
        for (const char* output : {"a", "b"}) s.stage(output).root().serial("y", 4, "task").serial("y", 0, "row").serial("x");
        s.stage("b").fuse_with({"a", "row", align});
        s.stage("column").root();
        s.stage("column.sum").root();
        s.partial("column.part", "column.sum", {"y/4"}).root().serial("y/4").serial("y").serial("x").fuse_with({"a", "task"});
        s.stage("total").at("a", "task").serial("y");
        s.stage("total.sum").at("a", "task").serial("y");
        s.stage("wide").at("a", "row").serial("y").serial("x");
        const LoopTree tree = tree_of(all, s);
        if (align == FuseAlign::none) expect_golden("stages_in_shared_loops", tree);
        for (const std::int64_t h : {1, 4, 11}) {
            const Inputs given{{"in", filled<std::int32_t>({h, 3}, ramp<std::int32_t>(static_cast<size_t>(h * 3)))}};
            std::vector<Buffer<std::int32_t>> wanted, got;
            for (auto* of : {&wanted, &got}) *of = {{{h, 3}}, {{h, 3}}, {{3}}};
            const auto outputs = [](std::vector<Buffer<std::int32_t>>& of) {
                return Outputs{{"a", of[0]}, {"b", of[1]}, {"column", of[2]}};
            };
            evaluate(all, given, outputs(wanted));
            interpreter::execute(tree, given, outputs(got), {.shuffle_seed = 3});
            for (size_t k = 0; k < wanted.size(); ++k) EXPECT_EQ(elements(wanted[k]), elements(got[k])) << k << to_text(tree);
        }
    }
}

TEST(FuseStages, Refused) {
    const Algorithm a = Slopes().algorithm();
    const auto refused = [&](auto edit) {
        Schedule s = Slopes().schedule();
        edit(s);
        return message_of(a, s);
    };
    const std::string vector = refused([](Schedule& s) { s.stage("across").fuse_with({"down", "x.1"}); });
    EXPECT_TRUE(mentions(vector, "loop x.1 of across is vector, which is not shared")) << vector;
    EXPECT_TRUE(mentions(vector, "share the loops down to xo")) << vector;
    const std::string place = refused([](Schedule& s) { s.stage("across").at("edge", "strip").spec().store.at.reset(); });
    EXPECT_TRUE(mentions(place, "one is computed at edge.strip and the other at edge.row")) << place;
    const std::string needed = refused([](Schedule& s) { s.stage("across").fuse_with({"edge", "row"}); });
    EXPECT_TRUE(mentions(needed, "but edge needs values of across")) << needed;
    const std::string chain = refused([](Schedule& s) { s.stage("down").fuse_with({"across", "xo"}); });
    EXPECT_TRUE(mentions(chain, "is fused with")) << chain;
    const std::string inlined = refused([](Schedule& s) { s.stage("down").inline_(); });
    EXPECT_TRUE(mentions(inlined, "down is inline and has no loops")) << inlined;
    const std::string unknown = refused([](Schedule& s) { s.stage("across").fuse_with({"dawn", "xo"}); });
    EXPECT_TRUE(mentions(unknown, "down")) << unknown;
    const std::string loop = refused([](Schedule& s) { s.stage("across").fuse_with({"down", "yo"}); });
    EXPECT_TRUE(mentions(loop, "which does not exist")) << loop;
    const std::string kinds = refused([](Schedule& s) { s.stage("across").spec().loops->at(1).as = LoopKind::parallel; });
    EXPECT_TRUE(mentions(kinds, "loop xo of across is parallel but loop xo of down is serial")) << kinds;
    const std::string pairing = refused([](Schedule& s) {
        s.stage("down").spec().loops = std::vector<LoopSpec>{{.dim = "y", .tile = 2, .name = "yo"}, {.dim = "y"}, {.dim = "x"}};
        s.stage("across").fuse_with({"down", "y.1"});
    });
    EXPECT_TRUE(mentions(pairing, "run over one dim in down but not in across")) << pairing;
    const std::string copy = refused([](Schedule& s) { s.copy("P", "photo", {"across"}).at("across", "xo"); });
    EXPECT_TRUE(mentions(copy, "P is placed at loop xo of across, which is a loop of down")) << copy;
    EXPECT_TRUE(mentions(copy, "name loop xo of down")) << copy;
    const std::string inside = refused([](Schedule& s) { s.copy("P", "photo", {"across"}).at("down", "xo"); });
    EXPECT_TRUE(mentions(inside, "which across shares with other iterations")) << inside;
    const Algorithm outputs = Outputs3().algorithm();
    Schedule apart = Outputs3().schedule(FuseAlign::none);
    apart.copy("P", "in", {"copy"}).at("copy", "yo");
    const std::string extents = message_of(outputs, apart);
    EXPECT_TRUE(mentions(extents, "P is placed at loop yo of copy, which rows.sum shares with other iterations")) << extents;
}

// b reads a, c is fused with a and d with b: neither pair can run first when c reads b's partner.
TEST(FuseStages, GroupsThatNeedEachOther) {
    const Dim x("x");
    const Input in("in", i32, {x});
    Func a("a"), b("b"), c("c"), d("d"), out("out");
    a(x) = in(x) + 1;
    b(x) = a(x) + 1;
    d(x) = in(x) + 2;
    c(x) = d(x) + 2;
    out(x) = b(x) + c(x);
    Schedule s;
    for (const char* name : {"a", "b", "c", "d", "out"}) s.stage(name).root().serial("x");
    s.stage("c").fuse_with({"a", "x"});
    s.stage("d").fuse_with({"b", "x"});
    EXPECT_TRUE(mentions(message_of(Algorithm({out}, {in}), s), "stages fused with")) << message_of(Algorithm({out}, {in}), s);
}

}  // namespace
}  // namespace tessera::interpreter_test
