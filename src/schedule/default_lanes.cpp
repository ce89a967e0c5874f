#include "schedule/default_lanes.h"

#include "schedule/derived_stages.h"

#include <algorithm>
#include <numeric>

namespace tessera {
namespace {

constexpr std::int64_t least_lane_bytes = 2;  // vectors of bytes take their time to widen
constexpr std::int64_t longest_period = 4;    // rows that are written out

// Whether it is made of dims alone, `row` among them.
bool is_place(const Expr& e, const Dim& row) {
    bool reads = false;
    for_each_node({e}, [&](const Expr& n) { reads = reads || n->op == Op::access; });
    return !reads && contains_dim(free_dims(e), row);
}

}  // namespace

std::int64_t lanes_of(const Stage& s, const CpuModel& model) {
    std::int64_t kept = least_lane_bytes, between = 1;
    for (const DType t : s.dtypes) kept = std::max<std::int64_t>(kept, dtype_bytes(t));
    for_each_node(exprs_of(s), [&](const Expr& n) {
        if (n->op == Op::access)
            kept = std::max<std::int64_t>(kept, dtype_bytes(n->dtype));
        else if (is_scalar_op(n->op) && n->dtype != DType::i64)
            between = std::max<std::int64_t>(between, dtype_bytes(n->dtype));
    });
    return std::max<std::int64_t>(model.vector_bytes / std::max(kept, between / 2), 4);
}

std::int64_t row_period(const Stage& s, const Dim& row) {
    std::int64_t period = 1;
    for_each_node(exprs_of(s), [&](const Expr& n) {
        if (n->op != Op::div && n->op != Op::mod) return;
        const Expr& by = n->args[1];
        if (by->op != Op::constant || is_float(n->dtype) || !is_place(n->args[0], row)) return;
        if (by->integer() > 1 && by->integer() <= longest_period) period = std::lcm(period, by->integer());
    });
    return period <= longest_period ? period : 1;
}

}  // namespace tessera
