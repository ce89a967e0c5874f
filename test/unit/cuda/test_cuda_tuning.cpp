// The tuner for a GPU that is none: its driver computes what a candidate of that many threads is planned to compute.
#include <gtest/gtest.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>
#include <tessera/tune.h>

#include "thrown.h"
#include "unit/compile/scratch_folder.h"
#include "unit/cuda/fake_driver.h"
#include "unit/cuda/fake_nvrtc.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <set>

#include <unistd.h>

namespace tessera::tune {
namespace {

constexpr std::int64_t rows_of_a = 24, columns_of_a = 1000;

Algorithm doubled() {
    Dim y("y", rows_of_a), x("x", columns_of_a);
    Input a("a", f32, {y, x});
    Func out("out");
    out(y, x) = a(y, x) * 2.0f;
    return Algorithm({out}, {a});
}

// Rows and columns of threads.
Schedule threads(std::int64_t rows, std::int64_t columns) {
    Schedule s;
    StageEdit edit = s.stage("out").root();
    edit.loop({.dim = "y", .tile = rows > 1 ? std::optional(rows) : std::nullopt, .as = LoopKind::block, .name = "rows"});
    edit.loop({.dim = "x", .tile = columns, .as = LoopKind::block, .name = "tile"});
    if (rows > 1) edit.loop({.dim = "y", .as = LoopKind::thread});
    edit.loop({.dim = "x", .as = LoopKind::thread});
    return s;
}

// The pointer that a kernel's parameter of this name holds, by the list in the text that is its image.
float* pointer(const fake_cuda::Launch& l, const std::string& name) {
    const size_t start = l.image.find(l.function + "(") + l.function.size() + 1;
    const std::string list = l.image.substr(start, l.image.find(')', start) - start) + ",";
    size_t number = 0;
    for (size_t at = 0; at < list.size(); ++number) {
        const size_t end = list.find(',', at);
        const std::string parameter = list.substr(at, end - at);
        const std::string own = parameter.substr(parameter.rfind(' ') + 1);
        if (parameter.find('*') != std::string::npos && (own == name || own.starts_with(name + "_"))) {
            float* out = nullptr;
            std::memcpy(&out, l.params.at(number), sizeof out);
            return out;
        }
        at = end + 1;
    }
    std::abort();
}

constexpr unsigned wrong_threads = 32, careless_threads = 64, refused_threads = 128, greedy_threads = 512,
                   crashing_threads = 1024, hanging_threads = 96;

void compute(const fake_cuda::Launch& l) {
    float *a = pointer(l, "a"), *out = pointer(l, "out");
    for (std::int64_t i = 0; i < rows_of_a * columns_of_a; ++i) out[i] = 2 * a[i];
    // Some 200 threads are the fastest.
    fake_cuda::State& s = fake_cuda::state();
    s.launch_seconds = 1e-4 * (1 + std::abs(std::log2(static_cast<double>(l.threads)) - 7.6));
    s.fail_launch = 0;
    switch (l.threads) {
        case wrong_threads: out[rows_of_a * columns_of_a - 1] += 1; break;
        case careless_threads: out[rows_of_a * columns_of_a] = 0; break;
        case refused_threads: s.fail_launch = 701; break;
        case greedy_threads: s.fail_launch = 2; break;
        case crashing_threads: std::raise(SIGSEGV); break;
        case hanging_threads:
            while (true) ::pause();
        default: break;
    }
}

class CudaTuning : public testing::Test {
protected:
    void SetUp() override {
        fake_cuda::state() = {};
        fake_cuda::state().on_launch = compute;
        fake_nvrtc::state() = {};
        options_.timeout_seconds = 30;
        options_.lock_file = folder_.file("lock");
    }
    void TearDown() override {
        EXPECT_EQ(fake_cuda::state().inits, 0) << "what the driver starts in this process is lost in its children";
    }
    ScratchFolder folder_;
    MeasureOptions options_;
    const Target target_ = parse_target("cuda-sm_90a");
};

TEST_F(CudaTuning, CandidatesAreCompiledLaunchedComparedAndTimed) {
    const Algorithm algorithm = doubled();
    Runner runner(algorithm, target_, options_);
    const Measured good = runner.measure(default_schedule(algorithm, target_), 3);
    ASSERT_EQ(good.verdict, Verdict::ok) << good.error;
    EXPECT_TRUE(good.checked);
    ASSERT_EQ(good.samples.size(), 3u);
    for (const double seconds : good.samples) EXPECT_NEAR(seconds, 1e-4 * (1 + std::abs(std::log2(256) - 7.6)), 1e-7);
    const auto verdict = [&](unsigned count, const std::string& words) {
        const Measured m = runner.measure(threads(1, count), 3);
        EXPECT_NE(m.error.find(words), std::string::npos) << m.error;
        EXPECT_TRUE(m.samples.empty());
        return m.verdict;
    };
    EXPECT_EQ(verdict(wrong_threads, "output out: element 23999 is"), Verdict::wrong);
    EXPECT_EQ(verdict(careless_threads, "memory beside output out was written"), Verdict::wrong);
    EXPECT_EQ(verdict(refused_threads, "CUDA_ERROR"), Verdict::crash);
    EXPECT_EQ(verdict(greedy_threads, "CUDA_ERROR_OUT_OF_MEMORY"), Verdict::out_of_memory);
    EXPECT_EQ(verdict(crashing_threads, "signal 11"), Verdict::crash);
    Schedule illegal;
    illegal.stage("out").root().loop({.dim = "x", .as = LoopKind::parallel});
    EXPECT_EQ(runner.measure(illegal, 3).verdict, Verdict::compile_error);
    // After all of that the next one runs.
    EXPECT_EQ(runner.measure(threads(8, 32), 2).samples.size(), 2u);
}

TEST_F(CudaTuning, AHangEndsAtTheTimeout) {
    const Algorithm algorithm = doubled();
    options_.timeout_seconds = 3;
    Runner runner(algorithm, target_, options_);
    EXPECT_EQ(runner.measure(threads(1, hanging_threads), 3).verdict, Verdict::timeout);
    EXPECT_EQ(runner.measure(threads(2, 96), 1).verdict, Verdict::ok);
}

TEST_F(CudaTuning, MemoryThatIsNotThereIsARow) {
    const Algorithm algorithm = doubled();
    fake_cuda::state().memory_left = 1000;
    Runner runner(algorithm, target_, options_);
    EXPECT_EQ(runner.measure(default_schedule(algorithm, target_), 3).verdict, Verdict::out_of_memory);
}

TEST_F(CudaTuning, ColdCallsAreOnesAfterAFlush) {
    const Algorithm algorithm = doubled();
    options_.cold = true;
    fake_cuda::state().launch_seconds = 1;
    Runner runner(algorithm, target_, options_);
    const Measured m = runner.measure(threads(8, 32), 4);
    EXPECT_EQ(m.verdict, Verdict::ok) << m.error;
    EXPECT_EQ(m.samples.size(), 4u);
}

TEST_F(CudaTuning, WhatSpillsIsACompileError) {
    const Algorithm algorithm = doubled();
    Runner runner(algorithm, target_, options_);
    EXPECT_EQ(runner.measure(threads(8, 32), 1).verdict, Verdict::ok);
    fake_nvrtc::state().spill = "out_base";
    Runner spilling(algorithm, target_, options_);
    const Measured m = spilling.measure(threads(8, 32), 1);
    EXPECT_EQ(m.verdict, Verdict::compile_error);
    EXPECT_NE(m.error.find("spilled"), std::string::npos) << m.error;
}

// Nothing that failed wins, and the fastest of those that are right does.
TEST_F(CudaTuning, ASessionGoesOnPastItsFailures) {
    const Algorithm algorithm = doubled();
    TuneOptions options;
    options.target = target_;
    options.measure = options_;
    options.trials = 40;
    options.batch = 8;
    options.final_rounds = 5;
    MemoryLog log;
    const TuneResult result = tune(algorithm, options, log);
    EXPECT_EQ(log.rows().size(), 40u) << result.reason;
    std::set<Verdict> seen;
    double best = 1;
    for (const TrialRow& row : log.rows()) {
        seen.insert(row.measured.verdict);
        EXPECT_EQ(row.seconds.has_value(), row.measured.verdict == Verdict::ok);
        if (row.seconds) best = std::min(best, *row.seconds);
    }
    for (const Verdict v : {Verdict::ok, Verdict::wrong, Verdict::crash, Verdict::out_of_memory})
        EXPECT_TRUE(seen.count(v)) << word(v);
    ASSERT_TRUE(result.best_seconds && result.default_seconds);
    EXPECT_NEAR(*result.best_seconds, best, 1e-6);
    // The same trials are asked for again, and recalled.
    int made = 0;
    options.progress = [&](const TuneProgress& p) { made += !p.recalled; };
    EXPECT_EQ(tune(algorithm, options, log).best, result.best);
    EXPECT_EQ(made, 0);
}

TEST_F(CudaTuning, WithoutItsGpuItSaysWhatIsMissing) {
    const Algorithm algorithm = doubled();
    std::string text;
    fake_cuda::state().devices = 0;
    EXPECT_EQ(thrown([&] { require_measurable(algorithm, target_); }, &text), E0803_target_unavailable);
    EXPECT_NE(text.find("there is no GPU on this machine"), std::string::npos) << text;
    EXPECT_EQ(thrown([&] { Runner runner(algorithm, target_, options_); }), E0803_target_unavailable);
    fake_cuda::state().devices = 1;
    fake_cuda::state().capability = 80;
    EXPECT_EQ(thrown([&] { require_measurable(algorithm, target_); }, &text), E0803_target_unavailable);
    EXPECT_NE(text.find("compute capability 8.0, which does not run cuda-sm_90a"), std::string::npos) << text;
    EXPECT_NE(text.find("tune for cuda-sm_80"), std::string::npos) << text;
    EXPECT_EQ(thrown([&] { require_measurable(algorithm, parse_target("cuda-sm_80")); }), B0951_internal) << "nothing is thrown";
    fake_cuda::state().capability = 90;
    fake_nvrtc::state().refuse = "nothing";
    EXPECT_EQ(thrown([&] { require_measurable(algorithm, target_); }), E0804_toolchain);
    EXPECT_EQ(thrown([&] { require_measurable(algorithm, parse_target("interpreter")); }), E0803_target_unavailable);
}

}  // namespace
}  // namespace tessera::tune
