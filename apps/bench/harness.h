// Measures one program against rivals so that a slow or busy machine cannot favour either: interleaved pairs, the median of
// their ratios with a bootstrap interval, a comparison of the program with itself (A/A) that says how far to trust the others.
#pragma once

#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// Something that can be run again and again on buffers of its own.
struct Contestant {
    std::string name;
    std::function<void()> run;
    std::function<void(int)> use_threads = {};  // called before the runs with that count; empty: one thread whatever is asked
    // The seconds of that many calls, of a program in another process, which times itself. Without it `run` is timed.
    std::function<double(int)> seconds_of = {};

    [[nodiscard]] bool is_there() const { return run || seconds_of; }
};

/// What ours is compared with. Without a way to run it the row says `note` (a library that is not there) and has no ratio.
struct Rival {
    Contestant contestant;
    std::function<std::string()> difference;  // after it ran, and ours before: how the outputs differ, "" when they agree
    std::string note = {};
};

/// The least that a case must do: operations, in f32 lanes (two u16 are one), and bytes that come from memory or go there.
struct Work {
    double operations = 0;
    double bytes = 0;
};

struct Case {
    std::string name;
    Contestant ours;
    std::vector<Rival> rivals;
    Work work = {};
    // After ours ran: keeps its output for the comparisons. Contestants write to one array where they can, since where an array
    // lies in memory alone may change times by a tenth.
    std::function<void()> keep = {};
};

/// One comparison. ratio = the rival's time / ours: above 1 ours is faster. low, high: 95 % interval of the ratio's median.
struct Row {
    std::string case_name;
    std::string rival;
    int threads = 1;
    double ratio = 0;  // NaN when nothing was measured, as are low and high
    double low = 0;
    double high = 0;
    bool checked = false;  // the outputs were compared, and agree
    std::string note;
    double our_milliseconds = 0;  // medians
    double rival_milliseconds = 0;
    double roofline = std::numeric_limits<double>::quiet_NaN();  // the least time of the case's work on this machine / ours
};

struct MeasureOptions {
    int pairs = 101;  // at least 31
    std::vector<int> threads{1, 2};
    int attempts = 3;  // a round of pairs whose A/A row is noisy is measured again at most this often in all
};

inline constexpr int least_pairs = 31;
/// An A/A ratio further than this from 1 marks every row of that case and thread count `noisy`.
inline constexpr double noisy_beyond = 0.03;

/// The rows of one case: per thread count the A/A row, then one per rival. Every measurement is preceded by a pause that lets the
/// spinning workers of the other program sleep and by untimed calls; runs under 50 us are timed in batches of 200 us.
/// Throws std::invalid_argument for fewer than 31 pairs or a case whose `ours` does not run.
[[nodiscard]] std::vector<Row> measure(const Case&, const MeasureOptions& = {});

/// Names and values, in the order of printing: processor, compiler, library versions.
using Facts = std::vector<std::pair<std::string, std::string>>;

/// Processor, instruction sets, processors online, memory, kernel, load and compiler of this machine.
[[nodiscard]] Facts machine_facts();

/// {"machine": {…}, "versions": {…}, "rows": [{case, rival, threads, ratio, low, high, checked, note, ours_ms, rival_ms,
/// roofline}]}; NaN
/// is null.
[[nodiscard]] std::string json_report(const std::vector<Row>&, const Facts& machine, const Facts& versions);
/// The same as Markdown.
[[nodiscard]] std::string markdown_report(const std::vector<Row>&, const Facts& machine, const Facts& versions);
/// The ratios as a picture.
[[nodiscard]] std::string svg_report(const std::vector<Row>&);

/// How two arrays of floats differ, "" when every |a - b| <= tolerance; NaN agrees with NaN. Tolerance 0 asks for equal bits.
[[nodiscard]] std::string float_difference(const std::vector<float>& ours, const std::vector<float>& theirs, double tolerance);

}  // namespace bench
