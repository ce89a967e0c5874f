// Sessions under injected faults: what crashes, hangs or is wrong, a tuner that is killed, a machine that is too noisy.
#include <gtest/gtest.h>
#include <tessera/schedule_default.h>
#include <tessera/tune_database.h>

#include "compile/staging_folder.h"
#include "schedule/canonical_stages.h"
#include "unit/compile/scratch_folder.h"
#include "unit/tune/planned_measurer.h"
#include "unit/tune/tuned_algorithms.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <set>

namespace tessera::tune {
namespace {

using test::PlannedMeasurer;

TuneOptions options_for(std::size_t trials) {
    TuneOptions options;
    options.strategy = "evolutionary";
    options.trials = trials;
    options.batch = 8;
    return options;
}

std::string header() {
    return R"({"generator":"matmul","kernel":"","extents":{},"argv":[],"target":"host","threads":1,"cold":false,"started":5,"context":)" +
           context_json(build_context(Target::host())) + "}";
}

// Everything is kept, and nothing that failed wins.
void soak(std::size_t trials) {
    const ScratchFolder folder;
    const std::string path = folder.file("soak.db");
    const Algorithm algorithm = test::tuned_matmul(256);
    PlannedMeasurer measurer;
    measurer.fault_share = 0.3;
    std::string session;
    TuneResult result;
    {
        DatabaseLog log = DatabaseLog::begin(path, algorithm, header());
        session = log.session();
        result = tune(algorithm, options_for(trials), log, measurer);
    }
    ASSERT_EQ(result.trials.size(), trials) << result.reason;
    const ScheduleDb db = ScheduleDb::open(path);
    const Journal kept = journal_of(db.session(session));
    ASSERT_EQ(kept.rows.size(), trials);
    std::map<Verdict, std::size_t> verdicts;
    double best = 1e9;
    for (std::size_t i = 0; i < trials; ++i) {
        const TrialRow& row = kept.rows[i];
        EXPECT_EQ(row.ordinal, i);
        const Verdict planned = measurer.plan(content_hash(result.trials[i].schedule));
        EXPECT_EQ(row.measured.verdict, planned) << i;
        EXPECT_EQ(row.seconds.has_value(), planned == Verdict::ok) << i;
        ++verdicts[row.measured.verdict];
        if (row.seconds) best = std::min(best, measurer.seconds(content_hash(result.trials[i].schedule)));
    }
    for (const Verdict v : {Verdict::crash, Verdict::timeout, Verdict::out_of_memory, Verdict::wrong, Verdict::compile_error})
        EXPECT_GT(verdicts[v], 0u) << word(v);
    ASSERT_TRUE(kept.decision);
    EXPECT_EQ(kept.rows[kept.decision->ordinal].measured.verdict, Verdict::ok);
    // The fastest of those that are right, or one of the finalists within the noise of it.
    EXPECT_LT(measurer.seconds(content_hash(result.best)), 1.02 * best);
    const FoundSchedule found = db.find(algorithm, Target::host());
    EXPECT_EQ(found.tier, LookupTier::exact);
    EXPECT_EQ(measurer.plan(content_hash(result.best)), Verdict::ok);
    EXPECT_TRUE(db.check().empty());
}

TEST(SessionFaults, NothingIsLostAndNothingWrongIsAccepted) { soak(120); }
// Long: test_tune --gtest_also_run_disabled_tests --gtest_filter=*Long*
TEST(SessionFaults, DISABLED_LongSoakOfAThousandTrials) { soak(1000); }

// Whatever is measured in the search was prepared, once; what a session knows is not compiled again.
TEST(Sessions, PrepareWhatTheyMeasureAndNothingElse) {
    const Algorithm algorithm = test::tuned_matmul(256);
    MemoryLog log;
    TuneOptions options = options_for(40);
    Schedule plain;
    plain.stage("C").root().serial("m").serial("n");
    plain.stage("C.sum").root().serial("m").serial("n").serial("k");
    options.candidates = {default_schedule(algorithm), plain};
    std::set<std::string> searched;
    options.progress = [&](const TuneProgress& p) {
        if (!p.recalled && p.trial.measured.verdict != Verdict::invalid) searched.insert(content_hash(p.trial.schedule));
    };
    PlannedMeasurer first;
    ASSERT_EQ(tune(algorithm, options, log, first).trials.size(), 40u);
    EXPECT_EQ(std::set<std::string>(first.prepared.begin(), first.prepared.end()), searched);
    EXPECT_EQ(first.prepared.size(), searched.size());
    PlannedMeasurer second;
    options.trials = 48;
    searched.clear();
    ASSERT_EQ(tune(algorithm, options, log, second).trials.size(), 48u);
    EXPECT_EQ(std::set<std::string>(second.prepared.begin(), second.prepared.end()), searched);
    EXPECT_LT(second.prepared.size(), 40u);
}

TEST(Transfer, ASessionStartsFromWhatARelativeFoundFast) {
    const ScratchFolder folder;
    const std::string path = folder.file("team.db");
    const Algorithm other_size = test::tuned_matmul(256), algorithm = test::tuned_matmul(512);
    PlannedMeasurer measurer;
    measurer.fault_share = 0.3;
    TuneResult result;
    {
        DatabaseLog log = DatabaseLog::begin(path, other_size, header());
        result = tune(other_size, options_for(60), log, measurer);
    }
    const ScheduleDb db = ScheduleDb::open(path, {.read_only = true});
    const auto starts = transferred_schedules(db, algorithm, Target::host(), {}, 8);
    ASSERT_EQ(starts.size(), 8u);
    std::map<std::string, bool> timed;
    for (const TrialRow& t : result.trials) timed[schedule_hash(other_size, t.schedule)] |= t.seconds.has_value();
    std::set<std::string> hashes;
    for (const Schedule& s : starts) hashes.insert(schedule_hash(algorithm, s));
    EXPECT_EQ(schedule_hash(algorithm, starts.front()), schedule_hash(other_size, result.best));
    EXPECT_EQ(hashes.size(), 8u);
    for (const std::string& h : hashes) EXPECT_TRUE(timed[h]) << h;
    EXPECT_TRUE(transferred_schedules(db, test::tuned_softmax(), Target::host(), {}, 8).empty());
}

// Runs the session to its end in a process that appends a line for every measurement, killed `kills` times on the way.
void kill_and_resume(int kills, std::size_t trials, bool database) {
    const ScratchFolder folder;
    const std::string path = folder.file(database ? "session.db" : "session.journal"), seen = folder.file("seen");
    const Algorithm algorithm = test::tuned_matmul(128);
    const TuneOptions options = options_for(trials);
    const auto child_body = [&](bool first) {
        PlannedMeasurer measurer;
        measurer.pause_seconds = 0.004;
        measurer.noise = 0;
        measurer.fault_share = 0.2;
        const int file = open(seen.c_str(), O_WRONLY | O_APPEND | O_CREAT, 0600);
        // The first measurement of every process is the plan's default: it knows that one however often it is resumed.
        (void)measurer.measure(default_schedule(algorithm, Target::host()), 1);
        measurer.seen = [file](const std::string& hash) {
            const std::string line = hash + "\n";
            if (write(file, line.data(), line.size()) < 0) _exit(9);
        };
        try {
            std::unique_ptr<SessionLog> log;
            if (database)
                log = std::make_unique<DatabaseLog>(
                    first ? DatabaseLog::begin(path, algorithm, header())
                          : DatabaseLog::resume(path, ScheduleDb::open(path, {.read_only = true}).sessions().at(0).id));
            else
                log = std::make_unique<JournalLog>(first ? JournalLog::begin(path, header()) : JournalLog::resume(path));
            (void)tune(algorithm, options, *log, measurer);
        } catch (const std::exception& e) {
            fmt::print(stderr, "{}\n", e.what());
            _exit(1);
        }
        _exit(0);
    };
    Random random(17);
    bool begun = false, done = false;
    int killed = 0;
    while (!done) {
        const pid_t child = fork();
        if (child == 0) child_body(!begun);
        if (killed < kills) {
            // Not before there is a session to go on with.
            usleep(static_cast<useconds_t>((begun ? 60000 : 400000) + random.below(200000)));
            if (kill(child, SIGKILL) == 0) ++killed;
        }
        int status = 0;
        waitpid(child, &status, 0);
        begun = true;
        done = WIFEXITED(status);
        ASSERT_TRUE(!done || WEXITSTATUS(status) == 0);
    }
    const Journal kept =
        database ? journal_of(ScheduleDb::open(path).session(ScheduleDb::open(path).sessions().at(0).id)) : read_journal(path);
    ASSERT_EQ(kept.rows.size(), trials);
    EXPECT_TRUE(kept.decision);
    for (std::size_t i = 0; i < trials; ++i) EXPECT_EQ(kept.rows[i].ordinal, i);
    // Undisturbed, a trial is measured once, or twice when it is promising; each kill repeats one trial at most. The rounds at
    // the end measure finalists anew.
    PlannedMeasurer undisturbed;
    undisturbed.noise = 0;
    undisturbed.fault_share = 0.2;
    (void)undisturbed.measure(default_schedule(algorithm, Target::host()), 1);
    MemoryLog memory;
    const TuneResult expected = tune(algorithm, options, memory, undisturbed);
    ASSERT_EQ(expected.trials.size(), trials);
    for (std::size_t i = 0; i < trials; ++i)
        EXPECT_EQ(content_hash(in_canonical_names(algorithm, kept.rows[i].schedule)),
                  content_hash(in_canonical_names(algorithm, expected.trials[i].schedule)))
            << i;
    const std::string lines = read_text_file(seen);
    const auto measured = static_cast<int>(std::count(lines.begin(), lines.end(), '\n'));
    const int finalists = 7 * options.final_rounds;  // the default twice
    EXPECT_LE(measured, undisturbed.calls - 1 + killed * 2 + finalists) << killed << " kills";
    fmt::print("{} kills: {} measurements, {} undisturbed\n", killed, measured, undisturbed.calls - 1);
}

TEST(SessionFaults, AKilledSessionGoesOnInItsJournal) { kill_and_resume(3, 60, false); }
TEST(SessionFaults, AKilledSessionGoesOnInItsDatabase) { kill_and_resume(3, 60, true); }
TEST(SessionFaults, DISABLED_LongTwentyKills) {
    kill_and_resume(20, 400, false);
    kill_and_resume(20, 400, true);
}

TEST(SessionFaults, ATooNoisyMachineKeepsTheDefaultAndSaysSo) {
    const Algorithm algorithm = test::tuned_matmul(128);
    PlannedMeasurer measurer;
    measurer.noise = 40;
    measurer.flat = true;
    MemoryLog log;
    const TuneResult result = tune(algorithm, options_for(12), log, measurer);
    EXPECT_NE(result.reason.find("too noisy to decide"), std::string::npos) << result.reason;
    EXPECT_EQ(result.best_ordinal, 0u);
}

TEST(SessionFaults, TwoTunersOfOneSessionAreRefused) {
    const ScratchFolder folder;
    const Algorithm algorithm = test::tuned_matmul(128);
    const DatabaseLog log = DatabaseLog::begin(folder.file("a.db"), algorithm, header());
    EXPECT_THROW((void)DatabaseLog::resume(folder.file("a.db"), log.session()), Error);
    // Two sessions in one database are welcome.
    (void)DatabaseLog::begin(folder.file("a.db"), algorithm, header());
}

TEST(Journals, GoIntoADatabaseOnce) {
    const ScratchFolder folder;
    const Algorithm algorithm = test::tuned_matmul(128);
    PlannedMeasurer measurer;
    std::string with_algorithm = header();
    std::string text;
    for (const char c : algorithm.text())
        text += c == '\n' ? std::string("\\n") : c == '"' ? std::string("\\\"") : std::string(1, c);
    with_algorithm.insert(1, "\"algorithm\":\"" + text + "\",");
    {
        JournalLog log = JournalLog::begin(folder.file("a.journal"), with_algorithm);
        (void)tune(algorithm, options_for(20), log, measurer);
    }
    ScheduleDb db = ScheduleDb::open(folder.file("a.db"), {.create = true});
    const Journal journal = read_journal(folder.file("a.journal"));
    ASSERT_TRUE(journal.decision);
    const std::string id = import_journal(db, journal);
    const auto counts = db.counts();
    EXPECT_EQ(counts.at("trial"), 20u);
    EXPECT_EQ(import_journal(db, journal), id);
    EXPECT_EQ(db.counts(), counts);
    EXPECT_EQ(db.find(algorithm, Target::host()).tier, LookupTier::exact);
    Journal nowhere = journal;
    nowhere.header = "{}";
    EXPECT_THROW((void)import_journal(db, nowhere), Error);
}

}  // namespace
}  // namespace tessera::tune
