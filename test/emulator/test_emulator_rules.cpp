// Each thing that the emulator refuses, in a kernel of a few lines, beside the one that is right.
#include <gtest/gtest.h>
#include <tessera/half.h>

#include <algorithm>
#include <numeric>

#include "emulator/emulated_device.h"
#include "emulator/launch.h"

namespace tessera::emulator {
namespace {

using namespace tsr;

/// The fault of a kernel, or "".
template <class Kernel>
std::string fault_of(Shape shape, Options options, Kernel kernel) {
    try {
        (void)launch(shape, options, kernel);
    } catch (const Fault& f) {
        return f.what();
    }
    return "";
}
template <class Kernel>
std::string fault_of(Kernel kernel) {
    return fault_of({.threads = 64, .shared_bytes = 4096}, {}, kernel);
}
void expect_kind(const std::string& fault, const std::string& kind) {
    EXPECT_EQ(fault.substr(0, kind.size() + 2), kind + ": ") << fault;
}

TEST(SharedMemory, WhatABarrierOrdersIsNoRace) {
    EXPECT_EQ(fault_of([] {
                  sts(smem_base() + 4 * tid(), tid());
                  sync_cta();
                  EXPECT_EQ(lds<int>(smem_base() + 4 * ((tid() + 32) % 64)), (tid() + 32) % 64);
              }),
              "");
}

TEST(SharedMemory, RacesAreSeenInEveryOrder) {
    for (const std::uint64_t seed : {0, 1, 2, 3}) {
        expect_kind(fault_of({.threads = 64, .shared_bytes = 4096}, {.seed = seed},
                             [] {
                                 sts(smem_base() + 4 * tid(), tid());
                                 (void)lds<int>(smem_base() + 4 * ((tid() + 32) % 64));
                             }),
                    "race");
        expect_kind(fault_of({.threads = 64, .shared_bytes = 4096}, {.seed = seed}, [] { sts(smem_base(), tid()); }), "race");
    }
}

TEST(SharedMemory, BytesOfOneGranuleAreTheirWritersOwn) {
    EXPECT_EQ(fault_of([] { sts(smem_base() + tid(), static_cast<u8>(tid())); }), "");
    expect_kind(fault_of([] { sts(smem_base() + tid() / 2, static_cast<u8>(tid())); }), "race");
}

TEST(SharedMemory, AWarpIsNotInLockStep) {
    expect_kind(fault_of({.threads = 32, .shared_bytes = 256}, {},
                         [] {
                             sts(smem_base() + 4 * tid(), tid());
                             (void)lds<int>(smem_base() + 4 * (tid() ^ 1));
                         }),
                "race");
    EXPECT_EQ(fault_of({.threads = 32, .shared_bytes = 256}, {},
                       [] {
                           sts(smem_base() + 4 * tid(), tid());
                           sync_warp();
                           EXPECT_EQ(lds<int>(smem_base() + 4 * (tid() ^ 1)), tid() ^ 1);
                       }),
              "");
}

TEST(SharedMemory, AtomicsDoNotRaceWithEachOther) {
    EXPECT_EQ(fault_of([] {
                  if (tid() == 0) sts(smem_base(), 0);
                  sync_cta();
                  atom_add_shared(smem_base(), 2);
                  sync_cta();
                  EXPECT_EQ(lds<int>(smem_base()), 128);
              }),
              "");
    expect_kind(fault_of([] {
                    atom_add_shared(smem_base(), 2);
                    (void)lds<int>(smem_base());
                }),
                "race");
}

TEST(SharedMemory, BoundsAndAlignment) {
    expect_kind(fault_of([] { (void)lds<int>(smem_base() + 4096); }), "out of bounds");
    expect_kind(fault_of([] { (void)lds<int>(0); }), "out of bounds");
    expect_kind(fault_of([] { (void)lds<Vec<float, 4>>(smem_base() + 8); }), "misaligned");
}

TEST(NamedBarriers, ArrivalsOrderWhatCameBeforeThem) {
    const auto hand_over = [](bool arrives_after) {
        return [arrives_after] {
            if (tid() < 32) {
                if (!arrives_after) arrive_named(1, 64);
                sts(smem_base() + 4 * tid(), tid());
                if (arrives_after) arrive_named(1, 64);
            } else {
                sync_named(1, 64);
                (void)lds<int>(smem_base() + 4 * (tid() - 32));
            }
        };
    };
    EXPECT_EQ(fault_of(hand_over(true)), "");
    expect_kind(fault_of(hand_over(false)), "race");
    expect_kind(fault_of([] { sync_named(16, 64); }), "barrier");
    expect_kind(fault_of([] { sync_named(1, 40); }), "barrier");
    expect_kind(fault_of([] { sync_named(1, tid() < 32 ? 64 : 32); }), "divergence");
}

TEST(Warps, EveryLaneComesToTheSamePlace) {
    expect_kind(fault_of([] { tid() % 2 == 0 ? (void)shfl_xor(1, 1) : sync_warp(); }), "divergence");
    expect_kind(fault_of([] {
                    if (tid() != 5) (void)shfl_xor(1, 1);
                }),
                "deadlock");
}

TEST(Warps, Shuffles) {
    EXPECT_EQ(fault_of([] {
                  const int lane = tid() % 32;
                  EXPECT_EQ(shfl_xor(lane, 5), lane ^ 5);
                  EXPECT_EQ(shfl_up(lane, 3), lane < 3 ? lane : lane - 3);
                  EXPECT_EQ(shfl_down(lane, 3), lane > 28 ? lane : lane + 3);
                  EXPECT_EQ(shfl_idx(2.5 * lane, 7), 17.5);
                  EXPECT_EQ(uniform(tid()), tid() / 32 * 32);
                  EXPECT_EQ(vote(lane < 4), 15u);
              }),
              "");
}

TEST(GlobalMemoryChecks, BoundsAlignmentAndWritesOfInputs) {
    std::vector<float> in(64, 1.0f), out(64);
    const auto run = [&](auto kernel) {
        return fault_of({.threads = 64}, {.memory = {{in.data(), 256, true}, {out.data(), 256}}}, kernel);
    };
    EXPECT_EQ(run([&] { stg(&out[static_cast<std::size_t>(tid())], ldg(&in[static_cast<std::size_t>(tid())])); }), "");
    expect_kind(run([&] { (void)ldg(in.data() + 64 + tid()); }), "out of bounds");
    expect_kind(run([&] { stg(in.data() + tid(), 1.0f); }), "out of bounds");
    expect_kind(run([&] { stg(out.data() + 1, Vec<float, 4>{}); }), "misaligned");
    expect_kind(run([&] { stg(out.data(), 1.0f); }), "race");
}

TEST(GlobalMemoryChecks, CtasAreNotOrdered) {
    std::vector<u32> out(64);
    const Options options{.memory = {{out.data(), 256}}};
    expect_kind(fault_of({.grid_x = 2, .threads = 32}, options, [&] { stg(&out[static_cast<std::size_t>(tid())], 1u); }), "race");
    std::fill(out.begin(), out.end(), 0u);
    EXPECT_EQ(fault_of({.grid_x = 2, .threads = 32}, options, [&] { atom_add(&out[static_cast<std::size_t>(tid())], 3u); }), "");
    EXPECT_EQ(out[5], 6u);
}

TEST(GlobalMemoryChecks, AFlagOrdersCtasThatRunTogether) {
    std::vector<u32> cells(64, 0);
    const auto pass_on = [&](bool released) {
        std::fill(cells.begin(), cells.end(), 0u);
        return fault_of({.grid_x = 2, .threads = 32}, {.seed = 1, .together = true, .memory = {{cells.data(), 256}}},
                        [&cells, released] {
                            u32* const cell = &cells[static_cast<std::size_t>(32 + tid())];
                            if (cta_x() == 0) {
                                stg(cell, 7u);
                                sync_warp();
                                if (tid() == 0 && released) st_release(cells.data(), 1);
                                if (tid() == 0 && !released) atom_exchange(cells.data(), 1u);
                            } else {
                                while (ld_acquire(cells.data()) == 0) {
                                }
                                EXPECT_EQ(ldg(cell), 7u);
                            }
                        });
    };
    EXPECT_EQ(pass_on(true), "");
    expect_kind(pass_on(false), "race");
    std::fill(cells.begin(), cells.end(), 0u);
    expect_kind(fault_of({.grid_x = 2, .threads = 32}, {.memory = {{cells.data(), 256}}},
                         [&] {
                             if (cta_x() == 0)
                                 while (ld_acquire(cells.data()) == 0) {
                                 }
                         }),
                "deadlock");
}

TEST(ThreadCopies, ArePoisonUntilWaitedFor) {
    std::vector<float> in(256, 2.0f);
    const auto run = [&](int waits_for, bool commits, Async async) {
        return fault_of({.threads = 64, .shared_bytes = 2048}, {.async = async}, [&in, waits_for, commits] {
            const u32 at = smem_base() + 16 * static_cast<u32>(tid());
            cp_async16(at, in.data() + 4 * tid(), tid() % 2 == 0);
            if (commits) cp_async_commit();
            if (waits_for == 0) cp_async_wait<0>();
            if (waits_for == 1) cp_async_wait<1>();
            EXPECT_EQ(lds<float>(at), tid() % 2 == 0 ? 2.0f : 0.0f);
            if (waits_for == 1) cp_async_wait<0>();
        });
    };
    for (const Async async : {Async::eager, Async::lazy, Async::random}) {
        EXPECT_EQ(run(0, true, async), "");
        expect_kind(run(1, true, async), "race");
        expect_kind(run(0, false, async), "race");
    }
    expect_kind(fault_of([&] { cp_async16(smem_base() + 8, in.data(), true); }), "misaligned");
    expect_kind(fault_of([&] { cp_async16(smem_base(), in.data() + 1, true); }), "misaligned");
    expect_kind(fault_of([&] {
                    cp_async16(smem_base() + 16 * static_cast<u32>(tid()), in.data(), true);
                    cp_async_commit();
                }),
                "wait");
}

const Shape one_warpgroup{.threads = 128, .shared_bytes = 8192};

/// A CTA of one warpgroup with a barrier at its end and 64 x 64 bf16 to load, 128-byte swizzle.
struct TensorCase {
    std::vector<bf16> tensor = std::vector<bf16>(64 * 64);
    TensorMap map{};

    TensorCase() {
        for (std::size_t i = 0; i < tensor.size(); ++i) tensor[i] = {bf16_bits(static_cast<float>(i % 251))};
        encode_tensor_map(&map, {tensor.data(), 2, {64, 64}, {128}, {64, 32}, 128});
    }
};
constexpr u32 barrier_offset = 4096;
const Shape load_shape{.threads = 128, .shared_bytes = 8192};

TEST(CopyEngine, SwizzlesFillsWithZerosAndSignals) {
    TensorCase c;
    for (const Async async : {Async::eager, Async::lazy, Async::random})
        for (const int y : {0, -3, 40})
            EXPECT_EQ(fault_of(load_shape, {.seed = 3, .async = async},
                               [&c, y] {
                                   const u32 barrier = smem_base() + barrier_offset;
                                   if (tid() == 0) {
                                       mbar_init(barrier, 1);
                                       mbar_fence_init();
                                       mbar_expect_tx(barrier, 4096);
                                       tma_load_2d(smem_base(), &c.map, barrier, 0, y);
                                   }
                                   sync_cta();
                                   mbar_wait(barrier, 0);
                                   for (int i = tid(); i < 32 * 64; i += 128) {
                                       const int row = i / 64, column = i % 64, chunk = (column / 8) ^ (row % 8);
                                       const bf16 got =
                                           lds<bf16>(smem_base() + static_cast<u32>(row * 128 + chunk * 16 + column % 8 * 2));
                                       const bool inside = row + y >= 0 && row + y < 64;
                                       EXPECT_EQ(got.x,
                                                 inside ? c.tensor[static_cast<std::size_t>((row + y) * 64 + column)].x : 0);
                                   }
                               }),
                      "");
}

TEST(CopyEngine, WhatIsInFlightBelongsToIt) {
    TensorCase c;
    const auto run = [&](const char* wrong) {
        const std::string what = wrong;
        return fault_of(load_shape, {}, [&c, what] {
            const u32 barrier = smem_base() + barrier_offset;
            if (tid() == 0) {
                mbar_init(barrier, 1);
                if (what != "no fence") mbar_fence_init();
                mbar_expect_tx(barrier, what == "bytes" ? 4000 : 4096);
                if (what == "used before") (void)lds<int>(smem_base());
                tma_load_2d(smem_base() + (what == "place" ? 128 : 0), &c.map, barrier,
                            what == "column"           ? 4
                            : what == "columns before" ? -8
                                                       : 0,
                            0);
                if (what == "overwritten") sts(smem_base(), 1);
            }
            if (what != "unordered") sync_cta();
            if (what != "no wait") mbar_wait(barrier, what == "parity" ? 1 : 0);
            (void)lds<int>(smem_base() + 4 * static_cast<u32>(tid()));
        });
    };
    EXPECT_EQ(run(""), "");
    EXPECT_EQ(run("used before"), "");
    expect_kind(run("no fence"), "fence");
    expect_kind(run("bytes"), "deadlock");
    expect_kind(run("place"), "misaligned");
    EXPECT_EQ(run("columns before"), "");
    expect_kind(run("column"), "misaligned");
    expect_kind(run("overwritten"), "race");
    expect_kind(run("no wait"), "race");
    expect_kind(run("parity"), "race");
    EXPECT_NE(run("unordered"), "") << "barriers must be initialised before others use them";
}

TEST(CopyEngine, RefusesWhatTheDriverWould) {
    std::vector<bf16> tensor(64 * 72);
    TensorMap map{};
    const auto encode = [&](TensorShape shape) {
        try {
            encode_tensor_map(&map, shape);
        } catch (const Fault& f) {
            return std::string(f.what());
        }
        return std::string();
    };
    EXPECT_EQ(encode({tensor.data(), 2, {64, 64}, {128}, {64, 64}, 128}), "");
    expect_kind(encode({tensor.data() + 1, 2, {64, 64}, {128}, {64, 64}, 128}), "tensor map");
    expect_kind(encode({tensor.data(), 2, {63, 64}, {126}, {64, 64}, 128}), "tensor map");
    expect_kind(encode({tensor.data(), 2, {128, 32}, {256}, {128, 32}, 128}), "tensor map");
    expect_kind(encode({tensor.data(), 2, {64, 64}, {128}, {64, 257}, 0}), "tensor map");
    expect_kind(encode({tensor.data(), 2, {64, 64}, {128}, {4, 64}, 0}), "tensor map");
}

TEST(CopyEngine, StoresNeedAFenceACommitAndAWait) {
    TensorCase c;
    const auto run = [&](const char* wrong) {
        const std::string what = wrong;
        TensorMap out{};
        std::vector<bf16> result(64 * 64);
        encode_tensor_map(&out, {result.data(), 2, {64, 64}, {128}, {64, 32}, 128});
        const std::string fault = fault_of(load_shape, {}, [&out, what] {
            for (int i = tid(); i < 1024; i += 128) sts(smem_base() + 4 * static_cast<u32>(i), i);
            if (what != "no fence") fence_proxy_async();
            sync_cta();
            if (tid() != 0) return;
            tma_store_2d(&out, smem_base(), 0, 40);
            if (what != "no commit") tma_store_commit();
            if (what == "early") sts(smem_base(), 1);
            if (what != "no wait") tma_store_wait_read<0>();
            sts(smem_base(), 1);
        });
        if (fault.empty()) {
            EXPECT_EQ(result[40 * 64 + 8].x, 4);  // row 0 is not moved: its second chunk begins with word 4
            EXPECT_EQ(result[41 * 64].x, (32 + 4) & 0xffff) << "row 1 has its chunks exchanged in pairs";
        }
        return fault;
    };
    EXPECT_EQ(run(""), "");
    for (const auto& [wrong, kind] :
         {std::pair{"no fence", "fence"}, {"no commit", "race"}, {"early", "race"}, {"no wait", "race"}})
        expect_kind(run(wrong), kind);
}

TEST(Clusters, ArrivalsAtAPeerMustComeBeforeItsEnd) {
    const auto run = [](bool waits) {
        return fault_of({.grid_x = 2, .threads = 32, .shared_bytes = 64, .cluster_x = 2}, {.seed = 1}, [waits] {
            if (tid() == 0) {
                mbar_init(smem_base(), 1);
                mbar_fence_init();
            }
            cluster_sync();
            if (tid() == 0) {
                mbar_arrive_cluster(smem_base(), cluster_rank() ^ 1);
            }
            if (waits) mbar_wait_cluster(smem_base(), 0);
        });
    };
    EXPECT_EQ(run(true), "");
    expect_kind(run(false), "lifetime");
}

TEST(Clusters, SharedMemoryOfAPeer) {
    EXPECT_EQ(fault_of({.grid_x = 4, .threads = 32, .shared_bytes = 128, .cluster_x = 2}, {},
                       [] {
                           sts_cluster(map_shared(smem_base() + 4 * static_cast<u32>(tid()), cluster_rank() ^ 1), cta_x());
                           cluster_sync();
                           EXPECT_EQ(lds<int>(smem_base() + 4 * static_cast<u32>(tid())), cta_x() ^ 1);
                       }),
              "");
}

/// A and B of 64 x 16 and n x 16 in swizzled rows, loaded by ordinary stores; d = a b.
TEST(WarpgroupProducts, NeedFencesAndWaits) {
    const auto run = [](const char* wrong) {
        const std::string what = wrong;
        return fault_of({.threads = 128, .shared_bytes = 16384}, {.async = what == "eager" ? Async::eager : Async::lazy}, [what] {
            const u32 a = smem_base(), b = smem_base() + 8192;
            for (int i = tid(); i < 64 * 64; i += 128) {
                const int row = i / 64, column = i % 64;
                const u32 at = static_cast<u32>(row * 128 + ((column / 8) ^ (row % 8)) * 16 + column % 8 * 2);
                sts(a + at, f32_to_bf16(static_cast<float>(row)));
                if (row < 8) sts(b + at, f32_to_bf16(column == 0 ? static_cast<float>(row + 1) : 0.0f));
            }
            if (what != "no proxy fence") fence_proxy_async();
            sync_cta();
            float d[4] = {1, 1, 1, 1};
            if (what != "no fence") wgmma_fence();
            wgmma_m64n8k16_bf16(d, desc_k_sw128(a), desc_k_sw128(b), 1);
            wgmma_commit();
            if (what == "overwritten") sts(a + 4 * static_cast<u32>(tid()), 0);
            if (what != "no wait") wgmma_wait<0>();
            for (int e = 0; e < 4; ++e) {
                const int row = 16 * (tid() / 32) + tid() % 32 / 4 + 8 * (e / 2), column = 2 * (tid() % 4) + e % 2;
                if (what != "no wait")
                    EXPECT_EQ(d[e], static_cast<float>(1 + row * (column + 1)));
                else
                    EXPECT_NE(d[e], d[e]) << "a number before the wait";
            }
            if (what == "no wait") wgmma_wait<0>();
        });
    };
    for (const char* right : {"", "eager", "no wait"}) EXPECT_EQ(run(right), "") << right;
    for (const auto& [wrong, kind] : {std::pair{"no proxy fence", "fence"}, {"no fence", "fence"}, {"overwritten", "race"}})
        expect_kind(run(wrong), kind);
    expect_kind(fault_of(one_warpgroup, {},
                         [] {
                             reg_alloc<232>();
                             reg_alloc<20>();
                         }),
                "registers");
}

TEST(Launches, AreCheckedThemselves) {
    expect_kind(fault_of({.threads = 40}, {}, [] {}), "launch");
    expect_kind(fault_of({.grid_x = 3, .cluster_x = 2}, {}, [] {}), "launch");
    expect_kind(fault_of({.shared_bytes = 300000}, {}, [] {}), "launch");
    EXPECT_THROW((void)tid(), Fault) << "outside a kernel";
    EXPECT_EQ(fault_of([] {}), "") << "a launch works after one that failed";
}

TEST(NarrowNumbers, RoundAsTheFormatsOfTheLibrary) {
    for (std::uint32_t i = 0; i < 1u << 16; ++i) {
        const auto bits = static_cast<std::uint16_t>(i);
        float16 half;
        half.bits = bits;
        const auto wanted = static_cast<float>(half);
        if (wanted == wanted) {
            EXPECT_EQ(f16_value(bits), wanted);
            EXPECT_EQ(f16_bits(wanted), bits);
            for (const float nearby : {std::nextafter(wanted, 1e30f), wanted * 1.0003f, wanted * 1.0006f})
                EXPECT_EQ(f16_bits(nearby), float16(nearby).bits) << nearby;
        }
    }
    for (const float x : {1.00390625f, 1.01171875f, 3.3e38f, -0.0f, 1e-40f}) EXPECT_EQ(bf16_bits(x), bfloat16(x).bits) << x;
    for (int i = 0; i < 256; ++i) {
        const auto bits = static_cast<std::uint8_t>(i);
        const float a = e4m3_value(bits), b = e5m2_value(bits);
        if (a == a) {
            EXPECT_EQ(e4m3_bits(a), bits);
        }
        if (b == b && std::fabs(b) < 1e30f) {
            EXPECT_EQ(e5m2_bits(b), bits);
        }
    }
    EXPECT_EQ(e4m3_value(0x7e), 448.0f);
    EXPECT_EQ(e4m3_value(0x01), 0x1p-9f);
    EXPECT_EQ(e4m3_bits(1e9f), 0x7e);
    EXPECT_EQ(e5m2_value(0x7b), 57344.0f);
    EXPECT_EQ(e5m2_bits(-1e9f), 0xfb);
    EXPECT_EQ(f32_to_tf32(std::nextafter(1.0f, 2.0f)), bits_of(1.0f));
    EXPECT_EQ(f32_to_tf32(1.0f + 0x1p-11f), static_cast<u32>(bits_of(1.0f + 0x1p-10f)));
}

}  // namespace
}  // namespace tessera::emulator
