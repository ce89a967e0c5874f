#include "autodiff/activity.h"
#include "thrown.h"
#include "unit/autodiff/derivative_cases.h"

// Rules of the user: custom_vjp, custom_jvp.
namespace tessera::autodiff_test {
namespace {

struct Logistic {
    Dim i{"i"}, j{"j"};
    Input x{"x", f64, {i}}, w{"w", f64, {j, i}};
    Func z{"z"}, value{"value"};
    std::map<std::string, std::int64_t> extents{{"i", 4}, {"j", 3}};

    Logistic() {
        z(j) = sum({i}, w(j, i) * x(i));
        value(j) = 1.0 / (1.0 + exp(-z(j)));
    }
    // The derivative through the result: y (1 - y).
    Func by_vjp(const std::string& name = "y") {
        return custom_vjp(name, value, {z}, [this](const Func& g) -> std::vector<Func> {
            Func to_z("to_z");
            to_z(j) = g(j) * value(j) * (1.0 - value(j));
            return {to_z};
        });
    }
    Func by_jvp(const std::string& name = "y") {
        return custom_jvp(name, value, {z}, [this](const std::vector<Func>& t) {
            Func along("along");
            along(j) = t[0](j) * value(j) * (1.0 - value(j));
            return along;
        });
    }
};

TEST(CustomRules, BothModesFollowOneRule) {
    Logistic l;
    for (const Func& y : {l.by_vjp(), l.by_jvp()}) {
        Func loss("loss");
        loss(l.j) = y(l.j) * y(l.j);
        check_derivative({.y = loss, .wrt = {l.x, l.w}, .extents = l.extents});
    }
}

TEST(CustomRules, T12SecondOrderDifferentiatesTheRule) {
    Logistic l;
    for (const bool reverse : {true, false}) {
        const Func y = reverse ? l.by_vjp() : l.by_jvp();
        Func loss("loss");
        loss() = sum({l.j}, y(l.j) * cast(f64, l.j + 1));
        check_derivative({.y = grad(loss, {l.x})[0], .wrt = {l.x, l.w}, .extents = l.extents});
    }
}

// The gradient reads the value again, so that the rule is asked twice.
TEST(CustomRules, OneRuleInSeveralTransformsOfOneGraph) {
    Logistic l;
    for (const bool reverse : {true, false}) {
        const Func y = reverse ? l.by_vjp() : l.by_jvp();
        Func loss("loss");
        loss() = sum({l.j}, y(l.j) * y(l.j));
        check_derivative({.y = grad(loss, {l.x})[0], .wrt = {l.x, l.w}, .extents = l.extents});
    }
}

// The operand is split before it is differentiated: the rule follows it.
TEST(CustomRules, OperandsThatAreRewritten) {
    for (const bool reverse : {true, false}) {
        Logistic l;
        Func u("u"), value("value"), loss("loss");
        u(l.j) = 0.5 + 2.0 * sum({l.i}, l.w(l.j, l.i) * l.x(l.i));
        value(l.j) = u(l.j) * u(l.j) * u(l.j);
        const auto back = [&](const Func& g) -> std::vector<Func> {
            Func to_u("to_u");
            to_u(l.j) = 3.0 * g(l.j) * u(l.j) * u(l.j);
            return {to_u};
        };
        const auto along = [&](const std::vector<Func>& t) {
            Func tangent("tangent");
            tangent(l.j) = 3.0 * t[0](l.j) * u(l.j) * u(l.j);
            return tangent;
        };
        const Func y = reverse ? custom_vjp("y", value, {u}, back) : custom_jvp("y", value, {u}, along);
        loss() = sum({l.j}, y(l.j) * y(l.j));
        check_derivative({.y = loss, .wrt = {l.x, l.w}, .extents = l.extents});
        check_derivative({.y = grad(loss, {l.x})[0], .wrt = {l.x, l.w}, .extents = l.extents});
        Func third("third");
        third() = sum({l.i}, grad(loss, {l.x}, {.name = "first"})[0](l.i) * cast(f64, l.i + 1));
        check_derivative({.y = grad(third, {l.x})[0], .wrt = {l.x}, .extents = l.extents});
    }
}

// An operand that the value does not read, here the definition that the rule is about.
TEST(CustomRules, OperandsBesideTheValue) {
    Logistic l;
    Func shifted("shifted"), loss("loss");
    shifted(l.j) = l.z(l.j) * 2.0 + 1.0;
    const Func y = custom_vjp("y", l.value, {l.z, shifted}, [&](const Func& g) -> std::vector<Func> {
        Func to_z("to_z"), to_shifted("to_shifted");
        to_z(l.j) = g(l.j) * l.value(l.j) * (1.0 - l.value(l.j)) - 2.0 * g(l.j);
        to_shifted(l.j) = g(l.j);
        return {to_z, to_shifted};
    });
    loss(l.j) = y(l.j) * y(l.j);
    check_derivative({.y = loss, .wrt = {l.x, l.w}, .extents = l.extents});
}

TEST(CustomRules, TheRuleIsTakenInsteadOfTheDerivative) {
    Logistic l;
    const Func twice = custom_vjp("twice", l.value, {l.z}, [&](const Func& g) -> std::vector<Func> {
        Func to_z("to_z");
        to_z(l.j) = 2.0 * g(l.j);
        return {to_z};
    });
    Func loss("loss"), reference("reference");
    loss() = sum({l.j}, twice(l.j));
    reference() = sum({l.j}, 2.0 * l.z(l.j));
    const Program p{.y = loss, .wrt = {l.x}, .extents = l.extents};
    const auto g = grad(loss, {l.x}), r = grad(reference, {l.x});
    const Values values = random_values(p, {loss}, 1);
    EXPECT_EQ(evaluated(g, p, values), evaluated(r, p, values));
}

TEST(CustomRules, BadRulesAreRefused) {
    Logistic l;
    const auto with = [&](const std::vector<Wrt>& operands, ReverseRule rule) {
        Func loss("loss");
        const Func y = custom_vjp("y", l.value, operands, std::move(rule));
        loss() = sum({l.j}, y(l.j));
        return thrown([&] { static_cast<void>(grad(loss, {l.x, l.w})); });
    };
    const auto square = [&](const Func& g) -> std::vector<Func> {
        Func to_z("to_z");
        to_z(l.j) = g(l.j) * g(l.j);
        return {to_z};
    };
    // Captured: w is read, x alone is an operand.
    EXPECT_EQ(with({l.x}, [&](const Func&) -> std::vector<Func> { return {l.z}; }), E1004_custom_rule);
    EXPECT_EQ(with({l.z}, [&](const Func&) -> std::vector<Func> { return {}; }), E1004_custom_rule);
    EXPECT_EQ(with({l.x, l.w}, [&](const Func& g) -> std::vector<Func> { return {g, g}; }), E1004_custom_rule);
    // Not linear.
    EXPECT_EQ(with({l.z}, square), E1004_custom_rule);
    Func loss("loss");
    const Func y = custom_vjp("y", l.value, {l.z}, square);
    loss() = sum({l.j}, y(l.j));
    EXPECT_EQ(thrown([&] { static_cast<void>(jvp(loss, {{l.x, 1}})); }), E1004_custom_rule);
}

// The rules of y at every point of the Jacobian: the same as that of what they are the rules of.
TEST(CustomRules, JacobiansThroughRules) {
    Logistic l;
    Dim to("to", l.j.extent());
    Func plain("plain");
    plain(l.j) = 1.0 / (1.0 + exp(-l.z(l.j)));
    const Program p{.y = plain, .wrt = {}, .extents = l.extents};
    for (const Func& y : {l.by_vjp(), l.by_jvp()})
        for (const Input& x : {l.x, l.w}) {
            std::vector<Dim> dims;
            for (const Dim& d : x.dims()) dims.emplace_back(d.name() + "_to", d.extent());
            const std::vector<Func> all{jacrev(y, x, dims), jacfwd(y, x, dims), jacrev(plain, x, dims)};
            Program q = p;
            for (const Dim& d : x.dims())
                if (const auto e = p.extents.find(d.name()); e != p.extents.end()) q.extents[d.name() + "_to"] = e->second;
            std::vector<std::vector<double>> found;
            Values values;
            for (const Func& f : all) values.merge(random_values(q, {f}, 3));
            for (const Func& f : all) found.push_back(evaluated({f}, q, values)[0]);
            ASSERT_FALSE(found[2].empty());
            for (size_t e = 0; e < found[2].size(); ++e) {
                EXPECT_NEAR(found[0][e], found[2][e], 1e-12) << y.name() << " by " << x.name();
                EXPECT_NEAR(found[1][e], found[2][e], 1e-12) << y.name() << " by " << x.name();
            }
        }
}

// A gradient of every y(j), by what has j and by what is the same for all of them.
TEST(CustomRules, GradientsPerPoint) {
    Logistic l;
    const Input scale("scale", f64, {l.i});
    Func z("z"), value("value"), plain("plain");
    z(l.j) = sum({l.i}, l.w(l.j, l.i) * l.x(l.i) * scale(l.i));
    value(l.j) = z(l.j) * z(l.j);
    plain(l.j) = value(l.j) * cast(f64, l.j + 1);
    const auto back = [&](const Func& g) -> std::vector<Func> {
        Func to_w("to_w"), to_x("to_x"), to_scale("to_scale");
        to_w(l.j, l.i) = 2.0 * g(l.j) * z(l.j) * l.x(l.i) * scale(l.i);
        to_x(l.i) = sum({l.j}, 2.0 * g(l.j) * z(l.j) * l.w(l.j, l.i)) * scale(l.i);
        to_scale(l.i) = sum({l.j}, 2.0 * g(l.j) * z(l.j) * l.w(l.j, l.i)) * l.x(l.i);
        return {to_w, to_x, to_scale};
    };
    const auto along = [&](const std::vector<Func>& t) {
        Func moved("moved");
        moved(l.j) = 2.0 * z(l.j) *
                     sum({l.i}, t[0](l.j, l.i) * l.x(l.i) * scale(l.i) + l.w(l.j, l.i) * t[1](l.i) * scale(l.i) +
                                    l.w(l.j, l.i) * l.x(l.i) * t[2](l.i));
        return moved;
    };
    const std::vector<Wrt> by{l.w, l.x, scale};
    for (const Func& ruled : {custom_vjp("ruled", value, by, back), custom_jvp("ruled", value, by, along)}) {
        Func y("y");
        y(l.j) = ruled(l.j) * cast(f64, l.j + 1);
        const Program p{.y = y, .wrt = {}, .extents = l.extents};
        const Values values = random_values(p, {y}, 5);
        const std::vector<Func> found = grad(y, by, {.per = {l.j}}), wanted = grad(plain, by, {.per = {l.j}});
        for (size_t k = 0; k < by.size(); ++k) {
            const auto a = evaluated({found[k]}, p, values)[0], b = evaluated({wanted[k]}, p, values)[0];
            ASSERT_EQ(a.size(), 12u);
            ASSERT_EQ(b.size(), a.size());
            for (size_t e = 0; e < a.size(); ++e) EXPECT_NEAR(a[e], b[e], 1e-12) << "by argument " << k;
        }
    }
    const Func y = l.by_vjp();
    const Program p{.y = y, .wrt = {}, .extents = l.extents};
    const Values values = random_values(p, {y}, 5);
    const std::vector<Func> found = grad(y, {l.w, l.x}, {.per = {l.j}}), wanted = grad(l.value, {l.w, l.x}, {.per = {l.j}});
    for (size_t k = 0; k < 2; ++k) {
        const auto a = evaluated({found[k]}, p, values)[0], b = evaluated({wanted[k]}, p, values)[0];
        for (size_t e = 0; e < a.size(); ++e) EXPECT_NEAR(a[e], b[e], 1e-12);
    }
}

// A rule that gives a point what comes in at others.
TEST(CustomRules, RulesThatMixPointsHaveNoGradientPerPointByWhatHasIt) {
    Logistic l;
    Func each("each");
    const Func mixed = custom_vjp("mixed", l.value, {l.z}, [&](const Func& g) -> std::vector<Func> {
        Dim to("to", l.j.extent());
        Func to_z("to_z"), all("all");
        all() = sum({to}, g(to));
        to_z(l.j) = all() * l.z(l.j);
        return {to_z};
    });
    each(l.j) = mixed(l.j) * mixed(l.j);
    EXPECT_EQ(thrown([&] { static_cast<void>(grad(each, {l.w}, {.per = {l.j}})); }), E1003_derivative_shape);
    // The rule's Func is the same for all points.
    const Input weights("weights", f64, {l.j, l.i});
    Func total("total"), shared("shared");
    total(l.i) = sum({l.j}, l.w(l.j, l.i));
    const Func passed = custom_vjp("passed", total, {l.w}, [&](const Func& g) -> std::vector<Func> {
        Func to_w("to_w");
        to_w(l.j, l.i) = g(l.i);
        return {to_w};
    });
    shared(l.j) = sum({l.i}, passed(l.i) * weights(l.j, l.i));
    EXPECT_EQ(thrown([&] { static_cast<void>(grad(shared, {l.w}, {.per = {l.j}})); }), E1003_derivative_shape);
}

}  // namespace
}  // namespace tessera::autodiff_test
