#pragma once

#include <tessera/schedule_db.h>

#include "schedule_db/fact_tables.h"
#include "schedule_db/sqlite.h"

#include <string>

namespace tessera {

struct ScheduleDb::State {
    std::string path;
    db::Connection connection;
    std::string read_only_because;

    /// Throws E0603 for a newer file and E0605 for one that is only read.
    void require_writable() const;
};

}  // namespace tessera

namespace tessera::db {

/// Row of a table by its id. Throws E0601 when there is none.
[[nodiscard]] nlohmann::json fact(const Connection& connection, std::string_view table, const std::string& id);

}  // namespace tessera::db
