#include "autodiff/boundary_fold.h"

#include "algorithm/required_region.h"
#include "autodiff/access_inverse.h"
#include "autodiff/guarded.h"
#include "autodiff/transposed_access.h"
#include "base/check.h"
#include "expr/index_build.h"

namespace tessera {
namespace {

bool never_negative(const Expr& e) { return proves_nonnegative(e, positive_extents); }

class Fold {
public:
    Fold(const FoldedDim& f, const Order& order, const std::string& name, NameSupply& names)
        : f_(f), order_(order), name_(name), names_(names), u_(make_dim(f.dim)), extent_(index_expr(f.dim.extent())),
          low_(f.range.low), high_(f.range.high) {}

    Expr clamped() {
        Expr sum = inside(u_);
        const Expr end = simplified_op(Op::sub, extent_, number(1));
        sum = sum_of(sum, edge(compared(Op::eq, u_, number(0)), {low_, lesser(high_, number(-1))}));
        return sum_of(sum, edge(compared(Op::eq, u_, end), {greater(low_, extent_), high_}));
    }
    // Places u + n N for every whole n.
    Expr periodic() { return sum_of(inside(u_), turns(u_, extent_, true)); }
    // … and their mirror images: -1 - u + 2 n N.
    Expr mirrored() {
        const Expr period = simplified_op(Op::mul, number(2), extent_);
        const Expr image = simplified_op(Op::sub, number(-1), u_);
        const bool few = few_turns(period, extent_);
        return sum_of(sum_of(inside(u_), images(image, period, few)), few ? Expr() : turns(u_, period, true));
    }
    // The edges have no image of their own, and with one element every place is its own.
    Expr mirrored_interior() {
        const Expr end = simplified_op(Op::sub, extent_, number(1));
        const Expr period = simplified_op(Op::mul, number(2), end);
        const Expr image = simplified_op(Op::sub, number(0), u_);
        const Expr inner = make_op(Op::and_, DType::bool_, {compared(Op::lt, number(0), u_), compared(Op::lt, u_, end)});
        const bool few = few_turns(period, simplified_op(Op::sub, extent_, number(2)));
        Expr several = sum_of(inside(u_), where_holds(inner, images(image, period, few)));
        if (!few) several = sum_of(several, turns(u_, period, true));
        if (never_negative(simplified_op(Op::sub, extent_, number(2)))) return several;
        const CountedDim all = counted_dim(f_.dim.name(), f_.range, names_);
        return chosen(compared(Op::eq, extent_, number(1)), stored("one", {all.dim}, {}, at(all.value)), several);
    }

private:
    Expr at(const Expr& place) const {
        std::vector<Expr> indices;
        for (const Dim& d : f_.dims) indices.push_back(d.id() == f_.padded.id() ? place : make_dim(d));
        return read_at(f_.func, indices, f_.func.state()->where);
    }
    static Expr where_holds(const Expr& condition, const Expr& value) {
        return value.defined() ? chosen(condition, value, zero_of(value.dtype())) : value;
    }
    // The value at `place`, 0 where nothing reads it.
    Expr inside(const Expr& place) const {
        Domain domain;
        domain.set(f_.dim, whole_dim(f_.dim));
        Expr guard;
        const Interval low = bounds(simplified_op(Op::sub, place, low_), domain),
                       high = bounds(simplified_op(Op::sub, high_, place), domain);
        if (!low.low.defined() || !never_negative(low.low)) guard = both(guard, compared(Op::le, low_, place));
        if (!high.low.defined() || !never_negative(high.low)) guard = both(guard, compared(Op::le, place, high_));
        return guard.defined() ? where_holds(guard, at(place)) : at(place);
    }
    // A sum in a Func of its own, over the dims of the result.
    Expr stored(const std::string& what, const std::vector<Dim>& over, const std::vector<Expr>& conditions,
                const Expr& value) const {
        const Expr sum = summed(over, conditions, value, order_, f_.func.state()->where);
        const std::vector<Dim> free = free_dims(sum);
        std::vector<Dim> dims;
        for (const Dim& d : f_.dims) {
            const Dim& mapped = d.id() == f_.padded.id() ? f_.dim : d;
            if (contains_dim(free, mapped)) dims.push_back(mapped);
        }
        return read_at(made_func(names_.func(name_ + "/" + what), dims, {sum}, f_.func.state()->where), dims_as_indices(dims),
                       f_.func.state()->where);
    }
    Expr edge(const Expr& here, const Interval& range) const {
        const Expr count = simplified_op(Op::add, simplified_op(Op::sub, range.high, range.low), number(1));
        if (const auto n = integer_constant(count); n && *n <= 0) return {};
        const CountedDim places = counted_dim(f_.dim.name(), range, names_);
        // Where there may be none, the prover has to see that none is read.
        std::vector<Expr> conditions;
        if (!proves_nonnegative(count))
            conditions = {compared(Op::le, low_, places.value), compared(Op::le, places.value, high_)};
        return where_holds(here, stored("edge", {places.dim}, conditions, at(places.value)));
    }
    // No place is further than `reach` before the start or a whole period from it: each is served by one reflection at most.
    bool few_turns(const Expr& period, const Expr& reach) const {
        return never_negative(simplified_op(Op::add, low_, reach)) &&
               never_negative(simplified_op(Op::sub, simplified_op(Op::sub, period, number(1)), high_));
    }
    // Mirror images: the one on the left and the one on the right when the halo is small, else all turns.
    Expr images(const Expr& image, const Expr& period, bool few) const {
        if (!few) return turns(image, period, false);
        const Expr right = simplified_op(Op::add, image, period);
        Expr sum;
        if (!never_negative(low_)) sum = inside(image);
        if (!never_negative(simplified_op(Op::sub, simplified_op(Op::sub, extent_, number(1)), high_)))
            sum = sum_of(sum, inside(right));
        return sum;
    }
    // Places start + n period inside the range, n from the first turn to the last.
    Expr turns(const Expr& start, const Expr& period, bool without_own) const {
        const Expr first = simplified_op(Op::sub, simplified_op(Op::div, low_, period), number(1));
        const Expr end = simplified_op(Op::add, simplified_op(Op::div, high_, period), number(1));
        const CountedDim n = counted_dim("turn", {first, end}, names_);
        const Expr place = simplified_op(Op::add, start, simplified_op(Op::mul, n.value, period));
        std::vector<Expr> conditions{compared(Op::le, low_, place), compared(Op::le, place, high_)};
        if (without_own) conditions.push_back(compared(Op::ne, n.value, number(0)));
        return stored("turns", {n.dim}, conditions, at(place));
    }

    const FoldedDim& f_;
    const Order& order_;
    const std::string& name_;
    NameSupply& names_;
    Expr u_, extent_, low_, high_;
};

}  // namespace

Expr fold_boundary(Boundary boundary, const FoldedDim& fold, const Order& order, const std::string& name, NameSupply& names) {
    Fold f(fold, order, name, names);
    switch (boundary) {
        case Boundary::clamp: return f.clamped();
        case Boundary::mirror: return f.mirrored();
        case Boundary::mirror_interior: return f.mirrored_interior();
        case Boundary::periodic: return f.periodic();
        default: break;
    }
    TESSERA_CHECK(false, "no boundary to fold");
    return {};
}

Expr index_inside(Boundary boundary, const Expr& e, const Expr& extent) {
    const Expr end = simplified_op(Op::sub, extent, number(1));
    const auto mod = [](const Expr& a, const Expr& b) { return index_op(Op::mod, a, b); };
    const auto nearest = [&](const Expr& x) { return index_op(Op::min, index_op(Op::max, x, number(0)), end); };
    switch (boundary) {
        case Boundary::clamp: return nearest(e);
        case Boundary::periodic: return mod(e, extent);
        case Boundary::mirror: {
            const Expr turn = mod(e, index_op(Op::mul, number(2), extent));
            return index_op(Op::min, turn,
                            index_op(Op::sub, index_op(Op::sub, index_op(Op::mul, number(2), extent), number(1)), turn));
        }
        case Boundary::mirror_interior: {
            const Expr period = index_op(Op::mul, number(2), end);
            const Expr turn = mod(e, period);  // 0 when there is one element
            return index_op(Op::min, turn, index_op(Op::sub, period, turn));
        }
        default: return e;
    }
}

}  // namespace tessera
