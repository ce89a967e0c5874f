#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/routine.h>
#include <tessera/tessera.h>
#include <tessera/transform.h>

#include "algorithm/called_routine.h"
#include "thrown.h"

// Routines in the language: a meaning, a symbol and operands; what transforms make of them.
namespace tessera {
namespace {

struct Parts {
    Dim i{"i"}, k{"k"};
    Input A{"A", f64, {i, k}}, b{"b", f64, {k}};
    Func doubled{"doubled"}, product{"product"};
    Parts() {
        doubled(i, k) = A(i, k) * 2.0;
        product(i) = sum({k}, doubled(i, k) * b(k));
    }
    [[nodiscard]] Algorithm algorithm(const Func& y) const { return Algorithm({y}, {A, b}); }
};

TEST(Routine, TextAndHashSayWhatItIsGiven) {
    const Parts p;
    const Func of_inputs = routine("gemv", p.product), of_func = routine("gemv", p.product, {.operands = {p.doubled, p.b}});
    EXPECT_EQ(of_inputs.name(), "product/gemv");
    const Algorithm a = p.algorithm(of_func);
    EXPECT_NE(a.text().find("product/gemv(i) : f64 = product(i)\nroutine product/gemv = gemv(doubled, b)\n"), std::string::npos)
        << a.text();
    const Algorithm again = parse_algorithm(a.text());
    EXPECT_EQ(again.text(), a.text());
    EXPECT_EQ(again.hash(), a.hash());
    EXPECT_EQ(routine_symbols(again.state()), std::vector<std::string>{"gemv"});
    // Another symbol, other operands, none at all: other algorithms.
    EXPECT_NE(p.algorithm(of_inputs).hash(), a.hash());
    EXPECT_NE(p.algorithm(routine("gemv_2", p.product, {.operands = {p.doubled, p.b}})).hash(), a.hash());
    EXPECT_NE(p.algorithm(p.product).hash(), a.hash());
}

TEST(Routine, IsACheckAmongTheEffects) {
    const Parts p;
    const std::vector<Effect> effects = p.algorithm(routine("gemv", p.product)).effects();
    ASSERT_EQ(effects.size(), 1u);
    EXPECT_EQ(effects[0].kind, EffectKind::check);
    EXPECT_EQ(effects[0].of, std::vector<std::string>{"product/gemv"});
}

TEST(Routine, OnlyWhatItIsGivenIsComputed) {
    const Parts p;
    const Func y = routine("gemv", p.product, {.operands = {p.doubled, p.b}});
    std::vector<std::string> names;
    for (const Func& f : computed_funcs(p.algorithm(y).state())) names.push_back(f.name());
    EXPECT_EQ(names, (std::vector<std::string>{"doubled", "product/gemv"}));
}

TEST(Routine, BadInput) {
    const Parts p;
    const Scalar s("s", f64);
    Func scaled("scaled"), state("state");
    scaled(p.i) = p.product(p.i) * s;
    EXPECT_EQ(thrown([&] { static_cast<void>(routine("no such name", p.product)); }), E0317_routine);
    EXPECT_EQ(thrown([&] { static_cast<void>(routine("gemv", p.product, {.operands = {p.A}})); }), E0317_routine);
    EXPECT_EQ(thrown([&] { static_cast<void>(routine("gemv", p.product, {.operands = {p.A, p.b, p.A}})); }), E0317_routine);
    EXPECT_EQ(thrown([&] { static_cast<void>(routine("twice", p.doubled, {.operands = {p.A, p.b}})); }), E0317_routine);
    EXPECT_EQ(thrown([&] { static_cast<void>(routine("gemv", scaled)); }), E0317_routine);
    EXPECT_EQ(thrown([&] { static_cast<void>(routine("gemv", Func("undefined"))); }), E0303_undefined);
    const std::string text = p.algorithm(routine("gemv", p.product)).text();
    const auto with = [&](const std::string& from, const std::string& to) {
        std::string changed = text;
        return changed.replace(changed.find(from), from.size(), to);
    };
    EXPECT_EQ(thrown([&] { static_cast<void>(parse_algorithm(with("gemv(A, b)", "gemv(A, c)"))); }), E0303_undefined);
    EXPECT_EQ(thrown([&] { static_cast<void>(parse_algorithm(with("gemv(A, b)", "gemv(A)"))); }), E0317_routine);
    EXPECT_EQ(thrown([&] { static_cast<void>(parse_algorithm(with("gemv(A, b)", "gemv(A, b"))); }), E0601_syntax);
}

// Its cells are those of [0, extent), and so are those of what it is given.
TEST(Routine, AccessesAreProved) {
    const Parts p;
    const Func y = routine("gemv", p.product);
    Func shifted("shifted"), wrapped("wrapped"), ahead("ahead"), before("before");
    shifted(p.i) = y(p.i + 1);
    wrapped(p.i) = clamp(y)(p.i + 1);
    EXPECT_EQ(thrown([&] { static_cast<void>(p.algorithm(shifted)); }), E0401_out_of_bounds);
    static_cast<void>(p.algorithm(wrapped));
    // The meaning reads all but the last cell of `ahead`, which has no value there.
    ahead(p.i, p.k) = p.A(p.i, p.k + 1);
    Dim few("few", p.k.extent() - 1);
    before(p.i) = sum({few}, ahead(p.i, few));
    Func sums("sums");
    sums(p.i) = before(p.i);
    static_cast<void>(Algorithm({sums}, {p.A}));
    EXPECT_EQ(thrown([&] { static_cast<void>(Algorithm({routine("row_sums", before, {.operands = {ahead}})}, {p.A})); }),
              E0401_out_of_bounds);
}

TEST(Routine, CopiesKeepItWhereItIsGivenTensors) {
    const Parts p;
    const Algorithm a = p.algorithm(routine("gemv", p.product));
    Dim n("n"), m("m");
    Input raw("raw", f64, {n, m});
    Func halved("halved");
    halved(n, m) = raw(n, m) * 0.5;
    const Algorithm fed = compose(a, Algorithm({halved}, {raw}), {.feed = {{"halved", "A"}}});
    EXPECT_NE(fed.text().find("= gemv(halved, b)"), std::string::npos) << fed.text();
    EXPECT_NE(curry(a, {{"k", 8}}).text().find("= gemv(A, b)"), std::string::npos);
    // At every point of a batch, or with a number for an operand, it is its meaning.
    EXPECT_EQ(vmap(a, Dim("batch"), {{"A"}}).text().find(" = gemv("), std::string::npos);
    EXPECT_EQ(curry(a, {{"b", 2.0}}).text().find(" = gemv("), std::string::npos);
}

TEST(Routine, RunsOnTheCpuOnly) {
    const Parts p;
    const Algorithm a = p.algorithm(routine("gemv", p.product));
    try {
        static_cast<void>(compile(a, {}, parse_target("cuda-sm_90a")));
        FAIL() << "compiled";
    } catch (const Exception& e) {
        EXPECT_TRUE(e.code() == L0901_not_on_target || e.code() == E0803_target_unavailable) << e.what();
    }
}

}  // namespace
}  // namespace tessera
