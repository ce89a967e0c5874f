#include "expr/expr_node.h"
#include "ops/broadcast.h"

#include <fmt/format.h>

namespace tessera::ops {
namespace {

// Passes of a merge sort of so many elements.
std::int64_t passes_for(const Dim& d) {
    constexpr std::int64_t most = 31;  // extents on the CPU are below 2^31
    const auto extent = d.extent().constant() ? d.extent().constant() : d.state().at_most;
    if (!extent) return most;
    std::int64_t passes = 1;
    while ((std::int64_t{1} << passes) < *extent) ++passes;
    return passes;
}

std::vector<Index> with_time(const Index& time, const std::vector<Dim>& others) {
    std::vector<Index> at{time};
    at.insert(at.end(), others.begin(), others.end());
    return at;
}

// `dims` with `along` at `place`.
std::vector<Index> indexed(const std::vector<Dim>& dims, const Dim& along, const Index& place) {
    std::vector<Index> at;
    for (const Dim& d : dims) at.push_back(d.id() == along.id() ? place : Index(d));
    return at;
}

Expr is_nan_of(const Expr& e) { return is_float(e.dtype()) ? is_nan(e) : Expr(literal(false)); }

// Whether `later` must stand before `sooner`: strictly smaller, or a number and the other is not.
Expr overtakes(const Expr& later, const Expr& sooner, bool descending) {
    const Expr order = descending ? sooner < later : later < sooner;
    return is_float(later.dtype()) ? order || (is_nan_of(sooner) && !is_nan(later)) : order;
}

}  // namespace

// At step pass * n + place, the place-th element of the runs of 2^(pass + 1) is chosen from two runs of the pass before: `left`
// says how far the left one is used up.
Func argsort(std::string name, const Tensor& x, const Dim& along, const SortOptions& options) {
    require_dim(x, along);
    const SourceLoc where = x.where();
    const std::vector<Dim> others = rest(x.dims(), {along});
    const std::int64_t passes = passes_for(along);
    const Func key = define(name + "/key", x.dims(), x.value(), where);
    const Dim t = own_dim(name, "step", along.extent() * passes);
    const Expr n = tessera::cast(i64, Expr(along.extent())), step = tessera::cast(i64, Expr(t));
    const Expr pass = step / n, place = step % n, run = tessera::cast(i64, 1) << pass;
    const Expr block = place - place % (run * 2), middle = tessera::min(block + run, n), end = tessera::min(block + run * 2, n);
    Func order(name + "/order", where), left(name + "/left", where);
    const Expr zero = tessera::cast(i32, 0);
    recurrence(
        t, {{order.at(with_time(Index(t), others), where), zero}, {left.at(with_time(Index(t), others), where), zero}},
        [&](const Self& s) -> Tuple {
            const Expr used = tessera::cast(i64, s[1].at(with_time(Index(t - 1), others), where).read());
            const Expr l = tessera::select(place == block, block, used), r = middle + place - l;
            const auto element = [&](const Expr& at) {
                const Expr inside = tessera::clamp(at, 0, n - 1);
                const Expr time = tessera::min(tessera::max((pass - 1) * n + inside, 0), step - 1);
                const Expr before = tessera::cast(i64, s[0].at(with_time(Index(time), others), where).read());
                return tessera::clamp(tessera::select(pass == 0, inside, before), 0, n - 1);
            };
            const Expr a = element(l), b = element(r);
            const auto key_at = [&](const Expr& e) { return key.at(indexed(x.dims(), along, Index(e)), where).read(); };
            const Expr takes_left = l < middle && (r >= end || !overtakes(key_at(b), key_at(a), options.descending));
            return {tessera::cast(i32, tessera::select(takes_left, a, b)),
                    tessera::cast(i32, l + tessera::select(takes_left, 1, 0))};
        },
        {}, where);
    const Index last(Expr(along.extent()) * (passes - 1) + along);
    const Expr index = tessera::cast(i64, order.at(with_time(last, others), where).read());
    return define(name, x.dims(), tessera::clamp(index, 0, n - 1), where);
}

Func sort(std::string name, const Tensor& x, const Dim& along, const SortOptions& options) {
    const Func order = argsort(name + "/order_of", x, along, options);
    const Expr place = order.at(indices_of(x.dims()), x.where());
    return define(name, x.dims(), x.at(indexed(x.dims(), along, Index(place))), x.where());
}

TopK top_k(std::string name, const Tensor& x, const Dim& along, std::int64_t k) {
    require_dim(x, along);
    const auto extent = along.extent().constant();
    if (k < 0 || (extent && k > *extent))
        throw Error(E0105_extent, x.where(), fmt::format("the top {} of {} along {}", k, x.name(), along.name()),
                    {token(x.name()), expected(extent ? fmt::format("at most {}", *extent) : "a number >= 0"),
                     received(std::to_string(k)), fix("ask for fewer")});
    const Func order = argsort(name + "/order_of", x, along, {.descending = true});
    const Dim rank = own_dim(name, "rank", k);
    std::vector<Dim> dims;
    for (const Dim& d : x.dims()) dims.push_back(d.id() == along.id() ? rank : d);
    const Expr place = tessera::min(tessera::cast(i64, Expr(rank)), tessera::cast(i64, Expr(along.extent())) - 1);
    const Func indices =
        define(name + "/indices", dims, order.at(indexed(x.dims(), along, Index(place)), x.where()).read(), x.where());
    const Expr index = indices.at(indices_of(dims), x.where());
    std::vector<Index> at;
    for (const Dim& d : x.dims()) at.push_back(d.id() == along.id() ? Index(index) : Index(d));
    return {define(name, dims, x.at(at), x.where()), indices};
}

Func median(std::string name, const Tensor& x, const Dim& along) {
    require_float("median", x);
    const Func sorted = sort(name + "/sorted", x, along);
    const std::vector<Dim> dims = rest(x.dims(), {along});
    const DType w = wide(x.dtype());
    const auto at = [&](const Expr& place) {
        return tessera::cast(w, sorted.at(indexed(x.dims(), along, Index(place)), x.where()).read());
    };
    const Expr n = tessera::cast(i64, Expr(along.extent()));
    const Expr last = at(n - 1), middle = (at(tessera::max((n - 1) / 2, 0)) + at(n / 2)) * 0.5;
    return define(name, dims, tessera::cast(x.dtype(), tessera::select(tessera::is_nan(last), last, middle)), x.where());
}

}  // namespace tessera::ops
