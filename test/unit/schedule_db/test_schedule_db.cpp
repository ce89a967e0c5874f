#include <gtest/gtest.h>

#include "unit/compile/scratch_folder.h"
#include "unit/schedule_db/stored_sessions.h"

#include <algorithm>

namespace tessera {
namespace {

using namespace test;

ScheduleDb fresh(const ScratchFolder& folder, const std::string& name = "a.db") {
    return ScheduleDb::open(folder.file(name), {.create = true});
}

TEST(ScheduleDb, KeepsASessionAsItWas) {
    const ScratchFolder folder;
    std::string id;
    {
        ScheduleDb db = fresh(folder);
        id = add_session(db, {.extents = {{"m", 100}, {"n", 200}, {"k", 300}}});
    }
    const ScheduleDb db = ScheduleDb::open(folder.file("a.db"), {.read_only = true});
    ASSERT_EQ(db.sessions().size(), 1u);
    EXPECT_TRUE(db.sessions()[0].decided);
    const StoredSession s = db.session(id.substr(0, 10));
    ASSERT_EQ(s.trials.size(), 2u);
    EXPECT_EQ(s.trials[0].fact.origin, "default");
    EXPECT_EQ(s.trials[1].fact.samples, std::vector<double>{1e-3});
    EXPECT_EQ(s.trials[1].rounds, times_near(1e-3));
    EXPECT_EQ(to_json(canonical(s.trials[1].fact.schedule)), to_json(canonical(rows_of(8))));
    EXPECT_EQ(s.decision->ordinal, 1u);
    EXPECT_EQ(s.decision->median, 2.0);
    EXPECT_TRUE(db.check().empty());
    EXPECT_EQ(db.counts().at("trial"), 2u);
    EXPECT_THROW((void)db.session("ffff"), Error);
}

TEST(ScheduleDb, OneFactIsOneRow) {
    const ScratchFolder folder;
    ScheduleDb db = fresh(folder);
    const SessionFact fact{named_matmul(), "{}", "token", 5};
    EXPECT_EQ(db.begin_session(fact), db.begin_session(fact));
    add_session(db, {});
    add_session(db, {});
    EXPECT_EQ(db.counts().at("session"), 3u);
    EXPECT_EQ(db.counts().at("kernel"), 1u);
    EXPECT_EQ(db.counts().at("machine"), 1u);
    // The default's empty one and rows_of(8).
    EXPECT_EQ(db.counts().at("schedule"), 2u);
}

struct TierRow {
    const char* what;
    SessionPlan stored;
    LookupTier tier;
};

TEST(Lookup, TiersFollowTheDistance) {
    const BuildContext build = context_of();
    const Algorithm fixed = named_matmul(64);
    const std::vector<TierRow> rows{
        {"the same", {.algorithm = fixed}, LookupTier::exact},
        {"another toolchain", {.algorithm = fixed, .context = context_of("a", 1, "two")}, LookupTier::toolchain},
        {"another code generator", {.algorithm = fixed, .context = context_of("a", 2, "two")}, LookupTier::none},
        {"twice the size", {.algorithm = named_matmul(128)}, LookupTier::shape},
        {"sixty-four times the size", {.algorithm = named_matmul(4096)}, LookupTier::none},
        {"open extents", {.algorithm = named_matmul(), .extents = {{"m", 64}}}, LookupTier::shape},
        {"another machine of the kind", {.algorithm = fixed, .context = context_of("b")}, LookupTier::micro_architecture},
        {"another kind of machine", {.algorithm = fixed, .context = context_of("b", 1, "one", "x86 6.2")}, LookupTier::none},
        {"wrong results", {.algorithm = fixed, .status = "wrong"}, LookupTier::none},
        {"not checked", {.algorithm = fixed, .checked = false}, LookupTier::none},
        {"not decided", {.algorithm = fixed, .decided = false}, LookupTier::none},
        {"a renamed twin", {.algorithm = named_matmul(64, {"m", "n", "k", "x", "y", "C"})}, LookupTier::exact},
    };
    for (const TierRow& row : rows) {
        const ScratchFolder folder;
        ScheduleDb db = fresh(folder);
        add_session(db, row.stored);
        const FoundSchedule found = db.explain(fixed, build, nullptr);
        EXPECT_EQ(word(found.tier), word(row.tier)) << row.what << ": " << found.explanation;
        EXPECT_EQ(found.tier != LookupTier::none, !found.schedule.stages.empty()) << row.what;
        EXPECT_FALSE(found.explanation.empty());
        BuildContext elsewhere = build;
        elsewhere.target = "x86-64-linux-avx512";
        EXPECT_EQ(db.explain(fixed, elsewhere, nullptr).tier, LookupTier::none) << row.what;
    }
}

TEST(Lookup, TheNearestTierAndShapeAnswer) {
    const ScratchFolder folder;
    ScheduleDb db = fresh(folder);
    const Algorithm fixed = named_matmul(64);
    const auto tile = [&] {
        const auto found = db.explain(fixed, context_of(), nullptr);
        return found.schedule.stages.at("C").loops->at(0).tile.value_or(0);
    };
    add_session(db, {.algorithm = fixed, .schedule = rows_of(2), .context = context_of("b"), .seconds = 1e-6});
    EXPECT_EQ(tile(), 2);
    add_session(db, {.algorithm = named_matmul(512), .schedule = rows_of(4), .seconds = 1e-2});
    EXPECT_EQ(tile(), 4);
    add_session(db, {.algorithm = named_matmul(128), .schedule = rows_of(8), .seconds = 1e-1});
    EXPECT_EQ(tile(), 8);
    add_session(db, {.algorithm = fixed, .schedule = rows_of(16), .context = context_of("a", 1, "two")});
    EXPECT_EQ(tile(), 16);
    add_session(db, {.algorithm = fixed, .schedule = rows_of(32), .seconds = 1, .cold = true});
    EXPECT_EQ(tile(), 32);
    add_session(db, {.algorithm = fixed, .schedule = rows_of(48), .seconds = 2});
    EXPECT_EQ(tile(), 48);
    std::vector<std::string> trace;
    (void)db.explain(fixed, context_of(), &trace);
    EXPECT_EQ(trace.size(), 6u);
    EXPECT_EQ(trace[0].substr(0, 8), "answers:");
}

// Only what is clearly faster under the same conditions replaces what was there first.
TEST(Lookup, TiesKeepTheIncumbent) {
    const ScratchFolder folder;
    ScheduleDb db = fresh(folder);
    const auto tile = [&] {
        return db.explain(named_matmul(), context_of(), nullptr).schedule.stages.at("C").loops->at(0).tile.value_or(0);
    };
    add_session(db, {.schedule = rows_of(2), .seconds = 1e-3, .started = 2000});
    add_session(db, {.schedule = rows_of(4), .seconds = 0.999e-3, .started = 3000});
    EXPECT_EQ(tile(), 2);
    add_session(db, {.schedule = rows_of(8), .seconds = 1.0001e-3, .started = 1000});
    EXPECT_EQ(tile(), 8);
    add_session(db, {.schedule = rows_of(16), .seconds = 0.9e-3, .started = 4000});
    EXPECT_EQ(tile(), 16);
    ASSERT_EQ(db.best().size(), 1u);
    EXPECT_DOUBLE_EQ(db.best()[0].seconds, 0.9e-3 * 1.007);
}

TEST(Lookup, RowsThatDoNotFitArePassedOver) {
    const ScratchFolder folder;
    ScheduleDb db = fresh(folder);
    Schedule foreign = rows_of(8);
    foreign.stage("gone").root().serial("m");
    add_session(db, {.schedule = foreign, .seconds = 1e-6});
    EXPECT_EQ(db.explain(named_matmul(), context_of(), nullptr).tier, LookupTier::none);
    EXPECT_NE(db.explain(named_matmul(), context_of(), nullptr).explanation.find("E0501"), std::string::npos);
    add_session(db, {.algorithm = named_matmul(64), .schedule = rows_of(4), .seconds = 1});
    EXPECT_EQ(db.explain(named_matmul(), context_of(), nullptr).tier, LookupTier::shape);
}

TEST(Lookup, QuarantinedSchedulesNeverAnswer) {
    const ScratchFolder folder;
    ScheduleDb db = fresh(folder);
    add_session(db, {});
    ASSERT_EQ(db.explain(named_matmul(), context_of(), nullptr).tier, LookupTier::exact);
    db.quarantine(named_matmul(), rows_of(8), context_of(), "wrong with another compiler");
    EXPECT_EQ(db.explain(named_matmul(), context_of(), nullptr).tier, LookupTier::none);
    EXPECT_TRUE(db.best().empty());
}

TEST(Lookup, RelativesAreOfEveryMachine) {
    const ScratchFolder folder;
    ScheduleDb db = fresh(folder);
    add_session(db, {.schedule = rows_of(2), .context = context_of("b", 1, "one", "arm 9")});
    add_session(db, {.schedule = rows_of(4), .context = context_of("b")});
    add_session(db, {.schedule = rows_of(8)});
    add_session(db, {.schedule = rows_of(8), .started = 5});
    BuildContext elsewhere = context_of("c", 1, "one", "arm 9");
    elsewhere.target = "arm-64-linux";
    add_session(db, {.schedule = rows_of(16), .context = elsewhere});
    std::vector<std::int64_t> tiles;
    for (const FoundSchedule& f : db.relatives(named_matmul(), context_of(), 8))
        tiles.push_back(f.schedule.stages.at("C").loops->at(0).tile.value_or(0));
    ASSERT_EQ(tiles.size(), 4u);
    EXPECT_EQ(tiles[0], 8);
    EXPECT_EQ(tiles[1], 4);
    EXPECT_EQ(db.relatives(named_matmul(), context_of(), 2).size(), 2u);
    EXPECT_EQ(db.explain(named_matmul(), context_of("d", 1, "one", "x86 9"), nullptr).tier, LookupTier::none);
}

TEST(ScheduleDb, CollectKeepsWhatAnswers) {
    const ScratchFolder folder;
    ScheduleDb db = fresh(folder);
    const std::string id = add_session(db, {});
    TrialFact trial;
    trial.context = context_of();
    trial.status = "ok";
    trial.origin = "hybrid";
    for (int i = 2; i < 12; ++i) {
        trial.ordinal = static_cast<std::size_t>(i);
        trial.schedule = rows_of(i);
        trial.samples = {1.0 + i};
        db.record(id, trial);
    }
    const std::string open = add_session(db, {.seconds = 5, .decided = false});
    const auto removed = db.collect(3);
    EXPECT_EQ(removed.at("trial"), 9u);
    EXPECT_EQ(db.session(open).trials.size(), 2u);
    EXPECT_EQ(db.explain(named_matmul(), context_of(), nullptr).tier, LookupTier::exact);
    EXPECT_TRUE(db.check().empty());
    EXPECT_TRUE(db.collect(3).empty());
}

TEST(ScheduleDb, TheModelTrainedOnMostIsTaken) {
    const ScratchFolder folder;
    ScheduleDb db = fresh(folder);
    EXPECT_FALSE(db.model());
    db.store_model({"", R"({"trees":1})", "hash", 0.8, 0.9, 100, 3});
    db.store_model({"", R"({"trees":2})", "other", 0.7, 0.9, 500, 3});
    EXPECT_EQ(db.model()->json, R"({"trees":2})");
    EXPECT_EQ(db.model()->trials, 500u);
    const std::string first = db.store_model({"", R"({"trees":1})", "hash", 0.8, 0.9, 100, 3});
    EXPECT_EQ(db.model(first)->json, R"({"trees":1})");
    EXPECT_FALSE(db.model("none"));
}

}  // namespace
}  // namespace tessera
