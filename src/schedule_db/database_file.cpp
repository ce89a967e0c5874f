#include "schedule_db/database_file.h"

#include "schedule_db/fact_tables.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filesystem>

namespace tessera::db {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const std::string& path) {
    const fs::path folder = fs::path(path).parent_path();
    return folder.empty() ? fs::path(".") : folder;
}

void refuse_network(const std::string& path, std::uint64_t type) {
    const std::string_view name = network_file_system(type);
    if (name.empty()) return;
    throw Error(E0605_file, {}, fmt::format("the schedule database {} is on {}, a network file system", path, name),
                {note("locks there do not keep other machines from writing: rows would be lost"),
                 fix("keep the database on a local disk and share exports: tessera-tune db export, db import")});
}

// Everything that a reader of a file in write-ahead mode needs may be missing in a folder that cannot be written.
Connection open_to_read(const std::string& path, double busy_seconds) {
    if (::faccessat(AT_FDCWD, folder_of(path).c_str(), W_OK, AT_EACCESS) == 0 || fs::exists(path + "-wal"))
        return {path, SQLITE_OPEN_READONLY, busy_seconds};
    std::string escaped;
    for (const char c : fs::absolute(path).string())
        if (c == '%' || c == '?' || c == '#')
            escaped += fmt::format("%{:02x}", static_cast<unsigned char>(c));
        else
            escaped += c;
    return {"file:" + escaped + "?immutable=1", SQLITE_OPEN_READONLY, busy_seconds};
}

void require_ours(const Connection& c) {
    if (c.integer("PRAGMA application_id") == application_id) return;
    throw Error(E0601_syntax, {}, fmt::format("{} is an SQLite database of another program", c.path()),
                {fix("name another file"), fix("make one with tessera-tune db init")});
}

void configure(const Connection& c) {
    c.run("PRAGMA journal_mode=WAL");
    c.run("PRAGMA synchronous=FULL");
    c.run("PRAGMA foreign_keys=ON");
    c.run("PRAGMA trusted_schema=OFF");
}

// Made once, whoever comes first.
void make_schema(const Connection& c) {
    if (c.integer("SELECT count(*) FROM sqlite_schema") > 0) return;
    Transaction transaction(c);
    if (c.integer("SELECT count(*) FROM sqlite_schema") == 0) {
        c.run(schema_sql());
        c.run(fmt::format("PRAGMA application_id={}", application_id));
        c.run(fmt::format("PRAGMA user_version={}", schema_version));
    }
    transaction.commit();
}

}  // namespace

std::string_view network_file_system(std::uint64_t type) {
    switch (type & 0xffffffffu) {
        case 0x6969: return "NFS";
        case 0x517b:
        case 0xff534d42:
        case 0xfe534d42: return "SMB";
        case 0x01021997: return "9P";
        case 0x5346414f:
        case 0x6b414653: return "AFS";
        case 0x00c36400: return "Ceph";
        case 0x0bd00bd0: return "Lustre";
        case 0x47504653: return "GPFS";
        case 0x73757245: return "Coda";
        case 0x7461636f: return "OCFS2";
        case 0x01161970: return "GFS2";
        case 0x19830326: return "BeeGFS";
        default: return "";
    }
}

std::uint64_t file_system_type(const std::string& path) {
    struct statfs facts {};
    if (::statfs(path.c_str(), &facts) != 0 && ::statfs(folder_of(path).c_str(), &facts) != 0) return 0;
    return static_cast<std::uint64_t>(facts.f_type);
}

const std::vector<std::string>& migrations() {
    static const std::vector<std::string> steps;
    return steps;
}

bool migrate(const Connection& c, const std::vector<std::string>& steps) {
    const auto target = static_cast<std::int64_t>(steps.size()) + 1;
    const std::int64_t version = c.integer("PRAGMA user_version");
    if (version >= target) return false;
    const std::string backup = fmt::format("{}.backup-{}", c.path(), version);
    if (!fs::exists(backup)) {
        Statement s = c.prepare("VACUUM INTO ?");
        s.bind(1, backup);
        s.run();
    }
    Transaction transaction(c);
    // Another process may have been quicker.
    for (std::int64_t v = c.integer("PRAGMA user_version"); v < target; ++v) {
        c.run(steps[static_cast<std::size_t>(v) - 1]);
        c.run(fmt::format("PRAGMA user_version={}", v + 1));
    }
    transaction.commit();
    return true;
}

OpenedFile open_file(const std::string& path, const DbOptions& options,
                     const std::function<std::uint64_t(const std::string&)>& type_of) {
    refuse_network(path, type_of(path));
    std::error_code ignored;
    const bool there = fs::exists(path, ignored);
    if (there && fs::is_directory(path, ignored))
        throw Error(E0605_file, {}, fmt::format("{} is a folder, not a schedule database", path), {fix("name a file in it")});
    if (!there && (!options.create || options.read_only))
        throw Error(E0605_file, {}, fmt::format("there is no schedule database {}", path),
                    {fix("make it with tessera-tune db init"), fix("check the path")});
    if (options.read_only) {
        Connection c = open_to_read(path, options.busy_seconds);
        require_ours(c);
        return {std::move(c), "it was opened for reading"};
    }
    if (there) {
        const Connection probe = open_to_read(path, options.busy_seconds);
        // An empty file becomes a database, as one that is not there.
        if (probe.integer("SELECT count(*) FROM sqlite_schema") > 0) {
            require_ours(probe);
            const std::int64_t version = probe.integer("PRAGMA user_version");
            if (version > schema_version)
                return {open_to_read(path, options.busy_seconds),
                        fmt::format("it was written by a newer version of Tessera (schema {}; this one writes {})", version,
                                    schema_version)};
        }
    }
    Connection c(path, SQLITE_OPEN_READWRITE | (options.create ? SQLITE_OPEN_CREATE : 0), options.busy_seconds);
    configure(c);
    make_schema(c);
    require_ours(c);
    migrate(c, migrations());
    return {std::move(c), ""};
}

}  // namespace tessera::db
