#include <gtest/gtest.h>
#include <tessera/tessera.h>

#include "expr/bounds.h"
#include "expr/index_text.h"
#include "expr/tensor_state.h"

namespace tessera {
namespace {

Expr index(const Index& i) { return index_expr(i); }
Expr number(std::int64_t v) { return make_constant(DType::i64, v); }
Interval whole(const Dim& d) { return {number(0), simplify_index(index(d.extent() - 1))}; }
Domain over(std::initializer_list<Dim> dims) {
    Domain domain;
    for (const Dim& d : dims) domain.set(d, whole(d));
    return domain;
}
std::string text(const Interval& i) {
    return (i.low.defined() ? index_text(i.low) : "-inf") + " .. " + (i.high.defined() ? index_text(i.high) : "inf");
}
std::string range(const Index& e, const Domain& d) { return text(bounds(index(e), d)); }

struct Bounds : testing::Test {
    Dim x{"x"}, y{"y"}, r{"r", 3}, c{"c", 12};
};

TEST_F(Bounds, SumsAndProductsHaveOneNormalForm) {
    EXPECT_TRUE(simplify_index(index((x + 1) * (y + 2))).same_as(simplify_index(index(y * x + 2 * x + y + 2))));
    EXPECT_EQ(index_text(simplify_index(index(y + r - y))), "r");
    EXPECT_EQ(index_text(simplify_index(index(x - x))), "0");
    EXPECT_EQ(index_text(simplify_index(index(3 - 2 * x))), "3 - x*2");
}
TEST_F(Bounds, FloorDivisionByConstants) {
    EXPECT_EQ(index_text(simplify_index(index((4 * x + 6) / 4))), "x + 1");
    EXPECT_EQ(index_text(simplify_index(index((4 * x + 3) / 4))), "x");
    EXPECT_EQ(index_text(simplify_index(index((x + 5) / 4))), "(x + 1)/4 + 1");
    EXPECT_EQ(index_text(simplify_index(index(x / 4 / 3))), "x/12");
    EXPECT_EQ(index_text(simplify_index(index((6 * x + 4) / 4))), "x*3/2 + 1");
    EXPECT_EQ(index_text(simplify_index(index((8 * x + 5) % 4))), "1");
    EXPECT_EQ(index_text(simplify_index(index(x / 0))), "0");
    EXPECT_EQ(index_text(simplify_index(index((x - x) / (2 * y - 2)))), "0");
    EXPECT_EQ(index_text(simplify_index(index((x - x) % (2 * y - 2)))), "0");
}
TEST_F(Bounds, MinAndMaxAreFlatAndDropWhatIsKnown) {
    EXPECT_EQ(index_text(simplify_index(index(min(min(x, x + 1), x - 2)))), "x - 2");
    EXPECT_TRUE(simplify_index(index(min(x, min(y, 7)))).same_as(simplify_index(index(min(min(7, y), x)))));
}
TEST_F(Bounds, ShiftedDims) {
    EXPECT_EQ(range(x + r - 1, over({x, r})), "-1 .. x.extent");
    EXPECT_EQ(range(y + r - y, over({y, r})), "0 .. 2");
    EXPECT_EQ(range(5 - x, over({x})), "6 - x.extent .. 5");
}
TEST_F(Bounds, DivisionAndRemainder) {
    EXPECT_EQ(range(x / 2, over({x})), "0 .. (x.extent + 1)/2 - 1");
    EXPECT_EQ(range(x % 8, over({x})), "0 .. 7");
    EXPECT_EQ(range(x - x / 4 * 4, over({x})), "0 .. 3");
    const Extent e = y.extent();
    EXPECT_EQ(range((x * e + y) / e, over({x, y})), "0 .. x.extent - 1");
    EXPECT_EQ(range((x * e + y) % e, over({x, y})), "0 .. y.extent - 1");
}
TEST_F(Bounds, ChoicesNarrow) {
    EXPECT_EQ(range(clamp(x * y, 0, 9), Domain()), "min(max(x*y, 0), 9) .. min(max(x*y, 0), 9)");
    Domain anything;
    anything.set(x, {});
    EXPECT_EQ(range(clamp(x, 0, 9), anything), "0 .. 9");
    EXPECT_EQ(range(select(x > 4, x, 5), over({c, x})), "5 .. max(x.extent - 1, 5)");
    EXPECT_EQ(range(select(c > 4 && c < 9, c, 5), over({c})), "5 .. 8");
    EXPECT_EQ(range(max(x, 3) - x, over({x})), "max(4 - x.extent, 0) .. 3");
}
TEST_F(Bounds, ConditionsOnClampedIndices) {
    Input at("at", i32, {x});
    const Expr index_at = clamp(at(x), 0, 99);
    EXPECT_EQ(range(select(index_at > 1, index_at, 5), over({x})), "2 .. 99");
}
TEST_F(Bounds, Values) {
    Input bytes("bytes", u8, {x}), id("id", i32, {x}), free("free", i32, {x});
    id.values_in(0, y.extent());
    const Domain d = over({x});
    EXPECT_EQ(range(bytes(x), d), "0 .. 255");
    EXPECT_EQ(range(bytes(x) + 1, d), "0 .. 255");
    EXPECT_EQ(range(cast(i32, bytes(x)) + 1, d), "1 .. 256");
    EXPECT_EQ(range(id(x) + 1, d), "1 .. y.extent");
    EXPECT_EQ(range(free(x), d), "-inf .. inf");
    EXPECT_EQ(range(free(x) % 16, d), "0 .. 15");
    EXPECT_EQ(range(free(x) & 7, d), "0 .. 7");
    EXPECT_EQ(range(argmax(x, free(x)), Domain()), "-1 .. x.extent - 1");
    EXPECT_EQ(range(cast(u8, free(x)), d), "0 .. 255");
    Input real("real", f32, {x});
    EXPECT_EQ(range(cast(i32, clamp(real(x), 0.0, 99.5)), d), "0 .. 99");
    EXPECT_EQ(range(cast(i32, real(x)), d), "-inf .. inf");
    EXPECT_EQ(range(sum({x}, cast(i64, real(x) > 0)), Domain()), "0 .. x.extent");
}
TEST_F(Bounds, ProofsWithExtents) {
    const Facts positive{.extents_positive = true};
    const auto e = [&](const Extent& extent) { return index(extent); };
    EXPECT_TRUE(proves_nonnegative(e(x.extent() - 1), positive));
    EXPECT_FALSE(proves_nonnegative(e(x.extent() - 1)));
    EXPECT_FALSE(proves_nonnegative(e(x.extent() - 2), positive));
    EXPECT_TRUE(proves_nonnegative(e(x.extent() * y.extent() - x.extent()), positive));
    EXPECT_TRUE(proves_nonnegative(e(x.extent() - x.extent() / 3 * 3)));
    EXPECT_FALSE(proves_nonnegative(e(x.extent() / 3 * 3 - x.extent())));
    EXPECT_TRUE(proves_nonnegative(e(x.extent() / 3 * 3 - x.extent() + 2)));
    Dim blocks("blocks");
    blocks.multiple_of(8).at_most(64);
    EXPECT_TRUE(proves_nonnegative(e(64 - blocks.extent())));
    EXPECT_FALSE(proves_nonnegative(e(63 - blocks.extent())));
    EXPECT_TRUE(proves_nonnegative(e(blocks.extent() - 8), positive));
    EXPECT_TRUE(proves_nonnegative(e(blocks.extent() / 8 * 8 - blocks.extent())));
    Scalar stride("stride", i32), pad("pad", i32);
    stride.values_in(1, 9);
    pad.values_in(0, 4);
    Dim oy("oy", (y.extent() + 2 * Extent(pad) - 3) / Extent(stride) + 1);
    EXPECT_TRUE(proves_nonnegative(e(y.extent() + 2 * Extent(pad) - 1 - ((oy.extent() - 1) * Extent(stride) + 2)), positive));
    EXPECT_FALSE(proves_nonnegative(e(y.extent() + 2 * Extent(pad) - 2 - ((oy.extent() - 1) * Extent(stride) + 2)), positive));
    const Facts equal{.extents_positive = true, .equalities = {{e(x.extent() * 2), e(y.extent())}}};
    EXPECT_TRUE(proves_nonnegative(e(y.extent() - 2 * x.extent()), equal));
    EXPECT_TRUE(proves_nonnegative(simplify_index(index(min(Expr(x.extent()), 5))), positive));
    EXPECT_FALSE(proves_nonnegative(simplify_index(index(min(Expr(x.extent()) - 3, 5))), positive));
}

}  // namespace
}  // namespace tessera
