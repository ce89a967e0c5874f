#include "schedule/default_levels.h"

#include "schedule/stage_cost.h"

#include <algorithm>

namespace tessera {
namespace {

constexpr double most_of_rows = 1.0 / 4;   // of a stage, computed again
constexpr double most_of_task = 1.0 / 64;  // of what a task computes; pyramids have tens of stages

// index = slope * row + [low, high].
struct Slope {
    double slope = 0, low = 0, high = 0;
};

Slope slope_of(const Expr& e, const Dim& row) {
    if (e->op == Op::dim) {
        if (e->dim().id() == row.id()) return {1, 0, 0};
        return {0, 0, estimated_extent(e->dim()) - 1};
    }
    if (e->op == Op::constant) return {0, static_cast<double>(e->integer()), static_cast<double>(e->integer())};
    if (e->args.size() != 2) return {};
    const Slope a = slope_of(e->args[0], row), b = slope_of(e->args[1], row);
    if (e->op == Op::add) return {a.slope + b.slope, a.low + b.low, a.high + b.high};
    if (e->op == Op::sub) return {a.slope - b.slope, a.low - b.high, a.high - b.low};
    const auto times = [](const Slope& s, double by) { return Slope{s.slope * by, s.low * by, s.high * by}; };
    if (e->op == Op::mul && b.slope == 0 && b.low == b.high) return times(a, b.low);
    if (e->op == Op::mul && a.slope == 0 && a.low == a.high) return times(b, a.low);
    if (e->op == Op::div && b.slope == 0 && b.low == b.high && b.low > 0) return times(a, 1 / b.low);
    return {};
}

}  // namespace

RowReach reach_through(const RowReach& reader, const Expr& index, const Dim& row) {
    const Slope s = slope_of(index, row);
    return {.rate = s.slope * reader.rate,
            .low = s.slope * reader.low + s.low,
            .high = s.slope * reader.high + s.high,
            .level = reader.level || s.slope != 1};
}

RowReach joined(const RowReach& a, const RowReach& b) {
    return {std::max(a.rate, b.rate), std::min(a.low, b.low), std::max(a.high, b.high), a.level || b.level};
}

double cells_of_row(const Stage& s, size_t row) {
    double cells = 1;
    for (size_t d = 0; d < s.dims.size(); ++d) cells *= d == row ? 1 : estimated_extent(s.dims[d]);
    return cells;
}

bool reaches_little(const RowReach& reach, double row, double output_row, double task_rows) {
    const double again = reach.high - reach.low + 1;  // a row at an end is needed by both sides
    return again <= most_of_rows * reach.rate * task_rows || again * row <= most_of_task * output_row * task_rows;
}

}  // namespace tessera
