#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/tessera.h>
#include <tessera/transform.h>

#include "thrown.h"

// compose, pipe and curry make the algorithm that one would write by hand: it has the same hash.
namespace tessera {
namespace {

Algorithm scaled() {
    Dim m("m"), n("n");
    Input x("x", f32, {m, n});
    Scalar factor("factor", f32);
    Func y("y");
    y(m, n) = x(m, n) * factor;
    return Algorithm({y}, {x, factor}, {.name = "scaled"});
}
Algorithm row_sums() {
    Dim m("m"), n("n");
    Input x("x", f32, {m, n}), bias("bias", f32, {m});
    Func y("y");
    y(m) = sum({n}, x(m, n)) + bias(m);
    return Algorithm({y}, {x, bias}, {.name = "row_sums"});
}

TEST(Compose, IsTheAlgorithmThatOneWouldWrite) {
    const Algorithm both = compose(row_sums(), scaled());
    Dim m("m"), n("n"), m_1("m_1", m.extent()), n_1("n_1", n.extent());
    Input x("x", f32, {m, n}), bias("bias", f32, {m_1});
    Scalar factor("factor", f32);
    Func inner("inner"), y("y");
    inner(m, n) = x(m, n) * factor;
    y(m_1) = sum({n_1}, inner(m_1, n_1)) + bias(m_1);
    EXPECT_EQ(both.hash(), Algorithm({y}, {x, factor, bias}).hash()) << both.text();
    EXPECT_EQ(both.name(), "row_sums.scaled");
    EXPECT_EQ(both.funcs()[0].name(), "scaled/y");
    EXPECT_EQ(parse_algorithm(both.text()).text(), both.text());
    EXPECT_EQ(pipe({scaled(), row_sums()}).text(), both.text());
    EXPECT_EQ(pipe({scaled(), row_sums()}, "sums").name(), "sums");
}

TEST(Compose, ThreeStepsRun) {
    Dim n("n");
    Input x("x", f32, {n});
    Func y("y");
    y(n) = x(n) * x(n);
    const Algorithm all = pipe({scaled(), row_sums(), Algorithm({y}, {x}, {.name = "squares"})}, "all");
    Buffer<float> in({2, 3}), bias({2}), out({2});
    float next = 1;
    in.for_each([&](float& v) { v = next++; });
    bias.for_each([&](float& v) { v = next++; });
    compile(all, {}, parse_target("interpreter"))({{"x", in}, {"factor", 0.5}, {"bias", bias}}, {{"y", out}});
    EXPECT_EQ(out(0), 100.0f);
    EXPECT_EQ(out(1), 15.5f * 15.5f);
}

TEST(Compose, SharedDimsAndArgumentsStayOne) {
    Dim n("n");
    Input x("x", f32, {n}), w("w", f32, {n}), hidden("hidden", f32, {n});
    Func h("h"), rest("rest"), y("y");
    h(n) = x(n) * w(n);
    rest(n) = x(n) - w(n);
    y(n) = hidden(n) + w(n);
    const Algorithm inner({rest, h}, {x, w}), outer({y}, {w, hidden});
    const Algorithm both = compose(outer, inner, {.feed = {{"h", "hidden"}}, .name = "both"});
    Func z("y");
    z(n) = h(n) + w(n);
    EXPECT_EQ(both.text(), Algorithm({z, rest}, {x, w}, {.name = "both"}).text());
}

TEST(Compose, ExtentsThatAreKnownBecomeRequirements) {
    Dim m("m"), eight("eight", 8);
    Input x("x", f32, {m}), z("z", f32, {eight});
    Func y("y"), s("s");
    y(m) = x(m) + 1.0f;
    s() = sum({eight}, z(eight));
    const Algorithm both = compose(Algorithm({s}, {z}), Algorithm({y}, {x}));
    const Module f = compile(both, {}, parse_target("interpreter"));
    Buffer<float> in({8}), wrong({7}), out({});
    in.for_each([](float& v) { v = 2; });
    f({{"x", in}}, {{"s", out}});
    EXPECT_EQ(out(), 24.0f);
    EXPECT_EQ(thrown([&] { f({{"x", wrong}}, {{"s", out}}); }), E0704_argument_extent);
}

TEST(Compose, WhatDoesNotFitIsRefused) {
    Dim n("n"), four("four", 4), five("five", 5);
    Input a("a", f64, {n}), p("p", f32, {four}), q("q", f32, {five}), x("x", f32, {n});
    Func of_f64("of_f64"), of_four("of_four"), of_five("of_five"), pair("pair"), number("number");
    of_f64(n) = a(n) * 2.0;
    of_four(four) = p(four) * 2.0f;
    of_five() = sum({five}, q(five));
    pair(n) = Tuple{x(n), x(n)};
    Scalar c("c", f32);
    Dim one("one", 1);
    number(one) = cast(f32, c);
    const Algorithm f64s({of_f64}, {a}), fours({of_four}, {p}), fives({of_five}, {q}), pairs({pair}, {x}), numbers({number}, {c});
    const auto code = [&](const Algorithm& outer, const Algorithm& inner, const ComposeOptions& options = {}) {
        return thrown([&] { static_cast<void>(compose(outer, inner, options)); });
    };
    EXPECT_EQ(code(fives, fours), E0106_dim_mismatch);
    EXPECT_EQ(code(fives, f64s), E0201_dtype_mismatch);
    EXPECT_EQ(code(fours, fives), E0301_rank);
    EXPECT_EQ(code(fours, pairs), E0305_tuple);
    EXPECT_EQ(code(numbers, fours), E0307_missing_argument);
    EXPECT_EQ(code(fours, fours, {.feed = {{"of_for", "p"}}}), E0307_missing_argument);
    EXPECT_EQ(code(fours, fours, {.feed = {{"of_four", "q"}}}), E0307_missing_argument);
    EXPECT_EQ(code(fours, fours, {.feed = {{"of_four", "p"}, {"of_four", "p"}}}), E0101_duplicate_name);
    // Two arguments of one name are two things.
    Input bias("bias", f32, {n});
    Func biased("biased");
    Dim rows("rows");
    Input table("table", f32, {rows, n});
    biased(rows, n) = table(rows, n) + bias(n);
    EXPECT_EQ(code(row_sums(), Algorithm({biased}, {table, bias})), E0101_duplicate_name);
    EXPECT_EQ(thrown([] { static_cast<void>(pipe({})); }), E0303_undefined);
}

TEST(Curry, IsTheAlgorithmWithTheValuesWrittenIn) {
    Dim m("m"), n("n"), padded("padded", n.extent() + 2);
    Scalar factor("factor", f32), shift("shift", i32);
    shift.values_in(0, 3);
    Input x("x", f32, {m, n}), w("w", f32, {n});
    Func y("y");
    y(m, padded) = constant(x, 0.0f)(m, padded - shift) * factor + constant(w, 0.0f)(padded);
    const Algorithm open({y}, {x, factor, w, shift});
    const Algorithm known = curry(open, {{"factor", 0.5f}, {"n", 6}, {"shift", 1}, {"w", 2}}, "known");
    Dim k("n", 6), wide("padded", k.extent() + 2);
    Input X("x", f32, {m, k});
    Func z("y");
    z(m, wide) = constant(X, 0.0f)(m, wide - cast(i32, 1)) * 0.5f + cast(f32, 2);
    EXPECT_EQ(known.text(), Algorithm({z}, {X}, {.name = "known"}).text());
    EXPECT_EQ(parse_algorithm(known.text()).text(), known.text());
}

TEST(Curry, WhatDoesNotFitIsRefused) {
    Dim m("m"), n("n"), both("both", m.extent() + n.extent());
    m.multiple_of(4);
    n.at_most(10);
    Input x("x", u8, {m, n});
    Scalar count("count", u8), shift("shift", i32);
    shift.values_in(0, 3);
    Func y("y");
    y(m, both) = constant(x, 0)(m, both) * count + cast(u8, shift);
    const Algorithm open({y}, {x, count, shift});
    const auto code = [&](const std::vector<BoundValue>& values) {
        return thrown([&] { static_cast<void>(curry(open, values)); });
    };
    EXPECT_EQ(code({{"cuont", 1}}), E0307_missing_argument);
    EXPECT_EQ(code({{"count", 1}, {"count", 1}}), E0307_missing_argument);
    EXPECT_EQ(code({{"count", 300}}), E0203_literal);
    EXPECT_EQ(code({{"count", cast(u8, 3)}}), E0203_literal);
    EXPECT_EQ(code({{"shift", 3}}), E0203_literal);
    EXPECT_EQ(code({{"m", 6}}), E0105_extent);
    EXPECT_EQ(code({{"n", 11}}), E0105_extent);
    EXPECT_EQ(code({{"n", 0.5}}), E0105_extent);
    EXPECT_EQ(code({{"both", 5}}), E0105_extent);
}

}  // namespace
}  // namespace tessera
