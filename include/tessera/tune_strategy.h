#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// Search: spaces of points, and strategies that ask for points to try and are told what came of them.
namespace tessera::tune {

/// Random numbers that are the same on every machine (splitmix64); `state` resumes a stream exactly.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    [[nodiscard]] std::uint64_t next();
    /// In [0, count); count >= 1.
    [[nodiscard]] std::int64_t below(std::int64_t count);
    /// In [0, 1).
    [[nodiscard]] double uniform();
    [[nodiscard]] bool chance(double probability) { return uniform() < probability; }
    [[nodiscard]] double normal();
    [[nodiscard]] std::uint64_t state() const { return state_; }

private:
    std::uint64_t state_;
};

/// The value of one decision. `place` says where the value lies in the decision's domain, in [0, 1]: near values have near
/// places.
struct Choice {
    std::uint32_t decision = 0;  // of its space
    std::int64_t value = 0;
    float place = 0;
    bool operator==(const Choice& other) const { return decision == other.decision && value == other.value; }
};
/// Decisions in the order in which they are made. Later decisions and their domains depend on earlier values.
struct Point {
    std::vector<Choice> choices;
    bool operator==(const Point&) const = default;
};

struct SpaceSize {
    double points = 0;
    bool exact = true;  // false: an estimate from random descents
};

/// What can be searched. Every point that a space returns is legal, unless its legal() says otherwise.
class SearchSpace {
public:
    virtual ~SearchSpace() = default;
    [[nodiscard]] virtual SpaceSize size() const = 0;
    [[nodiscard]] virtual Point sample(Random& random) const = 0;
    /// Changes each decision with probability `rate`, at least one; decisions after it are made again as near as they can be.
    [[nodiscard]] virtual Point mutate(const Point& point, double rate, Random& random) const = 0;
    /// One decision moved to the next value of its domain.
    [[nodiscard]] virtual Point neighbour(const Point& point, Random& random) const = 0;
    /// Groups of decisions from `a`, the others from `b`.
    [[nodiscard]] virtual Point crossover(const Point& a, const Point& b, Random& random) const = 0;
    /// The point after `point` in a fixed order, the first one for null; nothing at the end.
    [[nodiscard]] virtual std::optional<Point> after(const Point* point) const = 0;
    /// Whether a point can be tried; strategies ask for no other.
    [[nodiscard]] virtual bool legal(const Point&) const { return true; }
    /// Points with one key are the same candidate.
    [[nodiscard]] virtual std::string key(const Point& point) const = 0;
    /// What a model of time sees; a fixed number of values. Empty: the space has no features.
    [[nodiscard]] virtual std::vector<float> features(const Point& point) const = 0;
    /// An estimate of time without measuring, in any unit; nothing where the space has none.
    [[nodiscard]] virtual std::optional<double> estimate(const Point& point) const = 0;
    [[nodiscard]] virtual std::string text(const Point& point) const = 0;
};

/// What became of a point; no time: it failed.
struct Outcome {
    Point point;
    std::optional<double> seconds;
};

/// What to try first of what another machine measured, or this one for other sizes: its fastest point, then such as are fast and
/// differ from those before in many decisions. The fastest alone are much alike, and often slow together where something else
/// counts.
[[nodiscard]] std::vector<Point> varied_starts(std::span<const Outcome> elsewhere, size_t count);

/// ask() for points, measure them, tell(). Points are not repeated; fewer than `count` only when the space is exhausted.
class Strategy {
public:
    virtual ~Strategy() = default;
    [[nodiscard]] virtual std::vector<Point> ask(size_t count) = 0;
    virtual void tell(std::span<const Outcome> outcomes) = 0;
};

struct StrategyOptions {
    std::uint64_t seed = 1;
    std::vector<Point> first;  // tried before anything else: the default, candidates from relatives
    // evolutionary
    int population = 50;
    int generations = 20;
    double mutation_rate = 0.1;
    double crossover_rate = 0.7;
    int pool = 600;  // model, hybrid: points that are ranked for each batch
};

/// "grid", "random", "evolutionary", "model", "hybrid". The space must outlive the strategy.
/// Throws E0805 with the closest name for another word.
[[nodiscard]] std::unique_ptr<Strategy> make_strategy(const std::string& name, const SearchSpace& space,
                                                      const StrategyOptions& options = {});
[[nodiscard]] const std::vector<std::string>& strategy_names();

/// A space whose points were all measured: a CSV file, plain or .gz, with a column for each parameter, then `median_ms` and any
/// others. A row without a time is a failure.
class RecordedSpace : public SearchSpace {
public:
    /// Throws E0605 for a file that cannot be read and E0601 with the line for one that is no such table.
    explicit RecordedSpace(const std::string& path);
    ~RecordedSpace() override;
    [[nodiscard]] SpaceSize size() const override;
    [[nodiscard]] Point sample(Random& random) const override;
    [[nodiscard]] Point mutate(const Point& point, double rate, Random& random) const override;
    [[nodiscard]] Point neighbour(const Point& point, Random& random) const override;
    [[nodiscard]] Point crossover(const Point& a, const Point& b, Random& random) const override;
    [[nodiscard]] std::optional<Point> after(const Point* point) const override;
    [[nodiscard]] std::string key(const Point& point) const override;
    [[nodiscard]] std::vector<float> features(const Point& point) const override;
    [[nodiscard]] std::optional<double> estimate(const Point& point) const override;
    [[nodiscard]] std::string text(const Point& point) const override;

    /// The recorded time in ms, nothing for a failure.
    [[nodiscard]] std::optional<double> time(const Point& point) const;
    [[nodiscard]] double best() const;
    [[nodiscard]] const std::vector<std::string>& parameters() const;
    /// The point with the values of one of another record of the same parameters; nothing where this record has none.
    [[nodiscard]] std::optional<Point> find(const Point& point) const;

private:
    struct Table;
    std::unique_ptr<Table> table_;
};

/// The share of the optimum that was reached after each number of trials, for one seed.
struct ReplayRun {
    std::uint64_t seed = 0;
    std::vector<double> reached;    // [i] after i + 1 trials
    std::vector<Outcome> outcomes;  // in the order in which they were asked for
};
struct ReplayOptions {
    std::string strategy = "hybrid";
    size_t trials = 240;
    size_t batch = 16;
    std::vector<Point> first;
};
/// A strategy on a recorded space, as if it measured.
[[nodiscard]] ReplayRun replay(const RecordedSpace& space, std::uint64_t seed, const ReplayOptions& options = {});

}  // namespace tessera::tune
