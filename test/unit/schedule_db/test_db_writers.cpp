// Many processes, many rows.
#include <gtest/gtest.h>

#include "schedule/canonical_stages.h"
#include "schedule_db/database_file.h"
#include "schedule_db/fact_tables.h"
#include "unit/compile/scratch_folder.h"
#include "unit/schedule_db/stored_sessions.h"

#include <fmt/format.h>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

namespace tessera {
namespace {

using namespace test;

TEST(DbWriters, EightProcessesLoseNothing) {
    constexpr int writers = 8, trials = 25;
    const ScratchFolder folder;
    const std::string path = folder.file("team.db");
    std::vector<pid_t> children;
    for (int w = 0; w < writers; ++w) {
        const pid_t child = ::fork();
        if (child == 0) {
            try {
                // The first of them makes the file.
                ScheduleDb db = ScheduleDb::open(path, {.create = true});
                const std::string id = db.begin_session({named_matmul(), "{}", std::to_string(w), 7});
                TrialFact trial;
                trial.context = context_of();
                trial.status = "ok";
                for (int t = 0; t < trials; ++t) {
                    trial.ordinal = static_cast<std::size_t>(t);
                    trial.schedule = rows_of(2 + t);
                    trial.samples = {1.0 + w};
                    db.record(id, trial);
                }
            } catch (const std::exception& e) {
                fmt::print(stderr, "{}\n", e.what());
                ::_exit(1);
            }
            ::_exit(0);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = 0;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    const ScheduleDb db = ScheduleDb::open(path);
    EXPECT_EQ(db.counts().at("trial"), static_cast<std::size_t>(writers * trials));
    EXPECT_EQ(db.counts().at("measurement"), static_cast<std::size_t>(writers * trials));
    EXPECT_EQ(db.counts().at("session"), static_cast<std::size_t>(writers));
    EXPECT_TRUE(db.check().empty());
}

// `kernels` kernels with `sessions` decided sessions of 200 trials each. Written without the checks of record(): facts are rows.
void fill(const std::string& path, int kernels, int sessions) {
    (void)ScheduleDb::open(path, {.create = true});
    const db::OpenedFile file = db::open_file(path, {});
    const db::Connection& c = file.connection;
    const auto add = [&](const char* table, const nlohmann::json& row) { return db::add_fact(c, *db::find_table(table), row); };
    db::Transaction transaction(c);
    const BuildContext b = context_of();
    const std::string machine =
        add("machine", {{"facts", nlohmann::json::parse(b.machine)}, {"micro_architecture", b.micro_architecture}});
    const std::string toolchain = add("toolchain", {{"facts", nlohmann::json::parse(b.toolchain)}, {"codegen_abi", 1}});
    const std::string target = add("target", {{"features", b.target}});
    for (int k = 0; k < kernels; ++k) {
        const Algorithm algorithm = named_matmul(k == 0 ? 0 : 8 << (k % 12));
        const std::string hash = k == 0 ? kernel_hash(algorithm) : std::string(64, static_cast<char>('a' + k % 26));
        const std::string kernel = add("kernel", {{"hash", hash}, {"text", ""}});
        const std::string shape = add("shape", {{"dims", nlohmann::json::parse(shape_text(algorithm))}});
        for (int s = 0; s < sessions; ++s) {
            const std::string session = add("session", {{"kernel", kernel},
                                                        {"header", {{"algorithm", algorithm.text()}}},
                                                        {"started", s},
                                                        {"token", fmt::format("{}/{}", k, s)}});
            for (int t = 0; t < 200; ++t) {
                const Schedule plan = in_canonical_names(algorithm, rows_of(2 + t));
                const std::string schedule =
                    add("schedule", {{"hash", fmt::format("{:064}", t)}, {"content", nlohmann::json::parse(to_json(plan))}});
                const std::string trial = add("trial", {{"session", session},
                                                        {"ordinal", t},
                                                        {"shape", shape},
                                                        {"machine", machine},
                                                        {"toolchain", toolchain},
                                                        {"target", target},
                                                        {"schedule", schedule},
                                                        {"threads", 2},
                                                        {"cold", 0},
                                                        {"origin", "hybrid"},
                                                        {"status", "ok"},
                                                        {"checked", 1},
                                                        {"error", nullptr},
                                                        {"predicted", nullptr},
                                                        {"compile_seconds", 0.5},
                                                        {"loop_tree", nullptr},
                                                        {"object_code", nullptr}});
                add("measurement", db::measurement_row(trial, "screen", {1.0 + t, 1.5}));
                if (t != 7) continue;
                add("measurement", db::measurement_row(trial, "rounds", times_near(1 + 0.0001 * s)));
                add("decision", {{"session", session}, {"trial", trial}, {"low", 1.0}, {"median", 1.1}, {"high", 1.2}});
            }
        }
    }
    transaction.commit();
}

double lookup_seconds(const ScheduleDb& db) {
    double least = 1e9;
    for (int i = 0; i < 9; ++i) {
        const auto start = std::chrono::steady_clock::now();
        const FoundSchedule found = db.explain(named_matmul(), context_of(), nullptr);
        EXPECT_EQ(word(found.tier), "exact") << found.explanation;
        least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return least;
}

TEST(DbWriters, LookupAmongThousandsOfTrials) {
    const ScratchFolder folder;
    fill(folder.file("many.db"), 2, 5);
    const ScheduleDb db = ScheduleDb::open(folder.file("many.db"), {.read_only = true});
    EXPECT_EQ(db.counts().at("trial"), 2000u);
    fmt::print("lookup among 2 000 trials: {:.2f} ms\n", 1e3 * lookup_seconds(db));
}

// Long: test_schedule_db --gtest_also_run_disabled_tests --gtest_filter=*Long*
TEST(DbWriters, DISABLED_LongLookupAmongAHundredThousandTrials) {
    const ScratchFolder folder;
    fill(folder.file("many.db"), 10, 50);
    const ScheduleDb db = ScheduleDb::open(folder.file("many.db"), {.read_only = true});
    EXPECT_EQ(db.counts().at("trial"), 100000u);
    const double seconds = lookup_seconds(db);
    fmt::print("lookup among 100 000 trials: {:.2f} ms\n", 1e3 * seconds);
    EXPECT_LT(seconds, 5e-3);
}

}  // namespace
}  // namespace tessera
