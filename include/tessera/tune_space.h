#pragma once

#include <tessera/algorithm.h>
#include <tessera/schedule.h>
#include <tessera/target.h>
#include <tessera/tune_model.h>
#include <tessera/tune_strategy.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tessera::tune {

struct SpaceOptions {
    /// Of dims without a static extent: the sizes that are tuned for.
    std::map<std::string, std::int64_t> extents;
    int cores = 0;  // 0: those of this machine
    /// Conditions over decisions: "C.n.vector == 16", "C.m.unroll * C.n.unroll <= 24". A decision that is not made makes its
    /// condition hold.
    std::vector<std::string> constraints = {};
    /// Written schedules whose sizes are searched too: the first decision, "form", is one of them or a free schedule.
    std::vector<Schedule> forms = {};
    /// What estimate() ranks by; null: the analytic model.
    std::shared_ptr<const LearnedModel> model = {};
};

/// The schedules of an algorithm. For a CPU: per stage, consumers first, placement, storage level, tiles, order of loops,
/// vectors, unrolling, tasks, partial results and packed copies. Each decision's domain has only values that are legal after the
/// earlier ones. For a GPU: of definitions the blocks and threads, of sums of products who multiplies, tiles, depth and roles;
/// legal() says whether they go together. So it does of a written schedule (SpaceOptions::forms), where the sizes of tiles are
/// decisions. A point is a Schedule: schedule() and point() translate.
class ScheduleSpace : public SearchSpace {
public:
    /// Throws E0511 for a malformed constraint, E0805 for one over a decision that does not exist (with the closest name) and for
    /// constraints that leave no point, naming the constraint that empties the space.
    ScheduleSpace(const Algorithm& algorithm, const Target& target, const SpaceOptions& options = {});
    ~ScheduleSpace() override;

    [[nodiscard]] SpaceSize size() const override;
    [[nodiscard]] Point sample(Random& random) const override;
    [[nodiscard]] Point mutate(const Point& point, double rate, Random& random) const override;
    [[nodiscard]] Point neighbour(const Point& point, Random& random) const override;
    /// Whole stages from one or the other.
    [[nodiscard]] Point crossover(const Point& a, const Point& b, Random& random) const override;
    [[nodiscard]] std::optional<Point> after(const Point* point) const override;
    /// The decisions; schedules with one lowered_hash() do the same although their keys differ.
    [[nodiscard]] std::string key(const Point& point) const override;
    [[nodiscard]] bool legal(const Point& point) const override;
    /// Empty for a point that is not legal.
    [[nodiscard]] std::vector<float> features(const Point& point) const override;
    [[nodiscard]] std::optional<double> estimate(const Point& point) const override;
    /// "C.compute=root C.m.outer=32 ..."
    [[nodiscard]] std::string text(const Point& point) const override;

    [[nodiscard]] Schedule schedule(const Point& point) const;
    /// The point nearest to a schedule: each decision as the schedule has it, or as near as is legal. For a GPU only written
    /// schedules (SpaceOptions::forms) in other sizes are recognised; any other is the default's point.
    [[nodiscard]] Point point(const Schedule& schedule) const;
    /// Name and values of every decision on the way to `point`.
    struct Decision {
        std::string name, value;
        std::vector<std::string> domain;
    };
    [[nodiscard]] std::vector<Decision> decisions(const Point& point) const;

private:
    struct Model;
    std::unique_ptr<Model> model_;
};

/// Names of the features of loop trees, in the order in which features() has them.
[[nodiscard]] const std::vector<std::string>& feature_names();
/// Fixed-width features of an algorithm under a schedule, for shapes in `extents`: logarithms of operations, bytes, working sets
/// and tasks; of a GPU also kernels, threads and shared memory. Throws for a schedule that the target does not take.
[[nodiscard]] std::vector<float> loop_features(const Algorithm& algorithm, const Schedule& schedule,
                                               const std::map<std::string, std::int64_t>& extents, const Target& target = {});
/// What one stage does under a schedule, counted from its loops: scalar operations, and instructions with loads and stores, where
/// a vector is one.
struct StageWork {
    std::string stage;
    double operations = 0, instructions = 0;
};
/// Of every stage that has loops, producers first.
[[nodiscard]] std::vector<StageWork> stage_work(const Algorithm& algorithm, const Schedule& schedule,
                                                const std::map<std::string, std::int64_t>& extents, const Target& target = {});
/// Hash of the lowered loop tree, for a GPU of the tile program: schedules with one hash are the same candidate. Throws as
/// loop_features() does.
[[nodiscard]] std::string lowered_hash(const Algorithm& algorithm, const Schedule& schedule, const Target& target = {});

}  // namespace tessera::tune
