#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/tessera.h>

#include <cstring>

// The memory plan of CPU kernels: buffers outside loops in one block, in slots that they share over time.
namespace tessera {
namespace {

constexpr std::size_t header_bytes = 64;

/// `stages` stencils, each from the one before, stage s with `factor(s)` times the elements of x.
struct Chain {
    Dim x{"x"};
    Input in{"in", f32, {x}};
    std::vector<Func> stages;
    Schedule schedule;

    explicit Chain(int count) {
        for (int s = 0; s < count; ++s) {
            Func f("s" + std::to_string(s));
            if (s == 0)
                f(x) = clamp(in)(x) + clamp(in)(x - 1);
            else
                f(x) = stages.back()(x) * 1.25f + stages.back()(x + 1);
            schedule.stage(f.name()).root().serial("x", 8).vector("x");
            stages.push_back(f);
        }
    }
    [[nodiscard]] Algorithm algorithm() const { return Algorithm({stages.back()}, {in}); }
};

Buffer<float> counting(std::int64_t extent) {
    Buffer<float> b({extent});
    float next = 0;
    b.for_each([&](float& v) { v = next += 0.375f; });
    return b;
}

bool same_bytes(const Buffer<float>& a, const Buffer<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), static_cast<size_t>(a.size()) * sizeof(float)) == 0;
}

Buffer<float> interpreted(const Algorithm& algorithm, const Buffer<float>& in, const std::string& output) {
    Buffer<float> out({in.extent(0)});
    compile(algorithm, Schedule(), parse_target("interpreter"))({{"in", in}}, {{output, out}});
    return out;
}

template <class F>
std::string error_of(F&& f) {
    try {
        f();
    } catch (const Exception& e) {
        return std::string(code_text(e.code())) + ": " + e.message();
    }
    return "nothing";
}

TEST(Scratch, ChainsTakeTwoBuffersHoweverLongTheyAre) {
    constexpr std::int64_t extent = 10007;
    const Buffer<float> in = counting(extent);
    std::vector<std::size_t> bytes;
    for (const int stages : {1, 2, 3, 7, 12}) {
        const Chain chain(stages);
        const std::string last = chain.stages.back().name();
        for (const bool cached : {false, true}) {
            const Module module = compile(chain.algorithm(), chain.schedule, {}, {.disk_cache = cached});
            const Buffer<float> out({extent});
            const std::size_t all = module.scratch_bytes({{"in", in}}, {{last, out}});
            out.for_each([](float v) { ASSERT_EQ(v, 0) << "scratch_bytes() computed something"; });
            if (!cached) bytes.push_back(all);
            EXPECT_EQ(all, bytes.back());
            module({{"in", in}}, {{last, out}});
            EXPECT_TRUE(same_bytes(out, interpreted(chain.algorithm(), in, last))) << stages;
        }
    }
    const auto one = static_cast<std::size_t>(extent) * sizeof(float);
    EXPECT_EQ(bytes[0], 0u);
    EXPECT_GE(bytes[1], one + header_bytes);
    EXPECT_LE(bytes[1], one + header_bytes + 256);
    for (const size_t longer : {2, 3, 4}) {
        EXPECT_GE(bytes[longer], 2 * one) << longer;
        EXPECT_LE(bytes[longer], 2 * one + 1024) << longer;
    }
}

TEST(Scratch, WhatIsReadLaterKeepsItsPlace) {
    // The first stage is read by the last one, so that three are alive at once.
    Dim x("x");
    Input in("in", f32, {x});
    Func a("a"), b("b"), c("c"), d("d"), out("out");
    a(x) = in(x)*3.0f;
    b(x) = a(x) + 1.0f;
    c(x) = b(x) * b(x);
    d(x) = c(x) - 2.0f;
    out(x) = d(x) + a(x);
    const Algorithm algorithm({out}, {in});
    Schedule schedule;
    for (const char* stage : {"a", "b", "c", "d", "out"}) schedule.stage(stage).root().serial("x", 8).vector("x");
    const Module module = compile(algorithm, schedule);
    const Buffer<float> values = counting(5003), result({5003});
    const std::size_t bytes = module.scratch_bytes({{"in", values}}, {{"out", result}});
    EXPECT_GE(bytes, 3u * 5003 * sizeof(float));
    EXPECT_LT(bytes, 3u * 5003 * sizeof(float) + 1024);
    module({{"in", values}}, {{"out", result}});
    EXPECT_TRUE(same_bytes(result, interpreted(algorithm, values, "out")));
}

// Arrays of whole pages that are read together begin at different lines of their pages.
TEST(Scratch, SlotsOfWholePagesBeginAtDifferentLines) {
    Dim x("x", 16384);
    Input in("in", f32, {x});
    const auto scratch = [&](int count) {
        Func out("out");
        Schedule schedule;
        std::vector<Func> read;
        for (int i = 0; i < count; ++i) {
            Func f("f" + std::to_string(i));
            f(x) = in(x) + static_cast<float>(i);
            schedule.stage(f.name()).root().serial("x", 8).vector("x");
            read.push_back(f);
        }
        out(x) = in(x) + 0.0f;
        for (const Func& f : read) {
            Func next(out.name() + "_");
            next(x) = out(x) * f(x);
            out = next;
        }
        schedule.stage(out.name()).root().serial("x", 8).vector("x");
        const Module module = compile(Algorithm({out}, {in}), schedule);
        return module.scratch_bytes({{"in", counting(16384)}}, {{out.name(), Buffer<float>({16384})}});
    };
    const std::size_t one = scratch(1), two = scratch(2), three = scratch(3);
    EXPECT_GE(two - one, 65536u);
    EXPECT_EQ((two - one) % 4096, 320u);
    EXPECT_EQ((three - two) % 4096, 320u);
}

TEST(Scratch, SlotsFitTheLargestOfTheirBuffersForAnyExtents) {
    // b is n wide, d is m wide: which one is larger is known only at the call, and they share a slot.
    Dim n("n"), m("m"), k("k");
    Input in("in", f32, {n}), weights("weights", f32, {m});
    Func a("a"), b("b"), c("c"), d("d"), e("e"), out("out");
    a(n) = in(n) + 0.5f;
    b(n) = a(n) * a(n);
    c(m) = weights(m) * sum({n}, b(n));
    d(m) = c(m) + weights(m);
    e(m) = d(m) * 0.5f;
    out(m) = e(m) - 1.0f;
    const Algorithm algorithm({out}, {in, weights});
    Schedule schedule;
    for (const char* stage : {"a", "b"}) schedule.stage(stage).root().serial("n", 8).vector("n");
    for (const char* stage : {"c", "d", "e", "out"}) schedule.stage(stage).root().serial("m", 8).vector("m");
    schedule.stage("c.sum").root().serial("n");
    const Module module = compile(algorithm, schedule);
    for (const auto& [wide, tall] : {std::pair{9001, 13}, std::pair{13, 9001}, std::pair{1, 1}, std::pair{0, 5}}) {
        const Buffer<float> values = counting(wide), factors = counting(tall), result({tall}), expected({tall});
        const NamedInputs inputs{{"in", values}, {"weights", factors}};
        const std::size_t bytes = module.scratch_bytes(inputs, {{"out", result}});
        EXPECT_LE(bytes, 2u * 9001 * sizeof(float) + 2048);
        std::vector<std::byte> memory(bytes + 64 + 16, std::byte{0x5a});
        auto* aligned = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
        module.call_with_scratch(inputs, {{"out", result}}, {aligned, bytes});
        for (auto* after = aligned + bytes; after != memory.data() + memory.size(); ++after)
            ASSERT_EQ(*after, std::byte{0x5a}) << "written past the scratch memory";
        compile(algorithm, Schedule(), parse_target("interpreter"))(inputs, {{"out", expected}});
        EXPECT_TRUE(same_bytes(result, expected)) << wide << " " << tall;
    }
}

TEST(Scratch, CallersMemoryIsCheckedBeforeAnythingIsWritten) {
    const Chain chain(4);
    const Module module = compile(chain.algorithm(), chain.schedule);
    const Buffer<float> in = counting(3001), out({3001});
    const std::size_t bytes = module.scratch_bytes({{"in", in}}, {{"s3", out}});
    const Buffer<float> memory({static_cast<std::int64_t>(bytes / sizeof(float)) + 16});
    const auto scratch = std::as_writable_bytes(std::span(memory.data(), static_cast<size_t>(memory.size())));
    EXPECT_EQ(
        error_of([&] {
            module.call_with_scratch({{"in", in}}, {{"s3", out}}, scratch.first(bytes - 1));
        }),
        "E0701: the scratch memory has " + std::to_string(bytes - 1) + " bytes, but this call takes " + std::to_string(bytes));
    const std::string misaligned = error_of([&] {
        module.call_with_scratch({{"in", in}}, {{"s3", out}}, scratch.subspan(4, bytes));
    });
    EXPECT_EQ(misaligned.substr(0, 5), "E0706") << misaligned;
    EXPECT_EQ(error_of([&] { module.call_with_scratch({{"in", in}}, {{"s3", out}}, {}); }).substr(0, 5), "E0701");
    out.for_each([](float v) { ASSERT_EQ(v, 0); });
    module.call_with_scratch({{"in", in}}, {{"s3", out}}, scratch.first(bytes));
    EXPECT_TRUE(same_bytes(out, interpreted(chain.algorithm(), in, "s3")));
    // The memory is the caller's again, and the next call takes its own.
    std::memset(scratch.data(), 0, scratch.size());
    module({{"in", in}}, {{"s3", out}});
    for (const std::byte b : scratch) ASSERT_EQ(b, std::byte{0});
}

TEST(Scratch, KernelsWithoutBuffersTakeNoneAndTheInterpreterChecksOnly) {
    const Chain chain(3);
    Schedule one_pass;
    one_pass.stage("s2").root().serial("x");
    const Buffer<float> in = counting(100), out({100});
    const Module module = compile(chain.algorithm(), one_pass);
    EXPECT_EQ(module.scratch_bytes({{"in", in}}, {{"s2", out}}), 0u);
    module.call_with_scratch({{"in", in}}, {{"s2", out}}, {});
    EXPECT_TRUE(same_bytes(out, interpreted(chain.algorithm(), in, "s2")));
    const Module oracle = compile(chain.algorithm(), Schedule(), parse_target("interpreter"));
    EXPECT_EQ(oracle.scratch_bytes({{"in", in}}, {{"s2", out}}), 0u);
    EXPECT_EQ(error_of([&] { (void)oracle.scratch_bytes({}, {{"s2", out}}); }).substr(0, 5), "E0701");
}

}  // namespace
}  // namespace tessera
