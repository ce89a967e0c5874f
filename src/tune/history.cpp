#include "tune/history.h"

#include <algorithm>
#include <cmath>

namespace tessera::tune {

void History::tell(std::span<const Outcome> outcomes) {
    for (const Outcome& o : outcomes) {
        asked_.insert(space_.key(o.point));
        if (o.seconds) {
            const auto at = std::upper_bound(ranking_.begin(), ranking_.end(), *o.seconds,
                                             [&](double s, size_t i) { return s < *outcomes_[i].seconds; });
            ranking_.insert(at, outcomes_.size());
        }
        outcomes_.push_back(o);
    }
}

std::vector<double> History::log_times() const {
    double slowest = 0;
    for (const size_t i : ranking_)
        slowest = i == ranking_.front() ? std::log(*outcomes_[i].seconds) : std::max(slowest, std::log(*outcomes_[i].seconds));
    std::vector<double> out;
    for (const Outcome& o : outcomes_) out.push_back(o.seconds ? std::log(*o.seconds) : slowest + 0.2);
    return out;
}

std::optional<Point> History::fresh(Random& random) {
    for (int attempt = 0; attempt < 200; ++attempt) {
        Point p = space_.sample(random);
        if (!asked(p) && space_.legal(p)) return p;
    }
    // A small space, nearly exhausted: walk it.
    if (space_.size().points > 1e6) return std::nullopt;
    for (std::optional<Point> p = space_.after(nullptr); p; p = space_.after(&*p))
        if (!asked(*p) && space_.legal(*p)) return p;
    return std::nullopt;
}

}  // namespace tessera::tune
