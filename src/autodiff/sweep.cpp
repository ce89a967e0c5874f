#include "autodiff/sweep.h"

#include "algorithm/graph.h"
#include "autodiff/scalar_partials.h"
#include "base/check.h"

namespace tessera {
namespace {

bool may_read_outside(const Expr& access) { return access->target().boundary == Boundary::constant && access->index_count() > 0; }

class Sweep {
public:
    Sweep(const std::vector<Expr>& roots, const SweepContext& context) : context_(context) {
        for_each_node(roots, [&](const Expr& n) {
            TESSERA_CHECK(n->op != Op::reduce && n->op != Op::scan && n->op != Op::scatter,
                          "a structured node inside a definition of scalars");
            order_.push_back(n);
            active_[n.get()] = is_active(n);
            free_[n.get()] = is_free(n);
        });
        for (const Expr& root : roots)
            if (active(root)) carrying_.insert(root.get());
        for (size_t i = order_.size(); i-- > 0;) {
            const Expr& n = order_[i];
            if (!carries(n)) continue;
            for (size_t k = n->op == Op::access ? n->index_count() : 0; k < n->args.size(); ++k)
                if (active(n->args[k]) && (n->op == Op::access || passes_derivative(n->op, k)))
                    carrying_.insert(n->args[k].get());
        }
    }

    /// Nodes from which a derivative reaches the roots.
    [[nodiscard]] bool carries(const Expr& n) const { return carrying_.count(n.get()) != 0; }
    [[nodiscard]] const std::vector<Expr>& order() const { return order_; }
    [[nodiscard]] bool active(const Expr& n) const { return active_.at(n.get()); }

    // Calls visit(k, partial) for every operand that a derivative passes to.
    template <class Visit>
    void for_each_partial(const Expr& n, Visit&& visit) const {
        OpPlace place{&n, {}, {}, {}};
        const DType t = derivative_dtype(n.dtype());
        for (const Expr& a : n->args) {
            place.args.push_back(is_float(a.dtype()) ? converted(t, held(a)) : a);
            place.free_of_inputs.push_back(free_.at(a.get()));
        }
        place.value = converted(t, held(n));
        for (size_t k = 0; k < n->args.size(); ++k) {
            if (!active(n->args[k]) || !passes_derivative(n->op, k)) continue;
            const auto partial = partial_of(place, k);
            if (partial)
                visit(k, *partial);
            else
                context_.missing(n);
        }
    }

private:
    [[nodiscard]] Expr held(const Expr& n) const {
        const auto found = context_.stored.find(n.get());
        return found == context_.stored.end() ? n : found->second;
    }

    bool is_active(const Expr& n) const {
        if (!is_float(n.dtype())) return false;
        if (n->op == Op::variable) return context_.leaves.count(n.get()) != 0;
        if (n->op == Op::access) {
            const bool outside = may_read_outside(n) && active_.at(n->args.back().get());
            return outside || context_.active(n);
        }
        for (size_t k = 0; k < n->args.size(); ++k)
            if (active_.at(n->args[k].get()) && passes_derivative(n->op, k)) return true;
        return false;
    }
    bool is_free(const Expr& n) const {
        if (n->op == Op::variable || (n->op == Op::access && !context_.free_of_inputs(n))) return false;
        for (const Expr& a : n->args)
            if (!free_.at(a.get())) return false;
        return true;
    }

    const SweepContext& context_;
    std::vector<Expr> order_;
    std::unordered_map<const ExprNode*, bool> active_, free_;
    std::unordered_set<const ExprNode*> carrying_;
};

Guarded in_dtype(DType dtype, const Guarded& g) {
    return g.zero() ? g : Guarded{g.condition, converted(derivative_dtype(dtype), g.value)};
}

}  // namespace

Expr reads_inside(const Expr& access) {
    const AccessTarget& target = access->target();
    const std::vector<Dim>& dims = target.input ? target.input->dims : target.func->dims;
    Expr inside;
    for (size_t i = 0; i < dims.size(); ++i) {
        const Expr& at = access->args[i];
        inside = both(inside, make_op(Op::le, DType::bool_, {zero_of(DType::i64), at}));
        inside = both(inside, make_op(Op::lt, DType::bool_, {at, index_expr(dims[i].extent())}));
    }
    return inside;
}

std::vector<Contribution> reverse_sweep(const std::vector<Expr>& roots, const std::vector<Guarded>& seeds,
                                        const SweepContext& context) {
    const Sweep sweep(roots, context);
    std::unordered_map<const ExprNode*, Guarded> cotangent;
    const auto give = [&](const Expr& to, const Guarded& g) {
        if (!sweep.active(to)) return;
        Guarded& sum = cotangent[to.get()];
        sum = added(sum, in_dtype(to.dtype(), g));
    };
    for (size_t i = 0; i < roots.size(); ++i) give(roots[i], seeds[i]);
    const std::vector<Expr>& order = sweep.order();
    std::vector<Contribution> found;
    for (size_t i = order.size(); i-- > 0;) {
        const Expr& n = order[i];
        const auto own = cotangent.find(n.get());
        if (own == cotangent.end() || own->second.zero()) continue;
        const Guarded g = own->second;
        if (n->op == Op::variable) {
            found.push_back({n, g});
        } else if (n->op == Op::access) {
            if (may_read_outside(n)) give(n->args.back(), restricted(g, not_of(reads_inside(n))));
            // A Func is also read elsewhere: only what is read of its extents counts here.
            const bool only_inside = may_read_outside(n) && n->target().func != nullptr;
            if (context.active(n)) found.push_back({n, only_inside ? restricted(g, reads_inside(n)) : g});
        } else if (n->op == Op::select) {
            give(n->args[1], restricted(g, n->args[0]));
            give(n->args[2], restricted(g, not_of(n->args[0])));
        } else {
            sweep.for_each_partial(n, [&](size_t k, const Partial& partial) { give(n->args[k], partial.of(g)); });
        }
    }
    return {found.rbegin(), found.rend()};
}

std::vector<Guarded> forward_sweep(const std::vector<Expr>& roots, const std::function<Guarded(const Expr&)>& tangent,
                                   const SweepContext& context) {
    const Sweep sweep(roots, context);
    std::unordered_map<const ExprNode*, Guarded> tangents;
    for (const Expr& n : sweep.order()) {
        if (!sweep.carries(n)) continue;
        Guarded sum;
        if (n->op == Op::variable) {
            sum = in_dtype(n.dtype(), tangent(n));
        } else if (n->op == Op::access) {
            const Guarded read = context.active(n) ? tangent(n) : Guarded{};
            sum = in_dtype(n.dtype(), read);
            // A read that has 0 outside itself needs no condition.
            const bool everywhere = !read.zero() && read.always() && read.value->op == Op::access && may_read_outside(read.value);
            if (may_read_outside(n) && !everywhere)
                sum =
                    added(restricted(sum, reads_inside(n)), restricted(tangents[n->args.back().get()], not_of(reads_inside(n))));
        } else if (n->op == Op::select) {
            const Guarded a = tangents[n->args[1].get()], b = tangents[n->args[2].get()];
            sum = added(under(n->args[0], a), under(not_of(n->args[0]), b));
        } else {
            sweep.for_each_partial(n, [&](size_t k, const Partial& partial) {
                sum = added(sum, partial.of(in_dtype(n.dtype(), tangents[n->args[k].get()])));
            });
        }
        tangents[n.get()] = sum;
    }
    std::vector<Guarded> out;
    for (const Expr& root : roots) out.push_back(tangents[root.get()]);
    return out;
}

}  // namespace tessera
