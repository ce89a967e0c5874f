#include "autodiff/graph_rewrite.h"
#include "unit/autodiff/derivative_cases.h"

#include <cmath>

// Reductions, scans, scatters and recurrences of every monoid.
namespace tessera::autodiff_test {
namespace {

void check_all(const Program& p) {
    check_derivative(p);
    check_against_scatter(p);
}

TEST(ReductionDerivatives, SumsAndMeans) {
    Dim i("i"), j("j"), k("k");
    const Input a("a", f64, {i, k}), b("b", f64, {k, j});
    Func c("c"), m("m"), part("part"), nested("nested");
    c(i, j) = sum({k}, a(i, k) * b(k, j));
    m(i) = mean({k}, exp(a(i, k))) * mean({k}, a(i, k), where(k > 0));
    part(i) = sum({k}, a(i, k) * a(i, k), where(a(i, k) > 0));
    nested() = sum({i}, tanh(sum({k}, a(i, k))) * sum({k, j}, a(i, k) * b(k, j)));
    for (const auto& [I, K, J] : {std::tuple{3, 4, 5}, {1, 1, 1}, {2, 7, 3}}) {
        const std::map<std::string, std::int64_t> extents{{"i", I}, {"j", J}, {"k", K}};
        check_all({.y = c, .wrt = {a, b}, .extents = extents});
        if (K > 1) check_all({.y = m, .wrt = {a}, .extents = extents});
        check_all({.y = part, .wrt = {a}, .extents = extents});
        check_all({.y = nested, .wrt = {a, b}, .extents = extents});
    }
}

TEST(ReductionDerivatives, SumsOverNothing) {
    Dim i("i"), k("k");
    const Input a("a", f64, {i, k}), s("s", f64, {i});
    Func y("y");
    y(i) = sum({k}, a(i, k)) * s(i) + s(i);
    check_all({.y = y, .wrt = {a, s}, .extents = {{"i", 3}, {"k", 0}}});
    check_all({.y = y, .wrt = {a, s}, .extents = {{"i", 0}, {"k", 3}}});
}

TEST(ReductionDerivatives, Products) {
    Dim i("i"), k("k"), q("q");
    const Input a("a", f64, {i, k});
    Func p("p"), both("both");
    p(i) = prod({k}, a(i, k));
    both() = prod({i, k}, a(i, k) + 2.5);
    check_all({.y = p, .wrt = {a}, .extents = {{"i", 3}, {"k", 5}}});
    check_all({.y = both, .wrt = {a}, .extents = {{"i", 3}, {"k", 2}}});
    // One zero, two zeros.
    check_all({.y = p, .wrt = {a}, .extents = {{"i", 3}, {"k", 4}}, .floats = {{"a", {1, 0, 2, 3, 0, 2, 0, -1, 4, 1, 2, 3}}}});
}

TEST(ReductionDerivatives, LargestAndSmallest) {
    Dim i("i"), k("k"), r("r", 3), o("o", 4);
    const Input a("a", f64, {i, k}), line("line", f64, {Dim("n", 9)});
    Func largest("largest"), smallest("smallest"), pool("pool"), sharp("sharp");
    largest(i) = max({k}, a(i, k) * a(i, k));
    smallest() = min({i, k}, a(i, k), where(k != 1));
    pool(o) = max({r}, line(2 * o + r));
    sharp(i) = a(i, 0) * max({k}, a(i, k)) - exp(min({k}, a(i, k)));
    check_all({.y = largest, .wrt = {a}, .extents = {{"i", 4}, {"k", 6}}});
    check_all({.y = smallest, .wrt = {a}, .extents = {{"i", 4}, {"k", 6}}});
    check_all({.y = pool, .wrt = {line}});
    check_all({.y = sharp, .wrt = {a}, .extents = {{"i", 4}, {"k", 6}}});
}

TEST(ReductionDerivatives, LogsumexpSoftmaxAndNorms) {
    Dim i("i"), k("k");
    const Input a("a", f64, {i, k}), g("g", f64, {k}), b("b", f64, {k});
    Func l("l");
    l(i) = logsumexp({k}, a(i, k) * 3.0);
    const std::map<std::string, std::int64_t> extents{{"i", 3}, {"k", 5}};
    check_all({.y = l, .wrt = {a}, .extents = extents});
    check_all({.y = ops::softmax("s", a, k), .wrt = {a}, .extents = extents});
    check_all({.y = ops::log_softmax("s", a, k), .wrt = {a}, .extents = extents});
    check_all({.y = ops::layer_norm("n", a, {k}, g, b), .wrt = {a, g, b}, .extents = extents});
    check_all({.y = ops::rms_norm("n", a, {k}, g), .wrt = {a, g}, .extents = extents});
    check_all({.y = ops::variance("v", a, {k}), .wrt = {a}, .extents = extents});
}

TEST(ReductionDerivatives, Attention) {
    Dim q("q"), k("k"), d("d"), e("e");
    const Input query("query", f64, {q, d}), key("key", f64, {k, d}), value("value", f64, {k, e});
    const std::map<std::string, std::int64_t> extents{{"q", 4}, {"k", 5}, {"d", 3}, {"e", 2}};
    check_all({.y = ops::attention("attention", query, key, value), .wrt = {query, key, value}, .extents = extents});
    check_all(
        {.y = ops::attention("attention", query, key, value, {.causal = true}), .wrt = {query, key, value}, .extents = extents});
}

const Monoid matrices() {
    // Products of 2 x 2 matrices: associative, not commutative.
    return monoid(
        "matrix2",
        [](const std::vector<DType>& t) {
            return Tuple{constant(t[0], 1.0), constant(t[1], 0.0), constant(t[2], 0.0), constant(t[3], 1.0)};
        },
        [](const Tuple& a, const Tuple& b) {
            return Tuple{a[0] * b[0] + a[1] * b[2], a[0] * b[1] + a[1] * b[3], a[2] * b[0] + a[3] * b[2],
                         a[2] * b[1] + a[3] * b[3]};
        },
        {.commutative = false, .associative = true});
}
const Monoid affine_maps() {
    // x -> a x + b, the left one first.
    return monoid(
        "affine",
        [](const std::vector<DType>& t) {
            return Tuple{constant(t[0], 1.0), constant(t[1], 0.0)};
        },
        [](const Tuple& l, const Tuple& r) {
            return Tuple{l[0] * r[0], l[1] * r[0] + r[1]};
        },
        {.commutative = false, .associative = true});
}

TEST(ReductionDerivatives, MonoidsOfTheUser) {
    Dim i("i"), k("k"), j("j", 2);
    const Input a("a", f64, {i, k}), b("b", f64, {k});
    Func product("product"), chain("chain"), over_two("over_two");
    const Tuple m = reduce(matrices(), {k}, {a(i, k), b(k), a(i, k) * b(k), sin(a(i, k))});
    product(i) = m[0] * m[3] + m[1] - m[2];
    const Tuple c = reduce(affine_maps(), {k}, {a(i, k), b(k)}, where(k != 1));
    chain(i) = c[0] + 3.0 * c[1];
    const Tuple o = reduce(affine_maps(), {i, k}, {a(i, k), b(k)});
    over_two() = o[0] * o[1];
    const std::map<std::string, std::int64_t> extents{{"i", 3}, {"k", 4}};
    check_all({.y = product, .wrt = {a, b}, .extents = extents});
    check_all({.y = chain, .wrt = {a, b}, .extents = extents});
    check_all({.y = over_two, .wrt = {a, b}, .extents = extents});
}

TEST(ReductionDerivatives, Scans) {
    Dim i("i"), t("t");
    const Input a("a", f64, {i, t}), b("b", f64, {t});
    for (const bool exclusive : {false, true})
        for (const bool reverse : {false, true}) {
            SCOPED_TRACE(std::to_string(exclusive) + std::to_string(reverse));
            const ScanOptions options{.exclusive = exclusive, .reverse = reverse};
            Func cumsum("cumsum"), largest("largest"), products("products"), maps("maps");
            cumsum(i, t) = scan(plus, t, a(i, t) * a(i, t), options) * b(t);
            products(i, t) = scan(times, t, a(i, t), options);
            const Tuple m = scan(affine_maps(), t, {a(i, t), b(t)}, options);
            maps(i, t) = m[1] + m[0] * m[0];
            const std::map<std::string, std::int64_t> extents{{"i", 2}, {"t", 5}};
            check_all({.y = cumsum, .wrt = {a, b}, .extents = extents});
            check_all({.y = products, .wrt = {a}, .extents = extents});
            check_all({.y = maps, .wrt = {a, b}, .extents = extents});
            if (exclusive) continue;
            largest(i, t) = scan(maximum, t, a(i, t), options);
            check_all({.y = largest, .wrt = {a}, .extents = extents});
        }
}

TEST(ReductionDerivatives, Scatters) {
    Dim v("v"), i("i"), j("j");
    const Input x("x", f64, {i, j}), init("init", f64, {v, j}), at("at", i32, {i});
    const std::map<std::string, std::int64_t> extents{{"v", 4}, {"i", 6}, {"j", 2}};
    const std::map<std::string, std::vector<std::int64_t>> places{{"at", {3, 1, 3, 9, -2, 1}}};
    Func added("added"), assigned("assigned"), largest("largest"), plain("plain");
    added(v, j) = scatter(plus, {to(v, at(i))}, {i}, x(i, j) * x(i, j), {.init = {init(v, j)}});
    assigned(v, j) = scatter(last, {to(v, at(i))}, {i}, exp(x(i, j)), {.init = {init(v, j) * init(v, j)}});
    largest(v, j) = scatter(maximum, {to(v, at(i))}, {i}, x(i, j), {.init = {init(v, j)}});
    plain(v, j) = scatter(plus, {to(v, at(i) + 1)}, {i}, x(i, j));
    check_all({.y = added, .wrt = {x, init}, .extents = extents, .integers = places});
    check_all({.y = assigned, .wrt = {x, init}, .extents = extents, .integers = places});
    check_all({.y = largest, .wrt = {x, init}, .extents = extents, .integers = places});
    check_all({.y = plain, .wrt = {x}, .extents = extents, .integers = places});
}

TEST(ReductionDerivatives, Recurrences) {
    Dim t("t"), i("i"), j("j");
    const Input a("a", f64, {t, i}), b("b", f64, {t, i}), h0("h0", f64, {i}), w("w", f64, {i, j});
    for (const bool reverse : {false, true}) {
        const std::int64_t back = reverse ? 1 : -1;
        Func linear("linear"), second("second");
        recurrence(t, {{linear(t, i), h0(i)}}, [&](const Self& s) -> Tuple { return {a(t, i) * s[0](t + back, i) + b(t, i)}; },
                   {.reverse = reverse});
        check_all({.y = linear, .wrt = {a, b, h0}, .extents = {{"t", 5}, {"i", 2}}});
        recurrence(t, {{second(t, i), h0(i) * 0.5}},
                   [&](const Self& s) -> Tuple { return {sin(s[0](t + back, i)) * a(t, i) - s[0](t + 2 * back, i) * b(t, i)}; },
                   {.reverse = reverse});
        check_all({.y = second, .wrt = {a, b, h0}, .extents = {{"t", 5}, {"i", 2}}});
        check_all({.y = second, .wrt = {a, b, h0}, .extents = {{"t", 1}, {"i", 2}}});
    }
    // A recurrent network: a product of a matrix and the state, and two states.
    Func h("h"), c("c"), out("out");
    Dim k("k", 3), l("l", 3);
    const Input W("W", f64, {k, l}), x("x", f64, {t, k}), c0("c0", f64, {k});
    recurrence(t, {{h(t, k), cast(f64, 0)}, {c(t, k), c0(k)}}, [&](const Self& s) -> Tuple {
        const Expr z = sum({l}, W(k, l) * s[0](t - 1, l)) + x(t, k);
        const Expr next = 0.5 * s[1](t - 1, k) + tanh(z);
        return {tanh(next) * cos(z), next};
    });
    out(k) = h(t.extent() - 1, k) * c(2, k);
    check_all({.y = h, .wrt = {W, x, c0}, .extents = {{"t", 4}}});
    check_all({.y = out, .wrt = {W, x, c0}, .extents = {{"t", 4}}});
    // A stencil that runs in time.
    Func u("u");
    const Input u0("u0", f64, {i});
    recurrence(t, {{u(t, i), u0(i)}}, [&](const Self& s) -> Tuple {
        const Expr middle = s[0](t - 1, i);
        return {middle + 0.1 * (s[0](t - 1, max(i - 1, 0)) - 2.0 * middle + s[0](t - 1, min(i + 1, i.extent() - 1))) * middle};
    });
    check_all({.y = u, .wrt = {u0}, .extents = {{"t", 3}, {"i", 5}}});
}

// Steps that are no longer taken pass the derivative through: what comes in goes to the step that was the last.
TEST(ReductionDerivatives, RecurrencesThatStop) {
    Dim t("t", 12), b("b"), j("j", 3), i("i", 3);
    const Input a("a", f64, {b}), M("M", f64, {j, i}), start("start", f64, {b, j});
    for (const bool reverse : {false, true}) {
        const std::int64_t back = reverse ? 1 : -1;
        Func x("x"), end("end"), v("v");
        recurrence(t, {{x(t, b), a(b) * 3.0}},
                   [&](const Self& s) -> Tuple { return {0.5 * (s[0](t + back, b) + a(b) / s[0](t + back, b))}; },
                   {.reverse = reverse, .until = [&](const Self& s) { return abs(s[0](t, b) - s[0](t + back, b)) < 0.1; }});
        check_all({.y = x, .wrt = {a}, .extents = {{"b", 4}}, .floats = {{"a", {1, 2, 30, 400}}}});
        const Func last = at_end(x);
        end(b) = last(b) * last(b);
        check_all({.y = end, .wrt = {a}, .extents = {{"b", 4}}, .floats = {{"a", {1, 2, 30, 400}}}});
        recurrence(t, {{v(t, b, j), start(b, j)}},
                   [&](const Self& s) -> Tuple { return {sin(sum({i}, M(j, i) * s[0](t + back, b, i))) * 0.5 + start(b, j)}; },
                   {.reverse = reverse,
                    .until = [&](const Self& s) { return max({j}, abs(s[0](t, b, j) - s[0](t + back, b, j))) < 0.05; }});
        check_all({.y = at_end(v), .wrt = {M, start}, .extents = {{"b", 2}}, .low = -0.7, .high = 0.7});
    }
}

// What is dear in a step is computed for all steps at once, and not again while they run back.
TEST(ReductionDerivatives, StepsRunBackOnValuesThatAreHeld) {
    Dim t("t"), i("i");
    const Input a("a", f64, {t, i}), w("w", f64, {i}), h0("h0", f64, {i});
    Func h("h"), c("c"), loss("loss");
    recurrence(t, {{h(t, i), h0(i)}, {c(t, i), cast(f64, 1)}}, [&](const Self& s) -> Tuple {
        const Expr gate = 1.0 / (1.0 + exp(-(a(t, i) * w(i) + s[0](t - 1, i))));
        const Expr next = s[1](t - 1, i) * gate + tanh(s[0](t - 1, i) * w(i));
        return {tanh(next) * gate, next};
    });
    loss() = sum({t, i}, h(t, i) * h(t, i));
    check_all({.y = loss, .wrt = {a, w, h0}, .extents = {{"t", 5}, {"i", 2}}});
    check_all({.y = loss, .wrt = {w}, .extents = {{"t", 1}, {"i", 3}}});
    double inside = 0;
    bool held = false;
    for (const Func& f : reachable_funcs(grad(loss, {a, w, h0}))) {
        if (f.name() == "d_loss/h/held") {
            held = true;
            // The exponential and two tangents; the gate is one division away.
            EXPECT_EQ(f.components(), 3);
            for (const Expr& v : f.state()->values) EXPECT_NE(v->op, Op::div);
        }
        if (f.name() != "d_loss/h/held" && f.name() != "h" && f.name() != "c")
            for_each_node(definition_roots(*f.state()), [&](const Expr& n) { inside += n->op == Op::exp || n->op == Op::tanh; });
    }
    EXPECT_TRUE(held);
    EXPECT_EQ(inside, 0);
}

// What a step reads under a condition is not there at every step, so it is not held.
TEST(ReductionDerivatives, WhatAStepReadsUnderAConditionIsNotHeld) {
    Dim t("t", 5), i("i", 2), early("early", 3);
    const Input a("a", f64, {early, i}), h0("h0", f64, {i});
    Func h("h"), loss("loss");
    recurrence(t, {{h(t, i), h0(i)}}, [&](const Self& s) -> Tuple {
        return {select(t < 3, exp(sin(a(t, i)) * s[0](t - 1, i)), tanh(exp(s[0](t - 1, i))))};
    });
    loss() = sum({t, i}, h(t, i) * h(t, i));
    check_all({.y = loss, .wrt = {a, h0}});
}

}  // namespace
}  // namespace tessera::autodiff_test
