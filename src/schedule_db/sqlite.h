#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::db {

class Statement;

/// A connection to one file. Every failure is an Error that names the file and says what to do.
class Connection {
public:
    /// `flags` of sqlite3_open_v2; waits `busy_seconds` for locks before anything else is set.
    Connection(std::string path, int flags, double busy_seconds);
    Connection(Connection&&) noexcept = default;

    void run(const std::string& sql) const;
    [[nodiscard]] Statement prepare(std::string_view sql) const;
    [[nodiscard]] std::int64_t integer(const std::string& sql) const;
    [[nodiscard]] std::int64_t changes() const { return sqlite3_changes64(handle_.get()); }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[noreturn]] void fail(int code, std::string_view doing) const;

private:
    struct Close {
        void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
    };
    std::string path_;
    std::unique_ptr<sqlite3, Close> handle_;
};

class Statement {
public:
    Statement(const Connection& connection, sqlite3_stmt* handle) : connection_(&connection), handle_(handle) {}

    Statement& bind(int place, std::string_view text);
    Statement& bind(int place, std::int64_t value);
    Statement& bind(int place, double value);
    Statement& bind_null(int place);
    /// False after the last row.
    bool step();
    /// Steps to the end, for statements without rows; then it can be bound again.
    void run();
    void reset();

    [[nodiscard]] bool is_null(int column) const { return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL; }
    [[nodiscard]] std::string text(int column) const;
    [[nodiscard]] std::int64_t integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }
    [[nodiscard]] double real(int column) const { return sqlite3_column_double(handle_.get(), column); }
    [[nodiscard]] std::optional<double> real_or_null(int column) const {
        return is_null(column) ? std::nullopt : std::optional<double>(real(column));
    }

private:
    struct Finish {
        void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
    };
    void require(int code) const;

    const Connection* connection_;
    std::unique_ptr<sqlite3_stmt, Finish> handle_;
};

/// BEGIN IMMEDIATE: a transaction that reads before it writes cannot be upgraded while another process writes. Rolls back unless
/// it is committed.
class Transaction {
public:
    explicit Transaction(const Connection& connection) : connection_(connection) { connection_.run("BEGIN IMMEDIATE"); }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();
    void commit();

private:
    const Connection& connection_;
    bool open_ = true;
};

}  // namespace tessera::db
