#pragma once

#include "algorithm/derivative_rule.h"
#include "autodiff/graph_rewrite.h"

#include <set>

namespace tessera {

/// What the operands of `f` get from `cotangent`, a Func over f's dims; over the dims of each operand.
[[nodiscard]] std::vector<Func> reverse_of_rule(const Func& f, const Func& cotangent, const std::string& name);
/// The same at each point of `per`, dims of `f`: over those that an operand lacks, then its own. Throws E1003 where the rule
/// reads the cotangent at other points of them.
[[nodiscard]] std::vector<Func> reverse_of_rule_per(const Func& f, const Func& cotangent, const std::vector<Dim>& per,
                                                    const std::string& name);
/// The tangent of `f`, given those of its operands.
[[nodiscard]] Func forward_of_rule(const Func& f, const std::vector<Func>& tangents, const std::string& name);

/// The rule of a copy: operands, and what the rule makes reads, are where the Funcs of its graph went.
[[nodiscard]] std::shared_ptr<const DerivativeRule> moved_rule(const std::shared_ptr<const DerivativeRule>& rule,
                                                               const std::function<Func(const Func&)>& operand,
                                                               const GraphRewrite& results);
/// Operands of rules that their Funcs do not read, each before what reads them.
[[nodiscard]] std::vector<Func> operands_beside(const std::vector<Func>& outputs);

/// E1004 when the definition of `f` reads one of `inputs` or `funcs` that is no operand of its rule.
void check_captures(const Func& f, const std::set<const InputState*>& inputs, const std::set<const FuncState*>& funcs);

}  // namespace tessera
