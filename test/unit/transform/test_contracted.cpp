#include <gtest/gtest.h>
#include <tessera/autodiff.h>
#include <tessera/compile.h>
#include <tessera/tessera.h>
#include <tessera/transform.h>

#include <cmath>
#include <random>

// contracted() writes fma() where a float sum has a product, and is the algorithm that one would write so by hand.
namespace tessera {
namespace {

struct Parts {
    Dim n{"n"}, m{"m"};
    Input a{"a", f32, {n, m}}, b{"b", f32, {n, m}}, c{"c", f64, {n}}, k{"k", i32, {n}};
};

TEST(Contracted, IsTheAlgorithmWithFmaWrittenIn) {
    Parts s;
    const Expr a = s.a(s.n, 0), b = s.b(s.n, 0), c = s.c(s.n), k = s.k(s.n);
    struct Pair {
        Expr plain, fused;
    };
    const std::vector<Pair> pairs{
        {a * b + a, fma(a, b, a)},
        {a + b * b, fma(b, b, a)},
        {a * b + b * b, fma(b, b, a * b)},
        {a - b * b, fma(-b, b, a)},
        {a * b - b, fma(a, b, -b)},
        {0.5f * a + 0.25f * b + a * b, fma(a, b, fma(0.25f, b, 0.5f * a))},
        {exp(a * b + 1.0f) + b, exp(fma(a, b, 1.0f)) + b},
        {select(a < b * a - b, c * c + 1.0, c), select(a < fma(b, a, -b), fma(c, c, 1.0), c)},
        {max(a + b, a), max(a + b, a)},
        {k * k + 1, k * k + 1},
        {(a + b) * b, (a + b) * b},
    };
    for (const Pair& p : pairs) {
        const auto algorithm = [&](const Expr& value) {
            Func y("y");
            y(s.n) = value;
            return Algorithm({y}, {s.a, s.b, s.c, s.k});
        };
        EXPECT_EQ(contracted(algorithm(p.plain)).text(), algorithm(p.fused).text());
        EXPECT_EQ(contracted(contracted(algorithm(p.plain))).hash(), algorithm(p.fused).hash());
    }
}

// A sum fuses the products that it adds; only what stands inside of them, and around it, is left to do.
TEST(Contracted, LeavesProductsOfSumsToTheSum) {
    Parts s;
    const auto algorithm = [&](const Expr& value) {
        Func y("y");
        y(s.n) = value;
        return Algorithm({y}, {s.a, s.b, s.c, s.k});
    };
    const auto sum_of = [&](const Expr& operand) { return sum({s.m}, operand); };
    const Expr a = s.a(s.n, s.m), b = s.b(s.n, s.m);
    const Algorithm two = algorithm(sum_of(a * b + b * b));
    EXPECT_EQ(contracted(two).hash(), two.hash());
    EXPECT_EQ(contracted(algorithm(sum_of((a * b + a) * b) * 2.0f + 1.0f)).text(),
              algorithm(fma(sum_of(fma(a, b, a) * b), 2.0f, 1.0f)).text());
    EXPECT_EQ(contracted(algorithm(sum_of(a * b + a))).text(), algorithm(sum_of(fma(a, b, a))).text());
    EXPECT_EQ(contracted(algorithm(max({s.m}, a * b + b))).text(), algorithm(max({s.m}, fma(a, b, b))).text());
}

// A filter of first order, with what is read from another definition; name, privileges and recurrences go along.
TEST(Contracted, CopiesRecurrencesAndReadsOfOthers) {
    const auto made = [](bool fused) {
        Dim t("t");
        Input x("x", f32, {t});
        Func twice("twice"), y("y"), out("out");
        const Expr half = constant(f32, 0.5);
        twice(t) = x(t) * 2.0f;
        recurrence(t, {{y(t), x(0)}}, [&](const Self& self) -> Tuple {
            const Expr before = self[0](t - 1);
            return {fused ? fma(half, twice(t), half * before) : half * before + half * twice(t)};
        });
        out(t) = y(t) + twice(t);
        return Algorithm({out}, {x}, {.name = "filter"});
    };
    EXPECT_EQ(contracted(made(false)).text(), made(true).text());
    EXPECT_EQ(contracted(made(false), "fast").name(), "fast");
}

TEST(Contracted, RoundsOnceOnEveryTarget) {
    Dim y("y", 9), x("x", 33);
    Input p("p", f32, {y, x});
    Func rows("rows"), out("out");
    rows(y, x) = 0.3f * clamp(p)(y, x - 1) + 0.4f * p(y, x) + 0.3f * clamp(p)(y, x + 1);
    out(y, x) = p(y, x) * p(y, x) - clamp(rows)(y + 1, x) * rows(y, x);
    const Algorithm fused = contracted(Algorithm({out}, {p}));
    Buffer<float> in({9, 33}), reference({9, 33}), got({9, 33});
    std::mt19937 random(7);
    std::uniform_real_distribution<float> values(-1, 1);
    in.for_each([&](float& v) { v = values(random); });
    const auto at = [&](std::int64_t r, std::int64_t c) {
        return in(r, std::min<std::int64_t>(std::max<std::int64_t>(c, 0), 32));
    };
    const auto smooth = [&](std::int64_t r, std::int64_t c) {
        return std::fma(0.3f, at(r, c + 1), std::fma(0.4f, at(r, c), 0.3f * at(r, c - 1)));
    };
    compile(fused, Schedule{}, parse_target("interpreter"))({{"p", in}}, {{"out", reference}});
    compile(fused, Schedule{})({{"p", in}}, {{"out", got}});
    for (std::int64_t r = 0; r < 9; ++r)
        for (std::int64_t c = 0; c < 33; ++c) {
            const float below = smooth(std::min<std::int64_t>(r + 1, 8), c);
            const float expected = std::fma(-below, smooth(r, c), at(r, c) * at(r, c));
            EXPECT_EQ(reference(r, c), expected) << r << " " << c;
            EXPECT_EQ(got(r, c), expected) << r << " " << c;
        }
}

TEST(Contracted, IsDifferentiatedLikeAnyOther) {
    Dim n("n");
    Input w("w", f64, {n});
    Func loss("loss");
    loss() = sum({n}, (w(n) * w(n) + 1.0) * w(n));
    const Algorithm fused = contracted(Algorithm({loss}, {w}));
    const Func slope = grad(fused.outputs()[0], {w})[0];
    Buffer<double> at({3}), got({3});
    for (int i = 0; i < 3; ++i) at(i) = i - 0.5;
    compile(Algorithm({slope}, {w}), Schedule{}, parse_target("interpreter"))({{"w", at}}, {{slope.name(), got}});
    for (int i = 0; i < 3; ++i) EXPECT_NEAR(got(i), 3 * (i - 0.5) * (i - 0.5) + 1, 1e-14);
}

}  // namespace
}  // namespace tessera
