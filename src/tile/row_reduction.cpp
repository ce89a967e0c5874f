#include "tile/row_reduction.h"

#include "schedule/loop_split.h"
#include "tile/renaming.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::tile {
namespace {

bool stores(const Statement& s, size_t stage) {
    const auto* a = std::get_if<Assign>(&s.node);
    const std::vector<StatementPtr> inside = children(s);
    return (a && a->stage == stage) ||
           std::any_of(inside.begin(), inside.end(), [&](const StatementPtr& child) { return stores(*child, stage); });
}

// With the combination where lanes, or threads of a warpgroup, store.
StatementPtr with_combination(const StatementPtr& s, const Combine& rows) {
    const auto* p = std::get_if<Spread>(&s->node);
    if (!p || inside_of(p->over))
        return map_children(s, [&](const StatementPtr& child) { return with_combination(child, rows); });
    Combine own = rows;
    own.over = p->over;
    return statement(own);
}

// The nest that starts the stage, with the combination instead; nothing where it runs several times.
StatementPtr combination(const StatementPtr& s, const Combine& rows) {
    if (const auto* q = std::get_if<Sequence>(&s->node)) {
        for (const StatementPtr& child : q->statements)
            if (stores(*child, rows.stage)) return combination(child, rows);
        return nullptr;
    }
    if (const auto* p = std::get_if<Spread>(&s->node)) return inside_of(p->over) ? with_combination(s, rows) : nullptr;
    const auto* f = std::get_if<For>(&s->node);
    const auto* l = std::get_if<Let>(&s->node);
    const auto* i = std::get_if<If>(&s->node);
    if ((!f && !l && !i) || (f && integer_constant(f->extent) != 1)) return nullptr;
    StatementPtr body = combination(f ? f->body : l ? l->body : i->body, rows);
    if (!body) return nullptr;
    if (f) return statement(Let{f->variable, index_number(0), std::move(body)});
    return l ? statement(Let{l->variable, l->value, std::move(body)}) : statement(If{i->condition, std::move(body)});
}

}  // namespace

bool reduces_rows(const Stage& stage, const BoundStage& placed) {
    if (stage.kind != Stage::Kind::reduction || placed.mma) return false;
    std::vector<bool> reduced;
    for (const BoundLoop& l : placed.update)
        if (l.kind == LoopKind::frag) reduced.push_back(l.reduction);
    return reduced == std::vector<bool>{false, true};
}

StatementPtr combine_rows(const Stage& s, size_t stage, StatementPtr init_and_update) {
    Combine rows;
    rows.stage = stage;
    rows.lanes = 4;
    const StatementPtr combined = combination(init_and_update, rows);
    if (!combined)
        throw Limit(L0903_schedule, s.where, fmt::format("the rows of {} are not reduced by warps that each run once", s.name),
                    {fix("compute it at a loop of the block, with warp loops outside its frag loops and a tile for each of its "
                         "other dims outside that loop")});
    return sequence({std::move(init_and_update), renamed(combined, {}, ".row")});
}

}  // namespace tessera::tile
