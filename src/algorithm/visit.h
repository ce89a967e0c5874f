#pragma once

#include "algorithm/graph.h"
#include "base/pointer_map.h"

namespace tessera {

template <class Visit>
void for_each_node(const std::vector<Expr>& roots, Visit&& visit) {
    PointerMap<bool> seen;
    std::vector<std::pair<const Expr*, size_t>> stack;  // node, next arg
    for (const Expr& root : roots) {
        if (!root.defined() || !seen.place(root.get()).second) continue;
        const Expr held = root;  // and with it all that stands in it
        stack.emplace_back(&held, 0);
        while (!stack.empty()) {
            auto& [node, next] = stack.back();
            const std::vector<Expr>& args = (*node)->args;
            if (next < args.size()) {
                const Expr& arg = args[next++];
                if (seen.place(arg.get()).second) stack.emplace_back(&arg, 0);
                continue;
            }
            const Expr& done = *node;
            stack.pop_back();
            visit(done);
        }
    }
}

}  // namespace tessera
