#pragma once

#include <tessera/algorithm.h>

#include "expr/tensor_state.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tessera {

/// An output, or one component of a tuple, that may have the memory of an argument.
struct InPlacePair {
    size_t argument = 0, output = 0;  // indices
    int component = 0;
};

/// An Algorithm's parts. Dims are listed in the order of first visit; `dims` are those whose extents the entry knows.
struct AlgorithmState {
    std::string name;
    SourceLoc where;
    std::vector<Func> outputs;
    std::vector<Argument> arguments;
    std::vector<Func> funcs;  // producers first
    std::vector<Dim> dims;    // of arguments and outputs, then dims that extents mention
    std::vector<std::pair<Extent, Extent>> require;
    std::vector<InPlacePair> in_place;
};

/// What a buffer of an output is called: "f", or "f.1" for a component of a tuple.
[[nodiscard]] inline std::string buffer_name(const Func& output, int component) {
    return output.components() == 1 ? output.name() : output.name() + "." + std::to_string(component);
}

/// Calls `visit` once per node reachable from `roots` (args before users, left to right), without recursion. Does not enter the
/// definitions of accessed Funcs.
template <class Visit>
void for_each_node(const std::vector<Expr>& roots, Visit&& visit);

/// What a definition is made of: values, and the init of a recurrence's state.
[[nodiscard]] std::vector<Expr> roots_of(const FuncState& f);

/// Names as the language allows them: letters, digits, _, and / . # inside. E0102 otherwise.
void check_name(const std::string& name, std::string_view kind, SourceLoc where);

/// E0206 for a policy that loses values between its dtypes.
void check_policy(const std::string& name, const Numerics& numerics, SourceLoc where);
/// The value with its sums and products of the policy's compute dtype run in its accumulate dtype.
[[nodiscard]] Expr accumulated(const Expr& value, const Numerics& numerics);

/// "1 dim", "2 dims"
[[nodiscard]] inline std::string counted(size_t n, std::string_view noun) {
    return std::to_string(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

/// Dims that occur free in `e` (reduced dims are bound by their reductions), in order of first visit.
[[nodiscard]] std::vector<Dim> free_dims(const Expr& e);
/// Whether `part` is a node of `e`.
[[nodiscard]] bool mentions(const Expr& e, const Expr& part);
[[nodiscard]] bool contains_dim(const std::vector<Dim>& dims, const Dim& dim);
[[nodiscard]] inline std::vector<Index> indices_of(const std::vector<Dim>& dims) { return {dims.begin(), dims.end()}; }
/// The dims of `a`, then those of `b`.
[[nodiscard]] std::vector<Dim> joined_dims(std::vector<Dim> a, const std::vector<Dim>& b);

/// sum, prod, …: the monoids that the text knows by name.
[[nodiscard]] const std::vector<Monoid>& builtin_monoids();

/// A read of a component of a defined Func, as f(...)[component] makes it. `outside` is for Boundary::constant.
[[nodiscard]] Expr read_func(const std::shared_ptr<FuncState>& func, int component, Boundary mode, const Expr& outside,
                             const std::vector<Index>& indices, SourceLoc where);

/// The two halves of recurrence(): between them the states may be read.
[[nodiscard]] std::shared_ptr<Recurrence> begin_recurrence(const Dim& t, const std::vector<StateVar>& states, bool reverse,
                                                           SourceLoc where);
void finish_recurrence(const Recurrence& recurrence, const Tuple& step, SourceLoc where);

/// Declared effects and privileges: E0315, E0316.
void check_effects(const Algorithm& algorithm, const AlgorithmOptions& options);

/// Every access of an Input is inside [0, extent) for all points of the domain, or wrapped: throws E0401 / E0402 otherwise.
void prove_accesses(const AlgorithmState& algorithm);

}  // namespace tessera

#include "algorithm/visit.h"
