#pragma once

#include "schedule_db/sqlite.h"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace tessera::db {

enum class ColumnType { text, integer, real, document, reference };

struct Column {
    std::string_view name;
    ColumnType type;
    bool nullable = false;
    std::string_view of = {};  // the table that a reference is into
};

/// A table of facts. A row's id is a hash of its columns, so that one fact is one row wherever it was found.
struct FactTable {
    std::string_view name;
    std::vector<Column> columns;  // beside id
    /// What is wrong with a row that has the right columns and types; "" when nothing is.
    std::string (*problem)(const nlohmann::json& row);
};

/// Every table, those that are referred to first.
[[nodiscard]] const std::vector<FactTable>& fact_tables();
/// Null for a name that is not one of them.
[[nodiscard]] const FactTable* find_table(std::string_view name);

/// CREATE statements of the tables, their indices and the view `best`.
[[nodiscard]] std::string schema_sql();

[[nodiscard]] std::string fact_id(const FactTable& table, const nlohmann::json& row);
/// What is wrong with a row that someone else may have written: columns, types, values, and the hashes that it states.
[[nodiscard]] std::string fact_problem(const FactTable& table, const nlohmann::json& row);
/// Adds a row unless it is there; returns its id. Rows are checked before.
std::string add_fact(const Connection& connection, const FactTable& table, const nlohmann::json& row);
/// The row that a statement stands on, `first` being the column of the table's first column.
[[nodiscard]] nlohmann::json read_fact(const FactTable& table, const Statement& statement, int first);
/// "hash, json": the columns of a table in their order, each behind `prefix`.
[[nodiscard]] std::string column_list(const FactTable& table, std::string_view prefix = "");

/// Of values in any order. The interval holds the median with 95 % confidence: order statistics, Conover 1999, section 3.2.
struct Spread {
    double least = 0, quarter = 0, median = 0, three_quarters = 0, deviation = 0, low = 0, high = 0;
};
[[nodiscard]] Spread spread_of(std::vector<double> values);
/// A row of the table measurement.
[[nodiscard]] nlohmann::json measurement_row(const std::string& trial, std::string_view kind, const std::vector<double>& values);

}  // namespace tessera::db
