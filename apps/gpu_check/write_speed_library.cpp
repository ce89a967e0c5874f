// write_speed_library FOLDER ARCH: gpu_speed.a and gpu_speed.h, the kernels that `gpu_check libraries` times: definitions with
// schedules for the GPU and kernels that are written tile by tile, compiled ahead of time as a program's are.
#include <tessera/library.h>
#include <tessera/tessera.h>

#include <cstdio>

#include "../gpu_kernels/flash_attention.h"
#include "../gpu_kernels/flash_attention_backward.h"

using namespace tessera;

namespace {

LoopSpec over(LoopKind as, const char* dim, std::int64_t tile = 0, const char* name = "") {
    LoopSpec l{.dim = dim, .as = as, .name = name};
    if (tile != 0) l.tile = tile;
    return l;
}
LoopSpec block(const char* dim, std::int64_t tile = 0, const char* name = "") { return over(LoopKind::block, dim, tile, name); }
LoopSpec thread(const char* dim, std::int64_t tile = 0, const char* name = "") { return over(LoopKind::thread, dim, tile, name); }
LoopSpec unroll(const char* dim, std::int64_t tile = 0, const char* name = "") { return over(LoopKind::unroll, dim, tile, name); }
LoopSpec serial(const char* dim, std::int64_t tile = 0, const char* name = "") { return over(LoopKind::serial, dim, tile, name); }
LoopSpec frag(const char* dim) { return over(LoopKind::frag, dim); }

StageEdit loops(StageEdit edit, const std::vector<LoopSpec>& specs) {
    for (const LoopSpec& l : specs) edit.loop(l);
    return edit;
}

LibraryKernel triad() {
    Dim i("i");
    Input a("a", f32, {i}), b("b", f32, {i});
    Func out("out");
    out(i) = a(i) * 0.5f + b(i);
    Schedule s;
    loops(s.stage("out").root(),
          {block("i", 2048, "ib"), unroll("i", 1024, "iu"), thread("i", 4, "it"), over(LoopKind::vector, "i")});
    return {"triad", Algorithm({out}, {a, b}), s};
}

// A block a row, which its threads hold in registers.
LibraryKernel softmax() {
    Dim r("r"), c("c", 4096);
    Input a("a", f32, {r, c});
    Func m("m"), e("e"), l("l"), out("out");
    m(r) = max({c}, a(r, c));
    e(r, c) = exp(a(r, c) - m(r));
    l(r) = sum({c}, e(r, c));
    out(r, c) = e(r, c) / l(r);
    Schedule s;
    loops(s.stage("out").root(), {block("r", 0, "row"), unroll("c", 256, "cu"), thread("c")});
    for (const char* stage : {"m.max", "l.sum"}) loops(s.stage(stage).at("out", "row"), {unroll("c", 256, "cu"), thread("c")});
    loops(s.copy("a.r", "a", {"m.max", "e"}).at("out", "row"), {unroll("c", 256, "cu"), thread("c")}).space(Space::register_);
    loops(s.stage("e").at("out", "row"), {unroll("c", 256, "cu"), thread("c")}).space(Space::register_);
    s.kernels["out"].threads = 256;
    return {"softmax", Algorithm({out}, {a}), s};
}

LibraryKernel layer_norm() {
    Dim r("r"), c("c", 4096);
    Input a("a", f32, {r, c}), gamma("gamma", f32, {c}), beta("beta", f32, {c});
    Func mean_("mean"), var("var"), out("out");
    mean_(r) = sum({c}, a(r, c)) / 4096.0f;
    var(r) = sum({c}, (a(r, c) - mean_(r)) * (a(r, c) - mean_(r))) / 4096.0f;
    out(r, c) = (a(r, c) - mean_(r)) / sqrt(var(r) + 1e-5f) * gamma(c) + beta(c);
    Schedule s;
    loops(s.stage("out").root(), {block("r", 0, "row"), unroll("c", 256, "cu"), thread("c")});
    for (const char* stage : {"mean.sum", "var.sum"})
        loops(s.stage(stage).at("out", "row"), {unroll("c", 256, "cu"), thread("c")});
    loops(s.copy("a.r", "a", {"mean.sum", "var.sum", "out"}).at("out", "row"), {unroll("c", 256, "cu"), thread("c")})
        .space(Space::register_);
    s.kernels["out"].threads = 256;
    return {"layer_norm", Algorithm({out}, {a, gamma, beta}), s};
}

LibraryKernel transposed() {
    Dim y("y"), x("x");
    Input a("a", f32, {y, x});
    Func t("t");
    t(x, y) = a(y, x);
    Schedule s;
    loops(s.stage("t").root(), {block("x", 64, "xb"), block("y", 64, "yb"), thread("x", 16, "xt"), thread("y"), unroll("x")});
    loops(s.copy("a.s", "a", {"t"}).at("t", "yb"), {thread("y", 16, "yt"), thread("x"), unroll("y")})
        .space(Space::shared)
        .align("x", 65);
    s.kernels["t"].threads = 256;
    return {"transposed", Algorithm({t}, {a}), s};
}

Algorithm blur_algorithm() {
    Dim y("y"), x("x");
    Input photo("photo", f32, {y, x});
    Func rows("rows"), out("blurred");
    rows(y, x) = (clamp(photo)(y, x - 1) + clamp(photo)(y, x) + clamp(photo)(y, x + 1)) * (1.0f / 3.0f);
    out(y, x) = (clamp(rows)(y - 1, x) + rows(y, x) + clamp(rows)(y + 1, x)) * (1.0f / 3.0f);
    return Algorithm({out}, {photo});
}

// The rows' sums of a tile in shared memory; what they read three times is in the L1 cache.
LibraryKernel blur() {
    Schedule s;
    loops(s.stage("blurred").root(),
          {block("y", 32, "yb"), block("x", 128, "xb"), thread("y", 16, "yt"), thread("x"), unroll("y")});
    loops(s.stage("rows").at("blurred", "xb"), {thread("y", 17, "yt"), thread("x"), unroll("y")}).space(Space::shared);
    s.kernels["blurred"].threads = 256;
    return {"blur", blur_algorithm(), s};
}

// A thread a column of 16 rows, without shared memory: nvcc computes what rows have in common once, as inputs are no outputs.
LibraryKernel blur_columns() {
    Schedule s;
    loops(s.stage("blurred").root(), {block("y", 16, "yb"), block("x", 128, "xb"), thread("x"), unroll("y")});
    s.kernels["blurred"].threads = 128;
    return {"blur_columns", blur_algorithm(), s};
}

// A block a row, eight cells of it a thread at a time.
LibraryKernel row_sums() {
    Dim r("r"), c("c");
    Input a("a", f32, {r, c});
    Func out("out");
    out(r) = sum({c}, a(r, c));
    Schedule s;
    s.stage("out").root().loop(block("r", 0, "row"));
    loops(s.stage("out.sum").at("out", "row"), {serial("c", 2048, "cs"), unroll("c", 256, "cu"), thread("c")});
    s.kernels["out"].threads = 256;
    return {"row_sums", Algorithm({out}, {a}), s};
}

// x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3). The factor of x, less 1/2, is an odd polynomial of x held at +-4,
// where it is +-1/2, fitted for the least error of the result: 2.2e-4 between them and 7e-5 outside, relative 6e-4 above 0, a
// third of what rounding to bf16 may do.
Expr gelu_tanh(const Expr& x) {
    const Expr held = clamp(x, -4.0f, 4.0f), square = held * held;
    Expr sum = fma(square, 2.347827141657142e-8f, -1.6412492270845055e-6f);
    for (const float c :
         {4.8945990661387125e-5f, -8.245975002956023e-4f, 8.81937560947405e-3f, -6.459835057755105e-2f, 3.9771489030395923e-1f})
        sum = fma(sum, square, c);
    return x * fma(held, sum, 0.5f);
}

// Whether a warpgroup copies for the others, the copy engine stores as well, two blocks share what they copy of B; of two
// consumers that take turns, how many warpgroups have a tile together.
struct Roles {
    bool any = false, boxes = false, cluster = false;
    std::int64_t in_turns = 0;
};

// Two warpgroups multiply what the copy engine brings iterations ahead; with roles, for another warpgroup and tile after tile.
LibraryKernel product(const char* name, bool gelu, std::int64_t n_tile, std::int64_t buffers, std::int64_t ctas,
                      const Roles& roles) {
    Dim m("m"), n("n"), k("k");
    Input A("A", bf16, {m, k}), B("B", bf16, {n, k}), bias("bias", f32, {n});
    Func C("C");
    const Expr biased = sum({k}, cast(f32, A(m, k)) * cast(f32, B(n, k))) + bias(n);
    C(m, n) = cast(bf16, gelu ? gelu_tanh(biased) : relu(biased));
    Schedule s;
    const std::int64_t m_tile = roles.in_turns > 0 ? 64 * roles.in_turns : 128;
    const LoopSpec rows = over(LoopKind::warpgroup, "m", 64, "mg"), columns = over(LoopKind::warpgroup, "n", n_tile, "ng");
    loops(s.stage("C").root(),
          {block("m", 1024, "mo"), block("n", n_tile, "nb"), block("m", roles.cluster ? 2 * m_tile : m_tile, "mb")});
    if (roles.cluster) s.stage("C").loop(over(LoopKind::cluster, "m", m_tile, "mc"));
    s.stage("C").loop(rows);
    // A part of the columns at a time, so that they have room beside the buffers.
    if (roles.boxes) s.stage("C").loop(unroll("n", roles.in_turns > 0 ? 64 : 128, "nh")).engine(Engine::tma);
    loops(s.stage("C"), {frag("m"), frag("n")});
    loops(s.stage("C.sum").at("C", roles.cluster ? "mc" : "mb"),
          {serial("k", 64, "ks"), rows, columns, frag("m"), frag("n"), frag("k")})
        .space(Space::register_)
        .mma("wgmma");
    for (const char* of : {"A", "B"}) {
        LoopSpec padded = thread("k", 64, "kt");
        padded.tail = Tail::pad;
        loops(s.copy(std::string(of) + ".s", of, {"C.sum"}).at("C.sum", "ks"),
              {padded, thread(of[0] == 'A' ? "m" : "n"), thread("k")})
            .space(Space::shared)
            .engine(Engine::tma)
            .buffers(buffers)
            .swizzle(Swizzle::bytes128);
    }
    s.kernels["C"].threads = roles.in_turns > 0 ? 128 * roles.in_turns : 256;
    s.kernels["C"].min_ctas = ctas;
    if (roles.in_turns > 0) {
        s.kernels["C"].overlap = Overlap::pingpong;
        s.kernels["C"].persistent = true;
        s.kernels["C"].producer_regs = 40;
        s.kernels["C"].consumer_regs = roles.in_turns == 1 ? 232 : 112;
    } else if (roles.any) {
        s.kernels["C"].overlap = Overlap::cooperative;
        s.kernels["C"].persistent = true;
        s.kernels["C"].producer_regs = 40;
        s.kernels["C"].consumer_regs = 232;
    }
    return {name, Algorithm({C}, {A, B, bias}), s};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    try {
        const std::string arch = argv[2];
        std::vector<LibraryKernel> kernels{triad(), softmax(), layer_norm(), transposed(), blur(), blur_columns(), row_sums()};
        kernels.push_back(library_kernel("flash_d64", gpu_kernels::flash_attention("attended", {.head = 64})));
        kernels.push_back(library_kernel("flash_d128", gpu_kernels::flash_attention("attended", {.head = 128, .warps = 8})));
        kernels.push_back(library_kernel("flash_d128_causal",
                                         gpu_kernels::flash_attention("attended", {.head = 128, .causal = true, .warps = 8})));
        for (const auto& [head, causal] : {std::pair<std::int64_t, bool>{64, false}, {128, false}, {128, true}}) {
            const std::string suffix = "_d" + std::to_string(head) + (causal ? "_causal" : "");
            const gpu_kernels::FlashShape forward{
                .head = head, .causal = causal, .statistics = true, .warps = head == 64 ? 4 : 8};
            kernels.push_back(library_kernel("flash_statistics" + suffix, gpu_kernels::flash_attention("attended", forward)));
            kernels.push_back(library_kernel("flash_by_queries" + suffix, gpu_kernels::flash_attention_by_queries(
                                                                              gpu_kernels::shape_by_queries(head, causal))));
            kernels.push_back(library_kernel("flash_by_keys" + suffix,
                                             gpu_kernels::flash_attention_by_keys(gpu_kernels::shape_by_keys(head, causal))));
        }
        if (arch == "sm_90a") {
            for (const std::int64_t head : {64, 128})
                for (const bool causal : {false, true})
                    kernels.push_back(
                        library_kernel("flash_grouped_d" + std::to_string(head) + (causal ? "_causal" : ""),
                                       gpu_kernels::flash_attention_grouped("attended", {.head = head, .causal = causal})));
            kernels.push_back(product("product_relu", false, 256, 4, 1, {true, true, true}));
            kernels.push_back(product("product_gelu", true, 256, 4, 1, {true, true, true}));
            kernels.push_back(product("product_relu_alone", false, 256, 4, 1, {true, true, false}));
            // A consumer's tile of 64 x 256, or of 128 x 128 by two warpgroups; the other one multiplies while it stores.
            kernels.push_back(product("product_relu_pingpong", false, 256, 5, 1, {true, true, true, 1}));
            kernels.push_back(product("product_gelu_pingpong", true, 256, 5, 1, {true, true, true, 1}));
            kernels.push_back(product("product_relu_pingpong_square", false, 128, 6, 1, {true, true, true, 2}));
            kernels.push_back(product("product_gelu_pingpong_square", true, 128, 6, 1, {true, true, true, 2}));
            // Stored by the threads themselves.
            kernels.push_back(product("product_relu_threads", false, 256, 4, 1, {true, false, false}));
            kernels.push_back(product("product_relu_blocks", false, 256, 4, 1, {}));
            // Two blocks on a multiprocessor: one stores while the other multiplies.
            kernels.push_back(product("product_relu_pair", false, 128, 3, 2, {}));
        }
        const LibraryFiles files =
            compile_library(kernels, parse_target("cuda-" + arch), "gpu_speed", argv[1], {.emit = {IrLevel::target}});
        std::printf("%s\n", files.archive.c_str());
        return 0;
    } catch (const std::exception& e) {
        std::printf("%s\n", e.what());
        return 1;
    }
}
