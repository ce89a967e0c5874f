#include <tessera/autodiff.h>
#include <tessera/compile.h>
#include <tessera/schedule_default.h>

#include "unit/schedule/tree_cases.h"

// Definitions that are computed in the steps of a recurrence, which computes most of them anyway.
namespace tessera::interpreter_test {
namespace {

constexpr std::int64_t steps = 9;

// Two states over t, up or down, and what a step computes beside them.
struct Steps {
    Dim t{"t", steps}, c{"c"};
    Input u{"u", f32, {t, c}};
    Func low{"low"}, high{"high"}, beside{"beside"}, out{"out"};
    explicit Steps(bool reverse) {
        const Expr before = index_expr(Index(reverse ? t + 1 : t - 1));
        recurrence(t, {{low(t, c), cast(f32, 1)}, {high(t, c), u(0, c)}},
                   [&](const Self& s) -> Tuple {
                       const Expr bent = exp(s[0](before, c) * 0.25f) + u(t, c);
                       return {bent / (bent + 1.0f), s[1](before, c) * bent};
                   },
                   {.reverse = reverse});
        const Expr bent = exp(low(before, c) * 0.25f) + u(t, c);
        beside(t, c) = Tuple{bent, bent / (bent + 1.0f) + high(before, c)};
        out(t, c) = high(t, c) - beside(t, c)[0] * beside(t, c)[1] + low(t, c);
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({out}, {u}); }
    [[nodiscard]] static Schedule schedule() {
        Schedule s;
        s.stage("out").root();
        s.stage("low.recurrence").root().serial("t").serial("c");
        s.stage("beside").root().fuse_with({"low.recurrence", "t"});
        return s;
    }
};

void expect_same_steps(const Steps& x, const Schedule& s) {
    for (const std::int64_t w : {1, 8, 13})
        expect_same(x.algorithm(), s, {{"u", filled<float>({steps, w}, ramp<float>(static_cast<size_t>(steps * w)))}},
                    dtype_of<float>, {steps, w});
}

TEST(JoinedSteps, StatesThatNothingReadsBefore) {
    for (const bool reverse : {false, true}) {
        const Steps x(reverse);
        const LoopTree tree = tree_of(x.algorithm(), Steps::schedule());
        EXPECT_FALSE(tree.bound.graph.find("beside"));
        EXPECT_EQ(tree.bound.graph.stages[*tree.bound.graph.find("low.recurrence")].dtypes.size(), 4u);
        expect_same_steps(x, Steps::schedule());
        // States that are stored once more are read as the states.
        Schedule copied = Steps::schedule();
        copied.stage("low").root();
        expect_same_steps(x, copied);
    }
}

// The derivative of a recurrence needs what a step computes dearly.
TEST(JoinedSteps, ByDefaultWhereTheStepHasTheValues) {
    const Dim t("t", 64), c("c", 32);
    const Input u("u", f32, {t, c}), v("v", f32, {c}), w("w", f32, {c});
    Func h("h"), loss("loss"), other("other"), both("both");
    recurrence(t, {{h(t, c), cast(f32, 0)}}, [&](const Self& s) -> Tuple {
        return {s[0](t - 1, c) / (1.0f + exp(u(t, c) * w(c) + s[0](t - 1, c) * v(c))) + u(t, c)};
    });
    loss() = sum({t, c}, h(t, c) * h(t, c));
    const ValueAndGrad g = value_and_grad(loss, {v, w});
    const Schedule s = default_schedule(Algorithm({g.value, g.gradients[0], g.gradients[1]}, {u, v, w}));
    ASSERT_TRUE(s.stages.count("d_loss/h/held")) << to_json(s);
    EXPECT_EQ(s.stages.at("d_loss/h/held").fuse_with, (FuseWith{"h.recurrence", "t"})) << to_json(s);
    // What costs more of its own is computed for all steps at once.
    other(t, c) = tanh(h(t - 1, c) * 3.0f);
    both(t, c) = other(t, c) + h(t, c) + other(t, 0);
    const Schedule apart = default_schedule(Algorithm({both}, {u, v, w}));
    EXPECT_TRUE(!apart.stages.count("other") || !apart.stages.at("other").fuse_with) << to_json(apart);
}

// A recurrence that follows another one over the same steps, up or down: its states are states of the first.
struct Following {
    Dim t{"t", steps}, c{"c"};
    Input u{"u", f32, {t, c}};
    Func first{"first"}, second{"second"}, out{"out"};
    explicit Following(bool reverse, bool own_point) {
        const Expr before = index_expr(Index(reverse ? t + 1 : t - 1));
        recurrence(t, {{first(t, c), cast(f32, 2)}}, [&](const Self& s) -> Tuple { return {s[0](before, c) * 0.5f + u(t, c)}; },
                   {.reverse = reverse});
        recurrence(t, {{second(t, c), u(0, c)}},
                   [&](const Self& s) -> Tuple {
                       return {s[0](before, c) * 0.25f + first(before, c) * u(t, c) + (own_point ? first(t, c) : u(t, c))};
                   },
                   {.reverse = reverse});
        out(t, c) = second(t, c) + second(before, c) * first(t, c);
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({out, first}, {u}); }
    [[nodiscard]] static Schedule schedule() {
        Schedule s;
        s.stage("out").root();
        s.stage("first").root();
        s.stage("first.recurrence").root().serial("t").serial("c");
        s.stage("second.recurrence").root().fuse_with({"first.recurrence", "t"});
        return s;
    }
};

TEST(JoinedSteps, RecurrencesThatFollowOneAnother) {
    for (const bool reverse : {false, true})
        for (const bool own_point : {false, true}) {
            const Following x(reverse, own_point);
            const LoopTree tree = tree_of(x.algorithm(), Following::schedule());
            EXPECT_FALSE(tree.bound.graph.find("second.recurrence"));
            EXPECT_EQ(tree.bound.graph.stages[*tree.bound.graph.find("first.recurrence")].dtypes.size(), 2u);
            const Algorithm one({x.out}, {x.u});
            const Buffer<float> u = filled<float>({steps, 13}, ramp<float>(steps * 13));
            expect_same(one, Following::schedule(), {{"u", u}}, dtype_of<float>, {steps, 13});
            std::vector<Buffer<float>> results;
            for (const Schedule& s : {Following::schedule(), default_schedule(x.algorithm()), Schedule()}) {
                const Buffer<float> first({steps, 13});
                results.emplace_back(std::vector<std::int64_t>{steps, 13});
                compile(x.algorithm(), s)({{"u", u}}, {{"out", results.back()}, {"first", first}});
                for (std::int64_t i = 0; i < u.size(); ++i) ASSERT_EQ(results.back().data()[i], results[0].data()[i]) << i;
            }
        }
}

// The tangent of a recurrence takes its steps with it.
TEST(JoinedSteps, ByDefaultWhereATangentFollows) {
    const Dim t("t", 64), c("c", 32);
    const Input a("a", f32, {t, c}), u("u", f32, {t, c}), va("va", f32, {t, c}), vu("vu", f32, {t, c});
    Func h("h");
    recurrence(t, {{h(t, c), cast(f32, 0)}}, [&](const Self& s) -> Tuple { return {a(t, c) * s[0](t - 1, c) + u(t, c)}; });
    const ValueAndTangent along = value_and_jvp(h, {{a, va}, {u, vu}});
    const Schedule s = default_schedule(Algorithm({along.value, along.tangent}, {a, u, va, vu}));
    ASSERT_TRUE(s.stages.count("d_h/a_u.recurrence")) << to_json(s);
    EXPECT_EQ(s.stages.at("d_h/a_u.recurrence").fuse_with, (FuseWith{"h.recurrence", "t"})) << to_json(s);
    // Alone with what reads it, a chain may run in strips.
    const Algorithm alone({along.tangent}, {a, u, va, vu});
    const Schedule strips = default_schedule(alone);
    EXPECT_FALSE(strips.stages.at("d_h/a_u.recurrence").fuse_with) << to_json(strips);
}

TEST(JoinedSteps, RecurrencesRefused) {
    const Dim t("t", steps), c("c");
    const Input u("u", f32, {t, c});
    Func first("first"), back("back"), begun("begun"), later("later");
    recurrence(t, {{first(t, c), cast(f32, 1)}}, [&](const Self& s) -> Tuple { return {s[0](t - 1, c) * 0.5f + u(t, c)}; });
    recurrence(t, {{back(t, c), cast(f32, 1)}}, [&](const Self& s) -> Tuple { return {s[0](t + 1, c) * first(t, c)}; },
               {.reverse = true});
    recurrence(t, {{begun(t, c), first(steps - 1, c)}}, [&](const Self& s) -> Tuple { return {s[0](t - 1, c) * u(t, c)}; });
    recurrence(t, {{later(t, c), cast(f32, 1)}},
               [&](const Self& s) -> Tuple { return {s[0](t - 1, c) * first(min(t + 1, steps - 1), c)}; });
    const auto refused = [&](const Func& f) {
        Schedule s;
        s.stage(f.name()).root();
        s.stage("first.recurrence").root().serial("t").serial("c");
        s.stage(f.name() + ".recurrence").root().fuse_with({"first.recurrence", "t"});
        return message_of(Algorithm({f}, {u}), s);
    };
    EXPECT_TRUE(mentions(refused(back), "back.recurrence and first.recurrence run over different steps")) << refused(back);
    EXPECT_TRUE(mentions(refused(begun), "begun.recurrence begins with")) << refused(begun);
    EXPECT_TRUE(mentions(refused(later), "reads a state of first.recurrence at another step than those before"))
        << refused(later);
}

TEST(JoinedSteps, Refused) {
    Steps x(false);
    Func late("late"), wide("wide"), sums("sums"), more("more"), early("early"), out("out");
    late(x.t, x.c) = exp(x.low(min(x.t + 1, steps - 1), x.c));
    wide(x.c, x.t) = exp(x.low(x.t, x.c));
    sums(x.t) = sum({x.c}, x.high(x.t, x.c));
    more(x.t, x.c) = exp(x.low(x.t, x.c)) + sums(x.t);
    early(x.t, x.c) = exp(x.low(x.t, x.c));
    out(x.t, x.c) = late(x.t, x.c) + wide(x.c, x.t) + more(x.t, x.c) + early(x.t - 1, x.c);
    const Algorithm a({out}, {x.u});
    const auto refused = [&](const char* stage, auto edit) {
        Schedule s;
        for (const char* name : {"out", "late", "wide", "more", "early", "sums", "sums.sum"}) s.stage(name).root();
        s.stage("low.recurrence").root().serial("t").serial("c");
        s.stage(stage).root().fuse_with({"low.recurrence", "t"});
        edit(s);
        return message_of(a, s);
    };
    const auto nothing = [](Schedule&) {};
    const std::string at = refused("late", nothing);
    EXPECT_TRUE(mentions(at, "reads a state of low.recurrence at another step than those before")) << at;
    const std::string dims = refused("wide", nothing);
    EXPECT_TRUE(mentions(dims, "wide and low.recurrence have different dims")) << dims;
    const std::string needs = refused("more", nothing);
    EXPECT_TRUE(mentions(needs, "more reads sums, which needs low.recurrence")) << needs;
    const std::string points = refused("early", nothing);
    EXPECT_TRUE(mentions(points, "early is needed at other points than the steps")) << points;
    const std::string loops = refused("late", [](Schedule& s) { s.stage("late").serial("t").serial("c"); });
    EXPECT_TRUE(mentions(loops, "late shares the steps of low.recurrence")) << loops;
    const std::string place = refused("late", [](Schedule& s) { s.stage("late").at("out", "t"); });
    EXPECT_TRUE(mentions(place, "late shares the steps of low.recurrence but is computed elsewhere")) << place;
}

}  // namespace
}  // namespace tessera::interpreter_test
