#include "schedule/constant_regions.h"

#include "expr/index_build.h"

namespace tessera {
namespace {

std::optional<ConstantRange> constant_range(RegionsInside& regions, size_t stage, size_t dim) {
    const Interval& range = regions.computed(stage)[dim];
    const auto low = integer_constant(range.low), high = integer_constant(range.high);
    return low && high ? std::optional(ConstantRange{*low, *high}) : std::nullopt;
}

}  // namespace

ConstantRegions::ConstantRegions(const BoundSchedule& bound)
    : bound_(bound), regions_(bound, {}, {}), wide_(bound, {}, {}, nullptr, nullptr, ReadConditions::ignored) {}

std::optional<ConstantRange> ConstantRegions::of(size_t stage, size_t dim) {
    if (const auto exact = constant_range(regions_, stage, dim)) return exact;
    const auto extent = bound_.graph.stages[stage].dims[dim].extent().constant();
    const Interval& range = regions_.computed(stage)[dim];
    const auto above = [](const Expr& a, const Expr& b) {
        return proves_nonnegative(simplify_index(make_op(Op::sub, DType::i64, {a, b})));
    };
    if (!extent || !above(range.low, number(0)) || !above(number(*extent - 1), range.high)) return {};
    return ConstantRange{0, *extent - 1};
}

std::optional<ConstantRange> ConstantRegions::without_conditions(size_t stage, size_t dim) {
    try {
        return constant_range(wide_, stage, dim);
    } catch (const Error& e) {
        if (e.code() != E0402_unbounded) throw;
        return {};  // an index that only its condition bounds
    }
}

bool needs_constant_extent(const BoundStage& stage, const Dim& dim) {
    for (const auto* nest : {&stage.pure, &stage.update})
        for (const BoundLoop& loop : *nest) {
            if (loop.dim.id() != dim.id()) continue;
            if (loop.kind == LoopKind::unroll || loop.kind == LoopKind::vector) return true;
            break;
        }
    return false;
}

}  // namespace tessera
