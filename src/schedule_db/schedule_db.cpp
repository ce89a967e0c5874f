// What is written: every call one transaction of facts.
#include <tessera/schedule_db.h>

#include "schedule_db/database_file.h"
#include "schedule_db/db_state.h"
#include "schedule_db/kernel_key.h"

#include <fmt/format.h>

#include <utility>

namespace tessera {

using nlohmann::json;
using namespace db;

namespace {

std::string add(const Connection& c, std::string_view table, const json& row) { return add_fact(c, *find_table(table), row); }

std::string add_kernel(const Connection& c, const Algorithm& algorithm) {
    return add(c, "kernel", {{"hash", kernel_hash(algorithm)}, {"text", kernel_source(algorithm)}});
}
std::string add_schedule(const Connection& c, const Algorithm& algorithm, const Schedule& schedule) {
    const Schedule stored = in_stored_names(algorithm, schedule);
    return add(c, "schedule", {{"hash", content_hash(stored)}, {"content", json::parse(to_json(stored, JsonStyle::compact))}});
}
std::string add_target(const Connection& c, const BuildContext& context) {
    return add(c, "target", {{"features", context.target}});
}

json or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }
json or_null(const std::optional<double>& value) { return value ? json(*value) : json(nullptr); }

Algorithm algorithm_of(const json& header) { return parse_algorithm(header.at("algorithm").get_ref<const std::string&>()); }

// The trial of an ordinal; two processes may have made one, and all readers take the same.
std::string trial_id(const Connection& c, const std::string& session, std::size_t ordinal) {
    Statement s = c.prepare("SELECT min(id) FROM trial WHERE session=? AND ordinal=?");
    s.bind(1, session).bind(2, static_cast<std::int64_t>(ordinal));
    if (!s.step() || s.is_null(0))
        throw Error(E0805_usage, {}, fmt::format("session {:.12} has no trial {}", session, ordinal), {fix("record it first")});
    return s.text(0);
}

}  // namespace

nlohmann::json db::fact(const Connection& c, std::string_view table, const std::string& id) {
    const FactTable& t = *find_table(table);
    Statement s = c.prepare(fmt::format("SELECT {} FROM {} WHERE id=?", column_list(t), table));
    s.bind(1, id);
    if (!s.step())
        throw Error(E0601_syntax, {}, fmt::format("the schedule database {} has no {} {:.12}", c.path(), table, id),
                    {fix("tessera-tune db check says what is wrong with it")});
    return read_fact(t, s, 0);
}

void ScheduleDb::State::require_writable() const {
    if (read_only_because.empty()) return;
    const bool newer = read_only_because.find("newer") != std::string::npos;
    throw Error(newer ? E0603_version : E0605_file, {},
                fmt::format("nothing can be written into the schedule database {}: {}", path, read_only_because),
                {fix(newer ? "use the newer version, or import an export of it" : "open it for writing")});
}

ScheduleDb::ScheduleDb(std::unique_ptr<State> state) : state_(std::move(state)) {}
ScheduleDb::ScheduleDb(ScheduleDb&&) noexcept = default;
ScheduleDb::~ScheduleDb() = default;

ScheduleDb ScheduleDb::open(const std::string& path, const DbOptions& options) {
    OpenedFile file = open_file(path, options);
    return ScheduleDb(std::make_unique<State>(State{path, std::move(file.connection), std::move(file.read_only_because)}));
}

const std::string& ScheduleDb::read_only_because() const { return state_->read_only_because; }
std::string ScheduleDb::name() const { return state_->path; }

std::string ScheduleDb::begin_session(const SessionFact& fact) {
    state_->require_writable();
    const Connection& c = state_->connection;
    json header = json::parse(fact.header);
    header["algorithm"] = fact.algorithm.text();
    Transaction transaction(c);
    std::string id =
        add(c, "session",
            {{"kernel", add_kernel(c, fact.algorithm)}, {"header", header}, {"started", fact.started}, {"token", fact.token}});
    transaction.commit();
    return id;
}

void ScheduleDb::record(const std::string& session, const TrialFact& fact) {
    state_->require_writable();
    const Connection& c = state_->connection;
    const Algorithm algorithm = algorithm_of(db::fact(c, "session", session).at("header"));
    const BuildContext& b = fact.context;
    json row{{"session", session},
             {"ordinal", fact.ordinal},
             {"threads", fact.threads},
             {"cold", fact.cold ? 1 : 0},
             {"origin", fact.origin},
             {"status", fact.status},
             {"checked", fact.checked ? 1 : 0},
             {"error", or_null(fact.error)},
             {"predicted", or_null(fact.predicted)},
             {"compile_seconds", fact.compile_seconds},
             {"loop_tree", or_null(fact.loop_tree)},
             {"object_code", or_null(fact.object_code)}};
    Transaction transaction(c);
    row["shape"] = add(c, "shape", {{"dims", json::parse(shape_text(algorithm, fact.extents))}});
    row["machine"] = add(c, "machine", {{"facts", json::parse(b.machine)}, {"micro_architecture", b.micro_architecture}});
    row["toolchain"] = add(c, "toolchain", {{"facts", json::parse(b.toolchain)}, {"codegen_abi", b.codegen_abi}});
    row["target"] = add_target(c, b);
    row["schedule"] = add_schedule(c, algorithm, fact.schedule);
    const std::string id = add(c, "trial", row);
    if (!fact.samples.empty()) add(c, "measurement", measurement_row(id, "screen", fact.samples));
    transaction.commit();
}

void ScheduleDb::record_rounds(const std::string& session, std::size_t ordinal, const std::vector<double>& rounds) {
    state_->require_writable();
    if (rounds.empty()) return;
    const Connection& c = state_->connection;
    Transaction transaction(c);
    add(c, "measurement", measurement_row(trial_id(c, session, ordinal), "rounds", rounds));
    transaction.commit();
}

void ScheduleDb::decide(const std::string& session, const DecisionFact& fact) {
    state_->require_writable();
    const Connection& c = state_->connection;
    Transaction transaction(c);
    add(c, "decision",
        {{"session", session},
         {"trial", trial_id(c, session, fact.ordinal)},
         {"low", or_null(fact.low)},
         {"median", or_null(fact.median)},
         {"high", or_null(fact.high)}});
    transaction.commit();
}

void ScheduleDb::quarantine(const Algorithm& algorithm, const Schedule& schedule, const BuildContext& context,
                            const std::string& reason) {
    state_->require_writable();
    const Connection& c = state_->connection;
    Transaction transaction(c);
    add(c, "quarantine",
        {{"kernel", add_kernel(c, algorithm)},
         {"schedule", add_schedule(c, algorithm, schedule)},
         {"target", add_target(c, context)},
         {"reason", reason}});
    transaction.commit();
}

std::string ScheduleDb::store_model(const StoredModel& model) {
    state_->require_writable();
    Transaction transaction(state_->connection);
    std::string id = add(state_->connection, "cost_model",
                         {{"content", json::parse(model.json)},
                          {"trained_on", model.trained_on},
                          {"trials", model.trials},
                          {"kernels", model.groups},
                          {"pairwise", model.pairwise},
                          {"best_of_top10", model.best_of_top10}});
    transaction.commit();
    return id;
}

}  // namespace tessera
