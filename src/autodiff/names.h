#pragma once

#include "algorithm/graph.h"
#include "algorithm/with_dims.h"
#include "expr/bounds.h"

#include <functional>
#include <set>
#include <string>

namespace tessera {

/// Names that a transform gives to what it makes, none of which the graph that it transforms has.
class NameSupply {
public:
    explicit NameSupply(const AlgorithmState& algorithm);

    /// `base`, or `base` with a number behind.
    [[nodiscard]] std::string func(const std::string& base) { return fresh(base, funcs_, '.'); }
    /// The same in front of names: none begins with it and a slash.
    [[nodiscard]] std::string prefix(const std::string& base);
    void reserve(const std::string& name) { funcs_.insert(name); }
    /// Dims get the name of the transform in front: those of several transforms may meet in one graph.
    void name_dims_after(const std::string& transform);
    /// A Dim with a name of its own.
    [[nodiscard]] Dim dim(const std::string& base, const Extent& extent);
    [[nodiscard]] Dim dim(const std::string& base);

private:
    static std::string fresh(const std::string& base, std::set<std::string>& taken, char mark);
    std::set<std::string> funcs_, dims_;
    std::string dim_prefix_;
};

/// `e` with nodes replaced.
using NodeValues = std::map<Expr, Expr, NodeOrder>;
[[nodiscard]] Expr with_nodes(const Expr& e, const NodeValues& values);
/// An integer expression of extents and scalars as an Extent.
[[nodiscard]] Extent extent_of(const Expr& e);
/// Defines `f(dims) = values`.
void define_func(FuncState& f, std::vector<Dim> dims, std::vector<Expr> values, SourceLoc where);
/// The Func that a transform made before with this definition, for as long as it lives, else one called names.func(base):
/// transforms of one Func share what they split it into. Definitions with another `rule` are others.
[[nodiscard]] Func shared_func(const std::string& base, std::vector<Dim> dims, std::vector<Expr> values, SourceLoc where,
                               NameSupply& names, const DerivativeRule* rule = nullptr);
/// The same for a definition that `make` makes where none lives; `apart`: what else must be the same.
[[nodiscard]] Func shared_func(const std::string& base, const std::vector<Dim>& dims, const std::vector<Expr>& values,
                               std::vector<const void*> apart, const std::function<Func()>& make);
[[nodiscard]] Func made_func(std::string name, std::vector<Dim> dims, std::vector<Expr> values, SourceLoc where);
/// A read of component `component` at `indices`.
[[nodiscard]] Expr read_at(const Func& f, const std::vector<Expr>& indices, SourceLoc where, int component = 0);
[[nodiscard]] std::vector<Expr> dims_as_indices(const std::vector<Dim>& dims);

}  // namespace tessera
