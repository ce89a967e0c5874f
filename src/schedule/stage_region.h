#pragma once

#include "algorithm/required_region.h"
#include "schedule/bound.h"

#include <deque>
#include <map>
#include <optional>
#include <vector>

namespace tessera {

/// Whether reads under conditions reach what the conditions let through, or all that their indices alone allow.
enum class ReadConditions { kept, ignored };

/// Regions of stages while the body of one loop runs once: the loops inside take all their values, those outside are fixed.
class RegionsInside {
public:
    /// `tiles`: for each stage that the loop at `level` is a loop of, the ranges of its dims and reduction dims there. No level:
    /// the whole program. `around`: what is required of stages inside a level further out, where their memory is taken. `whole`:
    /// the regions of the whole program.
    RegionsInside(const BoundSchedule& bound, std::optional<LoopPosition> level, std::map<size_t, Domain> tiles,
                  const std::map<size_t, std::vector<Interval>>* around = nullptr, RegionsInside* whole = nullptr,
                  ReadConditions conditions = ReadConditions::kept);

    /// What the uses inside read of `stage`, and what computing that needs of the stage itself.
    const std::vector<Interval>& required(size_t stage);
    /// What is computed: the required region, rounded up to the stage's round_up and pad tiles.
    const std::vector<Interval>& computed(size_t stage);

private:
    using InsideReads = std::map<const ExprNode*, std::vector<bool>>;

    // What one stage reads of others at the level, and the points at which it does.
    struct UserReads {
        std::deque<RegionReader> readers;            // one for each domain that a condition narrows
        std::vector<std::pair<Expr, size_t>> reads;  // access, its reader
    };

    [[nodiscard]] Domain no_points() const;
    const InsideReads& inside_reads(size_t user);
    UserReads& reads_of(size_t user);
    void note_reads(UserReads& known, const std::vector<Expr>& exprs, const Domain& domain);
    void add_use(std::vector<Interval>& region, size_t stage, size_t user);
    void add_own_read(std::vector<Interval>& region, const Stage& s, const std::vector<Interval>& read, const Expr& access);
    void close_over_update(std::vector<Interval>& region, size_t stage);
    void keep_within(std::vector<Interval>& region, size_t stage) const;

    const BoundSchedule& bound_;
    std::optional<LoopPosition> level_;
    std::map<size_t, Domain> tiles_;
    const std::map<size_t, std::vector<Interval>>* around_;
    RegionsInside* whole_;
    ReadConditions conditions_;
    std::map<size_t, std::vector<Interval>> required_, computed_;
    std::map<size_t, InsideReads> inside_reads_;
    std::map<size_t, UserReads> reads_;
};

/// The tile that the region of `stage` along its dim number `dim` is rounded up to; 1: none.
[[nodiscard]] std::int64_t rounding_tile(const BoundSchedule& bound, size_t stage, size_t dim);

/// `region` of `stage` rounded up; `exact` where the stage is computed for it, else so far that the rounded regions of all
/// computations inside end below it.
[[nodiscard]] std::vector<Interval> rounded_region(const BoundSchedule& bound, size_t stage, std::vector<Interval> region,
                                                   bool exact);

/// Number of cells of an interval, min and max of its ends taken apart: min(5, n - b) rather than min(b + 5, n) - b.
[[nodiscard]] Expr extent_of(const Interval& interval);
/// begin + extent and end - begin in the same form.
[[nodiscard]] Expr end_of_range(const Expr& begin, const Expr& extent);
[[nodiscard]] Expr extent_of_range(const Expr& begin, const Expr& end);

/// What a condition joins by `and`; nothing where there is none.
[[nodiscard]] std::vector<Expr> conjuncts(const Expr& condition);

}  // namespace tessera
