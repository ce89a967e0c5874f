#include "autodiff/graph_rewrite.h"
#include "unit/autodiff/derivative_cases.h"

// Accesses of every kind: the transposed one against the tangent, and against adding up by a scatter.
namespace tessera::autodiff_test {
namespace {

using Extents = std::map<std::string, std::int64_t>;

void check_all(const Program& p) {
    check_derivative(p);
    check_against_scatter(p);
}

TEST(AccessDerivatives, IdentityBroadcastTransposeAndDiagonal) {
    Dim i("i"), j("j");
    const Input a("a", f64, {i, j}), b("b", f64, {j}), s("s", f64, {});
    Func y("y"), t("t"), d("d"), shifted("shifted"), corner("corner");
    y(i, j) = a(i, j) * b(j) * s();
    check_all({.y = y, .wrt = {a, b, s}, .extents = {{"i", 4}, {"j", 5}}});
    t(j, i) = a(i, j) * a(i, j) + b(j);
    check_all({.y = t, .wrt = {a, b}, .extents = {{"i", 4}, {"j", 5}}});
    Dim k("k", i.extent());
    const Input square("square", f64, {i, k});
    d(i) = square(i, i) * square(i, 0);
    check_all({.y = d, .wrt = {square}, .extents = {{"i", 5}}});
    Dim q("q", 4);
    const Input m("m", f64, {Dim("r", 6), Dim("c", 9)});
    shifted(q) = m(q, q + 2) * m(q + 1, 2 * q);
    check_all({.y = shifted, .wrt = {m}});
    corner() = m(0, 0) * m(5, 8) + m(2, 3);
    check_all({.y = corner, .wrt = {m}});
}

TEST(AccessDerivatives, StencilsInsideAndStrided) {
    Dim x("x"), r("r", 3);
    const Input in("in", f64, {x}), w("w", f64, {r});
    Dim o("o", x.extent() - 2), s("s", (x.extent() - 3) / 2 + 1), d("d", (x.extent() - 5) / 3 + 1), e("e", x.extent() / 5);
    Func conv("conv"), strided("strided"), dilated("dilated"), blocks("blocks"), scaled("scaled"), nonlinear("nonlinear");
    conv(o) = sum({r}, in(o + r) * w(r));
    strided(s) = sum({r}, in(2 * s + r) * w(r));
    dilated(d) = sum({r}, in(3 * d + 2 * r) * w(r));
    blocks(e) = sum({r}, in(5 * e + r + 1) * w(r));
    scaled(e) = in(5 * e + 2) * in(5 * e);
    nonlinear(o) = tanh(in(o)*in(o + 1)) - exp(in(o + 2));
    for (const std::int64_t n : {5, 6, 7, 11, 12, 20})
        for (const Func& y : {conv, strided, dilated, blocks, scaled, nonlinear}) {
            SCOPED_TRACE(y.name() + " of " + std::to_string(n));
            const bool weighted = y.state() != scaled.state() && y.state() != nonlinear.state();
            check_all({.y = y, .wrt = weighted ? std::vector<Input>{in, w} : std::vector<Input>{in}, .extents = {{"x", n}}});
        }
}

TEST(AccessDerivatives, Conv2dAgainstWeightsAndImage) {
    Dim b("b", 2), h("h", 7), w("w", 6), c("c", 2), o("o", 3), p("p", 3), q("q", 2);
    Dim y("y", 3), x("x", 5);
    const Input image("image", f64, {b, h, w, c}), weight("weight", f64, {p, q, c, o}), bias("bias", f64, {o});
    Func out("out");
    out(b, y, x, o) = relu(sum({p, q, c}, image(b, 2 * y + p, x + q, c) * weight(p, q, c, o)) + bias(o));
    check_all({.y = out, .wrt = {image, weight, bias}});
}

TEST(AccessDerivatives, DivisionsRemaindersAndReshapes) {
    Dim x("x", 13), i("i", 12), k("k", 4), f("f", 3);
    const Input small("small", f64, {Dim("u", 7)}), table("table", f64, {f, k}), flat("flat", f64, {i}),
        wide("wide", f64, {Dim("v", 30)});
    Func up("up"), wrap("wrap"), reshape("reshape"), flatten("flatten"), negative("negative"), both_ways("both_ways");
    up(x) = small(x / 2) * small((x + 1) / 3);
    check_all({.y = up, .wrt = {small}});
    wrap(x) = small(x % 7) + small((3 * x + 2) % 5) * small(x % 4 + 2);
    check_all({.y = wrap, .wrt = {small}});
    reshape(i) = table(i / 4, i % 4) * flat(i);
    check_all({.y = reshape, .wrt = {table, flat}});
    flatten(f, k) = flat(f * 4 + k) * table(f, k);
    check_all({.y = flatten, .wrt = {table, flat}});
    // Indices below zero before the division: it rounds down.
    negative(x) = wide((x - 5) / 2 + 3) * wide((x - 7) % 4);
    check_all({.y = negative, .wrt = {wide}});
    both_ways(x, k) = small((x - 2 * k + 6) / 3) * wide(x + k);
    check_all({.y = both_ways, .wrt = {small, wide}});
}

TEST(AccessDerivatives, ReshapesOfSymbolicExtents) {
    Dim i("i"), j("j"), n("n", i.extent() * j.extent());
    const Input a("a", f64, {i, j}), flat("flat", f64, {n});
    Func unflatten("unflatten"), flatten("flatten");
    unflatten(n) = a(n / j.extent(), n % j.extent()) * flat(n);
    flatten(i, j) = flat(i * j.extent() + j) * a(i, j);
    for (const auto& [I, J] : {std::pair{3, 4}, {1, 5}, {5, 1}, {0, 3}}) {
        check_all({.y = unflatten, .wrt = {a, flat}, .extents = {{"i", I}, {"j", J}}});
        check_all({.y = flatten, .wrt = {a, flat}, .extents = {{"i", I}, {"j", J}}});
    }
}

TEST(AccessDerivatives, SumsOfDimsAndShears) {
    Dim x("x", 5), y("y", 4), r("r", 3), q("q", 2);
    const Input line("line", f64, {Dim("n", 20)}), plane("plane", f64, {Dim("a", 12), Dim("b", 9)});
    Func outer("outer"), shear("shear"), window("window"), mixed("mixed"), reduced("reduced");
    outer(x, y) = line(x + y) * line(2 * x + 3 * y);
    check_all({.y = outer, .wrt = {line}});
    shear(x, y) = plane(x + y, y) * plane(x + 2 * y, 4 - x);
    check_all({.y = shear, .wrt = {plane}});
    window(x, y) = sum({r, q}, plane(x + r, y + q) * line(r + 2 * q));
    check_all({.y = window, .wrt = {plane, line}});
    mixed(x) = sum({r, y}, plane(x + r, y) * plane(r, y + x));
    check_all({.y = mixed, .wrt = {plane}});
    reduced() = sum({x, y}, line(x + y) * plane(x, x));
    check_all({.y = reduced, .wrt = {line, plane}});
}

TEST(AccessDerivatives, BoundaryConditions) {
    const auto wrapped = [](int mode, const Input& in) {
        switch (mode) {
            case 0: return clamp(in);
            case 1: return mirror(in);
            case 2: return mirror_interior(in);
            case 3: return periodic(in);
            default: return constant(in, 0.5);
        }
    };
    for (int mode = 0; mode < 5; ++mode)
        for (const std::int64_t n : {1, 2, 3, 4, 7}) {
            SCOPED_TRACE("mode " + std::to_string(mode) + ", extent " + std::to_string(n));
            Dim x("x"), y("y"), r("r", 3), w("w", 5);
            const Input in("in", f64, {x}), image("image", f64, {y, x});
            Func near("near"), wide("wide"), two("two");
            near(x) = wrapped(mode, in)(x - 1) * wrapped(mode, in)(x + 1);
            wide(x) = sum({w}, wrapped(mode, in)(x + 2 * w - 4) * wrapped(mode, in)(w - 1));
            two(y, x) = sum({r}, wrapped(mode, image)(y + r - 1, x - r) * cast(f64, r + 1));
            check_all({.y = near, .wrt = {in}, .extents = {{"x", n}}});
            check_all({.y = wide, .wrt = {in}, .extents = {{"x", n}}});
            check_all({.y = two, .wrt = {image}, .extents = {{"x", n}, {"y", 3}}});
        }
}

TEST(AccessDerivatives, FuncsReadOutsideTheirExtents) {
    Dim y("y"), x("x"), r("r", 3);
    const Input photo("photo", f64, {y, x});
    Func rows("rows"), blur("blur"), edge("edge");
    rows(y, x) = sum({r}, mirror(photo)(y, x + r - 1) * cast(f64, r + 1));
    blur(y, x) = sum({r}, rows(y + r - 1, x) * rows(y, x));
    edge(y, x) = clamp(blur)(y - 2, x + 1) + constant(rows, 1.0)(y + 1, x - 1);
    for (const auto& [h, w] : {std::pair{4, 5}, {1, 3}, {2, 1}}) {
        check_all({.y = blur, .wrt = {photo}, .extents = {{"y", h}, {"x", w}}});
        check_all({.y = edge, .wrt = {photo}, .extents = {{"y", h}, {"x", w}}});
    }
}

TEST(AccessDerivatives, ConditionsOnIndicesAndDeltas) {
    Dim i("i"), j("j"), k("k", 5);
    const Input a("a", f64, {i}), b("b", f64, {i, k});
    Func banded("banded"), hot("hot"), triangle("triangle"), padded("padded");
    banded(i, j) = select(i == j, a(i) * 2, i == j + 1, a(i) * a(i), 0.0);
    check_all({.y = banded, .wrt = {a}, .extents = {{"i", 4}, {"j", 6}}});
    hot(i) = sum({k}, select(k == 2, b(i, k), 0.0) * a(i));
    check_all({.y = hot, .wrt = {a, b}, .extents = {{"i", 4}}});
    triangle(i) = sum({k}, b(i, k) * a(i), where(k <= i));
    check_all({.y = triangle, .wrt = {a, b}, .extents = {{"i", 7}}});
    padded(i) = select(i >= 1 && i < a.dims()[0].extent() - 1, a(i - 1) * a(i + 1), a(i));
    check_all({.y = padded, .wrt = {a}, .extents = {{"i", 6}}});
}

TEST(AccessDerivatives, IndicesFromTensorsAddUpByScatter) {
    Dim v("v"), i("i"), j("j"), k("k", 3);
    const Input table("table", f64, {v, j});
    Input at("at", i32, {i});
    at.values_in(0, v.extent());
    const Input vector("vector", f64, {v});
    Func rows("rows"), picked("picked"), near("near"), shifted("shifted");
    const std::map<std::string, std::vector<std::int64_t>> places{{"at", {3, 1, 3, 0, 3, 2, 1}}};
    rows(i, j) = table(at(i), j) * vector(at(i));
    check_all({.y = rows, .wrt = {table, vector}, .extents = {{"v", 5}, {"i", 7}, {"j", 2}}, .integers = places});
    picked(j) = sum({i}, table(at(i), j) * table(at(i), j), where(at(i) != 1));
    check_all({.y = picked, .wrt = {table}, .extents = {{"v", 5}, {"i", 7}, {"j", 2}}, .integers = places});
    near(i) = sum({k}, clamp(vector)(at(i) + k - 1) * mirror(vector)(at(i) - k));
    check_all({.y = near, .wrt = {vector}, .extents = {{"v", 5}, {"i", 7}}, .integers = places});
    Func squares("squares");
    squares(v) = vector(v) * vector(v);
    shifted(i) = squares(at(i)) * vector(at(i));
    check_all({.y = shifted, .wrt = {vector}, .extents = {{"v", 5}, {"i", 7}}, .integers = places});
}

// A place that an access names is no loop of the sum that goes there.
TEST(AccessDerivatives, FixedPlacesGetSumsOfTheirOwn) {
    Dim k("k", 3), j("j", 4), i("i"), t("t");
    const Input w("w", f64, {k, j, i}), x("x", f64, {t, i});
    Func y("y");
    y(t, i) = w(0, 2, i) * x(t, i) + sin(w(2, 1, i) * x(t, i)) + w(1, 2, i) * w(0, 2, 0);
    const Program p{.y = y, .wrt = {w, x}, .extents = {{"t", 3}, {"i", 4}}};
    check_derivative(p);
    check_against_scatter(p);
    Func loss("loss");
    loss() = sum({t, i}, y(t, i));
    for (const Func& f : reachable_funcs(grad(loss, {w})))
        if (f.name() != "loss" && f.name() != "d_loss/w" && f.name().rfind("d_loss/w", 0) == 0) {
            EXPECT_FALSE(contains_dim(f.dims(), k)) << f.name();
            EXPECT_FALSE(contains_dim(f.dims(), j)) << f.name();
        }
}

}  // namespace
}  // namespace tessera::autodiff_test
