#pragma once

#include <tessera/schedule_source.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// The team's database of measured schedules: facts that are only added, under hashes of their contents, so that merging two
/// databases is the union of their sets. Builds look schedules up in it.
namespace tessera {

struct DbOptions {
    bool create = false;  // where there is no file
    bool read_only = false;
    double busy_seconds = 30;  // how long to wait for another process that writes
};

struct SessionFact {
    Algorithm algorithm;
    std::string header;        // JSON; what the session needs to go on
    std::string token;         // tells sessions apart that are equal otherwise
    std::int64_t started = 0;  // seconds since 1970
};
struct TrialFact {
    std::size_t ordinal = 0;
    Schedule schedule;  // in the names of the session's algorithm
    std::map<std::string, std::int64_t> extents;
    BuildContext context;
    int threads = 1;
    bool cold = false;
    std::string origin, status, error, loop_tree, object_code;
    bool checked = false;
    std::optional<double> predicted;
    double compile_seconds = 0;
    std::vector<double> samples;
};
/// How a session ended: which trial is best, and the default's time over its time with the 95 % interval.
struct DecisionFact {
    std::size_t ordinal = 0;
    std::optional<double> low, median, high;
};
struct StoredTrial {
    TrialFact fact;
    std::vector<double> rounds;
};
struct StoredSession {
    std::string id, header;
    std::int64_t started = 0;
    std::vector<StoredTrial> trials;  // by ordinal
    std::optional<DecisionFact> decision;
};
struct SessionSummary {
    std::string id, header, kernel;
    std::int64_t started = 0;
    std::size_t trials = 0;
    bool decided = false;
};
/// What won for one kernel, shape, machine, toolchain, threads and cache mode.
struct BestRow {
    std::string kernel, shape, machine, micro_architecture, toolchain, target;
    int threads = 1;
    bool cold = false;
    std::string session, header, schedule_hash;
    Schedule schedule;                                      // in canonical names
    double seconds = 0, seconds_low = 0, seconds_high = 0;  // of the final rounds
    std::optional<double> speedup;
    std::size_t trials = 0;  // of its session
};
/// One trial of a schedule.
struct ScheduleUse {
    std::string hash, kernel, shape, machine, session, header, status;
    Schedule schedule;  // in canonical names
    std::size_t ordinal = 0;
    std::optional<double> seconds;  // the least
    bool won = false;
};
struct StoredModel {
    std::string id, json, trained_on;
    double pairwise = 0, best_of_top10 = 0;
    std::size_t trials = 0, groups = 0;
};
/// Rows per table.
using DbCounts = std::map<std::string, std::size_t>;

class ScheduleDb : public ScheduleSource {
public:
    /// Throws E0605 (no such file, a network file system, read-only, locked, a full disk), E0601 (corrupt, truncated, or no
    /// schedule database). One of a newer version opens for reading only: writes throw E0603.
    [[nodiscard]] static ScheduleDb open(const std::string& path, const DbOptions& options = {});
    ScheduleDb(ScheduleDb&&) noexcept;
    ~ScheduleDb() override;

    /// Why nothing can be written; "" when it can.
    [[nodiscard]] const std::string& read_only_because() const;

    // Facts. Each call is one short transaction; what is there already is left as it is.
    [[nodiscard]] std::string begin_session(const SessionFact& fact);
    void record(const std::string& session, const TrialFact& fact);
    /// The times of a recorded trial in the interleaved rounds at the end.
    void record_rounds(const std::string& session, std::size_t ordinal, const std::vector<double>& rounds);
    void decide(const std::string& session, const DecisionFact& fact);
    /// The schedule never answers again for this kernel and target.
    void quarantine(const Algorithm& algorithm, const Schedule& schedule, const BuildContext& context, const std::string& reason);
    std::string store_model(const StoredModel& model);

    // Questions.
    [[nodiscard]] std::string name() const override;
    [[nodiscard]] FoundSchedule find(const Algorithm& algorithm, const Target& target) const override;
    /// find(), with a line for every row that was looked at.
    [[nodiscard]] FoundSchedule explain(const Algorithm& algorithm, const BuildContext& context,
                                        std::vector<std::string>* trace) const;
    /// At most `count` schedules that bind, one of each: what would answer first, then what was tuned for other processors.
    [[nodiscard]] std::vector<FoundSchedule> relatives(const Algorithm& algorithm, const BuildContext& context,
                                                       std::size_t count) const;
    [[nodiscard]] std::vector<SessionSummary> sessions() const;
    /// By id or its beginning. Throws E0805 when there is none, or several.
    [[nodiscard]] StoredSession session(const std::string& id) const;
    /// Of every kernel, or of one.
    [[nodiscard]] std::vector<BestRow> best(const std::string& kernel = "") const;
    /// The trials of schedules by the beginning of their hash, as headers and metadata of libraries state it.
    [[nodiscard]] std::vector<ScheduleUse> uses(const std::string& schedule_hash) const;
    /// The model of an id, or the one that was trained on most; nothing where there is none.
    [[nodiscard]] std::optional<StoredModel> model(const std::string& id = "") const;

    // Sharing. The folder has a file of sorted JSON lines for each kernel; an import is all or nothing. import_file() throws
    // E0601 with the line, E0602, E0604 for what is no fact, or not what its id says.
    std::size_t export_to(const std::string& folder) const;
    DbCounts import_file(const std::string& path);
    /// Every .jsonl of a folder, as one import.
    DbCounts import_folder(const std::string& folder);
    DbCounts merge(const ScheduleDb& other);

    // Upkeep.
    /// What is wrong with it, a line each: integrity of the file, references, hashes, schedules that do not parse.
    [[nodiscard]] std::vector<std::string> check() const;
    [[nodiscard]] DbCounts counts() const;
    /// Removes the trials of decided sessions but winners, defaults and the `keep` fastest, and rows that nothing refers to.
    DbCounts collect(std::size_t keep);

    struct State;

private:
    explicit ScheduleDb(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace tessera
