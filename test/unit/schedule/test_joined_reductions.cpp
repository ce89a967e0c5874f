#include "unit/schedule/tree_cases.h"

// Reductions that share the loops over their reduced dims: one nest with a component for each of them.
namespace tessera::interpreter_test {
namespace {

// Per column the sum, the sum of products, the largest value and its row; the rows' sums beside them.
struct Columns {
    Dim y{"y"}, x{"x"};
    Input in{"in", i32, {y, x}};
    Func total{"total"}, squares{"squares"}, top{"top"}, place{"place"}, rows{"rows"}, out{"out"};
    Columns() {
        total(x) = sum({y}, in(y, x) * 3);
        squares(x) = sum({y}, in(y, x) * in(y, x), where(x < 5 || y >= 0));
        top(x) = max({y}, in(y, x) + cast(i32, y));
        place(x) = argmax(y, in(y, x));
        rows(y) = sum({x}, in(y, x));
        out(x) = total(x) - squares(x) + top(x) * 2 + cast(i32, place(x)) + rows(0);
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({out}, {in}); }
    [[nodiscard]] Schedule schedule() const {
        Schedule s;
        for (const char* name : {"total", "squares", "top", "place", "rows", "out"}) s.stage(name).root();
        s.stage("total.sum").root().serial("x", 8, "strip").serial("y").vector("x");
        s.stage("top.max").root().fuse_with({"total.sum", "y"});
        s.stage("place.argmax").root().fuse_with({"total.sum", "y"});
        s.stage("squares.sum").root();
        s.stage("rows.sum").root();
        return s;
    }
};

void expect_same_columns(const Schedule& s) {
    for (const std::int64_t h : {1, 9, 40})
        for (const std::int64_t w : {1, 8, 21})
            expect_same(Columns().algorithm(), s,
                        {{"in", filled<std::int32_t>({h, w}, ramp<std::int32_t>(static_cast<size_t>(h * w)))}},
                        dtype_of<std::int32_t>, {w});
}

TEST(JoinedReductions, OneNestOverTheRows) {
    const LoopTree tree = tree_of(Columns().algorithm(), Columns().schedule());
    EXPECT_FALSE(tree.bound.graph.find("top.max"));
    EXPECT_EQ(tree.bound.graph.stages[*tree.bound.graph.find("total.sum")].dtypes.size(), 4u);
    expect_same_columns(Columns().schedule());
}

// Blocks of tuples are combined part by part, each by its own rule.
TEST(JoinedReductions, InBlocks) {
    Schedule s = Columns().schedule();
    s.stage("total.sum").spec().loops = std::vector<LoopSpec>{{.dim = "x"}, {.dim = "y/8"}};
    s.stage("top.max").fuse_with({"total.sum", "y/8"});
    s.stage("place.argmax").fuse_with({"total.sum", "y/8"});
    s.partial("part", "total.sum", {"y/8"}).root().serial("x").serial("y/8").serial("y");
    expect_same_columns(s);
}

TEST(JoinedReductions, Refused) {
    const auto refused = [](auto edit) {
        Schedule s = Columns().schedule();
        edit(s);
        return message_of(Columns().algorithm(), s);
    };
    const std::string points = refused([](Schedule& s) { s.stage("squares.sum").fuse_with({"total.sum", "y"}); });
    EXPECT_TRUE(mentions(points, "total.sum and squares.sum take different points")) << points;
    const std::string dims = refused([](Schedule& s) { s.stage("rows.sum").fuse_with({"total.sum", "y"}); });
    EXPECT_TRUE(mentions(dims, "total.sum and rows.sum have different dims")) << dims;
    const std::string loops = refused([](Schedule& s) { s.stage("top.max").serial("y").serial("x"); });
    EXPECT_TRUE(mentions(loops, "top.max has loops or storage of its own")) << loops;
    const std::string place = refused([](Schedule& s) { s.stage("top.max").at("out", "x"); });
    EXPECT_TRUE(mentions(place, "top.max shares all loops of total.sum but is computed elsewhere")) << place;
    const std::string chain = refused([](Schedule& s) { s.stage("total.sum").fuse_with({"squares.sum", "x"}); });
    EXPECT_TRUE(mentions(chain, "which is fused with squares.sum")) << chain;
    const std::string inside = refused([](Schedule& s) { s.copy("P", "in", {"top.max"}).at("top.max", "y"); });
    EXPECT_TRUE(mentions(inside, "P is placed at a loop of top.max, which shares all loops of total.sum")) << inside;
}

TEST(JoinedReductions, OneThatNeedsTheOther) {
    const Dim y("y"), x("x");
    const Input in("in", i32, {y, x});
    Func low("low"), above("above"), out("out");
    low(x) = min({y}, in(y, x));
    above(x) = sum({y}, in(y, x) - low(x));
    out(x) = above(x);
    Schedule s;
    for (const char* name : {"low", "above", "out"}) s.stage(name).root();
    s.stage("low.min").root().serial("x").serial("y");
    s.stage("above.sum").root().fuse_with({"low.min", "y"});
    const std::string text = message_of(Algorithm({out}, {in}), s);
    EXPECT_TRUE(mentions(text, "above.sum needs values of low.min")) << text;
}

}  // namespace
}  // namespace tessera::interpreter_test
