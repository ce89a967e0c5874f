#include <tessera/library.h>
#include <tessera/tessera.h>
#include <tessera/tile_kernel.h>

#include <gtest/gtest.h>

#include "cuda/corpus_run.h"
#include "tile/async_copy.h"
#include "tile/kernel_state.h"

// Kernels written tile by tile: what they become, and what is said of mistakes. What they compute is in the corpus.
namespace tessera {
namespace {

struct Product {
    Dim m{"m"}, n{"n"}, k{"k"};
    Input A{"A", bf16, {m, k}}, B{"B", bf16, {n, k}};
    Func C{"C"};
    Algorithm algorithm() {
        C(m, n) = sum({k}, cast(f32, A(m, k)) * cast(f32, B(n, k)));
        return Algorithm({C}, {A, B});
    }
};

// What `write` is told, by the time the kernel is lowered.
std::string mistake(const std::function<void(Product&, KernelBuilder&, const Expr&)>& write,
                    const TileKernelOptions& options = {}, const char* target = "cuda-sm_80") {
    Product p;
    try {
        KernelBuilder k(p.algorithm(), options);
        const Expr block = k.grid({p.m.extent()})[0];
        write(p, k, block);
        (void)tile::written_program(k.finish(), parse_target(target));
    } catch (const Error& e) {
        return e.what();
    } catch (const Limit& e) {
        return e.what();
    }
    return "accepted";
}

void expect_said(const std::string& said, const std::string& wanted) { EXPECT_NE(said.find(wanted), std::string::npos) << said; }

TEST(KernelLanguage, MistakesNameFieldValueAndLimit) {
    using B = KernelBuilder;
    const auto nothing = [](Product&, B&, const Expr&) {};
    EXPECT_EQ(mistake(nothing), "accepted");
    expect_said(mistake(nothing, {.threads = 40}), "threads is 40");
    expect_said(mistake(nothing, {.threads = 1024, .min_ctas = 3}), "min_ctas is 3 with 1024 threads");
    expect_said(mistake([](Product&, B& k, const Expr&) {
                    (void)k.shared("t", bf16, {64, 40}, {.swizzle = true});
                }),
                "rows of t take 80 bytes");
    expect_said(mistake([](Product&, B& k, const Expr&) {
                    (void)k.shared("t", bf16, {64, 64}, {.buffers = 9});
                }),
                "buffers of t is 9");
    expect_said(mistake([](Product&, B& k, const Expr&) {
                    (void)k.shared("t", f32, {512, 512});
                }),
                "needs 1048576 bytes of shared memory");
    expect_said(mistake([](Product&, B& k, const Expr&) { (void)k.shared("A", f32, {4}); }), "two things are called A");
    expect_said(mistake([](Product&, B& k, const Expr&) {
                    (void)k.fragment("t", f32, {64, 40}, {2, 2});
                }),
                "extent 1 of fragment t is 40, for 2 warps");
    expect_said(mistake([](Product&, B& k, const Expr&) {
                    (void)k.fragment("t", f32, {128, 128}, {8, 1});
                }),
                "fragment t is shared by 8 x 1 warps");
    expect_said(mistake([](Product&, B& k, const Expr&) { (void)k.registers("t", f32, {300}); }),
                "t takes 1200 bytes of each thread's registers");
    expect_said(mistake([](Product& p, B& k, const Expr& block) { k.store(p.C(block, 0), 1.0f); }),
                "C is stored by several threads at once");
    expect_said(mistake([](Product& p, B& k, const Expr& block) {
                    k.threads({1}, [&](const Expr&) { k.store(p.C(block, 0), p.A(block, 0)); });
                }),
                "C keeps f32, but is given bf16");
    expect_said(mistake([](Product& p, B& k, const Expr& block) {
                    k.threads({1}, [&](const Expr&) { k.store(p.C(block, 0), p.C(block, 1)); });
                }),
                "C is read in a kernel");
    expect_said(mistake([](Product& p, B& k, const Expr& block) {
                    k.threads({1}, [&](const Expr&) { k.store(p.C(block, p.n), 1.0f); });
                }),
                "dim n is no index of a kernel");
}

TEST(KernelLanguage, PlacesAreChecked) {
    using B = KernelBuilder;
    expect_said(mistake([](Product&, B& k, const Expr&) { k.lanes({32}, [](const Expr&) {}); }),
                "lanes() stands where the block runs it");
    expect_said(
        mistake([](Product&, B& k, const Expr&) { k.threads({4}, [&](const Expr&) { k.warps({1}, [](const Expr&) {}); }); }),
        "warps() stands where a thread runs it");
    expect_said(mistake([](Product&, B& k, const Expr&) { k.warps({2}, [&](const Expr&) { (void)k.shared("t", f32, {4}); }); }),
                "tile t in shared memory stands where a warp runs it");
    expect_said(mistake([](Product&, B& k, const Expr&) {
                    const Tile t = k.fragment("t", f32, {64, 32}, {4, 1});
                    k.warps({2, 2}, [&](const Expr&, const Expr&) { k.for_each(t, [](const Expr&, const Expr&) {}); });
                }),
                "fragment t is shared by 4 x 1 warps, but used by 2 along axis 0");
    expect_said(mistake([](Product&, B& k, const Expr&) {
                    const Tile t = k.registers("t", f32, {1});
                    k.when(t(0) > 0.0f, [] {});
                }),
                "a condition that the block runs together reads t");
    expect_said(mistake([](Product&, B& k, const Expr&) {
                    std::vector<Tile> kept;
                    k.loop(2, [&](const Expr&) { kept.push_back(k.registers("t", f32, {1})); });
                    k.threads({1}, [&](const Expr&) { k.store(kept[0](0), 1.0f); });
                }),
                "t is stored where its memory is gone");
    expect_said(mistake([](Product& p, B& k, const Expr& block) {
                    Expr kept;
                    k.loop(2, [&](const Expr& i) { kept = i; });
                    k.threads({1}, [&](const Expr&) { k.store(p.C(block, kept), 1.0f); });
                }),
                "is used outside its body");
    // A cell of another thread.
    expect_said(
        mistake([](Product&, B& k, const Expr&) {
            const Tile t = k.fragment("t", f32, {64}, {4, 1});
            k.warps({4, 1}, [&](const Expr&, const Expr&) { k.for_each(t, [&](const Expr& i) { k.store(t(i), t(0)); }); });
        }),
        "t is stored in registers, but a thread reads cells of other threads");
}

// Rows of 3 numbers start at no multiple of 16 bytes, and each number at one of its own.
TEST(KernelLanguage, CopiesMoveAsManyBytesAsTheyAreTold) {
    const auto said = [](DType dtype, std::int64_t bytes, std::int64_t cells) {
        const Dim i("i"), j("j");
        const Input a("a", dtype, {i, j});
        Func out("out");
        out(i) = a(i, 0);
        try {
            KernelBuilder k(Algorithm({out}, {a}));
            const Expr row = k.grid({i.extent()})[0];
            const Tile t = k.shared("t", dtype, {cells});
            k.copy_async(t, [&](const std::vector<Expr>& at) { return constant(a, 0)(row, at[0]); }, {.bytes = bytes});
            k.threads({1}, [&](const Expr&) { k.store(out(row), t(0)); });
            const tile::Program program = tile::written_program(k.finish(), parse_target("cuda-sm_80"));
            const std::vector<tile::CopyAlignment> alignments = tile::copy_alignments(program);
            EXPECT_EQ(alignments.size(), 1U);
            EXPECT_EQ(alignments.at(0).bytes, bytes);
        } catch (const Exception& e) {
            return std::string(e.what());
        }
        return std::string("accepted");
    };
    EXPECT_EQ(said(f32, 4, 3), "accepted");
    EXPECT_EQ(said(bf16, 8, 4), "accepted");
    expect_said(said(f32, 16, 3), "rows of t have 3 cells");
    expect_said(said(f32, 2, 4), "copy_async() of t, of f32, moves 2 bytes at once");
    expect_said(said(f64, 4, 4), "copy_async() of t, of f64, moves 4 bytes at once");
}

// What is copied before a loop of copies, and used in it alone, is awaited with the first of them; other copies that stand side
// by side are awaited together.
TEST(KernelLanguage, CopiesBesideEachOtherAreAwaitedTogether) {
    const auto count = [](const std::string& text, const std::string& word) {
        size_t found = 0;
        for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
        return found;
    };
    const auto lowered = [](bool used_outside) {
        Product p;
        KernelBuilder k(p.algorithm());
        const Expr block = k.grid({p.m.extent()})[0];
        const Tile a = k.shared("a", bf16, {64, 32}), b = k.shared("b", bf16, {64, 32});
        for (const Tile& t : {a, b})
            k.copy_async(t, [&](const std::vector<Expr>& at) { return constant(p.A, 0)(block + at[0], at[1]); });
        const Tile s = k.fragment("s", f32, {64, 64}, {4, 1});
        k.loop(p.k.extent(), [&](const Expr& step) {
            const Tile c = k.shared("c", bf16, {64, 32}, {.buffers = 2});
            k.copy_async(c, [&](const std::vector<Expr>& at) { return constant(p.B, 0)(step + at[0], at[1]); });
            k.warps({4, 1}, [&](const Expr&, const Expr&) {
                k.mma(s, a, c, {.right_transposed = true});
                k.mma(s, a, b, {.right_transposed = true});
            });
        });
        if (used_outside) k.threads({1}, [&](const Expr&) { k.store(p.C(block, 0), cast(f32, b(0, 0))); });
        return to_text(tile::written_program(k.finish(), parse_target("cuda-sm_80")));
    };
    const std::string together = lowered(false), apart = lowered(true);
    EXPECT_EQ(count(together, "await"), 1U) << together;
    EXPECT_EQ(count(together, "commit"), 2U) << together;  // ahead of the loop and in it
    EXPECT_EQ(count(apart, "await"), 2U) << apart;
    EXPECT_EQ(count(apart, "commit"), 3U) << apart;
}

// The line of the statement, not the builder's.
TEST(KernelLanguage, MistakesNameTheirLine) {
    const auto expect_line = [](const std::function<void(Product&, KernelBuilder&, int&)>& write) {
        Product p;
        int line = 0;
        KernelBuilder k(p.algorithm());
        const Expr block = k.grid({p.m.extent()})[0];
        try {
            write(p, k, line);
            ADD_FAILURE() << "accepted";
        } catch (const Exception& e) {
            EXPECT_EQ(e.where().line, line) << e.what();
        }
    };
    expect_line([](Product&, KernelBuilder& k, int& line) {
        const Tile t = k.registers("t", f32, {4});
        line = __LINE__ + 1;
        k.for_each(t, [](const Expr&) {});
    });
    expect_line([](Product& p, KernelBuilder& k, int& line) {
        const Tile t = k.shared("t", bf16, {4, 4});
        line = __LINE__ + 1;
        k.copy_async(t, [&](const std::vector<Expr>& at) { return p.A(at[0], at[1]); });
    });
    expect_line([](Product&, KernelBuilder& k, int& line) {
        const Tile t = k.shared("t", f32, {4});
        line = __LINE__ + 1;
        k.reduce(t, plus);
    });
    expect_line([](Product&, KernelBuilder& k, int& line) {
        line = __LINE__ + 1;
        k.lanes({32}, [](const Expr&) {});
    });
}

TEST(KernelLanguage, ProductsAreChecked) {
    struct Tiles {
        DType sums = f32, left = bf16, right = bf16;
        std::vector<std::int64_t> sum{64, 64}, a{64, 32}, b{64, 32};
        bool held = false;
    };
    const auto said = [](const Tiles& t) {
        return mistake([&](Product&, KernelBuilder& k, const Expr&) {
            const Tile s = k.fragment("s", t.sums, t.sum, {4, 1});
            const Tile a = t.held ? k.fragment("a", t.left, t.a, {4, 1}) : k.shared("a", t.left, t.a);
            const Tile b = k.shared("b", t.right, t.b);
            k.warps({4, 1}, [&](const Expr&, const Expr&) { k.mma(s, a, b, {.right_transposed = true}); });
        });
    };
    EXPECT_EQ(said({}), "accepted");
    EXPECT_EQ(said({.left = f32, .held = true}), "accepted");
    EXPECT_EQ(said({.held = true}), "accepted");
    expect_said(said({.left = f16, .held = true}), "a is f16 and b is bf16");
    expect_said(said({.sums = i32}), "b is bf16 and s is i32");
    expect_said(said({.left = f16}), "a is f16 and b is bf16");
    expect_said(said({.b = {32, 32}}), "b has 32 columns");
    expect_said(said({.a = {64, 64}}), "a has 64 cells to sum over");
    expect_said(said({.a = {64, 24}, .b = {64, 24}}), "24 cells are summed over");
}

// Dims of the algorithm are called as those of tiles are, and as indices and the memory of boxes.
TEST(KernelLanguage, TextParsesBackWhateverDimsAreCalled) {
    for (const auto& names : std::vector<std::array<const char*, 3>>{
             {"i", "j", "k"}, {"k", "i", "j"}, {"row", "column", "cell"}, {"block", "warpgroup", "i"}}) {
        Dim m(names[0]), n(names[1]), k(names[2]);
        const Input A("A", bf16, {m, k}), B("B", bf16, {n, k});
        Func C("C");
        C(m, n) = sum({k}, cast(f32, A(m, k)) * cast(f32, B(n, k)));
        KernelBuilder kernel(Algorithm({C}, {A, B}), {.threads = 128});
        const Expr top = kernel.grid({(m.extent() + 63) / 64})[0] * 64;
        const Tile sums = kernel.group_fragment("sums", f32, {64, 64}, 1);
        kernel.warpgroups(
            {1}, [&](const Expr&) { kernel.for_each(sums, [&](const Expr& i, const Expr& j) { kernel.store(sums(i, j), 0); }); });
        kernel.loop((k.extent() + 63) / 64, [&](const Expr& step) {
            const Tile a = kernel.boxes("a", bf16, {64, 64}, 2), b = kernel.boxes("b", bf16, {64, 64}, 2);
            kernel.copy_box(a, [&](const Expr& i, const Expr& j) { return constant(A, 0)(top + i, step * 64 + j); });
            kernel.copy_box(b, [&](const Expr& i, const Expr& j) { return constant(B, 0)(i, step * 64 + j); });
            kernel.warpgroups({1}, [&](const Expr&) { kernel.mma(sums, a, b, {.right_transposed = true}); });
        });
        kernel.warpgroups({1}, [&](const Expr&) {
            kernel.for_each(sums, [&](const Expr& i, const Expr& j) {
                kernel.when(top + i < m.extent() && j < n.extent(), [&] { kernel.store(C(top + i, j), sums(i, j)); });
            });
        });
        const tile::Program program = tile::written_program(kernel.finish(), parse_target("cuda-sm_90a"));
        const std::string text = tile::to_text(program);
        const tile::Program parsed = tile::parse_program(text, program.bound);
        tile::verify(parsed);
        EXPECT_EQ(tile::to_text(parsed), text);
    }
}

TEST(KernelLanguage, BoxesAndWarpgroupsAreChecked) {
    using B = KernelBuilder;
    const auto said = [](const std::function<void(Product&, B&, const Expr&)>& write, const TileKernelOptions& options = {},
                         const char* target = "cuda-sm_90a") { return mistake(write, options, target); };
    const auto copies = [](Product& p, B& k, const Expr&) {
        const Tile t = k.boxes("t", bf16, {64, 64});
        k.copy_box(t, [&](const Expr& i, const Expr& j) { return constant(p.A, 0)(i, j); });
    };
    EXPECT_EQ(said(copies), "accepted");
    expect_said(said(copies, {}, "cuda-sm_80"), "t is moved by the copy engine, which sm_80 does not have");
    expect_said(said([](Product&, B& k, const Expr&) {
                    (void)k.boxes("t", bf16, {64, 40});
                }),
                "tile t of boxes has 64 rows and 40 columns");
    expect_said(said([](Product& p, B& k, const Expr&) {
                    const Tile t = k.boxes("t", bf16, {64, 64});
                    k.copy_box(t, [&](const Expr& i, const Expr& j) { return constant(p.A, 0)(i, j + 3); });
                }),
                "its first column is not known to be a multiple of 16 bytes");
    expect_said(said([](Product& p, B& k, const Expr&) {
                    const Tile t = k.boxes("t", bf16, {64, 64});
                    k.copy_box(t, [&](const Expr& i, const Expr& j) { return constant(p.A, 0)(j, i); });
                }),
                "its last two indices are not a first row + row");
    expect_said(said([](Product& p, B& k, const Expr&) {
                    const Tile t = k.boxes("t", bf16, {64, 64});
                    k.loop(p.k.extent(), [&](const Expr&) {
                        k.copy_box(t, [&](const Expr& i, const Expr& j) { return constant(p.A, 0)(i, j); });
                    });
                }),
                "the copy engine fills the one buffer of t in a loop");
    expect_said(said([](Product& p, B& k, const Expr&) {
                    const Tile t = k.boxes("t", bf16, {64, 64});
                    k.threads({64}, [&](const Expr& i) { k.store(t(i, 0), constant(p.A, 0)(0, 0)); });
                }),
                "threads store t, which the copy engine fills");
    expect_said(said([](Product&, B& k, const Expr&) {
                    (void)k.group_fragment("t", f32, {128, 64}, 2);
                }),
                "fragment t is shared by 2 warpgroups");
    expect_said(said([](Product&, B& k, const Expr&) {
                    (void)k.group_fragment("t", f32, {128, 64}, 1);
                }),
                "fragment t of 1 warpgroup has 128 rows and 64 columns");
    expect_said(said([](Product&, B& k, const Expr&) {
                    const Tile t = k.group_fragment("t", f32, {64, 64}, 1);
                    k.warps({4}, [&](const Expr&) { k.for_each(t, [](const Expr&, const Expr&) {}); });
                }),
                "a use of fragment t stands where a warp runs it");
    expect_said(said([](Product&, B& k, const Expr&) {
                    const Tile s = k.group_fragment("s", f32, {64, 64}, 1), a = k.shared("a", bf16, {64, 64}),
                               b = k.boxes("b", bf16, {64, 64});
                    k.warpgroups({1}, [&](const Expr&) { k.mma(s, a, b); });
                }),
                "a is not of boxes(), and s is a fragment of warpgroups");
    expect_said(said([](Product&, B& k, const Expr&) {
                    const Tile s = k.fragment("s", f32, {64, 64}, {4, 1}), a = k.shared("a", bf16, {64, 64}),
                               b = k.shared("b", bf16, {64, 64});
                    k.warps({4}, [&](const Expr&) { k.mma(s, a, b, {.replaces = true}); });
                }),
                "s is replaced, and shared by warps");
    const auto flies = [&](const std::function<void(B&, const Tile&, const Tile&, const Tile&)>& then) {
        return said([&](Product&, B& k, const Expr&) {
            const Tile s = k.group_fragment("s", f32, {64, 64}, 1), p = k.group_fragment("p", bf16, {64, 64}, 1),
                       b = k.boxes("b", bf16, {64, 64});
            k.warpgroups({1}, [&](const Expr&) {
                k.mma(s, p, b, {.in_flight = true});
                then(k, s, p, b);
            });
        });
    };
    EXPECT_EQ(flies([](B& k, const Tile& s, const Tile&, const Tile&) { k.settle(s); }), "accepted");
    expect_said(flies([](B&, const Tile&, const Tile&, const Tile&) {}), "a product into s is in flight where its body ends");
    expect_said(flies([](B& k, const Tile& s, const Tile&, const Tile&) {
                    k.for_each(s, [&](const Expr& i, const Expr& j) { k.store(s(i, j), 0.0f); });
                }),
                "s is used while a product into it is in flight");
    expect_said(flies([](B& k, const Tile&, const Tile& p, const Tile&) {
                    k.for_each(p, [&](const Expr& i, const Expr& j) { k.store(p(i, j), cast(bf16, 0.0f)); });
                }),
                "p is stored while a product in flight may still read it");
    expect_said(flies([](B& k, const Tile& s, const Tile& p, const Tile&) {
                    k.settle(s);
                    k.settle(p);
                }),
                "settle() of p, into which no product is in flight here");
    expect_said(said([](Product&, B&, const Expr&) {}, {.threads = 64, .roles = true}), "roles with 64 threads");
    expect_said(said(copies, {.roles = true}),
                "kernel C_0 has warps with roles, but of t: it is in shared memory beside the copies");
}

// Copies of a loop run ahead without a word, and every load waits for its barrier.
TEST(KernelLanguage, CopiesRunAheadAndBarriersStand) {
    const cuda_test::CorpusKernel& flash = cuda_test::corpus_kernel("flash_d64");
    const std::string written = flash.written->text(), lowered = to_text(cuda_test::corpus_program(flash));
    for (const char* word : {"await", "commit", "barrier"}) {
        EXPECT_EQ(written.find(word), std::string::npos) << word;
        EXPECT_NE(lowered.find(word), std::string::npos) << word;
    }
    EXPECT_NE(lowered.find("by cast.bf16(s("), std::string::npos);
    EXPECT_NE(lowered.find("combine lane top lanes 4"), std::string::npos);
    EXPECT_NE(inspect_ir(*flash.written, parse_target("cuda-sm_80"), IrLevel::target).find("pack_bf16x2("), std::string::npos);
}

TEST(KernelLanguage, KernelsAreForGpus) {
    const cuda_test::CorpusKernel& k = cuda_test::corpus_kernel("written_row_sums");
    const auto said = [&](const LibraryKernel& kernel, const char* target) {
        try {
            (void)compile_library({kernel}, parse_target(target), "sums", testing::TempDir());
        } catch (const Exception& e) {
            return std::string(e.what());
        }
        return std::string("accepted");
    };
    expect_said(said(library_kernel("f", *k.written), "host"), "f is a kernel for a GPU, not for host");
    LibraryKernel other = library_kernel("f", *k.written);
    other.algorithm = cuda_test::corpus_kernel("blur").algorithm;
    expect_said(said(other, "cuda-sm_80"), "f is given a kernel of another algorithm");
}

}  // namespace
}  // namespace tessera
