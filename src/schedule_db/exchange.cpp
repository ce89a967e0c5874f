// Sharing: a database as sorted lines of JSON, and the union of two databases.
#include <tessera/schedule_db.h>

#include "base/json_text.h"
#include "schedule_db/db_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

namespace tessera {

using nlohmann::json;
using namespace db;

namespace {

namespace fs = std::filesystem;

using Lines = std::set<std::string>;

std::string line_of(const FactTable& table, const std::string& id, const json& row) {
    return json{{"table", table.name}, {"id", id}, {"row", row}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

// The rows of a table whose `column` is one of `keys`; returns their ids.
std::set<std::string> add_rows(const Connection& c, std::string_view name, std::string_view column,
                               const std::set<std::string>& keys, Lines& out, std::vector<json>* rows = nullptr) {
    const FactTable& t = *find_table(name);
    Statement s = c.prepare(fmt::format("SELECT id, {} FROM {} WHERE \"{}\"=?", column_list(t), name, column));
    std::set<std::string> ids;
    for (const std::string& key : keys) {
        s.bind(1, key);
        while (s.step()) {
            json row = read_fact(t, s, 1);
            out.insert(line_of(t, s.text(0), row));
            ids.insert(s.text(0));
            if (rows != nullptr) rows->push_back(std::move(row));
        }
        s.reset();
    }
    return ids;
}

// Every row that is about a kernel, and what those refer to.
Lines kernel_lines(const Connection& c, const std::string& kernel) {
    Lines out;
    const auto sessions = add_rows(c, "session", "kernel", {kernel}, out);
    std::vector<json> referring;
    const auto trials = add_rows(c, "trial", "session", sessions, out, &referring);
    add_rows(c, "measurement", "trial", trials, out);
    add_rows(c, "decision", "session", sessions, out);
    add_rows(c, "quarantine", "kernel", {kernel}, out, &referring);
    add_rows(c, "kernel", "id", {kernel}, out);
    for (const std::string_view parent : {"shape", "machine", "toolchain", "target", "schedule"}) {
        std::set<std::string> ids;
        for (const json& row : referring)
            if (const auto found = row.find(std::string(parent)); found != row.end()) ids.insert(*found);
        add_rows(c, parent, "id", ids, out);
    }
    return out;
}

void write_lines(const fs::path& path, const Lines& lines) {
    const fs::path aside = path.string() + ".part";
    {
        std::ofstream file(aside, std::ios::binary);
        for (const std::string& line : lines) file << line << '\n';
        if (!file.flush())
            throw Error(E0605_file, {}, fmt::format("{} cannot be written", aside.string()),
                        {fix("make room, or name another folder")});
    }
    fs::rename(aside, path);
}

// Adds rows inside one transaction, each checked as if an enemy had written it.
class Importer {
public:
    explicit Importer(const Connection& c) : c_(c), transaction_(c) {}

    void add(const FactTable& table, const std::string& id, const json& row, const std::string& where) {
        if (const std::string problem = fact_problem(table, row); !problem.empty()) refuse(where, problem);
        if (fact_id(table, row) != id) refuse(where, fmt::format("a row of {} is not what its id says", table.name));
        const std::int64_t before = c_.integer("SELECT total_changes()");
        add_fact(c_, table, row);
        const bool fresh = c_.integer("SELECT total_changes()") > before;
        counts_[std::string(table.name)] += fresh ? 1 : 0;
        if (fresh && table.name == "session") sessions_.emplace_back(row, where);
    }

    void add_line(const std::string& line, const std::string& where) {
        const json value = parse_json(line, where);
        if (!value.is_object() || value.size() != 3 || !value.contains("table") || !value["table"].is_string() ||
            !value.contains("id") || !value["id"].is_string() || !value.contains("row") || !value["row"].is_object())
            refuse(where, "this is no fact: it has not exactly a table, an id and a row");
        const FactTable* table = find_table(value["table"].get_ref<const std::string&>());
        if (table == nullptr)
            refuse(where, fmt::format("there is no table {:.40}", value["table"].get_ref<const std::string&>()));
        add(*table, value["id"], value["row"], where);
    }

    DbCounts commit() {
        for (const auto& [row, where] : sessions_) require_own_kernel(row, where);
        Statement s = c_.prepare("PRAGMA foreign_key_check");
        if (s.step())
            refuse("the import", fmt::format("a row of {} refers to a row of {} that is not there", s.text(0), s.text(2)));
        transaction_.commit();
        return counts_;
    }

private:
    [[noreturn]] static void refuse(const std::string& where, const std::string& what) {
        throw Error(E0601_syntax, {}, fmt::format("{}: {}", where, what),
                    {note("nothing was imported"), fix("import what tessera-tune db export wrote")});
    }
    void require_own_kernel(const json& row, const std::string& where) const {
        const json& header = row.at("header");
        if (!header.is_object() || !header.contains("algorithm") || !header["algorithm"].is_string())
            refuse(where, "a session has no algorithm");
        std::string hash;
        try {
            hash = kernel_hash(parse_algorithm(header["algorithm"].get_ref<const std::string&>()));
        } catch (const Exception& e) {
            refuse(where, fmt::format("the algorithm of a session does not parse: {}", e.message()));
        }
        Statement s = c_.prepare("SELECT hash FROM kernel WHERE id=?");
        s.bind(1, row.at("kernel").get_ref<const std::string&>());
        if (!s.step() || s.text(0) != hash) refuse(where, "the algorithm of a session is not its kernel");
    }

    const Connection& c_;
    Transaction transaction_;
    DbCounts counts_;
    std::vector<std::pair<json, std::string>> sessions_;
};

void import_into(Importer& importer, const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Error(E0605_file, {}, fmt::format("{} cannot be read", path), {fix("check the path")});
    std::string line;
    for (std::size_t number = 1; std::getline(file, line); ++number) {
        if (line.empty() || line == "\r") continue;
        importer.add_line(line, fmt::format("{}:{}", path, number));
    }
}

}  // namespace

std::size_t ScheduleDb::export_to(const std::string& folder) const {
    std::error_code failed;
    fs::create_directories(folder, failed);
    if (failed)
        throw Error(E0605_file, {}, fmt::format("the folder {} cannot be made: {}", folder, failed.message()),
                    {fix("name another one")});
    const Connection& c = state_->connection;
    std::size_t files = 0;
    Statement kernels = c.prepare("SELECT id, hash FROM kernel ORDER BY id");
    for (; kernels.step(); ++files)
        write_lines(fs::path(folder) / (kernels.text(1).substr(0, 16) + ".jsonl"), kernel_lines(c, kernels.text(0)));
    Lines models;
    const FactTable& table = *find_table("cost_model");
    Statement s = c.prepare(fmt::format("SELECT id, {} FROM cost_model", column_list(table)));
    while (s.step()) models.insert(line_of(table, s.text(0), read_fact(table, s, 1)));
    if (models.empty()) return files;
    write_lines(fs::path(folder) / "models.jsonl", models);
    return files + 1;
}

DbCounts ScheduleDb::import_file(const std::string& path) {
    state_->require_writable();
    Importer importer(state_->connection);
    import_into(importer, path);
    return importer.commit();
}

DbCounts ScheduleDb::import_folder(const std::string& folder) {
    state_->require_writable();
    std::vector<std::string> files;
    std::error_code failed;
    for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed))
        if (at->path().extension() == ".jsonl") files.push_back(at->path().string());
    if (failed || files.empty())
        throw Error(E0605_file, {}, fmt::format("{} has no .jsonl files", folder),
                    {fix("name a folder that tessera-tune db export wrote")});
    std::sort(files.begin(), files.end());
    Importer importer(state_->connection);
    for (const std::string& file : files) import_into(importer, file);
    return importer.commit();
}

DbCounts ScheduleDb::merge(const ScheduleDb& other) {
    state_->require_writable();
    Importer importer(state_->connection);
    for (const FactTable& t : fact_tables()) {
        Statement s = other.state_->connection.prepare(fmt::format("SELECT id, {} FROM {} ORDER BY id", column_list(t), t.name));
        while (s.step()) importer.add(t, s.text(0), read_fact(t, s, 1), fmt::format("{}: {}", other.name(), t.name));
    }
    return importer.commit();
}

}  // namespace tessera
