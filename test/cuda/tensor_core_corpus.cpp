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

}  // namespace

std::vector<CorpusKernel> tensor_core_corpus() {
    return {matmul_mma("matmul_bf16", bf16), matmul_mma("matmul_f16", f16),
            matmul_pipelined("matmul_pipelined_bf16", bf16, {128, 128, 32, 3}),
            matmul_pipelined("matmul_pipelined_f16", f16, {64, 64, 64, 4})};
}

}  // namespace tessera::cuda_test
