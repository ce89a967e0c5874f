#include "autodiff/access_inverse.h"

#include "algorithm/required_region.h"
#include "base/check.h"
#include "expr/index_analysis.h"
#include "expr/index_build.h"

#include <algorithm>
#include <cmath>

namespace tessera {
namespace {

struct Unknown {
    Expr atom;
    Interval range;
    std::optional<Dim> dim;  // of a loop; none for the quotient or remainder of an index
    std::string name;
    bool reduced = false;
    double weight = 1;  // about how many values it takes
    bool solved = false;
    Expr value;
};

struct Equation {
    Polynomial p;  // == 0
    std::optional<size_t> source;
    bool done = false;
};

class Inversion {
public:
    Inversion(const AccessSystem& system, NameSupply& names) : system_(system), names_(names), domain_(system.outer) {
        NodeValues loops;
        for (const LoopDim& loop : system.loops) {
            const Expr atom = make_variable(loop.dim.name(), DType::i64);
            loops[make_dim(loop.dim)] = atom;
            loops_.push_back(unknowns_.size());
            add_unknown({atom, loop.range, loop.dim, loop.dim.name(), loop.reduced});
        }
        for (size_t k = 0; k < system.left.size(); ++k) {
            const Expr right = with_nodes(system.right[k], loops);
            equations_.push_back({normal(system.left[k]) - normal(right), k});
        }
        for (size_t i = 0; i < equations_.size(); ++i) split_divisions(i);
    }

    InvertedAccess solve() {
        while (solve_one()) {
        }
        InvertedAccess out;
        name_remaining(out);
        // What is left of the accesses is scattered; what is left of quotients and remainders stays a condition.
        for (Equation& e : equations_) {
            if (e.done) continue;
            if (e.source)
                out.scattered.push_back(*e.source);
            else
                zero_.push_back(e.p.expr());
        }
        for (const Unknown& u : unknowns_)
            if (u.solved) keep_in_range(u, out);
        for (const Expr& g : zero_) add_equality(g, out);
        for (const size_t l : loops_)
            out.values[unknowns_[l].dim->id()] = in_remaining(unknowns_[l].solved ? unknowns_[l].value : unknowns_[l].atom);
        return out;
    }

private:
    Polynomial normal(const Expr& e) { return IndexAnalysis(domain_).normal(e); }

    void add_unknown(Unknown u) {
        const auto points = u.range.bounded() ? (normal(u.range.high) - normal(u.range.low)).constant() : std::nullopt;
        if (points)
            u.weight = std::max<double>(1, static_cast<double>(*points) + 1);
        else if (u.dim && u.dim->state().at_most)
            u.weight = static_cast<double>(*u.dim->state().at_most);
        else
            u.weight = u.reduced ? 64 : 1000;
        domain_.ranges[u.atom] = u.range;
        unknowns_.push_back(std::move(u));
    }

    [[nodiscard]] const Unknown* unknown(const Expr& atom) const {
        for (const Unknown& u : unknowns_)
            if (u.atom.same_as(atom)) return &u;
        return nullptr;
    }
    [[nodiscard]] bool mentions_unknown(const Expr& e) const {
        bool found = false;
        for_each_node({e}, [&](const Expr& n) { found = found || (n->op == Op::variable && unknown(n) && !unknown(n)->solved); });
        return found;
    }
    [[nodiscard]] bool is_free(const Polynomial& p) const { return !mentions_unknown(p.expr()); }

    // A sum of unknowns with factors that are free of them (and of quotients and remainders of such sums by something free).
    bool is_linear(const Polynomial& p) {
        for (const Expr& atom : atoms_of(p)) {
            if (!mentions_unknown(atom)) continue;
            const auto split = split_linear(p, atom);
            if (!split || !is_free(split->factor)) return false;
            if (unknown(atom)) continue;
            if ((atom->op != Op::div && atom->op != Op::mod) || mentions_unknown(atom->args[1]) ||
                !is_linear(normal(atom->args[0])))
                return false;
        }
        return true;
    }

    // e / c and e % c become unknowns q and t with e == c q + t, 0 <= t < c.
    void split_divisions(size_t index) {
        if (!is_linear(equations_[index].p)) return;
        for (const Expr& atom : atoms_of(equations_[index].p)) {
            if (unknown(atom) || !mentions_unknown(atom)) continue;
            const Expr e = atom->args[0], c = atom->args[1];
            const auto key = std::make_pair(e.get(), c.get());
            if (!divisions_.count(key)) {
                const Interval all = bounds(e, domain_);
                if (!all.bounded()) continue;
                const Interval quotients{simplify_index(index_op(Op::div, all.low, c)),
                                         simplify_index(index_op(Op::div, all.high, c))};
                const Expr q = make_variable("quotient", DType::i64), t = make_variable("rest", DType::i64);
                divisions_[key] = {q, t};
                held_.push_back(atom);
                add_unknown({q, quotients, {}, "q", true});
                add_unknown({t, {number(0), simplify_index(index_op(Op::sub, c, number(1)))}, {}, "t", true});
                equations_.push_back({normal(e) - normal(c) * Polynomial(q) - Polynomial(t), {}});
            }
            const auto [q, t] = divisions_.at(key);
            equations_[index].p = equations_[index].p.replaced(atom, Polynomial(atom->op == Op::div ? q : t));
        }
    }

    struct Choice {
        enum class Kind { unit, phase, divided } kind = Kind::unit;
        size_t x = 0, r = 0;  // the unknown eliminated; phase: and the one that becomes a phase
        double cost = 0;
    };

    bool solve_one() {
        std::optional<size_t> next;
        size_t fewest = 0;
        for (size_t i = 0; i < equations_.size(); ++i) {
            Equation& e = equations_[i];
            if (e.done) continue;
            const size_t count = open_unknowns(e.p).size();
            if (is_free(e.p)) {
                e.done = true;
                zero_.push_back(e.p.expr());
                return true;
            }
            if (!solvable(e.p) || (next && count >= fewest)) continue;
            next = i;
            fewest = count;
        }
        if (!next) return false;
        Equation& e = equations_[*next];
        const std::optional<Choice> choice = best_choice(e.p);
        if (!choice) return false;
        e.done = true;
        apply(*choice, Polynomial(e.p));
        return true;
    }

    // Unknowns for which `p` can be solved: they stand in it with a free factor, and not inside of a quotient or remainder.
    std::vector<size_t> open_unknowns(const Polynomial& p) const {
        std::vector<size_t> open;
        for (size_t i = 0; i < unknowns_.size(); ++i) {
            const Expr& atom = unknowns_[i].atom;
            if (unknowns_[i].solved || !p.contains(atom)) continue;
            const auto split = split_linear(p, atom);
            if (split && is_free(split->factor) && !mentions(split->rest.expr(), atom)) open.push_back(i);
        }
        return open;
    }
    // What stays opaque must be a quotient or remainder of other unknowns: those come from few values.
    bool solvable(const Polynomial& p) const {
        for (const Expr& atom : atoms_of(p)) {
            if (!mentions_unknown(atom) || unknown(atom)) continue;
            if ((atom->op != Op::div && atom->op != Op::mod) || reads_tensors(atom)) return false;
        }
        return !p.overflowed() && !open_unknowns(p).empty();
    }
    // 1 or -1 when the sign is known for every extent.
    static int sign_of(const Polynomial& p) {
        if (const auto c = p.constant()) return *c > 0 ? 1 : *c < 0 ? -1 : 0;
        if (proves_nonnegative(p, positive_extents)) return 1;
        if (proves_nonnegative(p * Polynomial(-1), positive_extents)) return -1;
        return 0;
    }
    static double size_of(const Polynomial& p) {
        const auto c = p.constant();
        return c ? std::abs(static_cast<double>(*c)) : 100;
    }

    std::optional<Choice> best_choice(const Polynomial& p) const {
        const std::vector<size_t> open = open_unknowns(p);
        std::map<size_t, Polynomial> factor;
        double all = 1;
        for (const size_t i : open) factor[i] = split_linear(p, unknowns_[i].atom)->factor;
        for (const Unknown& u : unknowns_)
            if (!u.solved && mentions(p.expr(), u.atom)) all *= u.weight;
        std::optional<Choice> best;
        const auto offer = [&](const Choice& c) {
            if (!best || c.cost < best->cost * 0.999) best = c;
        };
        const auto is_unit = [&](size_t i) { return factor[i].constant() && std::abs(*factor[i].constant()) == 1; };
        for (const bool reduced : {false, true})
            for (const size_t i : open)
                if (unknowns_[i].reduced == reduced && is_unit(i)) offer({Choice::Kind::unit, i, i, all / unknowns_[i].weight});
        for (const size_t x : open) {
            if (is_unit(x) || sign_of(factor[x]) == 0) continue;
            for (const size_t r : open)
                if (is_unit(r))
                    offer({Choice::Kind::phase, x, r,
                           all / (unknowns_[x].weight * unknowns_[r].weight) *
                               std::max(1.0, std::ceil(unknowns_[r].weight / size_of(factor[x])))});
            offer({Choice::Kind::divided, x, x, all / unknowns_[x].weight});
        }
        return best;
    }

    void apply(const Choice& c, const Polynomial& p) {
        const LinearSplit x = *split_linear(p, unknowns_[c.x].atom);
        const int sign = sign_of(x.factor);
        if (c.kind == Choice::Kind::unit) {
            set(c.x, x.rest * Polynomial(-sign));
            return;
        }
        const Polynomial s = x.factor * Polynomial(sign);
        if (c.kind == Choice::Kind::divided) {
            const Expr numerator = (x.rest * Polynomial(-sign)).expr();
            zero_.push_back(index_op(Op::mod, numerator, s.expr()));
            set(c.x, normal(index_op(Op::div, numerator, s.expr())));
            return;
        }
        // r = w + k x with k = ±s: r - low runs through the phase (w - low) mod s in steps of s.
        const LinearSplit r = *split_linear(x.rest, unknowns_[c.r].atom);
        const std::int64_t unit = *r.factor.constant();
        const Polynomial low = normal(unknowns_[c.r].range.low);
        const Expr w = (r.rest * Polynomial(-unit) - low).expr();
        const std::int64_t k_sign = -unit * sign;
        const Polynomial span = normal(unknowns_[c.r].range.high) - low;
        Polynomial step;
        if (!proves_nonnegative(s - Polynomial(1) - span, positive_extents)) {
            const Expr t = make_variable("phase", DType::i64);
            add_unknown(
                {t, {number(0), simplify_index(index_op(Op::div, span.expr(), s.expr()))}, {}, unknowns_[c.r].name, true});
            step = Polynomial(t);
        }
        const Polynomial phase = normal(index_op(Op::mod, w, s.expr())), block = normal(index_op(Op::div, w, s.expr()));
        set(c.r, low + phase + s * step);
        set(c.x, (step - block) * Polynomial(k_sign));
    }

    void set(size_t index, const Polynomial& value) {
        const NodeValues change{{unknowns_[index].atom, value.expr()}};
        const auto changed = [&](const Expr& e) { return normal(with_nodes(e, change)).expr(); };
        unknowns_[index].solved = true;
        unknowns_[index].value = value.expr();
        for (Unknown& u : unknowns_)
            if (u.solved) u.value = changed(u.value);
        for (Equation& e : equations_)
            if (!e.done) e.p = normal(with_nodes(e.p.expr(), change));
        for (Expr& z : zero_) z = with_nodes(z, change);
    }

    void name_remaining(InvertedAccess& out) {
        remaining_domain_ = system_.outer;
        std::vector<Dim> taken;
        for (const auto& [atom, range] : system_.outer.ranges)
            if (atom->op == Op::dim) taken.push_back(atom->dim());
        for (const Unknown& u : unknowns_) {
            if (u.solved) continue;
            const CountedDim counted = u.dim ? counted_dim(*u.dim, u.range, taken, names_) : counted_dim(u.name, u.range, names_);
            out.remaining.push_back(counted.dim);
            taken.push_back(counted.dim);
            remaining_[u.atom] = counted.value;
            remaining_domain_.set(counted.dim, whole_dim(counted.dim));
        }
    }
    Expr in_remaining(const Expr& e) const { return simplify_index(with_nodes(e, remaining_)); }

    [[nodiscard]] bool holds_always(const Expr& nonnegative) const {
        const Interval range = bounds(nonnegative, remaining_domain_);
        return range.low.defined() && proves_nonnegative(range.low, positive_extents);
    }
    void add_guard(const Expr& guard, InvertedAccess& out) const {
        (reads_tensors(guard) ? out.read_guards : out.guards).push_back(guard);
    }

    void keep_in_range(const Unknown& u, InvertedAccess& out) const {
        const Expr value = in_remaining(u.value);
        if (!holds_always(index_op(Op::sub, value, u.range.low))) add_guard(compared(Op::le, u.range.low, value), out);
        if (!holds_always(index_op(Op::sub, u.range.high, value)))
            add_guard(compared(Op::lt, value, simplify_index(index_op(Op::add, u.range.high, number(1)))), out);
    }
    void add_equality(const Expr& zero, InvertedAccess& out) const {
        const Expr e = in_remaining(zero);
        if (integer_constant(e) == 0) return;
        if (holds_always(e) && holds_always(index_op(Op::sub, number(0), e))) return;
        add_guard(compared(Op::eq, e, number(0)), out);
    }

    const AccessSystem& system_;
    NameSupply& names_;
    Domain domain_, remaining_domain_;
    std::vector<Unknown> unknowns_;
    std::vector<size_t> loops_;
    std::vector<Equation> equations_;
    std::vector<Expr> zero_, held_;
    std::map<std::pair<const ExprNode*, const ExprNode*>, std::pair<Expr, Expr>> divisions_;
    NodeValues remaining_;
};

}  // namespace

bool reads_tensors(const Expr& e) {
    bool found = false;
    for_each_node({e}, [&](const Expr& n) { found = found || (n->op == Op::access && n->index_count() > 0); });
    return found;
}

CountedDim counted_dim(const std::string& name, const Interval& range, NameSupply& names) {
    Expr count = simplify_index(index_op(Op::add, index_op(Op::sub, range.high, range.low), number(1)));
    if (!proves_nonnegative(count)) count = greater(count, number(0));
    const Dim d = names.dim(name, extent_of(count));
    return {d, simplify_index(index_op(Op::add, range.low, make_dim(d)))};
}

CountedDim counted_dim(const Dim& d, const Interval& range, const std::vector<Dim>& taken, NameSupply& names) {
    const Interval whole = whole_dim(d);
    const auto same = [](const Expr& a, const Expr& b) { return simplify_index(index_op(Op::sub, a, b)).same_as(number(0)); };
    if (!contains_dim(taken, d) && same(range.low, whole.low) && same(range.high, whole.high)) return {d, make_dim(d)};
    return counted_dim(d.name(), range, names);
}

InvertedAccess inverted(const AccessSystem& system, NameSupply& names) { return Inversion(system, names).solve(); }

}  // namespace tessera
