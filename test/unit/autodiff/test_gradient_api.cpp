#include "autodiff/activity.h"
#include "unit/autodiff/derivative_cases.h"

#include <cmath>

// The functions of autodiff.h.
namespace tessera::autodiff_test {
namespace {

using Matrix = std::vector<double>;

void expect_near(const Matrix& a, const Matrix& b, double tolerance = 1e-12) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance * std::max(1.0, std::abs(b[i]))) << i;
}

struct Mlp {
    Dim b{"b", 3}, i{"i"}, h{"h"}, o{"o"};
    Input x{"x", f64, {b, i}}, W1{"W1", f64, {i, h}}, b1{"b1", f64, {h}}, W2{"W2", f64, {h, o}}, target{"target", f64, {b, o}};
    Func hidden{"hidden"}, out{"out"}, loss{"loss"};
    std::map<std::string, std::int64_t> extents{{"b", 3}, {"i", 4}, {"h", 5}, {"o", 2}};

    Mlp() {
        hidden(b, h) = tanh(sum({i}, x(b, i) * W1(i, h)) + b1(h));
        out(b, o) = sum({h}, hidden(b, h) * W2(h, o));
        const Expr away = out(b, o) - target(b, o);
        loss() = sum({b, o}, away * away);
    }
};

TEST(GradientApi, ValueAndGradSharesTheForwardPart) {
    Mlp m;
    const ValueAndGrad g = value_and_grad(m.loss, {m.W1, m.b1, m.W2});
    check_derivative({.y = m.loss, .wrt = {m.x, m.W1, m.b1, m.W2}, .extents = m.extents});
    std::vector<Func> all{g.value};
    all.insert(all.end(), g.gradients.begin(), g.gradients.end());
    const Algorithm algorithm(all, arguments_of(all));
    int products = 0;
    for (const Func& f : algorithm.funcs())
        for (const Expr& v : f.state()->values)
            for_each_node({v}, [&](const Expr& n) { products += n->op == Op::reduce && n->args[0]->op == Op::mul; });
    EXPECT_EQ(products, 6) << algorithm.text();  // two forward; by W2, hidden and W1; the loss
    const Program p{.y = m.loss, .wrt = {m.W1}, .extents = m.extents};
    const Values values = random_values(p, all, 3);
    EXPECT_EQ(evaluated({g.value}, p, values), evaluated({m.loss}, p, values));
}

TEST(GradientApi, NothingIsMadeForWhatIsNotAskedFor) {
    Mlp m;
    const std::vector<Func> g = grad(m.loss, {m.W2});
    const Algorithm by_last(g, arguments_of(g));
    for (const Func& f : by_last.funcs()) EXPECT_EQ(f.name().find("d_loss/hidden"), std::string::npos) << f.name();
    // What is not reached gets an explicit zero.
    const Input other("other", f64, {m.i, m.h});
    const Func zero = grad(m.loss, {other})[0];
    ASSERT_EQ(zero.state()->values[0]->op, Op::constant);
    EXPECT_EQ(zero.dims().size(), 2u);
}

TEST(GradientApi, JacobiansBothWaysAgree) {
    Dim i("i"), j("j"), r("r", 3);
    const Input a("a", f64, {i}), w("w", f64, {i, j});
    Func y("y"), conv("conv"), diagonal("diagonal");
    y(j) = sin(sum({i}, w(i, j) * a(i) * a(i)));
    conv(i) = sum({r}, clamp(a)(i + r - 1) * cast(f64, r + 1)) * a(i);
    diagonal(i) = exp(a(i));
    const Program p{.y = y, .wrt = {a}, .extents = {{"i", 4}, {"j", 3}}};
    for (const Func& f : {y, conv, diagonal}) {
        SCOPED_TRACE(f.name());
        const Func back = jacrev(f, a), forward = jacfwd(f, a);
        ASSERT_EQ(back.rank(), 2u);
        Values values = random_values(p, {back, forward}, 4);
        for (const auto& [name, buffer] : random_values(p, {f}, 4)) values.emplace(name, buffer);
        const Program by_dims{.y = f, .wrt = {a}, .extents = {{"i", 4}, {"j", 3}, {"i_1", 4}, {"i_2", 4}}};
        const Matrix by_rows = evaluated({back}, by_dims, values)[0], by_columns = evaluated({forward}, by_dims, values)[0];
        expect_near(by_rows, by_columns);
        // Column k is the derivative along the unit vector k.
        for (std::int64_t k = 0; k < 4; ++k) {
            Func unit("unit");
            unit(i) = select(i == k, cast(f64, 1), cast(f64, 0));
            const Matrix column = evaluated({jvp(f, {{a, unit}})}, by_dims, values)[0];
            for (size_t row = 0; row < column.size(); ++row)
                EXPECT_NEAR(column[row], by_rows[row * 4 + static_cast<size_t>(k)], 1e-12);
        }
    }
}

TEST(GradientApi, HessianAndItsProductAgree) {
    Dim i("i"), j("j");
    const Input a("a", f64, {i}), v("v", f64, {i}), w("w", f64, {i, j});
    Func y("y");
    y() = sum({j}, tanh(sum({i}, w(i, j) * a(i)))) + prod({i}, a(i)) + logsumexp({i}, a(i) * a(i));
    const Func h = hessian(y, a), hv = hvp(y, {{a, v}})[0];
    const Func reverse_over_forward = grad(jvp(y, {{a, v}}), {a}, {.name = "back"})[0];
    const Program p{.y = y, .wrt = {a}, .extents = {{"i", 3}, {"j", 2}, {"i_1", 3}, {"i_2", 3}}};
    Values values = random_values(p, {h, hv}, 6);
    const Matrix H = evaluated({h}, p, values)[0], product = evaluated({hv}, p, values)[0],
                 other = evaluated({reverse_over_forward}, p, values)[0];
    const Buffer<double> direction(values.at("v"));
    for (size_t r = 0; r < 3; ++r) {
        double sum = 0;
        for (size_t c = 0; c < 3; ++c) {
            sum += H[3 * r + c] * direction.data()[c];
            EXPECT_NEAR(H[3 * r + c], H[3 * c + r], 1e-12);
        }
        EXPECT_NEAR(sum, product[r], 1e-12 * std::max(1.0, std::abs(sum)));
        EXPECT_NEAR(other[r], product[r], 1e-12 * std::max(1.0, std::abs(sum)));
    }
    // The gradient itself, differentiated once more against finite differences.
    check_derivative({.y = grad(y, {a})[0], .wrt = {a, w}, .extents = {{"i", 3}, {"j", 2}}});
}

// Along a direction, products of two factors are sums of their own, and what is read outside stays zero there.
TEST(GradientApi, DerivativesAlongATangentAreContractionsAgain) {
    Dim m("m"), n("n"), k("k"), r("r", 3);
    const Input A("A", f64, {m, k}), B("B", f64, {k, n}), u("u", f64, {m, k}), v("v", f64, {k, n}), w("w", f64, {r});
    Func C("C"), row("row");
    C(m, n) = sum({k}, A(m, k) * B(k, n));
    row(m, k) = sum({r}, constant(A, 0.0)(m, k + r - 1) * w(r));
    const Func along = jvp(C, {{A, u}, {B, v}}), moved = jvp(row, {{A, u}});
    EXPECT_NE(Algorithm({along}, arguments_of({along})).text().find("sum({k}, u(m, k) * B(k, n)) + sum({k}, v(k, n) * A(m, k))"),
              std::string::npos)
        << Algorithm({along}, arguments_of({along})).text();
    EXPECT_NE(Algorithm({moved}, arguments_of({moved})).text().find("constant(u, 0f64)(m, k + r - 1) * w(r)"), std::string::npos)
        << Algorithm({moved}, arguments_of({moved})).text();
    check_derivative({.y = C, .wrt = {A, B}, .extents = {{"m", 3}, {"n", 4}, {"k", 5}}});
    check_derivative({.y = row, .wrt = {A, w}, .extents = {{"m", 3}, {"k", 5}}});
}

TEST(GradientApi, ValuesShareTheirStagesWithTheTangent) {
    Dim i("i"), j("j");
    const Input a("a", f64, {i, j}), v("v", f64, {i, j});
    const Func y = ops::softmax("y", a, {j});
    const ValueAndTangent both = value_and_jvp(y, {{a, v}});
    const Algorithm together({both.value, both.tangent}, arguments_of({both.value, both.tangent}));
    std::int64_t exponentials = 0;
    for (const Func& f : together.funcs())
        for (const Expr& e : f.state()->values) for_each_node({e}, [&](const Expr& n) { exponentials += n->op == Op::exp; });
    EXPECT_EQ(exponentials, 1) << together.text();
    const Program p{.y = y, .wrt = {a}, .extents = {{"i", 3}, {"j", 4}}};
    const Values values = random_values(p, {y, both.tangent}, 2);
    const Func alone = jvp(y, {{a, v}});
    EXPECT_EQ(evaluated({y}, p, values)[0], evaluated({both.value}, p, values)[0]);
    EXPECT_EQ(evaluated({alone}, p, values)[0], evaluated({both.tangent}, p, values)[0]);
}

// What the products of several arguments have in common is made once, so they stand in one algorithm.
TEST(GradientApi, HessianProductsOfSeveralArgumentsShareTheirParts) {
    Dim i("i"), j("j");
    const Input a("a", f64, {i, j}), b("b", f64, {j}), u("u", f64, {i, j}), v("v", f64, {j});
    Func h("h"), loss("loss");
    h(i) = tanh(sum({j}, a(i, j) * b(j)));
    loss() = sum({i}, h(i) * h(i));
    const std::vector<Func> both = hvp(loss, {{a, u}, {b, v}});
    const Algorithm together(both, arguments_of(both));
    // The same by the gradient of the derivative along the direction.
    std::vector<Func> back = grad(jvp(loss, {{a, u}, {b, v}}), {a, b}, {.name = "back"});
    const Program p{.y = both[0], .wrt = {a}, .extents = {{"i", 3}, {"j", 2}}};
    const Values values = random_values(p, {both[0], both[1], back[0], back[1]}, 3);
    const auto forward = evaluated(both, p, values), reverse = evaluated(back, p, values);
    for (size_t k = 0; k < 2; ++k)
        for (size_t e = 0; e < forward[k].size(); ++e) EXPECT_NEAR(forward[k][e], reverse[k][e], 1e-12);
}

TEST(GradientApi, PerExampleGradientsAddUpToTheWhole) {
    Mlp m;
    Func each("each");
    const Expr away = m.out(m.b, m.o) - m.target(m.b, m.o);
    each(m.b) = sum({m.o}, away * away);
    const std::vector<Func> all = grad(each, {m.W1, m.x}, {.per = {m.b}});
    ASSERT_EQ(all[0].rank(), 3u);
    ASSERT_EQ(all[1].rank(), 2u);  // x has b: the diagonal
    Func summed("summed");
    summed(m.i, m.h) = sum({m.b}, all[0](m.b, m.i, m.h));
    const Program p{.y = m.loss, .wrt = {m.W1}, .extents = m.extents};
    const std::vector<Func> whole = grad(m.loss, {m.W1, m.x});
    const Values values = random_values(p, {summed, all[1], whole[0], whole[1]}, 8);
    expect_near(evaluated({summed}, p, values)[0], evaluated({whole[0]}, p, values)[0]);
    expect_near(evaluated({all[1]}, p, values)[0], evaluated({whole[1]}, p, values)[0]);
}

TEST(GradientApi, DerivativesInsideDefinitions) {
    // u(x) of a small network, its second derivative by x, and the gradient of a residual by the weights.
    Dim n("n"), k("k");
    const Input x("x", f64, {n}), w("w", f64, {k}), c("c", f64, {k});
    Func u("u"), residual("residual");
    u(n) = sum({k}, c(k) * tanh(w(k) * x(n)));
    const Func du = jvp(u, {{x, 1}}), ddu = jvp(du, {{x, 1}});
    residual() = sum({n}, (ddu(n) + u(n)) * (ddu(n) + u(n)));
    check_derivative({.y = residual, .wrt = {w, c, x}, .extents = {{"n", 4}, {"k", 3}}});
    // A gradient penalty.
    Func score("score"), penalty("penalty");
    score(n) = sum({k}, tanh(w(k) * x(n)) * c(k));
    const Func slope = grad(score, {x}, {.per = {n}})[0];
    penalty() = sum({n}, (abs(slope(n)) - 1.0) * (abs(slope(n)) - 1.0));
    check_derivative({.y = penalty, .wrt = {w, c}, .extents = {{"n", 4}, {"k", 3}}});
}

TEST(GradientApi, AFuncThatIsCutIsIndependent) {
    Mlp m;
    const Func by_hidden = grad(m.loss, {m.hidden})[0];
    const Program p{.y = m.loss, .wrt = {m.x}, .extents = m.extents};
    const Values values = random_values(p, {by_hidden, m.loss}, 2);
    Func reference("reference");
    const Expr away = m.out(m.b, m.o) - m.target(m.b, m.o);
    Func twice("twice");
    twice(m.b, m.o) = 2.0 * away;
    reference(m.b, m.h) = sum({m.o}, twice(m.b, m.o) * m.W2(m.h, m.o));
    expect_near(evaluated({by_hidden}, p, values)[0], evaluated({reference}, p, values)[0]);
}

TEST(GradientApi, LinearizeAndTranspose) {
    Mlp m;
    const Linearized l = linearize(m.out, {m.W1});
    const Input w("w", f64, {m.b, m.o});
    const Func back = transpose(l.tangent, {l.directions[0]}, w)[0];
    const Func reference = vjp({{m.out, w}}, {m.W1}, {.name = "other"})[0];
    const Program p{.y = m.out, .wrt = {m.W1}, .extents = m.extents};
    Values values = random_values(p, {back, reference, l.tangent}, 2);
    expect_near(evaluated({back}, p, values)[0], evaluated({reference}, p, values)[0]);
    EXPECT_THROW(static_cast<void>(transpose(m.loss, {m.W2})), Error);
}

TEST(GradientApi, AlgorithmsKeepTheirOutputNames) {
    Mlp m;
    const Algorithm value({m.loss}, {m.x, m.W1, m.b1, m.W2, m.target});
    const Algorithm both = value_and_grad(value, {"W1", "W2"});
    ASSERT_EQ(both.outputs().size(), 3u);
    EXPECT_EQ(both.outputs()[0].name(), "loss");
    EXPECT_EQ(both.outputs()[1].name(), "d_W1");
    EXPECT_EQ(both.outputs()[2].name(), "d_W2");
    EXPECT_EQ(parse_algorithm(both.text()).text(), both.text());
    EXPECT_EQ(parse_algorithm(both.text()).hash(), both.hash());
}

TEST(GradientApi, ForwardAndBackwardAlgorithms) {
    Mlp m;
    Dim t("t");
    Func state("state"), end("end");
    const Input s0("s0", f64, {m.o}), gain("gain", f64, {t, m.o});
    recurrence(t, {{state(t, m.o), s0(m.o) + m.out(0, m.o)}},
               [&](const Self& s) -> Tuple { return {sin(s[0](t - 1, m.o) * gain(t, m.o))}; });
    end(m.o) = state(t.extent() - 1, m.o) * m.out(1, m.o);
    const Algorithm algorithm({end}, {m.x, m.W1, m.b1, m.W2, s0, gain});
    const std::vector<std::string> wrt{"W1", "s0", "gain"};
    std::vector<std::vector<double>> reference;
    for (const SavePolicy::Kind kind : {SavePolicy::Kind::save, SavePolicy::Kind::recompute, SavePolicy::Kind::automatic}) {
        const ForwardBackward pair = vjp(algorithm, {.wrt = wrt, .save = {.kind = kind}});
        if (kind == SavePolicy::Kind::recompute)
            EXPECT_TRUE(pair.saved.empty());
        else
            EXPECT_FALSE(pair.saved.empty());
        std::map<std::string, std::int64_t> extents = m.extents;
        extents["t"] = 4;
        const Program p{.y = end, .wrt = {}, .extents = extents};
        Values values = random_values(p, {end}, 5);
        const auto forward = evaluated(pair.forward.outputs(), p, values);
        for (size_t i = 0; i < pair.saved.size(); ++i) {
            bool found = false;
            for (size_t o = 0; o < forward.size(); ++o) {
                if (pair.forward.outputs()[o].name() != pair.saved[i].name()) continue;
                found = true;
                std::vector<std::int64_t> shape;
                for (const Dim& d : pair.saved[i].dims()) shape.push_back(extents.at(d.name()));
                const Buffer<double> buffer(shape);
                std::copy(forward[o].begin(), forward[o].end(), buffer.data());
                values[pair.saved[i].name()] = buffer.any();
            }
            EXPECT_TRUE(found) << pair.saved[i].name();
        }
        const Buffer<double> given({2});
        given.fill(0.75);
        values["d_end"] = given.any();
        interpreter::Inputs inputs;
        interpreter::Outputs outputs;
        std::vector<Buffer<double>> results;
        for (const Argument& a : pair.backward.arguments()) inputs[a.state()->name] = values.at(a.state()->name);
        for (const Func& f : pair.backward.outputs()) {
            std::vector<std::int64_t> shape;
            for (const Dim& d : f.dims()) shape.push_back(extents.at(d.name()));
            results.emplace_back(shape);
            outputs[f.name()] = results.back();
        }
        interpreter::evaluate(pair.backward, inputs, outputs);
        std::vector<std::vector<double>> got;
        for (const Buffer<double>& b : results) got.emplace_back(b.data(), b.data() + b.size());
        if (reference.empty()) reference = got;
        EXPECT_EQ(got, reference);
    }
    const ForwardBackward narrow = vjp(algorithm, {.wrt = wrt, .save = {.as = bf16}});
    for (const Input& s : narrow.saved) EXPECT_EQ(s.dtype(), bf16) << s.name();
}

TEST(GradientApi, ErrorsNameTheWay) {
    Dim i("i");
    const Input a("a", f64, {i}), n("n", i32, {i});
    Func h("h"), loss("loss"), count("count");
    h(i) = floor(a(i) * 2.0);
    loss() = sum({i}, h(i));
    count() = sum({i}, n(i));
    const auto message = [](const auto& f) -> std::string {
        try {
            f();
        } catch (const Error& e) {
            return e.what();
        }
        return "nothing was thrown";
    };
    const std::string missing = message([&] { static_cast<void>(grad(loss, {a})); });
    EXPECT_NE(missing.find("E1001"), std::string::npos) << missing;
    EXPECT_NE(missing.find("floor in the definition of h has no derivative"), std::string::npos) << missing;
    EXPECT_NE(missing.find("a -> h"), std::string::npos) << missing;
    EXPECT_NE(missing.find("-> loss"), std::string::npos) << missing;
    EXPECT_NE(message([&] { static_cast<void>(grad(count, {a})); }).find("E1002"), std::string::npos);
    EXPECT_NE(message([&] { static_cast<void>(grad(loss, {n})); }).find("E1002"), std::string::npos);
    EXPECT_NE(message([&] { static_cast<void>(grad(h, {a})); }).find("E1003"), std::string::npos);
    const Input wrong("wrong", f64, {Dim("q", 3)});
    EXPECT_NE(message([&] { static_cast<void>(vjp({{h, wrong}}, {a})); }).find("E1003"), std::string::npos);
    EXPECT_NE(message([&] { static_cast<void>(value_and_grad(Algorithm({loss}, {a}), {"b"})); }).find("E0307"),
              std::string::npos);
}

}  // namespace
}  // namespace tessera::autodiff_test
