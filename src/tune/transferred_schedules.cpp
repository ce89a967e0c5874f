// What a session takes from sessions of relatives.
#include <tessera/schedule_default.h>
#include <tessera/tune.h>
#include <tessera/tune_database.h>

#include "schedule/bound.h"
#include "schedule/canonical_stages.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>

namespace tessera::tune {
namespace {

constexpr std::size_t most_trials = 200;  // of a session, fastest first

// The fast trials of a session in the names of another algorithm of its kernel.
std::vector<std::pair<Schedule, double>> fast_trials(const StoredSession& session, const Algorithm& algorithm) {
    const Journal journal = journal_of(session);
    const Algorithm theirs = parse_algorithm(nlohmann::json::parse(session.header).at("algorithm").get<std::string>());
    std::vector<const TrialRow*> rows;
    for (const TrialRow& row : journal.rows)
        if (row.seconds && row.measured.checked) rows.push_back(&row);
    std::stable_sort(rows.begin(), rows.end(), [](const TrialRow* a, const TrialRow* b) { return *a->seconds < *b->seconds; });
    if (rows.size() > most_trials) rows.resize(most_trials);
    std::vector<std::pair<Schedule, double>> out;
    for (const TrialRow* row : rows) {
        Schedule here = in_user_names(algorithm, in_canonical_names(theirs, row->schedule));
        try {
            (void)bind(algorithm, here);
        } catch (const Exception&) {
            continue;  // legal for other sizes only
        }
        out.emplace_back(std::move(here), *row->seconds);
    }
    return out;
}

}  // namespace

std::vector<Schedule> transferred_schedules(const ScheduleDb& db, const Algorithm& algorithm, const Target& target,
                                            const SpaceOptions& options, std::size_t count) {
    std::vector<Schedule> out;
    const auto relatives = db.relatives(algorithm, build_context(target), count);
    for (const FoundSchedule& f : relatives) {
        if (out.size() >= std::max<std::size_t>(count / 2, 1)) break;
        out.push_back(f.schedule);
    }
    if (relatives.empty()) return out;
    const auto trials = fast_trials(db.session(relatives.front().session), algorithm);
    SpaceOptions with_forms = options;
    if (with_forms.constraints.empty() && with_forms.forms.empty())
        with_forms.forms = searched_forms(default_schedule(algorithm, target), out);
    const ScheduleSpace space(algorithm, target, with_forms);
    std::vector<Outcome> outcomes;
    std::map<std::string, const Schedule*> by_key;  // the fastest of each point
    for (const auto& [schedule, seconds] : trials) {
        Point point = space.point(schedule);
        if (!by_key.emplace(space.key(point), &schedule).second) continue;
        outcomes.push_back({std::move(point), seconds});
    }
    // The fastest of them is the winner most often.
    for (const Point& p : varied_starts(outcomes, count)) {
        const Schedule& schedule = *by_key.at(space.key(p));
        if (out.size() < count && std::find(out.begin(), out.end(), schedule) == out.end()) out.push_back(schedule);
    }
    // Winners that were left out, where there are few trials.
    for (const FoundSchedule& f : relatives)
        if (out.size() < count && std::find(out.begin(), out.end(), f.schedule) == out.end()) out.push_back(f.schedule);
    return out;
}

}  // namespace tessera::tune
