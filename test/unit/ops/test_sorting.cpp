#include <tessera/autodiff.h>
#include <tessera/compile.h>
#include <tessera/schedule_default.h>

#include "unit/autodiff/derivative_cases.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

// Orders against std::stable_sort.
namespace tessera::autodiff_test {
namespace {

const double nan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> stable_order(const std::vector<double>& v, bool descending) {
    std::vector<double> order(v.size());
    std::iota(order.begin(), order.end(), 0.0);
    std::stable_sort(order.begin(), order.end(), [&](double a, double b) {
        const double x = v[static_cast<size_t>(a)], y = v[static_cast<size_t>(b)];
        if (std::isnan(x) || std::isnan(y)) return !std::isnan(x) && std::isnan(y);
        return descending ? x > y : x < y;
    });
    return order;
}

std::vector<double> numbers(size_t n, int different, unsigned seed) {
    std::vector<double> v;
    std::uint32_t state = seed;
    for (size_t i = 0; i < n; ++i) {
        state = state * 1664525u + 1013904223u;
        const int value = static_cast<int>(state >> 16) % different;
        v.push_back(value == 0 ? nan : value == 1 ? -0.0 : value == 2 ? 0.0 : value - different / 2.0);
    }
    return v;
}

TEST(Sorting, ArgsortIsStableWithNanLast) {
    Dim b("b"), i("i");
    i.at_most(100);
    const Input x("x", f64, {b, i});
    for (const bool descending : {false, true}) {
        const Func order = ops::argsort("order", x, i, {.descending = descending});
        for (const std::int64_t n : {1, 2, 3, 5, 8, 17, 64, 100})
            for (const int different : {4, 40}) {
                const std::vector<double> v = numbers(static_cast<size_t>(2 * n), different, static_cast<unsigned>(n));
                const Program p{.y = order, .wrt = {}, .extents = {{"b", 2}, {"i", n}}, .floats = {{"x", v}}};
                const auto got = evaluated({order}, p, random_values(p, {order}, 1))[0];
                for (std::int64_t r = 0; r < 2; ++r) {
                    const std::vector<double> row(v.begin() + r * n, v.begin() + (r + 1) * n);
                    EXPECT_EQ(std::vector<double>(got.begin() + r * n, got.begin() + (r + 1) * n), stable_order(row, descending))
                        << n;
                }
            }
    }
}

TEST(Sorting, AlongADimThatIsNotTheLast) {
    Dim i("i", 5), c("c", 3);
    const Input x("x", f64, {i, c});
    const Func sorted = ops::sort("sorted", x, i);
    const Program p{.y = sorted, .wrt = {}};
    const Values values = random_values(p, {sorted}, 3);
    const auto got = evaluated({sorted}, p, values)[0];
    const Buffer<double> in(values.at("x"));
    for (int k = 0; k < 3; ++k) {
        std::vector<double> column;
        for (int r = 0; r < 5; ++r) column.push_back(in(r, k));
        std::sort(column.begin(), column.end());
        for (int r = 0; r < 5; ++r) EXPECT_EQ(got[static_cast<size_t>(r * 3 + k)], column[static_cast<size_t>(r)]);
    }
}

TEST(Sorting, TopKAndMedian) {
    Dim n("n", 7), m("m", 4);
    const Input x("x", f64, {n}), y("y", f64, {m});
    const auto top = ops::top_k("top", x, n, 3);
    const Func odd = ops::median("odd", x, n), even = ops::median("even", y, m);
    const Program p{.y = top.values, .wrt = {}, .floats = {{"x", {3, 9, -1, 9, 4, nan, 5}}, {"y", {8, 1, 4, 2}}}};
    const std::vector<Func> all{top.values, top.indices, odd, even};
    const auto got = evaluated(all, p, random_values(p, all, 1));
    EXPECT_EQ(got[0], (std::vector<double>{9, 9, 5}));
    EXPECT_EQ(got[1], (std::vector<double>{1, 3, 6}));
    EXPECT_TRUE(std::isnan(got[2][0]));
    EXPECT_EQ(got[3], (std::vector<double>{3}));
    const Program q{.y = odd, .wrt = {}, .floats = {{"x", {3, 9, -1, 9, 4, 0, 5}}}};
    EXPECT_EQ(evaluated({odd}, q, random_values(q, {odd}, 1))[0], (std::vector<double>{4}));
}

TEST(Sorting, DerivativesGoBackToThePlacesOfTheValues) {
    Dim b("b", 2), n("n", 6);
    const Input x("x", f64, {b, n});
    const Func sorted = ops::sort("sorted", x, n, {.descending = true}), median = ops::median("median", x, n);
    const auto top = ops::top_k("top", x, n, 2);
    for (const Func& f : {sorted, median, top.values}) {
        check_derivative({.y = f, .wrt = {x}});
        check_against_scatter({.y = f, .wrt = {x}});
    }
    // Of equal values the first has the first place.
    Func loss("loss");
    loss() = sum({n}, sorted(0, n) * cast(f64, n));
    const Func g = grad(loss, {x})[0];
    const Program p{.y = g, .wrt = {}, .floats = {{"x", {2, 1, 2, 1, 2, 3, 0, 0, 0, 0, 0, 0}}}};
    const auto got = evaluated({g}, p, random_values(p, {g, sorted}, 1))[0];
    EXPECT_EQ(std::vector<double>(got.begin(), got.begin() + 6), (std::vector<double>{1, 4, 2, 5, 3, 0}));
}

TEST(Sorting, PrintsAndParsesBack) {
    Dim n("n");
    const Input x("x", f32, {n});
    const Algorithm a({ops::sort("sorted", x, n)}, {x});
    EXPECT_EQ(parse_algorithm(a.text()).text(), a.text());
    EXPECT_EQ(parse_algorithm(a.text()).hash(), a.hash());
}

TEST(Sorting, WhatDoesNotFitIsRefused) {
    Dim n("n", 4), m("m");
    const Input x("x", f32, {n}), count("count", i32, {n});
    const auto code = [](const std::function<void()>& f) {
        try {
            f();
        } catch (const Exception& e) {
            return e.code();
        }
        return B0951_internal;
    };
    EXPECT_EQ(code([&] { static_cast<void>(ops::argsort("o", x, m)); }), E0103_unknown_dim);
    EXPECT_EQ(code([&] { static_cast<void>(ops::top_k("o", x, n, 5)); }), E0105_extent);
    EXPECT_EQ(code([&] { static_cast<void>(ops::median("o", count, n)); }), E0202_dtype_unsupported);
}

#ifdef TESSERA_HAVE_HALIDE
TEST(Sorting, Compiled) {
    Dim b("b"), i("i");
    i.at_most(4096);
    const Input x("x", f32, {b, i});
    const Func order = ops::argsort("order", x, i);
    const Func sorted = ops::sort("sorted", x, i, {.descending = true});
    const Algorithm a({order, sorted}, {x});
    const Module kernel = compile(a, default_schedule(a, Target()), Target(), {.disk_cache = false});
    for (const std::int64_t n : {1, 2, 31, 1000}) {
        Buffer<float> in({3, n}), values({3, n});
        Buffer<std::int64_t> got({3, n});
        const std::vector<double> v = numbers(static_cast<size_t>(3 * n), 200, 7);
        size_t next = 0;
        in.for_each([&](float& e) { e = static_cast<float>(v[next++]); });
        kernel({{"x", in}}, {{"order", got}, {"sorted", values}});
        for (std::int64_t r = 0; r < 3; ++r) {
            const std::vector<double> row(v.begin() + r * n, v.begin() + (r + 1) * n);
            const auto up = stable_order(row, false), down = stable_order(row, true);
            for (std::int64_t k = 0; k < n; ++k) {
                ASSERT_EQ(static_cast<double>(got(r, k)), up[static_cast<size_t>(k)]) << n;
                const double want = row[static_cast<size_t>(down[static_cast<size_t>(k)])];
                ASSERT_TRUE(static_cast<double>(values(r, k)) == want || (std::isnan(want) && std::isnan(values(r, k)))) << n;
            }
        }
    }
}
#endif

}  // namespace
}  // namespace tessera::autodiff_test
