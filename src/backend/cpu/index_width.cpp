#include "backend/cpu/index_width.h"

#include "algorithm/graph.h"
#include "expr/tensor_state.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace tessera::cpu {
namespace {

constexpr double int32_range = 2147483648.0;
// Sums of up to this many extents are computed in int32: buffers are below 2^31 elements, so extents that meet in one index are
// far smaller.
constexpr double most_int32_ranges = 64;

}  // namespace

double IndexWidth::weight(const Expr& e) {
    const auto known = weights_.find(e);
    if (known != weights_.end()) return known->second;
    return weights_[e] = compute(e);
}

double IndexWidth::compute(const Expr& e) {
    constexpr double wide = std::numeric_limits<double>::infinity();
    if (e->dtype != DType::i64) return dtype_bits(e->dtype) < 32 || e->dtype == DType::i32 ? 1 : wide;
    const auto arg = [&](size_t i) { return weight(e->args[i]); };
    static const std::set<Op> plain_ops{Op::add, Op::sub, Op::neg, Op::min, Op::max};
    if (e->op == Op::constant) return std::abs(static_cast<double>(e->integer())) / int32_range;
    if (e->op == Op::dim || e->op == Op::extent) {
        const auto extent = e->dim().extent().constant();
        return extent && e->op == Op::extent ? static_cast<double>(*extent) / int32_range : 1;
    }
    if (e->op == Op::mul) return is_constant(e->args[0]) || is_constant(e->args[1]) ? arg(0) * arg(1) * int32_range : wide;
    if (e->op == Op::select) return std::max(arg(1), arg(2));
    if (e->op == Op::cast) return is_integer(e->args[0]->dtype) ? arg(0) : wide;
    if ((e->op == Op::div || e->op == Op::mod) && arg(0) <= most_int32_ranges && arg(1) <= most_int32_ranges)
        return e->op == Op::mod ? std::min(arg(0), arg(1)) : arg(0);
    if (e->op == Op::access && e->target().input && (e->target().input->values || e->target().input->scalar)) return 1;
    if (!plain_ops.count(e->op)) return wide;
    double sum = 0;
    for (const Expr& a : e->args) sum += weight(a);
    return sum;
}

bool IndexWidth::fits_int32(const Expr& e) { return e->dtype == DType::i64 && weight(e) <= most_int32_ranges; }

bool IndexWidth::is_affine(const Expr& e) {
    static const std::set<Op> seen{Op::constant, Op::dim, Op::extent, Op::add, Op::sub, Op::mul,
                                   Op::div,      Op::mod, Op::neg,    Op::min, Op::max};
    bool affine = true;
    for_each_node({e}, [&](const Expr& n) {
        const bool scalar = n->op == Op::access && n->target().input && n->target().input->scalar;
        const bool widened = n->op == Op::cast && is_integer(n->dtype) && is_integer(n->args[0]->dtype);
        const bool wide = (n->op == Op::div || n->op == Op::mod) && n->dtype == DType::i64 && !fits_int32(n);
        affine = affine && !wide && (scalar || widened || seen.count(n->op));
    });
    return affine;
}

}  // namespace tessera::cpu
