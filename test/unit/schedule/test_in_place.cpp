#include "unit/schedule/tree_cases.h"

namespace tessera::interpreter_test {
namespace {

// A blocked sum whose blocks are added into the output, with an epilogue over it.
struct Blocked {
    Dim m{"m"}, n{"n"}, k{"k"};
    Input A{"A", i32, {m, k}}, B{"B", i32, {k, n}}, bias{"bias", i32, {n}};
    Func C{"C"};
    Blocked() { C(m, n) = max(sum({k}, A(m, k) * B(k, n)) + bias(n), 0); }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({C}, {A, B, bias}); }
    [[nodiscard]] static Schedule schedule() {
        Schedule s;
        s.stage("C").root().serial("m").serial("n", 8, "nt").vector("n");
        s.stage("C.sum")
            .root()
            .live_in("C")
            .parallel("n", 8, "nb")
            .serial("k/4", 0, "kb")
            .serial("m", 3, "mt")
            .serial("m")
            .vector("n");
        s.partial("C.part", "C.sum", {"k/4"}).at("C.sum", "mt").space(Space::register_).serial("k").unroll("m").vector("n");
        return s;
    }
};

TEST(InPlace, BlocksOfASumAddedIntoTheOutput) {
    const Algorithm a = Blocked().algorithm();
    expect_golden("matmul_in_place", tree_of(a, Blocked::schedule()));
    for (const auto& [m, n, k] : std::vector<std::array<std::int64_t, 3>>{{1, 1, 1}, {3, 8, 4}, {7, 19, 10}, {4, 5, 0}}) {
        const Inputs in{{"A", filled<std::int32_t>({m, k}, ramp<std::int32_t>(static_cast<size_t>(m * k)))},
                        {"B", filled<std::int32_t>({k, n}, ramp<std::int32_t>(static_cast<size_t>(k * n), 2))},
                        {"bias", filled<std::int32_t>({n}, ramp<std::int32_t>(static_cast<size_t>(n), 3))}};
        expect_same(a, Blocked::schedule(), in, dtype_of<std::int32_t>, {m, n});
    }
}

// Memory of a stage that is no output, shared by the one that it reads: allocated around both.
TEST(InPlace, InsideALoop) {
    const Dim y("y"), x("x");
    const Input in("in", i32, {y, x});
    Func t("t"), u("u"), out("out");
    t(y, x) = clamp(in)(y, x) * 3;
    u(y, x) = t(y, x) + 5;
    out(y, x) = u(y, x) + u(y + 1, x + 1);
    const Algorithm a({out}, {in});
    Schedule s;
    s.stage("out").root().serial("y", 2, "yo").serial("y").serial("x");
    s.stage("u").at("out", "yo").serial("y").serial("x", 4, "xo").serial("x");
    s.stage("t").at("out", "yo").live_in("u").serial("x").serial("y");
    for (const std::int64_t h : {1, 2, 5})
        expect_same(a, s, {{"in", filled<std::int32_t>({h, 6}, ramp<std::int32_t>(static_cast<size_t>(h * 6)))}},
                    dtype_of<std::int32_t>, {h, 6});
}

TEST(InPlace, Refused) {
    const Algorithm a = Blocked().algorithm();
    const auto refused = [&](auto edit) {
        Schedule s = Blocked::schedule();
        edit(s);
        return message_of(a, s);
    };
    const std::string shifted = refused([](Schedule& s) { s.stage("C").spec().loops->at(1).tail = Tail::shift_inwards; });
    EXPECT_TRUE(mentions(shifted, "cells would be replaced twice")) << shifted;
    const std::string rounded = refused([](Schedule& s) { s.stage("C.sum").spec().loops->at(0).tail = Tail::round_up; });
    EXPECT_TRUE(mentions(rounded, "the memory that it shares ends at the extent")) << rounded;
    const std::string place = refused([](Schedule& s) { s.stage("C.sum").at("C", "m"); });
    EXPECT_TRUE(mentions(place, "is not computed at the same loop")) << place;
    const std::string unknown = refused([](Schedule& s) { s.stage("C.sum").live_in("D"); });
    EXPECT_TRUE(mentions(unknown, "which is not computed")) << unknown;
    const std::string combined = refused([](Schedule& s) {
        s.stage("C.sum").spec().store.in.reset();
        s.stage("C.part").root().spec().loops.reset();
        s.stage("C.part").spec().store = {.in = "C.sum"};
    });
    EXPECT_TRUE(mentions(combined, "combines values of it")) << combined;
    const std::string space = refused([](Schedule& s) { s.stage("C.sum").space(Space::heap); });
    EXPECT_TRUE(mentions(space, "its storage is given as well")) << space;

    const Dim x("x");
    const Input in("in", i32, {x});
    Func t("t"), u("u"), out("out");
    t(x) = in(x) + 1;
    u(x) = clamp(t)(x + 1) + 2;
    out(x) = cast(f32, t(x)) + cast(f32, u(x));
    const auto with = [&](const char* stage, const char* consumer) {
        Schedule s;
        for (const char* name : {"t", "u", "out"}) s.stage(name).root().serial("x");
        s.stage(stage).live_in(consumer);
        return message_of(Algorithm({out}, {in}), s);
    };
    EXPECT_TRUE(mentions(with("t", "u"), "out reads it too")) << with("t", "u");
    EXPECT_TRUE(mentions(with("u", "out"), "one holds i32 and the other f32")) << with("u", "out");
    EXPECT_TRUE(mentions(with("u", "t"), "does not read it") || mentions(with("u", "t"), "out reads it too")) << with("u", "t");
}

}  // namespace
}  // namespace tessera::interpreter_test
