#pragma once

#include <tessera/expr.h>
#include <tessera/reduce.h>

#include "expr/op_table.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tessera {

/// What is behind a Dim handle. Constraints may be added until an Algorithm uses it.
struct DimState {
    std::string name;
    SourceLoc where;
    std::optional<Extent> extent;  // static or derived; none: symbolic
    bool dynamic = false;          // "?"
    bool pack = false;             // "..."
    std::int64_t multiple_of = 1;
    std::optional<std::int64_t> at_most;
};

/// A monoid as Exprs over variables: combine reads left_i (variables 0..n-1) and right_i (n..2n-1).
struct MonoidState {
    std::string name;
    Identity identity;
    Combine combine;
    MonoidTraits traits;
};

/// The attribute of reduce and scan nodes. args = operands (one per component), then the predicate if has_where.
struct Reduction {
    std::shared_ptr<const MonoidState> monoid;
    std::vector<Dim> dims;          // reduced; for a scan the one dim t, which stays free
    std::vector<Expr> identity;     // one typed constant expression per component
    std::vector<Expr> left, right;  // placeholders (Op::variable)
    std::vector<Expr> combined;     // over left and right
    Order order;
    bool has_where = false;
    bool exclusive = false, reverse = false;  // scans
    std::string name;                         // of the stage, "" = numbered
    [[nodiscard]] size_t components() const { return identity.size(); }
};

/// The attribute of scatter nodes. args = one index per destination, then the values, then the inits if has_init.
struct Scatter {
    std::shared_ptr<const Reduction> reduction;  // monoid; dims = `over`
    std::vector<Dim> destination;
    bool has_init = false;
};

struct InputState;
struct FuncState;

/// The attribute of an access: what is read and how indices outside [0, extent) are served. args = indices, then the value
/// outside when the boundary is constant.
struct AccessTarget {
    std::shared_ptr<const InputState> input;  // one of the two
    std::shared_ptr<FuncState> func;
    Boundary boundary = Boundary::none;  // on every dim
    bool operator==(const AccessTarget&) const = default;
};

/// A bound scalar that is neither dim nor input: a monoid's operand, a loop variable of a loop tree.
struct Variable {
    std::string name;
};

using Attribute = std::variant<std::monostate, std::shared_ptr<const DimState>, std::shared_ptr<const Variable>, AccessTarget,
                               std::shared_ptr<const Reduction>, std::shared_ptr<const Scatter>>;

/// One uniform immutable node. Made by make_node() only, which interns: structurally equal nodes are one object.
struct ExprNode {
    Op op = Op::constant;
    DType dtype = DType::i64;
    bool weak = false;       // literal or index arithmetic whose dtype is open (dtype is i64, or f64 for a float literal)
    std::uint64_t bits = 0;  // constant: the value (integers sign-extended, floats as the bits of an f64); component of a tuple
    std::vector<Expr> args;
    Attribute attribute;
    SourceLoc where;  // accesses, reductions, scans, scatters; part of identity there
    std::uint64_t hash = 0;

    [[nodiscard]] std::int64_t integer() const { return static_cast<std::int64_t>(bits); }
    [[nodiscard]] double floating() const;
    [[nodiscard]] int component() const { return static_cast<int>(bits); }
    [[nodiscard]] Dim dim() const;                     // of dim and extent nodes
    [[nodiscard]] const AccessTarget& target() const;  // of accesses
    [[nodiscard]] const Reduction& reduction() const;  // of reduce and scan (and of a scatter's monoid and dims)
    [[nodiscard]] const Scatter& scatter() const;
    [[nodiscard]] size_t index_count() const;    // of accesses: args that are indices
    [[nodiscard]] Expr where_condition() const;  // of reduce: undefined when there is none
};

/// The interned node equal to `node`.
[[nodiscard]] Expr make_node(ExprNode node);
[[nodiscard]] Expr make_op(Op op, DType dtype, std::vector<Expr> args, bool weak = false);
[[nodiscard]] Expr make_constant(DType dtype, std::int64_t value);
[[nodiscard]] Expr make_constant(DType dtype, double value);
[[nodiscard]] Expr make_constant_bits(DType dtype, std::uint64_t bits, bool weak = false);
[[nodiscard]] Expr make_variable(std::string name, DType dtype);
[[nodiscard]] Expr make_dim(const Dim& dim);
[[nodiscard]] Expr make_access(AccessTarget target, std::vector<Expr> args, DType dtype, int component, SourceLoc where);
/// The same node with other args (dtype, attribute and place kept).
[[nodiscard]] Expr with_args(const Expr& e, std::vector<Expr> args);

/// Builds a scalar op as the operators do: resolves weak operands, checks dtypes (E0201, E0202, E0203), folds constants of weak
/// arithmetic.
[[nodiscard]] Expr build_op(Op op, const std::vector<Operand>& operands);
/// A weak expression in `dtype`; E0203 when a literal does not fit or an index has no place there.
[[nodiscard]] Expr resolve_weak(const Expr& e, DType dtype, SourceLoc where);
/// An index: any integer dtype, weak or not; E0204 otherwise. Returned as i64.
[[nodiscard]] Expr index_expr(const Index& index);

[[nodiscard]] bool is_constant(const Expr& e);
[[nodiscard]] std::optional<std::int64_t> integer_constant(const Expr& e);

}  // namespace tessera
