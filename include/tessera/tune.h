#pragma once

#include <tessera/tune_measure.h>
#include <tessera/tune_space.h>
#include <tessera/tune_strategy.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// The autotuner: searches schedules of an algorithm on this machine, checks and measures each, and decides.
namespace tessera::tune {

/// One candidate that was tried.
struct TrialRow {
    std::size_t ordinal = 0;
    Schedule schedule;
    std::string origin;  // "default", "candidate", or the strategy
    Measured measured;
    std::optional<double> seconds;    // the least sample
    std::optional<double> predicted;  // by the analytic model
    std::string loop_tree_hash;
};

/// Where trials are kept as they are made, and recalled from when a session goes on.
class TrialLog {
public:
    virtual ~TrialLog() = default;
    /// The trial of this ordinal if it was already made with this schedule; the tuner then does not measure.
    [[nodiscard]] virtual std::optional<TrialRow> recall(std::size_t ordinal, const Schedule& schedule) = 0;
    virtual void record(const TrialRow& row) = 0;
    /// The times of a recorded trial in the interleaved rounds at the end.
    virtual void record_rounds(std::size_t ordinal, const std::vector<double>& rounds) = 0;
    /// Which trial those rounds chose, and the default's time over its time; no interval when the default did not run.
    virtual void record_decision(std::size_t, const std::optional<Interval>&) {}
};
/// Keeps trials in memory only.
class MemoryLog : public TrialLog {
public:
    [[nodiscard]] std::optional<TrialRow> recall(std::size_t ordinal, const Schedule& schedule) override;
    void record(const TrialRow& row) override { rows_.push_back(row); }
    void record_rounds(std::size_t, const std::vector<double>&) override {}
    [[nodiscard]] const std::vector<TrialRow>& rows() const { return rows_; }

private:
    std::vector<TrialRow> rows_;
};
/// What is told after every trial.
struct TuneProgress {
    const TrialRow& trial;
    bool recalled = false;  // from an earlier run of the session
    bool improved = false;
    std::size_t trials = 0, budget = 0;
    std::optional<double> best_seconds, default_seconds;
    double elapsed_seconds = 0;
    std::map<Verdict, std::size_t> failures;
};

struct TuneOptions {
    Target target;
    SpaceOptions space;  // its extents are also those that are measured
    MeasureOptions measure;
    std::string strategy = "hybrid";
    std::uint64_t seed = 1;
    std::size_t trials = 200;
    std::size_t batch = 16;
    double seconds = 0;                     // stop after this time; 0: no limit
    std::size_t patience = 0;               // stop after so many trials without progress; 0: no limit
    std::vector<Schedule> candidates = {};  // tried first: written by hand, found for relatives
    int final_rounds = 15;
    std::function<bool()> stop = {};  // asked between trials
    std::function<void(const TuneProgress&)> progress = {};
};

/// The written schedules whose sizes a session searches: the default and the first candidates, three at most.
[[nodiscard]] std::vector<Schedule> searched_forms(const Schedule& initial, const std::vector<Schedule>& candidates);

struct TuneResult {
    Schedule best;
    std::optional<std::size_t> best_ordinal;
    std::optional<double> best_seconds, default_seconds;  // medians of the final rounds
    /// The default's time over the best's, with its 95 % interval; a best that is not clearly faster is the default itself.
    Interval speedup;
    bool stopped = false;  // by `stop`: the final rounds were not run
    std::string reason;    // why the search ended, and how it was decided
    std::vector<TrialRow> trials;
};

/// Searches. The same options on the same machine ask for the same trials as long as the same come back: a session that was ended
/// at any moment goes on by calling this again with its log. Throws what ScheduleSpace and Runner throw; a candidate that fails
/// is a row.
[[nodiscard]] TuneResult tune(const Algorithm& algorithm, const TuneOptions& options, TrialLog& log);
/// With something else that measures.
[[nodiscard]] TuneResult tune(const Algorithm& algorithm, const TuneOptions& options, TrialLog& log, Measurer& measurer);

}  // namespace tessera::tune
