#pragma once

#include <tessera/schedule_source.h>
#include <tessera/tune.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tessera::tune {

/// What a journal holds: a line of JSON for the session, then one for every trial as it was made.
struct Journal {
    std::string header;  // as begin() was given it
    std::vector<TrialRow> rows;
    std::map<std::size_t, std::vector<double>> rounds;  // of the trials in the interleaved rounds at the end
    struct Decision {
        std::size_t ordinal = 0;
        std::optional<Interval> speedup;
    };
    std::optional<Decision> decision;  // set: the session is over
};
/// A torn last line, of a tuner that was killed, counts as not written. Throws E0605 for a file that cannot be read, E0601 with
/// the line for one that is no journal.
[[nodiscard]] Journal read_journal(const std::string& path);

/// Where a session was measured, as its header has it, and back. Throws E0602.
[[nodiscard]] std::string context_json(const BuildContext& context);
[[nodiscard]] BuildContext context_from(const std::string& json);

/// A session's log: what was there when it was opened, and what has come since.
class SessionLog : public TrialLog {
public:
    [[nodiscard]] virtual const Journal& journal() const = 0;
    /// The words after `tessera-tune resume` that go on with it.
    [[nodiscard]] virtual std::string resume_words() const = 0;
};

/// Keeps trials in a file: each is on the disk before the next begins.
class JournalLog : public SessionLog {
public:
    /// Makes the file; `header` is JSON. Throws E0605 when it exists already or cannot be made.
    [[nodiscard]] static JournalLog begin(const std::string& path, const std::string& header);
    /// Goes on with it. Throws what read_journal() throws, and E0605 when another process has it open.
    [[nodiscard]] static JournalLog resume(const std::string& path);
    JournalLog(JournalLog&&) noexcept;
    ~JournalLog() override;

    [[nodiscard]] const Journal& journal() const override;
    [[nodiscard]] std::string resume_words() const override;
    [[nodiscard]] std::optional<TrialRow> recall(std::size_t ordinal, const Schedule& schedule) override;
    void record(const TrialRow& row) override;
    void record_rounds(std::size_t ordinal, const std::vector<double>& rounds) override;
    void record_decision(std::size_t ordinal, const std::optional<Interval>& speedup) override;

private:
    JournalLog();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace tessera::tune
