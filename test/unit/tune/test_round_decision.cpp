// How the interleaved rounds at the end are decided: what disturbs both of a pair cancels.
#include <gtest/gtest.h>
#include <tessera/schedule_default.h>
#include <tessera/tune.h>

#include "tune/round_decision.h"
#include "unit/tune/tuned_algorithms.h"

#include <cmath>
#include <utility>

namespace tessera::tune {
namespace {

// Milliseconds of unsharp's default schedule, of its next rounds, and of a candidate, recorded while compilers ran beside it.
const std::vector<double> busy_default{1.227, 1.508, 2.516, 2.359, 2.343, 2.298, 1.319, 2.206,
                                       2.461, 2.686, 2.394, 1.483, 2.490, 2.533, 1.455};
const std::vector<double> busy_default_again{2.366, 1.387, 2.402, 2.345, 2.318, 1.274, 2.311, 2.337,
                                             1.339, 3.993, 2.442, 2.474, 1.259, 1.317, 1.447};
const std::vector<double> busy_candidate{1.951, 2.052, 3.637, 3.696, 1.975, 2.054, 3.618, 3.290,
                                         3.735, 7.984, 8.035, 2.270, 3.722, 2.294, 1.999};

// Screening finds the candidate slower; then the recorded rounds, the default in two places of each.
class RecordedRounds : public Measurer {
public:
    explicit RecordedRounds(Schedule initial) : initial_(std::move(initial)) {}
    [[nodiscard]] Measured measure(const Schedule& schedule, int samples) override {
        Measured out;
        out.checked = true;
        const bool is_default = schedule == initial_;
        double ms = is_default ? 1 : 2;
        if (screened_ < 3)
            ++screened_;
        else if (is_default) {
            ms = (default_calls_ % 2 == 0 ? busy_default : busy_default_again)[default_calls_ / 2 % busy_default.size()];
            ++default_calls_;
        } else
            ms = busy_candidate[candidate_calls_++ % busy_candidate.size()];
        out.samples.assign(static_cast<std::size_t>(samples), ms * 1e-3);
        return out;
    }

private:
    Schedule initial_;
    std::size_t screened_ = 0, default_calls_ = 0, candidate_calls_ = 0;
};

TEST(RoundDecision, ABusyMachineThatSlowsBothDecides) {
    const Algorithm algorithm = test::tuned_matmul(128);
    RecordedRounds measurer(default_schedule(algorithm, Target::host()));
    TuneOptions options;
    options.target = Target::host();
    options.strategy = "random";
    options.trials = 2;
    MemoryLog log;
    const TuneResult result = tune(algorithm, options, log, measurer);
    EXPECT_EQ(result.best_ordinal, 0u);
    EXPECT_NE(result.reason.find("no candidate is clearly faster than the default: trial 1 is 0."), std::string::npos)
        << result.reason;
    EXPECT_EQ(result.reason.find("noisy"), std::string::npos) << result.reason;
}

TEST(RoundDecision, TheOtherWayRoundTheCandidateWins) {
    const RoundDecision d = decide({busy_candidate, busy_default}, busy_candidate);
    EXPECT_EQ(d.winner, 1u);
    EXPECT_FALSE(d.too_noisy);
    EXPECT_GT(d.against_fastest->low, 1.3);
}

TEST(RoundDecision, AWideIntervalAroundOneIsTooNoisy) {
    const RoundDecision d = decide({busy_default, busy_default_again}, busy_default);
    EXPECT_EQ(d.winner, 0u);
    EXPECT_TRUE(d.too_noisy);
    EXPECT_EQ(d.fastest, std::size_t{1});
    // The same spread in both is none.
    EXPECT_FALSE(decide({busy_default, busy_default}, busy_default).too_noisy);
}

TEST(RoundDecision, ADefaultThatDiffersFromItselfAsksForMore) {
    const auto scaled = [](double factor) {
        std::vector<double> out = busy_default;
        for (double& t : out) t *= factor;
        return out;
    };
    const auto again = scaled(0.9);
    RoundDecision d = decide({busy_default, scaled(0.95)}, again);
    EXPECT_EQ(d.winner, 0u);
    EXPECT_TRUE(d.too_noisy);
    d = decide({busy_default, scaled(0.95), scaled(0.6), scaled(0.7)}, again);
    EXPECT_EQ(d.winner, 2u);
    EXPECT_FALSE(d.too_noisy);
    // Where it does not, five per cent are enough, in either direction of a small difference.
    EXPECT_EQ(decide({busy_default, scaled(0.95)}, scaled(1.005)).winner, 1u);
    EXPECT_EQ(decide({busy_default, scaled(0.95)}, scaled(0.995)).winner, 1u);
}

TEST(RoundDecision, WhatFailedTakesNoPart) {
    EXPECT_EQ(decide({{}, {}, {2, 2, 2}, {1, 1, 1}}, {}).winner, 3u);
    const RoundDecision d = decide({{1, 1, 1, 1, 1}, {}}, {});
    EXPECT_EQ(d.winner, 0u);
    EXPECT_FALSE(d.fastest);
    EXPECT_FALSE(d.too_noisy);
}

// Of five candidates: no winner among equals, and a planted difference found, on a machine that drifts.
TEST(RoundDecision, FalseAlarmsAreRareAndThreePerCentAreFound) {
    Random random(7);
    int found = 0, alarms = 0, noisy = 0;
    for (int session = 0; session < 100; ++session) {
        std::vector<std::vector<double>> equal(6), planted(6);
        std::vector<double> again;
        for (int r = 0; r < 15; ++r) {
            const double drift = std::exp(0.3 * random.normal());
            const auto time = [&](double factor) { return factor * drift * std::exp(0.01 * random.normal()); };
            for (auto& t : equal) t.push_back(time(1));
            planted[0].push_back(time(1.03));
            for (std::size_t i = 1; i < 6; ++i) planted[i].push_back(time(i == 3 ? 1 : 1.06));
            again.push_back(time(1));
        }
        const RoundDecision among_equals = decide(equal, again);
        alarms += among_equals.winner != 0;
        noisy += among_equals.too_noisy;
        std::vector<double> again_slower = again;
        for (double& t : again_slower) t *= 1.03;
        found += decide(planted, again_slower).winner == 3;
    }
    EXPECT_LE(alarms, 5);
    EXPECT_GE(found, 90);
    EXPECT_LE(noisy, 5);
}

}  // namespace
}  // namespace tessera::tune
