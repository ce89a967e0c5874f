// What C++ does with the language's spellings: what does not compile, what compiles and is refused, what means what it says.
#include <gtest/gtest.h>
#include <tessera/tessera.h>

#include <concepts>
#include <limits>
#include <string>

namespace tessera {
namespace {

template <class T>
concept TakenByWhere = requires(T value) {
    where(value);
};
static_assert(TakenByWhere<Expr>);
static_assert(!TakenByWhere<bool>);

static_assert(!std::is_constructible_v<bool, Expr>);
static_assert(!std::is_constructible_v<bool, FuncRef>);
static_assert(!std::equality_comparable<Dim>);
static_assert(!std::is_convertible_v<Dim, Extent>);
static_assert(!std::is_convertible_v<Expr, Extent>);
static_assert(!std::is_convertible_v<bool, Extent>);
static_assert(!std::is_convertible_v<std::string, Dim>);
static_assert(!std::is_convertible_v<bool, Index>);
static_assert(!std::is_convertible_v<double, Index>);

template <class T>
concept Accumulates = requires(T ref) {
    ref += 1;
};
static_assert(!Accumulates<FuncRef>);
static_assert(!Accumulates<Expr>);

// An assignment yields nothing that a second one could use.
static_assert(std::same_as<decltype(std::declval<FuncRef>() = std::declval<Expr>()), void>);
static_assert(std::same_as<decltype(std::declval<FuncRef>() = std::declval<FuncRef>()), void>);

template <class Program>
std::string code_of(Program program) {
    try {
        program();
    } catch (const Exception& e) {
        return std::string(code_text(e.code()));
    }
    return "none";
}

class FrontEnd : public testing::Test {
protected:
    Dim i{"i"}, j{"j"}, k{"k"};
    Input a{"a", f32, {i}}, d{"d", f64, {i}}, u{"u", u8, {i}}, n{"n", i32, {i}}, flag{"flag", bool_, {i}}, v{"v", f32, {k}};
    Scalar scale{"scale", f32};
    Func f{"f"};
};

// ---- numbering

TEST_F(FrontEnd, NumberingFollowsTheDefinitionAndNotTheOrderOfEvaluation) {
    Dim x("x");
    Input in("in", f32, {x});
    Func p("p"), q("q"), out("out");
    q(x) = in(x)*2;  // declared and defined before p, used after it
    p(x) = in(x) + 1;
    out(x) = p(x) / q(x);
    const Algorithm both({out}, {in});
    ASSERT_EQ(both.funcs().size(), 3u);
    EXPECT_EQ(both.funcs()[0].name(), "p");
    EXPECT_EQ(both.funcs()[1].name(), "q");
}

// ---- compiles, and is refused

TEST_F(FrontEnd, ChainedComparison) {
    EXPECT_EQ(code_of([&] { f(i) = 0 <= i < 3; }), "E0202");
    EXPECT_EQ(code_of([&] { f(i) = 0 <= i < 1; }), "E0202");
    EXPECT_EQ(code_of([&] { f(i) = 0 <= i && i < 3; }), "none");
}

TEST_F(FrontEnd, AmpersandBindsWeakerThanEquals) {
    EXPECT_EQ(code_of([&] { f(i) = i & (1 == 0); }), "E0202");
    EXPECT_EQ(code_of([&] { f(i) = (i & 1) == 0; }), "none");
}

TEST_F(FrontEnd, AnIndexIsAnInteger) {
    EXPECT_EQ(code_of([&] { static_cast<void>(v(i == j)); }), "E0204");
    EXPECT_EQ(code_of([&] { static_cast<void>(v(a(i))); }), "E0204");
    EXPECT_EQ(code_of([&] { static_cast<void>(v(cast(i8, a(i)))); }), "none");
}

TEST_F(FrontEnd, LeftHandSidesAreDistinctDims) {
    EXPECT_EQ(code_of([&] { f(i + 1) = a(i); }), "E0306");
    EXPECT_EQ(code_of([&] { f(0) = a(i); }), "E0306");
    EXPECT_EQ(code_of([&] { f(Scalar("s", i64)) = a(i); }), "E0306");
    EXPECT_EQ(code_of([&] { f(i, i) = a(i); }), "E0104");
    EXPECT_EQ(code_of([&] { f(i) = a(i) * v(k); }), "E0103");
    EXPECT_FALSE(f.defined());
}

TEST_F(FrontEnd, ADefinitionOfLiteralsNeedsADType) {
    EXPECT_EQ(code_of([&] { f(i) = 3; }), "E0203");
    EXPECT_EQ(code_of([&] { f(i) = cast(f32, 3); }), "none");
    Func g("g", f16);
    g(i) = 3;
    EXPECT_EQ(g.dtype(), f16);
}

TEST_F(FrontEnd, WhereTakesABool) {
    EXPECT_EQ(code_of([&] { static_cast<void>(where(a(i))); }), "E0309");
    EXPECT_EQ(code_of([&] { static_cast<void>(where(a(i) > 0)); }), "none");
}

TEST_F(FrontEnd, TuplesGiveOneValueOnlyWhenAsked) {
    Func pair("pair");
    pair(i) = Tuple{a(i), d(i)};
    EXPECT_EQ(code_of([&] { f(i) = pair(i); }), "E0305");
    EXPECT_EQ(code_of([&] { f(i) = mirror(pair)(i); }), "E0305");
    EXPECT_EQ(code_of([&] { f(i) = pair(i)[2]; }), "E0305");
    f(i) = pair(i)[1];
    EXPECT_EQ(f.dtype(), f64);
}

TEST_F(FrontEnd, MonoidsReadTheirOperandsAlone) {
    const Monoid biased = monoid(
        "biased", [](const auto& t) { return Tuple{constant(t[0], 0.0)}; },
        [&](const Tuple& x, const Tuple& y) { return Tuple{x[0] + y[0] + a(i)}; });
    EXPECT_EQ(code_of([&] { static_cast<void>(reduce(biased, {i}, {a(i)})); }), "E0310");
}

TEST_F(FrontEnd, MonoidsHaveNamesOfTheirOwn) {
    const auto code_for = [&](const std::string& name) {
        return code_of([&] {
            const Monoid m = monoid(
                name, [](const auto& t) { return Tuple{constant(t[0], 0.0)}; },
                [](const Tuple& x, const Tuple& y) { return Tuple{x[0] - y[0]}; });
            static_cast<void>(reduce(m, {i}, {a(i)}));
        });
    };
    EXPECT_EQ(code_for("difference"), "none");
    EXPECT_EQ(code_for("sum"), "E0310");
    EXPECT_EQ(code_for("a b"), "E0102");
}

// ---- means what it says

TEST_F(FrontEnd, LiteralsOfEveryIntegerType) {
    const size_t offset = 1;
    const short small = 1;
    EXPECT_TRUE((i + offset).same_as(i + 1));
    EXPECT_TRUE((i + small).same_as(i + 1));
    EXPECT_TRUE((i + 1LL).same_as(i + 1U));
    EXPECT_EQ(Dim("e", offset).extent().constant(), 1);
    EXPECT_EQ((Dim("e", 4).extent() * offset).constant(), 4);
    EXPECT_TRUE(a(offset).get() != nullptr);
}

TEST_F(FrontEnd, AssigningARefDefinesByItsValue) {
    Func g("g");
    g(i) = a(i);
    f(i) = g(i);
    EXPECT_TRUE(f.defined());
    EXPECT_EQ(f.dims().size(), 1u);
    EXPECT_EQ(g.dims().size(), 1u);
}

TEST_F(FrontEnd, MaxOfDimsIsAReductionAndMaxOfTwoIsNot) {
    EXPECT_NE(Algorithm({[&] {
                            Func g("g");
                            g() = max({i}, a(i));
                            return g;
                        }()},
                        {a})
                  .text()
                  .find("max({i}, a(i))"),
              std::string::npos);
    EXPECT_EQ(max(a(i), 0.0f).dtype(), f32);
}

TEST_F(FrontEnd, RankZeroDefinitions) {
    f() = sum({i}, a(i));
    EXPECT_EQ(f.rank(), 0u);
    Func g("g");
    g(i) = a(i) / f();
    EXPECT_EQ(Algorithm({g}, {a}).funcs().size(), 2u);
}

TEST_F(FrontEnd, VectorsWorkWhereBracesDo) {
    const std::vector<Dim> dims{i};
    const std::vector<Index> at{i};
    f.at(at) = sum(dims, a.at(at)) + a(i);
    EXPECT_EQ(f.rank(), 1u);
}

TEST_F(FrontEnd, SelectOfManyIsNested) { EXPECT_EQ(select(i < 1, a(i), i < 2, a(i) * 2, i < 3, a(i) * 3, 0).dtype(), f32); }

// ---- dtypes

TEST_F(FrontEnd, LiteralsTakeTheDTypeOfWhatTheyMeet) {
    EXPECT_EQ((a(i) * 2).dtype(), f32);
    EXPECT_EQ((2.5 * d(i)).dtype(), f64);
    EXPECT_EQ((u(i) + 1).dtype(), u8);
    EXPECT_EQ((cast(f16, a(i)) * 0.1).dtype(), f16);
    EXPECT_TRUE((a(i) * 0.1).same_as(a(i) * 0.1f)) << "0.1 is rounded to f32 either way";
    EXPECT_TRUE((a(i) * std::numeric_limits<double>::quiet_NaN()).same_as(a(i) * -std::numeric_limits<double>::quiet_NaN()));
    EXPECT_FALSE((a(i) * 0.0).same_as(a(i) * -0.0));
}

TEST_F(FrontEnd, NothingElseConverts) {
    EXPECT_EQ(code_of([&] { static_cast<void>(a(i) + d(i)); }), "E0201");
    EXPECT_EQ(code_of([&] { static_cast<void>(a(i) + n(i)); }), "E0201");
    EXPECT_EQ(code_of([&] { static_cast<void>(u(i) + n(i)); }), "E0201");
    EXPECT_EQ(code_of([&] { static_cast<void>(u(i) + 256); }), "E0203");
    EXPECT_EQ(code_of([&] { static_cast<void>(u(i) - -1); }), "E0203");
    EXPECT_EQ(code_of([&] { static_cast<void>(n(i) * 0.5); }), "E0203");
    EXPECT_EQ(code_of([&] { static_cast<void>(exp(n(i))); }), "E0202");
    EXPECT_EQ(code_of([&] { static_cast<void>(a(i) & 1); }), "E0202");
    EXPECT_EQ(code_of([&] { static_cast<void>(flag(i) + 1); }), "E0202");
    EXPECT_EQ(code_of([&] { static_cast<void>(!a(i)); }), "E0202");
    EXPECT_EQ(code_of([&] { static_cast<void>(select(a(i), 1, 2)); }), "E0202");
}

TEST_F(FrontEnd, AnIndexAsAValueNeedsRoom) {
    EXPECT_EQ((n(i) + i).dtype(), i32);
    EXPECT_EQ((cast(u64, n(i)) + i.extent()).dtype(), u64);
    EXPECT_EQ(code_of([&] { static_cast<void>(u(i) + i); }), "E0203");
    EXPECT_EQ(code_of([&] { static_cast<void>(a(i) + i); }), "E0203");
    EXPECT_EQ((a(i) + cast(f32, i)).dtype(), f32);
    f(i) = i * 2 + 1;
    EXPECT_EQ(f.dtype(), i64);
}

TEST_F(FrontEnd, StoresDoNotNarrow) {
    Func g("g", u8);
    EXPECT_EQ(code_of([&] { g(i) = n(i); }), "E0205");
    EXPECT_EQ(code_of([&] { g(i) = saturate_cast(u8, n(i)); }), "none");
}

TEST_F(FrontEnd, PoliciesDoNotContradictThemselves) {
    EXPECT_EQ(code_of([&] { Input("x", Numerics{.storage = f32, .compute = f16, .accumulate = f32}, {i}); }), "E0206");
    EXPECT_EQ(code_of([&] { Input("x", Numerics{.storage = f16, .compute = f32, .accumulate = f16}, {i}); }), "E0206");
    EXPECT_EQ(code_of([&] { Func("x", Numerics{.storage = f32, .compute = i32, .accumulate = i64}); }), "E0206");
    EXPECT_EQ(code_of([&] { Input("x", Numerics{.storage = bf16}, {i}); }), "none");
    EXPECT_EQ(code_of([&] { Input("x", Numerics{.storage = i8, .compute = i16, .accumulate = i32}, {i}); }), "none");
    EXPECT_EQ(code_of([&] { Input("x", Numerics{.storage = u8, .compute = f32, .accumulate = f32}, {i}); }), "none");
}

TEST_F(FrontEnd, SumsUnderAPolicyRunInItsAccumulateDType) {
    Func g("g", Numerics{.storage = f32, .compute = f32, .accumulate = f64});
    g() = sum({i}, a(i), where(a(i) > 0)) + max({i}, a(i));
    EXPECT_NE(Algorithm({g}, {a}).text().find("cast(f32, sum({i}, cast(f64, a(i)), where = 0f32 < a(i))) + max({i}, a(i))"),
              std::string::npos)
        << Algorithm({g}, {a}).text();
}

TEST_F(FrontEnd, WeakArithmeticIsStrengthenedInLinearTime) {
    Expr e = i;
    for (int step = 0; step < 200; ++step) e = e * e + 1;
    f(i) = e;
    EXPECT_EQ(f.dtype(), i64);
    EXPECT_EQ((n(i) + e).dtype(), i32);
}

}  // namespace
}  // namespace tessera
