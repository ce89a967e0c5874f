#include "cuda/corpus.h"

#include "cuda/corpus_loops.h"

#include <stdexcept>

namespace tessera::cuda_test {
namespace {

CorpusKernel pointwise() {
    Dim y("y"), x("x");
    Input a("a", f32, {y, x}), b("b", bf16, {x});
    Scalar alpha("alpha", f32);
    Func out("out");
    out(y, x) = exp(alpha * a(y, x)) + cast(f32, b(x)) * tanh(a(y, x));
    Schedule s;
    loops(s.stage("out").root(), {block("y"), block("x", 128, "xb"), thread("x")});
    return {"pointwise", Algorithm({out}, {a, b, alpha}), s, {{{"y", 1}, {"x", 1}}, {{"y", 3}, {"x", 300}}}, 0};
}

// 8-bit floats are read, scaled in f32, and stored held at the largest, or as they are beyond it.
CorpusKernel float8() {
    Dim y("y"), x("x");
    Input a("a", f8e4m3, {y, x}), b("b", f32, {x}), c("c", f8e5m2, {x});
    Scalar scale("scale", f8e5m2);
    Func out("out"), held("held");
    const Expr v = cast(f32, a(y, x)) * exp(b(x) * 3.0f) + cast(f32, c(x) * scale);
    out(y, x) = cast(f8e4m3, v);
    held(y, x) = saturate_cast(f8e5m2, v * 1000.0f);
    Schedule s;
    loops(s.stage("out").root(), {block("y"), block("x", 128, "xb"), thread("x")});
    loops(s.stage("held").root(), {block("y"), block("x", 128, "xb"), thread("x", 4, "xt"), vector("x")});
    return {"float8", Algorithm({out, held}, {a, b, c, scale}), s, {{{"y", 1}, {"x", 1}}, {{"y", 3}, {"x", 300}}}, 0};
}

// Four cells an access where a block's part is whole and rows lie at multiples of 16 bytes.
CorpusKernel vectors() {
    Dim y("y"), x("x");
    Input a("a", f32, {y, x}), b("b", f32, {x});
    Func out("out");
    out(y, x) = a(y, x) * 0.5f + b(x) * a(y, x);
    Schedule s;
    loops(s.stage("out").root(),
          {block("y"), block("x", 256, "xb"), kind(LoopKind::unroll, "x", 128, "xu"), thread("x", 4, "xt"), vector("x")});
    return {"vectors", Algorithm({out}, {a, b}), s, {{{"y", 1}, {"x", 1}}, {{"y", 3}, {"x", 520}}, {{"y", 2}, {"x", 521}}}, 0};
}

CorpusKernel integers() {
    Dim x("x");
    Input a("a", i32, {x}), b("b", u8, {x});
    Func out("out");
    out(x) = select(b(x) == 0, a(x) % 7, a(x) / cast(i32, b(x)) + cast(i32, cast(u8, a(x) * 3)));
    Schedule s;
    loops(s.stage("out").root(), {block("x", 64, "xb"), thread("x")});
    return {"integers", Algorithm({out}, {a, b}), s, {{{"x", 1}}, {{"x", 331}}}, 0};
}

struct Blur {
    Dim y{"y"}, x{"x"}, r{"r", 3};
    Input photo{"photo", u8, {y, x}};
    Func rows{"rows"}, blur{"blur"};
    Blur() {
        rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - 1)));
        blur(y, x) = cast(u8, sum({r}, clamp(rows)(y + r - 1, x)) / 9);
    }
};

// The rows of a tile and its halo in shared memory.
CorpusKernel blur() {
    const Blur b;
    Schedule s;
    loops(s.stage("blur").root(), {block("y", 8, "yb"), block("x", 32, "xb"), thread("y"), thread("x")});
    loops(s.stage("rows").at("blur", "xb"), {thread("y"), thread("x")}).space(Space::shared);
    return {"blur", Algorithm({b.blur}, {b.photo}), s, {{{"y", 1}, {"x", 1}}, {{"y", 19}, {"x", 45}}}, 0};
}

// Two kernels with the rows in device memory between them.
CorpusKernel blur_two_kernels() {
    const Blur b;
    Schedule s;
    loops(s.stage("blur").root(), {block("y"), block("x", 64, "xb"), thread("x")});
    loops(s.stage("rows").root(), {block("y"), block("x", 64, "xb"), thread("x")});
    return {"blur_two_kernels", Algorithm({b.blur}, {b.photo}), s, {{{"y", 1}, {"x", 1}}, {{"y", 7}, {"x", 130}}}, 0};
}

// Input tile with its halo in shared memory; the boundary condition moves into the copy.
CorpusKernel stencil() {
    Dim y("y"), x("x");
    Input u("u", f32, {y, x});
    Func next("next");
    const Bounded e = clamp(u);
    next(y, x) = e(y, x) + (e(y - 1, x) + e(y + 1, x) + e(y, x - 1) + e(y, x + 1) - 4.0f * e(y, x)) * 0.125f;
    Schedule s;
    loops(s.stage("next").root(), {block("y", 16, "yb"), block("x", 16, "xb"), thread("y"), thread("x")});
    loops(s.copy("u.s", "u", {"next"}).at("next", "xb"), {thread("y"), thread("x")}).space(Space::shared);
    return {"stencil", Algorithm({next}, {u}), s, {{{"y", 1}, {"x", 1}}, {{"y", 33}, {"x", 21}}}, 0};
}

CorpusKernel transposed() {
    Dim y("y"), x("x");
    Input a("a", f32, {y, x});
    Func t("t");
    t(x, y) = a(y, x);
    Schedule s;
    loops(s.stage("t").root(), {block("x", 32, "xb"), block("y", 32, "yb"), thread("x", 4, "xt"), thread("y"), unroll("x")});
    loops(s.copy("a.s", "a", {"t"}).at("t", "yb"), {thread("y", 4, "yt"), thread("x"), unroll("y")})
        .space(Space::shared)
        .align("x", 33);
    return {"transposed", Algorithm({t}, {a}), s, {{{"y", 1}, {"x", 1}}, {{"y", 45}, {"x", 70}}}, 0};
}

CorpusKernel matmul_simt() {
    Dim m("m"), n("n"), k("k");
    Input A("A", f32, {m, k}), B("B", f32, {k, n}), bias("bias", f32, {n});
    Func C("C");
    C(m, n) = relu(sum({k}, A(m, k) * B(k, n)) + bias(n));
    Schedule s;
    loops(s.stage("C").root(),
          {block("m", 32, "mb"), block("n", 32, "nb"), thread("m", 4, "mt"), thread("n", 4, "nt"), unroll("m"), unroll("n")});
    loops(s.stage("C.sum").at("C", "nb"),
          {serial("k", 8, "ks"), thread("m", 4, "mt"), thread("n", 4, "nt"), unroll("k"), unroll("m"), unroll("n")})
        .space(Space::register_);
    loops(s.copy("A.s", "A", {"C.sum"}).at("C.sum", "ks"), {thread("m"), thread("k")}).space(Space::shared);
    loops(s.copy("B.s", "B", {"C.sum"}).at("C.sum", "ks"), {thread("k"), thread("n")}).space(Space::shared);
    return {
        "matmul_simt", Algorithm({C}, {A, B, bias}), s, {{{"m", 1}, {"n", 1}, {"k", 1}}, {{"m", 40}, {"n", 67}, {"k", 21}}}, 21};
}

Func softmax_rows(const Input& a, const Dim& r, const Dim& c) {
    Func m("m"), e("e"), l("l"), out("out");
    Dim j("c", c.extent());
    m(r) = max({c}, a(r, c));
    e(r, c) = exp(a(r, c) - m(r));
    l(r) = sum({c}, e(r, c));
    out(r, c) = e(r, c) / l(r);
    return out;
}

// A block a row: registers, lanes, warps.
CorpusKernel softmax_block() {
    Dim r("r"), c("c");
    Input a("a", f32, {r, c});
    const Func out = softmax_rows(a, r, c);
    Schedule s;
    loops(s.stage("out").root(), {block("r", 0, "row"), thread("c")});
    for (const char* stage : {"m.max", "l.sum"}) loops(s.stage(stage).at("out", "row"), {thread("c")});
    return {"softmax_block", Algorithm({out}, {a}), s, {{{"r", 1}, {"c", 1}}, {{"r", 3}, {"c", 700}}}, 700};
}

// A block a row, which its threads hold in registers.
CorpusKernel softmax_registers() {
    Dim r("r"), c("c", 512);
    Input a("a", f32, {r, c});
    const Func out = softmax_rows(a, r, c);
    Schedule s;
    const std::vector<LoopSpec> cells{kind(LoopKind::unroll, "c", 128, "cu"), thread("c")};
    loops(s.stage("out").root(), {block("r", 0, "row"), cells[0], cells[1]});
    for (const char* stage : {"m.max", "l.sum"}) loops(s.stage(stage).at("out", "row"), cells);
    loops(s.copy("a.r", "a", {"m.max", "e"}).at("out", "row"), cells).space(Space::register_);
    loops(s.stage("e").at("out", "row"), cells).space(Space::register_);
    s.kernels["out"].threads = 128;
    return {"softmax_registers", Algorithm({out}, {a}), s, {{{"r", 1}}, {{"r", 3}}}, 512};
}

// A warp a row.
CorpusKernel softmax_warp() {
    Dim r("r"), c("c");
    Input a("a", f32, {r, c});
    const Func out = softmax_rows(a, r, c);
    Schedule s;
    loops(s.stage("out").root(), {block("r", 4, "rows"), kind(LoopKind::warp, "r", 0, "row"), kind(LoopKind::lane, "c")});
    for (const char* stage : {"m.max", "l.sum"}) loops(s.stage(stage).at("out", "row"), {kind(LoopKind::lane, "c")});
    return {"softmax_warp", Algorithm({out}, {a}), s, {{{"r", 1}, {"c", 1}}, {{"r", 9}, {"c", 77}}}, 77};
}

CorpusKernel layer_norm_rows() {
    Dim r("r"), c("c");
    Input a("a", f32, {r, c}), gamma("gamma", f32, {c});
    Func mean_("mean"), var("var"), out("out");
    mean_(r) = sum({c}, a(r, c)) / cast(f32, Expr(c.extent()));
    var(r) = sum({c}, (a(r, c) - mean_(r)) * (a(r, c) - mean_(r))) / cast(f32, Expr(c.extent()));
    out(r, c) = (a(r, c) - mean_(r)) / sqrt(var(r) + 1e-5f) * gamma(c);
    Schedule s;
    loops(s.stage("out").root(), {block("r", 0, "row"), thread("c")});
    for (const char* stage : {"mean.sum", "var.sum"}) loops(s.stage(stage).at("out", "row"), {thread("c")});
    s.kernels["out"].threads = 128;
    return {"layer_norm", Algorithm({out}, {a, gamma}), s, {{{"r", 1}, {"c", 1}}, {{"r", 2}, {"c", 333}}}, 333};
}

CorpusKernel argmax_rows() {
    Dim r("r"), c("c");
    Input a("a", f32, {r, c});
    Func out("out");
    out(r) = argmax({c}, a(r, c));
    Schedule s;
    loops(s.stage("out").root(), {block("r", 0, "row")});
    s.stage("out.argmax").at("out", "row").loop(thread("c"));
    return {"argmax_rows", Algorithm({out}, {a}), s, {{{"r", 1}, {"c", 1}}, {{"r", 5}, {"c", 90}}}, 0};
}

// One block fills the bins in shared memory by atomic updates.
CorpusKernel histogram() {
    Dim i("i"), b("b", 16);
    Input v("v", u8, {i});
    Func h("h");
    h(b) = scatter(plus, {to(b, v(i) / 16)}, {i}, cast(u32, 1));
    Schedule s;
    loops(s.stage("h").root(), {block("b", 16, "all"), thread("b")});
    StageEdit bins = loops(s.stage("h.scatter").at("h", "all"), {thread("i")}).space(Space::shared).method(Method::atomic);
    bins.init({thread("b")});
    s.kernels["h"].threads = 128;
    return {"histogram", Algorithm({h}, {v}), s, {{{"i", 1}}, {{"i", 1000}}}, 0};
}

// All blocks update bins in device memory.
CorpusKernel histogram_global() {
    Dim y("y"), x("x"), b("b", 16);
    Input v("v", u8, {y, x});
    Func h("h");
    h(b) = scatter(plus, {to(b, v(y, x) / 16)}, {y, x}, cast(i32, 2));
    Schedule s;
    loops(s.stage("h").root(), {block("b", 16, "all"), thread("b")});
    loops(s.stage("h.scatter").root(), {block("y"), thread("x")}).method(Method::atomic).init({thread("b")});
    return {"histogram_global", Algorithm({h}, {v}), s, {{{"y", 1}, {"x", 1}}, {{"y", 5}, {"x", 333}}}, 0};
}

CorpusKernel prefix_sum() {
    Dim r("r"), t("t");
    Input a("a", f32, {r, t});
    Func out("out");
    out(r, t) = scan(plus, t, a(r, t));
    Schedule s;
    loops(s.stage("out").root(), {block("r", 32, "rb"), thread("r"), serial("t")});
    loops(s.stage("out.scan").root(), {block("r", 32, "rb"), thread("r"), serial("t")})
        .init({block("r", 32, "rb"), thread("r"), serial("t")});
    return {"prefix_sum", Algorithm({out}, {a}), s, {{{"r", 1}, {"t", 1}}, {{"r", 40}, {"t", 9}}}, 0};
}

// A block a row: four steps a thread, 256 a round; the next round starts from what the last one left in device memory.
CorpusKernel scan_block() {
    Dim r("r"), t("t");
    Input a("a", f32, {r, t});
    Func out("out");
    out(r, t) = scan(plus, t, a(r, t));
    Schedule s;
    loops(s.stage("out").root(), {block("r"), block("t", 256, "tb"), thread("t")});
    const std::vector<LoopSpec> steps{block("r"), serial("t", 256, "round"), thread("t", 4, "own"), serial("t")};
    loops(s.stage("out.scan").root(), steps).method(Method::blocked).init({block("r"), thread("t")});
    loops(s.copy("a.s", "a", {"out.scan"}).at("out.scan", "round"), {thread("t")}).space(Space::shared);
    s.kernels["out.scan"].threads = 96;
    return {"scan_block", Algorithm({out}, {a}), s, {{{"r", 1}, {"t", 1}}, {{"r", 3}, {"t", 700}}}, 700};
}

// Every warp of a block of 32 in one round, exclusive, in the block's memory.
CorpusKernel scan_integers() {
    Dim t("t");
    t.at_most(5000);
    Input a("a", u8, {t});
    Func out("out");
    out(t) = scan(plus, t, cast(i32, a(t)), {.exclusive = true});
    Schedule s;
    loops(s.stage("out").root(), {block("t", 8192, "all"), thread("t")});
    loops(s.stage("out.scan").at("out", "all"), {serial("t", 2048, "round"), thread("t", 2, "own"), unroll("t")})
        .method(Method::blocked)
        .init({thread("t")});
    return {"scan_integers", Algorithm({out}, {a}), s, {{{"t", 1}}, {{"t", 3001}}}, 0};
}

// A warp a row, backwards, of a pair of values whose combination does not commute: y = p y + q from the end.
CorpusKernel scan_affine_warp() {
    Dim r("r"), t("t", 77);
    Input p("p", f32, {r, t}), q("q", f32, {r, t});
    const Monoid affine = monoid(
        "affine",
        [](const std::vector<DType>&) {
            return Tuple{1, 0};
        },
        [](const Tuple& a, const Tuple& b) {
            return Tuple{a[0] * b[0], a[1] * b[0] + b[1]};
        },
        {.commutative = false});
    Func out("out");
    out(r, t) = scan(affine, t, {0.5f * tanh(p(r, t)), q(r, t)}, {.reverse = true})[1];
    Schedule s;
    const std::vector<LoopSpec> cells{warp("r"), kind(LoopKind::lane, "t")};
    loops(s.stage("out").root(), {block("r", 4, "rows"), cells[0], cells[1]});
    loops(s.stage("out.scan").at("out", "rows"),
          {warp("r"), serial("t", 64, "round"), kind(LoopKind::lane, "t", 2, "own"), serial("t")})
        .method(Method::blocked)
        .init({thread("r"), thread("t")});
    return {"scan_affine_warp", Algorithm({out}, {p, q}), s, {{{"r", 1}}, {{"r", 6}}}, 77};
}

// A partial a thread, then one thread adds them.
CorpusKernel total() {
    Dim x("x");
    Input a("a", f32, {x});
    Func out("out");
    out() = sum({x}, a(x));
    Schedule s;
    s.stage("out").root();
    loops(s.partial("part", "out.sum", {"x/256"}).root(), {block("x/256", 32, "pb"), thread("x/256"), serial("x")});
    s.stage("out.sum").root();
    return {"total", Algorithm({out}, {a}), s, {{{"x", 1}}, {{"x", 1000}}}, 1000};
}

// A serial recurrence along time, neighbours in threads.
CorpusKernel diffusion() {
    Dim t("t"), i("i");
    Input x("x", f32, {i});
    Func h("h"), out("out");
    recurrence(t, {{h(t, i), x(i)}}, [&](const Self& s) -> Tuple {
        const Expr old = s[0](t - 1, i);
        return {old + 0.25f * (select(i > 0, s[0](t - 1, i - 1), old) - old)};
    });
    out(t, i) = h(t, i);
    Schedule s;
    loops(s.stage("out").root(), {block("t"), thread("i")});
    s.stage("h.recurrence").root().loop(serial("t")).loop(thread("i"));
    return {"diffusion", Algorithm({out}, {x}), s, {{{"t", 1}, {"i", 1}}, {{"t", 4}, {"i", 70}}}, 0};
}

}  // namespace

const std::vector<CorpusKernel>& corpus() {
    static const std::vector<CorpusKernel> all = [] {
        std::vector<CorpusKernel> kernels{
            pointwise(),        float8(),           vectors(),    softmax_registers(), integers(),      blur(),
            blur_two_kernels(), stencil(),          transposed(), matmul_simt(),       softmax_block(), softmax_warp(),
            layer_norm_rows(),  argmax_rows(),      histogram(),  histogram_global(),  prefix_sum(),    scan_block(),
            scan_integers(),    scan_affine_warp(), total(),      diffusion()};
        for (CorpusKernel& k : tensor_core_corpus()) kernels.push_back(std::move(k));
        for (CorpusKernel& k : attention_corpus()) kernels.push_back(std::move(k));
        for (CorpusKernel& k : written_corpus()) kernels.push_back(std::move(k));
        return kernels;
    }();
    return all;
}

bool is_emulated_wide(const CorpusKernel& kernel) {
    return kernel.name == "blur" || kernel.name == "matmul_simt" || kernel.name == "softmax_block" || kernel.name == "stencil" ||
           kernel.name == "vectors";
}

bool runs_on(const CorpusKernel& kernel, const std::string& target) {
    return kernel.target == "cuda-sm_80" || kernel.target == target;
}

const CorpusKernel& corpus_kernel(const std::string& name) {
    for (const CorpusKernel& k : corpus())
        if (k.name == name) return k;
    throw std::out_of_range(name);
}

}  // namespace tessera::cuda_test
