#include "random_pipeline.h"

#include <tessera/tessera.h>
#include <tessera/tune_strategy.h>

#include <fmt/format.h>

#include <iterator>
#include <vector>

namespace tessera_tune {
namespace {

using namespace tessera;
using tune::Random;

constexpr std::int64_t largest_area = 400000;

class Builder {
public:
    explicit Builder(std::uint64_t number) : random_(number * 0x9e3779b97f4a7c15u + 1) {}

    RandomPipeline build() {
        switch (random_.below(8)) {
            case 0: return stencils();
            case 1: return rows();
            case 2: return products();
            case 3: return pyramid();
            case 4: return convolution();
            case 5: return reductions();
            case 6: return attention();
            default: return pointwise();
        }
    }

private:
    std::int64_t one_of(const std::vector<std::int64_t>& values) {
        return values[static_cast<std::size_t>(random_.below(static_cast<std::int64_t>(values.size())))];
    }
    std::string name(const std::string& stem) { return fmt::format("{}{}", stem, count_++); }
    std::int64_t image_size() { return one_of({96, 160, 250, 256, 384, 500, 640}); }

    // Cheap and dear scalar functions.
    Expr touched(const Expr& e) {
        switch (random_.below(6)) {
            case 0: return e * 1.5f + 0.25f;
            case 1: return max(e, 0.0f);
            case 2: return exp(e * 0.01f);
            case 3: return sqrt(abs(e) + 1.0f);
            case 4: return e * e;
            default: return select(e > 0.5f, e - 0.5f, e * 0.1f);
        }
    }

    // One stencil over `read`, or the two passes of a separable one.
    Func stencil(const Func& from, const Dim& y, const Dim& x) {
        const std::int64_t taps = one_of({2, 3, 3, 5});
        Dim r(name("r"), taps), s(name("s"), taps);
        const auto wrapped = [&](const Func& f, const Index& row, const Index& column) {
            return random_.chance(0.5) ? clamp(f)(row, column) : mirror(f)(row, column);
        };
        Func out(name("st"));
        if (random_.chance(0.5)) {
            Func across(name("ac"));
            across(y, x) = sum({s}, wrapped(from, y, x + s - taps / 2)) / static_cast<float>(taps);
            out(y, x) = sum({r}, wrapped(across, y + r - taps / 2, x)) / static_cast<float>(taps);
        } else
            out(y, x) = sum({r, s}, wrapped(from, y + r - taps / 2, x + s - taps / 2)) / static_cast<float>(taps * taps);
        return out;
    }

    RandomPipeline stencils() {
        Dim y("y"), x("x");
        Input in("in", f32, {y, x});
        Func f("start");
        f(y, x) = touched(in(y, x));
        const std::int64_t count = 1 + random_.below(3);
        std::vector<Func> stages{f};
        for (std::int64_t i = 0; i < count; ++i) {
            stages.push_back(stencil(stages.back(), y, x));
            if (random_.chance(0.5)) {
                Func g(name("pw"));
                g(y, x) = touched(stages.back()(y, x));
                stages.push_back(g);
            }
        }
        Func out("out");
        out(y, x) = random_.chance(0.5) ? stages.back()(y, x) - stages.front()(y, x) : touched(stages.back()(y, x));
        return {"stencils", Algorithm({out}, {in}), {{"y", image_size()}, {"x", image_size()}}};
    }

    RandomPipeline rows() {
        Dim b("b"), j("j");
        Input in("in", f32, {b, j});
        Func top("top"), total("total"), out("out");
        const bool softmax_like = random_.chance(0.5);
        if (softmax_like) {
            top(b) = max({j}, in(b, j));
            total(b) = sum({j}, exp(in(b, j) - top(b)));
            out(b, j) = exp(in(b, j) - top(b)) / total(b);
        } else {
            top(b) = mean({j}, in(b, j));
            total(b) = mean({j}, (in(b, j) - top(b)) * (in(b, j) - top(b)));
            out(b, j) = touched((in(b, j) - top(b)) / sqrt(total(b) + 1e-5f));
        }
        return {"rows", Algorithm({out}, {in}), {{"b", one_of({32, 100, 256, 512})}, {"j", one_of({64, 200, 512, 1000, 1024})}}};
    }

    RandomPipeline products() {
        const std::int64_t size = one_of({64, 96, 128, 192, 250, 256, 320});
        Dim m("m", size), n("n", one_of({64, 128, 200, 256})), k("k", one_of({64, 100, 128, 256}));
        Input A("A", f32, {m, k}), B("B", f32, {k, n}), bias("bias", f32, {n});
        Func C("C");
        const Expr product = sum({k}, A(m, k) * B(k, n));
        C(m, n) = random_.chance(0.5) ? touched(product + bias(n)) : product + bias(n);
        if (random_.chance(0.6)) return {"products", Algorithm({C}, {A, B, bias}), {}};
        Dim o("o", one_of({64, 128, 192}));
        Input W("W", f32, {n, o});
        Func D("D");
        D(m, o) = sum({n}, C(m, n) * W(n, o));
        return {"products", Algorithm({D}, {A, B, bias, W}), {}};
    }

    RandomPipeline pyramid() {
        Dim y("y"), x("x"), r("r", 2), s("s", 2), v("v"), u("u");
        Input in("in", f32, {y, x});
        Func half("half"), smooth("smooth"), out("out");
        half(v, u) = sum({r, s}, clamp(in)(v * 2 + r, u * 2 + s)) / 4.0f;
        Dim t("t", 3);
        smooth(v, u) = sum({t}, half(v + t - 1, u)) / 3.0f;
        const Expr back = random_.chance(0.5) ? smooth(y / 2, x / 2) : half(y / 2, x / 2) + smooth(y / 2, x / 2);
        out(y, x) = random_.chance(0.5) ? in(y, x) - back : touched(in(y, x) * back);
        return {"pyramid", Algorithm({out}, {in}), {{"y", image_size()}, {"x", image_size()}}};
    }

    RandomPipeline convolution() {
        const std::int64_t taps = one_of({1, 3, 3});
        const std::int64_t rows = one_of({28, 56, 64}), columns = one_of({28, 56, 64}), channels = one_of({8, 16, 32});
        Dim co("co", channels), ci("ci", one_of({3, 8, 16})), y("y", rows), x("x", columns);
        Dim r("r", taps), s("s", taps), iy("iy", rows + taps - 1), ix("ix", columns + taps - 1);
        Input in("in", f32, {ci, iy, ix}), weights("weights", f32, {co, ci, r, s}), bias("bias", f32, {co});
        Func out("out");
        if (random_.chance(0.3)) {  // each channel by itself
            Dim c("c", channels);
            Input image("image", f32, {c, iy, ix}), taps_of("taps_of", f32, {c, r, s});
            const Expr total = sum({r, s}, image(c, y + r, x + s) * taps_of(c, r, s));
            out(c, y, x) = random_.chance(0.5) ? touched(total) : total;
            return {"convolution", Algorithm({out}, {image, taps_of}), {}};
        }
        Func conv("conv");
        conv(co, y, x) = sum({ci, r, s}, in(ci, y + r, x + s) * weights(co, ci, r, s)) + bias(co);
        if (random_.chance(0.4)) {
            Dim py("py", rows / 2), px("px", columns / 2), u("u", 2), v("v", 2);
            out(co, py, px) = max({u, v}, conv(co, py * 2 + u, px * 2 + v));
        } else
            out(co, y, x) = touched(conv(co, y, x));
        return {"convolution", Algorithm({out}, {in, weights, bias}), {}};
    }

    // Along columns, along rows, or of both.
    RandomPipeline reductions() {
        Dim b("b"), j("j");
        Input in("in", f32, {b, j}), w("w", f32, {j});
        Func prepared("prepared"), total("total"), out("out");
        const bool stored = random_.chance(0.5);
        prepared(b, j) = touched(in(b, j)) * w(j);
        const Expr value = stored ? Expr(prepared(b, j)) : in(b, j) * w(j);
        switch (random_.below(3)) {
            case 0:
                total(j) = sum({b}, value);
                out(b, j) = touched(in(b, j) - total(j));
                break;
            case 1:
                total(b) = random_.chance(0.5) ? max({j}, value) : sum({j}, value * value);
                out(b) = touched(total(b));
                break;
            default: total(j) = mean({b}, value); out(j) = mean({b}, (in(b, j) - total(j)) * (in(b, j) - total(j)));
        }
        return {
            "reductions", Algorithm({out}, {in, w}), {{"b", one_of({32, 100, 256, 512})}, {"j", one_of({64, 200, 512, 1000})}}};
    }

    RandomPipeline attention() {
        Dim i("i", one_of({32, 64, 96})), j("j", one_of({32, 64, 128})), d("d", one_of({16, 32, 64})),
            e("e", one_of({16, 32, 64}));
        Input q("q", f32, {i, d}), k("k", f32, {j, d}), v("v", f32, {j, e});
        Func scores("scores"), weights("weights"), total("total"), out("out");
        scores(i, j) = sum({d}, q(i, d) * k(j, d)) * 0.125f;
        if (random_.chance(0.5)) {
            weights(i, j) = touched(scores(i, j));
            out(i, e) = sum({j}, weights(i, j) * v(j, e));
        } else {
            Func top("top");
            top(i) = max({j}, scores(i, j));
            weights(i, j) = exp(scores(i, j) - top(i));
            total(i) = sum({j}, weights(i, j));
            out(i, e) = sum({j}, weights(i, j) * v(j, e)) / total(i);
        }
        return {"attention", Algorithm({out}, {q, k, v}), {}};
    }

    RandomPipeline pointwise() {
        Dim y("y"), x("x");
        Input a("a", f32, {y, x}), b("b", f32, {y, x}), c("c", f32, {x});
        Func first("first"), out("out");
        first(y, x) = touched(a(y, x) + c(x)) * b(y, x);
        Expr value = first(y, x);
        for (std::int64_t i = random_.below(4); i > 0; --i) {
            Func g(name("pw"));
            g(y, x) = touched(value + a(y, x) * 0.5f);
            value = g(y, x);
        }
        out(y, x) = value;
        return {"pointwise", Algorithm({out}, {a, b, c}), {{"y", image_size()}, {"x", image_size()}}};
    }

    Random random_;
    int count_ = 0;
};

}  // namespace

RandomPipeline random_pipeline(std::uint64_t number, int shape) {
    RandomPipeline out = Builder(number).build();
    Random random(number * 31 + static_cast<std::uint64_t>(shape));
    if (shape == 0) return out;
    static constexpr std::int64_t sizes[] = {24, 48, 80, 128, 200, 300, 333, 512, 700, 1024};
    std::int64_t points = 0;
    do {
        points = 1;
        for (auto& [dim, extent] : out.extents) points *= extent = sizes[random.below(std::size(sizes))];
    } while (points > largest_area);
    return out;
}

}  // namespace tessera_tune
