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

// Under the condition of a variant an extent is the multiple that it asks for: its tiles have no rest to guard, and a window
// slides from row to row.
TEST(Compile, TheConditionOfAVariantIsAFactAboutExtents) {
    const Dim y("y"), x("x"), wide("wide", y.extent() + 2);
    const Input in("in", i32, {wide, x});
    Func rows("rows"), out("out");
    rows(wide, x) = in(wide, x) * 3;
    out(y, x) = rows(y, x) + rows(y + 2, x);
    const Algorithm a({out}, {in});
    Schedule schedule;
    schedule.stage("out").root().parallel("y", 8, "task").serial("y", 2, "pair").serial("y").serial("x", 4, "xo").vector("x");
    schedule.stage("rows").at("out", "pair").store_at("out", "task").serial("wide").serial("x", 4, "xo").vector("x");
    for (auto& l : *schedule.stages.at("out").loops) l.tail = Tail::guard;
    schedule.variant("y % 8 == 0 && x % 4 == 0 && x > 4", {});
    const Module f = compile(a, schedule, {}, {.disk_cache = false});
    for (const auto& [height, width] : {std::pair{16, 8}, std::pair{8, 12}, std::pair{16, 4}, std::pair{9, 8}, std::pair{0, 8}}) {
        Buffer<std::int32_t> data({height + 2, width}), frame({height + 2, width + 8});
        for (std::int64_t i = 0; i < data.size(); ++i) data.data()[i] = static_cast<std::int32_t>(i * i % 1000);
        frame.fill(-1);
        f({{"in", data}}, {{"out", frame.crop(0, 1, 1 + height).crop(1, 4, 4 + width)}});
        for (std::int64_t r = 0; r < height + 2; ++r)
            for (std::int64_t c = 0; c < width + 8; ++c) {
                const bool inside = r >= 1 && r <= height && c >= 4 && c < 4 + width;
                const std::int32_t wanted = inside ? 3 * (data(r - 1, c - 4) + data(r + 1, c - 4)) : -1;
                ASSERT_EQ(frame(r, c), wanted) << height << "x" << width << " at " << r << ", " << c;
            }
    }
    // Each row of a window is computed once: the loop over them begins early instead of telling the first iteration apart.
    const std::string text = f.inspect_ir(IrLevel::tile);
    const size_t base = text.find("// base");
    ASSERT_NE(base, std::string::npos);
    EXPECT_EQ(text.substr(0, base).find("select(0 <"), std::string::npos) << text;
    EXPECT_NE(text.substr(base).find("select(0 <"), std::string::npos) << text;
}

// No extent but 0 is a multiple of more than the largest one.
TEST(Compile, MultiplesBeyondTheLargestExtent) {
    Schedule schedule;
    schedule.stage("out").root().serial("y").serial("x");
    schedule.variant("x % 4294967296 == 0 && y % 2147483647 == 0 && y % 2147483646 == 0 && y % 2147483645 == 0", {});
    check_scaled_rows(Target{}, schedule);
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
