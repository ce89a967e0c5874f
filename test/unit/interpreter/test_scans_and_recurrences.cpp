#include "unit/interpreter/interpreter_cases.h"

// Scans, scatters and recurrences against loops written by hand.
namespace tessera::interpreter_test {
namespace {

TEST(Scans, AllFourKinds) {
    Dim r("r"), t("t");
    Input x("x", i32, {t, r});  // t is not the last dim
    const std::vector<std::int32_t> v = ramp<std::int32_t>(6 * 3, 9);
    for (const bool exclusive : {false, true})
        for (const bool reverse : {false, true}) {
            Func y("y");
            y(t, r) = scan(plus, t, x(t, r), {.exclusive = exclusive, .reverse = reverse});
            const auto got = run<std::int32_t>(Algorithm({y}, {x}), {{"x", filled<std::int32_t>({6, 3}, v)}}, {6, 3});
            for (int a = 0; a < 6; ++a)
                for (int b = 0; b < 3; ++b) {
                    std::int32_t want = 0;
                    for (int s = 0; s < 6; ++s)
                        if ((reverse ? s > a : s < a) || (s == a && !exclusive)) want += v[s * 3 + b];
                    EXPECT_EQ(got[a * 3 + b], want) << exclusive << reverse << a << b;
                }
        }
}

TEST(Scans, OutsideTheExtentNothingIsAdded) {
    Dim t("t"), o("o", 6);
    Input x("x", i32, {t});
    Func s("s"), y("y");
    s(t) = scan(plus, t, x(t));
    y(o) = s(o - 2);
    EXPECT_EQ(run<std::int32_t>(Algorithm({y}, {x}), {{"x", filled<std::int32_t>({3}, {1, 2, 4})}}, {6}),
              (std::vector<std::int32_t>{0, 0, 1, 3, 7, 7}));
}

TEST(Scans, FloatScanOfProductsRoundsTheProduct) {
    Dim t("t");
    Input x("x", f32, {t});
    Func y("y");
    y(t) = scan(plus, t, x(t) * x(t));
    const auto v = ramp<float>(20, 10);
    const auto got = run<float>(Algorithm({y}, {x}), {{"x", filled<float>({20}, v)}}, {20});
    float total = 0;
    for (size_t i = 0; i < v.size(); ++i) {
        const volatile float square = v[i] * v[i];
        total += square;
        EXPECT_EQ(got[i], total);
    }
}

TEST(Scatters, HistogramDropsWhatIsOutside) {
    Dim c("c"), i("i"), v("v", 4);
    Input x("x", i32, {c, i});
    Func h("h");
    h(c, v) = scatter(plus, {to(v, x(c, i))}, {i}, cast(u32, 1));
    EXPECT_EQ(
        run<std::uint32_t>(Algorithm({h}, {x}), {{"x", filled<std::int32_t>({2, 5}, {0, 3, 3, 4, -1, 1, 1, 1, 2, 7})}}, {2, 4}),
        (std::vector<std::uint32_t>{1, 0, 0, 2, 0, 3, 1, 0}));
}

TEST(Scatters, CombineInAscendingSourceOrderFromInit) {
    Dim i("i"), j("j"), v("v", 3);
    Input x("x", f32, {i, j}), place("place", i32, {i, j}), start("start", f32, {v});
    Func total("total"), winner("winner");
    total(v) = scatter(plus, {to(v, place(i, j))}, {i, j}, x(i, j), {.init = {start(v)}});
    winner(v) = scatter(last, {to(v, place(i, j))}, {i, j}, x(i, j), {.init = {start(v)}});
    const auto values = ramp<float>(20, 11), starts = ramp<float>(3, 12);
    std::vector<std::int32_t> places;
    for (int k = 0; k < 20; ++k) places.push_back(k % 2);
    std::vector<float> want = starts, want_last = starts;
    for (size_t k = 0; k < 20; ++k) {
        want[static_cast<size_t>(places[k])] += values[k];
        want_last[static_cast<size_t>(places[k])] = values[k];
    }
    Buffer<float> t({3}), w({3});
    evaluate(Algorithm({total, winner}, {x, place, start}),
             {{"x", filled<float>({4, 5}, values)},
              {"place", filled<std::int32_t>({4, 5}, places)},
              {"start", filled<float>({3}, starts)}},
             {{"total", t}, {"winner", w}});
    EXPECT_EQ(elements(t), want);
    EXPECT_EQ(elements(w), want_last);
}

TEST(Recurrences, SecondOrderFilter) {
    Dim t("t"), c("c");
    Input x("x", f32, {t, c});
    Func y("y");
    recurrence(t, {{y(t, c), cast(f32, 0)}},
               [&](const Self& s) -> Tuple { return {x(t, c) + s[0](t - 1, c) * 0.5f - s[0](t - 2, c) * 0.25f}; });
    const std::int64_t T = 50, C = 3;
    const auto v = ramp<float>(T * C, 13);
    const auto got = run<float>(Algorithm({y}, {x}), {{"x", filled<float>({T, C}, v)}}, {T, C});
    for (int b = 0; b < C; ++b) {
        float one = 0, two = 0;
        for (int a = 0; a < T; ++a) {
            const float now = v[a * C + b] + one * 0.5f - two * 0.25f;
            EXPECT_EQ(got[a * C + b], now);
            two = one;
            one = now;
        }
    }
}

TEST(Recurrences, InReverseWithInitThatMentionsTime) {
    Dim t("t");
    Input x("x", i64, {t});
    Func y("y");
    recurrence(t, {{y(t), cast(i64, t) * 100}}, [&](const Self& s) -> Tuple { return {s[0](t + 2) + x(t)}; }, {.reverse = true});
    EXPECT_EQ(run<std::int64_t>(Algorithm({y}, {x}), {{"x", filled<std::int64_t>({5}, {1, 2, 3, 4, 5})}}, {5}),
              (std::vector<std::int64_t>{1 + 3 + 5 + 600, 2 + 4 + 500, 3 + 5 + 600, 4 + 500, 5 + 600}));
}

TEST(Recurrences, StatesOfDifferentShapesReadAllOfThePast) {
    // h(t, j) = sum over i of h(t-1, i) + m(t-1), m(t) = m(t-1) + t: every state reads the whole row before.
    const std::int64_t T = 200, J = 6;
    Dim t("t", T), j("j", J), i("i", J);
    Input h0("h0", i64, {j});
    Func h("h"), m("m"), end("end");
    recurrence(t, {{h(t, j), h0(j)}, {m(t), cast(i64, 0)}}, [&](const Self& s) -> Tuple {
        return {sum({i}, s[0](t - 1, i)) % 1000 + s[1](t - 1), s[1](t - 1) + cast(i64, t)};
    });
    end(j) = h(t.extent() - 1, j);
    const auto start = ramp<std::int64_t>(J, 14);
    const auto got = run<std::int64_t>(Algorithm({end}, {h0}), {{"h0", filled<std::int64_t>({J}, start)}}, {J});
    std::vector<std::int64_t> row = start;
    std::int64_t memory = 0;
    for (int a = 0; a < T; ++a) {
        std::int64_t total = 0;
        for (const auto v : row) total += v;
        total = ((total % 1000) + 1000) % 1000;
        std::fill(row.begin(), row.end(), total + memory);
        memory += a;
    }
    EXPECT_EQ(got, row);
}

TEST(Recurrences, LongOnesDoNotRecurse) {
    const std::int64_t T = 100000;
    Dim t("t", T);
    Func y("y"), end("end");
    recurrence(t, {{y(t), cast(u32, 1)}},
               [&](const Self& s) -> Tuple { return {s[0](t - 1) * cast(u32, 1664525) + cast(u32, 1013904223)}; });
    end() = y(T - 1);
    std::uint32_t want = 1;
    for (int k = 0; k < T; ++k) want = want * 1664525u + 1013904223u;
    EXPECT_EQ(run<std::uint32_t>(Algorithm({end}, {}), {}, {})[0], want);
}

}  // namespace
}  // namespace tessera::interpreter_test
