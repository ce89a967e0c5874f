#include "schedule/stage_cost.h"

#include "expr/op_cost.h"
#include "schedule/derived_stages.h"

#include <algorithm>
#include <map>

namespace tessera {

double estimated_extent(const Dim& dim) {
    if (const auto value = dim.extent().constant()) return static_cast<double>(std::max<std::int64_t>(*value, 1));
    if (dim.state().at_most) return std::min(1024.0, static_cast<double>(std::max<std::int64_t>(*dim.state().at_most, 1)));
    return 1024;
}

double expression_cost(const Expr& e) {
    double cost = 0;
    for_each_node({e}, [&](const Expr& n) { cost += op_cost(*n); });
    return cost;
}

double cell_cost(const Stage& stage) {
    double cost = 0;
    if (!stage.update) {
        for (const Expr& v : stage.values) cost += expression_cost(v);
        return cost;
    }
    for (const Expr& v : stage.update->values) cost += expression_cost(v);
    if (stage.update->sequential || stage.kind == Stage::Kind::scatter) return cost + 1e6;
    for (const Dim& d : stage.update->reduction_dims) cost *= estimated_extent(d);
    return cost;
}

std::vector<std::vector<Read>> all_reads(const StageGraph& graph) {
    std::map<const FuncState*, size_t> index;
    for (size_t i = 0; i < graph.stages.size(); ++i) index[graph.stages[i].func.get()] = i;
    std::vector<std::vector<Read>> out(graph.stages.size());
    for (size_t u = 0; u < graph.stages.size(); ++u) {
        const Stage& user = graph.stages[u];
        const auto collect = [&](const std::vector<Expr>& roots, bool in_init) {
            for_each_node(roots, [&](const Expr& n) {
                if (n->op != Op::access || !n->target().func) return;
                const auto producer = index.find(n->target().func.get());
                if (producer != index.end() && producer->second != u) out[producer->second].push_back({u, in_init, n});
            });
        };
        collect(user.values, user.update.has_value());
        if (user.update) {
            std::vector<Expr> roots = user.update->values;
            roots.insert(roots.end(), user.update->place.begin(), user.update->place.end());
            if (user.update->condition.defined()) roots.push_back(user.update->condition);
            collect(roots, false);
        }
    }
    return out;
}

std::vector<Read> reads_of(const StageGraph& graph, size_t producer) { return all_reads(graph)[producer]; }

double reuse_of(const StageGraph& graph, size_t producer, const std::vector<Read>& all) {
    double reads = 0;
    double cells = 1;
    std::vector<double> span(graph.stages[producer].dims.size(), 1);
    for (const Read& r : all) {
        const Stage& user = graph.stages[r.user];
        double points = 1;
        for (const Dim& d : user.dims) points *= estimated_extent(d);
        if (user.update && !r.in_init)
            for (const Dim& d : user.update->reduction_dims)
                if (!contains_dim(user.dims, d)) points *= estimated_extent(d);
        reads += points;
        for (size_t i = 0; i < span.size(); ++i) {
            double width = 0;
            for (const Dim& d : free_dims(r.access->args[i])) width += estimated_extent(d);
            span[i] = std::max(span[i], width);
        }
    }
    for (const double s : span) cells *= s;
    return reads / cells;
}

bool is_pointwise(const Expr& access) {
    if (access->target().boundary != Boundary::none) return false;
    std::vector<Dim> seen;
    for (const Expr& index : access->args) {
        if (index->op != Op::dim || contains_dim(seen, index->dim())) return false;
        seen.push_back(index->dim());
    }
    return true;
}

}  // namespace tessera
