#include <gtest/gtest.h>
#include <tessera/tessera.h>

#include "schedule/loop_split.h"
#include "tile/environment.h"

namespace tessera {
namespace {

Expr binary(Op op, const Expr& a, const Expr& b) { return make_op(op, DType::i64, {a, b}); }
Expr sum(const Expr& a, const Expr& b) { return binary(Op::add, a, b); }
Expr difference(const Expr& a, const Expr& b) { return binary(Op::sub, a, b); }
Expr least(const Expr& a, const Expr& b) { return binary(Op::min, a, b); }
Expr most(const Expr& a, const Expr& b) { return binary(Op::max, a, b); }
Expr extent_of(const Dim& d) { return resolve_weak(Expr(d.extent()), DType::i64, {}); }

// Where a thread's cell begins stands in both ends of what it needs, beside a number of blocks that is a long expression.
TEST(Environment, EndsOfARegionCancelInsideMinima) {
    const Dim xs("x"), ls("l");
    const Expr x = extent_of(xs), l = extent_of(ls), one = index_number(1), zero = index_number(0), two = index_number(2);
    const Expr first = least(difference(x, one), zero), last = difference(x, one);
    const auto cells = [&](const Expr& high) { return difference(sum(least(last, high), one), first); };
    const Expr needed =
        most(most(cells(difference(binary(Op::mul, l, two), one)), cells(most(difference(l, two), one))), cells(two));
    const Expr tile = make_variable("tile", DType::i64), thread = make_variable("thread", DType::i64);
    tile::Environment environment;
    environment.add_range(tile, binary(Op::div, sum(needed, index_number(255)), index_number(256)));
    environment.add_range(thread, index_number(256));
    const Expr at = sum(sum(binary(Op::mul, tile, index_number(256)), thread), first), begin = most(at, zero);
    EXPECT_EQ(environment.constant_bound(difference(least(x, sum(at, one)), begin)), 2);
    EXPECT_EQ(environment.constant_bound(difference(x, begin)), std::nullopt);
}

TEST(Environment, PromisedExtentsAreBounds) {
    Dim ns("n"), ms("m");
    ns.at_most(40);
    const Expr n = extent_of(ns), m = extent_of(ms), two = index_number(2);
    const tile::Environment environment;
    EXPECT_EQ(environment.constant_bound(sum(n, two)), 42);
    EXPECT_EQ(environment.constant_bound(difference(binary(Op::mul, n, two), m)), 80);
    EXPECT_EQ(environment.constant_bound(difference(most(n, two), n)), 2);
    EXPECT_EQ(environment.constant_bound(m), std::nullopt);
}

// begin is made of row, and row of what a long expression stands for.
TEST(Environment, NamesCancelBeforeWhatTheyStandFor) {
    const Dim ns("n"), xs("x");
    const Expr n = extent_of(ns), x = extent_of(xs), one = index_number(1), two = index_number(2), zero = index_number(0);
    const Expr half = binary(Op::div, n, two), twice = binary(Op::mul, n, two);
    const Expr at = make_variable("at", DType::i64), first = make_variable("first", DType::i64),
               row = make_variable("row", DType::i64), begin = make_variable("begin", DType::i64);
    tile::Environment environment;
    environment.add_let(first, least(least(difference(difference(twice, least(difference(x, one), half)), two),
                                           most(least(difference(twice, index_number(3)), difference(two, x)), zero)),
                                     zero));
    environment.add_range(at, sum(n, x));
    environment.add_let(row, sum(at, first));
    environment.add_let(begin, most(row, one));
    const Expr end = least(sum(row, one), difference(n, one));
    EXPECT_EQ(environment.constant_bound(difference(end, begin)), 1);
}

}  // namespace
}  // namespace tessera
