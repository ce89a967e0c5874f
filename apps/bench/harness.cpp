#include "harness.h"

#include <bit>
#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "bootstrap.h"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr Seconds short_run{50e-6};
constexpr Seconds batch_time{200e-6};
// Workers of OpenBLAS and of thread pools spin after a call and would take the processor from the next program.
constexpr std::chrono::milliseconds settle_time{2};
// A worker that just woke may share its waker's processor until the kernel moves it.
constexpr Seconds parallel_warm_up{30e-3};
constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();

Seconds time_of(const Contestant& contestant, int calls) {
    if (contestant.seconds_of) return Seconds(contestant.seconds_of(calls)) / calls;
    const auto start = Clock::now();
    for (int i = 0; i < calls; ++i) contestant.run();
    return (Clock::now() - start) / calls;
}

/// The calls of one measurement: 1, or as many short ones as fill a batch.
int batch_size(const Contestant& contestant) {
    time_of(contestant, 1);
    Seconds once = time_of(contestant, 1);
    if (once < short_run) once = time_of(contestant, 16);
    return once < short_run ? static_cast<int>(std::ceil(batch_time / once)) : 1;
}

Seconds measure_once(const Contestant& contestant, int calls, int threads) {
    if (contestant.use_threads) contestant.use_threads(threads);
    if (threads > 1) std::this_thread::sleep_for(settle_time);
    const auto start = Clock::now();
    do {
        time_of(contestant, calls);
    } while (threads > 1 && Clock::now() - start < parallel_warm_up);
    return time_of(contestant, calls);
}

/// Ours against one opponent: a ratio per pair.
struct Contest {
    const Contestant* opponent;
    int calls = 1;
    std::vector<double> ratios, ours, theirs;

    /// One pair; who starts alternates, so that neither always profits from what the other left behind.
    void add_pair(const Contestant& us, int our_calls, int threads, bool we_start) {
        Seconds our_time{}, their_time{};
        if (we_start) our_time = measure_once(us, our_calls, threads);
        their_time = measure_once(*opponent, calls, threads);
        if (!we_start) our_time = measure_once(us, our_calls, threads);
        ratios.push_back(their_time / our_time);
        ours.push_back(our_time.count() * 1e3);
        theirs.push_back(their_time.count() * 1e3);
    }

    void fill(Row& row) const {
        row.ratio = median(ratios);
        const Interval interval = bootstrap_median(ratios);
        row.low = interval.low;
        row.high = interval.high;
        row.our_milliseconds = median(ours);
        row.rival_milliseconds = median(theirs);
    }
};

void append(std::string& note, const std::string& text) {
    if (!text.empty()) note += (note.empty() ? "" : "; ") + text;
}

/// Rows of one thread count: the A/A row first.
std::vector<Row> measure_at(const Case& c, int threads, int pairs) {
    const auto start = [&](const Contestant& contestant) {
        if (contestant.use_threads) contestant.use_threads(threads);
        return batch_size(contestant);
    };
    const int our_calls = start(c.ours);
    if (c.keep) c.keep();
    std::vector<Row> rows{{.case_name = c.name, .rival = "A/A", .threads = threads, .checked = true}};
    std::vector<Contest> contests{{.opponent = &c.ours, .calls = our_calls}};
    for (const Rival& rival : c.rivals) {
        Row& row =
            rows.emplace_back(Row{.case_name = c.name, .rival = rival.contestant.name, .threads = threads, .note = rival.note});
        if (!rival.contestant.is_there()) {
            row.ratio = row.low = row.high = row.our_milliseconds = row.rival_milliseconds = not_measured;
            continue;
        }
        contests.push_back({.opponent = &rival.contestant, .calls = start(rival.contestant)});
        const std::string difference = rival.difference ? rival.difference() : "outputs not compared";
        row.checked = difference.empty();
        append(row.note, difference);
    }
    for (int pair = 0; pair < pairs; ++pair) {
        for (Contest& contest : contests) contest.add_pair(c.ours, our_calls, threads, pair % 2 == 0);
    }
    auto contest = contests.begin();
    for (Row& row : rows) {
        if (!std::isnan(row.ratio)) (contest++)->fill(row);
    }
    return rows;
}

bool noisy(const Row& self) { return std::abs(self.ratio - 1) > noisy_beyond; }

}  // namespace

std::vector<Row> measure(const Case& c, const MeasureOptions& options) {
    if (options.pairs < least_pairs) {
        throw std::invalid_argument(
            fmt::format("{} pairs are too few for an interval; {} is the least", options.pairs, least_pairs));
    }
    if (!c.ours.is_there()) throw std::invalid_argument(fmt::format("case {}: ours cannot be run", c.name));
    std::vector<Row> all;
    for (const int threads : options.threads) {
        std::vector<Row> rows = measure_at(c, threads, options.pairs);
        for (int attempt = 1; attempt < options.attempts && noisy(rows.front()); ++attempt)
            rows = measure_at(c, threads, options.pairs);
        if (noisy(rows.front())) {
            for (Row& row : rows) append(row.note, "noisy");
        }
        all.insert(all.end(), rows.begin(), rows.end());
    }
    return all;
}

std::string float_difference(const std::vector<float>& ours, const std::vector<float>& theirs, double tolerance) {
    if (ours.size() != theirs.size()) return fmt::format("{} elements against {}", ours.size(), theirs.size());
    std::size_t count = 0, first = 0;
    double largest = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
        if (std::bit_cast<unsigned>(ours[i]) == std::bit_cast<unsigned>(theirs[i])) continue;
        if (std::isnan(ours[i]) && std::isnan(theirs[i])) continue;
        const double apart = std::abs(double(ours[i]) - double(theirs[i]));
        if (tolerance > 0 && apart <= tolerance) continue;
        if (count++ == 0) first = i;
        largest = std::max(largest, apart);
    }
    if (count == 0) return "";
    return fmt::format("{} of {} elements differ by up to {:.3g} (tolerance {:.3g}), the first at {}: {} against {}", count,
                       ours.size(), largest, tolerance, first, ours[first], theirs[first]);
}

}  // namespace bench
