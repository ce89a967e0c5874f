#include "subcommands.h"
#include "time_text.h"

#include <tessera/tune_database.h>

#include <fmt/format.h>

#include <filesystem>
#include <memory>

namespace tessera_tune {
namespace {

using namespace tessera;

void print_counts(const std::string& what, const DbCounts& counts) {
    std::string rows;
    std::size_t all = 0;
    for (const auto& [table, count] : counts) {
        all += count;
        if (count > 0) rows += fmt::format("{}{} {}", rows.empty() ? "" : ", ", count, table);
    }
    fmt::print("{}: {}\n", what, all == 0 ? "nothing" : rows);
}

int init(const std::string& path) {
    const bool there = std::filesystem::exists(path);
    const ScheduleDb db = ScheduleDb::open(path, {.create = true});
    fmt::print("{} {}\n", path, there ? "is a schedule database already" : "is an empty schedule database");
    return 0;
}

int check(const std::string& path) {
    const auto problems = ScheduleDb::open(path, {.read_only = true}).check();
    for (const std::string& p : problems) fmt::print("{}\n", p);
    fmt::print("{}: {}\n", path,
               problems.empty() ? "sound" : fmt::format("{} problems; import an export into an empty one", problems.size()));
    return problems.empty() ? 0 : 1;
}

int export_to(const std::string& path, const std::string& folder) {
    fmt::print("{} files in {}\n", ScheduleDb::open(path, {.read_only = true}).export_to(folder), folder);
    return 0;
}

// Exports, folders of them, and journals of sessions.
int import_all(const std::string& path, const std::vector<std::string>& sources) {
    ScheduleDb db = ScheduleDb::open(path, {.create = true});
    for (const std::string& source : sources) {
        if (std::filesystem::is_directory(source))
            print_counts(source, db.import_folder(source));
        else if (source.ends_with(".journal"))
            fmt::print("{}: session {:.16}\n", source, tune::import_journal(db, tune::read_journal(source)));
        else
            print_counts(source, db.import_file(source));
    }
    return 0;
}

int merge(const std::string& path, const std::vector<std::string>& others) {
    ScheduleDb db = ScheduleDb::open(path, {.create = true});
    for (const std::string& other : others) print_counts(other, db.merge(ScheduleDb::open(other, {.read_only = true})));
    return 0;
}

int collect(const std::string& path, std::size_t keep) {
    print_counts("removed", ScheduleDb::open(path).collect(keep));
    return 0;
}

int stats(const std::string& path) {
    const ScheduleDb db = ScheduleDb::open(path, {.read_only = true});
    print_counts(path, db.counts());
    fmt::print("{} bytes\n", std::filesystem::file_size(path));
    std::size_t open = 0;
    for (const auto& s : db.sessions()) open += s.decided ? 0 : 1;
    fmt::print("{} sessions are not decided\n", open);
    return 0;
}

// Opening for writing is what brings a file up to date.
int migrate(const std::string& path) {
    const ScheduleDb db = ScheduleDb::open(path);
    if (!db.read_only_because().empty()) {
        fmt::print("{}: {}\n", path, db.read_only_because());
        return 1;
    }
    fmt::print("{} has the schema of this version\n", path);
    return 0;
}

}  // namespace

void add_db(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("db", "the team's database of schedules: make it, check it, share it");
    sub->require_subcommand(1);
    sub->footer(
        "Facts are only added, under hashes of their contents, so that merging is the union of sets. The team's habit: db "
        "export\n"
        "into a folder in git (a file of sorted lines for each kernel, which git merges), db import into a local database.\n"
        "A database belongs on a local disk: on a network file system rows would be lost, so it is refused there.");
    struct Line {
        std::string path, folder = "schedules.db";
        std::vector<std::string> sources;
        std::size_t keep = 16;
    };
    auto line = std::make_shared<Line>();
    const auto add = [&](const char* name, const char* what) {
        auto* each = sub->add_subcommand(name, what);
        each->add_option("database", line->path, "a database file")->required();
        return each;
    };
    add("init", "makes an empty database")->callback([line, &status] { status = init(line->path); });
    add("check", "says what is wrong: the file, references, hashes, schedules that do not parse")->callback([line, &status] {
        status = check(line->path);
    });
    auto* out = add("export", "writes sorted lines of JSON, a file for each kernel");
    out->add_option("folder", line->folder, "where to")->required();
    out->callback([line, &status] { status = export_to(line->path, line->folder); });
    auto* in = add("import", "adds exports (files or folders) and journals; all of one source, or nothing");
    in->add_option("sources", line->sources, "folders, .jsonl and .journal files")->required();
    in->callback([line, &status] { status = import_all(line->path, line->sources); });
    auto* others = add("merge", "adds everything of other databases");
    others->add_option("others", line->sources, "database files")->required();
    others->callback([line, &status] { status = merge(line->path, line->sources); });
    auto* gc = add("gc", "removes slow trials of decided sessions, and rows that nothing refers to");
    gc->add_option("--keep", line->keep, "trials of each session that stay, the fastest")->capture_default_str();
    gc->callback([line, &status] { status = collect(line->path, line->keep); });
    add("stats", "counts rows")->callback([line, &status] { status = stats(line->path); });
    add("migrate", "brings a file of an older version up to date, and keeps a copy")->callback([line, &status] {
        status = migrate(line->path);
    });
}

}  // namespace tessera_tune
