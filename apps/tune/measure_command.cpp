#include "generator_options.h"
#include "subcommands.h"
#include "time_text.h"

#include <tessera/schedule_default.h>
#include <tessera/tune_measure.h>

#include <fmt/format.h>

#include <memory>

namespace tessera_tune {
namespace {

using namespace tessera;
using namespace tessera::tune;

struct MeasureLine {
    GeneratorChoice generator;
    std::vector<std::string> extents, schedules;
    std::string target = "host";
    int rounds = 15, threads = 0;
    double timeout = 30;
    bool cold = false;
};

int run_measure(const MeasureLine& line) {
    const DescribedGenerator described = describe(line.generator);
    const Target target = parse_target(line.target);
    std::vector<std::string> names{"default"};
    std::vector<Schedule> schedules{default_schedule(described.algorithm, target)};
    for (const std::string& file : line.schedules) {
        names.push_back(file);
        schedules.push_back(read_schedule(file));
    }
    const MeasureOptions options{.extents = integer_pairs(line.extents, "--extent"),
                                 .threads = line.threads,
                                 .cold = line.cold,
                                 .timeout_seconds = line.timeout};
    Runner runner(described.algorithm, target, options);
    int status = 0;
    std::vector<bool> right;
    for (std::size_t i = 0; i < schedules.size(); ++i) {
        const Measured m = runner.measure(schedules[i], 1);
        right.push_back(m.verdict == Verdict::ok);
        if (right.back()) continue;
        fmt::print("{}: {}: {}\n", names[i], word(m.verdict), m.error);
        status = 1;
    }
    const auto times = interleaved(runner, schedules, line.rounds);
    for (std::size_t i = 0; i < schedules.size(); ++i) {
        if (!right[i] || times[i].empty()) continue;
        const Interval t = bootstrap_median(times[i]);
        fmt::print("{}: median {} in [{}, {}]", names[i], time_text(t.median), time_text(t.low), time_text(t.high));
        if (i > 0 && times[0].size() == times[i].size()) {
            std::vector<double> ratios;
            for (std::size_t r = 0; r < times[i].size(); ++r) ratios.push_back(times[0][r] / times[i][r]);
            const Interval ratio = bootstrap_median(ratios);
            const char* verdict = faster(times[i], times[0]) ? "faster" : faster(times[0], times[i]) ? "slower" : "undecided";
            fmt::print("; {:.3f}x default in [{:.3f}, {:.3f}]: {}", ratio.median, ratio.low, ratio.high, verdict);
        }
        fmt::print("\n");
    }
    return status;
}

}  // namespace

void add_measure(CLI::App& app, int& status) {
    auto* sub =
        app.add_subcommand("measure", "checks schedules of a generator and times them against the default in interleaved rounds");
    auto line = std::make_shared<MeasureLine>();
    declare(*sub, line->generator);
    declare_extents(*sub, line->extents);
    sub->add_option("--schedule", line->schedules, "a schedule as JSON")->expected(1)->take_all();
    sub->add_option("--target", line->target, "host, x86-64-linux-avx2-fma")->capture_default_str();
    sub->add_option("--rounds", line->rounds, "interleaved rounds")->capture_default_str()->check(CLI::Range(5, 1000));
    sub->add_option("--threads", line->threads, "of a kernel; initially as many as the machine has");
    sub->add_option("--timeout", line->timeout, "seconds for compiling, checking and timing one schedule")->capture_default_str();
    sub->add_flag("--cold", line->cold, "empty the caches before each call");
    sub->callback([line, &status] { status = run_measure(*line); });
}

}  // namespace tessera_tune
