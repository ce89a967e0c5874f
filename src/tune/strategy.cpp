#include "base/closest_name.h"
#include "tune/model_strategy.h"

#include <tessera/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <iterator>

namespace tessera::tune {
namespace {

// The points that come before everything else, then those of a strategy.
class FirstPoints : public Strategy {
public:
    FirstPoints(const SearchSpace& space, const StrategyOptions& options)
        : history_(space), random_(options.seed), first_(options.first.begin(), options.first.end()) {}

    std::vector<Point> ask(size_t count) final {
        std::vector<Point> out;
        while (out.size() < count && !first_.empty()) {
            if (history_.claim(first_.front())) out.push_back(first_.front());
            first_.pop_front();
        }
        if (out.size() < count) propose(count - out.size(), out);
        return out;
    }
    void tell(std::span<const Outcome> outcomes) override { history_.tell(outcomes); }

protected:
    virtual void propose(size_t count, std::vector<Point>& out) = 0;
    bool add_fresh(std::vector<Point>& out) {
        auto p = history_.fresh(random_);
        if (!p) return false;
        history_.claim(*p);
        out.push_back(std::move(*p));
        return true;
    }

    History history_;
    Random random_;

private:
    std::deque<Point> first_;
};

class Grid : public FirstPoints {
public:
    using FirstPoints::FirstPoints;

private:
    void propose(size_t count, std::vector<Point>& out) override {
        while (count > 0 && !done_) {
            auto next = history_.space().after(last_ ? &*last_ : nullptr);
            if (!next) {
                done_ = true;
                return;
            }
            last_ = std::move(next);
            if (!history_.claim(*last_)) continue;
            out.push_back(*last_);
            --count;
        }
    }
    std::optional<Point> last_;
    bool done_ = false;
};

class RandomSearch : public FirstPoints {
public:
    using FirstPoints::FirstPoints;

private:
    void propose(size_t count, std::vector<Point>& out) override {
        while (count-- > 0 && add_fresh(out)) {
        }
    }
};

// Generations of a fixed size: parents by tournaments of three among the fittest `population` so far.
class Evolutionary : public FirstPoints {
public:
    Evolutionary(const SearchSpace& space, const StrategyOptions& options) : FirstPoints(space, options), options_(options) {}

private:
    void propose(size_t count, std::vector<Point>& out) override {
        while (count-- > 0)
            if (!(history_.outcomes().size() < static_cast<size_t>(options_.population) ? add_fresh(out) : add_child(out)))
                return;
    }
    const Point& parent() {
        const auto& ranking = history_.ranking();
        const std::int64_t alive = std::min<std::int64_t>(static_cast<std::int64_t>(ranking.size()), options_.population);
        std::int64_t best = random_.below(alive);
        for (int i = 0; i < 2; ++i) best = std::min(best, random_.below(alive));
        return history_.outcomes()[ranking[static_cast<size_t>(best)]].point;
    }
    bool add_child(std::vector<Point>& out) {
        if (history_.ranking().empty()) return add_fresh(out);
        for (int attempt = 0; attempt < 40; ++attempt) {
            Point child = parent();
            if (random_.chance(options_.crossover_rate)) child = history_.space().crossover(child, parent(), random_);
            if (attempt > 10 || random_.chance(0.8) || history_.asked(child))
                child = history_.space().mutate(child, options_.mutation_rate, random_);
            if (!history_.claim(child)) continue;
            out.push_back(std::move(child));
            return true;
        }
        return add_fresh(out);
    }
    StrategyOptions options_;
};

// What a decision that differs is worth, as log(time); chosen by replaying the recorded spaces.
constexpr double difference_worth = 0.2;

std::size_t differing(const Point& a, const Point& b) {
    return static_cast<std::size_t>(std::count_if(a.choices.begin(), a.choices.end(), [&](const Choice& c) {
        return std::find(b.choices.begin(), b.choices.end(), c) == b.choices.end();
    }));
}

}  // namespace

std::vector<Point> varied_starts(std::span<const Outcome> elsewhere, size_t count) {
    std::vector<Outcome> left;
    for (const Outcome& o : elsewhere)
        if (o.seconds) left.push_back(o);
    std::stable_sort(left.begin(), left.end(), [](const Outcome& a, const Outcome& b) { return *a.seconds < *b.seconds; });
    std::vector<Point> out;
    std::vector<std::size_t> nearest(left.size(), 0);
    while (out.size() < count && out.size() < left.size()) {
        std::size_t chosen = left.size();
        double most = 0;
        for (std::size_t i = 0; i < left.size(); ++i) {
            if (!out.empty() && nearest[i] == 0) continue;
            const double worth =
                difference_worth * static_cast<double>(nearest[i]) - std::log(*left[i].seconds / *left.front().seconds);
            if (chosen == left.size() || worth > most) {
                chosen = i;
                most = worth;
            }
        }
        if (chosen == left.size()) break;
        const bool first = out.empty();
        out.push_back(left[chosen].point);
        for (std::size_t i = 0; i < left.size(); ++i) {
            const std::size_t apart = differing(left[i].point, out.back());
            nearest[i] = first ? apart : std::min(nearest[i], apart);
        }
    }
    return out;
}

const std::vector<std::string>& strategy_names() {
    static const std::vector<std::string> names{"grid", "random", "evolutionary", "model", "hybrid"};
    return names;
}

std::unique_ptr<Strategy> make_strategy(const std::string& name, const SearchSpace& space, const StrategyOptions& options) {
    if (name == "grid") return std::make_unique<Grid>(space, options);
    if (name == "random") return std::make_unique<RandomSearch>(space, options);
    if (name == "evolutionary") return std::make_unique<Evolutionary>(space, options);
    if (name == "model") return make_model_strategy(space, options);
    if (name == "hybrid") return make_hybrid_strategy(space, options);
    throw Error(E0805_usage, {}, fmt::format("there is no strategy {}", name), {fix_spelling(name, strategy_names())});
}

ReplayRun replay(const RecordedSpace& space, std::uint64_t seed, const ReplayOptions& options) {
    StrategyOptions strategy_options{.seed = seed, .first = options.first};
    const auto strategy = make_strategy(options.strategy, space, strategy_options);
    ReplayRun run{seed, {}, {}};
    double best = 0;
    while (run.reached.size() < options.trials) {
        const auto points = strategy->ask(std::min(options.batch, options.trials - run.reached.size()));
        if (points.empty()) break;
        std::vector<Outcome> outcomes;
        for (const Point& p : points) {
            outcomes.push_back({p, space.time(p)});
            if (const auto t = outcomes.back().seconds) best = std::max(best, space.best() / *t);
            run.reached.push_back(best);
        }
        strategy->tell(outcomes);
        std::move(outcomes.begin(), outcomes.end(), std::back_inserter(run.outcomes));
    }
    // A space that is exhausted has been reached whole.
    run.reached.resize(options.trials, best);
    return run;
}

}  // namespace tessera::tune
