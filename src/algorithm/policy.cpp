#include "algorithm/graph.h"

#include <fmt/format.h>

#include <unordered_map>

namespace tessera {

// Reads must not lose what is stored, nor sums what is read.
void check_policy(const std::string& name, const Numerics& n, SourceLoc where) {
    const auto refuse = [&](std::string_view part, DType narrow, std::string_view of, DType wide) {
        throw Error(
            E0206_policy, where,
            fmt::format("the policy of {} has {} {}, which does not hold {} {}", name, part, dtype_name(narrow), of,
                        dtype_name(wide)),
            {token(name), expected(fmt::format("{} at least as wide as {}", part, of)), received(std::string(dtype_name(narrow))),
             fix(fmt::format("{} = {}", part, dtype_name(wide))), fix(fmt::format("store in {}", dtype_name(narrow)))});
    };
    const auto holds = [](DType wide, DType narrow) {
        if (wide == narrow) return true;
        if (is_float(wide))
            return dtype_bits(wide) > dtype_bits(narrow) || (!is_narrow_float(wide) && dtype_bits(wide) == dtype_bits(narrow));
        return is_integer(wide) && is_integer(narrow) && dtype_bits(wide) > dtype_bits(narrow);
    };
    if (!holds(n.compute, n.storage)) refuse("compute", n.compute, "storage", n.storage);
    if (!holds(n.accumulate, n.compute)) refuse("accumulate", n.accumulate, "compute", n.compute);
}

Expr accumulated(const Expr& value, const Numerics& n) {
    if (n.accumulate == n.compute) return value;
    std::unordered_map<const ExprNode*, Expr> done;
    for_each_node({value}, [&](const Expr& e) {
        std::vector<Expr> args;
        for (const Expr& a : e->args) args.push_back(done.at(a.get()));
        const bool sums = e->op == Op::reduce && e->dtype == n.compute &&
                          (e->reduction().monoid == plus.shared() || e->reduction().monoid == times.shared());
        if (!sums) {
            done[e.get()] = args.empty() ? e : with_args(e, std::move(args));
            return;
        }
        const Reduction& r = e->reduction();
        Where condition;
        if (r.has_where) condition.condition = args.back();
        const Operand operand(cast(n.accumulate, Operand(args[0], e->where)), e->where);
        const Expr wide = reduce(Monoid(r.monoid), r.dims, {operand}, condition, {.order = r.order, .name = r.name})[0];
        done[e.get()] = cast(n.compute, Operand(wide, e->where));
    });
    return done.at(value.get());
}

}  // namespace tessera
