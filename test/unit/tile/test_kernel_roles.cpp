#include <gtest/gtest.h>

#include "cuda/corpus.h"
#include "unit/tile/refusal.h"

#include <fmt/format.h>

// What is said of schedules whose warps have roles, of clusters, and of stores by the copy engine.
namespace tessera {
namespace {

using cuda_test::corpus_kernel;
using cuda_test::CorpusKernel;

TEST(TileLimits, Roles) {
    const CorpusKernel k = corpus_kernel("matmul_persistent_bf16");
    const auto with = [&](auto change) {
        Schedule s = k.schedule;
        change(s, s.kernels["C"]);
        return refusal(k.algorithm, s, "cuda-sm_90a");
    };
    EXPECT_EQ(with([](Schedule&, KernelSpec&) {}), "accepted");
    expect_refused(with([](Schedule&, KernelSpec& c) { c.overlap.reset(); }),
                   "C_0 has persistent blocks, but no warps with roles");
    expect_refused(with([](Schedule&, KernelSpec& c) { c.producer_regs.reset(); }),
                   "how many registers threads of one role have");
    expect_refused(with([](Schedule&, KernelSpec& c) { c.consumer_regs = 240; }), "the others 240, 66560 in all");
    expect_refused(with([](Schedule&, KernelSpec& c) { c.producer_regs = 39; }), "multiples of 8 from 24 to 256");
    expect_refused(with([](Schedule&, KernelSpec& c) { c.threads = 288; }), "has 288 threads beside those that copy");
    Schedule simt = corpus_kernel("matmul_simt").schedule;
    simt.kernels["C"].overlap = Overlap::cooperative;
    expect_refused(refusal(corpus_kernel("matmul_simt").algorithm, simt),
                   "C_0 has warps with roles, but of A.s: it is in shared memory beside the copies");
    expect_refused(with([](Schedule& s, KernelSpec&) { s.stages.at("A.s").store.buffers = 2; }),
                   "B.s has 3 buffers, but A.s, which is copied in the same loop, has 2");
}

// What two consumers need is counted for both.
TEST(TileLimits, ConsumersThatTakeTurns) {
    const CorpusKernel k = corpus_kernel("matmul_turns_gelu_bf16");
    const auto with = [&](auto change) {
        Schedule s = k.schedule;
        change(s, s.kernels["C"]);
        return refusal(k.algorithm, s, "cuda-sm_90a");
    };
    EXPECT_EQ(with([](Schedule&, KernelSpec&) {}), "accepted");
    const std::string one_tile = with([](Schedule&, KernelSpec& c) { c.persistent.reset(); });
    expect_refused(one_tile, "consumers of kernel C_0 take turns (overlap pingpong), but a block has one tile");
    expect_refused(one_tile, "use persistent true");
    const std::string threads = with([](Schedule&, KernelSpec& c) { c.threads = 512; });
    expect_refused(threads, "kernel C_0 has 1152 threads");
    expect_refused(threads, "2 consumers of 512 threads, 128 that copy");
    expect_refused(with([](Schedule&, KernelSpec& c) { c.consumer_regs = 240; }), "the others 240, 66560 in all");
    // Buffers of 8 + 16 KB, and boxes of 64 rows and 128 columns for each consumer.
    const std::string memory = with([](Schedule& s, KernelSpec&) {
        s.stages.at("C").loops->erase(s.stages.at("C").loops->begin() + 5);
        for (const char* copy : {"A.s", "B.s"}) s.stages.at(copy).store.buffers = 9;
    });
    expect_refused(memory, fmt::format("needs {} bytes of shared memory", 9 * 24 * 1024 + 2 * 16 * 1024 + 2 * 9 * 8));
    Schedule simt = corpus_kernel("matmul_simt").schedule;
    simt.kernels["C"].overlap = Overlap::pingpong;
    simt.kernels["C"].persistent = true;
    expect_refused(refusal(corpus_kernel("matmul_simt").algorithm, simt),
                   "C_0 has warps with roles, but of A.s: it is in shared memory beside the copies");
}

TEST(TileLimits, Clusters) {
    const CorpusKernel k = corpus_kernel("matmul_clusters_f16");
    const auto with = [&](auto change, const std::string& target = "cuda-sm_90a") {
        Schedule s = k.schedule;
        change(*s.stages.at("C").loops, s);
        return refusal(k.algorithm, s, target);
    };
    using Loops = std::vector<LoopSpec>;
    EXPECT_EQ(with([](Loops&, Schedule&) {}), "accepted");
    expect_refused(with([](Loops& l, Schedule&) { l[2].tile = 384; }), "does not make clusters of 2, 4 or 8 blocks");
    expect_refused(with([](Loops& l, Schedule&) { l[1].as = LoopKind::cluster; }),
                   "block loop mb of C stands inside cluster loop nb");
    expect_refused(with([](Loops&, Schedule& s) {
                       s.kernels["C"] = {};
                       s.kernels["C"].threads = 256;
                   }),
                   "has clusters, but no warps with roles");
    // Nothing copies boxes of so many dims to all blocks.
    Dim b("b", 2), c("c", 3), m("m"), n("n"), kk("k");
    Input A("A", f16, {m, kk}), B("B", f16, {b, c, n, kk}), bias("bias", f32, {n});
    Func C("C");
    C(m, n) = cast(f16, relu(sum({kk}, cast(f32, A(m, kk)) * cast(f32, B(1, 2, n, kk))) + bias(n)));
    expect_refused(refusal(Algorithm({C}, {A, B, bias}), k.schedule, "cuda-sm_90a"), "share boxes of B.s, which have 4 dims");
    // How many blocks there are is not known.
    Schedule simt = corpus_kernel("matmul_simt").schedule;
    simt.stages.at("C").loops->at(1).as = LoopKind::cluster;
    expect_refused(refusal(corpus_kernel("matmul_simt").algorithm, simt), "does not make clusters of 2, 4 or 8 blocks");
}

TEST(TileLimits, StoresOfTheCopyEngine) {
    const CorpusKernel k = corpus_kernel("matmul_boxes_bf16");
    const auto with = [&](auto change, const std::string& target = "cuda-sm_90a") {
        Schedule s = k.schedule;
        change(s.stages.at("C"), s);
        return refusal(k.algorithm, s, target);
    };
    EXPECT_EQ(with([](StageSpec&, Schedule&) {}), "accepted");
    expect_refused(with([](StageSpec& c, Schedule&) { c.loops->at(4).tile = 32; }),
                   "its frag loop covers 32 columns, and a box has 64");
    expect_refused(with([](StageSpec& c, Schedule&) { c.loops->at(1).tile = 96; }),
                   "the copy engine does not store C: its loops leave out cells that are inside it");
    Schedule simt = corpus_kernel("matmul_simt").schedule;
    simt.stages.at("C").engine = Engine::tma;
    expect_refused(refusal(corpus_kernel("matmul_simt").algorithm, simt), "no warpgroups compute its fragments");
}

}  // namespace
}  // namespace tessera
