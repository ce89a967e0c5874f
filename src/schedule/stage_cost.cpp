#include "schedule/stage_cost.h"

#include "expr/op_cost.h"
#include "schedule/derived_stages.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace tessera {

namespace {

constexpr double usual_extent = 1024;

// A derived extent where those that it is made of have their estimates.
double estimated_value(const Expr& e) {
    if (e->op == Op::constant) return static_cast<double>(e->integer());
    if (e->op == Op::extent) return estimated_extent(e->dim());
    if (e->args.size() != 2) return usual_extent;
    const double a = estimated_value(e->args[0]), b = estimated_value(e->args[1]);
    if (e->op == Op::add) return a + b;
    if (e->op == Op::sub) return a - b;
    if (e->op == Op::mul) return a * b;
    if (e->op == Op::div) return b == 0 ? 0 : std::floor(a / b);
    if (e->op == Op::mod) return b == 0 ? 0 : a - std::floor(a / b) * b;
    return usual_extent;
}

// The positions that an index takes: how far apart the first and the last are, and no more than how many.
struct Positions {
    double span = 1, count = 1;
    [[nodiscard]] double number() const { return std::min(span, count); }
};

Positions positions(const Expr& index) {
    if (index->op == Op::dim) return {estimated_extent(index->dim()), estimated_extent(index->dim())};
    if (index->op == Op::constant || index->op == Op::extent) return {};
    const bool by_constant = index->args.size() == 2 && index->args[1]->op == Op::constant && index->args[1]->integer() > 0;
    const double by = by_constant ? static_cast<double>(index->args[1]->integer()) : 1;
    if (index->op == Op::add || index->op == Op::sub) {
        const Positions a = positions(index->args[0]), b = positions(index->args[1]);
        return {a.span + b.span - 1, a.count * b.count};
    }
    if (index->op == Op::mul && index->args[0]->op == Op::constant) {
        const Positions a = positions(index->args[1]);
        return {std::abs(static_cast<double>(index->args[0]->integer())) * (a.span - 1) + 1, a.count};
    }
    if (by_constant && (index->op == Op::mul || index->op == Op::div || index->op == Op::mod)) {
        const Positions a = positions(index->args[0]);
        if (index->op == Op::mul) return {by * (a.span - 1) + 1, a.count};
        const double most = index->op == Op::div ? std::ceil(a.span / by) : by;
        return {std::min(a.span, most), std::min(a.count, most)};
    }
    double width = 0;
    for (const Dim& d : free_dims(index)) width += estimated_extent(d);
    return {width, width};
}

}  // namespace

double estimated_extent(const Dim& dim) {
    double value = usual_extent;
    if (dim.state().extent) value = std::max(estimated_value(Expr(*dim.state().extent)), 1.0);
    if (dim.state().at_most) value = std::min(value, static_cast<double>(std::max<std::int64_t>(*dim.state().at_most, 1)));
    return value;
}

double positions_of(const Expr& index) { return positions(index).number(); }

bool depends_on_values(const Expr& index) {
    bool found = false;
    for_each_node({index}, [&](const Expr& n) { found = found || n->op == Op::access; });
    return found;
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
            const double there = estimated_extent(graph.stages[producer].dims[i]);
            const Expr& index = r.access->args[i];
            const double taken = positions_of(index);
            span[i] = std::max(span[i], depends_on_values(index) ? std::min(taken, there) : taken);
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
