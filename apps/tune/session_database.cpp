#include "session_store.h"

#include <tessera/tune_database.h>

#include <filesystem>
#include <set>

namespace tessera_tune {

using namespace tessera;
using namespace tessera::tune;

std::unique_ptr<SessionLog> begin_in_database(const std::string& db, const Algorithm& algorithm, const std::string& header) {
    return std::make_unique<DatabaseLog>(DatabaseLog::begin(db, algorithm, header));
}
std::unique_ptr<SessionLog> resume_in_database(const std::string& db, const std::string& session) {
    return std::make_unique<DatabaseLog>(DatabaseLog::resume(db, session));
}
Journal read_in_database(const std::string& db, const std::string& session) {
    return journal_of(ScheduleDb::open(db, {.read_only = true}).session(session));
}
std::vector<std::string> sessions_in_database(const std::string& db) {
    std::vector<std::string> out;
    for (const SessionSummary& s : ScheduleDb::open(db, {.read_only = true}).sessions()) out.push_back(s.id);
    return out;
}

std::vector<Schedule> relatives_in_database(const std::string& db, const Algorithm& algorithm, const Target& target,
                                            const SpaceOptions& options) {
    if (!std::filesystem::exists(db)) return {};
    return transferred_schedules(ScheduleDb::open(db, {.read_only = true}), algorithm, target, options, most_transferred);
}

DatabaseModel model_in_database(const std::string& db, const std::string& id) {
    if (!std::filesystem::exists(db)) return {};
    const auto model = ScheduleDb::open(db, {.read_only = true}).model(id);
    return model ? DatabaseModel{model->id, model->json} : DatabaseModel{};
}

void store_model_in_database(const std::string& db, const std::string& json, const std::string& trained_on, double pairwise,
                             double best_of_top10, std::size_t trials, std::size_t groups) {
    ScheduleDb::open(db, {.create = true}).store_model({"", json, trained_on, pairwise, best_of_top10, trials, groups});
}

}  // namespace tessera_tune
