// What a database answers: best, show, explain, lock.
#include "generator_options.h"
#include "subcommands.h"
#include "time_text.h"

#include <tessera/schedule_db.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <memory>

namespace tessera_tune {
namespace {

using namespace tessera;

void write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text;
    if (!file.flush())
        throw Error(E0605_file, {}, fmt::format("{} cannot be written", path), {fix("name another file with --out")});
}

std::string extents_text(const std::string& shape) {
    const auto dims = nlohmann::json::parse(shape);
    std::string out;
    for (const auto& [dim, extent] : dims.items())
        out += fmt::format(" {}={}", dim, extent.contains("extent") ? extent["extent"].dump() : "?");
    return out;
}

int run_best(const std::string& path, const std::string& kernel, bool as_json) {
    const ScheduleDb db = ScheduleDb::open(path, {.read_only = true});
    for (const BestRow& r : db.best(kernel)) {
        const auto header = nlohmann::json::parse(r.header);
        const std::string name = header.value("generator", "?");
        if (as_json) {
            nlohmann::ordered_json row{{"generator", name},
                                       {"kernel", r.kernel},
                                       {"shape", nlohmann::json::parse(r.shape)},
                                       {"machine", nlohmann::json::parse(r.machine)},
                                       {"target", r.target},
                                       {"threads", r.threads},
                                       {"cold", r.cold},
                                       {"seconds", {r.seconds_low, r.seconds, r.seconds_high}},
                                       {"session", r.session},
                                       {"schedule", r.schedule_hash},
                                       {"content", nlohmann::json::parse(to_json(r.schedule, JsonStyle::compact))}};
            if (r.speedup) row["speedup"] = *r.speedup;
            fmt::print("{}\n", row.dump());
            continue;
        }
        fmt::print("{} {:.12}{}, {} thread{}{}, {}: {}", name, r.kernel, extents_text(r.shape), r.threads,
                   r.threads == 1 ? "" : "s", r.cold ? ", cold" : "",
                   nlohmann::json::parse(r.machine).value("processor", r.micro_architecture), time_text(r.seconds));
        if (r.speedup) fmt::print(", {:.2f}x the default", *r.speedup);
        fmt::print("; schedule {:.12} of session {:.12}, {} trials\n", r.schedule_hash, r.session, r.trials);
    }
    return 0;
}

// What became of the schedule that a header names.
int run_show(const std::string& path, const std::string& hash) {
    if (hash.size() < 4 || hash.find_first_not_of("0123456789abcdef") != std::string::npos)
        throw Error(E0805_usage, {}, fmt::format("'{}' is no beginning of a hash", hash),
                    {expected("at least four digits of 0-9 and a-f")});
    const auto uses = ScheduleDb::open(path, {.read_only = true}).uses(hash);
    if (uses.empty())
        throw Error(E0805_usage, {}, fmt::format("{} has no schedule {}", path, hash),
                    {note("a library built with its generator's own or the default schedule states a hash as well"),
                     fix("look into another database")});
    std::string shown;
    for (const ScheduleUse& u : uses) {
        if (u.hash != shown) fmt::print("schedule {}\n{}\n", u.hash, to_json(u.schedule));
        shown = u.hash;
        fmt::print("{} {:.12}{}, {}: trial {} of session {:.12}: {}{}\n", nlohmann::json::parse(u.header).value("generator", "?"),
                   u.kernel, extents_text(u.shape), nlohmann::json::parse(u.machine).value("processor", "?"), u.ordinal,
                   u.session, u.seconds ? time_text(*u.seconds) : u.status, u.won ? ", the winner" : "");
    }
    return 0;
}

struct LookupLine {
    GeneratorChoice generator;
    std::string db, target = "host", out, require = "default";
};

int run_explain(const LookupLine& line) {
    const DescribedGenerator described = describe(line.generator);
    const Target target = parse_target(line.target);
    const ScheduleDb db = ScheduleDb::open(line.db, {.read_only = true});
    const BuildContext context = build_context(target);
    fmt::print("kernel {:.12} ({}), shape {}\ntarget {}\nmachine {}\ntoolchain {}, code generator {}\n",
               kernel_hash(described.algorithm), described.name, shape_text(described.algorithm), context.target, context.machine,
               context.toolchain, context.codegen_abi);
    std::vector<std::string> trace;
    const FoundSchedule found = db.explain(described.algorithm, context, &trace);
    for (const std::string& l : trace) fmt::print("{}\n", l);
    fmt::print("a build takes {}\n", found.tier == LookupTier::none ? "the generator's own schedule, or the default one"
                                                                    : fmt::format("the answer of tier {}", word(found.tier)));
    (void)accepted(found, parse_require(line.require), db, described.name);
    if (!line.out.empty() && found.tier != LookupTier::none) write_file(line.out, to_json(found.schedule) + "\n");
    return 0;
}

int run_lock(const LookupLine& line) {
    const DescribedGenerator described = describe(line.generator);
    const Target target = parse_target(line.target);
    const ScheduleDb db = ScheduleDb::open(line.db, {.read_only = true});
    const auto found = accepted(db.find(described.algorithm, target), parse_require(line.require), db, described.name);
    ScheduleLock lock = std::filesystem::exists(line.out) ? ScheduleLock::read(line.out) : ScheduleLock();
    lock.pin(described.algorithm, target, *found);
    write_file(line.out, lock.text());
    fmt::print("{}: {} pinned; {}\n", line.out, described.name, found->explanation);
    return 0;
}

}  // namespace

void add_best(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("best", "lists the winners of a database: one for each kernel, shape, machine and toolchain");
    struct Line {
        std::string db, kernel;
        bool json = false;
    };
    auto line = std::make_shared<Line>();
    declare_database(*sub, line->db);
    sub->add_option("--kernel", line->kernel, "the beginning of a kernel's hash; initially all");
    sub->add_flag("--json", line->json, "a line of JSON for each, with the schedule in canonical names");
    sub->callback([line, &status] { status = run_best(line->db, line->kernel, line->json); });
}

void add_show(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("show", "prints the schedule that a library's header names, and the trials it comes from");
    struct Line {
        std::string db, hash;
    };
    auto line = std::make_shared<Line>();
    sub->add_option("hash", line->hash, "the beginning of the schedule's hash, as in the header")->required();
    declare_database(*sub, line->db);
    sub->footer("The schedule is in canonical names, of which the hash is: stages s0, dims d0, inputs i0.");
    sub->callback([line, &status] { status = run_show(line->db, line->hash); });
}

void add_explain(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("explain", "says which schedule a build of a generator gets from a database, and why");
    auto line = std::make_shared<LookupLine>();
    declare(*sub, line->generator);
    declare_database(*sub, line->db);
    sub->add_option("--target", line->target, "host, x86-64-linux-avx2-fma")->capture_default_str();
    sub->add_option("--require", line->require, "exact, nearest, default: fail as a build would")->capture_default_str();
    sub->add_option("-o,--out", line->out, "write the schedule to this file, in the generator's names");
    sub->footer(
        "Tiers, nearest first: exact; toolchain (another one whose code generator is the same); shape (this machine, the "
        "nearest\n"
        "shape at which the schedule is legal); micro_architecture (another machine with this kind of processor); none.");
    sub->callback([line, &status] { status = run_explain(*line); });
}

void add_lock(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("lock", "pins what a build of a generator gets, for builds with --lock FILE --frozen");
    auto line = std::make_shared<LookupLine>();
    line->out = "tessera.lock";
    line->require = "nearest";
    declare(*sub, line->generator);
    declare_database(*sub, line->db);
    sub->add_option("--target", line->target, "host, x86-64-linux-avx2-fma")->capture_default_str();
    sub->add_option("--require", line->require, "exact, nearest: what may be pinned")
        ->capture_default_str()
        ->check(CLI::IsMember({"exact", "nearest"}));
    sub->add_option("-o,--out", line->out, "the lock file; other entries in it stay")->capture_default_str();
    sub->callback([line, &status] { status = run_lock(*line); });
}

}  // namespace tessera_tune
