#include "algorithm/required_region.h"

#include "expr/index_analysis.h"
#include "expr/index_build.h"

#include <algorithm>

namespace tessera {
namespace {

// Written out, more than `left` nodes.
bool is_large(const Expr& e, int& left) {
    if (--left < 0) return true;
    for (const Expr& a : e->args)
        if (is_large(a, left)) return true;
    return false;
}
bool is_large(const Interval& i) {
    int left = 100;
    return (i.low.defined() && is_large(i.low, left)) || (i.high.defined() && is_large(i.high, left));
}

constexpr std::int64_t most_beyond = 4;

bool is_inside(const Interval& read, const Interval& whole) {
    return read.bounded() && proves_nonnegative(read.low) &&
           proves_nonnegative(simplified_op(Op::sub, whole.high, read.high), {.extents_positive = true});
}

Interval after_boundary(const Interval& read, Boundary mode, const Dim& d) {
    if (mode == Boundary::none) return read;
    const Interval whole = whole_dim(d);
    // Folded at both ends, a range is written with itself twice: after a few stages it says no more than the whole dim does.
    if (is_large(read)) return whole;
    // An extent of 0 has no cell to read.
    const Facts positive{.extents_positive = true};
    const auto least = [&](const Expr& a, const Expr& b) { return lesser(a, b, positive); };
    const auto most = [&](const Expr& a, const Expr& b) { return greater(a, b, positive); };
    if (is_inside(read, whole)) return read;
    if (!read.bounded() || mode == Boundary::periodic) {
        if (mode == Boundary::periodic || mode == Boundary::mirror || mode == Boundary::mirror_interior) return whole;
        return {read.low.defined() ? most(least(read.low, whole.high), whole.low) : whole.low,
                read.high.defined() ? least(most(read.high, whole.low), whole.high) : whole.high};
    }
    if (mode == Boundary::constant) return {most(read.low, whole.low), least(read.high, whole.high)};
    if (mode == Boundary::clamp)
        return {least(most(read.low, whole.low), whole.high), most(least(read.high, whole.high), whole.low)};
    // What lies before 0 comes back from 0 on, what lies behind the end from the end down.
    const Expr edge = number(mode == Boundary::mirror ? 1 : 0);
    const Expr from_end =
        simplified_op(Op::sub, simplified_op(Op::add, simplified_op(Op::add, whole.high, whole.high), edge), read.high);
    const Expr from_start = simplified_op(Op::sub, simplified_op(Op::sub, number(0), edge), read.low);
    return {most(least(read.low, from_end), whole.low), least(most(read.high, from_start), whole.high)};
}

}  // namespace

Interval simpler_region(const Interval& region, const Dim& d) {
    const Facts positive{.extents_positive = true};
    Interval out = region;
    const auto reaches = [&](const Expr& a, const Expr& b) { return proves_nonnegative(simplified_op(Op::sub, a, b), positive); };
    const auto ends_large = [](const Expr& e) {
        int left = 20;
        return e.defined() && is_large(e, left);
    };
    for (std::int64_t beyond = 0; ends_large(out.low) && beyond <= most_beyond; ++beyond)
        if (const Expr end = number(-beyond); reaches(region.low, end)) out.low = end;
    for (std::int64_t beyond = 0; ends_large(out.high) && beyond <= most_beyond; ++beyond)
        if (const Expr end = simplified_op(Op::add, whole_dim(d).high, number(beyond)); reaches(end, region.high)) out.high = end;
    return out;
}

Interval whole_dim(const Dim& d) { return {number(0), simplified_op(Op::sub, Expr(d.extent()), number(1))}; }

std::vector<Interval> read_region(const Expr& access, const Domain& domain, InputReads reads, const std::vector<bool>* inside) {
    return RegionReader(domain, reads).read_region(access, inside);
}

Interval RegionReader::index_range(const Expr& index) {
    if (const auto found = ranges_.find(index); found != ranges_.end()) return found->second;
    analysis_.renew();
    return ranges_[index] = as_interval(analysis_.interval(index));
}

std::vector<Interval> RegionReader::read_region(const Expr& access, const std::vector<bool>* inside) {
    const AccessTarget& target = access->target();
    const std::vector<Dim>& dims = target.input ? target.input->dims : target.func->dims;
    std::vector<Interval> region;
    for (size_t i = 0; i < dims.size(); ++i) {
        const Boundary mode = inside && (*inside)[i] ? Boundary::none : target.boundary;
        const Expr& index = access->args[i];
        const Interval range = index_range(index);
        const auto [at, fresh] = served_.try_emplace({index.get(), dims[i].id(), mode});
        if (fresh) at->second = after_boundary(range, mode, dims[i]);
        region.push_back(at->second);
    }
    return region;
}

std::vector<bool> RegionReader::indices_inside(const Expr& access) {
    const AccessTarget& target = access->target();
    const std::vector<Dim>& dims = target.input ? target.input->dims : target.func->dims;
    std::vector<bool> out;
    for (size_t i = 0; i < dims.size(); ++i) {
        const Interval range = index_range(access->args[i]);
        const auto [at, fresh] = inside_.try_emplace({access->args[i].get(), dims[i].id()});
        if (fresh) at->second = is_inside(range, whole_dim(dims[i]));
        out.push_back(at->second);
    }
    return out;
}

Domain reduced_domain(const Expr& reduction, const Domain& domain) {
    Domain inside = domain;
    for (const Dim& d : reduction->reduction().dims) {
        // A dim bound here hides the one outside.
        std::erase_if(inside.nonnegative, [&](const Expr& e) { return mentions(e, make_dim(d)); });
        inside.set(d, whole_dim(d));
    }
    return inside;
}

void AccessWalk::enter(const Expr& node, size_t context) {
    if (node->op == Op::constant || node->op == Op::dim || node->op == Op::extent || node->op == Op::variable) return;
    if (seen_[context].place(node.get()).second) stack_.emplace_back(node, context);
}

void AccessWalk::expand(const Expr& node, size_t context) {
    if (node->op == Op::select) {
        enter(node->args[2], branch(context, node->args[0], false));
        enter(node->args[1], branch(context, node->args[0], true));
        enter(node->args[0], context);
        return;
    }
    if (node->op == Op::reduce || node->op == Op::scan || node->op == Op::scatter) {
        const Reduction& r = node->reduction();
        const size_t inside = reduced(context, node, false);
        size_t operands = node->args.size();
        if (node->op == Op::scatter && node->scatter().has_init) {
            operands -= r.components();
            for (size_t i = operands; i < node->args.size(); ++i) enter(node->args[i], context);
        }
        if (r.has_where) enter(node->args[--operands], inside);
        const size_t narrowed = r.has_where ? reduced(context, node, true) : inside;
        for (size_t i = operands; i-- > 0;) enter(node->args[i], narrowed);
        return;
    }
    for (size_t i = node->args.size(); i-- > 0;) enter(node->args[i], context);
}

size_t AccessWalk::branch(size_t context, const Expr& condition, bool holds) {
    if (domains_.size() > most_domains) return context;
    const auto key = std::make_tuple(context, condition.get(), holds);
    if (const auto found = children_.find(key); found != children_.end()) return found->second;
    Domain inside = domains_[context].narrowed(condition, holds);
    size_t id = context;
    if (inside.nonnegative.size() != domains_[context].nonnegative.size()) {
        id = domains_.size();
        domains_.push_back(std::move(inside));
    }
    return children_[key] = id;
}

size_t AccessWalk::reduced(size_t context, const Expr& node, bool with_predicate) {
    const auto key = std::make_tuple(context, node.get(), with_predicate);
    if (const auto found = children_.find(key); found != children_.end()) return found->second;
    Domain inside = reduced_domain(node, domains_[context]);
    if (with_predicate) inside = inside.narrowed(node->where_condition());
    const size_t id = domains_.size();
    domains_.push_back(std::move(inside));
    return children_[key] = id;
}

}  // namespace tessera
