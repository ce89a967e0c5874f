#include <tessera/autodiff.h>

#include "thrown.h"
#include "unit/interpreter/interpreter_cases.h"

#include <cmath>

// Recurrences that stop, against loops that break.
namespace tessera::interpreter_test {
namespace {

// Square roots by Newton's method; each stops for itself.
struct Roots {
    Dim t{"t"}, b{"b"};
    Input a{"a", f64, {b}};
    Func x{"x"}, steps{"steps"};
    explicit Roots(std::int64_t most, bool reverse = false) {
        t = Dim("t", most);
        const std::int64_t back = reverse ? 1 : -1;
        recurrence(t, {{x(t, b), a(b)}, {steps(t, b), cast(i32, 0)}},
                   [&](const Self& s) -> Tuple {
                       const Expr before = s[0](t + back, b);
                       return {0.5 * (before + a(b) / before), s[1](t + back, b) + 1};
                   },
                   {.reverse = reverse,
                    .until = [&](const Self& s) { return abs(s[0](t, b) - s[0](t + back, b)) < 1e-3 * s[0](t, b); }});
    }
};

struct Stopped {
    double value;
    int steps;
};
Stopped newton(double a, int most) {
    double x = a;
    for (int n = 1; n <= most; ++n) {
        const double next = 0.5 * (x + a / x);
        const bool stop = std::abs(next - x) < 1e-3 * next;
        x = next;
        if (stop) return {x, n};
    }
    return {x, most};
}

TEST(Until, EachPointStopsForItselfAndKeepsItsValues) {
    const std::vector<double> numbers{1.0, 2.0, 100.0, 1e6};
    for (const bool reverse : {false, true})
        for (const int most : {1, 4, 20}) {
            const Roots r(most, reverse);
            Func end("end"), count("count");
            const Func last = at_end(r.x), counted = at_end(r.steps);
            end(r.b) = last(r.b);
            count(r.b) = cast(f64, counted(r.b));
            const Algorithm values({end}, {r.a}), counts({count}, {r.a});
            const auto got = run<double>(values, {{"a", filled<double>({4}, numbers)}}, {4});
            const auto steps = run<double>(counts, {{"a", filled<double>({4}, numbers)}}, {4});
            for (size_t i = 0; i < numbers.size(); ++i) {
                const Stopped want = newton(numbers[i], most);
                EXPECT_EQ(got[i], want.value) << numbers[i] << " in " << most;
                EXPECT_EQ(steps[i], want.steps) << numbers[i] << " in " << most;
            }
        }
}

// The condition is not read of the init, and not of steps that are no longer taken.
TEST(Until, IsReadAfterAStep) {
    Dim t("t", 6);
    Input a("a", f64, {Dim("n", 1)});
    Func x("x"), y("y");
    recurrence(t, {{x(t), a(0)}}, [&](const Self& s) -> Tuple { return {s[0](t - 1) + 1.0}; },
               {.until = [&](const Self& s) { return s[0](t) >= 3.0; }});
    y(t) = x(t);
    EXPECT_EQ(run<double>(Algorithm({y}, {a}), {{"a", filled<double>({1}, {1.0})}}, {6}),
              (std::vector<double>{2, 3, 3, 3, 3, 3}));
    EXPECT_EQ(run<double>(Algorithm({y}, {a}), {{"a", filled<double>({1}, {7.0})}}, {6}),
              (std::vector<double>{8, 8, 8, 8, 8, 8}));
}

TEST(Until, PrintsAndParsesBack) {
    const Roots r(5);
    Func end("end");
    end(r.b) = at_end(r.x)(r.b);
    const Algorithm a({end}, {r.a});
    EXPECT_EQ(parse_algorithm(a.text()).text(), a.text());
    EXPECT_EQ(parse_algorithm(a.text()).hash(), a.hash());
    EXPECT_NE(a.text().find("x/stopped"), std::string::npos) << a.text();
}

TEST(Until, WhatDoesNotFitIsRefused) {
    Dim t("t"), b("b"), s("s", 4);
    Input a("a", f64, {b});
    const auto with = [&](const Dim& time, const std::function<Expr(const Self&)>& until) {
        Func x("x"), total("total");
        return thrown([&] {
            recurrence(time, {{x(time, b), a(b)}, {total(time), cast(f64, 0)}},
                       [&](const Self& self) -> Tuple {
                           return {self[0](time - 1, b) * 0.5, self[1](time - 1) + 1.0};
                       },
                       {.until = until});
        });
    };
    EXPECT_EQ(with(t, [&](const Self& self) { return self[1](t) > 3.0; }), E0311_recurrence);     // nothing bounds t
    EXPECT_EQ(with(s, [&](const Self& self) { return self[0](s, b) > 3.0; }), E0311_recurrence);  // total has no b
    EXPECT_EQ(with(s, [&](const Self& self) { return self[1](s) + 1.0; }), E0311_recurrence);
    EXPECT_EQ(with(s, [&](const Self& self) { return self[1](s) > 3.0; }), B0951_internal);
    EXPECT_EQ(with(Dim("u").at_most(9), [&](const Self&) { return Expr(b) >= 0 || true; }), E0311_recurrence);
    Func plain("plain");
    plain(b) = a(b);
    EXPECT_EQ(thrown([&] { static_cast<void>(at_end(plain)); }), E0311_recurrence);
}

}  // namespace
}  // namespace tessera::interpreter_test
