// Trials of random pipelines: what a cost model is trained on without anybody's kernels.
#include "random_pipeline.h"
#include "subcommands.h"
#include "time_text.h"

#include <tessera/tessera_runtime.h>
#include <tessera/tune_database.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <ctime>
#include <memory>

namespace tessera_tune {
namespace {

using namespace tessera;
using namespace tessera::tune;

std::atomic<bool> interrupted = false;
void note_interrupt(int) { interrupted = true; }

struct RecordLine {
    std::string db;
    std::uint64_t first = 1;
    std::size_t pipelines = 100, trials = 50;
    double seconds = 0;
    bool show = false;
};

// The session of a pipeline that is there already.
std::optional<SessionSummary> session_of(const std::string& db, std::uint64_t number, std::size_t trials) {
    if (!std::filesystem::exists(db)) return std::nullopt;
    for (const SessionSummary& s : ScheduleDb::open(db, {.read_only = true}).sessions()) {
        const auto header = nlohmann::json::parse(s.header);
        if (header.contains("record") && header["record"] == nlohmann::json::array({number, trials})) return s;
    }
    return std::nullopt;
}

// One session: half of the trials at random, the others near the best, so that models see both.
void record(const RecordLine& line, std::uint64_t number, const RandomPipeline& pipeline) {
    const auto known = session_of(line.db, number, line.trials);
    if (known && known->decided) return;
    const nlohmann::json header{{"generator", fmt::format("{} {}", pipeline.family, number)},
                                {"params", nlohmann::json::object()},
                                {"kernel", pipeline.algorithm.hash()},
                                {"extents", pipeline.extents},
                                {"argv", {"record", std::to_string(number)}},
                                {"target", "host"},
                                {"threads", tessera_num_threads()},
                                {"cold", false},
                                {"started", static_cast<std::int64_t>(std::time(nullptr))},
                                {"context", nlohmann::json::parse(context_json(build_context(Target::host())))},
                                {"record", {number, line.trials}},
                                {"candidates", nlohmann::json::array()}};
    DatabaseLog log =
        known ? DatabaseLog::resume(line.db, known->id) : DatabaseLog::begin(line.db, pipeline.algorithm, header.dump());
    TuneOptions options;
    options.space = {.extents = pipeline.extents};
    options.measure.timeout_seconds = 20;
    options.strategy = number % 2 == 0 ? "random" : "evolutionary";
    options.seed = number;
    options.trials = line.trials;
    options.final_rounds = 5;
    options.stop = [] { return interrupted.load(); };
    const TuneResult result = tune::tune(pipeline.algorithm, options, log);
    const auto failed = std::count_if(result.trials.begin(), result.trials.end(), [](const TrialRow& r) { return !r.seconds; });
    fmt::print("{} {}: {} trials, {} failed, {}\n", pipeline.family, number, result.trials.size(), failed,
               result.best_seconds && result.default_seconds
                   ? fmt::format("best {}, {:.2f}x default", time_text(*result.best_seconds),
                                 *result.default_seconds / *result.best_seconds)
                   : result.reason);
    std::fflush(stdout);
}

int show(const RecordLine& line) {
    for (std::uint64_t number = line.first; number < line.first + line.pipelines; ++number) {
        const RandomPipeline p = random_pipeline(number);
        std::string extents;
        for (const auto& [dim, extent] : p.extents) extents += fmt::format(" {}={}", dim, extent);
        fmt::print("# {} {}:{}\n{}", p.family, number, extents, p.algorithm.text());
    }
    return 0;
}

int run_record(const RecordLine& line) {
    if (line.show) return show(line);
    if (line.db.empty())
        throw Error(E0805_usage, {}, "record without a database", {fix("name one with --db"), fix("only --show the pipelines")});
    struct sigaction action = {};
    action.sa_handler = note_interrupt;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    const auto start = std::chrono::steady_clock::now();
    for (std::uint64_t number = line.first; number < line.first + line.pipelines; ++number) {
        const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        if (interrupted || (line.seconds > 0 && elapsed > line.seconds)) {
            fmt::print("stopped; the same command goes on\n");
            return 130;
        }
        try {
            record(line, number, random_pipeline(number));
        } catch (const Exception& e) {
            fmt::print("pipeline {}: {}\n", number, e.message());
        }
    }
    return 0;
}

}  // namespace

void add_record(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("record", "measures random pipelines into a database, for model train");
    auto line = std::make_shared<RecordLine>();
    sub->add_option("--db", line->db, "the database");
    sub->add_flag("--show", line->show, "only print the algorithms and their sizes");
    sub->add_option("--first", line->first, "the number of the first pipeline; a number is always the same pipeline")
        ->capture_default_str();
    sub->add_option("--pipelines", line->pipelines, "how many")->capture_default_str();
    sub->add_option("--trials", line->trials, "of each")->capture_default_str()->check(CLI::Range(2, 10000));
    sub->add_option("--seconds", line->seconds, "stop after the pipeline in which this time ends");
    sub->footer(
        "The same command goes on where it was stopped: pipelines that are decided are left alone. It needs a quiet machine.");
    sub->callback([line, &status] { status = run_record(*line); });
}

}  // namespace tessera_tune
