#include "tile/environment.h"

#include "expr/affine.h"
#include "expr/index_analysis.h"
#include "schedule/loop_split.h"

#include <algorithm>

namespace tessera::tile {
namespace {

using Bound = std::optional<std::int64_t>;

// The largest value of a polynomial whose variables are in [0, extent): floor divisions are relaxed, min and max taken apart.
class ConstantBound {
public:
    explicit ConstantBound(const Domain& ranges) : ranges_(ranges) {}

    Bound of(const Polynomial& p, int depth) {
        if (p.overflowed() || depth == 0 || --budget_ < 0) return {};
        if (const auto c = p.constant()) return c;
        Bound best;
        // Minima first: taken apart they cancel against what stands inside others, and nothing is lost.
        std::vector<Expr> atoms = atoms_of(p);
        std::stable_partition(atoms.begin(), atoms.end(), [](const Expr& a) { return a->op == Op::min || a->op == Op::max; });
        for (const Expr& atom : atoms) {
            const auto split = split_linear(p, atom);
            const auto factor = split ? split->factor.constant() : std::nullopt;
            if (!factor || *factor == 0) continue;
            const auto with = [&](const Expr& value) {
                return of(split->rest + Polynomial(*factor) * analysis_.normal(value), depth - 1);
            };
            if (atom->op == Op::min || atom->op == Op::max) {
                const Bound a = with(atom->args[0]), b = with(atom->args[1]);
                const bool either = (atom->op == Op::min) == (*factor > 0);
                if (either) return a && b ? Bound(std::min(*a, *b)) : a ? a : b;
                return a && b ? Bound(std::max(*a, *b)) : Bound();
            }
            if (atom->op == Op::div) {
                const auto c = integer_constant(atom->args[1]);
                if (!c || *c <= 0) continue;
                const Polynomial x = analysis_.normal(atom->args[0]);
                Bound b;
                if (*factor % *c == 0) {
                    // factor * floor(x / c) <= (factor / c) * x, and with a negative factor >= … - (c - 1).
                    const std::int64_t k = *factor / *c;
                    b = of(split->rest + Polynomial(k) * x + Polynomial(k > 0 ? 0 : -k * (*c - 1)), depth - 1);
                }
                const Bound end = *factor > 0 ? of(x, depth - 1) : of(Polynomial(0) - x, depth - 1);
                if (end) {
                    const Bound apart = with(index_number(floor_div(*factor > 0 ? *end : -*end, *c)));
                    if (apart && (!b || *apart < *b)) b = apart;
                }
                return b;
            }
            if (atom->op == Op::mod) {
                const auto c = integer_constant(atom->args[1]);
                if (!c || *c <= 0) continue;
                return of(split->rest + Polynomial(*factor > 0 ? *factor * (*c - 1) : 0), depth - 1);
            }
            if (atom->op == Op::extent && *factor < 0) {
                // Extents are >= 0; another atom may pair with this one, so this is a last resort.
                if (const Bound b = of(split->rest, depth - 1); b && (!best || *b < *best)) best = b;
                continue;
            }
            if (atom->op == Op::extent && atom->dim().state().at_most) {
                if (const Bound b = with(index_number(*atom->dim().state().at_most)); b && (!best || *b < *best)) best = b;
                continue;
            }
            const auto range = ranges_.ranges.find(atom);
            if (range == ranges_.ranges.end()) continue;
            const Expr& end = *factor > 0 ? range->second.high : range->second.low;
            if (!end.defined()) continue;
            if (const Bound b = with(end); b && (!best || *b < *best)) best = b;
        }
        return best;
    }

private:
    const Domain& ranges_;
    IndexAnalysis analysis_;
    int budget_ = 2000;
};

}  // namespace

void Environment::add_range(const Expr& variable, const Expr& extent) {
    ranges_.ranges[variable] = {index_number(0), index_difference(resolved(extent), index_number(1))};
}
void Environment::add_let(const Expr& variable, const Expr& value) {
    lets_[variable.get()] = resolved(value);
    written_lets_.emplace_back(variable, value);
}

Expr Environment::resolved(const Expr& e) const {
    return is_integer(e->dtype) ? simplify_index(substitute(e, lets_)) : substitute(e, lets_);
}

std::optional<std::int64_t> Environment::constant_bound(const Expr& e) const {
    const auto bound = [&](const Expr& plain) {
        const auto c = integer_constant(plain);
        return c ? c : ConstantBound(ranges_).of(IndexAnalysis().normal(plain), 12);
    };
    if (const auto b = bound(resolved(e))) return b;
    // What a let stands for may be long, and cancels where its name stands on both sides of a difference: inner ones are replaced
    // first, since they are made of outer ones.
    Expr named = simplify_index(e);
    if (const auto b = bound(named)) return b;
    for (size_t i = written_lets_.size(); i-- > 0;) {
        const Expr before = named;
        named = substitute(named, {{written_lets_[i].first.get(), written_lets_[i].second}});
        if (named.same_as(before)) continue;
        named = simplify_index(named);
        if (const auto b = bound(named)) return b;
    }
    return std::nullopt;
}

std::vector<std::int64_t> own_extent(const Alloc& alloc) {
    std::vector<std::int64_t> out = alloc.extent;
    for (size_t d = 0; d < alloc.shares.size(); ++d)
        for (const Share& share : alloc.shares[d])
            out[d] = (out[d] + share.tile * share.count - 1) / (share.tile * share.count) * share.tile;
    return out;
}

namespace {

// index = tile * count * q + tile * axis + r with r in [0, tile)  ->  tile * q + r
std::optional<Expr> own_part(const Expr& index, const Share& share, const Expr& axis, const Environment& environment) {
    const Expr rest = index_difference(index, simplify_index(make_op(Op::mul, DType::i64, {axis, index_number(share.tile)})));
    std::vector<Term> whole, inner;
    const Polynomial normal = IndexAnalysis().normal(rest);
    for (const Term& t : normal.terms()) (t.factor % (share.tile * share.count) == 0 ? whole : inner).push_back(t);
    for (Term& t : whole) t.factor /= share.count;
    const Expr q = simplify_index(Polynomial(whole).expr()), r = simplify_index(Polynomial(inner).expr());
    const auto high = environment.constant_bound(r), low = environment.constant_bound(index_difference(index_number(0), r)),
               before = environment.constant_bound(index_difference(index_number(0), q));
    if (!high || !low || !before || *high >= share.tile || *low > 0 || *before > 0) return std::nullopt;
    return index_sum(q, r);
}

}  // namespace

std::optional<std::vector<Expr>> own_index(const Alloc& alloc, const std::vector<Expr>& place,
                                           const std::vector<DealtAxis>& dealt, const Environment& environment) {
    const std::vector<std::int64_t> extent = own_extent(alloc);
    std::vector<Expr> out;
    for (size_t d = 0; d < place.size(); ++d) {
        Expr index = index_difference(environment.resolved(place[d]), environment.resolved(alloc.begin[d]));
        const std::vector<Share> shares = alloc.shares.empty() ? std::vector<Share>{} : alloc.shares[d];
        for (const Share& share : shares) {
            const auto axis = std::find_if(dealt.begin(), dealt.end(), [&](const DealtAxis& a) {
                return a.stride == share.stride && a.count == share.count;
            });
            if (axis == dealt.end()) return std::nullopt;
            const auto own = own_part(index, share, axis->variable, environment);
            if (!own) return std::nullopt;
            index = *own;
        }
        if (!shares.empty()) {
            const auto high = environment.constant_bound(index);
            if (!high || *high >= extent[d]) return std::nullopt;
        }
        out.push_back(index);
    }
    return out;
}

std::optional<std::vector<Expr>> own_fragment(const Alloc& alloc, const std::vector<Expr>& place,
                                              const std::vector<DealtAxis>& dealt, const Environment& environment, bool grouped) {
    const Expr row = make_variable("row.lane", DType::i64), column = make_variable("column.lane", DType::i64);
    Environment inside = environment;
    inside.add_range(row, index_number(8));
    inside.add_range(column, index_number(4));
    std::vector<DealtAxis> all = dealt;
    all.push_back({row, 4, 8});
    all.push_back({column, 1, 4});
    std::vector<Expr> first = place;
    const size_t rank = place.size();
    first[rank - 2] = index_sum(environment.resolved(place[rank - 2]), row);
    if (grouped) {
        const Expr part = make_variable("warp.part", DType::i64);
        inside.add_range(part, index_number(4));
        all.push_back({part, 32, 4});
        first[rank - 2] = index_sum(first[rank - 2], simplify_index(make_op(Op::mul, DType::i64, {part, index_number(16)})));
    }
    first[rank - 1] =
        index_sum(environment.resolved(place[rank - 1]), simplify_index(make_op(Op::mul, DType::i64, {column, index_number(2)})));
    return own_index(alloc, first, all, inside);
}

std::optional<std::int64_t> positions(const std::vector<Axis>& axes, const Environment& environment) {
    std::int64_t total = 1;
    for (const Axis& a : axes) {
        const auto extent = integer_constant(environment.resolved(a.extent));
        if (!extent || *extent < 0 || *extent > (std::int64_t{1} << 30) || total > (std::int64_t{1} << 30)) return std::nullopt;
        total *= *extent;
    }
    return total;
}

std::vector<DealtAxis> dealt_axes(const Spread& spread, std::int64_t threads, const Environment& environment) {
    const std::int64_t unit = spread.over == Scope::warpgroup ? 128 : spread.over == Scope::warp ? 32 : 1;
    const std::int64_t available = spread.over == Scope::lane ? 32 : spread.over == Scope::member ? 128 : threads / unit;
    const auto total = positions(spread.axes, environment);
    std::vector<DealtAxis> out(spread.axes.size());
    std::int64_t stride = unit;
    for (size_t i = spread.axes.size(); i-- > 0;) {
        out[i].variable = spread.axes[i].variable;
        if (!total || *total > available) continue;
        out[i].stride = stride;
        out[i].count = *integer_constant(environment.resolved(spread.axes[i].extent));
        stride *= out[i].count;
    }
    return out;
}

}  // namespace tessera::tile
