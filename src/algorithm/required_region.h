#pragma once

#include "algorithm/graph.h"
#include "base/pointer_map.h"
#include "expr/bounds.h"
#include "expr/index_analysis.h"

#include <deque>
#include <map>
#include <tuple>
#include <vector>

namespace tessera {

/// [0, extent - 1]
[[nodiscard]] Interval whole_dim(const Dim& d);

/// The cells of a Func or Input that `access` reads while its dims take the values of `domain`, one interval per dim: indices
/// after the boundary condition was applied. An end that is not known to be finite is undefined. `inside`: dims whose index is
/// known to stay inside.
[[nodiscard]] std::vector<Interval> read_region(const Expr& access, const Domain& domain, InputReads reads = InputReads::by_range,
                                                const std::vector<bool>* inside = nullptr);

/// The same for many accesses over one domain: what was found of an index along a dim is kept.
class RegionReader {
public:
    explicit RegionReader(const Domain& domain, InputReads reads) : analysis_(domain, reads) {}
    [[nodiscard]] std::vector<Interval> read_region(const Expr& access, const std::vector<bool>* inside = nullptr);
    /// Per dim whether the index stays in [0, extent), for extents >= 1: there the boundary condition does nothing.
    [[nodiscard]] std::vector<bool> indices_inside(const Expr& access);
    /// The values of an index, before any boundary condition.
    [[nodiscard]] Interval index_range(const Expr& index);

private:
    IndexAnalysis analysis_;
    std::map<Expr, Interval, NodeOrder> ranges_;
    std::map<std::tuple<const ExprNode*, const void*, Boundary>, Interval> served_;  // of indices in ranges_
    std::map<std::pair<const ExprNode*, const void*>, bool> inside_;                 // likewise
};

/// The region itself, or where an end of it is a large expression, a simple one that holds it: that of the whole dim, or a few
/// cells further out.
[[nodiscard]] Interval simpler_region(const Interval& region, const Dim& d);

/// Per Func the cells that the outputs need of it, one interval per dim. Throws E0401 / E0402 as the Algorithm's checks do.
using RequiredRegions = std::map<const FuncState*, std::vector<Interval>>;
[[nodiscard]] RequiredRegions required_regions(const AlgorithmState& algorithm);

/// `domain` with the dims of a reduction, scan or scatter over their whole extents, narrowed by its predicate.
[[nodiscard]] Domain reduced_domain(const Expr& reduction, const Domain& domain);

/// Visits accesses with the points at which they are evaluated: path conditions of selects and predicates narrow them, reduced
/// dims take their extents. Shared nodes are visited once per narrowed domain, and at most `most_domains` domains are told apart.
class AccessWalk {
public:
    explicit AccessWalk(const Domain& domain) { domains_.push_back(domain); }

    /// visit(const Expr& access, const Domain&)
    template <class Visit>
    void run(const std::vector<Expr>& roots, Visit&& visit) {
        for (size_t i = roots.size(); i-- > 0;)
            if (roots[i].defined()) enter(roots[i], 0);
        while (!stack_.empty()) {
            const auto [node, context] = stack_.back();
            stack_.pop_back();
            if (node->op == Op::access) visit(node, static_cast<const Domain&>(domains_[context]));
            expand(node, context);
        }
    }

private:
    void enter(const Expr& node, size_t context);
    void expand(const Expr& node, size_t context);
    size_t branch(size_t context, const Expr& condition, bool holds);
    size_t reduced(size_t context, const Expr& node, bool with_predicate);

    static constexpr size_t most_domains = 256;
    std::deque<Domain> domains_;
    std::vector<std::pair<Expr, size_t>> stack_;
    std::map<size_t, PointerMap<bool>> seen_;  // by domain
    std::map<std::tuple<size_t, const ExprNode*, bool>, size_t> children_;
};

}  // namespace tessera
