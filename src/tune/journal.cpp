#include <tessera/tune_journal.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

namespace tessera::tune {
namespace {

using nlohmann::json;

json row_json(const TrialRow& row) {
    json out{{"trial", row.ordinal},
             {"verdict", word(row.measured.verdict)},
             {"origin", row.origin},
             {"schedule", json::parse(to_json(row.schedule, JsonStyle::compact))},
             {"loop_tree", row.loop_tree_hash},
             {"checked", row.measured.checked},
             {"compile_seconds", row.measured.compile_seconds},
             {"samples", row.measured.samples}};
    if (!row.measured.error.empty()) out["error"] = row.measured.error;
    if (row.predicted) out["predicted"] = *row.predicted;
    if (!row.measured.code_hash.empty()) out["object_code"] = row.measured.code_hash;
    if (row.measured.same_code) out["same_code"] = true;
    return out;
}

TrialRow row_of(const json& value) {
    TrialRow row;
    row.ordinal = value.at("trial");
    row.origin = value.at("origin");
    row.schedule = parse_schedule(value.at("schedule").dump());
    row.loop_tree_hash = value.at("loop_tree");
    row.measured.verdict = parse_verdict(value.at("verdict"));
    row.measured.checked = value.at("checked");
    row.measured.compile_seconds = value.at("compile_seconds");
    row.measured.samples = value.at("samples").get<std::vector<double>>();
    row.measured.error = value.value("error", "");
    row.measured.code_hash = value.value("object_code", "");
    row.measured.same_code = value.value("same_code", false);
    if (value.contains("predicted")) row.predicted = value.at("predicted").get<double>();
    if (row.measured.verdict == Verdict::ok && !row.measured.samples.empty())
        row.seconds = *std::min_element(row.measured.samples.begin(), row.measured.samples.end());
    return row;
}

Journal::Decision decision_of(const json& value) {
    Journal::Decision out{value.at("trial"), {}};
    if (value.contains("speedup")) out.speedup = Interval{value["speedup"].at(1), value["speedup"].at(0), value["speedup"].at(2)};
    return out;
}

[[noreturn]] void refuse_file(const std::string& path, const std::string& what) {
    throw Error(E0605_file, {}, fmt::format("the journal {} {}", path, what),
                {fix("name another file"), note(std::strerror(errno))});
}

}  // namespace

std::string context_json(const BuildContext& c) {
    return json{{"machine", json::parse(c.machine)},
                {"micro_architecture", c.micro_architecture},
                {"toolchain", json::parse(c.toolchain)},
                {"codegen_abi", c.codegen_abi},
                {"target", c.target}}
        .dump();
}

BuildContext context_from(const std::string& text) {
    try {
        const json value = json::parse(text);
        return {value.at("machine").dump(), value.at("micro_architecture"), value.at("toolchain").dump(), value.at("codegen_abi"),
                value.at("target")};
    } catch (const json::exception& e) {
        throw Error(E0602_schema, {}, fmt::format("a session does not say where it was measured: {}", e.what()),
                    {fix("tune again with tessera-tune run")});
    }
}

Journal read_journal(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) refuse_file(path, "cannot be read");
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    Journal out;
    int line_number = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        ++line_number;
        if (end == std::string::npos && line_number > 1) break;
        const std::string line = text.substr(at, end - at);
        at = end == std::string::npos ? text.size() : end + 1;
        try {
            const json value = json::parse(line);
            if (line_number == 1) {
                if (!value.contains("tessera_journal"))
                    throw Error(E0601_syntax, {}, "the first line is no session", {fix("name a journal of tessera-tune run")});
                out.header = value.at("session").dump();
            } else if (value.contains("decision"))
                out.decision = decision_of(value.at("decision"));
            else if (value.contains("rounds"))
                out.rounds[value.at("trial")] = value.at("rounds").get<std::vector<double>>();
            else
                out.rows.push_back(row_of(value));
        } catch (const json::exception& e) {
            throw Error(E0601_syntax, {}, fmt::format("{}:{}: this is no line of a journal: {}", path, line_number, e.what()),
                        {fix("name a journal of tessera-tune run")});
        } catch (const Exception& e) {
            throw Error(e.code(), {}, fmt::format("{}:{}: {}", path, line_number, e.message()), e.hints());
        }
    }
    if (out.header.empty())
        throw Error(E0601_syntax, {}, fmt::format("{} is empty", path), {fix("name a journal of tessera-tune run")});
    return out;
}

struct JournalLog::State {
    std::string path;
    int file = -1;
    Journal journal;

    void append(const json& value) {
        const std::string line = value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
        for (std::size_t done = 0; done < line.size();) {
            const ssize_t wrote = write(file, line.data() + done, line.size() - done);
            if (wrote < 0 && errno == EINTR) continue;
            if (wrote <= 0) refuse_file(path, "cannot be written");
            done += static_cast<std::size_t>(wrote);
        }
        if (fdatasync(file) != 0) refuse_file(path, "cannot be written");
    }
    void lock() const {
        // The runner of a tuner that was killed ends a moment after it.
        for (int attempt = 0; flock(file, LOCK_EX | LOCK_NB) != 0; ++attempt) {
            if (attempt == 20) refuse_file(path, "is in use by another tuner");
            usleep(50000);
        }
    }
    ~State() {
        if (file >= 0) close(file);
    }
};

JournalLog::JournalLog() : state_(std::make_unique<State>()) {}
JournalLog::JournalLog(JournalLog&&) noexcept = default;
JournalLog::~JournalLog() = default;
const Journal& JournalLog::journal() const { return state_->journal; }

JournalLog JournalLog::begin(const std::string& path, const std::string& header) {
    JournalLog out;
    State& s = *out.state_;
    s.path = path;
    s.file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
    if (s.file < 0) refuse_file(path, errno == EEXIST ? "exists already; tessera-tune resume goes on with it" : "cannot be made");
    s.lock();
    s.append({{"tessera_journal", 1}, {"session", json::parse(header)}});
    s.journal.header = header;
    return out;
}

JournalLog JournalLog::resume(const std::string& path) {
    JournalLog out;
    State& s = *out.state_;
    s.path = path;
    s.file = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (s.file < 0) refuse_file(path, "cannot be opened");
    s.lock();
    s.journal = read_journal(path);
    // What a killed tuner left of its last line goes.
    std::ifstream file(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const std::size_t whole = text.rfind('\n') + 1;
    if (whole != text.size() && ftruncate(s.file, static_cast<off_t>(whole)) != 0) refuse_file(path, "cannot be written");
    return out;
}

std::optional<TrialRow> JournalLog::recall(std::size_t ordinal, const Schedule& schedule) {
    for (const TrialRow& row : state_->journal.rows)
        if (row.ordinal == ordinal && row.schedule == schedule) return row;
    return std::nullopt;
}

void JournalLog::record(const TrialRow& row) {
    state_->append(row_json(row));
    state_->journal.rows.push_back(row);
}

void JournalLog::record_decision(std::size_t ordinal, const std::optional<Interval>& speedup) {
    json decision{{"trial", ordinal}};
    if (speedup) decision["speedup"] = {speedup->low, speedup->median, speedup->high};
    state_->append({{"decision", decision}});
    state_->journal.decision = Journal::Decision{ordinal, speedup};
}

std::string JournalLog::resume_words() const { return state_->path; }

void JournalLog::record_rounds(std::size_t ordinal, const std::vector<double>& rounds) {
    state_->append({{"trial", ordinal}, {"rounds", rounds}});
    state_->journal.rounds[ordinal] = rounds;
}

}  // namespace tessera::tune
