#include <gtest/gtest.h>
#include <tessera/gradcheck.h>
#include <tessera/tessera.h>

namespace tessera {
namespace {

const Target interpreted = parse_target("interpreter");

struct Layer {
    Dim b{"b"}, i{"i"}, h{"h"}, o{"o"};
    Input x{"x", f32, {b, i}}, W1{"W1", f32, {i, h}}, W2{"W2", f32, {h, o}};
    Func hidden{"hidden"}, out{"out"}, loss{"loss"};
    Layer() {
        hidden(b, h) = tanh(sum({i}, x(b, i) * W1(i, h)));
        out(b, o) = sum({h}, hidden(b, h) * W2(h, o));
        loss() = logsumexp({b, o}, out(b, o));
    }
};

TEST(GradCheck, SinglePrecisionDefinitionsAreCheckedInDouble) {
    Layer l;
    const GradCheck check = gradcheck(l.loss, {l.x, l.W1, l.W2});
    EXPECT_TRUE(check.agrees()) << check.text();
    ASSERT_EQ(check.rows.size(), 6u);
    EXPECT_EQ(check.not_smooth, 0);
    for (const GradCheckRow& r : check.rows) EXPECT_NE(r.left, 0) << r.what;
}

TEST(GradCheck, CompiledCodeIsCheckedToo) {
    Layer l;
    Dim t("t"), r("r", 3);
    Func blurred("blurred"), state("state"), end("end");
    blurred(l.b, l.o) = sum({r}, mirror(l.out)(l.b, l.o + r - 1)) * max({l.h}, l.hidden(l.b, l.h));
    end() = sum({l.b, l.o}, exp(blurred(l.b, l.o)) * blurred(l.b, l.o));
    for (const char* target : {"interpreter", "host"}) {
        const GradCheck check = gradcheck(end, {l.x, l.W1, l.W2}, {.points = 1, .target = parse_target(target)});
        EXPECT_TRUE(check.agrees()) << target << "\n" << check.text();
    }
}

TEST(GradCheck, ShapesAreNotSquare) {
    // A gradient with exchanged dims fits a square matrix only.
    Dim i("i"), j("j");
    const Input a("a", f64, {i, j});
    Func y("y"), total("total");
    y(i, j) = sin(a(i, j));
    const Func passed = custom_vjp("passed", y, {a}, [&](const Func& given) -> std::vector<Func> {
        Func g("g");
        g(i, j) = given(i, j) * cos(a(i, j));
        return {g};
    });
    total() = sum({i, j}, passed(i, j));
    EXPECT_TRUE(gradcheck(total, {a}).agrees());
    EXPECT_TRUE(gradcheck(total, {a}, {.extents = {{"i", 1}, {"j", 6}}}).agrees());
}

TEST(GradCheck, TheFirstWrongDefinitionIsNamed) {
    Dim i("i"), k("k");
    const Input a("a", f32, {i, k});
    Func first("first"), value("value"), after("after"), total("total");
    first(i, k) = a(i, k) * a(i, k) + 1.0f;
    value(i) = sum({k}, log(first(i, k)));
    // The rule has the wrong sign.
    const Func wrong = custom_vjp("wrong", value, {first}, [&](const Func& given) -> std::vector<Func> {
        Func g("g");
        g(i, k) = -given(i) / first(i, k);
        return {g};
    });
    after(i) = tanh(wrong(i)) * 2.0f;
    total() = sum({i}, after(i) * after(i));
    const GradCheck check = gradcheck(total, {a});
    EXPECT_FALSE(check.agrees());
    EXPECT_EQ(check.first, "wrong") << check.text();
    EXPECT_NE(check.text().find("error: the derivative of wrong disagrees: forward mode and finite differences"),
              std::string::npos)
        << check.text();
    EXPECT_TRUE(gradcheck(value, {a}).agrees());
}

TEST(GradCheck, FuncsAreVariablesToo) {
    Layer l;
    const GradCheck check = gradcheck(l.loss, {l.hidden, l.W2});
    EXPECT_TRUE(check.agrees()) << check.text();
}

TEST(GradCheck, KinksAreToldFromWrongDerivatives) {
    Dim i("i");
    const Input a("a", f64, {i});
    Func y("y"), flat("flat");
    y() = sum({i}, relu(a(i)));
    // All points stand at the kink.
    const GradCheck at_kink = gradcheck(y, {a}, {.extents = {{"i", 4}}, .values = {{"a", Buffer<double>({4})}}, .points = 1});
    EXPECT_EQ(at_kink.not_smooth, 1);
    EXPECT_TRUE(at_kink.agrees());
    // A derivative that is zero by intention is seen by differences, and by nothing else.
    flat() = sum({i}, stop_gradient(a(i) * a(i)) * a(i));
    EXPECT_FALSE(gradcheck(flat, {a}).agrees());
    EXPECT_TRUE(gradcheck(flat, {a}, {.finite_differences = false}).agrees());
}

TEST(GradCheck, ConstructsOfTheLanguage) {
    Dim i("i"), t("t"), n("n");
    const Input a("a", f32, {i, t}), w("w", f32, {t}), h0("h0", f32, {i});
    const Input at = Input("at", i32, {t}).values_in(0, i.extent());
    Func state("state"), running("running"), placed("placed"), y("y");
    recurrence(t, {{state(i, t), h0(i)}}, [&](const Self& s) -> Tuple { return {sin(s[0](i, t - 1)) * w(t) + a(i, t)}; });
    running(i, t) = scan(plus, t, state(i, t) * w(t));
    placed(i) = scatter(plus, {to(i, at(t))}, {t}, w(t) * running(0, t));
    y(i) = placed(i) + prod({t}, running(i, t)) + mean({t}, exp(0.1f * state(i, t)));
    const GradCheck check = gradcheck(y, {a, w, h0}, {.low = -1, .high = 1});
    EXPECT_TRUE(check.agrees()) << check.text();
}

TEST(GradCheck, WhatHasNoDerivativeIsRefused) {
    Dim i("i");
    const Input a("a", f32, {i}), n("n", i32, {i});
    Func y("y");
    y(i) = a(i) * cast(f32, n(i));
    try {
        static_cast<void>(gradcheck(y, {n}));
        FAIL() << "an integer";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), E1002_not_differentiable);
    }
}

}  // namespace
}  // namespace tessera
