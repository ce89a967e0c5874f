#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "bootstrap.h"
#include "harness.h"
#include "peak.h"
#include "row_journal.h"

namespace bench {
namespace {

using namespace std::chrono_literals;

/// Takes at least `time`, by the clock.
std::function<void()> busy_for(std::chrono::nanoseconds time) {
    return [time] {
        const auto end = std::chrono::steady_clock::now() + time;
        while (std::chrono::steady_clock::now() < end) {
        }
    };
}

const Row& row_of(const std::vector<Row>& rows, const std::string& rival) {
    for (const Row& row : rows) {
        if (row.rival == rival) return row;
    }
    throw std::out_of_range(rival);
}

TEST(Bootstrap, MedianOfOddAndEvenCounts) {
    EXPECT_EQ(median({3, 1, 2}), 2);
    EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
    EXPECT_EQ(median({7}), 7);
}

TEST(Bootstrap, IntervalHoldsTheTrueMedianAsOftenAsItSays) {
    // Log-normal ratios with true median 1: skewed, as times are. 400 intervals of a 95 % method miss 20 +- 4.4 times.
    std::mt19937_64 rng(11);
    std::lognormal_distribution<double> ratios(0.0, 0.2);
    for (const int count : {31, 101}) {
        int held = 0;
        for (int trial = 0; trial < 400; ++trial) {
            std::vector<double> sample(count);
            for (double& value : sample) value = ratios(rng);
            const Interval interval = bootstrap_median(sample, {.resamples = 500});
            ASSERT_LE(interval.low, interval.high);
            held += interval.low <= 1 && 1 <= interval.high;
        }
        EXPECT_GE(held, 400 * 0.91) << count;
        EXPECT_LE(held, 400 * 0.995) << count;
    }
}

TEST(Bootstrap, IntervalNarrowsWithTheSampleAndWidensWithConfidence) {
    std::mt19937_64 rng(5);
    std::normal_distribution<double> values(1, 0.1);
    std::vector<double> few(31), many(3100);
    for (double& value : few) value = values(rng);
    for (double& value : many) value = values(rng);
    const auto width = [](Interval i) { return i.high - i.low; };
    EXPECT_GT(width(bootstrap_median(few)), 4 * width(bootstrap_median(many, {.resamples = 300})));
    EXPECT_LT(width(bootstrap_median(few, {.confidence = 0.5})), width(bootstrap_median(few)));
}

TEST(Bootstrap, SameValuesSameInterval) {
    const std::vector<double> values{1.0, 1.1, 0.9, 1.3, 0.8, 1.05};
    EXPECT_EQ(bootstrap_median(values).low, bootstrap_median(values).low);
    EXPECT_EQ(bootstrap_median(values).high, bootstrap_median(values).high);
}

TEST(Harness, RatioIsTheRivalsTimeOverOurs) {
    const Case c{"spin", {"ours", busy_for(100us)}, {{{"slower", busy_for(300us)}, [] { return std::string(); }}}};
    const std::vector<Row> rows = measure(c, {.pairs = 31, .threads = {1}});
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0].rival, "A/A");
    EXPECT_EQ(rows[0].case_name, "spin");
    // A busy machine stretches both; the median of pairs stays near 3.
    EXPECT_GT(rows[1].ratio, 2);
    EXPECT_LT(rows[1].ratio, 4);
    EXPECT_LE(rows[1].low, rows[1].ratio);
    EXPECT_GE(rows[1].high, rows[1].ratio);
    EXPECT_TRUE(rows[1].checked);
}

TEST(Harness, ShortRunsAreTimedInBatches) {
    int calls = 0;
    const Case c{"short", {"ours", [&calls] { ++calls; }}, {}};
    const std::vector<Row> rows = measure(c, {.pairs = 31, .threads = {1}, .attempts = 1});
    EXPECT_GT(calls, 31 * 1000);
    EXPECT_LT(rows[0].our_milliseconds, 0.05);
}

TEST(Harness, NoisyAgainstItselfMarksEveryRow) {
    // A measurement is a warm-up and a timed call: every second timed call is slow, so the two of a pair never agree.
    int calls = 0;
    const auto uneven = [&calls] { busy_for(++calls % 4 == 0 ? 600us : 60us)(); };
    const Case c{"uneven", {"ours", uneven}, {{{"absent", {}}, {}, "the library is not there"}}};
    const std::vector<Row> rows = measure(c, {.pairs = 31, .threads = {1}, .attempts = 1});
    EXPECT_GT(std::abs(rows[0].ratio - 1), noisy_beyond);
    EXPECT_EQ(rows[0].note, "noisy");
    EXPECT_EQ(rows[1].note, "the library is not there; noisy");
}

TEST(Harness, DifferentOutputsAndAbsentRivalsSayWhy) {
    const Case c{"case",
                 {"ours", busy_for(60us)},
                 {{{"wrong", busy_for(60us)}, [] { return std::string("3 of 4 elements differ"); }},
                  {{"absent", {}}, {}, "the library is not there"},
                  {{"right", busy_for(60us)}, [] { return std::string(); }}}};
    const std::vector<Row> rows = measure(c, {.pairs = 31, .threads = {1}, .attempts = 1});
    EXPECT_FALSE(row_of(rows, "wrong").checked);
    EXPECT_NE(row_of(rows, "wrong").note.find("3 of 4"), std::string::npos);
    EXPECT_TRUE(std::isnan(row_of(rows, "absent").ratio));
    EXPECT_FALSE(row_of(rows, "absent").checked);
    EXPECT_TRUE(row_of(rows, "right").checked);
    EXPECT_GT(row_of(rows, "right").ratio, 0);
}

TEST(Harness, EachSetsItsThreadsBeforeItRuns) {
    // Both may share one pool: whoever runs must have set its count last.
    int pool = 0, wrong = 0, largest = 0;
    const auto contestant = [&](const std::string& name, int mark) {
        return Contestant{name, [&, mark] { wrong += pool / 100 != mark; },
                          [&, mark](int threads) {
                              pool = mark * 100 + threads;
                              largest = std::max(largest, threads);
                          }};
    };
    const Case c{"threads", contestant("ours", 1), {{contestant("rival", 2), [] { return std::string(); }}}};
    const std::vector<Row> rows = measure(c, {.pairs = 31, .threads = {1, 2}, .attempts = 1});
    ASSERT_EQ(rows.size(), 4u);
    EXPECT_EQ(rows[0].threads, 1);
    EXPECT_EQ(rows[3].threads, 2);
    EXPECT_EQ(largest, 2);
    EXPECT_EQ(wrong, 0);
}

// A program in another process says how long its calls took; what the way there and back takes does not count.
TEST(Harness, RivalsMayTimeThemselves) {
    int calls = 0;
    Rival rival{{"elsewhere", {}}, [] { return std::string(); }};
    rival.contestant.seconds_of = [&](int count) {
        calls += count;
        return 3e-3 * count;
    };
    const Case c{"case", {"ours", busy_for(1ms)}, {rival}};
    const Row row = row_of(measure(c, {.pairs = 31, .threads = {1}, .attempts = 1}), "elsewhere");
    EXPECT_DOUBLE_EQ(row.rival_milliseconds, 3);
    EXPECT_LT(row.ratio, 3.01);
    EXPECT_GE(calls, 31);
    EXPECT_TRUE(row.checked);
}

TEST(Harness, RefusesTooFewPairs) {
    const Case c{"case", {"ours", [] {}}, {}};
    EXPECT_THROW((void)measure(c, {.pairs = 30}), std::invalid_argument);
    EXPECT_THROW((void)measure({"case", {"ours", {}}, {}}, {.pairs = 31}), std::invalid_argument);
}

TEST(Harness, FloatDifference) {
    EXPECT_EQ(float_difference({1, 2, NAN}, {1, 2, NAN}, 0), "");
    EXPECT_EQ(float_difference({1, 2}, {1, 2.001f}, 0.01), "");
    EXPECT_NE(float_difference({1, 2}, {1, 2.001f}, 0), "");
    EXPECT_NE(float_difference({0.0f}, {-0.0f}, 0), "");
    EXPECT_NE(float_difference({1, 2}, {1, NAN}, 0.1), "");
    EXPECT_NE(float_difference({1, 2}, {1}, 0.1), "");
}

TEST(Harness, ReportsHaveTheKeysAndNullForWhatWasNotMeasured) {
    const std::vector<Row> rows{
        {.case_name = "blur", .rival = "A/A", .threads = 2, .ratio = 1.01, .low = 1, .high = 1.02, .checked = true, .note = "n"},
        {.case_name = "blur", .rival = "absent", .ratio = NAN, .low = NAN, .high = NAN}};
    const auto report = nlohmann::json::parse(json_report(rows, {{"processor", "p"}}, {{"halide", "21"}}));
    for (const char* key : {"case", "rival", "threads", "ratio", "low", "high", "checked", "note"}) {
        EXPECT_TRUE(report["rows"][0].contains(key)) << key;
    }
    EXPECT_EQ(report["rows"][0]["threads"], 2);
    EXPECT_TRUE(report["rows"][1]["ratio"].is_null());
    EXPECT_EQ(report["machine"]["processor"], "p");
    EXPECT_NE(markdown_report(rows, {}, {}).find("| blur | absent | 1 | - | - | - | no |"), std::string::npos);
    EXPECT_FALSE(machine_facts().empty());
}

TEST(Journal, GoesOnBehindFinishedCases) {
    const std::string file = testing::TempDir() + "bench_journal_" + std::to_string(std::random_device()()) + ".jsonl";
    const Row row{
        .case_name = "a \"b\"", .rival = "A/A", .threads = 2, .ratio = 1.5, .checked = true, .note = "n", .our_milliseconds = 3};
    {
        Journal journal(file);
        EXPECT_TRUE(journal.rows_of("a").empty());
        journal.add("a", {row, row});
    }
    // A run that ended in the middle of the rows of another case, and of a line.
    std::ofstream(file, std::ios::app) << row_line(row) << "\n{\"case\": ";
    Journal again(file);
    ASSERT_EQ(again.rows_of("a").size(), 2u);
    EXPECT_TRUE(again.rows_of("b").empty());
    again.add("b", {row});
    const Row kept = Journal(file).rows_of("b").at(0);
    EXPECT_EQ(kept.case_name, row.case_name);
    EXPECT_EQ(kept.ratio, row.ratio);
    EXPECT_TRUE(std::isnan(kept.roofline));
    EXPECT_EQ(Journal(file).rows_of("a").size(), 2u);
    std::filesystem::remove(file);
    EXPECT_THROW((void)parse_row_line("{}"), std::invalid_argument);
}

TEST(Peak, TheRoofIsTheSlowerOfComputingAndMoving) {
    const Peak peak{.flops_one = 100, .flops_all = 200, .levels = {{"memory", 1e9, 1e9, 10, 15}}, .threads = 2};
    EXPECT_DOUBLE_EQ(roof_seconds({.operations = 1000, .bytes = 10}, peak, 1), 10);
    EXPECT_DOUBLE_EQ(roof_seconds({.operations = 1000, .bytes = 300}, peak, 2), 20);
}

TEST(Peak, BytesMoveAtTheRateOfTheNearestLevelThatHoldsThem) {
    const Peak peak{.levels = {{"L1", 100, 200, 9, 18}, {"L3", 1000, 1000, 5, 6}, {"memory", 1e9, 1e9, 1, 2}}, .threads = 2};
    EXPECT_EQ(peak.bytes(1, 100), 9);
    EXPECT_EQ(peak.bytes(1, 150), 5);
    EXPECT_EQ(peak.bytes(2, 150), 18);
    EXPECT_EQ(peak.bytes(2, 5000), 2);
    EXPECT_EQ(peak_text(peak),
              "0 GFLOP/s; L1 0.0, L3 0.0, memory 0.0 GB/s on one thread; 0 GFLOP/s; L1 0.0, L3 0.0, memory 0.0 GB/s on 2");
}

TEST(Peak, EveryKernelDoesWhatItIsTimedFor) {
    const std::vector<PeakKernel> kernels = peak_kernels();
    ASSERT_FALSE(kernels.empty());
    EXPECT_STREQ(kernels.back().name, "plain");
    for (const PeakKernel& kernel : kernels) {
        SCOPED_TRACE(kernel.name);
        float expected = 0;
        for (int chain = 0; chain < kernel.chains; ++chain) expected += float(chain) * 0.125f + 1.75f;
        EXPECT_EQ(kernel.multiply_adds(0.5f, 1.0f, 3), expected);
        const std::vector<float> from{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        std::vector<float> to(16);
        kernel.move(from.data(), to.data(), 16);
        for (std::size_t i = 0; i < to.size(); ++i) EXPECT_EQ(to[i], from[i] + 1);
    }
}

TEST(Report, PictureAndTableSayTheSame) {
    const std::vector<Row> rows{
        {.case_name = "a<b", .rival = "A/A", .ratio = 1},
        {.case_name = "a<b", .rival = "slow & sure", .ratio = 2, .low = 1.9, .high = 2.1, .roofline = 0.5}};
    const std::string picture = svg_report(rows), table = markdown_report(rows, {}, {});
    EXPECT_NE(picture.find("a&lt;b · slow &amp; sure · 1 thread<"), std::string::npos) << picture;
    EXPECT_EQ(picture.find("A/A"), std::string::npos);
    EXPECT_NE(table.find("| 50 |"), std::string::npos) << table;
}

}  // namespace
}  // namespace bench
