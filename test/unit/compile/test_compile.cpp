#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/tessera.h>

namespace tessera {
namespace {

Algorithm scaled_rows() {
    Dim y("y"), x("x");
    Input in("in", f32, {y, x});
    Scalar gain("gain", f32);
    Func doubled("doubled"), out("out");
    doubled(y, x) = in(y, x) * 2.0f;
    out(y, x) = doubled(y, x) * gain;
    return Algorithm({out}, {in, gain});
}

Buffer<float> counting(std::vector<std::int64_t> extents) {
    Buffer<float> b(std::move(extents));
    float next = 0;
    b.for_each([&](float& v) { v = next++; });
    return b;
}

template <class F>
ErrorCode code_of(F&& f) {
    try {
        f();
    } catch (const Exception& e) {
        return e.code();
    }
    return B0951_internal;
}

void check_scaled_rows(const Target& target, const Schedule& schedule) {
    const Module f = compile(scaled_rows(), schedule, target, {.disk_cache = false});
    const Buffer<float> in = counting({3, 5});
    Buffer<float> out({3, 5});
    f({{"in", in}, {"gain", 0.5}}, {{"out", out}});
    EXPECT_EQ(out(2, 4), 14.0f);
    EXPECT_EQ(out(0, 3), 3.0f);
}

TEST(Compile, InterpreterRuns) { check_scaled_rows(parse_target("interpreter"), {}); }

TEST(Compile, ArgumentsAreCheckedByNameAndByValue) {
    const Module f = compile(scaled_rows(), {}, parse_target("interpreter"));
    const Buffer<float> in = counting({3, 5});
    const Buffer<double> wide({3, 5});
    Buffer<float> out({3, 5}), small({3, 4});
    const auto call = [&](const NamedInputs& inputs, const NamedOutputs& outputs) {
        return code_of([&] { f(inputs, outputs); });
    };
    EXPECT_EQ(call({{"in", in}}, {{"out", out}}), E0701_argument);
    EXPECT_EQ(call({{"in", in}, {"gian", 1}, {"gain", 1}}, {{"out", out}}), E0701_argument);
    EXPECT_EQ(call({{"in", 3}, {"gain", 1}}, {{"out", out}}), E0701_argument);
    EXPECT_EQ(call({{"in", in}, {"gain", in}}, {{"out", out}}), E0701_argument);
    EXPECT_EQ(call({{"in", in}, {"gain", 1}}, {}), E0701_argument);
    EXPECT_EQ(call({{"in", wide}, {"gain", 1}}, {{"out", out}}), E0702_argument_dtype);
    EXPECT_EQ(call({{"in", in}, {"gain", 1}}, {{"out", small}}), E0704_argument_extent);
    EXPECT_EQ(call({{"in", out}, {"gain", 1}}, {{"out", out}}), E0707_argument_overlap);
    try {
        f({{"in", in}, {"gian", 1}}, {{"out", out}});
    } catch (const Error& e) {
        EXPECT_NE(std::string(e.what()).find("'gain'"), std::string::npos) << e.what();
    }
}

TEST(Compile, SchedulesAreCheckedForTheInterpreterToo) {
    Schedule schedule;
    schedule.stage("no_such").root();
    EXPECT_EQ(code_of([&] { (void)compile(scaled_rows(), schedule, parse_target("interpreter")); }), E0501_unknown_stage);
}

TEST(Compile, GpuIsRefused) {
    EXPECT_EQ(code_of([] { (void)compile(scaled_rows(), {}, parse_target("cuda-sm_75")); }), E0803_target_unavailable);
}

#ifdef TESSERA_HAVE_HALIDE
TEST(Compile, CpuRunsAndChoosesVariants) {
    check_scaled_rows(Target{}, {});
    Schedule schedule;
    schedule.stage("out").root().parallel("y").serial("x", 8).vector("x");
    Schedule deltas;
    deltas.stage("out").root().serial("y").serial("x", 4).vector("x");
    schedule.variant("x < 8", deltas);
    check_scaled_rows(Target{}, schedule);
    const Module f = compile(scaled_rows(), schedule, {}, {.disk_cache = false});
    EXPECT_EQ(f.descriptor().variant_count, 2);
    // Extents around the tiles: nothing outside the output may be written.
    for (const std::int64_t x : {1, 3, 4, 5, 7, 8, 9, 15, 16, 17}) {
        const Buffer<float> in = counting({2, x});
        Buffer<float> frame({2, x + 32});
        frame.fill(-1);
        f({{"in", in}, {"gain", 1}}, {{"out", frame.crop(1, 16, 16 + x)}});
        for (std::int64_t i = 0; i < x + 32; ++i)
            EXPECT_EQ(frame(1, i), i >= 16 && i < 16 + x ? 2 * in(1, i - 16) : -1.0f) << x << " " << i;
    }
}

TEST(Compile, EveryLevelHasItsText) {
    const Module f = compile(scaled_rows(), {}, {}, {.disk_cache = false});
    EXPECT_NE(f.inspect_ir(IrLevel::graph).find("out"), std::string::npos);
    EXPECT_NE(f.inspect_ir(IrLevel::schedule).find("out"), std::string::npos);
    EXPECT_NE(f.inspect_ir(IrLevel::tile).find("for"), std::string::npos);
    EXPECT_NE(f.inspect_ir(IrLevel::target).find("ret"), std::string::npos);
}
#endif

}  // namespace
}  // namespace tessera
