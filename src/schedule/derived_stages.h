#pragma once

#include <tessera/schedule.h>

#include "schedule/stages.h"

#include <map>
#include <string>

namespace tessera {

/// The graph with the schedule's copies, clones and partials as ordinary stages and their uses rewired, and with storage layouts
/// that divide a dim ("n/16") as dims of their own. `schedule` is rewritten to match (loops over a divided dim).
/// Throws E0501, E0509, E0505, E0508.
void apply_derived_stages(StageGraph& graph, Schedule& schedule);

/// Visits the stage's expressions with `edit: Expr -> Expr`.
template <class Edit>
void edit_exprs(Stage& stage, Edit&& edit) {
    for (Expr& e : stage.values) e = edit(e);
    if (!stage.update) return;
    for (Expr& e : stage.update->place) e = edit(e);
    for (Expr& e : stage.update->values) e = edit(e);
    if (stage.update->condition.defined()) stage.update->condition = edit(stage.update->condition);
}
/// All expressions of a stage.
[[nodiscard]] std::vector<Expr> exprs_of(const Stage& stage);
/// Whether the stage reads `func` elsewhere than in its own update.
[[nodiscard]] bool reads(const Stage& stage, const FuncState* func);
/// Sorts the stages so that producers stand before their users (stable).
void sort_producers_first(StageGraph& graph);

}  // namespace tessera
