#include "backend/cpu/index_width.h"

#include "algorithm/graph.h"
#include "expr/tensor_state.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>

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
        const auto& extent = e->dim().state().extent;
        return extent ? weight(Expr(*extent)) : 1;
    }
    if (e->op == Op::mul) return is_constant(e->args[0]) || is_constant(e->args[1]) ? arg(0) * arg(1) * int32_range : wide;
    if (e->op == Op::select) return std::max(arg(1), arg(2));
    if (e->op == Op::cast) return is_integer(e->args[0]->dtype) ? arg(0) : wide;
    if ((e->op == Op::div || e->op == Op::mod) && arg(0) <= most_int32_ranges && arg(1) <= most_int32_ranges) {
        if (e->op == Op::mod) return std::min(arg(0), arg(1));
        return is_constant(e->args[1]) ? arg(0) / std::max(arg(1) * int32_range, 1.0) + 1 / int32_range : arg(0);
    }
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

bool IndexWidth::is_edge(const Expr& condition) {
    if (condition->op != Op::lt || !fits_int32(condition->args[0])) return false;
    if (condition->args[1]->op != Op::extent && condition->args[1]->op != Op::constant) return false;
    static const std::set<Op> of_positions{Op::add, Op::mul, Op::dim, Op::constant};
    bool position = true, divided = false;
    std::set<std::string> dims;
    for_each_node({condition->args[0]}, [&](const Expr& n) {
        position = position && of_positions.count(n->op) && (n->op != Op::constant || n->integer() > 0);
        if (n->op != Op::dim) return;
        const std::string& name = n->dim().name();
        const size_t end = name.find_first_of("/%");
        dims.insert(name.substr(0, end));
        divided = divided || end != std::string::npos;
    });
    return position && divided && dims.size() == 1;
}

}  // namespace tessera::cpu
