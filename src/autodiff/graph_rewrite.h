#pragma once

#include "autodiff/activity.h"
#include "autodiff/names.h"

#include <functional>
#include <unordered_map>

namespace tessera {

/// Copies of Funcs in which reads are replaced; what reads nothing that is replaced stays itself. Copies keep their names.
class GraphRewrite {
public:
    /// What stands for a read of a Func (its args replaced already); undefined keeps it.
    using Replace = std::function<Expr(const Expr& access)>;
    explicit GraphRewrite(Replace replace) : replace_(std::move(replace)) {}

    [[nodiscard]] std::vector<Func> operator()(const std::vector<Func>& outputs);

private:
    [[nodiscard]] Func shell(const FuncState& f);
    void rewrite(const FuncState& f);
    void move_rules(const std::vector<Func>& funcs);
    [[nodiscard]] bool changes(const FuncState& f) const;
    [[nodiscard]] Func moved(const Func& operand) const;

    Replace replace_;
    std::unordered_set<const FuncState*> changed_;
    std::unordered_map<const FuncState*, Func> copies_;
};

/// The Funcs that `outputs` reach, operands of rules included, producers first (the states of a recurrence and what stands
/// between them in any order).
[[nodiscard]] std::vector<Func> reachable_funcs(const std::vector<Func>& outputs);
/// Those that the definition of `f` reads, itself included, without operands of rules.
[[nodiscard]] std::vector<Func> funcs_below(const Func& f);

}  // namespace tessera
