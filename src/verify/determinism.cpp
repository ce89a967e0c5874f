#include <tessera/determinism.h>
#include <tessera/tessera_runtime.h>

#include "autodiff/names.h"
#include "verify/probe.h"

#include <fmt/format.h>

#include <cstring>

namespace tessera {
namespace {

class ThreadCount {
public:
    ThreadCount() : before_(tessera_num_threads()) {}
    ThreadCount(const ThreadCount&) = delete;
    ThreadCount& operator=(const ThreadCount&) = delete;
    ~ThreadCount() { tessera_set_num_threads(before_); }

private:
    int before_;
};

struct Run {
    size_t schedule;
    int threads, repeat;
    [[nodiscard]] std::string text() const {
        return fmt::format("schedule {}, {} thread{}, run {}", schedule, threads, threads == 1 ? "" : "s", repeat);
    }
};

// The first element of two dense buffers of one shape whose bits differ.
std::optional<std::int64_t> first_difference(const AnyBuffer& a, const AnyBuffer& b) {
    const size_t bytes = tessera_dtype_bytes(a.dtype());
    const auto *left = static_cast<const char*>(a.data()), *right = static_cast<const char*>(b.data());
    for (std::int64_t i = 0; i < a.size(); ++i) {
        const size_t at = static_cast<size_t>(i) * bytes;
        if (std::memcmp(left + at, right + at, bytes) != 0) return i;
    }
    return std::nullopt;
}

// Every stage that is not inline is stored for itself, with its own loops: what others read as well may be computed there.
Schedule stored_stages(Schedule schedule) {
    const auto stored = [](std::map<std::string, StageSpec>& stages) {
        for (auto& [name, spec] : stages) {
            if (spec.compute && spec.compute->kind == Compute::Kind::inline_) continue;
            spec.compute = Compute{Compute::Kind::root, {}};
            spec.fuse_with.reset();
            spec.store = {};
        }
    };
    stored(schedule.stages);
    for (Variant& v : schedule.variants) stored(v.stages);
    return schedule;
}

class Comparison {
public:
    Comparison(const Algorithm& algorithm, const NamedInputs& inputs, const DeterminismOptions& options)
        : algorithm_(algorithm), inputs_(inputs), options_(options), extents_(extents_of(algorithm, inputs)) {}

    // The runs that gave different bits for one of the outputs, and which.
    struct Found {
        Run left, right;
        std::string output;
        std::int64_t position;
        AnyBuffer left_values, right_values;
    };
    // `wanted`: the first in this order counts, else any output of the first run that differs.
    std::optional<Found> run(const std::vector<Schedule>& schedules, const std::vector<std::string>& order, int& runs) {
        std::optional<NamedOutputs> reference;
        Run first{};
        for (size_t s = 0; s < schedules.size(); ++s) {
            const Module module = compile(algorithm_, schedules[s], options_.target);
            for (const int threads : options_.threads)
                for (int repeat = 0; repeat < options_.runs; ++repeat) {
                    tessera_set_num_threads(threads);
                    NamedOutputs outputs = allocated_outputs(algorithm_, extents_);
                    module(inputs_, outputs);
                    ++runs;
                    const Run this_run{s, threads, repeat};
                    if (!reference) {
                        reference = std::move(outputs);
                        first = this_run;
                        continue;
                    }
                    for (const std::string& name : order)
                        if (const auto at = first_difference(reference->at(name), outputs.at(name)))
                            return Found{first, this_run, name, *at, reference->at(name), outputs.at(name)};
                }
        }
        return std::nullopt;
    }
    [[nodiscard]] ExtentValues& extents() { return extents_; }

private:
    const Algorithm& algorithm_;
    const NamedInputs& inputs_;
    const DeterminismOptions& options_;
    ExtentValues extents_;
};

Difference made_difference(const Comparison::Found& found) {
    Difference d;
    d.left_run = found.left.text();
    d.right_run = found.right.text();
    d.left = numbers_of(found.left_values)[static_cast<size_t>(found.position)];
    d.right = numbers_of(found.right_values)[static_cast<size_t>(found.position)];
    return d;
}

// All definitions as outputs of their own; what was fused or kept in registers is stored.
std::optional<Difference> located(const Algorithm& algorithm, const std::vector<Schedule>& schedules, const NamedInputs& inputs,
                                  const DeterminismOptions& options) {
    const std::vector<Probe> probes = probes_of(algorithm, false);
    NameSupply names(algorithm.state());
    std::vector<Func> cells;
    std::vector<std::string> order;
    for (const Probe& p : probes) {
        cells.push_back(p.cells(names.func(p.name() + "/cells")));
        order.push_back(cells.back().name());
    }
    const Algorithm all = with_outputs(algorithm, cells);
    std::vector<Schedule> stored;
    for (const Schedule& s : schedules) {
        stored.push_back(stored_stages(s));
        for (const std::string& name : order) stored.back().stage(name).root();
    }
    Comparison comparison(all, inputs, options);
    int runs = 0;
    const auto found = comparison.run(stored, order, runs);
    if (!found) return std::nullopt;
    size_t k = 0;
    while (order[k] != found->output) ++k;
    Difference d = made_difference(*found);
    d.func = probes[k].name();
    d.index = probes[k].index(found->position, comparison.extents());
    d.where = probes[k].func.state()->where;
    return d;
}

}  // namespace

std::string DeterminismReport::text() const {
    if (same()) return fmt::format("{} runs gave the same bits\n", runs);
    const Difference& d = *first;
    std::string out =
        fmt::format("error: {} at {} differs between runs: {} and {}\n", d.func, place_text(d.index), d.left, d.right);
    if (d.where.known()) out += fmt::format("  --> {}:{}\n", d.where.file, d.where.line);
    out += fmt::format("  {} in {}\n  {} in {}\n", d.left, d.left_run, d.right, d.right_run);
    if (!d.located) out += "  the difference does not show when every definition is stored\n";
    if (d.left_run.substr(0, d.left_run.find(',')) != d.right_run.substr(0, d.right_run.find(',')))
        out += "  possible fix: give its sum an order that belongs to the algorithm: Order::ascending() or Order::kahan()\n";
    return out;
}

DeterminismReport verify_determinism(const Algorithm& algorithm, const std::vector<Schedule>& schedules,
                                     const NamedInputs& inputs, const DeterminismOptions& options) {
    const ThreadCount restored;
    std::vector<std::string> order;
    for (const Func& f : algorithm.outputs())
        for (const std::string& name : buffer_names(f)) order.push_back(name);
    DeterminismReport report;
    Comparison comparison(algorithm, inputs, options);
    const auto found = comparison.run(schedules, order, report.runs);
    if (!found) return report;
    report.first = located(algorithm, schedules, inputs, options);
    if (report.first) return report;
    Difference d = made_difference(*found);
    d.func = found->output;
    d.index = index_at(found->position, found->left_values.extents());
    d.located = false;
    for (const Func& f : algorithm.outputs())
        for (const std::string& name : buffer_names(f))
            if (name == found->output) d.where = f.state()->where;
    report.first = std::move(d);
    return report;
}

}  // namespace tessera
