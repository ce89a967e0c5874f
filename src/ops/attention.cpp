#include "ops/broadcast.h"

#include <cmath>
#include <limits>

namespace tessera::ops {

Func attention(std::string name, const Tensor& query, const Tensor& key, const Tensor& value, const AttentionOptions& options) {
    require_rank(query, 2, "query[..., q, d]");
    require_rank(key, 2, "key[..., k, d]");
    require_rank(value, 2, "value[..., k, e]");
    for (const Tensor* t : {&query, &key, &value}) require_float("attention", *t);
    const SourceLoc where = query.where();
    const auto from_end = [](const Tensor& t, size_t i) { return t.dims()[t.rank() - i]; };
    const auto leading = [](const Tensor& t) { return std::vector<Dim>(t.dims().begin(), t.dims().end() - 2); };
    require_equal(query, from_end(query, 1), key, from_end(key, 1));
    require_equal(key, from_end(key, 2), value, from_end(value, 2));

    // Self-attention: keys run over the Dim of the queries, so they get one of their own.
    DistinctDims distinct(name);
    const std::vector<Dim> lead =
        distinct.add_all(broadcast({{query, leading(query)}, {key, leading(key)}, {value, leading(value)}}));
    const Dim q = distinct.add(from_end(query, 2), "query"), k = distinct.add(from_end(key, 2), "key");
    const Dim d = distinct.add(from_end(query, 1), "d"), e = distinct.add(from_end(value, 1), "e");
    std::vector<Dim> rows = lead, pairs = lead, result = lead;
    rows.push_back(q);
    pairs.insert(pairs.end(), {q, k});
    result.insert(result.end(), {q, e});
    const auto read = [&](const Tensor& t, const Dim& i, const Dim& j) {
        std::vector<Index> at = aligned(leading(t), lead);
        at.insert(at.end(), {i, j});
        return tessera::cast(wide(query.dtype()), t.at(at));
    };

    Expr score = tessera::sum({d}, Operand(read(query, q, d) * read(key, k, d), where));
    if (options.scale)
        score = score * *options.scale;
    else
        score = score / tessera::sqrt(tessera::cast(score.dtype(), d.extent()));
    if (options.bias.defined()) score = score + tessera::cast(score.dtype(), broadcast_to(options.bias, {query, pairs}));
    if (options.causal) score = tessera::select(k - k.extent() <= q - q.extent(), score, lowest(score.dtype()));
    const Func scores = define(name + "/scores", pairs, score, where);
    const Expr s = scores.at(indices_of(pairs), where);
    const Func top = define(name + "/max", rows, tessera::max({k}, Operand(s, where)), where);
    const Expr most = top.at(indices_of(rows), where);
    // A row without keys has the maximum -inf: shifted by 0 its weights are 0, not NaN.
    // The result does not depend on the shift, so no derivative goes through it.
    const Expr shift = straight_through(tessera::select(most == -std::numeric_limits<double>::infinity(), 0, most), 0);
    const Func weights = define(name + "/exp", pairs, tessera::exp(s - shift), where);
    const Expr w = weights.at(indices_of(pairs), where);
    const Func sums = define(name + "/sum", rows, tessera::sum({k}, Operand(w, where)), where);
    const Expr total = sums.at(indices_of(rows), where);
    const Expr mixed = tessera::sum({k}, Operand(w * read(value, k, e), where));
    return define(name, result, tessera::cast(query.dtype(), tessera::select(total == 0, 0, mixed / total)), where);
}

}  // namespace tessera::ops
