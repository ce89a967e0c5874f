#pragma once

#include "tuning_line.h"

#include <tessera/tune_journal.h>

#include <memory>
#include <string>
#include <vector>

namespace tessera_tune {

/// A fresh session: in the database of `line` where it names one, else in its journal.
[[nodiscard]] std::unique_ptr<tessera::tune::SessionLog> begin_session(const TuningLine& line,
                                                                       const tessera::Algorithm& algorithm,
                                                                       const std::string& header);
[[nodiscard]] std::unique_ptr<tessera::tune::SessionLog> resume_session(const TuningLine& line);
/// A session to look at: the journal `name`, or with a database the session whose id begins with it.
[[nodiscard]] tessera::tune::Journal read_session(const std::string& db, const std::string& name);

// Of databases; E0804 in a build without them.
[[nodiscard]] std::unique_ptr<tessera::tune::SessionLog> begin_in_database(const std::string& db,
                                                                           const tessera::Algorithm& algorithm,
                                                                           const std::string& header);
[[nodiscard]] std::unique_ptr<tessera::tune::SessionLog> resume_in_database(const std::string& db, const std::string& session);
[[nodiscard]] tessera::tune::Journal read_in_database(const std::string& db, const std::string& session);
/// Ids of all sessions.
[[nodiscard]] std::vector<std::string> sessions_in_database(const std::string& db);
/// What a session tries first of what sessions of relatives found.
constexpr std::size_t most_transferred = 8;
/// That many schedules of sessions of other shapes and machines (transferred_schedules()); none where there is no database yet.
[[nodiscard]] std::vector<tessera::Schedule> relatives_in_database(const std::string& db, const tessera::Algorithm& algorithm,
                                                                   const tessera::Target& target,
                                                                   const tessera::tune::SpaceOptions& options);
struct DatabaseModel {
    std::string id, json;  // "" where there is none
};
/// The cost model of an id, or the one that was trained on most.
[[nodiscard]] DatabaseModel model_in_database(const std::string& db, const std::string& id = "");
void store_model_in_database(const std::string& db, const std::string& json, const std::string& trained_on, double pairwise,
                             double best_of_top10, std::size_t trials, std::size_t groups);

}  // namespace tessera_tune
