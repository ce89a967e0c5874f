#pragma once

#include "algorithm/graph.h"

#include <set>
#include <unordered_set>

namespace tessera {

/// What derivatives are taken by: Inputs, and Funcs that are cut (their values are independent of their definitions).
struct Variables {
    std::set<const InputState*> inputs;
    std::set<const FuncState*> funcs;
};

/// Which Funcs vary with the variables, as far as derivatives of the outputs are concerned (what only stands behind
/// straight_through or in conditions does not), and which no Input reaches at all.
class Activity {
public:
    Activity(const std::vector<Func>& funcs, const std::vector<Func>& outputs, const Variables& variables);

    [[nodiscard]] bool varies(const FuncState& f) const { return varying_.count(&f) != 0; }
    /// A read of a variable or of a Func that varies, of a float.
    [[nodiscard]] bool access_varies(const Expr& access) const;
    [[nodiscard]] bool access_is_free(const Expr& access) const;
    [[nodiscard]] bool is_cut(const FuncState& f) const { return variables_.funcs.count(&f) != 0; }
    [[nodiscard]] const Variables& variables() const { return variables_; }
    /// The nodes of `roots`, structured ones included, that vary.
    [[nodiscard]] std::unordered_set<const ExprNode*> varying_nodes(const std::vector<Expr>& roots) const;

private:
    void keep_carrying(const std::vector<Func>& outputs);

    Variables variables_;
    std::unordered_set<const FuncState*> varying_, fed_;  // fed: an Input reaches it
};

/// The nodes among `varying` through which a derivative reaches the roots.
[[nodiscard]] std::unordered_set<const ExprNode*> carrying_nodes(const std::vector<Expr>& roots,
                                                                 const std::unordered_set<const ExprNode*>& varying);
/// Values of a definition, then the inits of a recurrence's state.
[[nodiscard]] std::vector<Expr> definition_roots(const FuncState& f);
[[nodiscard]] inline bool is_structured(Op op) { return op == Op::reduce || op == Op::scan || op == Op::scatter; }

}  // namespace tessera
