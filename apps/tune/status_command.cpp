#include "session_store.h"
#include "subcommands.h"
#include "time_text.h"

#include <tessera/tune_journal.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <memory>

namespace tessera_tune {
namespace {

using namespace tessera;
using namespace tessera::tune;

int run_status(const std::string& db, std::vector<std::string> names) {
    if (names.empty() && !db.empty()) names = sessions_in_database(db);
    if (names.empty()) {
        fmt::print("no sessions\n");
        return 1;
    }
    for (const std::string& name : names) {
        const Journal journal = read_session(db, name);
        std::optional<double> first, best;
        std::size_t failed = 0;
        for (const TrialRow& row : journal.rows) {
            failed += row.measured.verdict != Verdict::ok;
            if (row.seconds && row.origin == "default" && !first) first = row.seconds;
            if (row.seconds && (!best || *row.seconds < *best)) best = row.seconds;
        }
        fmt::print("{}: {}, {} trials, {} failed", db.empty() ? name : name.substr(0, 16),
                   nlohmann::json::parse(journal.header).at("generator").get<std::string>(), journal.rows.size(), failed);
        if (best) fmt::print(", best {}", time_text(*best));
        if (best && first) fmt::print(" ({:.2f}x default)", *first / *best);
        fmt::print(", {}\n", journal.decision ? "decided" : "not decided");
    }
    return 0;
}

}  // namespace

void add_status(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("status", "says how far sessions are");
    struct Line {
        std::string db;
        std::vector<std::string> names;
    };
    auto line = std::make_shared<Line>();
    sub->add_option("sessions", line->names, "journals; with --db beginnings of ids, initially all of them");
    sub->add_option("--db", line->db, "a database with sessions");
    sub->callback([line, &status] { status = run_status(line->db, line->names); });
}

}  // namespace tessera_tune
