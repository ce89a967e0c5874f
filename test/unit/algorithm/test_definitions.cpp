#include <gtest/gtest.h>
#include <tessera/tessera.h>

#include "algorithm/graph.h"

namespace tessera {
namespace {

TEST(Definitions, MatmulBiasReluBuilds) {
    Dim m("m"), n("n"), k("k");
    Input A("A", bf16, {m, k}), B("B", bf16, {k, n}), bias("bias", f32, {n});
    Func C("C");
    C(m, n) = relu(sum({k}, cast(f32, A(m, k)) * cast(f32, B(k, n))) + bias(n));
    const Algorithm gemm({C}, {A, B, bias});
    EXPECT_EQ(gemm.funcs().size(), 1u);
    EXPECT_EQ(C.dtype(), f32);
    EXPECT_EQ(gemm.state().dims.size(), 3u);
}

TEST(Definitions, StencilWithBoundaryBuilds) {
    Dim y("y"), x("x"), r("r", 3);
    Input photo("photo", u8, {y, x});
    Func rows("rows"), blur("blur");
    rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - 1)));
    blur(y, x) = cast(u8, sum({r}, rows(y + r - 1, x)) / 9);
    const Algorithm a({blur}, {photo});
    EXPECT_EQ(a.funcs().size(), 2u);
    EXPECT_EQ(a.funcs()[0].name(), "rows");
}

TEST(Definitions, EqualExpressionsAreOneNode) {
    Dim y("y");
    EXPECT_TRUE((y + 1).same_as(y + 1));
    EXPECT_FALSE((y + 1).same_as(y + 2));
}

TEST(Definitions, ReductionsOfOneBodyAreOneNode) {
    Dim i("i"), k("k");
    Input A("A", f32, {i, k});
    const Expr a = A(i, k), s = sum({k}, a), t = sum({k}, a);
    EXPECT_TRUE(s.same_as(t) || s->where.line != t->where.line);
}

TEST(Definitions, RecurrenceReadsItsPast) {
    Dim t("t"), i("i");
    Input x("x", f32, {t, i});
    Func h("h");
    recurrence(t, {{h(t, i), cast(f32, 0)}}, [&](const Self& s) -> Tuple { return {s[0](t - 1, i) * 0.5f + x(t, i)}; });
    EXPECT_EQ(Algorithm({h}, {x}).funcs().size(), 1u);
}

TEST(Definitions, FiveHundredFuncsBuildQuickly) {
    Dim x("x");
    Input in("in", f32, {x});
    std::vector<Func> f;
    for (int i = 0; i < 500; ++i) {
        f.emplace_back("f" + std::to_string(i));
        if (i == 0)
            f[0](x) = in(x);
        else
            f.back()(x) = f[static_cast<size_t>(i) - 1](x) * 2.0f + f[static_cast<size_t>(i) / 2](x);
    }
    EXPECT_EQ(Algorithm({f.back()}, {in}).funcs().size(), 500u);
}

}  // namespace
}  // namespace tessera
