#include "algorithm/with_dims.h"

#include "algorithm/graph.h"
#include "expr/bounds.h"

#include <unordered_map>

namespace tessera {

Expr with_dims(const Expr& e, const DimValues& values) {
    std::unordered_map<const ExprNode*, Expr> done;
    for_each_node({e}, [&](const Expr& n) {
        if (n->op == Op::dim) {
            const auto found = values.find(n->dim().id());
            done[n.get()] = found == values.end() ? n : found->second;
            return;
        }
        std::vector<Expr> args;
        bool changed = false;
        for (size_t i = 0; i < n->args.size(); ++i) {
            Expr arg = done.at(n->args[i].get());
            if (!arg.same_as(n->args[i])) {
                changed = true;
                if (n->op == Op::access && i < n->index_count()) arg = simplify_index(arg);
            }
            args.push_back(std::move(arg));
        }
        done[n.get()] = changed ? with_args(n, std::move(args)) : n;
    });
    return done.at(e.get());
}

}  // namespace tessera
