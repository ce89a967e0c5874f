#include "gradient_cases.h"

#include <tessera/tessera.h>

#include "gradient_builder.h"

namespace bench {
namespace {

using namespace tessera;

// Rounding of sums of some thousand f32 products, relative to the largest result; f64 likewise.
constexpr double single_tolerance = 5e-5, double_tolerance = 1e-11;

GradientCase matmul(std::int64_t size) {
    GradientBuilder b("matmul " + std::to_string(size), "matmul", single_tolerance);
    Dim m("m", size), n("n", size), k("k", size);
    const Input A = b.tensor("A", {m, k}), B = b.tensor("B", {k, n});
    Func C("C");
    C(m, n) = sum({k}, A(m, k) * B(k, n));
    return std::move(b).finish(C);
}

GradientCase conv() {
    GradientBuilder b("conv 8x32x32x64, 3x3, 64 out", "conv", single_tolerance);
    Dim i("i", 8), h("h", 32), w("w", 32), c("c", 64), r("r", 3), s("s", 3), o("o", 64);
    const Input image = b.tensor("image", {i, h, w, c}), weight = b.tensor("weight", {r, s, c, o});
    return std::move(b).finish(ops::conv2d("y", image, weight, {}, {.y = {.padding = 1}, .x = {.padding = 1}}));
}

GradientCase attention() {
    GradientBuilder b("attention 8 heads, 1024x64", "attention", single_tolerance);
    Dim h("h", 8), q("q", 1024), k("k", 1024), d("d", 64), e("e", 64);
    const Input query = b.tensor("query", {h, q, d}), key = b.tensor("key", {h, k, d}), value = b.tensor("value", {h, k, e});
    return std::move(b).finish(ops::attention("y", query, key, value));
}

GradientCase layer_norm() {
    GradientBuilder b("layer norm 4096x1024", "layer_norm", single_tolerance);
    Dim row("row", 4096), i("i", 1024);
    const Input x = b.tensor("x", {row, i}), scale = b.tensor("scale", {i}), bias = b.tensor("bias", {i});
    return std::move(b).finish(ops::layer_norm("y", x, {i}, scale, bias));
}

GradientCase logsumexp_rows() {
    GradientBuilder b("logsumexp 4096x1024", "logsumexp", single_tolerance);
    Dim row("row", 4096), i("i", 1024);
    const Input x = b.tensor("x", {row, i});
    return std::move(b).finish(ops::logsumexp("y", x, {i}));
}

GradientCase row_max() {
    GradientBuilder b("row-max 4096x1024", "row_max", 0);
    Dim row("row", 4096), i("i", 1024);
    const Input x = b.tensor("x", {row, i});
    Func y("y");
    y(row) = max({i}, x(row, i));
    return std::move(b).finish(y);
}

GradientCase embedding() {
    GradientBuilder b("embedding 32768x128, 8192 indices", "embedding", single_tolerance);
    Dim v("v", 32768), e("e", 128), t("t", 8192);
    const Input table = b.tensor("table", {v, e});
    return std::move(b).finish(ops::embedding("y", table, b.indices("at", {t}, 32768)));
}

GradientCase linear_recurrence() {
    GradientBuilder b("linear recurrence 1024 steps x 1024", "linear_recurrence", single_tolerance);
    Dim t("t", 1024), c("c", 1024);
    const Input a = b.tensor("a", {t, c}, true, 0.3), u = b.tensor("u", {t, c});
    Func h("h");
    recurrence(t, {{h(t, c), cast(f32, 0)}}, [&](const Self& s) -> Tuple { return {a(t, c) * s[0](t - 1, c) + u(t, c)}; });
    return std::move(b).finish(h);
}

GradientCase blur() {
    GradientBuilder b("blur 2560x1536", "blur", single_tolerance);
    Dim y("y", 1536), x("x", 2560);
    const Input in = b.tensor("in", {y, x});
    Func rows("rows"), out("out");
    const Bounded at = clamp(in), of_rows = clamp(rows);
    rows(y, x) = 0.25f * at(y - 1, x) + 0.5f * at(y, x) + 0.25f * at(y + 1, x);
    out(y, x) = 0.25f * of_rows(y, x - 1) + 0.5f * of_rows(y, x) + 0.25f * of_rows(y, x + 1);
    return std::move(b).finish(out);
}

GradientCase mlp() {
    GradientBuilder b("MLP 256x784, 512, 512, 10", "mlp", single_tolerance);
    Dim n("n", 256), i("i", 784), j("j", 512), k("k", 512), c("c", 10);
    const Input x = b.tensor("x", {n, i}, false), w1 = b.tensor("w1", {i, j}, true, 0.03), b1 = b.tensor("b1", {j}, true, 0.1),
                w2 = b.tensor("w2", {j, k}, true, 0.03), b2 = b.tensor("b2", {k}, true, 0.1),
                w3 = b.tensor("w3", {k, c}, true, 0.03), b3 = b.tensor("b3", {c}, true, 0.1), label = b.indices("label", {n}, 10);
    Func first("first"), second("second"), logits("logits"), loss("loss");
    first(n, j) = relu(sum({i}, x(n, i) * w1(i, j)) + b1(j));
    second(n, k) = relu(sum({j}, first(n, j) * w2(j, k)) + b2(k));
    logits(n, c) = sum({k}, second(n, k) * w3(k, c)) + b3(c);
    const Func each = ops::cross_entropy("each", logits, label);
    loss() = mean({n}, each(n));
    return std::move(b).finish(loss);
}

}  // namespace

std::vector<ListedGradient> gradient_cases() {
    return {{"matmul 512", [] { return matmul(512); }},
            {"matmul 1024", [] { return matmul(1024); }},
            {"conv", conv},
            {"attention", attention},
            {"layer norm", layer_norm},
            {"logsumexp", logsumexp_rows},
            {"row-max", row_max},
            {"embedding", embedding},
            {"linear recurrence", linear_recurrence},
            {"blur", blur},
            {"MLP", mlp},
            {"GMM d20", [] { return gmm(20, 50, 1000); }, true},
            {"GMM d64", [] { return gmm(64, 25, 1000); }, true},
            {"LSTM l2", [] { return lstm(2, 1024); }, true},
            {"LSTM l4", [] { return lstm(4, 4096); }, true}};
}

}  // namespace bench
