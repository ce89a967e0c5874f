#include <gtest/gtest.h>

#include <tessera/schedule_default.h>
#include <tessera/tf32.h>
#include "cuda/corpus_run.h"
#include "tessera_paths.h"
#include "tile/lower.h"
#include "unit/tile/refusal.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tessera::cuda_test {
namespace {

using tile::Barrier;
using tile::Program;

Program program_of(const CorpusKernel& kernel) { return corpus_program(kernel); }

// A whole step and a part of one, of what is taken in steps: which copies run ahead is no matter of a loop tree.
std::map<std::string, std::int64_t> two_steps(const Schedule& schedule, std::map<std::string, std::int64_t> extents) {
    for (const auto& [name, stage] : schedule.stages)
        for (const LoopSpec& l : stage.loops.value_or(std::vector<LoopSpec>{}))
            if (const auto dim = extents.find(l.dim); l.as == LoopKind::serial && l.tile && dim != extents.end())
                dim->second = std::min(dim->second, *l.tile + 11);
    return extents;
}

// In random orders, and the smallest case as it is written too.
TEST(TileProgram, SchedulesForTheGpuMeanTheAlgorithm) {
    for (const CorpusKernel& k : corpus())
        for (const auto& whole : k.cases) {
            if (k.written) continue;
            SCOPED_TRACE(k.name);
            const auto extents = two_steps(k.schedule, whole);
            CorpusBuffers want = corpus_buffers(k, extents, 1), got = corpus_buffers(k, extents, 1);
            interpreter::evaluate(k.algorithm, want.inputs, want.outputs);
            const LoopTree tree = corpus_tree(k, k.target);
            verify(tree);
            std::vector<std::uint64_t> seeds{5};
            if (whole == k.cases.front()) seeds.push_back(0);
            for (const std::uint64_t seed : seeds) {
                interpreter::execute(tree, got.inputs, got.outputs, {.shuffle_seed = seed});
                for (const auto& [name, buffer] : want.outputs)
                    EXPECT_EQ(difference(buffer, got.outputs.at(name), k.length_of(name)), "") << name << "\n" << to_text(tree);
            }
        }
}

TEST(TileProgram, DefaultSchedulesAreLegalAndMeanTheAlgorithm) {
    for (CorpusKernel k : corpus()) {
        SCOPED_TRACE(k.name);
        const auto extents = k.written ? k.cases.at(1) : two_steps(k.schedule, k.cases.back());
        k.schedule = default_schedule(k.algorithm, parse_target("cuda-sm_80"));
        k.written.reset();
        try {
            (void)program_of(k);
            const LoopTree tree = corpus_tree(k, k.target);
            CorpusBuffers want = corpus_buffers(k, extents, 2), got = corpus_buffers(k, extents, 2);
            interpreter::evaluate(k.algorithm, want.inputs, want.outputs);
            interpreter::execute(tree, got.inputs, got.outputs, {.shuffle_seed = 3});
            for (const auto& [name, buffer] : want.outputs)
                EXPECT_EQ(difference(buffer, got.outputs.at(name), k.length_of(name)), "") << name << "\n" << to_json(k.schedule);
        } catch (const Exception& e) {
            ADD_FAILURE() << e.what() << "\n" << to_json(k.schedule);
        }
    }
}

// Of values that keep what regrouping changes; bf16 would lose it.
TEST(TileProgram, DefaultScansAreShared) {
    Dim t("t");
    for (const auto& [dtype, shared] : {std::pair{i32, true}, std::pair{f32, true}, std::pair{bf16, false}}) {
        Input a("a", dtype, {t});
        Func out("out");
        out(t) = scan(plus, t, a(t));
        CorpusKernel k{"scan", Algorithm({out}, {a}), {}, {{{"t", 5000}}}, 5000};
        k.schedule = default_schedule(k.algorithm, parse_target("cuda-sm_80"));
        EXPECT_EQ(to_text(program_of(k)).find("prefix thread out.scan.before") != std::string::npos, shared) << dtype_name(dtype);
    }
}

TEST(TileProgram, TextParsesBack) {
    std::vector<Program> programs;
    for (const CorpusKernel& k : corpus()) {
        programs.push_back(program_of(k));
        if (k.row_cells > 1) programs.push_back(corpus_program(k, tile::Copies::plain));
    }
    for (const Program& program : programs) {
        const std::string text = to_text(program);
        const Program parsed = tile::parse_program(text, program.bound);
        tile::verify(parsed);
        EXPECT_EQ(to_text(parsed), text);
    }
}

TEST(TileProgram, TextIsChecked) {
    const Program program = program_of(corpus_kernel("blur"));
    const auto message = [&](const std::string& text) {
        try {
            (void)tile::parse_program(text, program.bound);
        } catch (const Error& e) {
            return std::string(e.what());
        }
        return std::string("accepted");
    };
    EXPECT_NE(message("kernel k blocks () threads 32 ctas 1\n  spread warps ()\n").find("warps is no scope"), std::string::npos);
    EXPECT_NE(message("kernel k blocks () threads 32 ctas 1\n  jump\n").find("jump starts no statement"), std::string::npos);
    EXPECT_NE(message("kernel k blocks () threads n ctas 1\n").find("neither a variable nor a dim"), std::string::npos);
    EXPECT_NE(message("kernel k blocks () threads 32 ctas 1\n  alloc heap rows y [0, +1), x [0, +1)\n").find("heap is no memory"),
              std::string::npos);
}

void expect_golden(const std::string& name, const std::string& text) {
    const auto path = std::filesystem::path(TESSERA_SOURCE_DIR) / "test/golden/tile" / name;
    if (std::getenv("TESSERA_UPDATE_GOLDEN") != nullptr) {
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << text;
    }
    std::ifstream in(path, std::ios::binary);
    std::stringstream wanted;
    wanted << in.rdbuf();
    EXPECT_EQ(wanted.str(), text) << "TESSERA_UPDATE_GOLDEN=1 writes it";
}

TEST(TileProgram, Text) {
    for (const char* name : {"blur", "matmul_simt", "softmax_warp", "histogram", "matmul_pipelined_f16", "attention_online_d64"})
        expect_golden(fmt::format("{}.golden", name), to_text(program_of(corpus_kernel(name))));
}

// ---- barriers

// The program with its synchronisation number `at` left out, or, of an await, a group too few waited for; nothing when it has
// fewer.
struct WithoutOne {
    int at;
    bool found = false;
    tile::StatementPtr operator()(const tile::StatementPtr& s) {
        const auto* await = std::get_if<tile::Await>(&s->node);
        if (await && await->in_flight && at-- == 0) {
            found = true;
            tile::Await short_of = *await;
            ++*short_of.in_flight;
            return tile::statement(std::move(short_of));
        }
        const bool other = std::holds_alternative<Barrier>(s->node) || std::holds_alternative<tile::Commit>(s->node) ||
                           std::holds_alternative<tile::Settle>(s->node) || std::holds_alternative<tile::Acquire>(s->node) ||
                           std::holds_alternative<tile::Release>(s->node) || std::holds_alternative<tile::Reclaim>(s->node) ||
                           std::holds_alternative<tile::Fence>(s->node) || std::holds_alternative<tile::TakeTurn>(s->node) ||
                           std::holds_alternative<tile::PassTurn>(s->node);
        if ((await || other) && at-- == 0) {
            found = true;
            return tile::statement(tile::Sequence{});
        }
        return tile::map_children(s, [&](const tile::StatementPtr& child) { return (*this)(child); });
    }
};

TEST(TileBarriers, EveryBarrierIsNeededAndItsLossIsSeen) {
    int removed = 0;
    for (const CorpusKernel& k : corpus()) {
        const Program program = program_of(k);
        for (size_t i = 0; i < program.kernels.size(); ++i)
            for (int at = 0;; ++at) {
                Program without = program;
                WithoutOne pass{at};
                without.kernels[i].body = pass(program.kernels[i].body);
                if (!pass.found) break;
                ++removed;
                EXPECT_THROW(tile::check_barriers(without), Bug) << k.name << " without barrier " << at << "\n"
                                                                 << to_text(program);
            }
    }
    EXPECT_GE(removed, 16);
}

// A buffer too few, so that copies run into the one that is read.
TEST(TileBarriers, ARingThatIsTooSmallIsSeen) {
    struct Fewer {
        std::int64_t buffers;
        tile::StatementPtr operator()(const tile::StatementPtr& s) {
            const auto* b = std::get_if<tile::InBuffer>(&s->node);
            if (!b || b->index->op != Op::mod) return tile::map_children(s, *this);
            tile::InBuffer out = *b;
            out.index = make_op(Op::mod, DType::i64, {b->index->args[0], make_constant(DType::i64, buffers)});
            out.body = (*this)(b->body);
            return tile::statement(std::move(out));
        }
    };
    // Of four buffers for products in flight one is read until the next product has started.
    for (const auto& [kernel, fewer] : {std::pair{"matmul_pipelined_bf16", 2}, std::pair{"matmul_warpgroups_bf16", 3}}) {
        Program program = program_of(corpus_kernel(kernel));
        tile::check_barriers(program);
        program.kernels[0].body = Fewer{fewer}(program.kernels[0].body);
        EXPECT_THROW(tile::check_barriers(program), Bug) << kernel;
    }
}

// ---- limits

LoopSpec loop(LoopKind as, std::string dim, std::int64_t tile = 0, std::string name = "") {
    LoopSpec l{.dim = std::move(dim), .as = as, .name = std::move(name)};
    if (tile != 0) l.tile = tile;
    return l;
}

TEST(TileLimits, SharedMemoryIsCountedBeforeAnyCompilerRuns) {
    CorpusKernel k = corpus_kernel("stencil");
    Schedule& s = k.schedule;
    s.stages.at("next").loops = {{loop(LoopKind::block, "y", 256, "yb"), loop(LoopKind::block, "x", 200, "xb"),
                                  loop(LoopKind::thread, "y"), loop(LoopKind::thread, "x")}};
    const std::string on_a100 = refusal(k.algorithm, s);
    expect_refused(on_a100, "needs 208464 bytes of shared memory");
    expect_refused(on_a100, "at most 166912 bytes a block");
    EXPECT_EQ(refusal(k.algorithm, s, "cuda-sm_90a"), "accepted");
}

TEST(TileLimits, RegistersAreCounted) {
    CorpusKernel k = corpus_kernel("matmul_simt");
    for (const char* stage : {"C", "C.sum"})
        for (LoopSpec& l : *k.schedule.stages.at(stage).loops) {
            if (l.name == "mb" || l.name == "nb") l.tile = 256;
            if (l.name == "mt" || l.name == "nt") l.tile = 32;
        }
    expect_refused(refusal(k.algorithm, k.schedule), "C.sum takes 4096 bytes of each thread's registers");
}

TEST(TileLimits, RegistersOfOtherThreads) {
    CorpusKernel k = corpus_kernel("matmul_simt");
    for (LoopSpec& l : *k.schedule.stages.at("C").loops)
        if (l.name == "mt") l.tile = 8;
    expect_refused(refusal(k.algorithm, k.schedule), "C.sum is stored in registers, but a thread reads cells of other threads");
}

TEST(TileLimits, KindsAndPlaces) {
    const CorpusKernel k = corpus_kernel("softmax_block");
    const auto with = [&](const std::vector<LoopSpec>& loops) {
        Schedule s;
        for (const LoopSpec& l : loops) s.stage("out").root().loop(l);
        return refusal(k.algorithm, s);
    };
    expect_refused(with({loop(LoopKind::thread, "r"), loop(LoopKind::block, "c")}),
                   "block loop c of out stands inside thread loop r");
    expect_refused(with({loop(LoopKind::serial, "r"), loop(LoopKind::block, "c")}), "stands inside other loops of its kernel");
    expect_refused(with({loop(LoopKind::block, "r"), loop(LoopKind::lane, "c")}),
                   "lane loop out.c stands outside all warp loops");
    expect_refused(with({loop(LoopKind::parallel, "r")}), "\"parallel\", which the CUDA backend does not have");
    Schedule s = k.schedule;
    s.stages.at("m.max").loops = {{loop(LoopKind::warp, "c")}};
    expect_refused(refusal(k.algorithm, s), "loop c of m.max reduces over warps");
    s = k.schedule;
    s.stages.at("m.max").loops = {{loop(LoopKind::block, "c")}};
    expect_refused(refusal(k.algorithm, s), "its iterations write one cell");
    s = k.schedule;
    s.stages.at("m.max").compute = Compute{Compute::Kind::root, {}};
    expect_refused(refusal(k.algorithm, s), "is computed at root and its reduction runs on threads");
    s = k.schedule;
    s.stages.at("l.sum").loops = {{loop(LoopKind::serial, "c")}};
    s.stages.at("l.sum").store.at = LoopRef{"root", ""};
    expect_refused(refusal(k.algorithm, s), "l.sum is combined inside a kernel and stored outside it");
    s = k.schedule;
    s.kernels["out"].threads = 100;
    expect_refused(refusal(k.algorithm, s), "has 100 threads");
    s = corpus_kernel("histogram").schedule;
    s.stages.at("h.scatter").method.reset();
    expect_refused(refusal(corpus_kernel("histogram").algorithm, s), "use method atomic");
}

TEST(TileLimits, ThreadsThatScanTogether) {
    CorpusKernel k = corpus_kernel("scan_block");
    k.schedule.kernels["out.scan"].threads = 32;
    expect_refused(refusal(k.algorithm, k.schedule), "has 32 threads, but 64 scan together");
    k.schedule.kernels.clear();
    Schedule s = k.schedule;
    for (LoopSpec& l : *s.stages.at("out.scan").loops)
        if (l.name == "round") l.tile = 8192;
    expect_refused(refusal(k.algorithm, s), "has 2048 positions, where 1024 may scan together");
    s.stages.erase("a.s");
    auto& loops = *s.stages.at("out.scan").loops;
    loops.erase(loops.begin() + 1);
    expect_refused(refusal(k.algorithm, s), "has an unknown number of positions, where 1024 may scan together");
}

TEST(TileLimits, ProductsOfFragments) {
    const CorpusKernel k = corpus_kernel("matmul_bf16");
    const auto with = [&](auto change) {
        Schedule s = k.schedule;
        change(s);
        return refusal(k.algorithm, s);
    };
    EXPECT_EQ(with([](Schedule&) {}), "accepted");
    expect_refused(with([](Schedule& s) { s.stages.at("A.s").loops->at(0).tail = Tail::guard; }),
                   "A.s is not padded with zeros along k");
    expect_refused(with([](Schedule& s) { s.stages.at("C.sum").mma->atom = "wgmma.n256"; }), "its mma atom is none of m16n8k16");
    expect_refused(with([](Schedule& s) { s.stages.at("C.sum").mma.reset(); }), "its mma atom is none of m16n8k16");
    expect_refused(with([](Schedule& s) { s.stages.erase("B.s"); }), "its factors are no reads of bf16 or f16");
    expect_refused(with([](Schedule& s) { s.stages.at("C").loops->at(5).as = LoopKind::serial; }), "one frag loop alone");
    expect_refused(with([](Schedule& s) { s.stages.at("C").loops->at(4).as = LoopKind::serial; }),
                   "C.sum is stored in registers, but a thread reads cells of other threads");
    Dim m("m"), n("n"), kk("k");
    Input a("A", bf16, {m, kk}), b("B", bf16, {kk, n}), bias("bias", f32, {n});
    Func c("C");
    c(m, n) = relu(sum({kk}, cast(f32, a(m, kk)) * cast(f32, b(kk, n)), where(kk != 3)) + bias(n));
    expect_refused(refusal(Algorithm({c}, {a, b, bias}), k.schedule), "it has a predicate");
    Input a8("A", f8e4m3, {m, kk}), b8("B", f8e4m3, {kk, n});
    Func c8("C");
    c8(m, n) = relu(sum({kk}, cast(f32, a8(m, kk)) * cast(f32, b8(kk, n))) + bias(n));
    expect_refused(refusal(Algorithm({c8}, {a8, b8, bias}), k.schedule),
                   "its factors are 8-bit floats, which warpgroups multiply");
}

TEST(TileLimits, ProductsOfTwo8BitFloats) {
    const CorpusKernel k = corpus_kernel("matmul_warpgroups_f8e4m3");
    EXPECT_EQ(refusal(k.algorithm, k.schedule, k.target), "accepted");
    Dim m("m"), n("n"), kk("k");
    Input a("A", f8e4m3, {m, kk}), b("B", f8e5m2, {n, kk}), bias("bias", f32, {n});
    Func c("C");
    c(m, n) = cast(bf16, relu(sum({kk}, cast(f32, a(m, kk)) * cast(f32, b(n, kk))) + bias(n)));
    expect_refused(refusal(Algorithm({c}, {a, b, bias}), k.schedule, k.target), "its factors are no reads of one dtype");
}

TEST(TileLimits, ProductsOfTwoKindsOfBytes) {
    const CorpusKernel k = corpus_kernel("matmul_warpgroups_i8");
    EXPECT_EQ(refusal(k.algorithm, k.schedule, k.target), "accepted");
    Dim m("m"), n("n"), kk("k");
    Input a("A", i8, {m, kk}), signless("B", u8, {n, kk}), b("B", i8, {n, kk}), bias("bias", i32, {n});
    Func mixed("C");
    mixed(m, n) = sum({kk}, cast(i32, a(m, kk)) * cast(i32, signless(n, kk))) + bias(n);
    expect_refused(refusal(Algorithm({mixed}, {a, signless, bias}), k.schedule, k.target),
                   "its factors are no reads of one dtype, bf16, f16, f8e4m3, f8e5m2 or i8");
    Schedule warps = k.schedule;
    warps.stages.at("C.sum").mma->atom = "m16n8k32";
    expect_refused(refusal(k.algorithm, warps, k.target),
                   "its loops are of warpgroups, but its mma atom is not wgmma (bf16, f16, f8e4m3, f8e5m2, i8)");
}

TEST(TileLimits, FactorsThatAreRoundedToTf32) {
    const CorpusKernel k = corpus_kernel("matmul_tf32");
    EXPECT_EQ(refusal(k.algorithm, k.schedule), "accepted");
    Dim m("m"), n("n"), kk("k");
    Input a("A", f32, {m, kk}), b("B", f32, {n, kk}), bias("bias", f32, {n});
    Func plain("C");
    plain(m, n) = sum({kk}, a(m, kk) * b(n, kk)) + bias(n);
    expect_refused(refusal(Algorithm({plain}, {a, b, bias}), k.schedule), "its factors are no reads of f32 under round_tf32");
}

// The schedule's own field against what the buffers allow.
TEST(TileLimits, ProductsInFlight) {
    const auto with = [&](const std::string& name, std::optional<std::int64_t> in_flight, std::int64_t buffers) {
        const CorpusKernel k = corpus_kernel(name);
        Schedule s = k.schedule;
        s.stages.at("C.sum").mma->in_flight = in_flight;
        for (const char* copy : {"A.s", "B.s"}) s.stages.at(copy).store.buffers = buffers;
        try {
            const Target target = parse_target(k.target);
            const std::string text = to_text(tile::lower(build_loop_tree(bind(k.algorithm, s, target)), target));
            return std::string(text.find("settle") != std::string::npos ? "in flight" : "waited for");
        } catch (const Exception& e) {
            return std::string(e.what());
        }
    };
    for (const char* name : {"matmul_warpgroups_bf16", "matmul_persistent_bf16"}) {
        EXPECT_EQ(with(name, {}, 3), "in flight");
        EXPECT_EQ(with(name, 1, 3), "in flight");
        EXPECT_EQ(with(name, 0, 3), "waited for");
    }
    EXPECT_EQ(with("matmul_warpgroups_bf16", {}, 2), "waited for");
    expect_refused(with("matmul_warpgroups_bf16", 1, 2), "no loop of nothing else copies its factors into 3 or more buffers");
    expect_refused(with("matmul_pipelined_bf16", 1, 3), "those of warps are waited for by the hardware");
    EXPECT_EQ(with("matmul_pipelined_bf16", 0, 3), "waited for");
}

TEST(TileLimits, AsynchronousCopies) {
    const CorpusKernel k = corpus_kernel("matmul_pipelined_bf16");
    const auto with = [&](auto change, const std::string& target = "cuda-sm_80") {
        Schedule s = k.schedule;
        change(s.stages.at("A.s"), s);
        return refusal(k.algorithm, s, target);
    };
    EXPECT_EQ(with([](StageSpec&, Schedule&) {}, "cuda-sm_90a"), "accepted");
    expect_refused(with([](StageSpec& a, Schedule&) { a.engine.reset(); }), "A.s has 3 buffers");
    expect_refused(with([](StageSpec& a, Schedule&) { a.store.buffers = 2; }),
                   "B.s has 3 buffers, but A.s, which is copied in the same loop, has 2");
    expect_refused(with([](StageSpec& a, Schedule&) { a.loops->back().as = LoopKind::serial; }), "it has no vector loop");
    expect_refused(with([](StageSpec& a, Schedule&) { a.loops->at(2).tile = 16; }), "its vector loop covers 32 bytes");
    expect_refused(with([](StageSpec& a, Schedule&) { a.store.align["k"] = 40; }), "rows of A.s take 80 bytes");
    expect_refused(with([](StageSpec& a, Schedule&) {
                       a.loops = {{loop(LoopKind::thread, "k"), loop(LoopKind::thread, "m", 8), loop(LoopKind::vector, "m")}};
                   }),
                   "the vector loop does not run along its last dim");
    expect_refused(with([](StageSpec& a, Schedule&) {
                       a.store.swizzle.reset();
                       a.store.align["k"] = 36;
                   }),
                   "its rows have room for 36");
    expect_refused(with([](StageSpec&, Schedule& s) {
                       for (const char* copy : {"A.s", "B.s"}) s.stages.at(copy).store.buffers = 12;
                   }),
                   "kernel C_0 needs 196608 bytes of shared memory");
    Dim m("m"), n("n"), kk("k");
    Input a("A", bf16, {m, kk}), b("B", bf16, {kk, n}), bias("bias", f32, {n});
    Func half("half"), c("C");
    half(m, kk) = cast(bf16, cast(f32, a(m, kk)) * 0.5f);
    c(m, n) = relu(sum({kk}, cast(f32, half(m, kk)) * cast(f32, b(kk, n))) + bias(n));
    Schedule s = k.schedule;
    s.stages["half"] = s.stages.at("A.s");
    s.stages.erase("A.s");
    s.stages.at("half").copy_of.reset(), s.stages.at("half").for_uses.reset();
    s.stages.at("half").loops->at(0).tail = Tail::guard;
    expect_refused(refusal(Algorithm({c}, {a, b, bias}), s), "it is computed, not copied");
}

TEST(TileLimits, ProductsOfWarpgroups) {
    const CorpusKernel k = corpus_kernel("matmul_warpgroups_bf16");
    const auto with = [&](auto change, const std::string& target = "cuda-sm_90a") {
        Schedule s = k.schedule;
        change(s);
        return refusal(k.algorithm, s, target);
    };
    EXPECT_EQ(with([](Schedule&) {}), "accepted");
    expect_refused(with([](Schedule&) {}, "cuda-sm_80"), "which sm_80 does not have");
    expect_refused(with([](Schedule&) {}, "cuda-sm_100a"), "which sm_100a does not have");
    expect_refused(with([](Schedule& s) { s.stages.at("C.sum").mma->atom = "m16n8k16"; }), "its mma atom is not wgmma");
    expect_refused(with([](Schedule& s) { s.stages.at("B.s").store.swizzle = Swizzle::xor_; }),
                   "B.s is not copied by engine tma with swizzle 128B");
    expect_refused(with([](Schedule& s) { s.stages.at("A.s").store.buffers.reset(); }),
                   "A.s is moved by the copy engine into one buffer");
    expect_refused(with([](Schedule& s) {
                       for (const char* copy : {"A.s", "B.s"}) s.stages.at(copy).store.buffers = 8;
                   }),
                   "bytes of shared memory");
    expect_refused(with([](Schedule& s) {
                       s.stages.at("C.sum").loops->at(0).tile = 32;
                       for (const char* copy : {"A.s", "B.s"}) s.stages.at(copy).loops->at(0).tile = 32;
                   }),
                   "rows of A.s take 64 bytes");
    expect_refused(with([](Schedule& s) {
                       for (const char* stage : {"C", "C.sum"})
                           for (LoopSpec& l : *s.stages.at(stage).loops)
                               if (l.name == "mg" || l.name == "mb") l.tile = l.name == "mg" ? 128 : 256;
                   }),
                   "of a warpgroup covers 128 rows, not 64");
    Dim m("m"), n("n"), kk("k");
    Input a("A", bf16, {m, kk}), b("B", bf16, {kk, n}), bias("bias", f32, {n});
    Func c("C");
    c(m, n) = relu(sum({kk}, cast(f32, a(m, kk)) * cast(f32, b(kk, n))) + bias(n));
    Schedule s = k.schedule;
    s.stages.at("B.s").store.swizzle = Swizzle::none;
    expect_refused(refusal(Algorithm({c}, {a, b, bias}), s, "cuda-sm_90a"),
                   "the copy engine does not move B.s: rows of its box take 256 bytes");
}

// What is read beside its place begins inside 16 bytes, where the copy engine begins no box.
TEST(TileLimits, BoxesBeginAtMultiplesOf16Bytes) {
    const CorpusKernel corpus = corpus_kernel("matmul_warpgroups_bf16");
    const auto refused = [&](int shift) {
        Dim m("m"), n("n"), k("k");
        Input a("A", bf16, {m, k}), b("B", bf16, {n, k}), bias("bias", f32, {n});
        Func c("C");
        c(m, n) = cast(bf16, relu(sum({k}, cast(f32, constant(a, 0.0f)(m, k + shift)) * cast(f32, b(n, k))) + bias(n)));
        return refusal(Algorithm({c}, {a, b, bias}), corpus.schedule, "cuda-sm_90a");
    };
    EXPECT_EQ(refused(0), "accepted");
    expect_refused(refused(1), "not known to be a multiple of 8 cells");
}

// A copy that starts inside a vector, or runs past what its source has, moves cell by cell or is refused.
TEST(TileLimits, CopiesThatAreNotAligned) {
    Dim x("x");
    Input a("a", f32, {x});
    Func out("out");
    out(x) = clamp(a)(x) * 2.0f;
    Schedule s;
    s.stage("out").root().loop(loop(LoopKind::block, "x", 128, "xb")).loop(loop(LoopKind::thread, "x"));
    s.copy("a.s", "a", {"out"})
        .at("out", "xb")
        .space(Space::shared)
        .engine(Engine::cp_async)
        .loop(loop(LoopKind::thread, "x", 4, "xt"))
        .loop(loop(LoopKind::vector, "x"));
    EXPECT_EQ(refusal(Algorithm({out}, {a}), s), "accepted");
    s.stage("a.s").buffers(2);
    expect_refused(refusal(Algorithm({out}, {a}), s), "no serial loop around it fills one after the other");
    Func next("next");
    next(x) = clamp(a)(x + 1) * 2.0f;
    s.stages["next"] = s.stages.at("out");
    s.stages.erase("out");
    s.stages.at("a.s").store.buffers.reset();
    s.stages.at("a.s").for_uses = {"next"}, s.stages.at("a.s").compute->at.stage = "next";
    expect_refused(refusal(Algorithm({next}, {a}), s), "its vectors of 4 cells start at cells that are no multiples of it");
}

TEST(TileLimits, AnOrderOfTheAlgorithmIsNotSplit) {
    Dim r("r"), c("c");
    Input a("a", f32, {r, c});
    Func out("out");
    out(r) = sum({c}, a(r, c), {}, {.order = Order::ascending()});
    Schedule s;
    s.stage("out").root().loop(loop(LoopKind::block, "r"));
    s.stage("out.sum").at("out", "r").loop(loop(LoopKind::thread, "c"));
    expect_refused(refusal(Algorithm({out}, {a}), s), "combines in an order that is part of the algorithm");
}

}  // namespace
}  // namespace tessera::cuda_test
