#include "session_store.h"
#include "subcommands.h"

#include <tessera/tune_strategy.h>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

namespace tessera_tune {
namespace {

using namespace tessera;
using namespace tessera::tune;

struct ReplayLine {
    std::string spaces, strategy = "hybrid";
    int seeds = 20;
    std::size_t batch = 4;
    bool siblings = false;
};
struct Record {
    std::string name;
    std::unique_ptr<RecordedSpace> space;
};
struct Reached {
    double at64 = 0, at128 = 0, at240 = 0, runs95 = 0;
    void add(const Reached& r, double share) {
        at64 += r.at64 * share;
        at128 += r.at128 * share;
        at240 += r.at240 * share;
        runs95 += r.runs95 * share;
    }
};

// "convolution_A100" and "convolution_A4000" are of one kernel: siblings of each other.
std::string kernel_name(const std::string& name) { return name.substr(0, name.find('_')); }

std::vector<Record> read_records(const std::string& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(".csv") || name.ends_with(".csv.gz")) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::vector<Record> out;
    for (const auto& file : files) {
        const std::string name = file.filename().string();
        out.push_back({name.substr(0, name.find(".csv")), std::make_unique<RecordedSpace>(file.string())});
    }
    return out;
}

// What a session on the sibling's device would try first here.
std::vector<Point> starts_from(const RecordedSpace& space, const RecordedSpace& sibling, std::uint64_t seed,
                               const ReplayOptions& options) {
    std::vector<Outcome> here;
    for (Outcome& o : replay(sibling, seed, options).outcomes)
        if (auto point = space.find(o.point)) here.push_back({std::move(*point), o.seconds});
    return varied_starts(here, most_transferred);
}

Reached replay_seeds(const RecordedSpace& space, const ReplayLine& line, const RecordedSpace* sibling) {
    Reached sum;
    for (int seed = 1; seed <= line.seeds; ++seed) {
        ReplayOptions options{.strategy = line.strategy, .trials = 240, .batch = line.batch, .first = {}};
        if (sibling) options.first = starts_from(space, *sibling, static_cast<std::uint64_t>(seed), options);
        const ReplayRun run = replay(space, static_cast<std::uint64_t>(seed), options);
        sum.add({run.reached[63], run.reached[127], run.reached[239], run.reached[239] >= 0.95 ? 1.0 : 0.0}, 1.0 / line.seeds);
    }
    return sum;
}

void print_row(const std::string& name, const Reached& r) {
    fmt::print("{:32} {:.3f}  {:.3f}  {:.3f}  {:4.0f} %\n", name, r.at64, r.at128, r.at240, 100 * r.runs95);
}

int run_replay(const ReplayLine& line) {
    if (!std::filesystem::is_directory(line.spaces)) {
        fmt::print("skipped: there is no folder {}\n", line.spaces);
        return 0;
    }
    const std::vector<Record> records = read_records(line.spaces);
    std::vector<std::tuple<std::string, const RecordedSpace*, const RecordedSpace*>> starts;
    for (const Record& record : records) {
        if (!line.siblings) starts.emplace_back(record.name, record.space.get(), nullptr);
        for (const Record& other : records)
            if (line.siblings && &other != &record && kernel_name(other.name) == kernel_name(record.name))
                starts.emplace_back(record.name + " from " + other.name.substr(other.name.find('_') + 1), record.space.get(),
                                    other.space.get());
    }
    if (starts.empty()) {
        fmt::print("skipped: {}\n", records.empty() ? line.spaces + " has no .csv or .csv.gz"
                                                    : "no two records are of one kernel (<kernel>_<device>.csv)");
        return 0;
    }
    fmt::print(
        "{}, seeds 1 to {}: the mean share of the optimum after so many trials, and the runs that reached .95\n{:32} {:5}  {:5}  "
        "{:5}  {:>5}\n",
        line.strategy, line.seeds, "", "64", "128", "240", "runs");
    Reached mean;
    for (const auto& [name, space, sibling] : starts) {
        const Reached r = replay_seeds(*space, line, sibling);
        print_row(name, r);
        std::fflush(stdout);
        mean.add(r, 1.0 / static_cast<double>(starts.size()));
    }
    print_row("mean", mean);
    return 0;
}

}  // namespace

void add_replay(CLI::App& app, int& status) {
    auto* sub = app.add_subcommand("replay", "runs a strategy on recorded spaces, without a device");
    auto line = std::make_shared<ReplayLine>();
    sub->add_option("--spaces", line->spaces, "a folder of records: <kernel>_<device>.csv or .csv.gz")->required();
    sub->add_option("--strategy", line->strategy, "grid, random, evolutionary, model, hybrid")->capture_default_str();
    sub->add_option("--seeds", line->seeds, "runs with seeds 1 to this")->capture_default_str()->check(CLI::Range(1, 1000));
    sub->add_option("--batch", line->batch, "points that are asked for at once")->capture_default_str()->check(CLI::Range(1, 64));
    sub->add_flag("--siblings", line->siblings, "start from 8 fast points of a session of the same kernel on another device");
    sub->callback([line, &status] { status = run_replay(*line); });
}

}  // namespace tessera_tune
