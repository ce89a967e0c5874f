#pragma once

#include <tessera/schedule_db.h>
#include <tessera/tune_journal.h>
#include <tessera/tune_space.h>

#include <memory>
#include <string>
#include <vector>

namespace tessera::tune {

/// Keeps trials in a schedule database: each is on the disk before the next begins.
class DatabaseLog : public SessionLog {
public:
    /// Starts a session. `header` is JSON as of a journal, with "extents", "context", "threads", "cold" and "started".
    [[nodiscard]] static DatabaseLog begin(const std::string& path, const Algorithm& algorithm, const std::string& header);
    /// Goes on with one, given by the beginning of its id. Throws E0605 when another process tunes it.
    [[nodiscard]] static DatabaseLog resume(const std::string& path, const std::string& session);
    DatabaseLog(DatabaseLog&&) noexcept;
    ~DatabaseLog() override;

    [[nodiscard]] const std::string& session() const;
    [[nodiscard]] const Journal& journal() const override;
    [[nodiscard]] std::string resume_words() const override;
    [[nodiscard]] std::optional<TrialRow> recall(std::size_t ordinal, const Schedule& schedule) override;
    void record(const TrialRow& row) override;
    void record_rounds(std::size_t ordinal, const std::vector<double>& rounds) override;
    void record_decision(std::size_t ordinal, const std::optional<Interval>& speedup) override;

private:
    DatabaseLog();
    struct State;
    std::unique_ptr<State> state_;
};

/// A session of a database as a journal.
[[nodiscard]] Journal journal_of(const StoredSession& session);
/// Adds a journal to a database, once: importing it again adds nothing. Returns the session's id. Throws E0602 for one that does
/// not say where it was measured.
std::string import_journal(ScheduleDb& db, const Journal& journal);

/// What a session on `target` starts from: the winners of relatives of the kernel (of other machines, sizes and toolchains),
/// nearest first, then what the nearest one's session found fast and unlike its winner (varied_starts()). At most `count`.
[[nodiscard]] std::vector<Schedule> transferred_schedules(const ScheduleDb& db, const Algorithm& algorithm, const Target& target,
                                                          const SpaceOptions& options, std::size_t count);

}  // namespace tessera::tune
