#pragma once

#include <tessera/tune_strategy.h>

#include <set>
#include <string>
#include <vector>

namespace tessera::tune {

/// What was asked and told, without repetitions.
class History {
public:
    explicit History(const SearchSpace& space) : space_(space) {}

    /// Whether the point is asked for the first time, and legal; then it counts as asked.
    bool claim(const Point& point) { return space_.legal(point) && asked_.insert(space_.key(point)).second; }
    [[nodiscard]] bool asked(const Point& point) const { return asked_.count(space_.key(point)) > 0; }
    void tell(std::span<const Outcome> outcomes);
    [[nodiscard]] const std::vector<Outcome>& outcomes() const { return outcomes_; }
    /// Indices of outcomes with a time, fastest first.
    [[nodiscard]] const std::vector<size_t>& ranking() const { return ranking_; }
    [[nodiscard]] double best() const { return *outcomes_[ranking_.front()].seconds; }
    /// log(time) of every outcome; what failed counts as a little slower than the slowest.
    [[nodiscard]] std::vector<double> log_times() const;
    /// A point that was not asked, at random; nothing when none is found.
    [[nodiscard]] std::optional<Point> fresh(Random& random);
    [[nodiscard]] const SearchSpace& space() const { return space_; }

private:
    const SearchSpace& space_;
    std::set<std::string> asked_;
    std::vector<Outcome> outcomes_;
    std::vector<size_t> ranking_;
};

}  // namespace tessera::tune
