#include <tessera/compile.h>
#include <tessera/transform.h>

#include "expr/tensor_state.h"
#include "thrown.h"
#include "unit/autodiff/derivative_cases.h"

// Definitions over one more dim: every point is what the definition says of what stands there.
namespace tessera::autodiff_test {
namespace {

using Numbers = std::vector<double>;

Numbers ramp(size_t n, unsigned seed) {
    Numbers out;
    std::uint64_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < n; ++i) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        out.push_back(static_cast<double>(state >> 40) / 8388608.0 - 1);
    }
    return out;
}

// `part` of the elements that belong to point `b` of a leading dim.
Numbers row(const Numbers& all, size_t b, size_t rows) {
    const auto n = static_cast<std::ptrdiff_t>(all.size() / rows);
    return {all.begin() + static_cast<std::ptrdiff_t>(b) * n, all.begin() + (static_cast<std::ptrdiff_t>(b) + 1) * n};
}

std::vector<Numbers> values_of(const std::vector<Func>& outputs, const std::map<std::string, std::int64_t>& extents,
                               const std::map<std::string, Numbers>& floats,
                               const std::map<std::string, std::vector<std::int64_t>>& integers = {}) {
    const Program p{.y = outputs[0], .wrt = {}, .extents = extents, .integers = integers, .floats = floats};
    return evaluated(outputs, p, random_values(p, outputs, 1));
}

struct Batch {
    Dim b{"b"}, i{"i"}, k{"k"};
    Input x{"x", f64, {k}}, X{"X", f64, {b, k}}, W{"W", f64, {i, k}};
    std::map<std::string, std::int64_t> extents{{"b", 3}, {"i", 2}, {"k", 4}};
    Numbers all = ramp(12, 1), weights = ramp(8, 2);

    // Every row of `mapped` against `one` of that row.
    void check_rows(const Func& one, const Func& mapped) {
        const Numbers got = values_of({mapped}, extents, {{"X", all}, {"W", weights}})[0];
        for (size_t r = 0; r < 3; ++r)
            EXPECT_EQ(row(got, r, 3), values_of({one}, extents, {{"x", row(all, r, 3)}, {"W", weights}})[0]) << one.name() << r;
    }
};

TEST(Vmap, EveryPointIsTheDefinitionThere) {
    Batch s;
    Func dot("dot"), edges("edges"), y("y"), order("order"), hist("hist"), running("running"), state("state"), best("best");
    dot(s.i) = sum({s.k}, s.W(s.i, s.k) * s.x(s.k));
    edges(s.k) = clamp(s.x)(s.k - 2) + constant(s.x, 7.0)(s.k + 1) - s.x(0);
    y(s.i, s.k) = dot(s.i) * edges(s.k) + mirror(edges)(s.k - 1) + periodic(dot)(s.i + 1);
    best(s.i) = cast(f64, argmax(s.k, s.W(s.i, s.k) * s.x(s.k)));
    running(s.k) = scan(plus, s.k, s.x(s.k));
    hist(s.i) = scatter(plus, {to(s.i, cast(i32, floor(s.x(s.k) + 1.0)))}, {s.k}, s.x(s.k));
    recurrence(s.k, {{state(s.k), s.x(0)}}, [&](const Self& self) -> Tuple { return {sin(self[0](s.k - 1)) + s.x(s.k)}; });
    for (const Func& f : {y, best, running, hist, state}) s.check_rows(f, vmap(f, s.b, {{s.x, s.X}}));
}

TEST(Vmap, WhereTheDimStandsAndWhatStaysTheSame) {
    Batch s;
    Func dot("dot"), square("square"), plain("plain");
    dot(s.i) = sum({s.k}, s.W(s.i, s.k) * s.x(s.k));
    const Input turned("turned", f64, {s.k, s.b});
    Numbers columns(12);
    for (size_t r = 0; r < 3; ++r)
        for (size_t c = 0; c < 4; ++c) columns[c * 3 + r] = s.all[r * 4 + c];
    const Numbers want = values_of({vmap(dot, s.b, {{s.x, s.X}})}, s.extents, {{"X", s.all}, {"W", s.weights}})[0];
    EXPECT_EQ(values_of({vmap(dot, s.b, {{s.x, turned}})}, s.extents, {{"turned", columns}, {"W", s.weights}})[0], want);
    const Tensor expression({s.b, s.k}, turned(s.k, s.b));
    EXPECT_EQ(values_of({vmap(dot, s.b, {{s.x, expression}})}, s.extents, {{"turned", columns}, {"W", s.weights}})[0], want);
    // A Func that is mapped is cut; what reads nothing that is mapped is the same at every point.
    square(s.k) = s.x(s.k) * s.x(s.k);
    Func of_square("of_square");
    of_square(s.i) = sum({s.k}, s.W(s.i, s.k) * square(s.k));
    EXPECT_EQ(values_of({vmap(of_square, s.b, {{square, s.X}})}, s.extents, {{"X", s.all}, {"W", s.weights}})[0], want);
    plain(s.i) = s.W(s.i, 0);
    const Func same = vmap(plain, s.b, {{s.x, s.X}});
    ASSERT_EQ(same.rank(), 2u);
    Dim three("three", 3);
    EXPECT_EQ(values_of({vmap(plain, three, {})}, s.extents, {{"W", s.weights}})[0],
              (Numbers{s.weights[0], s.weights[4], s.weights[0], s.weights[4], s.weights[0], s.weights[4]}));
}

TEST(Vmap, RandomNumbersDoNotDependOnTheDim) {
    Batch s;
    Func noise("noise"), own("own");
    noise(s.k) = cast(f64, uniform(7, {s.k})) + 0.0 * s.x(s.k);
    s.check_rows(noise, vmap(noise, s.b, {{s.x, s.X}}));
    own(s.k) = cast(f64, uniform(7, {s.k, cast(i32, s.x(0))})) + 0.0 * s.x(s.k);
    s.check_rows(own, vmap(own, s.b, {{s.x, s.X}}));
}

struct Network {
    Dim b{"b"}, i{"i"}, o{"o"};
    Input x{"x", f64, {i}}, target{"target", f64, {o}}, X{"X", f64, {b, i}}, T{"T", f64, {b, o}}, W{"W", f64, {i, o}};
    std::map<std::string, std::int64_t> extents{{"b", 4}, {"i", 3}, {"o", 2}};
    Func out{"out"}, loss{"loss"}, all{"all"}, each{"each"};
    Network() {
        out(o) = tanh(sum({i}, x(i) * W(i, o)));
        loss() = sum({o}, (out(o) - target(o)) * (out(o) - target(o)));
        all(b, o) = tanh(sum({i}, X(b, i) * W(i, o)));
        each(b) = sum({o}, (all(b, o) - T(b, o)) * (all(b, o) - T(b, o)));
    }
};

TEST(Vmap, OfAGradientIsTheGradientPerExample) {
    Network n;
    const Func mapped = vmap(grad(n.loss, {n.W})[0], n.b, {{n.x, n.X}, {n.target, n.T}});
    const Func per = grad(n.each, {n.W}, {.per = {n.b}})[0];
    const std::map<std::string, Numbers> floats{{"X", ramp(12, 3)}, {"T", ramp(8, 4)}, {"W", ramp(6, 5)}};
    EXPECT_EQ(values_of({mapped}, n.extents, floats), values_of({per}, n.extents, floats));
    ASSERT_EQ(mapped.dims()[0].id(), n.b.id());
}

TEST(Vmap, IsDifferentiated) {
    Network n;
    check_derivative({.y = vmap(n.loss, n.b, {{n.x, n.X}, {n.target, n.T}}), .wrt = {n.X, n.T, n.W}, .extents = n.extents});
    check_derivative(
        {.y = vmap(grad(n.loss, {n.x})[0], n.b, {{n.x, n.X}, {n.target, n.T}}), .wrt = {n.X, n.W}, .extents = n.extents});
}

// A rule goes with its definition: operands with the dim keep it, those without get the sum.
TEST(Vmap, RulesOfTheUserGoWithTheirDefinitions) {
    for (const bool reverse : {true, false}) {
        Network n;
        Func z("z"), value("value"), result("result"), shared("shared");
        z(n.o) = sum({n.i}, n.x(n.i) * n.W(n.i, n.o));
        shared(n.o) = sin(n.W(0, n.o));
        value(n.o) = z(n.o) * shared(n.o);
        const auto back = [&](const Func& g) -> std::vector<Func> {
            Func to_z("to_z"), to_shared("to_shared");
            to_z(n.o) = g(n.o) * shared(n.o);
            to_shared(n.o) = g(n.o) * z(n.o);
            return {to_z, to_shared};
        };
        const auto along = [&](const std::vector<Func>& t) {
            Func tangent("tangent");
            tangent(n.o) = t[0](n.o) * shared(n.o) + t[1](n.o) * z(n.o);
            return tangent;
        };
        const Func y = reverse ? custom_vjp("y", value, {z, shared}, back) : custom_jvp("y", value, {z, shared}, along);
        result(n.o) = y(n.o) * y(n.o);
        const Func mapped = vmap(result, n.b, {{n.x, n.X}});
        check_derivative({.y = mapped, .wrt = {n.X, n.W}, .extents = n.extents});
        Func total("total");
        total() = sum({n.b, n.o}, mapped(n.b, n.o));
        check_derivative({.y = grad(total, {n.X})[0], .wrt = {n.X, n.W}, .extents = n.extents});
    }
}

TEST(Vmap, OfAnAlgorithmKeepsNamesAndPrintsBack) {
    Dim n("n"), k("k", 4), b("b");
    Input a("a", f32, {n, k}), w("w", f32, {k});
    Scalar scale("scale", f32);
    Func y("y");
    y(n) = sum({k}, a(n, k) * w(k)) * scale;
    const Algorithm one({y}, {a, w, scale});
    const Algorithm mapped = vmap(one, b, {{"a", 1}, {"scale"}});
    EXPECT_EQ(parse_algorithm(mapped.text()).text(), mapped.text());
    Input A("a", f32, {n, b, k}), S("scale", f32, {b});
    Func z("y");
    z(b, n) = sum({k}, A(n, b, k) * w(k)) * S(b);
    EXPECT_EQ(mapped.hash(), Algorithm({z}, {A, w, S}).hash());
    EXPECT_EQ(mapped.text(), Algorithm({z}, {A, w, S}).text());
    EXPECT_EQ(vmap(one, b).arguments()[1].state()->dims.size(), 2u);
    EXPECT_TRUE(vmap(one, b).arguments()[2].state()->scalar);
}

TEST(Vmap, CompilesLikeAnyOther) {
    Dim n("n"), k("k"), b("b");
    Input a("a", f32, {n, k}), w("w", f32, {k});
    Func h("h"), y("y");
    h(n) = sum({k}, a(n, k) * w(k), {.order = Order::ascending()});
    y(n) = exp(h(n)) / sum({n}, exp(h(n)), {.order = Order::ascending()});
    const Algorithm mapped = vmap(Algorithm({y}, {a, w}), b, {{"w"}});
    Buffer<float> in({5, 7}), weights({3, 7}), out({3, 5}), want({3, 5});
    float next = 0.3f;
    for (Buffer<float>* buffer : {&in, &weights}) buffer->for_each([&](float& v) { v = next = 3.7f * next * (1 - next); });
    compile(mapped, {}, parse_target("interpreter"))({{"a", in}, {"w", weights}}, {{"y", want}});
#ifdef TESSERA_HAVE_HALIDE
    compile(mapped, {}, parse_target("host"), {.disk_cache = false})({{"a", in}, {"w", weights}}, {{"y", out}});
    for (int r = 0; r < 3; ++r)
        for (int c = 0; c < 5; ++c) EXPECT_EQ(out(r, c), want(r, c));
#endif
}

TEST(Vmap, WhatDoesNotFitIsRefused) {
    Batch s;
    Func dot("dot"), bound("bound");
    dot(s.i) = sum({s.k}, s.W(s.i, s.k) * s.x(s.k));
    bound() = sum({s.b}, s.X(s.b, 0) * s.x(0));
    const Input narrow("narrow", f32, {s.b, s.k}), other("other", f64, {s.b, s.i}), more("more", f64, {s.b, s.k, s.i}),
        less("less", f64, {s.b});
    const auto map = [&](const Func& f, const std::vector<Mapped>& mapped) {
        return thrown([&] { static_cast<void>(vmap(f, s.b, mapped)); });
    };
    EXPECT_EQ(map(dot, {{s.x, narrow}}), E0201_dtype_mismatch);
    EXPECT_EQ(map(dot, {{s.x, s.x}}), E0103_unknown_dim);
    EXPECT_EQ(map(dot, {{s.x, other}}), E0106_dim_mismatch);
    EXPECT_EQ(map(dot, {{s.x, more}}), E0106_dim_mismatch);
    EXPECT_EQ(map(dot, {{s.x, less}}), E0106_dim_mismatch);
    EXPECT_EQ(map(dot, {{s.x, s.X}, {s.x, s.X}}), E0101_duplicate_name);
    EXPECT_EQ(map(bound, {{s.x, s.X}}), E0104_repeated_dim);
    EXPECT_EQ(map(dot, {{Tensor({s.k}, s.x(s.k) * 2.0), s.X}}), E0303_undefined);
    const Algorithm all({dot}, {s.x, s.W});
    EXPECT_EQ(thrown([&] { static_cast<void>(vmap(all, s.b, {{"X"}})); }), E0307_missing_argument);
    EXPECT_EQ(thrown([&] { static_cast<void>(vmap(all, s.b, {{"x", 2}})); }), E0301_rank);
    EXPECT_EQ(thrown([&] { static_cast<void>(vmap(all, s.i)); }), E0104_repeated_dim);
    // An extent is one for all points.
    Scalar length("length", i32);
    Dim t("t", Extent(length));
    Func steps("steps");
    steps() = sum({t}, s.x(0) * cast(f64, t));
    const Input lengths("lengths", i32, {s.b});
    EXPECT_EQ(map(steps, {{Tensor(length), lengths}}), E0105_extent);
}

}  // namespace
}  // namespace tessera::autodiff_test
