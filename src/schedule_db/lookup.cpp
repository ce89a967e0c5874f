// Which recorded schedule answers a build, and why.
#include <tessera/schedule_db.h>

#include "base/json_text.h"
#include "schedule/bound.h"
#include "schedule_db/db_state.h"
#include "schedule_db/kernel_key.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <set>
#include <tuple>

namespace tessera {

using nlohmann::json;
using namespace db;

namespace {

// A decided session, seen from a build.
struct Answer {
    LookupTier tier = LookupTier::none;
    double distance = 0, work = 1;  // of the shape; the product of recorded extents
    std::string shape, machine, toolchain, session, decision, schedule_hash, content, origin;
    int threads = 1;
    bool cold = false;
    std::int64_t started = 0;
    double seconds = 0, low = 0, high = 0;
    std::optional<double> speedup;

    // Rows of one group were measured under the same conditions: their times may be compared.
    [[nodiscard]] auto group() const { return std::make_tuple(tier, distance, cold, -threads, -work, shape, machine, toolchain); }
};

std::string day(std::int64_t started) {
    const std::time_t time = started;
    std::tm parts{};
    gmtime_r(&time, &parts);
    return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

std::string shape_words(const json& shape) {
    std::string out;
    for (const auto& [name, dim] : shape.items())
        out += fmt::format("{}{}={}{}", out.empty() ? "" : " ", name, dim.contains("extent") ? dim["extent"].dump() : "?",
                           dim["fixed"].get<bool>() ? "" : " (open)");
    return out;
}

double work_of(const json& shape) {
    double out = 1;
    for (const auto& item : shape.items()) out *= item.value().contains("extent") ? item.value()["extent"].get<double>() : 1;
    return out;
}

LookupTier tier_of(const BuildContext& build, const Statement& row, double distance) {
    const bool same_machine = row.text(2) == build.machine, same_micro = row.text(3) == build.micro_architecture;
    const bool same_toolchain = row.text(4) == build.toolchain, same_abi = row.integer(5) == build.codegen_abi;
    if (!same_toolchain && !same_abi) return LookupTier::none;
    if (same_machine && distance == 0) return same_toolchain ? LookupTier::exact : LookupTier::toolchain;
    if (same_machine) return LookupTier::shape;
    return same_micro ? LookupTier::micro_architecture : LookupTier::none;
}

// Those that may answer a build; with `all` those of other processors and targets too, last.
std::vector<Answer> answers(const Connection& c, const Algorithm& algorithm, const BuildContext& build, bool all = false) {
    Statement s = c.prepare(
        "SELECT shape, machine, machine, micro_architecture, toolchain, codegen_abi, threads, cold, session, started, "
        "schedule_hash, schedule, seconds, seconds_low, seconds_high, speedup, decision, origin, target FROM best WHERE kernel=? "
        "AND "
        "(target=? OR ?)");
    s.bind(1, kernel_hash(algorithm)).bind(2, build.target).bind(3, std::int64_t{all});
    const json built = json::parse(shape_text(algorithm));
    std::vector<Answer> out;
    while (s.step()) {
        const json shape = json::parse(s.text(0));
        const auto distance = shape_distance(built, shape);
        if (!distance) continue;
        Answer a;
        a.tier = s.text(18) == build.target ? tier_of(build, s, *distance) : LookupTier::none;
        if (a.tier == LookupTier::none && !all) continue;
        a.distance = *distance;
        a.work = work_of(shape);
        a.shape = s.text(0);
        a.machine = s.text(1);
        a.toolchain = s.text(4);
        a.threads = static_cast<int>(s.integer(6));
        a.cold = s.integer(7) != 0;
        a.session = s.text(8);
        a.started = s.integer(9);
        a.schedule_hash = s.text(10);
        a.content = s.text(11);
        a.seconds = s.real(12);
        a.low = s.real(13);
        a.high = s.real(14);
        a.speedup = s.real_or_null(15);
        a.decision = s.text(16);
        a.origin = s.text(17);
        out.push_back(std::move(a));
    }
    std::sort(out.begin(), out.end(), [](const Answer& a, const Answer& b) {
        const auto ga = a.group(), gb = b.group();
        return ga != gb ? ga < gb : std::tie(a.started, a.decision) < std::tie(b.started, b.decision);
    });
    return out;
}

// Within each group the winner comes first. A session replaces those before it only where its interval lies below theirs.
void order_groups(std::vector<Answer>& all) {
    for (auto from = all.begin(); from != all.end();) {
        const auto to = std::find_if(from, all.end(), [&](const Answer& a) { return a.group() != from->group(); });
        auto winner = from;
        for (auto a = from; a != to; ++a)
            if (a->high < winner->low) winner = a;
        std::rotate(from, winner, winner + 1);
        from = to;
    }
}

std::string sentence(const Answer& a, const std::string& file) {
    std::string out = fmt::format("{}: {} schedule {:.12} of session {:.12} ({}), shape {}, {} thread{}{}, {:.4g} ms", file,
                                  word(a.tier), a.schedule_hash, a.session, day(a.started), shape_words(json::parse(a.shape)),
                                  a.threads, a.threads == 1 ? "" : "s", a.cold ? ", cold" : "", a.seconds * 1e3);
    if (a.speedup) out += fmt::format(", {:.2f}x the default", *a.speedup);
    return out;
}

}  // namespace

FoundSchedule ScheduleDb::find(const Algorithm& algorithm, const Target& target) const {
    return explain(algorithm, build_context(target), nullptr);
}

FoundSchedule ScheduleDb::explain(const Algorithm& algorithm, const BuildContext& context,
                                  std::vector<std::string>* trace) const {
    auto rows = answers(state_->connection, algorithm, context);
    order_groups(rows);
    std::optional<FoundSchedule> found;
    std::size_t passed_over = 0;
    std::string first_problem;
    for (const Answer& a : rows) {
        std::string line = sentence(a, state_->path);
        if (found) {
            if (trace == nullptr) break;
            trace->push_back("not needed: " + line);
            continue;
        }
        try {
            FoundSchedule answer{a.tier, out_of_stored_names(algorithm, parse_schedule(a.content)), a.schedule_hash, line,
                                 a.session};
            (void)bind(algorithm, answer.schedule);
            if (trace != nullptr) trace->push_back("answers: " + line);
            found = std::move(answer);
        } catch (const Exception& e) {
            ++passed_over;
            const std::string problem = fmt::format("{} does not fit: {}: {}", line, code_text(e.code()), e.message());
            if (first_problem.empty()) first_problem = problem;
            if (trace != nullptr) trace->push_back(problem);
        }
    }
    if (found) return std::move(*found);
    FoundSchedule none;
    none.explanation =
        fmt::format("{}: nothing decided for kernel {:.12} on {}", state_->path, kernel_hash(algorithm), context.target);
    if (passed_over > 0) none.explanation = fmt::format("{} of {} rows: {}", passed_over, rows.size(), first_problem);
    if (trace != nullptr) trace->push_back(none.explanation);
    return none;
}

std::vector<FoundSchedule> ScheduleDb::relatives(const Algorithm& algorithm, const BuildContext& context,
                                                 std::size_t count) const {
    std::vector<FoundSchedule> out;
    std::set<std::string> seen;
    for (const Answer& a : answers(state_->connection, algorithm, context, true)) {
        if (out.size() >= count) break;
        if (!seen.insert(a.schedule_hash).second) continue;
        try {
            FoundSchedule found{a.tier, out_of_stored_names(algorithm, parse_schedule(a.content)), a.schedule_hash,
                                sentence(a, state_->path), a.session};
            (void)bind(algorithm, found.schedule);
            if (!found.schedule.stages.empty()) out.push_back(std::move(found));
        } catch (const Exception&) {
            // One that does not fit here is no relative.
        }
    }
    return out;
}

std::vector<BestRow> ScheduleDb::best(const std::string& kernel) const {
    Statement s = state_->connection.prepare(
        "SELECT kernel, shape, machine, micro_architecture, toolchain, target, threads, cold, session, header, schedule_hash, "
        "schedule, seconds, seconds_low, seconds_high, speedup, (SELECT count(*) FROM trial t WHERE t.session = best.session) "
        "FROM best WHERE ?1 = '' OR substr(kernel, 1, length(?1)) = ?1 ORDER BY kernel, shape, machine, toolchain, target, "
        "threads, cold, started, decision");
    s.bind(1, kernel);
    std::vector<BestRow> out;
    const auto conditions = [](const BestRow& r) {
        return std::tie(r.kernel, r.shape, r.machine, r.toolchain, r.target, r.threads, r.cold);
    };
    while (s.step()) {
        BestRow row{s.text(0),
                    s.text(1),
                    s.text(2),
                    s.text(3),
                    s.text(4),
                    s.text(5),
                    static_cast<int>(s.integer(6)),
                    s.integer(7) != 0,
                    s.text(8),
                    s.text(9),
                    s.text(10),
                    parse_schedule(s.text(11)),
                    s.real(12),
                    s.real(13),
                    s.real(14),
                    s.real_or_null(15),
                    static_cast<std::size_t>(s.integer(16))};
        if (out.empty() || conditions(out.back()) != conditions(row))
            out.push_back(std::move(row));
        else if (row.seconds_high < out.back().seconds_low)
            out.back() = std::move(row);
    }
    return out;
}

std::vector<ScheduleUse> ScheduleDb::uses(const std::string& schedule_hash) const {
    Statement s = state_->connection.prepare(
        "SELECT p.hash, k.hash, h.dims, m.facts, s.id, s.header, t.status, p.content, t.ordinal, "
        "(SELECT min(r.least) FROM measurement r WHERE r.trial = t.id), EXISTS (SELECT 1 FROM decision d WHERE d.trial = t.id) "
        "FROM schedule p JOIN trial t ON t.schedule = p.id JOIN session s ON s.id = t.session JOIN kernel k ON k.id = s.kernel "
        "JOIN shape h ON h.id = t.shape JOIN machine m ON m.id = t.machine WHERE substr(p.hash, 1, length(?1)) = ?1 "
        "ORDER BY p.hash, k.hash, s.started, s.id, t.ordinal");
    s.bind(1, schedule_hash);
    std::vector<ScheduleUse> out;
    while (s.step())
        out.push_back({s.text(0), s.text(1), s.text(2), s.text(3), s.text(4), s.text(5), s.text(6), parse_schedule(s.text(7)),
                       static_cast<std::size_t>(s.integer(8)), s.real_or_null(9), s.integer(10) != 0});
    return out;
}

std::vector<SessionSummary> ScheduleDb::sessions() const {
    Statement s = state_->connection.prepare(
        "SELECT s.id, s.header, k.hash, s.started, (SELECT count(*) FROM trial t WHERE t.session = s.id), "
        "EXISTS (SELECT 1 FROM decision d WHERE d.session = s.id) FROM session s JOIN kernel k ON k.id = s.kernel "
        "ORDER BY s.started, s.id");
    std::vector<SessionSummary> out;
    while (s.step())
        out.push_back({s.text(0), s.text(1), s.text(2), s.integer(3), static_cast<std::size_t>(s.integer(4)), s.integer(5) != 0});
    return out;
}

namespace {

std::string session_id(const Connection& c, const std::string& id) {
    Statement s = c.prepare("SELECT id FROM session WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT 2");
    s.bind(1, id);
    if (!s.step())
        throw Error(E0805_usage, {}, fmt::format("{} has no session {}", c.path(), id), {fix("tessera-tune status lists them")});
    std::string out = s.text(0);
    if (s.step())
        throw Error(E0805_usage, {}, fmt::format("several sessions of {} begin with {}", c.path(), id),
                    {fix("write more digits of the one that is meant")});
    return out;
}

std::vector<double> raw_times(const std::string& text) {
    return text.empty() ? std::vector<double>{} : json::parse(text).get<std::vector<double>>();
}

}  // namespace

StoredSession ScheduleDb::session(const std::string& id) const {
    const Connection& c = state_->connection;
    StoredSession out;
    out.id = session_id(c, id);
    const json row = db::fact(c, "session", out.id);
    out.header = row.at("header").dump();
    out.started = row.at("started");
    const Algorithm algorithm = parse_algorithm(row.at("header").at("algorithm").get<std::string>());
    const auto extents = row.at("header").value("extents", std::map<std::string, std::int64_t>{});
    Statement s = c.prepare(
        "SELECT t.ordinal, p.content, t.threads, t.cold, t.origin, t.status, t.checked, t.error, t.predicted, t.compile_seconds, "
        "t.loop_tree, t.object_code, m.facts, m.micro_architecture, k.facts, k.codegen_abi, g.features, a.raw, r.raw FROM trial "
        "t "
        "JOIN schedule p ON p.id = t.schedule JOIN machine m ON m.id = t.machine JOIN toolchain k ON k.id = t.toolchain "
        "JOIN target g ON g.id = t.target LEFT JOIN measurement a ON a.trial = t.id AND a.kind = 'screen' "
        "LEFT JOIN measurement r ON r.trial = t.id AND r.kind = 'rounds' WHERE t.session = ? ORDER BY t.ordinal, t.id, a.id, "
        "r.id");
    s.bind(1, out.id);
    while (s.step()) {
        const auto ordinal = static_cast<std::size_t>(s.integer(0));
        if (!out.trials.empty() && out.trials.back().fact.ordinal == ordinal) continue;
        TrialFact f;
        f.ordinal = ordinal;
        f.schedule = out_of_stored_names(algorithm, parse_schedule(s.text(1)));
        f.extents = extents;
        f.threads = static_cast<int>(s.integer(2));
        f.cold = s.integer(3) != 0;
        f.origin = s.text(4);
        f.status = s.text(5);
        f.checked = s.integer(6) != 0;
        f.error = s.text(7);
        f.predicted = s.real_or_null(8);
        f.compile_seconds = s.real(9);
        f.loop_tree = s.text(10);
        f.object_code = s.text(11);
        f.context = {s.text(12), s.text(13), s.text(14), static_cast<int>(s.integer(15)), s.text(16)};
        f.samples = raw_times(s.text(17));
        out.trials.push_back({std::move(f), raw_times(s.text(18))});
    }
    Statement d = c.prepare(
        "SELECT t.ordinal, d.low, d.median, d.high FROM decision d JOIN trial t ON t.id = d.trial WHERE d.session = ? "
        "ORDER BY d.id LIMIT 1");
    d.bind(1, out.id);
    if (d.step())
        out.decision =
            DecisionFact{static_cast<std::size_t>(d.integer(0)), d.real_or_null(1), d.real_or_null(2), d.real_or_null(3)};
    return out;
}

std::optional<StoredModel> ScheduleDb::model(const std::string& id) const {
    Statement s = state_->connection.prepare(
        "SELECT id, content, trained_on, pairwise, best_of_top10, trials, kernels FROM cost_model WHERE ?1 = '' OR id = ?1 "
        "ORDER BY trials DESC, id LIMIT 1");
    s.bind(1, id);
    if (!s.step()) return std::nullopt;
    return StoredModel{s.text(0),
                       s.text(1),
                       s.text(2),
                       s.real(3),
                       s.real(4),
                       static_cast<std::size_t>(s.integer(5)),
                       static_cast<std::size_t>(s.integer(6))};
}

}  // namespace tessera
