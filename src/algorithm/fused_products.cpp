#include "algorithm/fused_products.h"

namespace tessera {

namespace {
bool add_products(const Expr& e, std::vector<Expr>& out) {
    if (e->op == Op::mul) {
        out.push_back(e);
        return true;
    }
    return e->op == Op::add && add_products(e->args[0], out) && add_products(e->args[1], out);
}
}  // namespace

std::vector<Expr> fused_products(const Reduction& r, const Expr& operand) {
    std::vector<Expr> products;
    if (r.monoid->name != "sum" || !is_float(operand.dtype()) || !add_products(operand, products)) return {};
    if (r.order.kind == Order::Kind::kahan || (products.size() > 1 && r.order.kind != Order::Kind::any)) return {};
    return products;
}

}  // namespace tessera
