// Files that are no databases, or not to be written.
#include <gtest/gtest.h>

#include "compile/staging_folder.h"
#include "schedule_db/database_file.h"
#include "schedule_db/fact_tables.h"
#include "unit/compile/scratch_folder.h"
#include "unit/schedule_db/stored_sessions.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <filesystem>
#include <fstream>

namespace tessera {
namespace {

using namespace test;

// The code and text of what opening and reading a file throws; "" when nothing is.
template <class F>
std::string thrown_by(F&& f) {
    try {
        f();
    } catch (const Exception& e) {
        return std::string(code_text(e.code())) + " " + e.what();
    }
    return "";
}

std::string filled(const ScratchFolder& folder) {
    const std::string path = folder.file("team.db");
    ScheduleDb db = ScheduleDb::open(path, {.create = true});
    for (int i = 0; i < 20; ++i) add_session(db, {.schedule = rows_of(2 + i)});
    return path;
}

TEST(DbFile, MissingFilesAndFoldersAreNamed) {
    const ScratchFolder folder;
    EXPECT_EQ(thrown_by([&] { (void)ScheduleDb::open(folder.file("none.db")); }).substr(0, 5), "E0605");
    EXPECT_FALSE(std::filesystem::exists(folder.file("none.db")));
    EXPECT_EQ(thrown_by([&] { (void)ScheduleDb::open(folder.path(), {.create = true}); }).substr(0, 5), "E0605");
    EXPECT_EQ(thrown_by([&] { (void)ScheduleDb::open(folder.file("no/such/a.db"), {.create = true}); }).substr(0, 5), "E0605");
}

TEST(DbFile, GarbageAndOtherDatabasesAreRefused) {
    const ScratchFolder folder;
    std::ofstream(folder.file("garbage.db")) << std::string(5000, 'x');
    const std::string said = thrown_by([&] { (void)ScheduleDb::open(folder.file("garbage.db")); });
    EXPECT_EQ(said.substr(0, 5), "E0601") << said;
    EXPECT_NE(said.find("damaged"), std::string::npos) << said;
    {
        const db::Connection other(folder.file("other.db"), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, 1);
        other.run("CREATE TABLE notes(text TEXT)");
    }
    for (const bool reading : {false, true})
        EXPECT_NE(
            thrown_by([&] { (void)ScheduleDb::open(folder.file("other.db"), {.read_only = reading}); }).find("another program"),
            std::string::npos);
    // Nothing was added to what is somebody else's.
    const db::Connection other(folder.file("other.db"), SQLITE_OPEN_READONLY, 1);
    EXPECT_EQ(other.integer("SELECT count(*) FROM sqlite_schema"), 1);
}

// Cut or overwritten at many places: an answer, an error, or a report of check(); never a crash and never a wrong schedule.
TEST(DbFile, DamageIsFoundWhereverItIs) {
    const ScratchFolder folder;
    const std::string whole = read_text_file(filled(folder)), path = folder.file("damaged.db");
    const auto exported = [&](const std::string& from) {
        const ScratchFolder out;
        ScheduleDb::open(from, {.read_only = true}).export_to(out.path());
        return read_text_file(out.file(out.names().at(0)));
    };
    const std::string right = exported(folder.file("team.db"));
    int found = 0;
    for (std::size_t at = 100; at < whole.size(); at += whole.size() / 37) {
        for (const bool cut : {true, false}) {
            std::string bytes = cut ? whole.substr(0, at) : whole;
            if (!cut)
                for (std::size_t i = at; i < std::min(at + 512, bytes.size()); ++i) bytes[i] = static_cast<char>(bytes[i] ^ 0x5a);
            std::ofstream(path, std::ios::binary) << bytes;
            const std::string said = thrown_by([&] {
                const ScheduleDb db = ScheduleDb::open(path, {.read_only = true});
                if (!db.check().empty()) throw Error(E0601_syntax, {}, "reported", {fix("restore it")});
                (void)db.explain(named_matmul(), context_of(), nullptr);
            });
            found += !said.empty();
            // What was hit where nothing is kept has all its rows.
            EXPECT_TRUE(!said.empty() || exported(path) == right) << at;
            EXPECT_TRUE(said.empty() || said.substr(0, 3) == "E06") << said;
        }
    }
    EXPECT_GE(found, 37);
}

TEST(DbFile, ANewerOneIsReadAndNotWritten) {
    const ScratchFolder folder;
    const std::string path = filled(folder);
    {
        const db::Connection c(path, SQLITE_OPEN_READWRITE, 1);
        c.run("PRAGMA user_version=7");
    }
    ScheduleDb db = ScheduleDb::open(path);
    EXPECT_NE(db.read_only_because().find("schema 7"), std::string::npos);
    EXPECT_EQ(db.explain(named_matmul(), context_of(), nullptr).tier, LookupTier::exact);
    EXPECT_EQ(thrown_by([&] { add_session(db, {}); }).substr(0, 5), "E0603");
}

TEST(DbFile, OnlyReadIsOnlyRead) {
    const ScratchFolder folder;
    const std::string path = filled(folder);
    ScheduleDb db = ScheduleDb::open(path, {.read_only = true});
    EXPECT_EQ(thrown_by([&] { add_session(db, {}); }).substr(0, 5), "E0605");
    EXPECT_EQ(db.explain(named_matmul(), context_of(), nullptr).tier, LookupTier::exact);
}

// As a user who may not write: what builds do with a team's file.
TEST(DbFile, AnswersFromAFolderThatCannotBeWritten) {
    const ScratchFolder folder;
    const std::string path = filled(folder);
    ::chmod(path.c_str(), 0444);
    ::chmod(folder.path().c_str(), 0555);
    const pid_t child = ::fork();
    if (child == 0) {
        if (::geteuid() == 0 && ::seteuid(65534) != 0) ::_exit(2);
        const std::string said = thrown_by([&] {
            const ScheduleDb db = ScheduleDb::open(path, {.read_only = true});
            if (db.explain(named_matmul(), context_of(), nullptr).tier != LookupTier::exact) ::_exit(3);
        });
        if (!said.empty()) ::_exit(4);
        const std::string refused = thrown_by([&] {
            ScheduleDb db = ScheduleDb::open(path);
            add_session(db, {});
        });
        ::_exit(refused.substr(0, 5) == "E0605" ? 0 : 5);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ::chmod(folder.path().c_str(), 0755);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(DbFile, ALockThatIsHeldTooLongIsNamed) {
    const ScratchFolder folder;
    const std::string path = filled(folder);
    const db::Connection other(path, SQLITE_OPEN_READWRITE, 1);
    ScheduleDb db = ScheduleDb::open(path, {.busy_seconds = 0.1});
    db::Transaction held(other);
    const std::string said = thrown_by([&] { add_session(db, {}); });
    EXPECT_EQ(said.substr(0, 5), "E0605");
    EXPECT_NE(said.find("locked"), std::string::npos) << said;
    // Builds read on.
    EXPECT_EQ(db.explain(named_matmul(), context_of(), nullptr).tier, LookupTier::exact);
    held.commit();
    add_session(db, {});
}

// The limit on the size of files stands for a full disk.
TEST(DbFile, AFullDiskLosesNothingThatWasThere) {
    const ScratchFolder folder;
    const std::string path = filled(folder);
    const pid_t child = ::fork();
    if (child == 0) {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{200000, 200000};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        const std::string said = thrown_by([&] {
            ScheduleDb db = ScheduleDb::open(path);
            for (int i = 0; i < 200; ++i) add_session(db, {.schedule = rows_of(100 + i)});
        });
        ::_exit(said.substr(0, 5) == "E0605" ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    ScheduleDb db = ScheduleDb::open(path);
    EXPECT_GE(db.sessions().size(), 20u);
    EXPECT_TRUE(db.check().empty());
    add_session(db, {});
}

TEST(DbFile, NetworkFileSystemsAreRefused) {
    EXPECT_EQ(db::network_file_system(0x6969), "NFS");
    EXPECT_EQ(db::network_file_system(0xff534d42), "SMB");
    // As a signed 32-bit number becomes a 64-bit one.
    EXPECT_EQ(db::network_file_system(static_cast<std::uint64_t>(static_cast<std::int32_t>(0xfe534d42))), "SMB");
    EXPECT_EQ(db::network_file_system(0xef53), "");
    EXPECT_EQ(db::network_file_system(0x01021994), "");
    const ScratchFolder folder;
    const std::string path = folder.file("a.db");
    const std::string said =
        thrown_by([&] { (void)db::open_file(path, {.create = true}, [](const std::string&) { return std::uint64_t{0x6969}; }); });
    EXPECT_EQ(said.substr(0, 5), "E0605");
    EXPECT_NE(said.find("NFS"), std::string::npos);
    EXPECT_NE(said.find("db export"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_NE(db::file_system_type(path), 0u);
}

TEST(DbFile, MigrationsRunOnceAndLeaveACopy) {
    const ScratchFolder folder;
    const std::string path = filled(folder);
    const std::vector<std::string> steps{"ALTER TABLE session ADD COLUMN remark TEXT", "UPDATE session SET remark = 'seen'"};
    {
        const db::Connection c(path, SQLITE_OPEN_READWRITE, 1);
        EXPECT_TRUE(db::migrate(c, steps));
        EXPECT_EQ(c.integer("PRAGMA user_version"), 3);
        EXPECT_EQ(c.integer("SELECT count(*) FROM session WHERE remark = 'seen'"), 20);
        EXPECT_FALSE(db::migrate(c, steps));
    }
    const ScheduleDb backup = ScheduleDb::open(path + ".backup-1", {.read_only = true});
    EXPECT_EQ(backup.sessions().size(), 20u);
    EXPECT_TRUE(backup.check().empty());
    // A step that fails leaves the file as it was.
    const db::Connection c(path, SQLITE_OPEN_READWRITE, 1);
    EXPECT_EQ(thrown_by([&] {
                  db::migrate(c, {steps[0], steps[1], "UPDATE session SET remark = 'x'; nonsense"});
              }).substr(0, 5),
              "E0601");
    EXPECT_EQ(c.integer("PRAGMA user_version"), 3);
    EXPECT_EQ(c.integer("SELECT count(*) FROM session WHERE remark = 'seen'"), 20);
}

TEST(DbFile, CheckFindsRowsThatWereChanged) {
    const ScratchFolder folder;
    const std::string path = filled(folder);
    {
        const db::Connection c(path, SQLITE_OPEN_READWRITE, 1);
        c.run("UPDATE measurement SET median = 1e-9 WHERE id = (SELECT min(id) FROM measurement)");
        c.run("UPDATE schedule SET content = '{\"tessera_schedule\":1,\"stages\":{}}' WHERE id = (SELECT max(id) FROM schedule)");
        c.run("UPDATE trial SET checked = 7 WHERE id = (SELECT min(id) FROM trial)");
        c.run("DELETE FROM decision WHERE id = (SELECT min(id) FROM decision)");
    }
    const auto problems = ScheduleDb::open(path, {.read_only = true}).check();
    EXPECT_EQ(problems.size(), 3u) << (problems.empty() ? "" : problems[0]);
}

TEST(Spread, IntervalsAreOrderStatistics) {
    std::vector<double> values;
    for (int i = 15; i > 0; --i) values.push_back(i);
    const db::Spread s = db::spread_of(values);
    EXPECT_EQ(s.least, 1);
    EXPECT_EQ(s.median, 8);
    EXPECT_EQ(s.quarter, 4.5);
    EXPECT_EQ(s.deviation, 4);
    // Ranks 4 and 12 hold the median of 15 values with 96.5 %.
    EXPECT_EQ(s.low, 4);
    EXPECT_EQ(s.high, 13);
    EXPECT_EQ(db::spread_of({2}).high, 2);
}

}  // namespace
}  // namespace tessera
