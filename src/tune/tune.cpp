#include <tessera/schedule_default.h>
#include <tessera/tune.h>

#include "tune/round_decision.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

namespace tessera::tune {
namespace {

constexpr int screened_samples = 3;
constexpr int promising_samples = 7;
constexpr double promising = 1.15;  // times the best: worth a second look
constexpr std::size_t finalists = 5;
constexpr std::size_t most_forms = 4;  // the default and the first candidates
constexpr int more_rounds = 3;         // times the rounds, once, when those cannot decide

std::string interval_text(const Interval& i) {
    return fmt::format("{:.3f}x as fast, 95 % in [{:.3f}, {:.3f}]", i.median, i.low, i.high);
}

class Search {
public:
    Search(const Algorithm& algorithm, const TuneOptions& options, TrialLog& log, Measurer& measurer)
        : algorithm_(algorithm), options_(options), log_(log), initial_(default_schedule(algorithm, options.target)),
          space_(algorithm, options.target, with_forms()), measurer_(measurer) {}

    TuneResult run() {
        std::vector<Point> first{space_.point(initial_)};
        std::vector<TrialRow> given{planned(initial_, "default", {})};
        for (const Schedule& s : options_.candidates) {
            given.push_back(planned(s, "candidate", {}));
            first.push_back(space_.point(s));
        }
        prepare(given);
        for (TrialRow& row : given)
            if (row.origin == "default" || !ended()) (void)try_row(std::move(row));
        const auto strategy = make_strategy(options_.strategy, space_, {.seed = options_.seed, .first = std::move(first)});
        while (!ended()) {
            const auto points = strategy->ask(std::min(options_.batch, options_.trials - result_.trials.size()));
            if (points.empty()) {
                result_.reason = "every point of the space was tried";
                break;
            }
            std::vector<TrialRow> rows;
            for (const Point& p : points) rows.push_back(planned(space_.schedule(p), options_.strategy, space_.estimate(p)));
            prepare(rows);
            std::vector<Outcome> outcomes;
            for (std::size_t i = 0; i < points.size() && !ended(); ++i)
                outcomes.push_back({points[i], try_row(std::move(rows[i]))});
            strategy->tell(outcomes);
        }
        if (!result_.stopped) decide();
        return std::move(result_);
    }

private:
    // What is written comes in other sizes too. Constraints are about the decisions of free schedules.
    SpaceOptions with_forms() const {
        SpaceOptions out = options_.space;
        if (!out.constraints.empty() || !out.forms.empty()) return out;
        out.forms = searched_forms(initial_, options_.candidates);
        return out;
    }

    double elapsed() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

    bool ended() {
        if (!result_.reason.empty()) return true;
        if (options_.stop && options_.stop()) {
            result_.stopped = true;
            result_.reason = "stopped";
        } else if (result_.trials.size() >= options_.trials)
            result_.reason = fmt::format("{} trials were made", options_.trials);
        else if (options_.seconds > 0 && elapsed() > options_.seconds)
            result_.reason = fmt::format("{} s are over", options_.seconds);
        else if (options_.patience > 0 && result_.trials.size() > last_progress_ + options_.patience)
            result_.reason = fmt::format("no progress for {} trials", options_.patience);
        return !result_.reason.empty();
    }

    // A trial that nothing was measured of.
    TrialRow planned(const Schedule& schedule, const std::string& origin, std::optional<double> predicted) const {
        TrialRow row;
        row.schedule = schedule;
        row.origin = origin;
        row.predicted = predicted;
        try {
            row.loop_tree_hash = lowered_hash(algorithm_, schedule, options_.target);
        } catch (const Exception& e) {
            row.measured.verdict = Verdict::invalid;
            row.measured.error = fmt::format("{}: {}", code_text(e.code()), e.message());
        }
        return row;
    }

    // Those that are not known without measuring are compiled side by side.
    void prepare(const std::vector<TrialRow>& rows) {
        std::vector<Schedule> unknown;
        std::set<std::string> trees;
        std::size_t ordinal = result_.trials.size();
        for (const TrialRow& row : rows) {
            const std::string& tree = row.loop_tree_hash;
            if (!tree.empty() && (by_tree_.count(tree) || !trees.insert(tree).second)) continue;
            if (!log_.recall(ordinal++, row.schedule) && row.measured.verdict == Verdict::ok) unknown.push_back(row.schedule);
        }
        measurer_.prepare(unknown);
    }

    std::optional<double> try_row(TrialRow row) {
        // The same loops have the same time.
        if (const auto same = by_tree_.find(row.loop_tree_hash); !row.loop_tree_hash.empty() && same != by_tree_.end())
            return result_.trials[same->second].seconds;
        row.ordinal = result_.trials.size();
        const auto recalled = log_.recall(row.ordinal, row.schedule);
        if (recalled) {
            row.measured = recalled->measured;
            row.seconds = recalled->seconds;
        } else {
            if (row.measured.verdict == Verdict::ok) measure(row);
            log_.record(row);
        }
        return account(std::move(row), recalled.has_value());
    }

    void measure(TrialRow& row) {
        row.measured = measurer_.measure(row.schedule, screened_samples);
        if (row.measured.samples.empty()) return;
        if (row.measured.same_code)
            for (const TrialRow& earlier : result_.trials)
                if (earlier.seconds && earlier.measured.code_hash == row.measured.code_hash)
                    row.measured.samples = earlier.measured.samples;
        row.seconds = *std::min_element(row.measured.samples.begin(), row.measured.samples.end());
        // Halving: who may win is looked at longer.
        if (row.measured.same_code || (best_ && *row.seconds > promising * *best_)) return;
        const Measured again = measurer_.measure(row.schedule, promising_samples);
        if (again.verdict != Verdict::ok) {
            row.measured.verdict = again.verdict;
            row.measured.error = again.error;
            row.measured.samples.clear();
            row.seconds.reset();
            return;
        }
        row.measured.samples.insert(row.measured.samples.end(), again.samples.begin(), again.samples.end());
        row.seconds = *std::min_element(row.measured.samples.begin(), row.measured.samples.end());
    }

    std::optional<double> account(TrialRow row, bool recalled) {
        const bool improved = row.seconds && (!best_ || *row.seconds < *best_);
        if (improved) {
            best_ = row.seconds;
            last_progress_ = row.ordinal;
        }
        if (row.origin == "default") default_ = row.seconds;
        if (row.measured.verdict != Verdict::ok) ++failures_[row.measured.verdict];
        if (!row.loop_tree_hash.empty()) by_tree_[row.loop_tree_hash] = row.ordinal;
        result_.trials.push_back(std::move(row));
        if (options_.progress)
            options_.progress({result_.trials.back(), recalled, improved, result_.trials.size(), options_.trials, best_, default_,
                               elapsed(), failures_});
        return result_.trials.back().seconds;
    }

    // The fastest and the default in interleaved rounds, the default twice; who is not clearly faster does not replace it.
    void decide() {
        result_.best = initial_;
        std::vector<std::size_t> order;
        for (const TrialRow& row : result_.trials)
            if (row.seconds && row.ordinal != 0) order.push_back(row.ordinal);
        std::stable_sort(order.begin(), order.end(),
                         [&](std::size_t a, std::size_t b) { return *result_.trials[a].seconds < *result_.trials[b].seconds; });
        order.resize(std::min(order.size(), finalists));
        order.insert(order.begin(), 0);
        std::vector<Schedule> schedules;
        for (const std::size_t i : order) schedules.push_back(result_.trials[i].schedule);
        schedules.push_back(initial_);
        int rounds = options_.final_rounds;
        auto times = interleaved(measurer_, schedules, rounds);
        std::vector<double> again = std::move(times.back());
        times.pop_back();
        RoundDecision decision = tune::decide(times, again);
        if (decision.too_noisy) {
            const auto more = interleaved(measurer_, schedules, more_rounds * rounds);
            for (std::size_t i = 0; i < times.size(); ++i) append_rounds(times[i], more[i]);
            append_rounds(again, more.back());
            rounds += more_rounds * rounds;
            decision = tune::decide(times, again);
        }
        for (std::size_t i = 0; i < order.size(); ++i)
            if (!times[i].empty()) log_.record_rounds(order[i], times[i]);
        accept(decision, order, times, rounds);
    }
    // Rounds that a schedule did not survive count for nothing.
    static void append_rounds(std::vector<double>& times, const std::vector<double>& more) {
        if (more.empty())
            times.clear();
        else if (!times.empty())
            times.insert(times.end(), more.begin(), more.end());
    }

    void accept(const RoundDecision& decision, const std::vector<std::size_t>& order,
                const std::vector<std::vector<double>>& times, int rounds) {
        const std::size_t winner = decision.winner;
        if (times[winner].empty()) {
            result_.reason += "; nothing ran to the end of the final rounds";
            return;
        }
        result_.best = result_.trials[order[winner]].schedule;
        result_.best_ordinal = order[winner];
        result_.best_seconds = bootstrap_median(times[winner]).median;
        if (times[0].empty()) return log_.record_decision(*result_.best_ordinal, std::nullopt);
        result_.default_seconds = bootstrap_median(times[0]).median;
        std::vector<double> ratios;
        for (std::size_t r = 0; r < times[0].size(); ++r) ratios.push_back(times[0][r] / times[winner][r]);
        result_.speedup = bootstrap_median(ratios);
        log_.record_decision(*result_.best_ordinal, result_.speedup);
        if (winner != 0)
            result_.reason += fmt::format("; trial {} won {} interleaved rounds", order[winner], rounds);
        else if (!decision.fastest)
            result_.reason += "; no candidate ran to the end of the final rounds";
        else {
            const std::string fastest =
                fmt::format("trial {} is {}", order[*decision.fastest], interval_text(*decision.against_fastest));
            if (!decision.too_noisy)
                result_.reason += "; no candidate is clearly faster than the default: " + fastest;
            else
                result_.reason += fmt::format(
                    "; the machine is too noisy to decide in {} rounds: {}{}; the default stays", rounds, fastest,
                    decision.against_itself ? ", and the default against itself " + interval_text(*decision.against_itself) : "");
        }
    }

    const Algorithm& algorithm_;
    const TuneOptions& options_;
    TrialLog& log_;
    Schedule initial_;
    ScheduleSpace space_;
    Measurer& measurer_;
    TuneResult result_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    std::optional<double> best_, default_;
    std::size_t last_progress_ = 0;
    std::map<Verdict, std::size_t> failures_;
    std::map<std::string, std::size_t> by_tree_;
};

}  // namespace

std::vector<Schedule> searched_forms(const Schedule& initial, const std::vector<Schedule>& candidates) {
    std::vector<Schedule> out{initial};
    for (const Schedule& s : candidates)
        if (out.size() < most_forms && std::find(out.begin(), out.end(), s) == out.end()) out.push_back(s);
    return out;
}

std::optional<TrialRow> MemoryLog::recall(std::size_t ordinal, const Schedule& schedule) {
    if (ordinal < rows_.size() && rows_[ordinal].schedule == schedule) return rows_[ordinal];
    return std::nullopt;
}

TuneResult tune(const Algorithm& algorithm, const TuneOptions& options, TrialLog& log, Measurer& measurer) {
    return Search(algorithm, options, log, measurer).run();
}

TuneResult tune(const Algorithm& algorithm, const TuneOptions& given, TrialLog& log) {
    TuneOptions options = given;
    options.measure.extents = options.space.extents;
    Runner runner(algorithm, options.target, options.measure);
    return tune(algorithm, options, log, runner);
}

}  // namespace tessera::tune
