#include <tessera/schedule.h>

#include "expr/index_text.h"
#include "schedule/loop_tree.h"
#include "unit/interpreter/interpreter_cases.h"

// Reads of inputs at cells that nobody needs are held at the edges; all others stay as they are written.
namespace tessera {
namespace {

using interpreter_test::elements;
using interpreter_test::evaluate;
using interpreter_test::filled;
using interpreter_test::ramp;

const Dim x("x");
const Input a("a", i32, {x});

void expect_same(const Algorithm& algorithm, const Schedule& schedule) {
    const LoopTree tree = build_loop_tree(bind(algorithm, schedule));
    for (const std::int64_t n : {1, 2, 7, 16, 33}) {
        const interpreter::Inputs inputs{{"a", filled<std::int32_t>({n}, ramp<std::int32_t>(static_cast<size_t>(n)))}};
        Buffer<std::int32_t> want({n}), got({n});
        const std::string name = algorithm.outputs()[0].name();
        evaluate(algorithm, inputs, {{name, want}});
        interpreter::execute(tree, inputs, {{name, got}});
        EXPECT_EQ(elements(got), elements(want)) << n;
    }
}

// The index of the first read of `a` in the stage.
std::string read_index(const BoundSchedule& bound, const std::string& stage) {
    std::string text;
    for_each_node(bound.graph.stages[*bound.graph.find(stage)].values, [&](const Expr& n) {
        if (n->op == Op::access && n->target().input && text.empty()) text = index_text(n->args[0]);
    });
    return text;
}

Schedule roots(std::initializer_list<const char*> names) {
    Schedule s;
    for (const char* name : names) s.stage(name).root();
    return s;
}

TEST(HeldReads, WhatAnInlinedMirrorHidesOfAPathCondition) {
    Func f("f"), g("g"), h("h");
    f(x) = a(x) * 2;
    g(x) = f(x - 1) + 1;
    h(x) = select(x > 0, mirror_interior(g)(x), 0);
    expect_same(Algorithm({h}, {a}), roots({"f", "h"}));
    Func h2("h2");
    h2(x) = select(x > 0, mirror(g)(x), 0);
    expect_same(Algorithm({h2}, {a}), roots({"f", "h2"}));
}

TEST(HeldReads, NoneOfACloneThatIsReadThroughABoundary) {
    Func f("f"), g("g");
    f(x) = a(x) * 2;
    g(x) = mirror(f)(x - 1) + f(x);
    Schedule s = roots({"f", "g"});
    s.clone("f.own", "f", {"g"}).root();
    expect_same(Algorithm({g}, {a}), s);
}

TEST(HeldReads, BehindARoundedTile) {
    Func f("f"), g("g");
    f(x) = a(x) * 2;
    g(x) = f(x) + 1;
    Schedule s = roots({"g"});
    s.stage("f").root().serial("x", 8, "xo").tail(Tail::round_up).vector("x");
    expect_same(Algorithm({g}, {a}), s);
    EXPECT_EQ(read_index(bind(Algorithm({g}, {a}), s), "f"), "min(x, x.extent - 1)");
}

TEST(HeldReads, OfTheProducersOfARoundedStage) {
    Func f("f"), g("g"), h("h");
    f(x) = a(x) * 2;
    g(x) = f(x) + 3;
    h(x) = g(x) - f(x);
    Schedule s = roots({"h", "f"});
    s.stage("g").root().serial("x", 8, "xo").tail(Tail::round_up).vector("x");
    expect_same(Algorithm({h}, {a}), s);
}

TEST(HeldReads, NoneThatIsProvedInside) {
    Func f("f"), g("g");
    f(x) = a(x) * 2;
    g(x) = select(x > 0, f(x - 1), f(x));
    Schedule s = roots({"f"});
    s.stage("g").root().serial("x", 8, "xo").vector("x");
    expect_same(Algorithm({g}, {a}), s);
    EXPECT_EQ(read_index(bind(Algorithm({g}, {a}), s), "f"), "x");
}

// An output is read at -1 as the algorithm means it, not at its edge.
TEST(HeldReads, NoneOfAStateThatIsAnOutputAndReadOutside) {
    const Dim t("t");
    const Input in("in", i32, {t, x});
    Func h("h"), g("g");
    recurrence(t, {{h(t, x), cast(i32, 7)}}, [&](const Self& s) -> Tuple { return {s[0](t - 1, x) + clamp(in)(t, x)}; });
    g(t, x) = h(t - 1, x - 1);
    const Algorithm algorithm({g, h}, {in});
    const interpreter::Inputs inputs{{"in", filled<std::int32_t>({4, 3}, ramp<std::int32_t>(12))}};
    Buffer<std::int32_t> want({4, 3}), got({4, 3}), states({4, 3});
    evaluate(algorithm, inputs, {{"g", want}, {"h", states}});
    interpreter::execute(build_loop_tree(bind(algorithm, roots({"g", "h", "h.recurrence"}))), inputs,
                         {{"g", got}, {"h", states}});
    EXPECT_EQ(elements(got), elements(want));
}

TEST(HeldReads, AtAnIndexOfASmallDtype) {
    const Dim v("v", 256);
    const Input at("at", u8, {x}), table("table", i32, {v});
    Func f("f"), g("g");
    f(x) = table(at(x)) + 1;
    g(x) = f(x) * 2;
    Schedule s = roots({"g"});
    s.stage("f").root().serial("x", 8, "xo").tail(Tail::round_up).vector("x");
    const Algorithm algorithm({g}, {at, table});
    const std::int64_t n = 11;
    std::vector<std::uint8_t> indices;
    for (int i = 0; i < n; ++i) indices.push_back(static_cast<std::uint8_t>(250 - 20 * i));
    const interpreter::Inputs inputs{{"at", filled<std::uint8_t>({n}, indices)},
                                     {"table", filled<std::int32_t>({256}, ramp<std::int32_t>(256))}};
    Buffer<std::int32_t> want({n}), got({n});
    evaluate(algorithm, inputs, {{"g", want}});
    interpreter::execute(build_loop_tree(bind(algorithm, s)), inputs, {{"g", got}});
    EXPECT_EQ(elements(got), elements(want));
}

}  // namespace
}  // namespace tessera
