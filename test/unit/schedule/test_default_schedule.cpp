#include <gtest/gtest.h>
#include <tessera/tessera.h>

#include "schedule/bound.h"
#include "schedule/default_schedule.h"

namespace tessera {
namespace {

Schedule scheduled(const Algorithm& a) {
    Schedule s = default_schedule(a, {.vector_bytes = 64});
    EXPECT_NO_THROW((void)bind(a, s)) << to_json(s);
    return s;
}

TEST(DefaultSchedule, BlurSlidesRowsInsideParallelTasks) {
    Dim y("y"), x("x"), r("r", 3);
    Input photo("photo", u8, {y, x});
    Func rows("rows"), blur("blur");
    rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - 1)));
    blur(y, x) = cast(u8, sum({r}, rows(y + r - 1, x)) / 9);
    const Schedule s = scheduled(Algorithm({blur}, {photo}));
    EXPECT_TRUE(s.stages.at("rows").store.at == (LoopRef{"blur", "task"})) << to_json(s);
    EXPECT_EQ(s.stages.at("rows.sum").store.space, Space::register_) << to_json(s);
}

TEST(DefaultSchedule, ContractionsAreRegisterTiledWithAPackedOperand) {
    Dim m("m"), n("n"), k("k");
    Input A("A", f32, {m, k}), B("B", f32, {k, n}), bias("bias", f32, {n});
    Func C("C");
    C(m, n) = relu(sum({k}, A(m, k) * B(k, n)) + bias(n));
    const Schedule s = scheduled(Algorithm({C}, {A, B, bias}));
    EXPECT_TRUE(s.stages.count("B.p")) << to_json(s);
    EXPECT_EQ(s.stages.at("C.sum").compute->at, (LoopRef{"C", "mt"})) << to_json(s);
}

TEST(DefaultSchedule, SoftmaxReducesRowsInLanes) {
    Dim i("i"), j("j");
    Input x("x", f32, {i, j});
    Func e("e"), y("y");
    e(i, j) = exp(x(i, j) - max({j}, x(i, j)));
    y(i, j) = e(i, j) / sum({j}, e(i, j));
    const Schedule s = scheduled(Algorithm({y}, {x}));
    EXPECT_EQ(s.stages.at("y.sum").compute->at, (LoopRef{"y", "row"})) << to_json(s);
    EXPECT_TRUE(s.stages.count("y.sum.lanes")) << to_json(s);
}

TEST(DefaultSchedule, EverythingElseBinds) {
    Dim y("y"), x("x"), v("v", 256), t("t"), c("c", 3);
    Input image("image", u8, {c, y, x});
    Func H("H");
    H(c, v) = scatter(plus, {to(v, image(c, y, x))}, {y, x}, cast(u32, 1));
    scheduled(Algorithm({H}, {image}));
    Input z("z", f32, {t, x});
    Func s("s"), total("total"), h("h");
    s(t, x) = scan(plus, t, z(t, x));
    scheduled(Algorithm({s}, {z}));
    total() = sum({t, x}, z(t, x));
    scheduled(Algorithm({total}, {z}));
    recurrence(t, {{h(t, x), cast(f32, 0)}}, [&](const Self& self) -> Tuple { return {self[0](t - 1, x) * 0.5f + z(t, x)}; });
    scheduled(Algorithm({h}, {z}));
}

}  // namespace
}  // namespace tessera
