#include "tile/atomic_update.h"

#include "tile/register_shares.h"

#include <fmt/format.h>

namespace tessera::tile {

bool is_atomic_update(const BoundSchedule& bound, const tessera::Store& w) {
    const Stage& s = bound.graph.stages[w.stage];
    const BoundStage& placed = bound.stages[w.stage];
    if (s.kind != Stage::Kind::scatter) return false;
    bool shared = false, update = false;
    for (const BoundLoop& l : placed.update) shared = shared || (l.reduction && (is_spread(l.kind) || l.kind == LoopKind::block));
    for_each_node(w.values, [&](const Expr& n) { update = update || (n->op == Op::access && n->target().func == s.func); });
    if (!shared || !update) return false;
    const std::string& monoid = s.update->monoid->name;
    if (placed.method != Method::atomic)
        throw Error(E0505_order, s.where, fmt::format("{} combines its sources on several threads", s.name),
                    {fix("use method atomic"), fix("run the loops over its sources serially")});
    if (s.dtypes.size() != 1 || dtype_bits(s.dtypes[0]) < 32 || (monoid != "sum" && monoid != "min" && monoid != "max"))
        throw Limit(L0903_schedule, s.where,
                    fmt::format("{} has no atomic update: it combines {} values of {} by {}", s.name, s.dtypes.size(),
                                dtype_name(s.dtypes[0]), monoid),
                    {fix("combine one i32, u32, i64 or u64 by sum, min or max"), fix("run the loops over its sources serially")});
    return true;
}

}  // namespace tessera::tile
