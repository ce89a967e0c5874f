// Builds that look schedules up: generators and compile() with a database or a lock.
#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/generator.h>
#include <tessera/schedule_default.h>

#include "base/json_text.h"
#include "compile/staging_folder.h"
#include "unit/compile/scratch_folder.h"
#include "unit/schedule_db/stored_sessions.h"

#include <fstream>

namespace tessera {
namespace {

using namespace test;

std::vector<Generator> matmul_generators() {
    const auto build = [](const Params&) { return named_matmul(); };
    return {generator("plain", "", {}, build),
            generator("own", "", {}, build, [](const Algorithm&, const Target&) { return std::optional<Schedule>(rows_of(3)); })};
}

struct Outcome {
    int status;
    std::string err;
};

Outcome run(std::vector<std::string> words) {
    std::vector<const char*> argv{"generator"};
    for (const std::string& word : words) argv.push_back(word.c_str());
    testing::internal::CaptureStderr();
    const int status = generator_main(static_cast<int>(argv.size()), argv.data(), matmul_generators());
    return {status, testing::internal::GetCapturedStderr()};
}

nlohmann::json schedule_of(const ScratchFolder& folder, const std::string& library) {
    return parse_json(read_text_file(folder.file(library + ".json")), "metadata")["functions"][0]["schedule"];
}

std::string database(const ScratchFolder& folder) {
    const std::string path = folder.file("team.db");
    ScheduleDb db = ScheduleDb::open(path, {.create = true});
    add_session(db, {.algorithm = named_matmul(64), .schedule = rows_of(16), .context = build_context(Target::host())});
    return path;
}

TEST(ScheduleLookup, LibrariesSayWhichTierAnswered) {
    const ScratchFolder folder;
    const std::string db = database(folder);
    const std::vector<std::string> at64{"--dim", "m=64", "--dim", "n=64", "--dim", "k=64"};
    const auto build = [&](std::vector<std::string> words, bool fixed) {
        words.insert(words.begin(), {"-o", folder.path(), "-n", "lib", "--schedule-db", db});
        if (fixed) words.insert(words.end(), at64.begin(), at64.end());
        return run(words);
    };
    Outcome r = build({"-g", "plain", "--require", "exact"}, true);
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(schedule_of(folder, "lib")["origin"], "database team.db, exact");
    EXPECT_EQ(schedule_of(folder, "lib")["tier"], "exact");
    EXPECT_EQ(schedule_of(folder, "lib")["content"]["stages"]["C"]["loops"][0]["tile"], 16);
    // Header, metadata and database name it by one hash.
    const std::string hash = ScheduleDb::open(db).best().at(0).schedule_hash;
    EXPECT_EQ(schedule_of(folder, "lib")["hash"], hash);
    EXPECT_NE(read_text_file(folder.file("lib.h")).find(", exact, " + hash.substr(0, 12)), std::string::npos);
    const auto uses = ScheduleDb::open(db).uses(hash.substr(0, 8));
    ASSERT_EQ(uses.size(), 1u);
    EXPECT_TRUE(uses[0].won);
    EXPECT_EQ(uses[0].hash, hash);
    EXPECT_EQ(uses[0].seconds, 1e-3);
    EXPECT_TRUE(ScheduleDb::open(db).uses("0000").empty());
    EXPECT_NE(read_text_file(folder.file("lib.h")).find("Schedule: database team.db, exact"), std::string::npos);
    EXPECT_NE(schedule_of(folder, "lib")["explanation"].get<std::string>().find("2.00x the default"), std::string::npos);

    r = build({"-g", "plain", "--require", "nearest"}, false);
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(schedule_of(folder, "lib")["tier"], "shape");
    r = build({"-g", "plain", "--require", "exact"}, false);
    EXPECT_EQ(r.status, 1);
    EXPECT_NE(r.err.find("E0805"), std::string::npos);
    EXPECT_NE(r.err.find("no exact schedule of plain"), std::string::npos) << r.err;

    // Too far: the generator's own schedule, or the default one.
    r = build({"-g", "own", "--dim", "m=64000"}, false);
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(schedule_of(folder, "lib")["origin"], "generator");
    r = build({"-g", "plain", "--dim", "m=64000"}, false);
    ASSERT_EQ(r.status, 0) << r.err;
    EXPECT_EQ(schedule_of(folder, "lib")["origin"], "default");
    EXPECT_EQ(schedule_of(folder, "lib")["tier"], "none");
    EXPECT_NE(schedule_of(folder, "lib")["explanation"].get<std::string>().find("nothing decided"), std::string::npos);
    r = build({"-g", "plain", "--dim", "m=64000", "--require", "nearest"}, false);
    EXPECT_EQ(r.status, 1);
    EXPECT_EQ(run({"-g", "plain", "-o", folder.path(), "--schedule-db", folder.file("none.db")}).status, 1);
    EXPECT_EQ(run({"-g", "plain", "-o", folder.path(), "--require", "nearly"}).status, 1);
}

TEST(ScheduleLookup, LocksPin) {
    const ScratchFolder folder;
    const std::string db = database(folder), lock_path = folder.file("tessera.lock");
    ScheduleLock lock;
    {
        const auto source = open_schedule_source(db);
        lock.pin(named_matmul(64), Target::host(), source->find(named_matmul(64), Target::host()));
    }
    EXPECT_EQ(lock.size(), 1u);
    std::ofstream(lock_path) << lock.text();
    EXPECT_EQ(ScheduleLock::read(lock_path).text(), lock.text());
    // The database learns something better; locked builds do not care.
    {
        ScheduleDb more = ScheduleDb::open(db);
        add_session(
            more,
            {.algorithm = named_matmul(64), .schedule = rows_of(8), .context = build_context(Target::host()), .seconds = 1e-6});
    }
    const std::vector<std::string> at64{"-g",    "plain", "-o",    folder.path(), "-n",    "lib",
                                        "--dim", "m=64",  "--dim", "n=64",        "--dim", "k=64"};
    const auto build = [&](std::vector<std::string> words) {
        words.insert(words.begin(), at64.begin(), at64.end());
        return run(words);
    };
    ASSERT_EQ(build({"--schedule-db", db}).status, 0);
    EXPECT_EQ(schedule_of(folder, "lib")["content"]["stages"]["C"]["loops"][0]["tile"], 8);
    const Outcome locked = build({"--schedule-db", db, "--lock", lock_path, "--frozen"});
    ASSERT_EQ(locked.status, 0) << locked.err;
    EXPECT_EQ(schedule_of(folder, "lib")["content"]["stages"]["C"]["loops"][0]["tile"], 16);
    EXPECT_EQ(schedule_of(folder, "lib")["origin"], "lock tessera.lock, exact");
    // What is not pinned.
    const Outcome open = run({"-g", "plain", "-o", folder.path(), "--lock", lock_path, "--frozen"});
    EXPECT_EQ(open.status, 1);
    EXPECT_NE(open.err.find("does not pin plain"), std::string::npos) << open.err;
    EXPECT_EQ(run({"-g", "plain", "-o", folder.path(), "--lock", lock_path}).status, 0);
    EXPECT_EQ(build({"--frozen"}).status, 1);
    // Changed by hand.
    std::string text = lock.text();
    text.replace(text.find("\"tile\": 16"), 10, "\"tile\": 32");
    std::ofstream(lock_path) << text;
    const Outcome changed = build({"--lock", lock_path});
    EXPECT_EQ(changed.status, 1);
    EXPECT_NE(changed.err.find("E0601"), std::string::npos) << changed.err;
    for (const char* bad :
         {"{}", "[1]", "{\"tessera_lock\":1}", "{\"tessera_lock\":1,\"schedules\":[7]}", "nonsense", "{\"tessera_lock\":9}"}) {
        std::ofstream(lock_path) << bad;
        EXPECT_EQ(build({"--lock", lock_path}).status, 1) << bad;
    }
}

TEST(ScheduleLookup, CompileTakesASource) {
    const ScratchFolder folder;
    const auto source = open_schedule_source(database(folder));
    const Algorithm a = named_matmul(64);
    const Module tuned = compile(a, *source, Target::host(), {.require = Require::exact});
    EXPECT_EQ(tuned.schedule().stages.at("C").loops->at(0).tile, 16);
    EXPECT_NE(tuned.schedule_origin().find("exact"), std::string::npos);
    const Buffer<float> left{64, 64}, right{64, 64}, out{64, 64};
    left.for_each([](float& v) { v = 1; });
    right.for_each([](float& v) { v = 2; });
    tuned({{"A", left}, {"B", right}}, {{"C", out}});
    EXPECT_EQ(out(5, 7), 128);
    Dim i("i");
    Input in("in", f32, {i});
    Func f("f");
    f(i) = in(i) + 1.0f;
    const Algorithm other({f}, {in});
    EXPECT_NE(compile(other, *source).schedule_origin().find("nothing decided"), std::string::npos);
    EXPECT_THROW((void)compile(other, *source, Target::host(), {.require = Require::nearest}), Error);
    EXPECT_EQ(compile(other, default_schedule(other, Target::host())).schedule_origin(), "");
}

}  // namespace
}  // namespace tessera
