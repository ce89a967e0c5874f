#pragma once

#include <tessera/schedule_db.h>

#include "schedule_db/sqlite.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::db {

/// Of the schema that this version writes: SQLite's user_version.
inline constexpr std::int64_t schema_version = 1;
/// SQLite's application_id of schedule databases: "TSDB".
inline constexpr std::int64_t application_id = 0x54534442;

/// The name of a file system that locks of other machines do not reach, by statfs's f_type; "" for one that is local.
[[nodiscard]] std::string_view network_file_system(std::uint64_t type);
/// f_type of the file system that a path, or the folder where it would be, is on.
[[nodiscard]] std::uint64_t file_system_type(const std::string& path);

/// SQL that takes a database from version i + 1 to i + 2.
[[nodiscard]] const std::vector<std::string>& migrations();
/// Brings a file to version steps.size() + 1 after it was copied to <path>.backup-<version>. True when something was done.
bool migrate(const Connection& connection, const std::vector<std::string>& steps);

struct OpenedFile {
    Connection connection;
    std::string read_only_because;
};
/// Opens, makes or migrates a file as ScheduleDb::open() says; `type_of` is what tells file systems.
[[nodiscard]] OpenedFile open_file(const std::string& path, const DbOptions& options,
                                   const std::function<std::uint64_t(const std::string&)>& type_of = file_system_type);

}  // namespace tessera::db
