#include <gtest/gtest.h>

#include "schedule/bound.h"
#include "schedule/canonical_stages.h"
#include "unit/schedule_db/stored_sessions.h"

namespace tessera {
namespace {

using test::named_matmul;

const std::vector<std::string> twin_names{"row", "m", "n", "left", "right", "product"};

Schedule rich() {
    Schedule s;
    s.stage("C").root().parallel("m", 64, "mo").serial("n", 64, "no").serial("m", 0, "mi").vector("n", 8, "ni");
    s.stage("C").loop({.dim = "n", .as = LoopKind::vector, .name = "nv"});
    (*s.stages["C"].loops)[3].as = LoopKind::serial;
    s.stage("C.sum").at("C", "mi").serial("k", 4, "ko").unroll("k", 0, "ki").serial("n");
    s.copy("packed", "B", {"C.sum"}).at("C", "no").layout({"n/16", "k", "n%16"}).serial("k").serial("n");
    return s;
}

TEST(CanonicalStages, ComeBackAsTheyWere) {
    const Algorithm a = named_matmul();
    const Schedule s = rich();
    (void)bind(a, s);
    const Schedule stored = in_canonical_names(a, s);
    EXPECT_EQ(stored.stages.count("s0"), 1u);
    EXPECT_EQ(stored.stages.count("s0.sum"), 1u);
    EXPECT_EQ(stored.stages.count("copy0"), 1u);
    EXPECT_EQ(stored.stages.at("copy0").copy_of, "i1");
    EXPECT_EQ(stored.stages.at("copy0").for_uses, std::vector<std::string>{"s0.sum"});
    const Schedule back = in_user_names(a, stored);
    (void)bind(a, back);
    EXPECT_EQ(content_hash(in_canonical_names(a, back)), content_hash(stored));
    // But for the names of the loops and of the copy it is the same schedule.
    const Schedule renamed_copy = renamed(s, {{{"packed", "B.copy0"}}, {}, {}});
    EXPECT_EQ(to_json(canonical(back)), to_json(canonical(renamed_copy)));
}

// The twin's dims are called m and n as well, but are others.
TEST(CanonicalStages, RenamedTwinsShareThem) {
    const Algorithm a = named_matmul(), twin = named_matmul(0, twin_names);
    ASSERT_EQ(a.hash(), twin.hash());
    const Schedule moved = in_user_names(twin, in_canonical_names(a, rich()));
    const BoundSchedule bound = bind(twin, moved);
    EXPECT_EQ(moved.stages.at("product").loops->at(0).dim, "row");
    EXPECT_EQ(moved.stages.at("product").loops->at(1).dim, "m");
    EXPECT_EQ(moved.stages.at("right.copy0").store.layout, (std::vector<std::string>{"m/16", "n", "m%16"}));
    EXPECT_EQ(content_hash(in_canonical_names(twin, moved)), content_hash(in_canonical_names(a, rich())));
}

// Names of derived stages do not count.
TEST(CanonicalStages, NamesOfDerivedStagesDoNotCount) {
    const Algorithm a = named_matmul();
    Schedule other = renamed(rich(), {{{"packed", "zzz"}}, {}, {}});
    EXPECT_EQ(content_hash(in_canonical_names(a, other)), content_hash(in_canonical_names(a, rich())));
}

// Two different dims may have one name.
TEST(CanonicalStages, DimsOfOneNameInTwoStages) {
    Dim y("y"), x("x"), other_y("y"), other_x("x");
    Input in("in", f32, {y, x});
    Func inner("inner"), outer("outer");
    inner(other_x, other_y) = in(other_y, other_x) * 2.0f;
    outer(y) = sum({x}, inner(x, y));
    const Algorithm a({outer}, {in});
    Schedule s;
    s.stage("outer").root().serial("y");
    s.stage("outer.sum").root().serial("y").serial("x", 8, "xo").serial("x", 0, "xi");
    s.stage("inner").root().serial("x", 4, "xo").serial("y").serial("x", 0, "xi");
    (void)bind(a, s);
    const Schedule stored = in_canonical_names(a, s);
    EXPECT_NE(stored.stages.at("s1.sum").loops->at(1).dim, stored.stages.at("s0").loops->at(0).dim);
    const Schedule back = in_user_names(a, stored);
    EXPECT_EQ(to_json(canonical(back)), to_json(canonical(s)));
}

TEST(KernelKey, IsTheSameForEverySizeAndOfNoOtherKernel) {
    EXPECT_EQ(kernel_hash(named_matmul()), kernel_hash(named_matmul(64)));
    EXPECT_EQ(kernel_hash(named_matmul(128)), kernel_hash(named_matmul(64, twin_names)));
    EXPECT_NE(named_matmul().hash(), named_matmul(64).hash());
    Dim m("m"), n("n"), k("k");
    Input A("A", f32, {m, k}), B("B", f32, {k, n});
    Func C("C");
    C(m, n) = sum({k}, A(m, k) * B(k, n));
    EXPECT_NE(kernel_hash(Algorithm({C}, {A, B})), kernel_hash(named_matmul()));
}

TEST(KernelKey, ShapesNameFixedAndMeasuredExtents) {
    EXPECT_EQ(shape_text(named_matmul(64)),
              R"({"d0":{"extent":64,"fixed":true},"d1":{"extent":64,"fixed":true},"d2":{"extent":64,"fixed":true}})");
    EXPECT_EQ(shape_text(named_matmul(), {{"m", 8}}),
              R"({"d0":{"extent":8,"fixed":false},"d1":{"fixed":false},"d2":{"fixed":false}})");
}

// A reduction dim that no argument has is part of the kernel.
TEST(KernelKey, TapsAreNoShape) {
    const auto stencil = [](std::int64_t taps) {
        Dim x("x"), r("r", taps);
        Input in("in", f32, {x});
        Func f("f");
        f(x) = sum({r}, clamp(in)(x + r));
        return Algorithm({f}, {in});
    };
    EXPECT_NE(kernel_hash(stencil(3)), kernel_hash(stencil(5)));
}

}  // namespace
}  // namespace tessera
