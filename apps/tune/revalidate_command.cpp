#include "generator_options.h"
#include "progress_printer.h"
#include "subcommands.h"
#include "time_text.h"

#include <tessera/tessera_runtime.h>
#include <tessera/tune_database.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ctime>
#include <memory>

namespace tessera_tune {
namespace {

using namespace tessera;
using namespace tessera::tune;

struct RevalidateLine {
    GeneratorChoice generator;
    std::string db, target = "host";
    std::vector<std::string> extents;
    int threads = 0, rounds = 15;
    double timeout = 30;
    std::size_t count = 8;
    bool json = false;
};

// Results that are wrong, and candidates that crash, never answer a build again.
int quarantine_failures(const RevalidateLine& line, const DescribedGenerator& described, const TuneResult& result,
                        const BuildContext& context) {
    int quarantined = 0;
    ScheduleDb db = ScheduleDb::open(line.db);
    for (const TrialRow& row : result.trials) {
        const Verdict v = row.measured.verdict;
        if (row.origin == "default" || (v != Verdict::wrong && v != Verdict::crash)) continue;
        db.quarantine(described.algorithm, row.schedule, context, fmt::format("{}: {}", word(v), row.measured.error));
        fmt::print("quarantined: trial {}: {}: {}\n", row.ordinal, word(v), row.measured.error);
        ++quarantined;
    }
    return quarantined;
}

int run_revalidate(const RevalidateLine& line) {
    const DescribedGenerator described = describe(line.generator);
    const Target target = parse_target(line.target);
    const BuildContext context = build_context(target);
    TuneOptions options;
    for (const FoundSchedule& f :
         ScheduleDb::open(line.db, {.read_only = true}).relatives(described.algorithm, context, line.count)) {
        fmt::print("checking {}\n", f.explanation);
        options.candidates.push_back(f.schedule);
    }
    if (options.candidates.empty()) {
        fmt::print("{} has nothing for kernel {:.12} that fits here\n", line.db, kernel_hash(described.algorithm));
        return 1;
    }
    options.target = target;
    options.space = {.extents = integer_pairs(line.extents, "--extent"), .cores = line.threads};
    options.measure = {.extents = options.space.extents, .threads = line.threads, .timeout_seconds = line.timeout};
    options.trials = options.candidates.size() + 1;
    options.final_rounds = line.rounds;
    ProgressPrinter printer = make_printer(line.json);
    options.progress = [&](const TuneProgress& p) { printer.show(p); };
    const nlohmann::json header{{"generator", described.name},
                                {"params", nlohmann::json::parse(described.params)},
                                {"kernel", described.algorithm.hash()},
                                {"extents", options.space.extents},
                                {"argv", nlohmann::json::array({"revalidate", line.generator.program})},
                                {"target", line.target},
                                {"threads", line.threads > 0 ? line.threads : tessera_num_threads()},
                                {"cold", false},
                                {"started", static_cast<std::int64_t>(std::time(nullptr))},
                                {"context", nlohmann::json::parse(context_json(context))},
                                {"candidates", nlohmann::json::array()}};
    DatabaseLog log = DatabaseLog::begin(line.db, described.algorithm, header.dump());
    const TuneResult result = tune::tune(described.algorithm, options, log);
    printer.finish();
    fmt::print("{}\n", result.reason);
    if (result.best_seconds && result.default_seconds)
        fmt::print("best {} | default {} | {:.3f}x as fast, 95 % in [{:.3f}, {:.3f}]\n", time_text(*result.best_seconds),
                   time_text(*result.default_seconds), result.speedup.median, result.speedup.low, result.speedup.high);
    return quarantine_failures(line, described, result, context) == 0 ? 0 : 1;
}

}  // namespace

void add_revalidate(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand(
        "revalidate", "checks and times on this machine what a database has for a generator, as a session of its own");
    auto line = std::make_shared<RevalidateLine>();
    declare(*sub, line->generator);
    declare_extents(*sub, line->extents);
    declare_database(*sub, line->db);
    sub->add_option("--target", line->target, "host, x86-64-linux-avx2-fma")->capture_default_str();
    sub->add_option("--count", line->count, "at most so many schedules")->capture_default_str()->check(CLI::Range(1, 64));
    sub->add_option("--threads", line->threads, "of a kernel; initially as many as the machine has");
    sub->add_option("--rounds", line->rounds, "interleaved rounds that decide")
        ->capture_default_str()
        ->check(CLI::Range(5, 1000));
    sub->add_option("--timeout", line->timeout, "seconds for compiling, checking and timing one schedule")->capture_default_str();
    sub->add_flag("--json", line->json, "print an event a line, as JSON");
    sub->footer(
        "For after a change of compiler or machine. Schedules with wrong results, and those that crash, are quarantined: they "
        "never\n"
        "answer a build of this kernel and target again. The status is 1 when there was one.");
    sub->callback([line, &status] { status = run_revalidate(*line); });
}

}  // namespace tessera_tune
