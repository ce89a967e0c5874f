#include <tessera/transform.h>

#include "algorithm/fused_products.h"
#include "transform/graph_copy.h"

namespace tessera {
namespace {

// The sums of `e` that reach down to products, as sum() adds them one behind the other.
void note_chain(const Expr& e, std::unordered_set<const ExprNode*>& out) {
    if (e->op != Op::add) return;
    out.insert(e.get());
    for (const Expr& a : e->args) note_chain(a, out);
}

bool is_contractible(const Expr& e) {
    if ((e->op != Op::add && e->op != Op::sub) || (e->dtype != DType::f32 && e->dtype != DType::f64)) return false;
    return e->args[0]->op == Op::mul || e->args[1]->op == Op::mul;
}

}  // namespace

Algorithm contracted(const Algorithm& algorithm, const std::string& name) {
    const AlgorithmState& a = algorithm.state();
    CopyChanges changes;
    std::unordered_set<const ExprNode*> in_sums;
    for (const Func& f : a.funcs)
        for_each_node(roots_of(*f.state()), [&](const Expr& n) {
            if (n->op == Op::reduce || n->op == Op::scan || n->op == Op::scatter)
                for (const Expr& operand : n->args)
                    if (!fused_products(n->reduction(), operand).empty()) note_chain(operand, in_sums);
            if (is_contractible(n)) changes.fused.insert(n.get());
        });
    for (const ExprNode* n : in_sums) changes.fused.erase(n);
    if (changes.fused.empty() && name.empty()) return algorithm;
    return std::make_shared<GraphCopy>(std::move(changes))->algorithm(a, name.empty() ? a.name : name, {});
}

}  // namespace tessera
