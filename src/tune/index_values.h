#pragma once

#include "schedule/stage_cost.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>

namespace tessera::tune {

/// Extents, and what indices are where loops are in the middle of their ranges; reads of values count as 0.
class IndexValues {
public:
    explicit IndexValues(const std::map<std::string, std::int64_t>& extents) : extents_(extents) {}

    void set(const Expr& variable, double value) { variables_[variable.get()] = value; }
    [[nodiscard]] double extent(const Dim& d) const {
        if (const auto constant = d.extent().constant()) return static_cast<double>(*constant);
        const auto given = extents_.find(d.name());
        if (given != extents_.end()) return static_cast<double>(given->second);
        return d.state().extent ? value(Expr(*d.state().extent)) : estimated_extent(d);
    }
    [[nodiscard]] double value(const Expr& e) const {
        if (e->op == Op::constant) return static_cast<double>(e->integer());
        if (e->op == Op::variable) {
            const auto found = variables_.find(e.get());
            return found == variables_.end() ? 0 : found->second;
        }
        if (e->op == Op::extent) return extent(e->dim());
        if (e->op == Op::access || e->args.empty()) return 0;
        if (e->op == Op::select) return value(e->args[0]) != 0 ? value(e->args[1]) : value(e->args[2]);
        const double a = value(e->args[0]);
        if (e->args.size() == 1) return a;
        const double b = value(e->args[1]);
        if (e->op == Op::add) return a + b;
        if (e->op == Op::sub) return a - b;
        if (e->op == Op::mul) return a * b;
        if (e->op == Op::div) return b == 0 ? 0 : std::floor(a / b);
        if (e->op == Op::mod) return b == 0 ? 0 : a - b * std::floor(a / b);
        if (e->op == Op::min) return std::min(a, b);
        if (e->op == Op::max) return std::max(a, b);
        if (e->op == Op::lt) return a < b;
        if (e->op == Op::le) return a <= b;
        if (e->op == Op::eq) return a == b;
        if (e->op == Op::ne) return a != b;
        return 0;
    }

private:
    const std::map<std::string, std::int64_t>& extents_;
    std::map<const ExprNode*, double> variables_;
};

}  // namespace tessera::tune
