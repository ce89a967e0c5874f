#include "autodiff/transposed_access.h"

#include "algorithm/required_region.h"
#include "autodiff/access_enumeration.h"
#include "autodiff/boundary_fold.h"
#include "base/check.h"
#include "expr/index_build.h"

namespace tessera {
namespace {

bool is_index_equation(const Expr& e) { return e->op == Op::eq && is_integer(e->args[0].dtype()) && !reads_tensors(e); }

Expr conjunction(const std::vector<Expr>& parts) {
    Expr all;
    for (const Expr& p : parts) all = both(all, p);
    return all;
}

class Transposition {
public:
    Transposition(const Contribution& c, const AccessPlace& place, NameSupply& names, SourceLoc where)
        : c_(c), place_(place), names_(names), where_(where) {
        for (const Expr& p : place.conditions) split_conjunction(p, conditions_);
        if (!c.value.always()) split_conjunction(c.value.condition, conditions_);
        for (const LoopDim& loop : place.loops) loop_domain_.set(loop.dim, loop.range);
        for (const Dim& d : place.parameters) loop_domain_.set(d, whole_dim(d));
        for (const Expr& p : conditions_) loop_domain_ = loop_domain_.narrowed(p);
    }

    Expr sum() { return gathered(place_.target_dims, place_.target_region, {}); }

    Expr run() {
        const Expr& access = c_.access;
        std::vector<Expr> indices(access->args.begin(),
                                  access->args.begin() + static_cast<std::ptrdiff_t>(access->index_count()));
        const Boundary boundary = access->target().boundary;
        if (boundary == Boundary::none || boundary == Boundary::constant)
            return gathered(place_.target_dims, place_.target_region, indices);
        std::vector<std::optional<Interval>> padded(indices.size());
        bool any = false;
        for (size_t k = 0; k < indices.size(); ++k) {
            const Interval range = bounds(indices[k], loop_domain_);
            if (is_inside(range, place_.target_dims[k])) continue;
            if (!range.bounded() || place_.force_scatter || reads_tensors(indices[k])) {
                indices[k] = index_inside(boundary, indices[k], index_expr(place_.target_dims[k].extent()));
                continue;
            }
            padded[k] = range;
            any = true;
        }
        if (!any) return gathered(place_.target_dims, place_.target_region, indices);
        return folded(boundary, padded, indices);
    }

private:
    static bool is_inside(const Interval& range, const Dim& d) {
        return range.bounded() && proves_nonnegative(range.low) &&
               proves_nonnegative(simplified_op(Op::sub, whole_dim(d).high, range.high), {.extents_positive = true});
    }

    Expr gathered(const std::vector<Dim>& target, const std::vector<Interval>& region, const std::vector<Expr>& indices) {
        AccessSystem system;
        system.loops = place_.loops;
        for (const Dim& d : place_.parameters) system.outer.set(d, whole_dim(d));
        for (size_t k = 0; k < target.size(); ++k)
            if (region[k].bounded()) system.outer.set(target[k], region[k]);
        for (size_t k = 0; k < indices.size(); ++k) {
            system.left.push_back(make_dim(target[k]));
            // An index that no rule inverts.
            system.right.push_back(place_.force_scatter ? index_op_opaque(indices[k]) : indices[k]);
        }
        std::vector<Expr> conditions;
        for (const Expr& p : conditions_) {
            if (is_index_equation(p)) {
                system.left.push_back(number(0));
                system.right.push_back(
                    simplified_op(Op::sub, converted(DType::i64, p->args[0]), converted(DType::i64, p->args[1])));
            } else {
                conditions.push_back(p);
            }
        }
        const InvertedAccess solved = inverted(system, names_);
        if (place_.check_inverse) check_inverse(system, solved);
        std::vector<Expr> guards = solved.guards, checks = solved.read_guards;
        Domain points = system.outer;
        for (const Dim& d : solved.remaining) points.set(d, whole_dim(d));
        for (const Expr& g : guards) points = points.narrowed(g);
        for (const Expr& p : conditions) {
            const Expr there = with_dims(p, solved.values);
            if (reads_tensors(there))
                checks.push_back(kept_inside(there, points));
            else if (!holds(there, points))
                guards.push_back(there);
        }
        std::vector<size_t> destinations;
        for (const size_t k : solved.scattered) {
            if (k < indices.size())
                destinations.push_back(k);
            else
                (reads_tensors(system.right[k]) ? checks : guards)
                    .push_back(make_op(Op::eq, DType::bool_, {with_dims(system.right[k], solved.values), number(0)}));
        }
        // Of a tensor of which one place is read in a dim, only that place gets the sum, which is made without the dim.
        const std::vector<Expr> of_place =
            destinations.empty() ? guards_of_place(target, solved, checks, guards) : std::vector<Expr>{};
        if (!of_place.empty()) {
            points = system.outer;
            for (const Dim& d : solved.remaining) points.set(d, whole_dim(d));
        }
        for (const Expr& g : guards) points = points.narrowed(g);
        // Under the guards every loop dim is in its range; where that is not seen it is clamped, which changes no value.
        DimValues values = solved.values;
        for (const LoopDim& loop : place_.loops) {
            Expr& v = values[loop.dim.id()];
            if (stays_in(bounds(v, points), loop.range)) continue;
            v = make_op(Op::min, DType::i64, {make_op(Op::max, DType::i64, {v, loop.range.low}), loop.range.high});
        }
        for (Expr& check : checks) check = kept_inside(check, points);
        Expr value = kept_inside(with_dims(c_.value.value, values), points);
        if (const Expr check = conjunction(checks); check.defined()) value = chosen(check, value, zero_of(value.dtype()));
        if (!of_place.empty()) return at_place(target, of_place, summed(solved.remaining, guards, value, place_.order, where_));
        if (destinations.empty()) return summed(solved.remaining, guards, value, place_.order, where_);
        return scattered(target, region, destinations, system, solved, guards, value);
    }

    // Takes the guards out of `guards` that mention a target dim that the sum does not depend on otherwise.
    std::vector<Expr> guards_of_place(const std::vector<Dim>& target, const InvertedAccess& solved,
                                      const std::vector<Expr>& checks, std::vector<Expr>& guards) const {
        const auto mentions = [](const Expr& e, const std::vector<Dim>& dims) {
            for (const Dim& d : free_dims(e))
                if (contains_dim(dims, d)) return true;
            return false;
        };
        if (solved.remaining.empty()) return {};
        std::vector<Expr> needed = checks;
        for (const Expr& g : guards)
            if (mentions(g, solved.remaining)) needed.push_back(g);
        for_each_node({c_.value.value}, [&](const Expr& n) {
            if (n->op != Op::dim) return;
            const auto value = solved.values.find(n->dim().id());
            needed.push_back(value == solved.values.end() ? n : value->second);
        });
        std::vector<Dim> unneeded;
        for (const Dim& d : target)
            if (!contains_dim(place_.parameters, d) &&
                std::none_of(needed.begin(), needed.end(), [&](const Expr& e) { return mentions(e, {d}); }))
                unneeded.push_back(d);
        std::vector<Expr> taken, left;
        for (const Expr& g : guards) (mentions(g, unneeded) ? taken : left).push_back(g);
        guards = left;
        return taken;
    }
    // sum(u, v) where v == 1   ->   part(u) = sum(u);  v == 1 ? part(u) : 0
    Expr at_place(const std::vector<Dim>& target, const std::vector<Expr>& guards, const Expr& sum) {
        std::vector<Dim> dims = place_.parameters;
        for (const Dim& d : target)
            if (!contains_dim(dims, d) && contains_dim(free_dims(sum), d)) dims.push_back(d);
        const Func part = made_func(names_.func(place_.name + "/part"), dims, {sum}, where_);
        return chosen(conjunction(guards), read_at(part, dims_as_indices(dims), where_), zero_of(sum.dtype()));
    }

    void check_inverse(const AccessSystem& system, const InvertedAccess& solved) const {
        const Enumeration found = enumerate_inverse(system, solved);
        if (!found.problem.empty())
            throw Bug(B0951_internal, where_, "an access is inverted wrongly, for " + place_.name + ": " + found.problem);
    }

    // The reads of a definition are inside for all points of its loops, so they are under the guards. Where that is not seen any
    // more, because an index was rearranged, the index is clamped, which changes no value.
    Expr kept_inside(const Expr& value, const Domain& points) const {
        NodeValues safe;
        AccessWalk(points).run({value}, [&](const Expr& access, const Domain& domain) {
            const AccessTarget& target = access->target();
            if (target.boundary != Boundary::none || safe.count(access)) return;
            std::vector<Interval> region;
            if (target.input) {
                for (const Dim& d : target.input->dims) region.push_back(whole_dim(d));
            } else {
                if (!place_.regions || !place_.regions->count(target.func.get())) return;
                region = place_.regions->at(target.func.get());
            }
            std::vector<Expr> args = access->args;
            bool changed = false;
            for (size_t k = 0; k < args.size(); ++k) {
                if (stays_in(bounds(args[k], domain), region[k])) continue;
                args[k] = make_op(Op::min, DType::i64, {make_op(Op::max, DType::i64, {args[k], region[k].low}), region[k].high});
                changed = true;
            }
            if (changed) safe[access] = with_args(access, args);
        });
        return safe.empty() ? value : with_nodes(value, safe);
    }
    static bool stays_in(const Interval& range, const Interval& region) {
        const auto reaches = [](const Expr& a, const Expr& b) {
            return proves_nonnegative(simplified_op(Op::sub, a, b), {.extents_positive = true});
        };
        return range.bounded() && reaches(range.low, region.low) && reaches(region.high, range.high);
    }

    // A comparison of indices that holds at every point.
    static bool holds(const Expr& condition, const Domain& points) {
        if ((condition->op != Op::le && condition->op != Op::lt) || !is_integer(condition->args[0].dtype())) return false;
        const Expr a = converted(DType::i64, condition->args[0]), b = converted(DType::i64, condition->args[1]);
        const Expr distance = simplified_op(Op::sub, simplified_op(Op::sub, b, a), number(condition->op == Op::lt ? 1 : 0));
        const Interval range = bounds(distance, points);
        return range.low.defined() && proves_nonnegative(range.low, {.extents_positive = true});
    }

    // e, in a form that is not inverted.
    static Expr index_op_opaque(const Expr& e) {
        const Expr doubled = make_op(Op::bit_xor, DType::i64, {e, number(1)});
        return make_op(Op::bit_xor, DType::i64, {doubled, number(1)});
    }

    Expr scattered(const std::vector<Dim>& target, const std::vector<Interval>& region, const std::vector<size_t>& destinations,
                   const AccessSystem& system, const InvertedAccess& solved, const std::vector<Expr>& guards, Expr value) {
        const SourceLoc where = where_;
        const Expr guard = conjunction(guards);
        if (guard.defined()) value = chosen(guard, value, zero_of(value.dtype()));
        std::vector<To> to_dims;
        std::vector<Expr> reads = dims_as_indices(target);
        bool shifted = false;
        for (const size_t k : destinations) {
            Expr index = with_dims(system.right[k], solved.values);
            const CountedDim counted = counted_dim(target[k], region[k], {}, names_);
            if (counted.dim.id() != target[k].id()) {
                shifted = true;
                index = simplified_op(Op::sub, index, region[k].low);
                reads[k] = simplified_op(Op::sub, make_dim(target[k]), region[k].low);
            }
            if (guard.defined()) index = chosen(guard, index, number(-1));
            to_dims.push_back({counted.dim, index, where});
        }
        const Expr sum = scatter(plus, to_dims, solved.remaining, Operand(value, where), {.order = place_.order});
        if (!shifted) return sum;
        // The region does not start at 0: a Func over counted dims, read with the offset.
        std::vector<Dim> dims = place_.parameters;
        std::vector<Expr> indices = dims_as_indices(place_.parameters);
        for (size_t k = 0; k < target.size(); ++k) {
            if (contains_dim(dims, target[k])) continue;
            bool found = false;
            for (size_t i = 0; i < destinations.size(); ++i)
                if (destinations[i] == k) {
                    dims.push_back(to_dims[i].dst);
                    found = true;
                }
            if (!found) dims.push_back(target[k]);
            indices.push_back(reads[k]);
        }
        return read_at(made_func(names_.func(place_.name + "/scatter"), dims, {sum}, where), indices, where);
    }

    // First the sum per place of the padded tensor, then one dim after the other what lies outside is added to where it is read.
    Expr folded(Boundary boundary, const std::vector<std::optional<Interval>>& padded, const std::vector<Expr>& indices) {
        std::vector<Dim> dims;
        std::vector<Interval> region;
        for (size_t k = 0; k < padded.size(); ++k) {
            dims.push_back(padded[k] ? names_.dim(place_.target_dims[k].name()) : place_.target_dims[k]);
            region.push_back(padded[k] ? *padded[k] : place_.target_region[k]);
        }
        Expr value = gathered(dims, region, indices);
        for (size_t k = 0; k < padded.size(); ++k) {
            if (!padded[k]) continue;
            std::vector<Dim> all = place_.parameters;
            for (const Dim& d : dims)
                if (!contains_dim(all, d)) all.push_back(d);
            const Func pad = made_func(names_.func(place_.name + "/pad"), all, {value}, where_);
            FoldedDim fold{pad, all, dims[k], place_.target_dims[k], *padded[k]};
            dims[k] = place_.target_dims[k];
            value = fold_boundary(boundary, fold, place_.order, place_.name, names_);
            const Interval& needed = place_.target_region[k];
            if (is_inside(needed, place_.target_dims[k])) continue;
            const Expr at = make_dim(place_.target_dims[k]), extent = index_expr(place_.target_dims[k].extent());
            const Expr inside = both(make_op(Op::le, DType::bool_, {number(0), at}), make_op(Op::lt, DType::bool_, {at, extent}));
            value = chosen(inside, value, zero_of(value.dtype()));
        }
        return value;
    }

    const Contribution& c_;
    const AccessPlace& place_;
    NameSupply& names_;
    SourceLoc where_;
    std::vector<Expr> conditions_;
    Domain loop_domain_;
};

}  // namespace

void split_conjunction(const Expr& condition, std::vector<Expr>& parts) {
    if (condition->op == Op::and_) {
        for (const Expr& a : condition->args) split_conjunction(a, parts);
        return;
    }
    parts.push_back(condition);
}

Expr summed(const std::vector<Dim>& dims, const std::vector<Expr>& conditions, const Expr& value, const Order& order,
            SourceLoc where) {
    const Expr all = conjunction(conditions);
    if (dims.empty()) return all.defined() ? chosen(all, value, zero_of(value.dtype())) : value;
    Where w;
    w.condition = all;
    w.loc = where;
    return reduce(plus, dims, {Operand(value, where)}, w, {.order = order})[0];
}

Expr transposed(const Contribution& contribution, const AccessPlace& place, NameSupply& names) {
    if (contribution.value.zero()) return {};
    return Transposition(contribution, place, names, contribution.access->where).run();
}

Expr sum_over_loops(const Guarded& value, const AccessPlace& place, SourceLoc where, NameSupply& names) {
    const Contribution c{{}, value};
    return Transposition(c, place, names, where).sum();
}

}  // namespace tessera
