#include <tessera/schedule_default.h>
#include <tessera/tune.h>

#include "tune/isolated_process.h"
#include "tune/kernel_arguments.h"
#include "tune/runner_process.h"
#include "unit/compile/scratch_folder.h"
#include "unit/tune/tuned_algorithms.h"

#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <new>

#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>

namespace tessera::tune {
namespace {

MeasureOptions quick() {
    MeasureOptions options;
    options.timeout_seconds = 60;
    options.threads = 1;
    options.lock_file = (std::filesystem::temp_directory_path() / "tessera_test_measure.lock").string();
    return options;
}

TEST(Isolation, ACrashIsAnAnswer) {
    const Measured m = measure_isolated(quick(), []() -> Measured {
        std::raise(SIGSEGV);
        return {};
    });
    EXPECT_EQ(m.verdict, Verdict::crash);
    EXPECT_NE(m.error.find("signal 11"), std::string::npos) << m.error;
}

TEST(Isolation, AnEndWithoutAnAnswerIsACrash) {
    const Measured m = measure_isolated(quick(), []() -> Measured { _exit(0); });
    EXPECT_EQ(m.verdict, Verdict::crash);
    EXPECT_EQ(m.error, "ended without an answer");
}

TEST(Isolation, AHangEndsAtTheTimeout) {
    MeasureOptions options = quick();
    options.timeout_seconds = 0.2;
    const Measured m = measure_isolated(options, []() -> Measured {
        while (true) pause();
    });
    EXPECT_EQ(m.verdict, Verdict::timeout);
}

TEST(Isolation, ACandidateMayTakeAMultipleOfTheReference) {
    MeasureOptions options;
    options.timeout_seconds = 30;
    EXPECT_EQ(candidate_timeout(options, 1), 30);
    options.timeout_ratio = 10;
    EXPECT_EQ(candidate_timeout(options, 1.25), 13);
    EXPECT_EQ(candidate_timeout(options, 0.01), 5);
    EXPECT_EQ(candidate_timeout(options, 20), 30);
    options.timeout_seconds = 2;
    EXPECT_EQ(candidate_timeout(options, 20), 2);
}

TEST(Isolation, MemoryIsLimited) {
    MeasureOptions options = quick();
    options.memory_bytes = std::int64_t{1} << 30;
    const Measured m = measure_isolated(options, [] {
        Measured out;
        try {
            std::vector<char> much(std::size_t{2} << 30, 1);
            out.samples.push_back(static_cast<double>(much[5]));
        } catch (const std::bad_alloc&) {
            out.verdict = Verdict::out_of_memory;
        }
        return out;
    });
    EXPECT_EQ(m.verdict, Verdict::out_of_memory);
}

TEST(Isolation, AnAnswerComesBackWhole) {
    const Measured m = measure_isolated(quick(), [] {
        Measured out;
        out.checked = true;
        out.samples.assign(50000, 0.25);
        out.error = "a \xff byte";
        return out;
    });
    EXPECT_EQ(m.verdict, Verdict::ok);
    EXPECT_TRUE(m.checked);
    EXPECT_EQ(m.samples, std::vector<double>(50000, 0.25));
}

// Each of two processes waits for what the other's first step says.
TEST(Isolation, FirstStepsRunBesideEachOther) {
    auto* const flags =
        static_cast<volatile int*>(mmap(nullptr, 2 * sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    const auto work = [&](int own) {
        return IsolatedWork{[=] {
                                flags[own] = 1;
                                while (flags[1 - own] == 0) usleep(1000);
                            },
                            [=](const std::string& request) {
                                Measured out;
                                out.error = request + std::to_string(own);
                                return out;
                            }};
    };
    IsolatedProcess a(quick(), work(0)), b(quick(), work(1));
    while (a.is_busy() || b.is_busy()) {
        std::vector<IsolatedProcess*> busy;
        for (IsolatedProcess* p : {&a, &b})
            if (p->is_busy()) busy.push_back(p);
        IsolatedProcess::wait_for_some(busy);
    }
    EXPECT_EQ(b.finish("second").error, "second1");
    EXPECT_EQ(a.finish("first").error, "first0");
}

TEST(Isolation, OnlyItsStepsTakeTimeFromAProcess) {
    MeasureOptions options = quick();
    options.timeout_seconds = 0.5;
    const auto hangs = [](const std::string&) -> Measured {
        while (true) pause();
    };
    IsolatedProcess waits(options, {[] {}, [](const std::string&) { return Measured{}; }}), late(options, {[] {}, hangs}),
        early(options, {[&] { (void)hangs(""); }, hangs}), crashes(options, {[] { std::raise(SIGKILL); }, hangs});
    EXPECT_EQ(early.finish("").verdict, Verdict::timeout);
    EXPECT_EQ(waits.finish("").verdict, Verdict::ok);
    EXPECT_EQ(late.finish("").verdict, Verdict::timeout);
    EXPECT_EQ(crashes.finish("").verdict, Verdict::crash);
}

TEST(OutputCheck, FindsOneWrongElement) {
    Buffer<std::int32_t> a({8}), b({8});
    EXPECT_EQ(difference(a.any(), b.any(), 100), "");
    a(5) = 1;
    EXPECT_EQ(difference(a.any(), b.any(), 100), "element 5 is 1 instead of 0");
}

TEST(OutputCheck, FloatsMayDifferByRounding) {
    Buffer<float> a({4}), b({4});
    a.fill(1.0f);
    b.fill(1.0f);
    a(2) = 1.0f + 50 * 0x1p-23f;
    EXPECT_EQ(difference(a.any(), b.any(), 100), "");
    EXPECT_NE(difference(a.any(), b.any(), 1), "");
    a(2) = std::nanf("");
    EXPECT_NE(difference(a.any(), b.any(), 100), "");
    b(2) = std::nanf("");
    EXPECT_EQ(difference(a.any(), b.any(), 100), "");
    a(1) = INFINITY;
    EXPECT_NE(difference(a.any(), b.any(), 100), "");
}

TEST(OutputCheck, GuardsSeeOneByteBesideTheOutput) {
    GuardedBuffer g(TESSERA_F32, {3, 5});
    g.poison(0xA5);
    EXPECT_TRUE(g.guards_hold());
    auto* values = static_cast<std::uint8_t*>(g.buffer().data());
    EXPECT_EQ(values[0], 0xA5);
    EXPECT_EQ(values[59], 0xA5);
    values[60] = 0;
    EXPECT_FALSE(g.guards_hold());
    g.poison(0x5A);
    values[-1] = 0;
    EXPECT_FALSE(g.guards_hold());
}

TEST(Runner, MeasuresARightScheduleAndRefusesAnIllegalOne) {
    const Algorithm algorithm = test::tuned_matmul(64);
    Runner runner(algorithm, Target(), quick());
    const Measured good = runner.measure(default_schedule(algorithm), 3);
    EXPECT_EQ(good.verdict, Verdict::ok) << good.error;
    EXPECT_TRUE(good.checked);
    EXPECT_EQ(good.samples.size(), 3u);
    Schedule illegal;
    illegal.stage("C").root();
    illegal.stage("C.sum").at("C", "nowhere");
    const Measured bad = runner.measure(illegal, 3);
    EXPECT_EQ(bad.verdict, Verdict::compile_error);
    EXPECT_NE(bad.error.find("E0502"), std::string::npos) << bad.error;
    // The runner goes on.
    EXPECT_EQ(runner.measure(default_schedule(algorithm), 1).samples.size(), 1u);
}

// What is prepared waits with its machine code: nothing is compiled, or read from the folder, when it is measured.
TEST(Runner, WhatIsPreparedIsCompiledBeforeItIsAskedFor) {
    const Algorithm algorithm = test::tuned_matmul(64);
    const ScratchFolder folder;
    MeasureOptions options = quick();
    options.code_folder = folder.file("code");
    std::filesystem::create_directories(options.code_folder);
    const auto kept = [&] {
        const std::filesystem::directory_iterator all(options.code_folder);
        return std::count_if(begin(all), end(all), [](const auto& entry) { return entry.path().extension() == ".so"; });
    };
    Runner runner(algorithm, Target(), options);
    Schedule plain, illegal;
    plain.stage("C").root().serial("m").serial("n");
    plain.stage("C.sum").root().serial("m").serial("n").serial("k");
    illegal.stage("C").root();
    illegal.stage("C.sum").at("C", "nowhere");
    const Schedule usual = default_schedule(algorithm);
    runner.prepare({plain, illegal, usual, plain});
    EXPECT_EQ(kept(), 2);
    std::filesystem::remove_all(options.code_folder);
    std::filesystem::create_directories(options.code_folder);
    for (const Schedule& s : {usual, plain}) {
        const Measured m = runner.measure(s, 3);
        EXPECT_EQ(m.verdict, Verdict::ok) << m.error;
        EXPECT_TRUE(m.checked);
        EXPECT_GT(m.compile_seconds, 0);
        EXPECT_EQ(m.samples.size(), 3u);
    }
    EXPECT_EQ(kept(), 0);
    EXPECT_EQ(runner.measure(illegal, 3).verdict, Verdict::compile_error);
    // A second time it is compiled when it is measured; so is what waited when others were prepared.
    EXPECT_EQ(runner.measure(plain, 1).samples.size(), 1u);
    EXPECT_EQ(kept(), 1);
    runner.prepare({usual});
    runner.prepare({illegal});
    EXPECT_EQ(runner.measure(usual, 1).samples.size(), 1u);
}

// A kernel whose output is one value everywhere, and kernels that get it wrong in one way each.
std::string problem_of(const std::function<void(const AnyBuffer&)>& kernel) {
    KernelArguments arguments = make_arguments(test::tuned_matmul(4), {}, 1);
    Buffer<float> wanted({4, 4});
    wanted.fill(3.0f);
    return output_problem(arguments, {{"C", wanted.any()}}, 4, [&] { kernel(arguments.outputs.at("C").buffer()); });
}

TEST(OutputCheck, AcceptsRightAndNamesWhatIsWrong) {
    const auto right = [](const AnyBuffer& c) { Buffer<float>(c).fill(3.0f); };
    EXPECT_EQ(problem_of(right), "");
    EXPECT_NE(problem_of([](const AnyBuffer& c) { Buffer<float>(c.crop(0, 0, 3)).fill(3.0f); }).find("output C: element 12"),
              std::string::npos);
    // What stays unwritten cannot have the right value under both patterns.
    int calls = 0;
    EXPECT_NE(problem_of([&](const AnyBuffer& c) {
                  if (++calls == 1) right(c);
              }),
              "");
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(problem_of([&](const AnyBuffer& c) {
                  right(c);
                  static_cast<float*>(c.data())[16] = 3.0f;
              }),
              "memory beside output C was written");
}

TEST(Runner, ADimWithoutAnExtentIsRefused) {
    try {
        Runner runner(test::tuned_blur(), Target(), quick());
        FAIL();
    } catch (const Error& e) {
        EXPECT_NE(std::string(e.what()).find("has no extent"), std::string::npos);
    }
}

TEST(Decision, TiesKeepTheIncumbentAndAPlantedDifferenceIsFound) {
    Random random(3);
    int found = 0, false_alarms = 0;
    for (int trial = 0; trial < 200; ++trial) {
        std::vector<double> a, same, slower;
        for (int r = 0; r < 15; ++r) {
            const double drift = std::exp(0.2 * random.normal());  // of the machine, in both of a round
            a.push_back(drift * std::exp(0.01 * random.normal()));
            same.push_back(drift * std::exp(0.01 * random.normal()));
            slower.push_back(1.03 * drift * std::exp(0.01 * random.normal()));
        }
        found += faster(a, slower);
        false_alarms += faster(a, same);
    }
    EXPECT_GE(found, 180);
    EXPECT_LE(false_alarms, 10);
}

TEST(Tune, FindsSomethingFasterThanANaiveStartAndGoesOnWhereItStopped) {
    const Algorithm algorithm = test::tuned_matmul(64);
    TuneOptions options;
    options.measure = quick();
    options.trials = 12;
    options.batch = 4;
    options.final_rounds = 5;
    options.space.cores = 1;
    int made = 0;
    options.stop = [&] { return made >= 5; };
    options.progress = [&](const TuneProgress& p) { made += !p.recalled; };
    MemoryLog log;
    const TuneResult first = tune(algorithm, options, log);
    EXPECT_TRUE(first.stopped);
    EXPECT_EQ(first.trials.size(), 5u);
    made = 0;
    options.stop = {};
    const TuneResult second = tune(algorithm, options, log);
    EXPECT_FALSE(second.stopped);
    EXPECT_EQ(second.trials.size(), 12u);
    EXPECT_EQ(made, 7);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(second.trials[i].schedule, first.trials[i].schedule);
    ASSERT_TRUE(second.best_seconds && second.default_seconds);
    EXPECT_LE(*second.best_seconds, *second.default_seconds * 1.5);
}

// The name of a copy is in no instruction.
TEST(Runner, EqualMachineCodeIsMeasuredOnce) {
    const Algorithm algorithm = test::tuned_matmul(64);
    const auto with_copy = [&](const std::string& name) {
        Schedule s;
        s.stage("C").root().serial("m").serial("n");
        s.stage("C.sum").root().serial("m").serial("n").serial("k");
        s.copy(name, "B", {"C.sum"}).root().serial("k").serial("n");
        return s;
    };
    EXPECT_NE(lowered_hash(algorithm, with_copy("first")), lowered_hash(algorithm, with_copy("second")));
    Runner runner(algorithm, Target::host(), quick());
    const Measured a = runner.measure(with_copy("first"), 3), b = runner.measure(with_copy("second"), 3);
    ASSERT_EQ(a.verdict, Verdict::ok) << a.error;
    EXPECT_FALSE(a.same_code);
    EXPECT_EQ(a.code_hash.size(), 64u);
    EXPECT_TRUE(b.same_code);
    EXPECT_EQ(b.code_hash, a.code_hash);
    EXPECT_EQ(b.samples, a.samples);
    // Later it is timed by itself.
    const Measured again = runner.measure(with_copy("second"), 3);
    EXPECT_FALSE(again.same_code);
    EXPECT_NE(again.samples, a.samples);
}

}  // namespace
}  // namespace tessera::tune
