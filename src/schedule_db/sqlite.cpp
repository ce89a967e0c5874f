#include "schedule_db/sqlite.h"

#include <tessera/error.h>

#include <fmt/format.h>

namespace tessera::db {

Connection::Connection(std::string path, int flags, double busy_seconds) : path_(std::move(path)) {
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(path_.c_str(), &handle, flags | SQLITE_OPEN_URI, nullptr);
    handle_.reset(handle);
    if (code != SQLITE_OK) fail(code, "opening it");
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, static_cast<int>(busy_seconds * 1000));
}

void Connection::fail(int code, std::string_view doing) const {
    const std::string said =
        handle_ ? fmt::format("SQLite says: {} ({}), while {}", sqlite3_errmsg(handle_.get()), code, doing) : std::string(doing);
    const auto file_error = [&](std::string_view what, std::string_view repair) {
        return Error(E0605_file, {}, fmt::format("the schedule database {} {}", path_, what),
                     {fix(std::string(repair)), note(said)});
    };
    switch (code & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED: throw file_error("is locked by another process", "wait until that process is done");
        case SQLITE_FULL: throw file_error("does not fit on its disk", "make room; what was recorded before is kept");
        case SQLITE_READONLY: throw file_error("is read-only", "change its permissions, or work on a copy");
        case SQLITE_CANTOPEN: throw file_error("cannot be opened", "check the path, or make it with tessera-tune db init");
        case SQLITE_IOERR: throw file_error("cannot be read or written", "check the disk and the space on it");
        case SQLITE_NOTADB:
        case SQLITE_CORRUPT:
            throw Error(E0601_syntax, {}, fmt::format("the schedule database {} is damaged, or no database", path_),
                        {fix("restore a copy, or import an export into an empty one: tessera-tune db import"), note(said)});
        default: break;
    }
    throw Error(E0601_syntax, {}, fmt::format("the schedule database {} refuses a row or a question", path_),
                {note(said), fix("tessera-tune db check says what is wrong with it")});
}

void Connection::run(const std::string& sql) const {
    const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) fail(code, sql.substr(0, 60));
}

Statement Connection::prepare(std::string_view sql) const {
    sqlite3_stmt* handle = nullptr;
    const int code = sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &handle, nullptr);
    if (code != SQLITE_OK) fail(code, sql.substr(0, 60));
    return {*this, handle};
}

std::int64_t Connection::integer(const std::string& sql) const {
    Statement s = prepare(sql);
    return s.step() ? s.integer(0) : 0;
}

void Statement::require(int code) const {
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        connection_->fail(code, std::string_view(sqlite3_sql(handle_.get())).substr(0, 60));
}
Statement& Statement::bind(int place, std::string_view text) {
    require(sqlite3_bind_text(handle_.get(), place, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT));
    return *this;
}
Statement& Statement::bind(int place, std::int64_t value) {
    require(sqlite3_bind_int64(handle_.get(), place, value));
    return *this;
}
Statement& Statement::bind(int place, double value) {
    require(sqlite3_bind_double(handle_.get(), place, value));
    return *this;
}
Statement& Statement::bind_null(int place) {
    require(sqlite3_bind_null(handle_.get(), place));
    return *this;
}
bool Statement::step() {
    const int code = sqlite3_step(handle_.get());
    require(code);
    return code == SQLITE_ROW;
}
void Statement::run() {
    while (step()) {
    }
    reset();
}
void Statement::reset() { sqlite3_reset(handle_.get()); }
std::string Statement::text(int column) const {
    const auto* bytes = sqlite3_column_text(handle_.get(), column);
    return bytes == nullptr ? ""
                            : std::string(reinterpret_cast<const char*>(bytes),
                                          static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column)));
}

Transaction::~Transaction() {
    if (!open_) return;
    try {
        connection_.run("ROLLBACK");
    } catch (const Exception&) {
        // SQLite has rolled back by itself, as it does on a full disk.
    }
}
void Transaction::commit() {
    connection_.run("COMMIT");
    open_ = false;
}

}  // namespace tessera::db
