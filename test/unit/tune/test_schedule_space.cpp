#include <tessera/schedule_default.h>
#include <tessera/tune_space.h>

#include "schedule/loop_tree.h"
#include "tune/schedule_form.h"
#include "unit/tune/tuned_algorithms.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace tessera::tune {
namespace {

struct Case {
    std::string name;
    Algorithm algorithm;
    std::map<std::string, std::int64_t> extents;
};
std::vector<Case> cases() {
    return {{"matmul", test::tuned_matmul(96), {}},
            {"blur", test::tuned_blur(), {{"y", 480}, {"x", 640}}},
            {"softmax", test::tuned_softmax(), {{"b", 64}, {"j", 1000}}},
            {"pipeline", test::tuned_pipeline(), {{"y", 100}, {"x", 200}}}};
}

// bind and the loop tree judge; a refusal is a failure.
void expect_legal(const Case& c, const ScheduleSpace& space, const Point& point) {
    const Schedule s = space.schedule(point);
    try {
        (void)build_loop_tree(bind(c.algorithm, s));
    } catch (const std::exception& e) {
        FAIL() << c.name << ": " << e.what() << "\n" << to_json(s);
    }
}

TEST(ScheduleSpace, EveryOperationGivesALegalSchedule) {
    constexpr int operations = 800;  // of each algorithm; 25000 hold as well
    for (const Case& c : cases()) {
        const ScheduleSpace space(c.algorithm, Target(), {.extents = c.extents, .cores = 4, .constraints = {}});
        Random random(11);
        std::set<std::string> judged;
        std::vector<Point> population;
        for (int i = 0; i < 20; ++i) population.push_back(space.sample(random));
        for (int i = 0; i < operations; ++i) {
            Point& a = population[static_cast<size_t>(random.below(20))];
            const Point& b = population[static_cast<size_t>(random.below(20))];
            switch (i % 4) {
                case 0: a = space.mutate(a, 0.1, random); break;
                case 1: a = space.crossover(a, b, random); break;
                case 2: a = space.neighbour(a, random); break;
                default: a = space.sample(random); break;
            }
            if (!judged.insert(to_json(space.schedule(a), JsonStyle::compact)).second) continue;
            expect_legal(c, space, a);
            if (HasFatalFailure()) return;
        }
    }
}

TEST(ScheduleSpace, APointIsItsSchedule) {
    for (const Case& c : cases()) {
        const ScheduleSpace space(c.algorithm, Target(), {.extents = c.extents, .cores = 4, .constraints = {}});
        Random random(5);
        for (int i = 0; i < 300; ++i) {
            const Point p = space.sample(random);
            const Schedule s = space.schedule(p);
            EXPECT_EQ(to_json(space.schedule(space.point(s))), to_json(s)) << c.name << " " << space.text(p);
            // The names of loops are no part of it.
            EXPECT_EQ(to_json(space.schedule(space.point(canonical(s)))), to_json(s)) << c.name << " " << space.text(p);
        }
    }
}

TEST(ScheduleSpace, WrittenSchedulesComeInOtherSizes) {
    for (const Case& c : cases()) {
        const Schedule written = default_schedule(c.algorithm, Target());
        const ScheduleSpace space(c.algorithm, Target(),
                                  {.extents = c.extents, .cores = 4, .constraints = {}, .forms = {written}});
        const Point point = space.point(written);
        EXPECT_EQ(to_json(space.schedule(point)), to_json(written)) << c.name;
        EXPECT_EQ(space.decisions(point).front().value, "written 1") << c.name;
        Random random(17);
        int legal = 0;
        std::set<std::string> schedules;
        for (int i = 0; i < 200; ++i) {
            const Point p = i % 2 == 0 ? space.neighbour(point, random) : space.mutate(point, 0.3, random);
            if (!space.legal(p)) {
                EXPECT_THROW((void)build_loop_tree(bind(c.algorithm, space.schedule(p))), Exception) << c.name;
                EXPECT_TRUE(space.features(p).empty());
                EXPECT_FALSE(space.estimate(p).has_value());
                continue;
            }
            ++legal;
            schedules.insert(to_json(space.schedule(p)));
            EXPECT_EQ(to_json(space.schedule(space.point(space.schedule(p)))), to_json(space.schedule(p))) << c.name;
            expect_legal(c, space, p);
            if (HasFatalFailure()) return;
        }
        EXPECT_GE(legal, 150) << c.name;
        EXPECT_GE(schedules.size(), 10u) << c.name;
    }
}

TEST(ScheduleSpace, ASizeOfFusedNestsIsOneDecisionAndRingsGrowWithBlocks) {
    const Schedule written = parse_schedule(R"({"tessera_schedule": 1, "stages": {
        "out": {"compute": "root", "loops": [{"dim": "y", "name": "task", "tile": 32, "as": "parallel"},
            {"dim": "y", "name": "row", "tile": 4}, {"dim": "y", "name": "line", "as": "unroll"}, {"dim": "x"}]},
        "a": {"compute": {"at": "out", "loop": "row"}, "store": {"at": "out", "loop": "task", "fold": {"y": 8}},
            "loops": [{"dim": "y", "name": "rows", "tile": 2}, {"dim": "y", "name": "line"}, {"dim": "x"}]},
        "b": {"compute": {"at": "out", "loop": "row"}, "fuse_with": {"stage": "a", "loop": "rows"},
            "loops": [{"dim": "y", "name": "rows", "tile": 2}, {"dim": "y", "name": "line"}, {"dim": "x"}]}}})");
    std::map<std::string, std::int64_t> made;
    const Schedule larger = resized(written, [&](const std::string& decision, const std::vector<std::int64_t>& domain) {
        return made[decision] = domain.back();
    });
    EXPECT_EQ(made, (std::map<std::string, std::int64_t>{{"a.rows.tile", 8}, {"out.row.tile", 16}, {"out.task.tile", 128}}));
    EXPECT_EQ(*larger.stages.at("b").loops->front().tile, 8);
    EXPECT_EQ(larger.stages.at("a").store.fold.at("y"), 32);  // 8 + 6 + 12 rows
    EXPECT_EQ(sizes_of(larger), (std::map<std::string, std::int64_t>{
                                    {"a.rows.tile", 8}, {"b.rows.tile", 8}, {"out.row.tile", 16}, {"out.task.tile", 128}}));
}

TEST(ScheduleSpace, ThePointOfTheDefaultIsNearIt) {
    const Case c = cases()[0];
    const ScheduleSpace space(c.algorithm, Target(), {});
    const Point p = space.point(default_schedule(c.algorithm, Target()));
    const std::string text = space.text(p);
    EXPECT_NE(text.find("C.sum.compute=C@m.t"), std::string::npos) << text;
    expect_legal(c, space, p);
}

TEST(ScheduleSpace, IsWalkedInOrderWithoutRepetitions) {
    Dim x("x", 24);
    Input in("in", f32, {x});
    Func out("out");
    out(x) = in(x)*2.0f;
    const ScheduleSpace space(
        Algorithm({out}, {in}), Target(),
        {.extents = {}, .cores = 2, .constraints = {"out.x.vector == 4 || out.x.vector == 8", "out.x.unroll <= 2"}});
    std::set<std::string> texts;
    size_t count = 0;
    for (std::optional<Point> p = space.after(nullptr); p; p = space.after(&*p)) {
        texts.insert(space.text(*p));
        ++count;
    }
    EXPECT_EQ(count, texts.size());
    EXPECT_TRUE(space.size().exact);
    EXPECT_EQ(space.size().points, static_cast<double>(count));
    Random random(1);
    for (int i = 0; i < 200; ++i) EXPECT_EQ(texts.count(space.text(space.sample(random))), 1u);
}

TEST(ScheduleSpace, ConstraintsHold) {
    const Case c = cases()[0];
    const ScheduleSpace space(c.algorithm, Target(),
                              {.extents = {}, .cores = 2, .constraints = {"C.m.unroll * C.n.unroll <= 8", "C.n.vector != 1"}});
    Random random(1);
    for (int i = 0; i < 200; ++i) {
        std::map<std::string, std::string> made;
        for (const auto& d : space.decisions(space.sample(random))) made[d.name] = d.value;
        EXPECT_LE(std::stoi(made.at("C.m.unroll")) * (made.count("C.n.unroll") ? std::stoi(made.at("C.n.unroll")) : 1), 8);
        EXPECT_NE(made.at("C.n.vector"), "1");
    }
}

std::string refusal(std::vector<std::string> constraints) {
    try {
        const ScheduleSpace space(test::tuned_matmul(96), Target(),
                                  {.extents = {}, .cores = 2, .constraints = std::move(constraints)});
    } catch (const Exception& e) {
        return e.what();
    }
    return "accepted";
}

TEST(ScheduleSpace, SaysWhichConstraintEmptiesIt) {
    EXPECT_NE(refusal({"C.m.unroll >= 2", "C.n.vector == 5"}).find("the constraint C.n.vector == 5 empties the search space"),
              std::string::npos);
    EXPECT_NE(refusal({"C.m.unrol >= 2"}).find("C.m.unroll"), std::string::npos);
    EXPECT_NE(refusal({"C.m.unroll >"}).find("E0511"), std::string::npos);
}

TEST(ScheduleSpace, FeaturesHaveNamesAndTellSchedulesApart) {
    const Case c = cases()[1];
    const ScheduleSpace space(c.algorithm, Target(), {.extents = c.extents, .cores = 2, .constraints = {}});
    Random random(1);
    std::set<std::vector<float>> seen;
    for (int i = 0; i < 50; ++i) {
        const auto f = space.features(space.sample(random));
        ASSERT_EQ(f.size(), feature_names().size());
        seen.insert(f);
    }
    EXPECT_GT(seen.size(), 25u);
}

TEST(ScheduleSpace, TheEstimatePrefersVectorsAndReuse) {
    const Algorithm algorithm = test::tuned_matmul(512);
    const ScheduleSpace space(algorithm, Target(), {});
    Schedule naive;
    naive.stage("C").root().serial("m").serial("n");
    naive.stage("C.sum").root().serial("m").serial("n").serial("k");
    const auto slow = space.estimate(space.point(naive)),
               fast = space.estimate(space.point(default_schedule(algorithm, Target())));
    ASSERT_TRUE(slow && fast);
    EXPECT_LT(*fast, *slow / 3);
}

TEST(StageWork, CountsEachStage) {
    const Algorithm algorithm = test::tuned_matmul(64);
    Schedule schedule;
    schedule.stage("C").root().serial("m").serial("n");
    schedule.stage("C.sum").root().serial("m").serial("n").serial("k");
    const auto work = stage_work(algorithm, schedule, {});
    ASSERT_EQ(work.size(), 2u);
    EXPECT_EQ(work[0].stage, "C.sum");
    EXPECT_EQ(work[1].stage, "C");
    // 64 fused steps and the start of each of 64 x 64 cells, against an addition and a maximum.
    EXPECT_GT(work[0].instructions, 20 * work[1].instructions);
    double sum = 0;
    for (const StageWork& w : work) sum += w.operations;
    const auto features = loop_features(algorithm, schedule, {});
    EXPECT_NEAR(std::log2(1 + sum), features[0], 1e-3);
    Schedule vectors = schedule;
    vectors.stages["C.sum"].loops.reset();
    vectors.stage("C.sum").serial("m").serial("k").serial("n", 16).vector("n");
    EXPECT_LT(stage_work(algorithm, vectors, {})[0].instructions, work[0].instructions / 4);
}

}  // namespace
}  // namespace tessera::tune
