#include <gtest/gtest.h>

#include "compile/staging_folder.h"
#include "unit/compile/scratch_folder.h"
#include "unit/schedule_db/stored_sessions.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <random>

namespace tessera {
namespace {

using namespace test;

// Every file of an export: equal exports are equal databases.
std::map<std::string, std::string> exported(const ScheduleDb& db, const ScratchFolder& folder, const std::string& name) {
    db.export_to(folder.file(name));
    std::map<std::string, std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder.file(name)))
        out[entry.path().filename().string()] = read_text_file(entry.path());
    return out;
}

void add_at_random(ScheduleDb& db, std::mt19937& random, int count) {
    for (int i = 0; i < count; ++i) {
        SessionPlan plan;
        plan.algorithm = random() % 2 ? named_matmul() : named_matmul(32 << (random() % 3));
        plan.schedule = rows_of(2 + static_cast<std::int64_t>(random() % 6));
        plan.context = context_of(random() % 2 ? "a" : "b");
        plan.seconds = 1e-3 * static_cast<double>(1 + random() % 100);
        plan.started = static_cast<std::int64_t>(random() % 50);
        plan.decided = random() % 4 != 0;
        add_session(db, plan);
    }
    if (random() % 2) db.store_model({"", R"({"trees":)" + std::to_string(random() % 3) + "}", "x", 0.5, 0.5, 7, 1});
    if (random() % 3 == 0) db.quarantine(named_matmul(), rows_of(2), context_of(), "seen wrong");
}

TEST(Exchange, IsTheUnionOfSets) {
    std::mt19937 random(11);
    for (int round = 0; round < 3; ++round) {
        const ScratchFolder folder;
        const auto open = [&](const std::string& name) { return ScheduleDb::open(folder.file(name), {.create = true}); };
        ScheduleDb a = open("a.db"), b = open("b.db"), c = open("c.db");
        add_at_random(a, random, 5);
        // What both have.
        add_at_random(b, random, 2);
        a.merge(b);
        add_at_random(b, random, 3);
        add_at_random(c, random, 3);
        for (const char* name : {"a", "b", "c"})
            ScheduleDb::open(folder.file(std::string(name) + ".db")).export_to(folder.file(std::string(name) + ".rows"));

        ScheduleDb ab = open("ab.db"), ba = open("ba.db"), left = open("left.db"), right = open("right.db");
        ab.import_folder(folder.file("a.rows"));
        ab.import_folder(folder.file("b.rows"));
        ba.merge(b);
        ba.merge(a);
        const auto both = exported(ab, folder, "ab.rows");
        EXPECT_EQ(both, exported(ba, folder, "ba.rows"));
        for (const auto& [table, count] : ab.import_folder(folder.file("ba.rows"))) EXPECT_EQ(count, 0u) << table;
        EXPECT_EQ(both, exported(ab, folder, "again.rows"));
        // (a + b) + c = a + (b + c)
        ab.merge(c);
        right.merge(c);
        b.merge(right);
        left.merge(a);
        left.merge(b);
        EXPECT_EQ(exported(ab, folder, "abc.rows"), exported(left, folder, "left.rows"));
        EXPECT_TRUE(left.check().empty());
        // Equal contents answer equally.
        for (const std::int64_t size : {0, 32, 64, 128})
            EXPECT_EQ(ab.explain(named_matmul(size), context_of(), nullptr).hash,
                      left.explain(named_matmul(size), context_of(), nullptr).hash);
    }
}

TEST(Exchange, LinesAreSortedAndAUnionOfLinesIsTheUnion) {
    const ScratchFolder folder;
    std::mt19937 random(5);
    ScheduleDb a = ScheduleDb::open(folder.file("a.db"), {.create = true});
    ScheduleDb b = ScheduleDb::open(folder.file("b.db"), {.create = true});
    add_at_random(a, random, 6);
    add_at_random(b, random, 6);
    const auto of_a = exported(a, folder, "a.rows"), of_b = exported(b, folder, "b.rows");
    // What git's union merge makes: the lines of both, in any order, some twice.
    std::filesystem::create_directory(folder.file("both.rows"));
    for (const auto& files : {of_b, of_a})
        for (const auto& [name, text] : files) std::ofstream(folder.file("both.rows/" + name), std::ios::app) << text;
    ScheduleDb merged = ScheduleDb::open(folder.file("m.db"), {.create = true});
    merged.import_folder(folder.file("both.rows"));
    a.merge(b);
    EXPECT_EQ(exported(merged, folder, "m.rows"), exported(a, folder, "ab.rows"));
}

// The first line of a table in an export.
std::string line_of(const std::string& text, const std::string& table, const std::string& part = "") {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (line.find("\"table\":\"" + table + "\"") != std::string::npos && line.find(part) != std::string::npos) return line;
    return "";
}
std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(Exchange, HostileLinesAreRefusedAndNothingIsKept) {
    const ScratchFolder folder;
    std::string all;
    {
        ScheduleDb source = ScheduleDb::open(folder.file("source.db"), {.create = true});
        add_session(source, {.started = 1000});
        all = exported(source, folder, "rows").begin()->second;
    }
    const std::string trial = line_of(all, "trial", "\"ordinal\":0"), measurement = line_of(all, "measurement"),
                      schedule = line_of(all, "schedule"), session = line_of(all, "session"), kernel = line_of(all, "kernel");
    struct Row {
        const char* what;
        std::string line;
        const char* code;
    };
    std::string deep = "{\"table\":";
    for (int i = 0; i < 500; ++i) deep += "[";
    const std::vector<Row> rows{
        {"no JSON", "nonsense", "E0601"},
        {"no object", "[1,2]", "E0601"},
        {"deep", deep, "E06"},
        {"an unknown table", replaced(trial, "\"table\":\"trial\"", "\"table\":\"sqlite_schema\""), "E0601"},
        {"SQL in a name", replaced(trial, "\"table\":\"trial\"", "\"table\":\"trial; DROP TABLE trial\""), "E0601"},
        {"SQL in a value that its id does not know", replaced(trial, "\"origin\":\"", "\"origin\":\"'); DROP TABLE trial; --"),
         "E0601"},
        {"a better time", replaced(measurement, "\"median\":0.00", "\"median\":0.0000"), "E0601"},
        {"a status that was wrong", replaced(trial, "\"checked\":1", "\"checked\":2"), "E0601"},
        {"another column", replaced(trial, "\"row\":{", "\"row\":{\"rowid\":1,"), "E0601"},
        {"a key twice", replaced(trial, "\"row\":{", "\"row\":{\"origin\":\"default\","), "E0601"},
        {"a number as text", replaced(trial, "\"ordinal\":0", "\"ordinal\":\"0\""), "E0601"},
        {"another schedule", replaced(schedule, "\"content\":{", "\"content\":{\"kernels\":{},"), "E0601"},
        {"another algorithm", replaced(kernel, "tessera graph", "tessera giraffe"), "E0601"},
        {"another session", replaced(session, "\"started\":1000", "\"started\":1001"), "E0601"},
        {"only half", all.substr(0, all.size() / 2), "E06"},
        {"without what it refers to", trial, "E0601"},
    };
    for (const Row& row : rows) {
        ScheduleDb db = ScheduleDb::open(folder.file("target.db"), {.create = true});
        std::ofstream(folder.file("hostile.jsonl")) << line_of(all, "machine") << "\n" << row.line << "\n";
        std::string code;
        try {
            db.import_file(folder.file("hostile.jsonl"));
        } catch (const Exception& e) {
            code = code_text(e.code());
        }
        EXPECT_EQ(code.substr(0, std::string(row.code).size()), row.code) << row.what;
        for (const auto& [table, count] : db.counts()) EXPECT_EQ(count, 0u) << row.what << ": " << table;
    }
    ScheduleDb db = ScheduleDb::open(folder.file("target.db"));
    std::ofstream(folder.file("honest.jsonl")) << all;
    EXPECT_EQ(db.import_file(folder.file("honest.jsonl")).at("trial"), 2u);
    EXPECT_TRUE(db.check().empty());
}

}  // namespace
}  // namespace tessera
