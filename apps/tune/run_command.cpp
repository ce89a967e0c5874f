#include "generator_options.h"
#include "progress_printer.h"
#include "session_store.h"
#include "shipped_model.h"
#include "subcommands.h"
#include "tuning_line.h"

#include <tessera/tessera_runtime.h>
#include <tessera/tune_model.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <ctime>
#include <fstream>
#include <memory>

namespace tessera_tune {
namespace {

using namespace tessera;
using namespace tessera::tune;

std::atomic<bool> interrupted = false;
void note_interrupt(int) { interrupted = true; }

std::string file_text(const std::string& path) {
    std::ifstream in(path);
    if (!in) throw Error(E0605_file, {}, fmt::format("{} cannot be read", path), {fix("check the path")});
    return {std::istreambuf_iterator<char>(in), {}};
}

// Names a model: what it was trained on.
std::string shipped_id(const std::string& model) { return LearnedModel::read(model).origin().trained_on; }

void print_result(const TuningLine& line, const SessionLog& log, const TuneResult& result) {
    if (line.json) {
        nlohmann::ordered_json event{{"event", result.stopped ? "stopped" : "finished"},
                                     {"session", log.resume_words()},
                                     {"trials", result.trials.size()},
                                     {"reason", result.reason}};
        if (result.best_seconds) event["best_seconds"] = *result.best_seconds;
        if (result.default_seconds) {
            event["default_seconds"] = *result.default_seconds;
            event["speedup"] = {result.speedup.low, result.speedup.median, result.speedup.high};
        }
        fmt::print("{}\n", event.dump());
    } else if (result.stopped)
        fmt::print("stopped after {} trials; go on with\n  tessera-tune resume {}\n", result.trials.size(), log.resume_words());
    else {
        fmt::print("{}\n", result.reason);
        if (result.best_seconds && result.default_seconds)
            fmt::print("best {} | default {} | {:.3f}x as fast, 95 % in [{:.3f}, {:.3f}]\n", time_text(*result.best_seconds),
                       time_text(*result.default_seconds), result.speedup.median, result.speedup.low, result.speedup.high);
    }
}

// Runs the session to its end, or until Ctrl-C. Returns the exit status.
int run_session(const TuningLine& line, SessionLog& log, const DescribedGenerator& described,
                const std::vector<Schedule>& candidates, const std::string& model) {
    TuneOptions options = tune_options(line);
    if (!model.empty()) options.space.model = std::make_shared<LearnedModel>(LearnedModel::read(model));
    options.candidates = candidates;
    ProgressPrinter printer = make_printer(line.json);
    options.progress = [&](const TuneProgress& p) { printer.show(p); };
    options.stop = [] { return interrupted.load(); };
    interrupted = false;
    struct sigaction action = {};
    action.sa_handler = note_interrupt;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    const TuneResult result = tune::tune(described.algorithm, options, log);
    printer.finish();
    print_result(line, log, result);
    if (result.stopped) return 130;
    if (!line.out.empty()) {
        std::ofstream file(line.out);
        file << to_json(result.best) << "\n";
        if (!file.flush())
            throw Error(E0605_file, {}, fmt::format("{} cannot be written", line.out), {fix("name another file with --out")});
    }
    return result.best_seconds ? 0 : 1;
}

// What the session starts from is kept with it, so that it starts from the same when it goes on.
int run_new(TuningLine line, const std::vector<std::string>& argv) {
    const DescribedGenerator described = describe(line.generator);
    if (line.journal.empty()) line.journal = described.name + ".journal";
    const Target target = parse_target(line.target);
    require_measurable(described.algorithm, target);
    nlohmann::json header{{"generator", described.name},
                          {"params", nlohmann::json::parse(described.params)},
                          {"kernel", described.algorithm.hash()},
                          {"algorithm", described.algorithm.text()},
                          {"extents", integer_pairs(line.extents, "--extent")},
                          {"argv", argv},
                          {"target", line.target},
                          {"threads", target.kind == Target::Kind::cuda ? 1
                                      : line.threads > 0                ? line.threads
                                                                        : tessera_num_threads()},
                          {"cold", line.cold},
                          {"started", static_cast<std::int64_t>(std::time(nullptr))},
                          {"context", nlohmann::json::parse(context_json(build_context(target)))},
                          {"candidates", nlohmann::json::array()},
                          {"model", ""}};
    std::vector<Schedule> candidates;
    for (const std::string& file : line.schedules) candidates.push_back(read_schedule(file));
    // Models are of kernels on CPUs.
    const bool no_model = line.model == "none" || (line.model.empty() && target.kind == Target::Kind::cuda);
    std::string model = line.model.empty() || no_model ? "" : file_text(line.model);
    if (!line.db.empty()) {
        for (Schedule& s : relatives_in_database(line.db, described.algorithm, target, tune_options(line).space))
            candidates.push_back(std::move(s));
        // The session names the database's model; one of a file it keeps whole.
        if (model.empty() && !no_model) {
            DatabaseModel stored = model_in_database(line.db);
            if (!stored.id.empty()) header["model_id"] = stored.id;
            model = std::move(stored.json);
        }
    }
    if (model.empty() && !no_model)
        if (auto shipped = shipped_model()) {
            // A session is worth more than its first candidates.
            try {
                header["shipped_model"] = shipped_id(shipped->json);
                model = std::move(shipped->json);
            } catch (const Exception& e) {
                fmt::print(stderr, "{}: {}; the analytic model chooses the first candidates\n", shipped->path, e.message());
            }
        }
    for (const Schedule& s : candidates) header["candidates"].push_back(to_json(s, JsonStyle::compact));
    if (!header.contains("model_id") && !header.contains("shipped_model")) header["model"] = model;
    const auto log = begin_session(line, described.algorithm, header.dump());
    return run_session(line, *log, described, candidates, model);
}

// The model that a session began with.
std::string model_of(const nlohmann::json& header, const TuningLine& outer) {
    if (const std::string id = header.value("model_id", ""); !id.empty()) return model_in_database(outer.db, id).json;
    const std::string id = header.value("shipped_model", "");
    if (id.empty()) return header.value("model", "");
    const auto shipped = shipped_model();
    if (!shipped || shipped_id(shipped->json) != id)
        throw Error(E0805_usage, {}, fmt::format("the cost model that {} began with is not the one that is here", outer.session),
                    {note("it came with another version of Tessera"), fix("start another session with tessera-tune run")});
    return shipped->json;
}

int resume(const TuningLine& outer) {
    const auto log = resume_session(outer);
    const auto header = nlohmann::json::parse(log->journal().header);
    CLI::App app;
    TuningLine line;
    declare(app, line);
    auto argv = header.at("argv").get<std::vector<std::string>>();
    std::reverse(argv.begin(), argv.end());
    try {
        app.parse(argv);
    } catch (const CLI::ParseError& e) {
        throw Error(E0805_usage, {},
                    fmt::format("{} has options that this version does not understand: {}", outer.session, e.what()),
                    {fix("start another session with tessera-tune run")});
    }
    line.json = outer.json;
    line.out = outer.out;
    const DescribedGenerator described = describe(line.generator);
    if (described.algorithm.hash() != header.at("kernel").get<std::string>())
        throw Error(E0805_usage, {},
                    fmt::format("the algorithm of {} is not the one that {} tunes", described.name, outer.session),
                    {note("it has changed since"), fix("start another session with tessera-tune run")});
    require_measurable(described.algorithm, parse_target(line.target));
    std::vector<Schedule> candidates;
    for (const auto& text : header.at("candidates")) candidates.push_back(parse_schedule(text.get<std::string>()));
    return run_session(line, *log, described, candidates, model_of(header, outer));
}

}  // namespace

tessera::tune::TuneOptions tune_options(const TuningLine& line) {
    TuneOptions options;
    options.target = parse_target(line.target);
    options.space = {.extents = integer_pairs(line.extents, "--extent"),
                     .cores = line.threads,
                     .constraints = line.constraints,
                     .model = nullptr};
    options.measure = {.extents = options.space.extents,
                       .threads = line.threads,
                       .cold = line.cold,
                       .timeout_seconds = line.timeout,
                       .timeout_ratio = line.timeout_ratio,
                       .seed = line.seed};
    options.strategy = line.strategy;
    options.seed = line.seed;
    options.trials = line.trials;
    options.batch = line.batch;
    options.seconds = line.seconds;
    options.patience = line.patience;
    options.final_rounds = line.rounds;
    return options;
}

void declare(CLI::App& app, TuningLine& line) {
    declare(app, line.generator);
    declare_extents(app, line.extents);
    app.add_option("--constraint", line.constraints,
                   "a condition on decisions: \"C.m.unroll * C.n.unroll <= 24\"; see tessera-tune space")
        ->expected(1)
        ->take_all();
    app.add_option("--schedule", line.schedules, "a schedule to try first, as JSON")->expected(1)->take_all();
    app.add_option("--target", line.target, "host, x86-64-linux-avx2-fma, or the GPU of this machine: cuda-sm_90a")
        ->capture_default_str();
    app.add_option("--strategy", line.strategy, "grid, random, evolutionary, model, hybrid")->capture_default_str();
    app.add_option("--model", line.model,
                   "a cost model from tessera-tune model train, for the first candidates; initially the database's, else the one "
                   "that comes with "
                   "Tessera; none: the analytic model");
    app.add_option("--seed", line.seed, "of the search and of the inputs")->capture_default_str();
    app.add_option("--trials", line.trials, "stop after so many")->capture_default_str()->check(CLI::Range(1, 1000000));
    app.add_option("--seconds", line.seconds, "stop after this time");
    app.add_option("--patience", line.patience, "stop after so many trials without progress");
    app.add_option("--batch", line.batch, "candidates chosen at once")->capture_default_str()->check(CLI::Range(1, 64));
    app.add_option("--threads", line.threads, "of a kernel; initially as many as the machine has");
    app.add_option("--timeout", line.timeout, "seconds for compiling, checking and timing one candidate")->capture_default_str();
    app.add_option("--timeout-ratio", line.timeout_ratio,
                   "the same as a multiple of what the default schedule takes to compile and run, 5 s at least; 0: no such limit")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1e6));
    app.add_option("--rounds", line.rounds, "interleaved rounds that decide in the end")
        ->capture_default_str()
        ->check(CLI::Range(5, 1000));
    app.add_flag("--cold", line.cold, "empty the caches before each call");
}

void declare_output(CLI::App& app, TuningLine& line) {
    app.add_option("-o,--out", line.out, "write the best schedule to this file, as JSON");
    app.add_flag("--json", line.json, "print an event a line, as JSON");
}

void add_run(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("run", "tunes a generator: searches, checks, measures, and keeps every trial on the disk");
    auto line = std::make_shared<TuningLine>();
    declare(*sub, *line);
    declare_output(*sub, *line);
    auto* journal = sub->add_option("--journal", line->journal, "a file to keep the trials in; initially <generator>.journal");
    sub->add_option(
           "--db", line->db,
           "keep them in this schedule database, where builds find the winner; starts from what it has for relatives of the "
           "kernel and with its cost model")
        ->excludes(journal);
    sub->footer(
        "Every candidate is checked against the default schedule before it is timed. Ctrl-C ends after the running trial, and\n"
        "tessera-tune resume goes on; after kill -9 as well. No trial but the running one is ever lost. The status is 130 when\n"
        "it was stopped, 1 when nothing ran. A result that is not clearly faster than the default is the default.");
    sub->callback([line, sub, &status] {
        // What resume reads: the options of the search as they were given.
        std::vector<std::string> argv;
        CLI::App session_app;
        TuningLine ignored;
        declare(session_app, ignored);
        for (const CLI::Option* option : sub->get_options())
            if (option->count() > 0 && session_app.get_option_no_throw(option->get_name()) != nullptr)
                for (const std::string& value :
                     option->get_items_expected_max() == 0 ? std::vector<std::string>{""} : option->results()) {
                    if (!option->get_positional()) argv.push_back(option->get_name());
                    if (option->get_items_expected_max() != 0) argv.push_back(value);
                }
        status = run_new(*line, argv);
    });
}

void add_resume(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("resume", "goes on with a session that was stopped, at whatever moment");
    auto line = std::make_shared<TuningLine>();
    sub->add_option("session", line->session, "its journal; with --db the beginning of its id")->required();
    sub->add_option("--db", line->db, "the database that it is in");
    declare_output(*sub, *line);
    sub->callback([line, &status] { status = resume(*line); });
}

}  // namespace tessera_tune
