#include "tile/row_scaling.h"

#include "schedule/derived_stages.h"

#include <fmt/format.h>

#include <map>

namespace tessera::tile {
namespace {

class ScalingRules {
public:
    ScalingRules(const StageGraph& graph, size_t reduction, size_t maximum)
        : graph_(graph), sum_(graph.stages[reduction]), top_(graph.stages[maximum]) {}

    std::optional<RowScaling> run() {
        const std::vector<Expr>& values = sum_.update->values;
        if (values.size() == 1) return of(values[0]);
        for (const Expr& e : values)
            if (depends(e)) refuse("it has several components");
        return {};
    }

private:
    [[noreturn]] void refuse(std::string_view why) const {
        throw Limit(L0903_schedule, sum_.where,
                    fmt::format("{} is not rescaled as the maximum {} grows: {}", sum_.name, top_.name, why),
                    {fix(fmt::format("leave fuse_with of {} out, which computes it first", top_.name)),
                     fix("add exp(x - select(top == lowest(f32), 0.0f, top)), times what does not depend on top")});
    }

    bool is_read_of(const Expr& e, const Stage& s) const {
        if (e->op != Op::access || e->target().func != s.func || e->index_count() != s.dims.size()) return false;
        for (size_t d = 0; d < s.dims.size(); ++d)
            if (!e->args[d].same_as(make_dim(s.dims[d]))) return false;
        return true;
    }

    bool depends(const Expr& e) {
        bool found = false;
        for_each_node({e}, [&](const Expr& n) {
            if (n->op != Op::access || !n->target().func || n->target().func == sum_.func) return;
            found = found || n->target().func == top_.func || stage_depends(n->target().func.get());
        });
        return found;
    }
    bool stage_depends(const FuncState* func) {
        const auto i = graph_.find(func);
        if (!i) return false;
        const auto [known, is_new] = depends_.emplace(*i, false);  // reads of itself say nothing
        if (!is_new) return known->second;
        bool found = false;
        for (const Expr& e : exprs_of(graph_.stages[*i])) found = found || depends(e);
        return depends_[*i] = found;
    }

    std::optional<RowScaling> of(const Expr& e) {
        if (!depends(e)) return {};
        if (e->op == Op::access) return of_read(e);
        if (e->op == Op::straight_through) return of(e->args[0]);
        if (e->op == Op::cast && is_float(e->dtype) && is_float(e->args[0]->dtype)) return of(e->args[0]);
        if (e->op == Op::exp || e->op == Op::exp2) return of_exponential(e);
        if (e->op == Op::mul || e->op == Op::fma || e->op == Op::add) return of_product(e);
        if (e->op == Op::select && !depends(e->args[0])) {
            const auto is_zero = [](const Expr& a) { return is_constant(a) && a->bits == 0; };
            if (is_zero(e->args[2])) return of(e->args[1]);
            if (is_zero(e->args[1])) return of(e->args[2]);
        }
        refuse("it is added in another form");
    }

    std::optional<RowScaling> of_read(const Expr& e) {
        const size_t i = graph_.find(e->target().func.get()).value();
        const Stage& s = graph_.stages[i];
        if (s.update || s.values.size() != 1 || !is_read_of(e, s)) refuse(fmt::format("it reads {} in another form", s.name));
        return of(s.values[0]);
    }

    // One factor, or what is added to the sum so far.
    std::optional<RowScaling> of_product(const Expr& e) {
        std::optional<RowScaling> found;
        for (size_t a = 0; a < e->args.size(); ++a) {
            const bool self = e->args[a]->op == Op::access && e->args[a]->target().func == sum_.func;
            const bool added = e->op == Op::add || (e->op == Op::fma && a == 2);
            if (self && added) continue;
            if (!depends(e->args[a])) {
                if (added) refuse("it adds what does not depend on it");
                continue;
            }
            if (found || (added && e->op == Op::fma)) refuse("two factors depend on it");
            found = of(e->args[a]);
        }
        return found;
    }

    std::optional<RowScaling> of_exponential(const Expr& e) {
        const Expr& x = e->args[0];
        if (x->op != Op::sub || depends(x->args[0])) refuse("the exponent is no difference with a shift");
        RowScaling out;
        out.exponential = e->op;
        out.shift = x->args[1];
        out.maximum = read_stage(top_.func, dim_exprs(top_.dims));
        if (!is_shift(out.shift)) refuse("the shift is not select(maximum == lowest, constant, maximum)");
        return out;
    }
    // So that values of a row that has seen none but the lowest one are 0 and no NaN.
    bool is_shift(const Expr& s) const {
        if (s->op == Op::straight_through) return is_shift(s->args[0]);
        if (s->op == Op::mul)
            return (is_constant(s->args[0]) && is_shift(s->args[1])) || (is_constant(s->args[1]) && is_shift(s->args[0]));
        if (s->op != Op::select || !is_constant(s->args[1]) || !is_read_of(s->args[2], top_)) return false;
        const Expr& c = s->args[0];
        if (c->op != Op::eq) return false;
        for (const size_t a : {size_t{0}, size_t{1}}) {
            const Expr& x = c->args[a]->op == Op::abs ? c->args[a]->args[0] : c->args[a];
            const Expr limit = c->args[a]->op == Op::abs ? highest(top_.dtypes[0]) : lowest(top_.dtypes[0]);
            if (is_read_of(x, top_) && c->args[1 - a].same_as(limit)) return true;
        }
        return false;
    }

    const StageGraph& graph_;
    const Stage &sum_, &top_;
    std::map<size_t, bool> depends_;
};

}  // namespace

Expr RowScaling::factor(const Expr& before, const Expr& after) const {
    const auto at = [&](const Expr& read) { return substitute(shift, {{maximum.get(), read}}); };
    const Expr difference = make_op(Op::sub, shift->dtype, {at(before), at(after)});
    const Expr none = make_op(Op::eq, DType::bool_, {before, lowest(before->dtype)});
    return make_op(Op::select, shift->dtype,
                   {none, make_constant(shift->dtype, 1.0), make_op(exponential, shift->dtype, {difference})});
}

std::optional<RowScaling> row_scaling(const StageGraph& graph, size_t reduction, size_t maximum) {
    return ScalingRules(graph, reduction, maximum).run();
}

}  // namespace tessera::tile
