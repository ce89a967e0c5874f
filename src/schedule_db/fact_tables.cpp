#include "schedule_db/fact_tables.h"

#include <tessera/error.h>
#include <tessera/schedule.h>

#include "base/hash.h"
#include "base/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace tessera::db {
namespace {

using nlohmann::json;
using enum ColumnType;

constexpr std::size_t longest_text = std::size_t{4} << 20;

std::string nothing_wrong(const json&) { return ""; }

std::string kernel_problem(const json& row) {
    return sha256(row["text"].get_ref<const std::string&>()) == row["hash"] ? "" : "its hash is not that of its text";
}
std::string schedule_problem(const json& row) {
    try {
        const Schedule s = parse_schedule(row["content"].dump());
        if (content_hash(s) != row["hash"]) return "its hash is not that of its content";
    } catch (const Exception& e) {
        return fmt::format("{}: {}", code_text(e.code()), e.message());
    }
    return "";
}
std::string shape_problem(const json& row) {
    if (!row["dims"].is_object()) return "dims is no object";
    for (const auto& [name, dim] : row["dims"].items())
        if (!dim.is_object() || !dim.contains("fixed") || !dim["fixed"].is_boolean() ||
            (dim.contains("extent") && (!dim["extent"].is_number_integer() || dim["extent"] < 0)))
            return fmt::format("the extent of {} is malformed", name);
    return "";
}
std::string trial_problem(const json& row) {
    static const std::set<std::string> known{"ok", "invalid", "compile_error", "crash", "timeout", "out_of_memory", "wrong"};
    if (!known.count(row["status"])) return "its status is not known";
    if (row["ordinal"] < 0 || row["threads"] < 0) return "a number is negative";
    return "";
}
std::string measurement_problem(const json& row) {
    if (row["kind"] != "screen" && row["kind"] != "rounds") return "its kind is not known";
    std::vector<double> raw;
    for (const json& v : row["raw"]) {
        if (!v.is_number() || !(v.get<double>() > 0)) return "a time is not positive";
        raw.push_back(v);
    }
    if (raw.empty()) return "it has no times";
    return measurement_row(row["trial"], row["kind"].get<std::string>(), raw) == row
               ? ""
               : "its statistics are not those of its times";
}

// Integers that fit a float column are read back as floats.
json as_stored(const Column& column, const json& value) {
    if (column.type == real && value.is_number()) return value.get<double>();
    return value;
}

bool has_type(const Column& column, const json& value) {
    if (value.is_null()) return column.nullable;
    switch (column.type) {
        case text: return value.is_string() && value.get_ref<const std::string&>().size() <= longest_text;
        case reference: return value.is_string() && value.get_ref<const std::string&>().size() == 64;
        case integer: return value.is_number_integer();
        case real: return value.is_number() && std::isfinite(value.get<double>());
        case document: return value.is_structured();
    }
    return false;
}

std::string_view sql_type(ColumnType type) { return type == integer ? "INTEGER" : type == real ? "REAL" : "TEXT"; }

}  // namespace

const std::vector<FactTable>& fact_tables() {
    static const std::vector<FactTable> tables{
        {"machine", {{"facts", document}, {"micro_architecture", text}}, nothing_wrong},
        {"toolchain", {{"facts", document}, {"codegen_abi", integer}}, nothing_wrong},
        {"target", {{"features", text}}, nothing_wrong},
        {"kernel", {{"hash", text}, {"text", text}}, kernel_problem},
        {"shape", {{"dims", document}}, shape_problem},
        {"schedule", {{"hash", text}, {"content", document}}, schedule_problem},
        {"session",
         {{"kernel", reference, false, "kernel"}, {"header", document}, {"started", integer}, {"token", text}},
         nothing_wrong},
        {"trial",
         {{"session", reference, false, "session"},
          {"ordinal", integer},
          {"shape", reference, false, "shape"},
          {"machine", reference, false, "machine"},
          {"toolchain", reference, false, "toolchain"},
          {"target", reference, false, "target"},
          {"schedule", reference, false, "schedule"},
          {"threads", integer},
          {"cold", integer},
          {"origin", text},
          {"status", text},
          {"checked", integer},
          {"error", text, true},
          {"predicted", real, true},
          {"compile_seconds", real},
          {"loop_tree", text, true},
          {"object_code", text, true}},
         trial_problem},
        {"measurement",
         {{"trial", reference, false, "trial"},
          {"kind", text},
          {"n", integer},
          {"least", real},
          {"quarter", real},
          {"median", real},
          {"three_quarters", real},
          {"deviation", real},
          {"low", real},
          {"high", real},
          {"raw", document}},
         measurement_problem},
        {"decision",
         {{"session", reference, false, "session"},
          {"trial", reference, false, "trial"},
          {"low", real, true},
          {"median", real, true},
          {"high", real, true}},
         nothing_wrong},
        {"cost_model",
         {{"content", document},
          {"trained_on", text},
          {"trials", integer},
          {"kernels", integer},
          {"pairwise", real},
          {"best_of_top10", real}},
         nothing_wrong},
        {"quarantine",
         {{"kernel", reference, false, "kernel"},
          {"schedule", reference, false, "schedule"},
          {"target", reference, false, "target"},
          {"reason", text}},
         nothing_wrong},
    };
    return tables;
}

const FactTable* find_table(std::string_view name) {
    for (const FactTable& t : fact_tables())
        if (t.name == name) return &t;
    return nullptr;
}

std::string column_list(const FactTable& table, std::string_view prefix) {
    std::string out;
    for (const Column& c : table.columns) out += fmt::format("{}{}\"{}\"", out.empty() ? "" : ", ", prefix, c.name);
    return out;
}

std::string schema_sql() {
    std::string out;
    for (const FactTable& t : fact_tables()) {
        std::string columns = "id TEXT PRIMARY KEY NOT NULL";
        for (const Column& c : t.columns) {
            columns += fmt::format(", \"{}\" {}{}", c.name, sql_type(c.type), c.nullable ? "" : " NOT NULL");
            if (c.type == reference) columns += fmt::format(" REFERENCES {}(id) DEFERRABLE INITIALLY DEFERRED", c.of);
        }
        out += fmt::format("CREATE TABLE {}({}) STRICT, WITHOUT ROWID;\n", t.name, columns);
        for (const Column& c : t.columns)
            if (c.type == reference) out += fmt::format("CREATE INDEX {0}_of_{1} ON {0}(\"{1}\");\n", t.name, c.name);
    }
    // Only what was checked and ran may win, and only as long as nothing speaks against it.
    return out + R"(CREATE INDEX kernel_by_hash ON kernel(hash);
CREATE INDEX schedule_by_hash ON schedule(hash);
CREATE VIEW best AS
SELECT k.hash AS kernel, h.dims AS shape, m.facts AS machine, m.micro_architecture AS micro_architecture, c.facts AS toolchain,
       c.codegen_abi AS codegen_abi, g.features AS target, t.threads AS threads, t.cold AS cold, s.id AS session, s.header AS header,
       s.started AS started, p.hash AS schedule_hash, p.content AS schedule, r.median AS seconds, r.low AS seconds_low,
       r.high AS seconds_high, d.median AS speedup, d.id AS decision, t.origin AS origin
FROM kernel k CROSS JOIN session s ON s.kernel = k.id CROSS JOIN decision d ON d.session = s.id CROSS JOIN trial t ON t.id = d.trial
JOIN shape h ON h.id = t.shape JOIN machine m ON m.id = t.machine JOIN toolchain c ON c.id = t.toolchain
JOIN target g ON g.id = t.target JOIN schedule p ON p.id = t.schedule
JOIN measurement r ON r.trial = t.id AND r.kind = 'rounds'
WHERE t.status = 'ok' AND t.checked = 1 AND t.session = s.id AND NOT EXISTS (SELECT 1 FROM quarantine q
    WHERE q.schedule = t.schedule AND q.kernel = k.id AND q.target = t.target);
)";
}

std::string fact_id(const FactTable& table, const json& row) {
    nlohmann::json values = nlohmann::json::array({table.name});
    for (const Column& c : table.columns) values.push_back(row.at(std::string(c.name)));
    return sha256(values.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string fact_problem(const FactTable& table, const nlohmann::json& row) {
    if (row.size() != table.columns.size()) return fmt::format("a row of {} has other columns", table.name);
    for (const Column& c : table.columns) {
        const auto found = row.find(std::string(c.name));
        if (found == row.end()) return fmt::format("column {} of {} is missing", c.name, table.name);
        if (!has_type(c, *found)) return fmt::format("column {} of {} has the wrong type", c.name, table.name);
    }
    return table.problem(row);
}

std::string add_fact(const Connection& connection, const FactTable& table, const nlohmann::json& given) {
    nlohmann::json row = given;
    std::string places = "?";
    for (const Column& c : table.columns) {
        nlohmann::json& value = row.at(std::string(c.name));
        value = as_stored(c, value);
        places += ", ?";
    }
    const std::string id = fact_id(table, row);
    Statement s =
        connection.prepare(fmt::format("INSERT OR IGNORE INTO {}(id, {}) VALUES({})", table.name, column_list(table), places));
    s.bind(1, id);
    int place = 2;
    for (const Column& c : table.columns) {
        const nlohmann::json& value = row.at(std::string(c.name));
        if (value.is_null())
            s.bind_null(place);
        else if (c.type == integer)
            s.bind(place, value.get<std::int64_t>());
        else if (c.type == real)
            s.bind(place, value.get<double>());
        else if (c.type == document)
            s.bind(place, value.dump());
        else
            s.bind(place, value.get_ref<const std::string&>());
        ++place;
    }
    s.run();
    return id;
}

nlohmann::json read_fact(const FactTable& table, const Statement& statement, int first) {
    nlohmann::json row = nlohmann::json::object();
    for (const Column& c : table.columns) {
        nlohmann::json& value = row[std::string(c.name)];
        if (statement.is_null(first))
            value = nullptr;
        else if (c.type == integer)
            value = statement.integer(first);
        else if (c.type == real)
            value = statement.real(first);
        else if (c.type == document)
            value = parse_json(statement.text(first), "a row");
        else
            value = statement.text(first);
        ++first;
    }
    return row;
}

Spread spread_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t n = values.size();
    const auto at = [&](double share) {
        const double place = share * static_cast<double>(n - 1);
        const auto below = static_cast<std::size_t>(place);
        const double part = place - static_cast<double>(below);
        return values[below] + part * (values[std::min(below + 1, n - 1)] - values[below]);
    };
    Spread out{values[0], at(0.25), at(0.5), at(0.75), 0, 0, 0};
    std::vector<double> distances;
    for (const double v : values) distances.push_back(std::abs(v - out.median));
    std::sort(distances.begin(), distances.end());
    values.swap(distances);
    out.deviation = at(0.5);
    values.swap(distances);
    const double half = 1.96 * std::sqrt(static_cast<double>(n)) / 2, middle = static_cast<double>(n) / 2;
    out.low = values[static_cast<std::size_t>(std::max(std::floor(middle - half), 0.0))];
    out.high = values[std::min(static_cast<std::size_t>(std::ceil(middle + half)), n - 1)];
    return out;
}

nlohmann::json measurement_row(const std::string& trial, std::string_view kind, const std::vector<double>& values) {
    const Spread s = spread_of(values);
    return {{"trial", trial},
            {"kind", kind},
            {"n", values.size()},
            {"least", s.least},
            {"quarter", s.quarter},
            {"median", s.median},
            {"three_quarters", s.three_quarters},
            {"deviation", s.deviation},
            {"low", s.low},
            {"high", s.high},
            {"raw", values}};
}

}  // namespace tessera::db
