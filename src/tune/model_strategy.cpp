#include "tune/model_strategy.h"

#include "tune/boosted_trees.h"
#include "tune/gaussian_process.h"

#include <algorithm>
#include <cmath>
#include <deque>

namespace tessera::tune {
namespace {

// Chosen by replaying the recorded spaces, see docs/autotuning.md.
constexpr size_t cold_points = 8;      // beside those that are given, before the first model
constexpr double near_share = 0.12;    // of a batch: neighbours of the best
constexpr double random_share = 0.06;  // of a batch
// What choosing costs is for each point that is asked for, up to a batch of four.
constexpr size_t pool_shares = 4;
constexpr size_t tree_candidates = 32;  // of a whole pool; features cost a lowering each
constexpr double slow = 1;              // log(time / best) from which on it only counts that a point is slow
constexpr size_t likelihood_steps = 12;
// A space's own estimate is believed once it orders so many pairs of outcomes rightly that differ so much; then no model chooses
// what it has at so many times the estimate of the best, unless so many in a row are.
constexpr double believed = 0.7, clearly_slower = 1.5, hopeless = 2;
constexpr size_t fewest_compared = 8, most_refused = 12, most_doubted = 64;
constexpr size_t most_promising = 199;  // of a pool, looked at again after each choice
constexpr size_t estimated_starts = 6;  // random points for each that the estimate chooses at the start

struct Scored {
    double score = 0;
    size_t index = 0;
};
// Best first; equal scores in their order.
void sort_best_first(std::vector<Scored>& scored) {
    std::stable_sort(scored.begin(), scored.end(), [](const Scored& a, const Scored& b) { return a.score > b.score; });
}

double expected_improvement(const Prediction& p, double best) {
    const double z = (best - p.mean) / p.deviation;
    const double density = std::exp(-0.5 * z * z) * 0.3989422804014327, below = 0.5 * std::erfc(-z * 0.7071067811865476);
    return p.deviation * (z * below + density);
}

// A point as the process sees it.
struct Foreseen {
    std::vector<float> places;
    Prediction prediction;
};

class Guided : public Strategy {
public:
    Guided(const SearchSpace& space, const StrategyOptions& options, bool hybrid)
        : history_(space), random_(options.seed), options_(options), first_(options.first.begin(), options.first.end()),
          hybrid_(hybrid) {}

    std::vector<Point> ask(size_t count) override {
        std::vector<Point> out;
        for (; out.size() < count && !first_.empty(); first_.pop_front()) claim(first_.front(), out);
        for (; out.size() < count && starts_ < cold_points && add_start(out); ++starts_) {
        }
        if (out.size() < count && history_.ranking().size() >= 2) add_guided(count, out);
        while (out.size() < count && add_fresh(out)) {
        }
        return out;
    }
    void tell(std::span<const Outcome> outcomes) override { history_.tell(outcomes); }

private:
    const SearchSpace& space() const { return history_.space(); }
    bool claim(const Point& p, std::vector<Point>& out) {
        if (!history_.claim(p)) return false;
        out.push_back(p);
        return true;
    }
    bool add_fresh(std::vector<Point>& out) {
        const auto p = history_.fresh(random_);
        return p && claim(*p, out);
    }
    // The best of several by the space's own estimate, where it has one.
    bool add_start(std::vector<Point>& out) {
        if (!hybrid_) return add_fresh(out);
        std::optional<Point> best;
        std::optional<double> least;
        for (size_t i = 0; i < estimated_starts; ++i) {
            const auto p = history_.fresh(random_);
            if (!p) break;
            const auto estimate = space().estimate(*p);
            if (!best || (estimate && (!least || *estimate < *least))) {
                best = p;
                least = estimate;
            }
            if (!estimate) break;
        }
        return best && claim(*best, out);
    }

    const Point& top(size_t count) {
        const auto& ranking = history_.ranking();
        return history_
            .outcomes()[ranking[static_cast<size_t>(random_.below(static_cast<std::int64_t>(std::min(count, ranking.size()))))]]
            .point;
    }
    void add_neighbour(std::vector<Point>& out) {
        for (size_t attempt = 0; attempt < 20; ++attempt)
            if (claim(space().neighbour(top(3 + attempt / 4), random_), out)) return;
    }
    // Of what a batch of four takes, or more than four.
    static size_t part_of(size_t whole, size_t batch) { return whole * std::min(batch, pool_shares) / pool_shares; }
    // A share of `count`, rounded so that it is met on average.
    size_t share_of(size_t count, double share) {
        return std::min(count, static_cast<size_t>(static_cast<double>(count) * share + random_.uniform()));
    }

    void add_guided(size_t count, std::vector<Point>& out) {
        const size_t left = count - out.size();
        const size_t near = hybrid_ ? share_of(left, near_share) : 0, random = share_of(left, random_share);
        const size_t modelled = left - std::min(left, near + random);
        if (modelled > 0) {
            judge_estimate();
            std::vector<Point> points = pool(part_of(static_cast<size_t>(options_.pool), count));
            // Trees and the process take turns: neither is asked for what the other chooses.
            const bool by_process = hybrid_ && turn_++ % 2 == 0;
            std::vector<Foreseen> foreseen;
            if (hybrid_) {
                fit_process(by_process ? static_cast<int>(part_of(likelihood_steps, count)) : 0);
                for (const Point& p : points) {
                    auto places = placement_.places(p);
                    const Prediction predicted = process_.predict(places);
                    foreseen.push_back({std::move(places), predicted});
                }
            }
            if (by_process)
                choose_by_process(points, foreseen, modelled, out);
            else
                choose_by_trees(points, foreseen, part_of(tree_candidates, count), modelled, out);
        }
        for (size_t i = 0; i < near && out.size() < count; ++i) add_neighbour(out);
    }

    void judge_estimate() {
        limit_.reset();
        std::vector<std::pair<double, double>> compared;  // seconds, estimate; fastest first
        for (const size_t i : history_.ranking()) {
            const Outcome& o = history_.outcomes()[i];
            const auto estimate = hybrid_ ? space().estimate(o.point) : std::nullopt;
            if (!estimate) return;
            compared.emplace_back(*o.seconds, *estimate);
        }
        size_t right = 0, pairs = 0;
        for (const auto& [slow_seconds, slow_estimate] : compared)
            for (const auto& [seconds, estimate] : compared) {
                if (slow_seconds < clearly_slower * seconds) break;
                ++pairs;
                right += estimate < slow_estimate;
            }
        if (pairs >= fewest_compared && static_cast<double>(right) >= believed * static_cast<double>(pairs))
            limit_ = hopeless * compared.front().second;
    }
    // How far a point is behind the best, as log(time), when the estimate says that it is far.
    std::optional<double> hopelessly_behind(const Point& p) const {
        const auto estimate = limit_ ? space().estimate(p) : std::nullopt;
        return estimate && *estimate > *limit_ ? std::optional(std::log(hopeless * *estimate / *limit_)) : std::nullopt;
    }

    // Around the best, between the best, and anywhere.
    std::vector<Point> pool(size_t size) {
        std::vector<Point> out;
        std::set<std::string> seen;
        for (size_t i = 0; i < size; ++i) {
            const double kind = random_.uniform();
            Point p = kind < 0.35   ? space().neighbour(top(8), random_)
                      : kind < 0.6  ? space().mutate(top(16), 0.15, random_)
                      : kind < 0.75 ? space().crossover(top(16), top(16), random_)
                                    : space().sample(random_);
            if (!history_.asked(p) && seen.insert(space().key(p)).second) out.push_back(std::move(p));
        }
        return out;
    }

    void fit_process(int steps) {
        std::vector<std::vector<float>> places;
        for (const Outcome& o : history_.outcomes()) places.push_back(placement_.places(o.point));
        std::vector<double> values = history_.log_times();
        best_ = std::log(history_.best());
        // What the estimate speaks against counts as if it had come out so.
        for (const auto& [doubted, behind] : doubted_) {
            places.push_back(placement_.places(doubted));
            values.push_back(best_ + behind);
        }
        for (double& v : values)
            if (v - best_ > slow) v = best_ + slow + 0.3 * std::log1p(v - best_ - slow);
        process_.fit(places, values, placement_.width(), steps, random_);
    }

    // The trees rank the points that the process finds promising, and as many others.
    std::vector<size_t> tree_subset(const std::vector<Point>& points, const std::vector<Foreseen>& foreseen, size_t size) {
        std::vector<size_t> out;
        if (points.size() <= size || !hybrid_) {
            for (size_t i = 0; i < std::min(points.size(), size); ++i) out.push_back(i);
            return out;
        }
        std::vector<Scored> scored;
        for (size_t i = 0; i < points.size(); ++i) scored.push_back({-foreseen[i].prediction.mean, i});
        sort_best_first(scored);
        for (size_t i = 0; i < size; ++i)
            out.push_back(scored[i < size / 2 ? i
                                              : size / 2 + static_cast<size_t>(random_.below(
                                                               static_cast<std::int64_t>(points.size() - size / 2)))]
                              .index);
        return out;
    }
    void choose_by_trees(const std::vector<Point>& points, const std::vector<Foreseen>& foreseen, size_t candidates, size_t count,
                         std::vector<Point>& out) {
        std::vector<std::vector<float>> rows, pool_rows;
        std::vector<float> labels, weights;
        for (const Outcome& o : history_.outcomes()) {
            rows.push_back(space().features(o.point));
            labels.push_back(o.seconds ? static_cast<float>(history_.best() / *o.seconds) : 0.0f);
            weights.push_back(0.05f + labels.back());
        }
        std::vector<size_t> subset = tree_subset(points, foreseen, candidates);
        std::erase_if(subset, [&](size_t i) { return !space().legal(points[i]) || hopelessly_behind(points[i]).has_value(); });
        if (subset.empty()) return;
        for (const size_t i : subset) pool_rows.push_back(space().features(points[i]));
        BoostedTrees trees;
        trees.train(rows, labels, weights, {.seed = static_cast<unsigned>(random_.next() & 0xffff)});
        const auto predicted = trees.predict(pool_rows);
        std::vector<Scored> scored;
        for (size_t i = 0; i < subset.size(); ++i) scored.push_back({predicted[i], subset[i]});
        sort_best_first(scored);
        for (size_t i = 0; i < scored.size() && count > 0; ++i) count -= claim(points[scored[i].index], out);
    }

    // One after the other by expected improvement, each as if it had come out as predicted ("kriging believer").
    void choose_by_process(const std::vector<Point>& points, const std::vector<Foreseen>& foreseen, size_t count,
                           std::vector<Point>& out) {
        std::vector<Scored> scored;
        for (size_t i = 0; i < points.size(); ++i)
            if (!history_.asked(points[i])) scored.push_back({expected_improvement(foreseen[i].prediction, best_), i});
        size_t refused = 0;
        while (count > 0 && !scored.empty()) {
            sort_best_first(scored);
            const size_t chosen = scored.front().index;
            const auto& places = foreseen[chosen].places;
            const auto behind = refused < most_refused ? hopelessly_behind(points[chosen]) : std::nullopt;
            if (behind) {
                ++refused;
                process_.add(places, best_ + std::min(*behind, slow));
                if (doubted_.size() < most_doubted) doubted_.emplace_back(points[chosen], *behind);
            } else if (claim(points[chosen], out)) {
                process_.add(places, process_.predict(places).mean);
                --count;
            }
            if (count == 0) return;
            // The promising ones stay; the others do not become so by what was added.
            scored.erase(scored.begin());
            scored.resize(std::min(scored.size(), most_promising));
            for (Scored& s : scored) s.score = expected_improvement(process_.predict(foreseen[s.index].places), best_);
        }
    }

    History history_;
    Random random_;
    StrategyOptions options_;
    std::deque<Point> first_;
    bool hybrid_;
    Placement placement_;
    GaussianProcess process_;
    double best_ = 0;
    std::vector<std::pair<Point, double>> doubted_;
    std::optional<double> limit_;  // of estimates; none: the estimate is not believed
    size_t starts_ = 0, turn_ = 0;
};

}  // namespace

std::unique_ptr<Strategy> make_model_strategy(const SearchSpace& space, const StrategyOptions& options) {
    return std::make_unique<Guided>(space, options, false);
}
std::unique_ptr<Strategy> make_hybrid_strategy(const SearchSpace& space, const StrategyOptions& options) {
    return std::make_unique<Guided>(space, options, true);
}

}  // namespace tessera::tune
