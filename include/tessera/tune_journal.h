#pragma once

#include <tessera/tune.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tessera::tune {

/// What a journal holds: a line of JSON for the session, then one for every trial as it was made.
struct Journal {
    std::string header;  // as begin() was given it
    std::vector<TrialRow> rows;
    std::map<std::size_t, std::vector<double>> rounds;  // of the trials in the interleaved rounds at the end
};
/// A torn last line, of a tuner that was killed, counts as not written. Throws E0605 for a file that cannot be read, E0601 with
/// the line for one that is no journal.
[[nodiscard]] Journal read_journal(const std::string& path);

/// Keeps trials in a file: each is on the disk before the next begins.
class JournalLog : public TrialLog {
public:
    /// Makes the file; `header` is JSON. Throws E0605 when it exists already or cannot be made.
    [[nodiscard]] static JournalLog begin(const std::string& path, const std::string& header);
    /// Goes on with it. Throws what read_journal() throws, and E0605 when another process has it open.
    [[nodiscard]] static JournalLog resume(const std::string& path);
    JournalLog(JournalLog&&) noexcept;
    ~JournalLog() override;

    [[nodiscard]] const Journal& journal() const;
    [[nodiscard]] std::optional<TrialRow> recall(std::size_t ordinal, const Schedule& schedule) override;
    void record(const TrialRow& row) override;
    void record_rounds(std::size_t ordinal, const std::vector<double>& rounds) override;

private:
    JournalLog();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace tessera::tune
