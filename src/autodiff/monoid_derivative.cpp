#include "autodiff/monoid_derivative.h"

#include "autodiff/names.h"
#include "autodiff/scalar_partials.h"

#include <fmt/format.h>

namespace tessera {
namespace {

std::vector<Expr> variables_like(const std::vector<Expr>& like, std::string_view name) {
    std::vector<Expr> out;
    for (size_t i = 0; i < like.size(); ++i) out.push_back(make_variable(fmt::format("{}{}", name, i), like[i].dtype()));
    return out;
}

void bind(NodeValues& values, const std::vector<Expr>& variables, const std::vector<Expr>& to) {
    for (size_t i = 0; i < variables.size(); ++i) values[variables[i]] = to[i];
}

std::vector<Guarded> swept(const std::vector<Expr>& roots, const std::vector<Expr>& by, const std::vector<Expr>& given,
                           const SweepContext& context, const NodeValues& values) {
    SweepContext inner = context;
    inner.stored.clear();
    inner.active = [](const Expr&) { return false; };
    for (const Expr& v : by) inner.leaves.insert(v.get());
    std::vector<Guarded> seeds;
    for (const Expr& g : given) seeds.push_back({{}, g});
    std::vector<Guarded> out(by.size());
    for (const Contribution& c : reverse_sweep(roots, seeds, inner))
        for (size_t i = 0; i < by.size(); ++i)
            if (c.access.same_as(by[i]))
                out[i] = {c.value.always() ? Expr() : with_nodes(c.value.condition, values), with_nodes(c.value.value, values)};
    return out;
}

}  // namespace

std::vector<Expr> combine(const Reduction& r, const std::vector<Expr>& left, const std::vector<Expr>& right) {
    NodeValues values;
    bind(values, r.left, left);
    bind(values, r.right, right);
    std::vector<Expr> out;
    for (const Expr& e : r.combined) out.push_back(with_nodes(e, values));
    return out;
}

Monoid flipped(const Monoid& m) {
    const Combine combine = m.state().combine;
    return monoid(
        m.name() + ".flipped", m.state().identity, [combine](const Tuple& a, const Tuple& b) { return combine(b, a); },
        m.state().traits);
}

CombineCotangents combine_cotangents(const Reduction& r, const std::vector<Expr>& left, const std::vector<Expr>& right,
                                     const std::vector<Expr>& given, const SweepContext& context) {
    NodeValues values;
    bind(values, r.left, left);
    bind(values, r.right, right);
    return {swept(r.combined, r.left, given, context, values), swept(r.combined, r.right, given, context, values)};
}

std::vector<Guarded> middle_cotangents(const Reduction& r, const std::vector<Expr>& left, const std::vector<Expr>& middle,
                                       const std::vector<Expr>& right, const std::vector<Expr>& given,
                                       const SweepContext& context) {
    const std::vector<Expr> l = variables_like(left, "l"), m = variables_like(middle, "m"), s = variables_like(right, "r");
    NodeValues values;
    bind(values, l, left);
    bind(values, m, middle);
    bind(values, s, right);
    return swept(combine(r, combine(r, l, m), s), m, given, context, values);
}

DualMonoid dual(const Reduction& r) {
    std::vector<size_t> tangents;
    for (size_t i = 0; i < r.components(); ++i)
        if (is_float(r.identity[i].dtype())) tangents.push_back(i);
    const size_t n = r.components();
    const std::shared_ptr<const MonoidState> inner = r.monoid;
    const auto identity = [inner, tangents, n](const std::vector<DType>& t) {
        const Tuple values = inner->identity(std::vector<DType>(t.begin(), t.begin() + static_cast<std::ptrdiff_t>(n)));
        std::vector<Expr> all;
        for (size_t i = 0; i < n; ++i) all.push_back(values[i]);
        for (size_t i = 0; i < tangents.size(); ++i) all.push_back(zero_of(t[n + i]));
        return Tuple(all);
    };
    const auto combined = [inner, tangents, n](const Tuple& a, const Tuple& b) {
        std::vector<Expr> left, right;
        std::unordered_map<const ExprNode*, Expr> tangent_of;
        for (size_t i = 0; i < n; ++i) {
            left.push_back(a[i]);
            right.push_back(b[i]);
        }
        SweepContext context;
        for (size_t i = 0; i < tangents.size(); ++i) {
            for (const auto& [side, all] : {std::make_pair(&left, &a), std::make_pair(&right, &b)}) {
                const Expr& v = (*side)[tangents[i]];
                context.leaves.insert(v.get());
                tangent_of[v.get()] = (*all)[n + i];
            }
        }
        context.active = [](const Expr&) { return false; };
        context.free_of_inputs = [](const Expr&) { return false; };
        context.missing = [&](const Expr& node) {
            throw Error(
                E1001_no_derivative, node->where,
                fmt::format("{} in monoid {} has no derivative: {}", op_row(node->op).name, inner->name, no_derivative(node->op)),
                {token(inner->name), fix("write the derivative with custom_jvp()")});
        };
        const Tuple values = inner->combine(Tuple(left), Tuple(right));
        std::vector<Expr> all;
        for (size_t i = 0; i < n; ++i) all.push_back(resolve_weak(values[i], left[i].dtype(), {}));
        const auto out = forward_sweep(
            all,
            [&](const Expr& leaf) {
                return Guarded{{}, tangent_of.at(leaf.get())};
            },
            context);
        for (const size_t i : tangents) all.push_back(out[i].zero() ? zero_of(derivative_dtype(left[i].dtype())) : out[i].expr());
        return Tuple(all);
    };
    return {monoid(inner->name + ".dual", identity, combined, inner->traits), tangents};
}

}  // namespace tessera
