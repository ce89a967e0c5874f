#include "backend/cuda/index_reach.h"

#include "expr/affine.h"
#include "expr/index_analysis.h"
#include "schedule/loop_split.h"

#include <algorithm>

namespace tessera::cuda {
namespace {

constexpr std::int64_t most_i32 = INT32_MAX;
// Of a formula that a call evaluates; behind longer ones indices of 64 bits cost less than finding out.
constexpr size_t most_nodes = 150;

bool is_long(const Expr& e) {
    size_t nodes = 0;
    for_each_node({e}, [&](const Expr&) { ++nodes; });
    return nodes > most_nodes;
}

Expr i64_op(Op op, const Expr& a, const Expr& b) { return simplify_index(make_op(op, DType::i64, {a, b})); }

bool compares(Op op) {
    return op == Op::lt || op == Op::le || op == Op::eq || op == Op::ne || op == Op::and_ || op == Op::or_ || op == Op::not_;
}

}  // namespace

void ReachScan::add_variable(const Expr& variable, const Expr& most) {
    kept_.push_back(variable);
    most_[variable.get()] = most;
}

void ReachScan::add_stride(const Expr& variable, KernelParam::Kind kind, size_t index, size_t axis, size_t rank) {
    kept_.push_back(variable);
    strides_[variable.get()] = {kind, index, axis, rank};
}

Expr ReachScan::most(const Expr& e) {
    if (const auto known = most_.find(e.get()); known != most_.end()) return known->second;
    kept_.push_back(e);
    Expr found = find_most(e);
    if (found.defined() && is_long(found)) found = Expr();
    return most_[e.get()] = found;
}

Expr ReachScan::find_most(const Expr& e) {
    if (e->dtype == DType::bool_) return index_number(1);
    if (e->op == Op::constant) {
        const std::int64_t v = e->integer();
        return v > -most_i32 - 1 && v <= most_i32 ? index_number(std::abs(v)) : Expr();
    }
    if (e->op == Op::extent) return e;
    if (e->op == Op::access && e->target().input && e->args.empty() && !is_float(e->dtype)) {
        const Expr wide = resolve_weak(make_op(Op::cast, DType::i64, {e}), DType::i64, {});
        return greater(wide, index_difference(index_number(0), wide));
    }
    if (e->op == Op::cast && !is_float(e->args[0]->dtype)) return most(e->args[0]);
    if (e->op == Op::select) {
        const Expr a = most(e->args[1]), b = most(e->args[2]);
        return a.defined() && b.defined() ? greater(a, b) : Expr();
    }
    if (e->args.size() != 2) return {};
    const Expr a = most(e->args[0]), b = most(e->args[1]);
    if (!a.defined() || !b.defined()) return {};
    if (e->op == Op::add || e->op == Op::sub) return index_sum(a, b);
    if (e->op == Op::mul) return i64_op(Op::mul, a, b);
    if (e->op == Op::min || e->op == Op::max) return greater(a, b);
    if (e->op == Op::mod) return b;
    if (e->op != Op::div) return {};
    // |floor(a / c)| <= floor(|a| / c) + 1
    const auto divisor = integer_constant(e->args[1]);
    return divisor && *divisor > 1 ? index_sum(i64_op(Op::div, a, e->args[1]), index_number(1)) : a;
}

const ReachScan::Stride* ReachScan::stride_in(const Expr& e) const {
    const Stride* found = nullptr;
    for_each_node({e}, [&](const Expr& n) {
        if (const auto stride = strides_.find(n.get()); stride != strides_.end()) found = &stride->second;
    });
    return found;
}

void ReachScan::note(const Expr& e) {
    kept_.push_back(e);
    // The result of a comparison or division says nothing of its operands.
    for_each_node({e}, [&](const Expr& n) {
        if (n->op == Op::div || n->op == Op::mod || n->op == Op::select || compares(n->op))
            for (const Expr& a : n->args)
                if (!stride_in(a)) note_value(a);
    });
    if (const Stride* stride = stride_in(e))
        note_offset(e, *stride);
    else
        note_value(e);
}

void ReachScan::note_value(const Expr& e) {
    const Expr reach = most(e);
    if (!reach.defined()) known_ = false;
    if (known_ && std::none_of(values_.begin(), values_.end(), [&](const Expr& v) { return v.same_as(reach); }))
        values_.push_back(reach);
}

// stride0 * y + stride1 * z + x: |y| steps of the first axis, |z| of the second, |x| of the last, whose stride is 1.
void ReachScan::note_offset(const Expr& offset, const Stride& of) {
    std::map<size_t, Expr> steps;
    const Polynomial sum = IndexAnalysis().normal(offset);
    if (sum.overflowed()) known_ = false;
    for (const Term& term : sum.terms()) {
        Expr reach = most(index_number(term.factor));
        size_t axis = of.rank - 1;
        bool has_stride = false;
        for (const Expr& atom : term.atoms) {
            const auto stride = strides_.find(atom.get());
            if (stride != strides_.end()) {
                const bool same = !has_stride && stride->second.kind == of.kind && stride->second.index == of.index;
                if (!same) known_ = false;
                axis = stride->second.axis;
                has_stride = true;
                continue;
            }
            const Expr own = stride_in(atom) ? Expr() : most(atom);
            reach = reach.defined() && own.defined() ? i64_op(Op::mul, reach, own) : Expr();
        }
        if (!reach.defined()) known_ = false;
        if (!known_) return;
        Expr& all = steps[axis];
        all = all.defined() ? index_sum(all, reach) : reach;
    }
    for (const auto& [axis, reach] : steps) {
        Expr& known = steps_[{of.kind, of.index}][axis];
        known = known.defined() ? greater(known, reach) : reach;
    }
}

IndexReach ReachScan::result() const {
    IndexReach out;
    out.known = known_;
    if (!known_) return out;
    for (size_t i = 0; i < values_.size(); ++i) {
        const auto number = integer_constant(values_[i]);
        if (number && *number > most_i32) out.known = false;
        bool covered = number.has_value();
        for (size_t other = 0; other < values_.size() && !covered; ++other)
            if (other != i && proves_nonnegative(index_difference(values_[other], values_[i])))
                covered = other < i || !proves_nonnegative(index_difference(values_[i], values_[other]));
        if (!covered) out.values.push_back(values_[i]);
    }
    for (const auto& [array, axes] : steps_)
        for (const auto& [axis, most] : axes) out.steps.push_back({array.first, array.second, axis, most});
    return out;
}

}  // namespace tessera::cuda
