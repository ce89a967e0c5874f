#include "unit/interpreter/interpreter_cases.h"

#include <functional>

namespace tessera {
namespace {

using interpreter_test::elements;
using interpreter_test::filled;
using interpreter_test::ramp;
using interpreter_test::run;
using Reals = std::vector<double>;

std::string thrown(const std::function<void()>& build) {
    try {
        build();
    } catch (const Exception& e) {
        return std::string(code_text(e.code())) + " " + e.message();
    }
    return "";
}

// f64 tensors through the oracle: what remains is the rounding of a handful of operations on values below 20.
void expect_near(const Reals& got, const Reals& want) {
    ASSERT_EQ(got.size(), want.size());
    for (size_t n = 0; n < got.size(); ++n) EXPECT_NEAR(got[n], want[n], 1e-12 * (1 + std::abs(want[n]))) << "element " << n;
}
Buffer<double> reals(std::vector<std::int64_t> extents, const Reals& values) {
    return filled<double>(std::move(extents), values);
}

Reals product(const Reals& a, const Reals& b, size_t m, size_t n, size_t k) {
    Reals c(m * n);
    for (size_t x = 0; x < m; ++x)
        for (size_t y = 0; y < n; ++y)
            for (size_t z = 0; z < k; ++z) c[x * n + y] += a[x * k + z] * b[z * n + y];
    return c;
}
Reals transposed(const Reals& a, size_t rows, size_t columns) {
    Reals t;
    for (size_t c = 0; c < columns; ++c)
        for (size_t r = 0; r < rows; ++r) t.push_back(a[r * columns + c]);
    return t;
}

struct Ops : testing::Test {
    Dim m{"m"}, n{"n"}, k{"k"}, b{"b"};
};

TEST_F(Ops, MatmulWithAnyTranspose) {
    const Reals a = ramp<double>(3 * 7, 1), c = ramp<double>(7 * 5, 2), want = product(a, c, 3, 5, 7);
    for (const bool ta : {false, true})
        for (const bool tb : {false, true}) {
            Input A("A", f64, ta ? std::vector<Dim>{k, m} : std::vector<Dim>{m, k}),
                B("B", f64, tb ? std::vector<Dim>{n, k} : std::vector<Dim>{k, n});
            const Func C = ops::matmul("C", A, B, {.transpose_a = ta, .transpose_b = tb});
            expect_near(run<double>(Algorithm({C}, {A, B}),
                                    {{"A", ta ? reals({7, 3}, transposed(a, 3, 7)) : reals({3, 7}, a)},
                                     {"B", tb ? reals({5, 7}, transposed(c, 7, 5)) : reals({7, 5}, c)}},
                                    {3, 5}),
                        want);
        }
}

TEST_F(Ops, MatmulBatchesVectorsAndOneMatrixTwice) {
    const Reals a = ramp<double>(2 * 3 * 7, 1), c = ramp<double>(7 * 5, 2), v = ramp<double>(7, 3);
    Input A("A", f64, {b, m, k}), B("B", f64, {k, n}), V("V", f64, {k}), S("S", f64, {m, k});
    const Func C = ops::matmul("C", A, B);
    Reals want = product(Reals(a.begin(), a.begin() + 21), c, 3, 5, 7),
          second = product(Reals(a.begin() + 21, a.end()), c, 3, 5, 7);
    want.insert(want.end(), second.begin(), second.end());
    expect_near(run<double>(Algorithm({C}, {A, B}), {{"A", reals({2, 3, 7}, a)}, {"B", reals({7, 5}, c)}}, {2, 3, 5}), want);
    const Func W = ops::matmul("W", A, V);
    expect_near(run<double>(Algorithm({W}, {A, V}), {{"A", reals({2, 3, 7}, a)}, {"V", reals({7}, v)}}, {2, 3}),
                product(a, v, 6, 1, 7));
    const Func G = ops::matmul("G", S, S, {.transpose_b = true});
    EXPECT_EQ(G.dims()[1].name(), "G_n");
    const Reals s(a.begin(), a.begin() + 21);
    expect_near(run<double>(Algorithm({G}, {S}), {{"S", reals({3, 7}, s)}}, {3, 3}), product(s, transposed(s, 3, 7), 3, 3, 7));
}

TEST_F(Ops, ContractionErrorsAndDtypes) {
    Dim seven("seven", 7), eight("eight", 8);
    Input A("A", f32, {m, seven}), B("B", f32, {eight, n}), H("H", f16, {k, n}), Q("Q", i8, {m, k}), R("R", i8, {k, n});
    EXPECT_EQ(thrown([&] { (void)ops::matmul("C", A, B); }),
              "E0106 dim seven of A has extent 7 but dim eight of B has extent 8; they must be equal");
    EXPECT_EQ(thrown([&] { (void)ops::matmul("C", A, H); }), "E0201 A is f32 but H is f16");
    EXPECT_EQ(thrown([&] { (void)ops::matmul("C", A, 2.0f); }).substr(0, 5), "E0301");
    EXPECT_EQ(thrown([&] { (void)ops::conv2d("C", A, B); }), "E0301 A has 2 dims [m, seven]; image[..., h, w, c] is wanted");
    EXPECT_EQ(ops::matmul("C", Q, R).dtype(), i32);
    EXPECT_EQ(ops::matmul("D", H, H, {.transpose_b = true}).dtype(), f16);
    EXPECT_EQ(ops::matmul("E", H, H, {.transpose_b = true, .dtype = f32}).dtype(), f32);
}

TEST_F(Ops, LinearWithBias) {
    const Reals x = ramp<double>(2 * 3 * 4, 1), w = ramp<double>(5 * 4, 2), c = ramp<double>(5, 3);
    Input X("X", f64, {b, m, k}), W("W", f64, {n, k}), C("C", f64, {n});
    const Func y = ops::linear("y", X, W, C);
    Reals want = product(x, transposed(w, 5, 4), 6, 5, 4);
    for (size_t e = 0; e < want.size(); ++e) want[e] += c[e % 5];
    expect_near(run<double>(Algorithm({y}, {X, W, C}),
                            {{"X", reals({2, 3, 4}, x)}, {"W", reals({5, 4}, w)}, {"C", reals({5}, c)}}, {2, 3, 5}),
                want);
}

TEST_F(Ops, ConvolutionOverStridesPaddingDilation) {
    Dim h("h"), w("w"), c("c"), o("o"), kh("kh", 3), kw("kw", 2);
    Input image("image", f64, {b, h, w, c}), weight("weight", f64, {kh, kw, c, o}), bias("bias", f64, {o});
    const int H = 7, W = 5, C = 2, O = 3;
    const Reals x = ramp<double>(2 * H * W * C, 1), v = ramp<double>(3 * 2 * C * O, 2), add = ramp<double>(O, 3);
    for (const int stride : {1, 2, 3})
        for (const int padding : {0, 1, 2})
            for (const int dilation : {1, 2})
                for (const bool whole : {true, false}) {
                    const ops::Window window{stride, padding, dilation};
                    const Func y = ops::conv2d("y", whole ? Tensor(image) : image * 1.0, weight, bias, {window, window});
                    const int oh = (H + 2 * padding - dilation * 2 - 1) / stride + 1,
                              ow = (W + 2 * padding - dilation - 1) / stride + 1;
                    Reals want;
                    for (int n_ = 0; n_ < 2; ++n_)
                        for (int p = 0; p < oh; ++p)
                            for (int q = 0; q < ow; ++q)
                                for (int f = 0; f < O; ++f) {
                                    double total = add[static_cast<size_t>(f)];
                                    for (int r = 0; r < 3; ++r)
                                        for (int s = 0; s < 2; ++s)
                                            for (int g = 0; g < C; ++g) {
                                                const int yy = p * stride + r * dilation - padding,
                                                          xx = q * stride + s * dilation - padding;
                                                if (yy < 0 || yy >= H || xx < 0 || xx >= W) continue;
                                                total += x[static_cast<size_t>(((n_ * H + yy) * W + xx) * C + g)] *
                                                         v[static_cast<size_t>(((r * 2 + s) * C + g) * O + f)];
                                            }
                                    want.push_back(total);
                                }
                    expect_near(
                        run<double>(
                            Algorithm({y}, {image, weight, bias}),
                            {{"image", reals({2, H, W, C}, x)}, {"weight", reals({3, 2, C, O}, v)}, {"bias", reals({O}, add)}},
                            {2, oh, ow, O}),
                        want);
                }
    EXPECT_EQ(thrown([&] { (void)ops::conv2d("y", image, weight, {}, {.y = {.stride = 0}}); }).substr(0, 5), "E0105");
}

TEST_F(Ops, PoolingSeesOnlyTheImage) {
    Dim h("h"), w("w"), c("c");
    Input image("image", f64, {h, w, c});
    const int H = 7, W = 6, C = 2;
    const Reals x = ramp<double>(H * W * C, 5);
    for (const int padding : {0, 1})
        for (const bool largest : {true, false}) {
            const ops::PoolOptions options{.height = 3, .width = 2, .y = {2, padding, 1}, .x = {3, padding, 1}};
            const Func y = largest ? ops::max_pool2d("y", image, options) : ops::avg_pool2d("y", image, options);
            const int oh = (H + 2 * padding - 3) / 2 + 1, ow = (W + 2 * padding - 2) / 3 + 1;
            Reals want;
            for (int p = 0; p < oh; ++p)
                for (int q = 0; q < ow; ++q)
                    for (int g = 0; g < C; ++g) {
                        double most = -1e300, total = 0, count = 0;
                        for (int yy = std::max(0, p * 2 - padding); yy < std::min(H, p * 2 - padding + 3); ++yy)
                            for (int xx = std::max(0, q * 3 - padding); xx < std::min(W, q * 3 - padding + 2); ++xx) {
                                const double e = x[static_cast<size_t>((yy * W + xx) * C + g)];
                                most = std::max(most, e);
                                total += e;
                                ++count;
                            }
                        want.push_back(largest ? most : total / count);
                    }
            expect_near(run<double>(Algorithm({y}, {image}), {{"image", reals({H, W, C}, x)}}, {oh, ow, C}), want);
        }
    EXPECT_EQ(thrown([&] { (void)ops::max_pool2d("y", image, {.y = {2, 5, 1}}); }).substr(0, 5), "E0105");
}

// Softmax and friends over the middle one of three dims.
struct Rows {
    static constexpr size_t outer = 2, length = 5, inner = 3;
    Reals x = ramp<double>(outer * length * inner, 7);
    template <class F>
    void each(F f) const {
        for (size_t p = 0; p < outer; ++p)
            for (size_t q = 0; q < inner; ++q) {
                std::vector<size_t> at;
                for (size_t r = 0; r < length; ++r) at.push_back((p * length + r) * inner + q);
                f(at);
            }
    }
    double total(const std::vector<size_t>& at) const {
        double t = 0;
        for (const size_t e : at) t += std::exp(x[e]);
        return t;
    }
};

TEST_F(Ops, SoftmaxFamily) {
    Input X("X", f64, {b, m, n});
    Rows rows;
    const interpreter::Inputs inputs{{"X", reals({2, 5, 3}, rows.x)}};
    Reals soft(rows.x.size()), logs(rows.x.size()), totals;
    rows.each([&](const std::vector<size_t>& at) {
        totals.push_back(std::log(rows.total(at)));
        for (const size_t e : at) soft[e] = std::exp(rows.x[e]) / rows.total(at), logs[e] = rows.x[e] - totals.back();
    });
    expect_near(run<double>(Algorithm({ops::softmax("y", X, m)}, {X}), inputs, {2, 5, 3}), soft);
    expect_near(run<double>(Algorithm({ops::log_softmax("y", X, m)}, {X}), inputs, {2, 5, 3}), logs);
    expect_near(run<double>(Algorithm({ops::logsumexp("y", X, {m})}, {X}), inputs, {2, 3}), totals);
    const Algorithm a({ops::softmax("y", X, m)}, {X});
    EXPECT_EQ(a.funcs()[0].name(), "y/max");
    EXPECT_EQ(thrown([&] { (void)ops::softmax("y", X, k); }), "E0103 X has no dim k; its dims are [b, m, n]");
    Input I("I", i32, {n});
    EXPECT_EQ(thrown([&] { (void)ops::softmax("y", I, n); }), "E0202 softmax takes floats, but I is i32");
}

TEST_F(Ops, LargeNumbersDoNotOverflow) {
    Input X("X", f32, {n});
    const interpreter::Inputs inputs{{"X", filled<float>({3}, {1000.0f, 999.0f, -1000.0f})}};
    const std::vector<float> soft = run<float>(Algorithm({ops::softmax("y", X, n)}, {X}), inputs, {3});
    EXPECT_NEAR(soft[0], 1 / (1 + std::exp(-1.0)), 1e-6);
    EXPECT_EQ(soft[2], 0.0f);
    const std::vector<float> logistic = run<float>(Algorithm({ops::named("y", ops::sigmoid(X))}, {X}), inputs, {3});
    EXPECT_EQ(logistic[0], 1.0f);
    EXPECT_EQ(logistic[2], 0.0f);
    EXPECT_EQ(run<float>(Algorithm({ops::named("y", ops::softplus(X))}, {X}), inputs, {3})[0], 1000.0f);
    const float infinity = std::numeric_limits<float>::infinity();
    EXPECT_EQ(
        run<float>(Algorithm({ops::logsumexp("y", X, {n})}, {X}), {{"X", filled<float>({2}, {-infinity, -infinity})}}, {})[0],
        -infinity);
}

TEST_F(Ops, NormsScaleAndShift) {
    Input X("X", f64, {b, m, n}), scale("scale", f64, {n}), bias("bias", f64, {n});
    const Reals x = ramp<double>(2 * 3 * 7, 9), g = ramp<double>(7, 2), c = ramp<double>(7, 3);
    const interpreter::Inputs inputs{{"X", reals({2, 3, 7}, x)}, {"scale", reals({7}, g)}, {"bias", reals({7}, c)}};
    Reals layer, rms, spread;
    for (size_t r = 0; r < 6; ++r) {
        double mean = 0, variance = 0, square = 0;
        for (size_t e = 0; e < 7; ++e) mean += x[r * 7 + e] / 7, square += x[r * 7 + e] * x[r * 7 + e] / 7;
        for (size_t e = 0; e < 7; ++e) variance += (x[r * 7 + e] - mean) * (x[r * 7 + e] - mean) / 7;
        spread.push_back(variance * 7 / 6);
        for (size_t e = 0; e < 7; ++e) {
            layer.push_back((x[r * 7 + e] - mean) / std::sqrt(variance + 1e-5) * g[e] + c[e]);
            rms.push_back(x[r * 7 + e] / std::sqrt(square + 1e-6) * g[e]);
        }
    }
    expect_near(run<double>(Algorithm({ops::layer_norm("y", X, {n}, scale, bias)}, {X, scale, bias}), inputs, {2, 3, 7}), layer);
    interpreter::Inputs fewer = inputs;
    fewer.erase("bias");
    expect_near(run<double>(Algorithm({ops::rms_norm("y", X, {n}, scale)}, {X, scale}), fewer, {2, 3, 7}), rms);
    fewer.erase("scale");
    expect_near(run<double>(Algorithm({ops::variance("y", X, {n}, 1)}, {X}), fewer, {2, 3}), spread);
}

TEST_F(Ops, Activations) {
    Input X("X", f64, {n});
    const Reals x = ramp<double>(19, 4);
    const auto check = [&](const Tensor& t, const std::function<double(double)>& f) {
        Reals want;
        for (const double v : x) want.push_back(f(v));
        expect_near(run<double>(Algorithm({ops::named("y", t)}, {X}), {{"X", reals({19}, x)}}, {19}), want);
    };
    const auto logistic = [](double v) { return 1 / (1 + std::exp(-v)); };
    check(ops::relu(X), [](double v) { return std::max(v, 0.0); });
    check(ops::relu6(X), [](double v) { return std::min(std::max(v, 0.0), 6.0); });
    check(ops::leaky_relu(X, 0.1), [](double v) { return v < 0 ? 0.1 * v : v; });
    check(ops::elu(X), [](double v) { return v < 0 ? std::expm1(v) : v; });
    check(ops::sigmoid(X), logistic);
    check(ops::silu(X), [&](double v) { return v * logistic(v); });
    check(ops::softplus(X), [](double v) { return std::log1p(std::exp(v)); });
    check(ops::gelu(X), [](double v) { return 0.5 * v * (1 + std::erf(v / std::sqrt(2.0))); });
    check(ops::gelu(X, ops::Gelu::tanh),
          [](double v) { return 0.5 * v * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (v + 0.044715 * v * v * v))); });
}

// Queries at the end of the keys' sequence; rows without any key are 0.
Reals attended(const Reals& q, const Reals& k, const Reals& v, int nq, int nk, int d, int e, bool causal, double scale) {
    Reals out;
    for (int i = 0; i < nq; ++i) {
        Reals w(static_cast<size_t>(nk));
        double total = 0;
        for (int j = 0; j < nk; ++j) {
            double s = 0;
            for (int c = 0; c < d; ++c) s += q[static_cast<size_t>(i * d + c)] * k[static_cast<size_t>(j * d + c)];
            w[static_cast<size_t>(j)] = causal && j > i + nk - nq ? 0 : std::exp(s * scale);
            total += w[static_cast<size_t>(j)];
        }
        for (int c = 0; c < e; ++c) {
            double s = 0;
            for (int j = 0; j < nk; ++j) s += w[static_cast<size_t>(j)] * v[static_cast<size_t>(j * e + c)];
            out.push_back(total == 0 ? 0 : s / total);
        }
    }
    return out;
}

TEST_F(Ops, AttentionWithAndWithoutMask) {
    Dim queries("queries"), keys("keys"), d("d"), e("e");
    Input Q("Q", f64, {queries, d}), K("K", f64, {keys, d}), V("V", f64, {keys, e});
    for (const auto& [nq, nk] : std::vector<std::pair<int, int>>{{3, 5}, {5, 3}, {4, 4}})
        for (const bool causal : {false, true}) {
            const Reals q = ramp<double>(static_cast<size_t>(nq * 2), 1), k_ = ramp<double>(static_cast<size_t>(nk * 2), 2),
                        v = ramp<double>(static_cast<size_t>(nk * 3), 3);
            const Func y = ops::attention("y", Q, K, V, {.scale = 0.05, .causal = causal});
            expect_near(run<double>(Algorithm({y}, {Q, K, V}),
                                    {{"Q", reals({nq, 2}, q)}, {"K", reals({nk, 2}, k_)}, {"V", reals({nk, 3}, v)}}, {nq, 3}),
                        attended(q, k_, v, nq, nk, 2, 3, causal, 0.05));
        }
}

TEST_F(Ops, SelfAttentionOverBatches) {
    Dim t("t"), d("d");
    Input X("X", f64, {b, t, d});
    const Reals x = ramp<double>(2 * 4 * 3, 6);
    const Func y = ops::attention("y", X, X, X, {.causal = true});
    Reals want;
    for (size_t p = 0; p < 2; ++p) {
        const Reals one(x.begin() + static_cast<std::ptrdiff_t>(p * 12), x.begin() + static_cast<std::ptrdiff_t>(p * 12 + 12));
        const Reals rows = attended(one, one, one, 4, 4, 3, 3, true, 1 / std::sqrt(3.0));
        want.insert(want.end(), rows.begin(), rows.end());
    }
    expect_near(run<double>(Algorithm({y}, {X}), {{"X", reals({2, 4, 3}, x)}}, {2, 4, 3}), want);
}

TEST_F(Ops, CrossEntropyEmbeddingOneHot) {
    Dim classes("classes");
    Input logits("logits", f64, {b, classes}), labels("labels", i32, {b}), open("open", i32, {b}),
        table("table", f64, {classes, n});
    labels.values_in(0, classes.extent());
    const Reals x = ramp<double>(3 * 4, 2), rows = ramp<double>(4 * 2, 3);
    const std::vector<std::int32_t> at{3, 0, 2};
    Reals want, gathered, hot;
    for (size_t r = 0; r < 3; ++r) {
        double total = 0;
        for (size_t c = 0; c < 4; ++c) total += std::exp(x[r * 4 + c]), hot.push_back(static_cast<int>(c) == at[r]);
        want.push_back(std::log(total) - x[r * 4 + static_cast<size_t>(at[r])]);
        for (size_t c = 0; c < 2; ++c) gathered.push_back(rows[static_cast<size_t>(at[r]) * 2 + c]);
    }
    const auto label = filled<std::int32_t>({3}, at);
    expect_near(run<double>(Algorithm({ops::cross_entropy("y", logits, labels)}, {logits, labels}),
                            {{"logits", reals({3, 4}, x)}, {"labels", label}}, {3}),
                want);
    expect_near(run<double>(Algorithm({ops::embedding("y", table, labels)}, {table, labels}),
                            {{"table", reals({4, 2}, rows)}, {"labels", label}}, {3, 2}),
                gathered);
    Dim four("four", 4);
    expect_near(run<double>(Algorithm({ops::named("y", ops::one_hot(open, four, f64))}, {open}), {{"open", label}}, {3, 4}), hot);
    EXPECT_EQ(thrown([&] { (void)Algorithm({ops::cross_entropy("y", logits, open)}, {logits, open}); }).substr(0, 5), "E0402");
    EXPECT_EQ(thrown([&] { (void)ops::embedding("y", table, logits); }),
              "E0202 the index operand of embedding takes integers, but logits is f64");
}

TEST_F(Ops, HistogramScansAndReductions) {
    Dim bin("bin", 4);
    Input I("I", i32, {m, n}), X("X", f64, {m, n});
    const std::vector<std::int32_t> values{0, 3, 3, 1, 9, -1, 2, 3, 0, 0};
    const auto counts = filled<std::int32_t>({2, 5}, values);
    EXPECT_EQ(run<std::uint32_t>(Algorithm({ops::histogram("y", I, bin)}, {I}), {{"I", counts}}, {4}),
              (std::vector<std::uint32_t>{3, 1, 1, 3}));
    EXPECT_EQ(run<std::uint32_t>(Algorithm({ops::histogram("y", I, bin, {n})}, {I}), {{"I", counts}}, {2, 4}),
              (std::vector<std::uint32_t>{1, 1, 0, 2, 2, 0, 1, 1}));
    EXPECT_EQ(run<std::int32_t>(Algorithm({ops::cumsum("y", I, n)}, {I}), {{"I", counts}}, {2, 5}),
              (std::vector<std::int32_t>{0, 3, 6, 7, 16, -1, 1, 4, 4, 4}));
    EXPECT_EQ(run<std::int32_t>(Algorithm({ops::cumsum("y", I, n, {.exclusive = true, .reverse = true})}, {I}), {{"I", counts}},
                                {2, 5}),
              (std::vector<std::int32_t>{16, 13, 10, 9, 0, 5, 3, 0, 0, 0}));
    EXPECT_EQ(run<std::int64_t>(Algorithm({ops::argmax("y", I, n)}, {I}), {{"I", counts}}, {2}),
              (std::vector<std::int64_t>{4, 2}));
    EXPECT_EQ(run<std::int64_t>(Algorithm({ops::argmin("y", I, n)}, {I}), {{"I", counts}}, {2}),
              (std::vector<std::int64_t>{0, 0}));
    EXPECT_EQ(run<std::int32_t>(Algorithm({ops::sum("y", I, {Dim("...")})}, {I}), {{"I", counts}}, {}),
              (std::vector<std::int32_t>{20}));
    EXPECT_EQ(run<std::int32_t>(Algorithm({ops::max("y", I, {m})}, {I}), {{"I", counts}}, {5}),
              (std::vector<std::int32_t>{0, 3, 3, 1, 9}));
    EXPECT_EQ(run<std::int32_t>(Algorithm({ops::min("y", I, {m})}, {I}), {{"I", counts}}, {5}),
              (std::vector<std::int32_t>{-1, 2, 3, 0, 0}));
    EXPECT_EQ(run<std::int32_t>(Algorithm({ops::prod("y", I, {m})}, {I}), {{"I", counts}}, {5}),
              (std::vector<std::int32_t>{0, 6, 9, 0, 0}));
    const Reals x = ramp<double>(6, 2);
    expect_near(run<double>(Algorithm({ops::mean("y", X, {m})}, {X}), {{"X", reals({2, 3}, x)}}, {3}),
                {(x[0] + x[3]) / 2, (x[1] + x[4]) / 2, (x[2] + x[5]) / 2});
}

TEST_F(Ops, HalvesAreComputedInSingle) {
    Input A("A", f16, {m, k}), X("X", bf16, {n});
    const std::vector<float16> ones(3000, float16(1.0f));
    const Func C = ops::matmul("C", A, A, {.transpose_b = true});
    EXPECT_EQ(static_cast<float>(run<float16>(Algorithm({C}, {A}), {{"A", filled<float16>({1, 3000}, ones)}}, {1, 1})[0]),
              3000.0f);
    // (1 + u)(1 + u) - (1 + 2u) is u^2, which a product rounded to f16 loses.
    const float u = 0x1p-10f;
    Input P("P", f16, {k}), Q("Q", f16, {k});
    const Func dot = ops::matmul("dot", P, Q);
    const interpreter::Inputs factors{{"P", filled<float16>({2}, {float16(1 + u), float16(1)})},
                                      {"Q", filled<float16>({2}, {float16(1 + u), float16(-1 - 2 * u)})}};
    EXPECT_EQ(static_cast<float>(run<float16>(Algorithm({dot}, {P, Q}), factors, {})[0]), u * u);
    for (const Func& f : {ops::softmax("y", X, n), ops::layer_norm("y", X, {n}), ops::variance("y", X, {n}),
                          ops::named("y", ops::gelu(X)), ops::cumsum("y", X, n)})
        EXPECT_EQ(f.dtype(), bf16);
}

TEST_F(Ops, ResultsComposeUnderTheirNames) {
    Input X("X", f32, {b, k}), W("W", f32, {n, k}), C("C", f32, {n}), U("U", f32, {m, n});
    const Func hidden = ops::named("hidden", ops::gelu(ops::linear("first", X, W, C)));
    const Func y = ops::softmax("y", ops::linear("second", hidden, U), m);
    const Algorithm net({y}, {X, W, C, U});
    std::vector<std::string> names;
    for (const Func& f : net.funcs()) names.push_back(f.name());
    EXPECT_EQ(names, (std::vector<std::string>{"first", "hidden", "second", "y/max", "y/exp", "y/sum", "y"}));
}

}  // namespace
}  // namespace tessera
