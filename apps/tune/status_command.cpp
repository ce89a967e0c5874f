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

int run_status(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
        const Journal journal = read_journal(path);
        std::optional<double> first, best;
        std::size_t failed = 0;
        for (const TrialRow& row : journal.rows) {
            failed += row.measured.verdict != Verdict::ok;
            if (row.seconds && row.origin == "default" && !first) first = row.seconds;
            if (row.seconds && (!best || *row.seconds < *best)) best = row.seconds;
        }
        fmt::print("{}: {}, {} trials, {} failed", path, nlohmann::json::parse(journal.header).at("generator").get<std::string>(),
                   journal.rows.size(), failed);
        if (best) fmt::print(", best {}", time_text(*best));
        if (best && first) fmt::print(" ({:.2f}x default)", *first / *best);
        fmt::print(", {}\n", journal.rounds.empty() ? "not decided" : "decided");
    }
    return 0;
}

}  // namespace

void add_status(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("status", "says how far sessions are");
    auto paths = std::make_shared<std::vector<std::string>>();
    sub->add_option("journals", *paths, "journals of sessions")->required();
    sub->callback([paths, &status] { status = run_status(*paths); });
}

}  // namespace tessera_tune
