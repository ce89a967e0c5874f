// What keeps a database sound and small.
#include <tessera/schedule_db.h>

#include "schedule_db/db_state.h"

#include <fmt/format.h>

namespace tessera {

using nlohmann::json;
using namespace db;

namespace {

// Tables whose rows are there for others alone, and who refers to them.
struct Parent {
    std::string_view table;
    std::vector<std::pair<std::string_view, std::string_view>> users;  // table, column
};
const std::vector<Parent>& parents() {
    static const std::vector<Parent> all{
        {"shape", {{"trial", "shape"}}},
        {"machine", {{"trial", "machine"}}},
        {"toolchain", {{"trial", "toolchain"}}},
        {"target", {{"trial", "target"}, {"quarantine", "target"}}},
        {"schedule", {{"trial", "schedule"}, {"quarantine", "schedule"}}},
        {"kernel", {{"session", "kernel"}, {"quarantine", "kernel"}}},
    };
    return all;
}

void check_rows(const Connection& c, const FactTable& table, std::vector<std::string>& problems) {
    Statement s = c.prepare(fmt::format("SELECT id, {} FROM {}", column_list(table), table.name));
    while (s.step()) {
        std::string problem;
        try {
            const json row = read_fact(table, s, 1);
            problem = fact_problem(table, row);
            if (problem.empty() && fact_id(table, row) != s.text(0)) problem = "it is not what its id says";
            if (problem.empty() && table.name == "session")
                (void)parse_algorithm(row.at("header").at("algorithm").get<std::string>());
        } catch (const Exception& e) {
            problem = fmt::format("{}: {}", code_text(e.code()), e.message());
        } catch (const json::exception& e) {
            problem = e.what();
        }
        if (!problem.empty()) problems.push_back(fmt::format("{} {:.12}: {}", table.name, s.text(0), problem));
    }
}

}  // namespace

std::vector<std::string> ScheduleDb::check() const {
    const Connection& c = state_->connection;
    std::vector<std::string> problems;
    Statement integrity = c.prepare("PRAGMA integrity_check");
    while (integrity.step())
        if (integrity.text(0) != "ok") problems.push_back("the file: " + integrity.text(0));
    Statement references = c.prepare("PRAGMA foreign_key_check");
    while (references.step())
        problems.push_back(
            fmt::format("a row of {} refers to a row of {} that is not there", references.text(0), references.text(2)));
    if (problems.empty())
        for (const FactTable& t : fact_tables()) check_rows(c, t, problems);
    return problems;
}

DbCounts ScheduleDb::counts() const {
    DbCounts out;
    for (const FactTable& t : fact_tables())
        out[std::string(t.name)] =
            static_cast<std::size_t>(state_->connection.integer(fmt::format("SELECT count(*) FROM {}", t.name)));
    return out;
}

DbCounts ScheduleDb::collect(std::size_t keep) {
    state_->require_writable();
    const Connection& c = state_->connection;
    DbCounts out;
    const auto remove = [&](std::string_view table, const std::string& condition) {
        c.run(fmt::format("DELETE FROM {} WHERE {}", table, condition));
        if (c.changes() > 0) out[std::string(table)] += static_cast<std::size_t>(c.changes());
    };
    {
        Transaction transaction(c);
        c.run("CREATE TEMP TABLE kept(id TEXT PRIMARY KEY) WITHOUT ROWID");
        c.run("INSERT OR IGNORE INTO kept SELECT trial FROM decision");
        c.run("INSERT OR IGNORE INTO kept SELECT id FROM trial WHERE origin = 'default'");
        c.run("INSERT OR IGNORE INTO kept SELECT id FROM trial WHERE session NOT IN (SELECT session FROM decision)");
        c.run(fmt::format(
            "INSERT OR IGNORE INTO kept SELECT id FROM (SELECT t.id AS id, row_number() OVER (PARTITION BY t.session "
            "ORDER BY m.least, t.id) AS place FROM trial t JOIN measurement m ON m.trial = t.id AND m.kind = 'screen') "
            "WHERE place <= {}",
            keep));
        remove("measurement", "trial NOT IN (SELECT id FROM kept)");
        remove("trial", "id NOT IN (SELECT id FROM kept)");
        c.run("DROP TABLE kept");
        for (const Parent& p : parents()) {
            std::string condition;
            for (const auto& [table, column] : p.users)
                condition += fmt::format("{}id NOT IN (SELECT \"{}\" FROM {})", condition.empty() ? "" : " AND ", column, table);
            remove(p.table, condition);
        }
        transaction.commit();
    }
    c.run("VACUUM");
    return out;
}

}  // namespace tessera
