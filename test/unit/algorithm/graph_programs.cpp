#include "unit/algorithm/graph_programs.h"

#include <limits>

namespace tessera {
namespace {

Algorithm blur() {
    Dim y("y"), x("x"), r("r", 3);
    Input photo("photo", u8, {y, x});
    Func rows("rows"), out("blur");
    rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - 1)));
    out(y, x) = cast(u8, sum({r}, rows(y + r - 1, x)) / 9);
    return Algorithm({out}, {photo});
}

Algorithm gemm() {
    Dim m("m"), n("n"), k("k");
    k.multiple_of(8);
    n.multiple_of(16).at_most(4096);
    Input A("A", bf16, {m, k}), B("B", bf16, {k, n}), bias("bias", f32, {n});
    Func C("C");
    C(m, n) = relu(sum({k}, cast(f32, A(m, k)) * cast(f32, B(k, n)), {.order = Order::ascending(), .name = "acc"}) + bias(n));
    return Algorithm({C}, {A, B, bias}, {.name = "gemm"});
}

Algorithm conv2d_strided() {
    Dim n = Dim::dynamic("n"), ci("ci", 8), co("co"), y("y"), x("x"), r("r", 3), s("s", 3);
    Dim oy("oy", (y.extent() - r.extent()) / 2 + 1), ox("ox", (x.extent() - s.extent()) / 2 + 1);
    Input image("image", f32, {n, ci, y, x}), weight("weight", f32, {co, ci, r, s});
    Func out("out");
    out(n, co, oy, ox) = sum({ci, r, s}, image(n, ci, oy * 2 + r, ox * 2 + s) * weight(co, ci, r, s));
    return Algorithm({out}, {image, weight});
}

Algorithm softmax() {
    Dim b("b"), j("j");
    Input x("x", f16, {b, j});
    Func top("softmax/max"), e("softmax/exp"), out("softmax");
    top(b) = max({j}, cast(f32, x(b, j)));
    e(b, j) = exp(cast(f32, x(b, j)) - top(b));
    out(b, j) = cast(f16, e(b, j) / sum({j}, e(b, j)));
    return Algorithm({out}, {x});
}

Algorithm argmax_pair() {
    Dim i("i"), k("k");
    Input a("a", f32, {i, k});
    Func best("best"), worst("worst"), spread("spread");
    best(i) = argmax(k, a(i, k));
    worst(i) = argmin(k, a(i, k), where(a(i, k) > 0));
    const Tuple w = welford({k}, a(i, k));
    spread(i) = Tuple{w[1], sqrt(w[2] / w[0])};
    return Algorithm({best, worst, spread}, {a});
}

Algorithm histogram() {
    Dim y("y"), x("x"), bin("bin", 256), c("c", 3);
    Input image("image", u8, {c, y, x});
    Func H("H");
    H(c, bin) = scatter(plus, {to(bin, image(c, y, x))}, {y, x}, cast(u32, 1), {.order = Order::blocked(1024), .name = "count"});
    return Algorithm({H}, {image});
}

Algorithm cache_write() {
    Dim t("t"), d("d", 64);
    Input cache("cache", f32, {t, d}), row("row", f32, {d});
    Scalar at("at", i32);
    at.values_in(0, t.extent());
    Func next("next");
    Dim s("s", 1);
    next(t, d) = scatter(last, {to(t, at)}, {s}, row(d) + cast(f32, s), {.init = {cache(t, d)}});
    return Algorithm({next}, {cache, row, at}, {.in_place = {{"cache", "next"}}});
}

Algorithm cumsum() {
    Dim i("i"), t("t");
    Input a("a", i32, {i, t});
    Func total("total"), rest("rest");
    total(i, t) = scan(plus, t, a(i, t));
    rest(i, t) = scan(maximum, t, a(i, t), {.exclusive = true, .reverse = true, .name = "suffix"});
    return Algorithm({total, rest}, {a});
}

Algorithm iir() {
    Dim t("t"), c("c", 2);
    Input x("x", f32, {t, c});
    Func y("y");
    recurrence(t, {{y(t, c), cast(f32, 0)}},
               [&](const Self& s) -> Tuple { return {s[0](t - 1, c) * 1.5f - s[0](t - 2, c) * 0.75f + x(t, c)}; });
    return Algorithm({y}, {x});
}

Algorithm coupled_states() {
    Dim t("t", 10), i("i"), j("j");
    Input h0("h0", f32, {i}), w("w", f32, {i, j});
    Func h("h"), m("m"), mixed("mixed"), out("out");
    recurrence(t, {{h(t, i), h0(i)}, {m(t), constant(f32, -std::numeric_limits<double>::infinity())}},
               [&](const Self& s) -> Tuple {
                   mixed(t, i) = sum({j}, w(i, j) * s[0](t + 1, j));
                   return {tanh(mixed(t, i)), max(s[1](t + 1), cast(f32, t))};
               },
               {.reverse = true});
    out(t, i) = h(t, i) + m(t);
    Dim time("time", 5);
    Func seen("seen");
    Dim pixel("i");
    Func copy("copy");
    copy(pixel) = out(0, pixel);
    seen(time, i) = out(time, i) + copy(i);
    return Algorithm({seen}, {h0, w}, {.require = {{i.extent(), j.extent()}}});
}

Algorithm boundaries() {
    Dim y("y"), x("x");
    Input a("a", f32, {y, x});
    Func edge("edge"), ring("ring"), out("out");
    edge(y, x) = tessera::clamp(a)(y - 1, x) + mirror(a)(y, x - 1) + mirror_interior(a)(y, x + 1);
    ring(y, x) = periodic(edge)(y, x + 3);
    out(y, x) = ring(y, x) + constant(a, -0.5f)(y - 2, x * 2) + constant(a, std::numeric_limits<double>::quiet_NaN())(y, x + 1);
    return Algorithm({out}, {a});
}

Algorithm gathers() {
    Dim i("i"), v("v"), row("row"), nz("nz");
    Dim start("start", row.extent() + 1);
    Input table("table", f32, {v}), index("index", i32, {i}), offsets("offsets", i64, {start}), values("values", f64, {nz});
    index.values_in(0, v.extent());
    offsets.values_in(0, nz.extent() + 1).increasing();
    Func picked("picked"), rows("rows");
    picked(i) = table(index(i));
    rows(row) = sum({nz}, values(nz), where(offsets(row) <= nz && nz < offsets(row + 1)));
    return Algorithm({picked, rows}, {table, index, offsets, values});
}

Algorithm random_mask() {
    Dim b("b"), j("j");
    Input x("x", f32, {b, j});
    Scalar seed("seed", i64), keep("keep", f32);
    Func mask("mask"), out("dropped"), noise("noise");
    mask(b, j) = uniform(seed, {b, j, 7}) < keep;
    out(b, j) = select(mask(b, j), x(b, j) / keep, 0);
    noise(b) = normal(seed, {b}) + cast(f32, random_bits(seed, {b}) & 15u);
    return Algorithm({out, noise}, {x, seed, keep});
}

Algorithm policies() {
    Dim i("i"), k("k");
    const Numerics half{.storage = bf16, .compute = f32, .accumulate = f32};
    Input a("a", half, {i, k}), b("b", i8, {i, k});
    Func scaled("scaled", Numerics{.storage = f16, .compute = f32, .saturate = true}), out("out"), bits("bits");
    scaled(i) = sum({k}, a(i, k)) * 0.1f;
    out(i) = scaled(i) + 1e-3f;
    bits(i, k) = (cast(u64, b(i, k)) << 3) ^ highest(u64);
    return Algorithm({out, bits}, {a, b});
}

Algorithm masks() {
    Dim i("i"), j("j"), k("k");
    Input q("q", f32, {i, k}), valid("valid", bool_, {j});
    Scalar width("width", i64);
    width.values_in(1, i.extent() + 1);
    Func score("score"), any_valid("any_valid"), count("count");
    score(i, j) = select(valid(j) && j <= i && i - j < width, tessera::clamp(q)(i, j), -std::numeric_limits<float>::infinity());
    any_valid() = any({j}, valid(j)) && !all({j}, valid(j));
    count(i) = sum({j}, cast(i32, 1), where(score(i, j) == score(i, j) || j != 3));
    return Algorithm({score, any_valid, count}, {q, valid, width});
}

Algorithm user_monoid() {
    Dim i("i"), k("k");
    Input x("x", f32, {i, k});
    const Monoid pair = monoid(
        "max_and_sum",
        [](const std::vector<DType>& t) {
            return Tuple{lowest(t[0]), constant(t[1], 0.0)};
        },
        [](const Tuple& a, const Tuple& b) {
            const Expr top = max(a[0], b[0]);
            const Expr shift = select(abs(top) == std::numeric_limits<double>::infinity(), 0, top);
            return Tuple{top, a[1] * exp(a[0] - shift) + b[1] * exp(b[0] - shift)};
        });
    const Monoid first = monoid(
        "first", [](const std::vector<DType>& t) { return Tuple{constant(t[0], std::int64_t{0})}; },
        [](const Tuple& a, const Tuple&) { return Tuple{a[0]}; }, {.commutative = false, .associative = false});
    Func lse("lse"), head("head");
    const Tuple p = reduce(pair, {k}, {x(i, k), constant(f32, 1.0)});
    lse(i) = p[0] + log(p[1]);
    head(i) = reduce(first, {k}, {cast(i16, x(i, k))})[0];
    return Algorithm({lse, head}, {x});
}

Algorithm shared_parts() {
    Dim x("x");
    Input in("in", f64, {x});
    Func out("out");
    Expr e = in(x);
    for (int i = 0; i < 60; ++i) e = e * e;
    Expr chain = e;
    for (int i = 0; i < 300; ++i) chain = sin(chain) + 1;
    out(x) = chain;
    return Algorithm({out}, {in});
}

Algorithm awkward_names() {
    Dim x("x"), inner("x"), abs_("abs");
    Input in("sum", f32, {x, abs_}), i8_("i8", f32, {abs_});
    Func f("select"), g("net/layer.1"), out("out./");
    f(inner, abs_) = in(0, abs_) + cast(f32, inner);
    g(x) = f(x, 0) - -(i8_(0)) - (3.0f - (i8_(0) - 2.0f));
    out(x) = -g(x) * cast(f32, -9223372036854775807 - 1) / (1.0f / g(x));
    return Algorithm({out}, {in, i8_});
}

}  // namespace

const std::vector<GraphProgram>& graph_programs() {
    static const std::vector<GraphProgram> programs{{"argmax", argmax_pair},
                                                    {"awkward_names", awkward_names},
                                                    {"blur", blur},
                                                    {"boundaries", boundaries},
                                                    {"cache_write", cache_write},
                                                    {"conv2d_strided", conv2d_strided},
                                                    {"coupled_states", coupled_states},
                                                    {"cumsum", cumsum},
                                                    {"gathers", gathers},
                                                    {"gemm", gemm},
                                                    {"histogram", histogram},
                                                    {"iir", iir},
                                                    {"masks", masks},
                                                    {"policies", policies},
                                                    {"random_mask", random_mask},
                                                    {"shared_parts", shared_parts},
                                                    {"softmax", softmax},
                                                    {"user_monoid", user_monoid}};
    return programs;
}

}  // namespace tessera
