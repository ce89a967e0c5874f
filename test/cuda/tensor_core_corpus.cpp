#include <tessera/tf32.h>

#include <algorithm>

#include "cuda/corpus.h"
#include "cuda/corpus_loops.h"

namespace tessera::cuda_test {
namespace {

// A warp holds 32 x 32 of the product, tiles of both factors wait in shared memory, padded with zeros along k.
CorpusKernel matmul_mma(const std::string& name, DType dtype) {
    Dim m("m"), n("n"), k("k");
    Input A("A", dtype, {m, k}), B("B", dtype, {k, n}), bias("bias", f32, {n});
    Func C("C");
    C(m, n) = relu(sum({k}, cast(f32, A(m, k)) * cast(f32, B(k, n))) + bias(n));
    Schedule s;
    loops(s.stage("C").root(),
          {block("m", 64, "mb"), block("n", 64, "nb"), warp("m", 32, "mw"), warp("n", 32, "nw"), frag("m"), frag("n")});
    loops(s.stage("C.sum").at("C", "nb"),
          {serial("k", 32, "ks"), warp("m", 32, "mw"), warp("n", 32, "nw"), frag("m"), frag("n"), frag("k")})
        .space(Space::register_)
        .mma("m16n8k16");
    loops(s.copy("A.s", "A", {"C.sum"}).at("C.sum", "ks"), {padded(thread("k", 32, "kt")), thread("m"), thread("k")})
        .space(Space::shared)
        .align("k", 40);
    loops(s.copy("B.s", "B", {"C.sum"}).at("C.sum", "ks"), {padded(thread("k", 32, "kt")), thread("k"), thread("n")})
        .space(Space::shared)
        .align("n", 72);
    s.kernels["C"].threads = 128;
    return {name, Algorithm({C}, {A, B, bias}), s, {{{"m", 1}, {"n", 1}, {"k", 1}}, {{"m", 70}, {"n", 77}, {"k", 45}}}, 64};
}

/// Blocks of 2 x 2 warps and how deep the pipeline is.
struct Tiles {
    std::int64_t m, n, k, buffers;
};

// The stages of a product `C` whose copies cp_async moves iterations ahead, 16 bytes at a time, into swizzled rows.
void pipeline(Schedule& s, const Tiles& t) {
    loops(s.stage("C"), {block("m", t.m, "mb"), block("n", t.n, "nb"), warp("m", t.m / 2, "mw"), warp("n", t.n / 2, "nw"),
                         frag("m"), frag("n")});
    loops(s.stage("C.sum").at("C", "nb"),
          {serial("k", t.k, "ks"), warp("m", t.m / 2, "mw"), warp("n", t.n / 2, "nw"), frag("m"), frag("n"), frag("k")})
        .space(Space::register_)
        .mma("m16n8k16");
    s.kernels["C"].threads = 128;
}
/// The copy of a factor; `inner` is its last dim, of which one thread moves `cells` at once.
StageEdit copied(Schedule& s, const std::string& of, const Tiles& t, const std::string& outer, const std::string& inner,
                 std::int64_t cells) {
    return loops(s.copy(of + ".s", of, {"C.sum"}).at("C.sum", "ks"),
                 {padded(thread("k", t.k, "kt")), thread(outer), thread(inner, cells, "chunk"), vector(inner)})
        .space(Space::shared)
        .engine(Engine::cp_async)
        .buffers(t.buffers)
        .swizzle(Swizzle::xor_);
}

CorpusKernel matmul_pipelined(const std::string& name, DType dtype, const Tiles& t) {
    Dim m("m"), n("n"), k("k");
    Input A("A", dtype, {m, k}), B("B", dtype, {k, n}), bias("bias", f32, {n});
    Func C("C");
    C(m, n) = cast(dtype, relu(sum({k}, cast(f32, A(m, k)) * cast(f32, B(k, n))) + bias(n)));
    Schedule s;
    s.stage("C").root();
    pipeline(s, t);
    copied(s, "A", t, "m", "k", 8);
    copied(s, "B", t, "k", "n", 8);
    return {name,
            Algorithm({C}, {A, B, bias}),
            s,
            {{{"m", 1}, {"n", 1}, {"k", 1}},
             {{"m", 40}, {"n", t.n + 8}, {"k", 2 * t.k}},
             {{"m", t.m + 6}, {"n", 21}, {"k", 5 * t.k - 13}}},
            1,
            8};
}

// Both factors lie the other way round: (k, m) and (n, k).
CorpusKernel matmul_turned() {
    const Tiles t{64, 128, 64, 2};
    Dim m("m"), n("n"), k("k");
    Input A("A", bf16, {k, m}), B("B", bf16, {n, k});
    Func C("C");
    C(m, n) = sum({k}, cast(f32, A(k, m)) * cast(f32, B(n, k)));
    Schedule s;
    s.stage("C").root();
    pipeline(s, t);
    copied(s, "A", t, "k", "m", 8);
    copied(s, "B", t, "n", "k", 8);
    return {
        "matmul_turned", Algorithm({C}, {A, B}), s, {{{"m", 1}, {"n", 1}, {"k", 1}}, {{"m", 70}, {"n", 18}, {"k", 150}}}, 150, 8};
}

// Bytes, with sums in i32 that are the same in every order, and a factor a row of the result at the end.
CorpusKernel matmul_bytes(const std::string& name, DType dtype) {
    const Tiles t{64, 64, 64, 3};
    Dim m("m"), n("n"), k("k");
    Input A("A", dtype, {m, k}), B("B", dtype, {n, k}), scale("scale", f32, {n});
    Func C("C");
    C(m, n) = cast(f32, sum({k}, cast(i32, A(m, k)) * cast(i32, B(n, k)))) * scale(n);
    Schedule s;
    s.stage("C").root();
    pipeline(s, t);
    s.stage("C.sum").mma("m16n8k32");
    copied(s, "A", t, "m", "k", 16);
    copied(s, "B", t, "n", "k", 16);
    return {name, Algorithm({C}, {A, B, scale}), s, {{{"m", 1}, {"n", 1}, {"k", 1}}, {{"m", 70}, {"n", 18}, {"k", 150}}}, 0, 16};
}

// f32 factors that are rounded to tf32.
CorpusKernel matmul_tf32() {
    const Tiles t{64, 64, 32, 3};
    Dim m("m"), n("n"), k("k");
    Input A("A", f32, {m, k}), B("B", f32, {n, k}), bias("bias", f32, {n});
    Func C("C");
    C(m, n) = sum({k}, round_tf32(A(m, k)) * round_tf32(B(n, k))) + bias(n);
    Schedule s;
    s.stage("C").root();
    pipeline(s, t);
    s.stage("C.sum").mma("m16n8k8");
    copied(s, "A", t, "m", "k", 4);
    copied(s, "B", t, "n", "k", 4);
    return {"matmul_tf32",
            Algorithm({C}, {A, B, bias}),
            s,
            {{{"m", 1}, {"n", 1}, {"k", 1}}, {{"m", 70}, {"n", 18}, {"k", 150}}},
            8,
            4};
}

CorpusKernel matmul_batched() {
    const Tiles t{64, 64, 32, 4};
    Dim b("b"), m("m"), n("n"), k("k");
    Input A("A", f16, {b, m, k}), B("B", f16, {b, k, n});
    Func C("C");
    const Expr product = sum({k}, cast(f32, A(b, m, k)) * cast(f32, B(b, k, n)));
    C(b, m, n) = product * tanh(product);
    Schedule s;
    s.stage("C").root().loop(block("b"));
    pipeline(s, t);
    copied(s, "A", t, "m", "k", 8);
    copied(s, "B", t, "k", "n", 8);
    return {"matmul_batched",
            Algorithm({C}, {A, B}),
            s,
            {{{"b", 1}, {"m", 1}, {"n", 1}, {"k", 1}}, {{"b", 2}, {"m", 66}, {"n", 18}, {"k", 77}}},
            77,
            8};
}

// 3 x 3 with zeros around the picture, as products of a row's pixels with the weights of one offset, over channels.
CorpusKernel convolution() {
    Dim y("y"), x("x"), co("co"), ci("ci"), ky("ky", 3), kx("kx", 3);
    Input X("X", bf16, {y, x, ci}), W("W", bf16, {ky, kx, ci, co}), bias("bias", f32, {co});
    Func C("C");
    const Bounded around = constant(X, 0.0f);
    C(y, x, co) = cast(
        bf16, relu(sum({ky, kx, ci}, cast(f32, around(y + ky - 1, x + kx - 1, ci)) * cast(f32, W(ky, kx, ci, co))) + bias(co)));
    Schedule s;
    loops(s.stage("C").root(), {block("y"), block("x", 64, "xb"), block("co", 64, "cb"), warp("x", 32, "xw"),
                                warp("co", 32, "cw"), frag("x"), frag("co")});
    loops(s.stage("C.sum").at("C", "cb"), {serial("ky"), serial("kx"), serial("ci", 32, "ks"), warp("x", 32, "xw"),
                                           warp("co", 32, "cw"), frag("x"), frag("co"), frag("ci")})
        .space(Space::register_)
        .mma("m16n8k16");
    const auto ring = [](StageEdit edit) {
        edit.space(Space::shared).engine(Engine::cp_async).buffers(3).swizzle(Swizzle::xor_);
    };
    ring(loops(s.copy("X.s", "X", {"C.sum"}).at("C.sum", "ks"),
               {padded(thread("ci", 32, "kt")), thread("x"), thread("ci", 8, "chunk"), vector("ci")}));
    ring(loops(s.copy("W.s", "W", {"C.sum"}).at("C.sum", "ks"),
               {padded(thread("ci", 32, "kt")), thread("ci"), thread("co", 8, "chunk"), vector("co")}));
    s.kernels["C"].threads = 128;
    return {"convolution",
            Algorithm({C}, {X, W, bias}),
            s,
            {{{"y", 1}, {"x", 1}, {"ci", 1}, {"co", 1}}, {{"y", 2}, {"x", 66}, {"ci", 40}, {"co", 9}}},
            1,
            8};
}

// Two warpgroups multiply what the copy engine brings, rows of 128 bytes, iterations ahead.
CorpusKernel matmul_warpgroups(const std::string& name, DType dtype, std::int64_t n_tile, std::int64_t buffers) {
    const std::int64_t deep = 128 / dtype_bytes(dtype);
    Dim m("m"), n("n"), k("k");
    Input A("A", dtype, {m, k}), B("B", dtype, {n, k}), bias("bias", f32, {n});
    Func C("C");
    C(m, n) = cast(is_f8(dtype) ? bf16 : dtype, relu(sum({k}, cast(f32, A(m, k)) * cast(f32, B(n, k))) + bias(n)));
    Schedule s;
    const LoopSpec rows = kind(LoopKind::warpgroup, "m", 64, "mg"), columns = kind(LoopKind::warpgroup, "n", n_tile, "ng");
    loops(s.stage("C").root(), {block("m", 128, "mb"), block("n", n_tile, "nb"), rows, frag("m"), frag("n")});
    loops(s.stage("C.sum").at("C", "nb"), {serial("k", deep, "ks"), rows, columns, frag("m"), frag("n"), frag("k")})
        .space(Space::register_)
        .mma("wgmma");
    for (const auto& [of, outer] : {std::pair{"A", "m"}, std::pair{"B", "n"}})
        loops(s.copy(std::string(of) + ".s", of, {"C.sum"}).at("C.sum", "ks"),
              {padded(thread("k", deep, "kt")), thread(outer), thread("k")})
            .space(Space::shared)
            .engine(Engine::tma)
            .buffers(buffers)
            .swizzle(Swizzle::bytes128);
    s.kernels["C"].threads = 256;
    return {name,
            Algorithm({C}, {A, B, bias}),
            s,
            {{{"m", 1}, {"n", 1}, {"k", 1}},
             {{"m", 40}, {"n", n_tile + 8}, {"k", deep}},
             {{"m", 66}, {"n", 9}, {"k", 5 * deep + 11}}},
            1,
            16 / dtype_bytes(dtype),
            "cuda-sm_90a"};
}

// 128 x 256 of two warpgroups; blocks that run together share rows of A and B, which are then in the L2 cache.
CorpusKernel matmul_grouped_blocks() {
    CorpusKernel out = matmul_warpgroups("matmul_grouped_blocks_bf16", bf16, 256, 4);
    Schedule& s = out.schedule;
    s.stages.at("C").loops = {{block("m", 1024, "mr"), block("n", 256, "nb"), block("m", 128, "mb"),
                               kind(LoopKind::warpgroup, "m", 64, "mg"), frag("m"), frag("n")}};
    s.stages.at("C.sum").compute->at.loop = "mb";
    out.cases = {{{"m", 1}, {"n", 1}, {"k", 1}}, {{"m", 140}, {"n", 264}, {"k", 64}}, {{"m", 66}, {"n", 9}, {"k", 331}}};
    return out;
}

// Of i8, with sums in i32: 128 of them are a row of 128 bytes.
CorpusKernel matmul_grouped_bytes(const std::string& name, CorpusKernel out) {
    Dim m("m"), n("n"), k("k");
    Input A("A", i8, {m, k}), B("B", i8, {n, k}), bias("bias", i32, {n});
    Func C("C");
    C(m, n) = sum({k}, cast(i32, A(m, k)) * cast(i32, B(n, k))) + bias(n);
    out.name = name;
    out.algorithm = Algorithm({C}, {A, B, bias});
    out.length = 0;
    return out;
}

// With gelu instead of relu.
CorpusKernel through_gelu(CorpusKernel out) {
    Dim m("m"), n("n"), k("k");
    Input A("A", bf16, {m, k}), B("B", bf16, {n, k}), bias("bias", f32, {n});
    Func C("C");
    const Expr x = sum({k}, cast(f32, A(m, k)) * cast(f32, B(n, k))) + bias(n);
    C(m, n) = cast(bf16, 0.5f * x * (1.0f + tanh(0.7978845608f * (x + 0.044715f * x * x * x))));
    out.algorithm = Algorithm({C}, {A, B, bias});
    return out;
}

// Two blocks at a time on one unit: while one stores, the other multiplies.
CorpusKernel matmul_two_blocks() {
    CorpusKernel out = through_gelu(matmul_warpgroups("matmul_two_blocks_bf16", bf16, 128, 3));
    out.schedule.kernels["C"].min_ctas = 2;
    return out;
}

// A warpgroup copies for the other two; persistent blocks take tile after tile.
CorpusKernel matmul_roles(const std::string& name, DType dtype, std::int64_t n_tile, std::int64_t buffers, bool persistent) {
    CorpusKernel out = matmul_warpgroups(name, dtype, n_tile, buffers);
    KernelSpec& kernel = out.schedule.kernels["C"];
    kernel.overlap = Overlap::cooperative;
    if (!persistent) return out;
    kernel.persistent = true;
    kernel.producer_regs = 40;
    kernel.consumer_regs = 232;
    out.schedule.stages.at("C").loops = {{block("m", 256, "mr"), block("n", n_tile, "nb"), block("m", 128, "mb"),
                                          kind(LoopKind::warpgroup, "m", 64, "mg"), frag("m"), frag("n")}};
    out.schedule.stages.at("C.sum").compute->at.loop = "mb";
    out.cases = {{{"m", 1}, {"n", 1}, {"k", 1}},
                 {{"m", 140}, {"n", 2 * n_tile + 8}, {"k", 64}},
                 {{"m", 66}, {"n", n_tile + 8}, {"k", 331}}};
    return out;
}

// Two blocks of a cluster have other rows of A and share the columns of B, of which each copies one half to both.
CorpusKernel in_clusters(const std::string& name, CorpusKernel out) {
    out.name = name;
    auto& loops = *out.schedule.stages.at("C").loops;
    loops[0].tile = 512, loops[2].tile = 256;
    loops.insert(loops.begin() + 3, kind(LoopKind::cluster, "m", 128, "mc"));
    out.schedule.stages.at("C.sum").compute->at.loop = "mc";
    return out;
}

// Two consumers of so many warpgroups have a tile each; one multiplies while the other stores.
CorpusKernel in_turns(const std::string& name, CorpusKernel out, std::int64_t groups) {
    out.name = name;
    KernelSpec& kernel = out.schedule.kernels["C"];
    kernel.overlap = Overlap::pingpong;
    kernel.threads = 128 * groups;
    kernel.consumer_regs = groups == 1 ? 232 : 112;
    auto& loops = *out.schedule.stages.at("C").loops;
    const bool clusters = loops[3].as == LoopKind::cluster;
    const std::int64_t rows = 64 * groups * (clusters ? 2 : 1);
    loops[0].tile = 2 * rows;
    loops[2].tile = rows;
    if (clusters) loops[3].tile = 64 * groups;
    // Three tiles for each of two blocks, so that the first consumer waits too.
    out.cases.back().at("n") = 2 * *loops[1].tile + 8;
    return out;
}

// The copy engine stores what the warpgroups put into shared memory, `columns` of each one's tile at a time. The last case has
// more of them, so that boxes are filled again.
CorpusKernel stored_in_boxes(const std::string& name, CorpusKernel out, std::int64_t columns) {
    out.name = name;
    StageSpec& stored = out.schedule.stages.at("C");
    stored.engine = Engine::tma;
    stored.loops->insert(stored.loops->end() - 2, kind(LoopKind::unroll, "n", columns, "nh"));
    for (auto& extents : out.cases) extents.at("n") = (extents.at("n") + 7) / 8 * 8;
    std::int64_t& last = out.cases.back().at("n");
    last = std::max(last, columns + 8);
    return out;
}

// Matrices of f32, 32 columns to a box, by blocks without roles.
CorpusKernel matmul_batched_boxes() {
    CorpusKernel out = matmul_warpgroups("matmul_batched_boxes_f16", f16, 64, 3);
    Dim b("b"), m("m"), n("n"), k("k");
    Input A("A", f16, {b, m, k}), B("B", f16, {b, n, k});
    Func C("C");
    C(b, m, n) = sum({k}, cast(f32, A(b, m, k)) * cast(f32, B(b, n, k)));
    out.algorithm = Algorithm({C}, {A, B});
    auto& loops = *out.schedule.stages.at("C").loops;
    loops.insert(loops.begin(), block("b"));
    out.cases = {{{"b", 1}, {"m", 1}, {"n", 1}, {"k", 1}}, {{"b", 2}, {"m", 66}, {"n", 40}, {"k", 331}}};
    out.length = 331;
    return stored_in_boxes(out.name, out, 32);
}

// The same without products in flight.
CorpusKernel waited_for(const std::string& name, CorpusKernel out) {
    out.name = name;
    out.schedule.stages.at("C.sum").mma->in_flight = 0;
    return out;
}

}  // namespace

std::vector<CorpusKernel> tensor_core_corpus() {
    return {matmul_mma("matmul_bf16", bf16),
            matmul_mma("matmul_f16", f16),
            matmul_pipelined("matmul_pipelined_bf16", bf16, {128, 128, 32, 3}),
            matmul_pipelined("matmul_pipelined_f16", f16, {64, 64, 64, 4}),
            matmul_turned(),
            matmul_bytes("matmul_i8", i8),
            matmul_bytes("matmul_u8", u8),
            matmul_tf32(),
            matmul_batched(),
            convolution(),
            matmul_warpgroups("matmul_warpgroups_bf16", bf16, 128, 4),
            matmul_warpgroups("matmul_warpgroups_f16", f16, 64, 3),
            matmul_warpgroups("matmul_warpgroups_f8e4m3", f8e4m3, 128, 4),
            matmul_warpgroups("matmul_warpgroups_f8e5m2", f8e5m2, 64, 3),
            matmul_roles("matmul_persistent_f8e4m3", f8e4m3, 64, 3, true),
            matmul_grouped_bytes("matmul_warpgroups_i8", matmul_warpgroups("", i8, 64, 3)),
            matmul_grouped_bytes("matmul_persistent_i8", matmul_roles("", i8, 64, 3, true)),
            matmul_grouped_blocks(),
            matmul_two_blocks(),
            matmul_roles("matmul_roles_f16", f16, 64, 3, false),
            matmul_roles("matmul_persistent_bf16", bf16, 64, 3, true),
            waited_for("matmul_roles_waited_f16", matmul_roles("", f16, 64, 3, true)),
            waited_for("matmul_warpgroups_waited_bf16", matmul_warpgroups("", bf16, 64, 3)),
            matmul_roles("matmul_persistent_f16", f16, 256, 4, true),
            in_turns("matmul_turns_bf16", matmul_roles("", bf16, 64, 3, true), 1),
            waited_for("matmul_turns_waited_f16", in_turns("", matmul_roles("", f16, 64, 3, true), 2)),
            stored_in_boxes("matmul_turns_gelu_bf16",
                            in_turns("", through_gelu(in_clusters("", matmul_roles("", bf16, 128, 4, true))), 1), 64),
            stored_in_boxes("matmul_boxes_bf16", matmul_roles("", bf16, 128, 3, true), 64),
            stored_in_boxes("matmul_blocks_boxes_f16", matmul_warpgroups("", f16, 128, 3), 64),
            matmul_batched_boxes(),
            in_clusters("matmul_clusters_f16", matmul_roles("", f16, 64, 3, true)),
            stored_in_boxes("matmul_clusters_boxes_bf16", in_clusters("", matmul_roles("", bf16, 128, 3, true)), 64)};
}

}  // namespace tessera::cuda_test
