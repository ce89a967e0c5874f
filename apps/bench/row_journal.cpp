#include "row_journal.h"

#include <fstream>
#include <limits>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace bench {
namespace {

double number_of(const nlohmann::json& value) {
    return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

}  // namespace

nlohmann::ordered_json row_fields(const Row& row) {
    return {{"case", row.case_name},
            {"rival", row.rival},
            {"threads", row.threads},
            {"ratio", row.ratio},
            {"low", row.low},
            {"high", row.high},
            {"checked", row.checked},
            {"note", row.note},
            {"ours_ms", row.our_milliseconds},
            {"rival_ms", row.rival_milliseconds},
            {"roofline", row.roofline}};
}

std::string row_line(const Row& row) { return row_fields(row).dump(); }

Row parse_row_line(const std::string& line) {
    try {
        const auto json = nlohmann::json::parse(line);
        return {.case_name = json.at("case"),
                .rival = json.at("rival"),
                .threads = json.at("threads"),
                .ratio = number_of(json.at("ratio")),
                .low = number_of(json.at("low")),
                .high = number_of(json.at("high")),
                .checked = json.at("checked"),
                .note = json.at("note"),
                .our_milliseconds = number_of(json.at("ours_ms")),
                .rival_milliseconds = number_of(json.at("rival_ms")),
                .roofline = number_of(json.at("roofline"))};
    } catch (const nlohmann::json::exception& e) {
        throw std::invalid_argument(fmt::format("no row: {}", e.what()));
    }
}

Journal::Journal(std::string file) : file_(std::move(file)) {
    if (file_.empty()) return;
    std::ifstream in(file_);
    std::vector<Row> open;
    for (std::string line; std::getline(in, line);) {
        try {
            if (const auto json = nlohmann::json::parse(line); json.contains("finished")) {
                finished_.emplace_back(json.at("finished").get<std::string>(), std::move(open));
                open.clear();
                continue;
            }
            open.push_back(parse_row_line(line));
        } catch (const std::exception&) {
            open.clear();  // a line that was cut off: what follows begins a case anew
        }
    }
}

std::vector<Row> Journal::rows_of(const std::string& case_name) const {
    for (const auto& [name, rows] : finished_)
        if (name == case_name) return rows;
    return {};
}

void Journal::add(const std::string& case_name, const std::vector<Row>& rows) {
    if (file_.empty()) return;
    std::ofstream out(file_, std::ios::app);
    out << "\n";  // ends a line that was cut off
    for (const Row& row : rows) out << row_line(row) << "\n";
    out << nlohmann::json{{"finished", case_name}}.dump() << "\n";
    if (!out.flush()) throw std::runtime_error(fmt::format("cannot write {}", file_));
    finished_.emplace_back(case_name, rows);
}

}  // namespace bench
