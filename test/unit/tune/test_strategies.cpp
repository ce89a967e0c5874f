#include <tessera/error.h>
#include <tessera/tune_strategy.h>

#include "tune/boosted_trees.h"
#include "tune/gaussian_process.h"

#include "tessera_paths.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

namespace tessera::tune {
namespace {

std::string written(const std::string& name, const std::string& text) {
    const std::string path = (std::filesystem::temp_directory_path() / ("tessera_" + name)).string();
    std::ofstream(path, std::ios::binary) << text;
    return path;
}

// A space like those of kernels: powers of two, a constraint, a valley along two parameters, a few failures.
std::string small_table() {
    std::string text = "tile,unroll,vector,pack,median_ms,min_ms\n";
    for (int tile = 4; tile <= 256; tile *= 2)
        for (int unroll = 1; unroll <= 16; unroll *= 2)
            for (int vector = 1; vector <= 16; vector *= 2)
                for (int pack = 0; pack < 2; ++pack) {
                    if (unroll * vector > tile) continue;
                    const double registers = std::log2(unroll * vector),
                                 ms = 1 + std::pow(registers - 5, 2) * 0.2 + std::abs(std::log2(tile) - 6) * (pack ? 0.1 : 0.3) +
                                      (pack ? 0.05 : 0.1) + 0.6 * std::abs(std::log2(vector) - 3);
                    const bool fails = unroll == 16 && vector == 1;
                    text += fails ? fmt::format("{},{},{},{},,\n", tile, unroll, vector, pack)
                                  : fmt::format("{},{},{},{},{},{}\n", tile, unroll, vector, pack, ms, ms);
                }
    return text;
}

const RecordedSpace& small_space() {
    static const RecordedSpace space(written("small_space.csv", small_table()));
    return space;
}

std::string refusal(const std::string& text) {
    try {
        const RecordedSpace space(written("refused.csv", text));
    } catch (const Exception& e) {
        return std::string(code_text(e.code())) + " " + e.message();
    }
    return "accepted";
}

TEST(Strategies, AskForEveryPointOnceUntilTheSpaceIsExhausted) {
    const auto size = static_cast<size_t>(small_space().size().points);
    for (const std::string& name : strategy_names()) {
        const auto strategy = make_strategy(name, small_space(), {.seed = 3, .pool = 60});
        std::set<std::string> keys;
        size_t asked = 0;
        while (true) {
            const auto points = strategy->ask(16);
            std::vector<Outcome> outcomes;
            for (const Point& p : points) {
                keys.insert(small_space().key(p));
                outcomes.push_back({p, small_space().time(p)});
            }
            asked += points.size();
            strategy->tell(outcomes);
            if (points.size() < 16) break;
        }
        EXPECT_EQ(asked, size) << name;
        EXPECT_EQ(keys.size(), size) << name;
    }
}

TEST(Strategies, AreTheSameForOneSeed) {
    for (const std::string& name : strategy_names()) {
        const ReplayOptions options{.strategy = name, .trials = 60, .batch = 8, .first = {}};
        EXPECT_EQ(replay(small_space(), 5, options).reached, replay(small_space(), 5, options).reached) << name;
    }
    EXPECT_NE(replay(small_space(), 5, {.strategy = "random", .trials = 60}).reached,
              replay(small_space(), 6, {.strategy = "random", .trials = 60}).reached);
}

TEST(Strategies, TheModelsAreBetterThanRandom) {
    std::map<std::string, double> mean;
    for (const std::string name : {"random", "evolutionary", "model", "hybrid"})
        for (std::uint64_t seed = 1; seed <= 8; ++seed)
            mean[name] +=
                replay(small_space(), seed, {.strategy = name, .trials = 40, .batch = 4, .first = {}}).reached.back() / 8;
    EXPECT_GT(mean["model"], mean["random"]);
    EXPECT_GT(mean["hybrid"], mean["random"]);
    EXPECT_GT(mean["hybrid"], 0.97);
}

// Every schedule of blur over 384 x 512 pixels on one core, times by this library: tessera-tune run --strategy grid with
// --constraint "blur.tasks == 0", "blur.x.outer == 0", "blur.y.outer == 0", "blur.y.unroll <= 6", "blur.order == 0",
// "blur.x.vector == rows.x.vector", "rows.x.unroll == 1", "rows.y.unroll == 1", "rows.order == 0", on an AMD EPYC with AVX-512.
TEST(Strategies, TheInitialOneFindsTheBestOfASpaceMeasuredWhole) {
    const RecordedSpace space(std::string(TESSERA_SOURCE_DIR) + "/test/unit/tune/blur_512x384.csv");
    ASSERT_EQ(space.size().points, 557);
    double at64 = 0, at_random = 0;
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        const auto reached = replay(space, seed, {.trials = 128, .batch = 2, .first = {}}).reached;
        EXPECT_GE(reached[127], 0.95) << "seed " << seed;
        at64 += reached[63] / 8;
        at_random += replay(space, seed, {.strategy = "random", .trials = 64, .batch = 2, .first = {}}).reached[63] / 8;
    }
    EXPECT_GE(at64, 0.96);
    EXPECT_GT(at64, at_random);
}

TEST(Strategies, TryTheFirstPointsFirst) {
    Random random(9);
    std::vector<Point> first{small_space().sample(random), small_space().sample(random)};
    for (const std::string& name : strategy_names()) {
        const auto strategy = make_strategy(name, small_space(), {.seed = 1, .first = first});
        EXPECT_EQ(strategy->ask(2), first) << name;
    }
}

TEST(Strategies, StartsFromElsewhereAreFastAndUnlikeEachOther) {
    const auto point = [](std::int64_t a, std::int64_t b) { return Point{{{0, a, 0}, {1, b, 0}, {2, b, 0}}}; };
    const std::vector<Outcome> elsewhere{{point(3, 1), 1.02}, {point(2, 1), 1.01}, {point(1, 1), 1.0},
                                         {point(1, 2), 1.1},  {point(5, 5), {}},   {point(7, 7), 9.0}};
    // What differs in two decisions is worth a tenth of the time; what differs in three not eight times as much.
    EXPECT_EQ(varied_starts(elsewhere, 3), (std::vector<Point>{point(1, 1), point(1, 2), point(2, 1)}));
    EXPECT_EQ(varied_starts(elsewhere, 9).size(), 5u);
    EXPECT_TRUE(varied_starts({}, 3).empty());
}

// The small space, where points with pack are not legal and an estimate knows what a vector of one costs.
class JudgedSpace : public RecordedSpace {
public:
    JudgedSpace() : RecordedSpace(written("judged_space.csv", small_table())) {}
    bool legal(const Point& p) const override { return text(p).find("pack=1") == std::string::npos; }
    std::optional<double> estimate(const Point& p) const override {
        return text(p).find("vector=1 ") == std::string::npos ? 1.0 : 100.0;
    }
};

TEST(Strategies, AskForNoPointThatIsNotLegal) {
    const JudgedSpace space;
    for (const std::string& name : strategy_names()) {
        const auto strategy = make_strategy(name, space, {.seed = 5, .pool = 60});
        for (int round = 0; round < 8; ++round) {
            std::vector<Outcome> outcomes;
            for (const Point& p : strategy->ask(4)) {
                EXPECT_TRUE(space.legal(p)) << name << " " << space.text(p);
                outcomes.push_back({p, space.time(p)});
            }
            EXPECT_EQ(outcomes.size(), 4u) << name;
            strategy->tell(outcomes);
        }
    }
}

TEST(Strategies, AnEstimateThatOrdersOutcomesKeepsTheHybridOneFromWhatIsFarBehind) {
    const JudgedSpace space;
    Random random(2);
    std::vector<Point> first;
    while (first.size() < 12)
        if (const Point p = space.sample(random); space.legal(p) && space.time(p)) first.push_back(p);
    const auto behind = [&](const Point& p) { return *space.estimate(p) > 2; };
    const auto later = [&](bool estimate_is_right) {
        const auto strategy = make_strategy("hybrid", space, {.seed = 5, .first = first, .pool = 60});
        int found = 0;
        for (int round = 0; round < 12; ++round) {
            std::vector<Outcome> outcomes;
            for (const Point& p : strategy->ask(4)) {
                outcomes.push_back({p, behind(p) == estimate_is_right ? 3.0 : 1.0});
                if (round > 5) found += behind(p);
            }
            strategy->tell(outcomes);
        }
        return found;
    };
    EXPECT_LE(later(true), 4);
    EXPECT_GE(later(false), 8);
}

// Counts the points whose features are asked for: in spaces of schedules each costs a lowering.
class CountingSpace : public RecordedSpace {
public:
    CountingSpace() : RecordedSpace(written("counting_space.csv", small_table())) {}
    std::vector<float> features(const Point& p) const override {
        ++asked;
        return RecordedSpace::features(p);
    }
    mutable size_t asked = 0;
};

TEST(Strategies, TheHybridOneAsksForFeaturesInEverySecondBatch) {
    const CountingSpace space;
    const auto strategy = make_strategy("hybrid", space, {.seed = 5, .pool = 60});
    size_t with = 0, in_row = 0;
    for (int round = 0; round < 16; ++round) {
        std::vector<Outcome> outcomes;
        space.asked = 0;
        for (const Point& p : strategy->ask(4)) outcomes.push_back({p, space.time(p)});
        with += space.asked > 0;
        in_row = space.asked > 0 ? in_row + 1 : 0;
        EXPECT_LE(in_row, 1u) << "round " << round;
        EXPECT_LE(space.asked, 32 + 4 * 16u);
        strategy->tell(outcomes);
    }
    EXPECT_EQ(with, 7u);  // after two batches of random points
}

TEST(Strategies, AnUnknownNameIsRefused) {
    try {
        (void)make_strategy("hybird", small_space());
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), E0805_usage);
        EXPECT_NE(std::string(e.what()).find("hybrid"), std::string::npos);
    }
}

TEST(RecordedSpace, OperationsGiveRecordedPoints) {
    Random random(2);
    const RecordedSpace& space = small_space();
    Point a = space.sample(random);
    for (int i = 0; i < 3000; ++i) {
        const Point b = space.sample(random);
        a = i % 3 == 0 ? space.mutate(a, 0.2, random) : i % 3 == 1 ? space.neighbour(a, random) : space.crossover(a, b, random);
        ASSERT_FALSE(space.text(a).empty());
    }
}

TEST(RecordedSpace, RefusesWhatIsNoTable) {
    EXPECT_EQ(refusal("a,b\n1,2\n"), "E0601 " + (std::filesystem::temp_directory_path() / "tessera_refused.csv").string() +
                                         ":1: the first line names no parameter and median_ms");
    EXPECT_NE(refusal("a,median_ms\n1\n").find(":2: 1 values for 2 columns"), std::string::npos);
    EXPECT_NE(refusal("a,median_ms\nx,3\n").find("a is \"x\", not an integer"), std::string::npos);
    EXPECT_NE(refusal("a,median_ms\n1,-3\n").find("median_ms is \"-3\", not a time"), std::string::npos);
    EXPECT_NE(refusal("a,median_ms\n1,3\n1,4\n").find("a=1 stands twice"), std::string::npos);
    EXPECT_NE(refusal("a,median_ms\n1,\n").find("every row failed"), std::string::npos);
    EXPECT_NE(refusal("a,median_ms\n").find("no rows"), std::string::npos);
    EXPECT_THROW(RecordedSpace("/nonexistent/space.csv"), Error);
}

TEST(GaussianProcess, FindsTheDecisionThatMatters) {
    Random random(4);
    std::vector<std::vector<float>> places;
    std::vector<double> values;
    for (int i = 0; i < 40; ++i) {
        places.push_back({static_cast<float>(random.uniform()), static_cast<float>(random.uniform())});
        values.push_back(std::sin(6 * places.back()[0]));
    }
    GaussianProcess process;
    process.fit(places, values, 2, 60, random);
    for (int i = 0; i < 20; ++i) {
        const float x = static_cast<float>(i) / 20;
        EXPECT_NEAR(process.predict({x, 0.5f}).mean, std::sin(6 * x), 0.12);
    }
    // It is sure where it has seen values, and less so far away.
    EXPECT_LT(process.predict(places[0]).deviation, process.predict({3.0f, 3.0f}).deviation / 3);
}

// Two decisions that each have an effect, whatever the other is, and one that has none.
TEST(GaussianProcess, ClimbsToWeightsThatForeseeWhatWasNotSeen) {
    Random random(8);
    std::vector<std::vector<float>> places;
    std::vector<double> values;
    const auto value = [](float x, float y) { return 2 * x + std::cos(3 * y); };
    for (int i = 0; i < 40; ++i) {
        std::vector<float> place;
        while (place.size() < 3) place.push_back(static_cast<float>(random.uniform()));
        values.push_back(value(place[0], place[1]));
        places.push_back(std::move(place));
    }
    const auto error = [&](const GaussianProcess& process) {
        double sum = 0;
        for (float x = 0.05f; x < 1; x += 0.15f)
            for (float y = 0.05f; y < 1; y += 0.15f) sum += std::abs(process.predict({x, y, 0.5f}).mean - value(x, y)) / 49;
        return sum;
    };
    GaussianProcess process;
    process.fit(places, values, 3, 0, random);
    const double before = error(process);
    process.fit(places, values, 3, 40, random);
    const double after = error(process);
    EXPECT_LT(after, 0.5 * before);
    // No steps: the weights stay.
    process.fit(places, values, 3, 0, random);
    EXPECT_EQ(error(process), after);
}

// Block sizes as kernels see them: powers of two are fast, what lies between them is slow.
TEST(GaussianProcess, KnowsPowersOfTwoFromWhatLiesBetween) {
    Random random(6);
    Placement placement;
    const auto place = [&](int block) {
        return placement.places({{{.decision = 0, .value = block, .place = static_cast<float>(block) / 256}}});
    };
    std::vector<std::vector<float>> places;
    std::vector<double> values;
    for (const int block : {16, 48, 64, 80, 96, 112, 144, 160, 192, 208, 240, 256}) {
        places.push_back(place(block));
        values.push_back((block & (block - 1)) == 0 ? 0 : 1);
    }
    GaussianProcess process;
    process.fit(places, values, placement.width(), 40, random);
    EXPECT_LT(process.predict(place(128)).mean, 0.3);
    EXPECT_LT(process.predict(place(32)).mean, 0.3);
    EXPECT_GT(process.predict(place(176)).mean, 0.7);
}

TEST(BoostedTrees, LearnAndSurviveTheirJson) {
    Random random(4);
    std::vector<std::vector<float>> rows;
    std::vector<float> labels, weights;
    for (int i = 0; i < 300; ++i) {
        rows.push_back({static_cast<float>(random.uniform()), static_cast<float>(random.uniform())});
        labels.push_back(rows.back()[0] > 0.5f ? 1.0f : 0.0f);
        weights.push_back(1);
    }
    BoostedTrees trees;
    trees.train(rows, labels, weights, {});
    const auto predicted = trees.predict({{0.9f, 0.1f}, {0.1f, 0.9f}});
    EXPECT_GT(predicted[0], 0.8f);
    EXPECT_LT(predicted[1], 0.2f);
    EXPECT_EQ(BoostedTrees::read_model(trees.json()).predict({{0.9f, 0.1f}, {0.1f, 0.9f}}), predicted);
    EXPECT_THROW(BoostedTrees::read_model("{\"a\": 1}"), Error);
}

}  // namespace
}  // namespace tessera::tune
