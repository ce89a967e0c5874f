#include <tessera/tune_database.h>

#include "base/hash.h"
#include "schedule/canonical_stages.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>

namespace tessera::tune {
namespace {

using nlohmann::json;

// Held while a session is tuned. A database is on a local disk, so one machine's locks are enough.
class SessionLock {
public:
    explicit SessionLock(const std::string& session) {
        const auto path = std::filesystem::temp_directory_path() / fmt::format("tessera-session-{:.24}.lock", session);
        file_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        // The runner of a tuner that was killed ends a moment after it.
        for (int attempt = 0; file_ >= 0 && attempt < 20; ++attempt) {
            if (flock(file_, LOCK_EX | LOCK_NB) == 0) return;
            usleep(50000);
        }
        if (file_ >= 0) close(file_);
        throw Error(E0605_file, {}, fmt::format("session {:.12} is in use by another tuner", session),
                    {fix("wait for it, or start another session"), note("the lock is " + path.string())});
    }
    SessionLock(const SessionLock&) = delete;
    SessionLock& operator=(const SessionLock&) = delete;
    ~SessionLock() { close(file_); }

private:
    int file_ = -1;
};

std::string random_token() {
    std::random_device device;
    return fmt::format("{:08x}{:08x}", device(), device());
}

TrialFact fact_of(const TrialRow& row, const json& header) {
    TrialFact f;
    f.ordinal = row.ordinal;
    f.schedule = row.schedule;
    f.extents = header.value("extents", std::map<std::string, std::int64_t>{});
    f.context = context_from(header.at("context").dump());
    f.threads = header.value("threads", 0);
    f.cold = header.value("cold", false);
    f.origin = row.origin;
    f.status = word(row.measured.verdict);
    f.error = row.measured.error;
    f.loop_tree = row.loop_tree_hash;
    f.object_code = row.measured.code_hash;
    f.checked = row.measured.checked;
    f.predicted = row.predicted;
    f.compile_seconds = row.measured.compile_seconds;
    f.samples = row.measured.samples;
    return f;
}

DecisionFact fact_of(const Journal::Decision& d) {
    DecisionFact out{d.ordinal, {}, {}, {}};
    if (d.speedup) out = {d.ordinal, d.speedup->low, d.speedup->median, d.speedup->high};
    return out;
}

}  // namespace

Journal journal_of(const StoredSession& session) {
    Journal out;
    out.header = session.header;
    for (const StoredTrial& t : session.trials) {
        TrialRow row;
        row.ordinal = t.fact.ordinal;
        row.schedule = t.fact.schedule;
        row.origin = t.fact.origin;
        row.predicted = t.fact.predicted;
        row.loop_tree_hash = t.fact.loop_tree;
        Measured& m = row.measured;
        m.verdict = parse_verdict(t.fact.status);
        m.checked = t.fact.checked;
        m.error = t.fact.error;
        m.compile_seconds = t.fact.compile_seconds;
        m.samples = t.fact.samples;
        m.code_hash = t.fact.object_code;
        if (m.verdict == Verdict::ok && !m.samples.empty()) row.seconds = *std::min_element(m.samples.begin(), m.samples.end());
        out.rows.push_back(std::move(row));
        if (!t.rounds.empty()) out.rounds[t.fact.ordinal] = t.rounds;
    }
    if (const auto& d = session.decision) {
        out.decision = Journal::Decision{d->ordinal, {}};
        if (d->median) out.decision->speedup = Interval{*d->median, d->low.value_or(*d->median), d->high.value_or(*d->median)};
    }
    return out;
}

std::string import_journal(ScheduleDb& db, const Journal& journal) {
    const json header = json::parse(journal.header);
    if (!header.contains("context") || !header.contains("algorithm"))
        throw Error(E0602_schema, {}, "the journal does not say where it was measured",
                    {fix("tune again with tessera-tune run")});
    const Algorithm algorithm = parse_algorithm(header.at("algorithm").get<std::string>());
    // The token comes from the contents, so that a journal is one session however often it is imported.
    const std::string id = db.begin_session(
        {algorithm, journal.header, sha256(journal.header).substr(0, 16), header.value("started", std::int64_t{0})});
    for (const TrialRow& row : journal.rows) db.record(id, fact_of(row, header));
    for (const auto& [ordinal, rounds] : journal.rounds) db.record_rounds(id, ordinal, rounds);
    if (journal.decision) db.decide(id, fact_of(*journal.decision));
    return id;
}

struct DatabaseLog::State {
    ScheduleDb db;
    std::string path, session;
    json header;
    std::unique_ptr<SessionLock> lock;
    Journal journal;
    Algorithm algorithm;
    std::map<std::size_t, std::string> hashes;  // of recorded schedules in canonical names

    [[nodiscard]] std::string hash(const Schedule& s) const { return schedule_hash(algorithm, s); }
};

DatabaseLog::DatabaseLog() = default;
DatabaseLog::DatabaseLog(DatabaseLog&&) noexcept = default;
DatabaseLog::~DatabaseLog() = default;
const std::string& DatabaseLog::session() const { return state_->session; }
const Journal& DatabaseLog::journal() const { return state_->journal; }
std::string DatabaseLog::resume_words() const { return fmt::format("--db {} {:.16}", state_->path, state_->session); }

DatabaseLog DatabaseLog::begin(const std::string& path, const Algorithm& algorithm, const std::string& header) {
    ScheduleDb db = ScheduleDb::open(path, {.create = true});
    json value = json::parse(header);
    (void)context_from(value.at("context").dump());
    const std::string id = db.begin_session({algorithm, header, random_token(), value.value("started", std::int64_t{0})});
    DatabaseLog out;
    out.state_ = std::make_unique<State>(
        State{std::move(db), path, id, std::move(value), std::make_unique<SessionLock>(id), {}, algorithm, {}});
    out.state_->journal.header = header;
    return out;
}

DatabaseLog DatabaseLog::resume(const std::string& path, const std::string& session) {
    ScheduleDb db = ScheduleDb::open(path);
    const std::string id = db.session(session).id;
    auto lock = std::make_unique<SessionLock>(id);
    const StoredSession stored = db.session(id);
    json header = json::parse(stored.header);
    const Algorithm algorithm = parse_algorithm(header.at("algorithm").get<std::string>());
    DatabaseLog out;
    out.state_ = std::make_unique<State>(
        State{std::move(db), path, id, std::move(header), std::move(lock), journal_of(stored), algorithm, {}});
    for (const TrialRow& row : out.state_->journal.rows) out.state_->hashes[row.ordinal] = out.state_->hash(row.schedule);
    return out;
}

std::optional<TrialRow> DatabaseLog::recall(std::size_t ordinal, const Schedule& schedule) {
    const auto known = state_->hashes.find(ordinal);
    if (known == state_->hashes.end() || known->second != state_->hash(schedule)) return std::nullopt;
    for (const TrialRow& row : state_->journal.rows)
        if (row.ordinal == ordinal) return row;
    return std::nullopt;
}

void DatabaseLog::record(const TrialRow& row) {
    state_->db.record(state_->session, fact_of(row, state_->header));
    state_->journal.rows.push_back(row);
    state_->hashes[row.ordinal] = state_->hash(row.schedule);
}

void DatabaseLog::record_rounds(std::size_t ordinal, const std::vector<double>& rounds) {
    state_->db.record_rounds(state_->session, ordinal, rounds);
    state_->journal.rounds[ordinal] = rounds;
}

void DatabaseLog::record_decision(std::size_t ordinal, const std::optional<Interval>& speedup) {
    const Journal::Decision decision{ordinal, speedup};
    state_->db.decide(state_->session, fact_of(decision));
    state_->journal.decision = decision;
}

}  // namespace tessera::tune
