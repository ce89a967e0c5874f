#include "algorithm/graph.h"

#include <unordered_map>

namespace tessera {
namespace {

void add(std::vector<Dim>& to, const Dim& d) {
    if (!contains_dim(to, d)) to.push_back(d);
}

}  // namespace

bool mentions(const Expr& e, const Expr& part) {
    bool found = false;
    for_each_node({e}, [&](const Expr& n) { found = found || n.same_as(part); });
    return found;
}

std::vector<Dim> free_dims(const Expr& e) {
    // Bottom-up over the DAG: a reduction removes its dims, a scatter turns `over` into its destination.
    std::unordered_map<const ExprNode*, std::vector<Dim>> free;
    for_each_node({e}, [&](const Expr& n) {
        std::vector<Dim> dims;
        if (n->op == Op::dim) add(dims, n->dim());
        for (const Expr& a : n->args)
            for (const Dim& d : free.at(a.get())) {
                const bool bound = (n->op == Op::reduce || n->op == Op::scatter) && contains_dim(n->reduction().dims, d);
                if (!bound) add(dims, d);
            }
        if (n->op == Op::scatter)
            for (const Dim& d : n->scatter().destination) add(dims, d);
        free[n.get()] = std::move(dims);
    });
    return free.at(e.get());
}

}  // namespace tessera
