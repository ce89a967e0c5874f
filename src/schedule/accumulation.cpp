#include "schedule/accumulation.h"

#include "algorithm/fused_products.h"

namespace tessera {

std::vector<Expr> combined(const Reduction& r, const std::vector<Expr>& left, const std::vector<Expr>& right) {
    std::map<const ExprNode*, Expr> values;
    for (size_t i = 0; i < r.left.size(); ++i) {
        values[r.left[i].get()] = left[i];
        values[r.right[i].get()] = right[i];
    }
    std::vector<Expr> out;
    for (const Expr& e : r.combined) out.push_back(substitute(e, values));
    return out;
}

Expr accumulated_products(const Reduction& r, const Expr& operand, const Expr& so_far) {
    Expr sum;
    for (const Expr& product : fused_products(r, operand))
        sum = fma(product->args[0], product->args[1], sum.defined() ? sum : so_far);
    return sum;
}

std::vector<Expr> accumulated(const Reduction& r, const std::vector<Expr>& args, const std::vector<Expr>& so_far) {
    if (r.order.kind == Order::Kind::kahan) {
        const Expr y = args[0] - so_far[1];
        const Expr total = so_far[0] + y;
        return {total, (total - so_far[0]) - y};
    }
    if (const Expr sum = accumulated_products(r, args[0], so_far[0]); sum.defined()) return {sum};
    return combined(r, so_far, {args.begin(), args.begin() + static_cast<std::ptrdiff_t>(r.components())});
}

std::vector<Expr> start_of(const Reduction& r) {
    std::vector<Expr> out = r.identity;
    if (r.order.kind == Order::Kind::kahan) out.push_back(out[0]);
    return out;
}

Expr predicate_of(const Reduction& r, const std::vector<Expr>& args) { return r.has_where ? args.back() : Expr(); }

Dim made_dim(std::string name, Extent extent, SourceLoc where) {
    auto state = std::make_shared<DimState>();
    state->name = std::move(name);
    state->extent = std::move(extent);
    state->where = where;
    return Dim(state);
}

Extent points_of(const std::vector<Dim>& dims) {
    Extent out(1);
    for (const Dim& d : dims) out = out * d.extent();
    return out;
}

std::vector<Expr> point_at(const std::vector<Dim>& dims, const Expr& position) {
    if (dims.size() == 1) return {position};
    std::vector<Expr> out(dims.size());
    Expr rest = position;
    for (size_t d = dims.size(); d-- > 1;) {
        const Expr extent = resolve_weak(Expr(dims[d].extent()), DType::i64, {});
        out[d] = rest % extent;
        rest = rest / extent;
    }
    out[0] = rest;
    return out;
}

}  // namespace tessera
