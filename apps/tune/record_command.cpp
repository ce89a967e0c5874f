// Trials of random pipelines: what a cost model is trained on without anybody's kernels.
#include "record_plan.h"
#include "subcommands.h"
#include "time_text.h"

#include <tessera/schedule_default.h>
#include <tessera/tune_database.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <ctime>
#include <map>
#include <memory>
#include <utility>

namespace tessera_tune {
namespace {

using namespace tessera;
using namespace tessera::tune;

std::atomic<bool> interrupted = false;
void note_interrupt(int) { interrupted = true; }

struct RecordLine {
    std::string db, work, phase = "both";
    std::uint64_t first = 1;
    std::size_t pipelines = 100, trials = 50;
    double seconds = 0, compile_seconds = 1.5;
    int shapes = 2;
    bool show = false;
};
constexpr std::size_t patience = 6;      // candidates that may fail beyond those that compile
constexpr std::size_t fastest_kept = 4;  // what the second half of a pipeline's candidates is near to

// The command is at one pipeline at a time: what it is, where its files are, what is known of it.
class Recording {
public:
    explicit Recording(const RecordLine& line) : line_(line) {
        std::filesystem::create_directories(line.work);
        if (!std::filesystem::exists(line.db)) return;
        for (const SessionSummary& s : ScheduleDb::open(line.db, {.read_only = true}).sessions()) note(s.id, s.header, s.trials);
    }

    // Returns whether it was stopped.
    bool run() {
        for (int half = 1; half <= 2; ++half)
            for (std::uint64_t number = line_.first; number < line_.first + line_.pipelines; ++number) {
                try {
                    if (line_.phase != "measure") compile_half(number, half);
                    if (line_.phase != "compile") measure(number);
                } catch (const Exception& e) {
                    fmt::print("pipeline {}: {}\n", number, e.message());
                    for (int each = half; each <= 2; ++each) write_plan(plan_file(number, each), {});  // nothing more is tried
                }
                if (stopped()) return true;
            }
        return false;
    }
    [[nodiscard]] std::string summary() const {
        std::size_t trials = 0;
        for (const auto& [number, s] : sessions_) trials += s.trials;
        return fmt::format("{} trials in {} sessions", trials, sessions_.size());
    }

private:
    struct Session {
        std::string id;
        std::size_t trials = 0;
    };

    void note(const std::string& id, const std::string& text, std::size_t trials) {
        const auto header = nlohmann::json::parse(text);
        if (header.contains("record") && header["record"].at(1) == line_.trials)
            sessions_[{header["record"].at(0).get<std::uint64_t>(), header["record"].at(2).get<int>()}] = {id, trials};
    }
    [[nodiscard]] bool stopped() const {
        const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
        return interrupted || (line_.seconds > 0 && elapsed > line_.seconds);
    }
    [[nodiscard]] std::string plan_file(std::uint64_t number, int half) const {
        return fmt::format("{}/{}.{}.json", line_.work, number, half);
    }
    [[nodiscard]] MeasureOptions measure_options(std::uint64_t number, const RandomPipeline& pipeline) const {
        MeasureOptions out;
        out.extents = pipeline.extents;
        out.threads = 1;
        out.timeout_seconds = 20;
        out.code_folder = fmt::format("{}/{}", line_.work, number);
        return out;
    }

    // Chooses candidates and compiles and checks them, so that measuring need not wait for a compiler. What takes longer than its
    // time is left out. The second half waits for the times of the first.
    void compile_half(std::uint64_t number, int half) {
        if (std::filesystem::exists(plan_file(number, half))) return;
        const RandomPipeline pipeline = random_pipeline(number);
        std::vector<Schedule> known{default_schedule(pipeline.algorithm, Target::host())}, fastest;
        if (half == 2) {
            const auto first = read_plan(plan_file(number, 1));
            const auto session = sessions_.find({number, 0});
            if (!first || session == sessions_.end() || session->second.trials < 1 + first->size()) return;
            known.insert(known.end(), first->begin(), first->end());
            fastest = fastest_of(session->second.id);
        }
        const ScheduleSpace space(pipeline.algorithm, Target::host(), {.extents = pipeline.extents, .cores = 1});
        MeasureOptions options = measure_options(number, pipeline);
        options.lock_file = line_.work + "/compile.lock";           // nothing is timed
        (void)Runner(pipeline.algorithm, Target::host(), options);  // the default may take longer
        options.timeout_seconds = line_.compile_seconds;
        Runner runner(pipeline.algorithm, Target::host(), options);
        Proposals proposals(pipeline, space, known, fastest, 2 * number + static_cast<std::uint64_t>(half));
        const std::size_t first_half = (line_.trials - 1) / 2, wanted = half == 1 ? first_half : line_.trials - 1 - first_half;
        std::vector<Schedule> plan;
        std::size_t late = 0, failed = 0;
        // Where most take too long the pipeline is given up early.
        while (plan.size() < wanted && late + failed < plan.size() + patience) {
            if (interrupted) return;
            const auto schedule = proposals.next();
            if (!schedule) break;
            const Measured m = runner.measure(*schedule, 0);
            if (m.verdict == Verdict::timeout) {
                ++late;
                proposals.was_late(*schedule);
            }
            failed += m.verdict != Verdict::timeout && m.verdict != Verdict::ok;
            if (m.verdict != Verdict::timeout && !m.same_code) plan.push_back(*schedule);
        }
        write_plan(plan_file(number, half), plan);
        fmt::print("{} {}.{}: {} candidates compiled, {} failed, {} took longer than {} s\n", pipeline.family, number, half,
                   plan.size(), failed, late, line_.compile_seconds);
        std::fflush(stdout);
    }

    [[nodiscard]] std::vector<Schedule> fastest_of(const std::string& session) const {
        std::vector<TrialRow> rows = journal_of(ScheduleDb::open(line_.db, {.read_only = true}).session(session)).rows;
        std::erase_if(rows, [](const TrialRow& r) { return !r.seconds; });
        std::stable_sort(rows.begin(), rows.end(), [](const TrialRow& a, const TrialRow& b) { return *a.seconds < *b.seconds; });
        rows.resize(std::min(rows.size(), fastest_kept));
        std::vector<Schedule> out;
        for (const TrialRow& r : rows) out.push_back(r.schedule);
        return out;
    }

    [[nodiscard]] DatabaseLog log_of(std::uint64_t number, int shape, const RandomPipeline& pipeline) {
        if (const auto known = sessions_.find({number, shape}); known != sessions_.end())
            return DatabaseLog::resume(line_.db, known->second.id);
        const nlohmann::json header{{"generator", fmt::format("{} {}", pipeline.family, number)},
                                    {"params", nlohmann::json::object()},
                                    {"kernel", pipeline.algorithm.hash()},
                                    {"extents", pipeline.extents},
                                    {"argv", {"record", std::to_string(number)}},
                                    {"target", "host"},
                                    {"threads", 1},
                                    {"cold", false},
                                    {"started", static_cast<std::int64_t>(std::time(nullptr))},
                                    {"context", nlohmann::json::parse(context_json(build_context(Target::host())))},
                                    {"record", {number, line_.trials, shape}},
                                    {"candidates", nlohmann::json::array()}};
        return DatabaseLog::begin(line_.db, pipeline.algorithm, header.dump());
    }

    // What is planned of a pipeline and not measured yet, at each shape: one kernel serves all.
    void measure(std::uint64_t number) {
        const int shapes = random_pipeline(number).extents.empty() ? 1 : line_.shapes;
        for (int shape = 0; shape < shapes && !stopped(); ++shape) measure(number, shape);
    }
    void measure(std::uint64_t number, int shape) {
        TuneOptions options;
        for (int half = 1; half <= 2; ++half)
            if (const auto plan = read_plan(plan_file(number, half)))
                options.candidates.insert(options.candidates.end(), plan->begin(), plan->end());
        options.trials = 1 + options.candidates.size();
        const auto known = sessions_.find({number, shape});
        if (known != sessions_.end() && known->second.trials >= options.trials) return;
        // Without candidates there is the default; unless nothing of the pipeline runs.
        if (options.candidates.empty() &&
            (!std::filesystem::exists(plan_file(number, 1)) || std::filesystem::exists(plan_file(number, 2))))
            return;
        const RandomPipeline pipeline = random_pipeline(number, shape);
        DatabaseLog log = log_of(number, shape, pipeline);
        options.space = {.extents = pipeline.extents, .cores = 1};
        options.measure = measure_options(number, pipeline);
        options.seed = number;
        options.final_rounds = 0;
        options.stop = [this] { return stopped(); };
        const TuneResult result = tune::tune(pipeline.algorithm, options, log);
        sessions_[{number, shape}] = {log.session(), result.trials.size()};
        const auto failed =
            std::count_if(result.trials.begin(), result.trials.end(), [](const TrialRow& r) { return !r.seconds; });
        double least = 0, first = 0;
        for (const TrialRow& r : result.trials)
            if (r.seconds) {
                if (r.ordinal == 0) first = *r.seconds;
                if (least == 0 || *r.seconds < least) least = *r.seconds;
            }
        fmt::print("[{}] {} {}: {} trials, {} failed, best {}, {:.2f}x default\n", summary(), pipeline.family, number,
                   result.trials.size(), failed, time_text(least), least > 0 ? first / least : 0);
        std::fflush(stdout);
    }

    const RecordLine& line_;
    std::map<std::pair<std::uint64_t, int>, Session> sessions_;  // by pipeline and shape
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

int show(const RecordLine& line) {
    for (std::uint64_t number = line.first; number < line.first + line.pipelines; ++number) {
        const RandomPipeline p = random_pipeline(number);
        std::string extents;
        for (const auto& [dim, extent] : p.extents) extents += fmt::format(" {}={}", dim, extent);
        fmt::print("# {} {}:{}\n{}", p.family, number, extents, p.algorithm.text());
    }
    return 0;
}

int run_record(RecordLine line) {
    if (line.show) return show(line);
    if (line.db.empty())
        throw Error(E0805_usage, {}, "record without a database", {fix("name one with --db"), fix("only --show the pipelines")});
    if (line.work.empty()) line.work = line.db + ".work";
    struct sigaction action = {};
    action.sa_handler = note_interrupt;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    Recording recording(line);
    const bool stopped = recording.run();
    fmt::print("{}{}\n", recording.summary(), stopped ? "; stopped, the same command goes on" : "");
    return stopped ? 130 : 0;
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
    sub->add_option("--shapes", line->shapes, "sizes at which each is measured, where sizes are open")->capture_default_str();
    sub->add_option("--work", line->work, "a folder for candidates and their machine code; initially DATABASE.work");
    sub->add_option("--phase", line->phase, "compile: only choose and compile; measure: only what is compiled; or both")
        ->capture_default_str()
        ->check(CLI::IsMember({"both", "compile", "measure"}));
    sub->add_option("--compile-seconds", line->compile_seconds, "a candidate that compiles and runs longer is left out")
        ->capture_default_str();
    sub->add_option("--seconds", line->seconds, "stop after this time");
    sub->footer(
        "Kernels use one thread. Half of a pipeline's candidates are random or around the default, the others near the fastest "
        "of\n"
        "those. The same command goes on where it was stopped. Only measuring needs a quiet machine, and takes a small part of "
        "the\n"
        "time: --phase compile before it, --phase measure in a quiet hour, and both again for the second half.");
    sub->callback([line, &status] { status = run_record(*line); });
}

}  // namespace tessera_tune
