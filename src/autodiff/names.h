#pragma once

#include "algorithm/graph.h"
#include "expr/bounds.h"

#include <set>
#include <string>

namespace tessera {

/// Names that a transform gives to what it makes, none of which the graph that it transforms has.
class NameSupply {
public:
    explicit NameSupply(const AlgorithmState& algorithm);

    /// `base`, or `base` with a number behind.
    [[nodiscard]] std::string func(const std::string& base) { return fresh(base, funcs_, '.'); }
    void reserve(const std::string& name) { funcs_.insert(name); }
    /// A Dim with a name of its own.
    [[nodiscard]] Dim dim(const std::string& base, const Extent& extent);
    [[nodiscard]] Dim dim(const std::string& base);

private:
    static std::string fresh(const std::string& base, std::set<std::string>& taken, char mark);
    std::set<std::string> funcs_, dims_;
};

/// `e` with its dims replaced, indices brought to normal form; none of the structured nodes may bind a dim of `values`.
using DimValues = std::map<const void*, Expr>;  // by Dim::id(); i64
[[nodiscard]] Expr with_dims(const Expr& e, const DimValues& values);
/// `e` with nodes replaced.
using NodeValues = std::map<Expr, Expr, NodeOrder>;
[[nodiscard]] Expr with_nodes(const Expr& e, const NodeValues& values);
/// An integer expression of extents and scalars as an Extent.
[[nodiscard]] Extent extent_of(const Expr& e);
/// Defines `f(dims) = values`.
void define_func(FuncState& f, std::vector<Dim> dims, std::vector<Expr> values, SourceLoc where);
/// The Func that a transform made before with this definition, for as long as it lives, else one called names.func(base):
/// transforms of one Func share what they split it into.
[[nodiscard]] Func shared_func(const std::string& base, std::vector<Dim> dims, std::vector<Expr> values, SourceLoc where,
                               NameSupply& names);
[[nodiscard]] Func made_func(std::string name, std::vector<Dim> dims, std::vector<Expr> values, SourceLoc where);
/// A read of component `component` at `indices`.
[[nodiscard]] Expr read_at(const Func& f, const std::vector<Expr>& indices, SourceLoc where, int component = 0);
[[nodiscard]] std::vector<Expr> dims_as_indices(const std::vector<Dim>& dims);

}  // namespace tessera
