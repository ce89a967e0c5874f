#pragma once

#include "algorithm/graph.h"

#include <unordered_set>

namespace tessera {

template <class Visit>
void for_each_node(const std::vector<Expr>& roots, Visit&& visit) {
    std::unordered_set<const ExprNode*> seen;
    std::vector<std::pair<Expr, size_t>> stack;  // node, next arg
    for (const Expr& root : roots) {
        if (!root.defined() || !seen.insert(root.get()).second) continue;
        stack.emplace_back(root, 0);
        while (!stack.empty()) {
            auto& [node, next] = stack.back();
            if (next < node->args.size()) {
                const Expr arg = node->args[next++];
                if (seen.insert(arg.get()).second) stack.emplace_back(arg, 0);
                continue;
            }
            const Expr done = node;
            stack.pop_back();
            visit(done);
        }
    }
}

}  // namespace tessera
