#pragma once

#include "algorithm/graph.h"
#include "base/pointer_map.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tessera {

/// How a stage's cells are combined after they were initialised:
///   for dims, for reduction_dims where condition:  self(place) = values
/// `values` read the stage itself through accesses of its own FuncState (at `place`; scans and recurrences at earlier points).
struct Update {
    std::vector<Dim> reduction_dims;  // in definition order
    std::vector<Expr> place;          // one index per dim of the stage; the plain dims for reductions
    std::vector<Expr> values;         // one per component
    Expr condition;                   // undefined: always
    Order order;
    std::shared_ptr<const MonoidState> monoid;  // null for recurrences
    /// Reduction dims whose iterations run in order because they read each other (scan, recurrence).
    bool sequential = false;
};

/// What a schedule places: a Func without its reductions, or one reduction, scan, scatter or recurrence, or a derived stage.
/// Accesses in `values` and `update` name other stages through their FuncState (`StageGraph::find`), inputs through InputState.
struct Stage {
    enum class Kind { definition, reduction, scan, scatter, recurrence, copy, routine };
    Kind kind = Kind::definition;
    std::shared_ptr<FuncState> func;  // identity in accesses; of the algorithm for definitions, made here for the others
    std::string name;                 // "C", "C.sum", "C.sum.1"
    std::vector<Dim> dims;            // row-major; over all integers
    std::vector<DType> dtypes;        // one per component
    std::vector<Expr> values;  // definition, copy: the value; routine: a read of all it is given; others: what cells start as
    std::optional<Update> update;
    std::string symbol;            // of a routine: the C function that computes all cells at once
    std::optional<size_t> output;  // position in the algorithm's outputs: the region is [0, extent) of its dims
    SourceLoc where;
};

/// An Algorithm as stages, producers first.
struct StageGraph {
    Algorithm algorithm;
    std::vector<Stage> stages;

    [[nodiscard]] std::optional<size_t> find(const FuncState* func) const;
    [[nodiscard]] std::optional<size_t> find(const std::string& name) const;
    [[nodiscard]] std::vector<std::string> names() const;
};

/// Splits every definition into stages. Reductions are numbered per kind by first visit, left to right, of the finished
/// definition; a float sum of products accumulates by fma; kahan sums carry a compensation; orders by blocks are two stages.
/// Throws Limit L0901 for what stages cannot express (scans over the states inside a step, a scatter of floats in blocks).
[[nodiscard]] StageGraph make_stages(const Algorithm& algorithm);

/// A FuncState that stands for a stage in accesses.
[[nodiscard]] std::shared_ptr<FuncState> make_stage_func(std::string name, std::vector<Dim> dims, std::vector<DType> dtypes,
                                                         SourceLoc where);
/// A read of a stage's component.
[[nodiscard]] Expr read_stage(const std::shared_ptr<FuncState>& func, std::vector<Expr> indices, int component = 0);
/// The indices of `dims`.
[[nodiscard]] std::vector<Expr> dim_exprs(const std::vector<Dim>& dims);
/// Dims of a stage over which its update runs as a plain loop (not reduced, not a scatter's destination).
[[nodiscard]] std::vector<Dim> update_pure_dims(const Stage& stage);
/// Those of them that the update reads itself at other positions of: a step needs the step before at all of them.
[[nodiscard]] std::vector<Dim> carried_dims(const Stage& stage);

/// `e` with every node for which `replace` returns a defined Expr replaced (bottom-up, shared nodes once).
template <class Replace>
[[nodiscard]] Expr rewrite(const Expr& e, Replace&& replace);
/// `e` with dims and variables replaced by index.
[[nodiscard]] Expr substitute(const Expr& e, const std::map<const ExprNode*, Expr>& replacements);
[[nodiscard]] Expr substitute_dims(const Expr& e, const std::vector<Dim>& dims, const std::vector<Expr>& indices);

template <class Replace>
Expr rewrite(const Expr& e, Replace&& replace) {
    PointerMap<Expr> done;
    for_each_node({e}, [&](const Expr& n) {
        const bool changed =
            std::any_of(n->args.begin(), n->args.end(), [&](const Expr& a) { return !done.find(a.get())->same_as(a); });
        std::vector<Expr> args;
        if (changed)
            for (const Expr& a : n->args) args.push_back(*done.find(a.get()));
        const Expr rebuilt = changed ? with_args(n, std::move(args)) : n;
        const Expr replaced = replace(rebuilt);
        *done.place(n.get()).first = replaced.defined() ? replaced : rebuilt;
    });
    return *done.find(e.get());
}

}  // namespace tessera
