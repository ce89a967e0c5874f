#include "expr/index_analysis.h"
#include "expr/tensor_state.h"

#include <algorithm>

namespace tessera {
namespace {

bool positive_constant(const Expr& e) {
    const auto c = integer_constant(e);
    return c && *c > 0;
}

class Prover {
public:
    Prover(const Facts& facts, int effort) : facts_(facts), effort_(effort) {
        for (const Expr& e : facts.nonnegative) known_.push_back(plain_.normal(e));
        for (const auto& [a, b] : facts.equalities) {
            known_.push_back(plain_.normal(a) - plain_.normal(b));
            known_.push_back(plain_.normal(b) - plain_.normal(a));
        }
    }

    // p > -slack - 1, with p an integer multiple of slack + 1: p >= 0.
    bool prove(const Polynomial& p, std::int64_t slack, int facts_left) {
        if (p.overflowed() || slack > (std::int64_t{1} << 40)) return false;
        if (const auto c = p.constant()) return *c >= -slack;
        if (--effort_ < 0) return false;
        if (const auto branched = by_branches(p, slack, facts_left)) return *branched;
        if (by_signs(p, slack)) return true;
        if (by_division(p, slack, facts_left)) return true;
        if (by_definition(p, slack, facts_left)) return true;
        if (facts_left > 0)
            for (size_t i = 0; i < known_.size(); ++i) {
                const Polynomial fact = known_[i];
                if (!shares_atom(p, fact)) continue;
                if (prove(p - fact, slack, facts_left - 1)) return true;
                if (slack > 0 && prove(p - fact * Polynomial(slack + 1), slack, facts_left - 1)) return true;
            }
        return false;
    }

private:
    static bool shares_atom(const Polynomial& p, const Polynomial& q) {
        for (const Expr& a : atoms_of(q))
            if (p.contains(a)) return true;
        return false;
    }

    // One min, max or select: the cases that must hold; where one of two suffices only after those, since the choice depends on
    // them.
    std::optional<bool> by_branches(const Polynomial& p, std::int64_t slack, int facts_left) {
        for (const bool all_cases : {true, false})
            for (const Expr& atom : atoms_of(p)) {
                if (atom->op != Op::min && atom->op != Op::max && atom->op != Op::select) continue;
                const auto split = split_linear(p, atom);
                if (!split) continue;
                const bool is_select = atom->op == Op::select;
                bool up = true;
                if (!is_select && !by_signs(split->factor, 0)) {
                    up = false;
                    if (!by_signs(split->factor * Polynomial(-1), 0)) continue;
                }
                if ((is_select || (atom->op == Op::min) == up) != all_cases) continue;
                const Polynomial a = split->factor * plain_.normal(atom->args[is_select ? 1 : 0]) + split->rest;
                const Polynomial b = split->factor * plain_.normal(atom->args[is_select ? 2 : 1]) + split->rest;
                if (all_cases) return prove(a, slack, facts_left) && prove(b, slack, facts_left);
                if (prove(a, slack, facts_left) || prove(b, slack, facts_left)) return true;
            }
        return std::nullopt;
    }

    AtomBounds bounds_of(const Expr& atom) {
        if (const auto found = bounds_.find(atom); found != bounds_.end()) return found->second;
        AtomBounds b;
        if (atom->op == Op::extent) {
            const DimState& d = atom->dim().state();
            b.low = facts_.extents_positive ? d.multiple_of : 0;
            b.high = d.at_most;
        } else if (atom->op == Op::mod && positive_constant(atom->args[1])) {
            b = {0, atom->args[1]->integer() - 1};
        } else if (atom->op == Op::mod && (atom->args[1]->op == Op::extent)) {
            b.low = 0;
        } else if (atom->op == Op::div && positive_constant(atom->args[1])) {
            if (effort_ > 0 && prove(plain_.normal(atom->args[0]), 0, 0)) b.low = 0;
        } else if (atom->op == Op::access || atom->op == Op::cast) {
            const Expr read = atom->op == Op::cast ? atom->args[0] : atom;
            if (read->op == Op::access && read->target().input) {
                const Ends ends = value_range(read, {}, InputReads::by_range, 0);
                if (ends.low) b.low = ends.low->constant();
                if (ends.high) b.high = ends.high->constant();
                // Symbolic ends: only the sign of the lower one is kept.
                if (ends.low && !b.low && prove(*ends.low, 0, 0)) b.low = 0;
            } else if (atom->op == Op::cast && !is_float(read->dtype)) {
                const Ends ends = value_range(read, {}, InputReads::by_range, 0);
                if (ends.low) b.low = ends.low->constant();
                if (ends.high) b.high = ends.high->constant();
            }
        }
        bounds_.emplace(atom, b);
        return b;
    }

    // Every atom counted from its lower bound (or down from its upper one): all coefficients then have to be >= 0.
    bool by_signs(const Polynomial& p, std::int64_t slack) {
        if (const auto c = p.constant()) return *c >= -slack;
        Polynomial q = p;
        for (const Expr& atom : atoms_of(p)) {
            const AtomBounds b = bounds_of(atom);
            bool all_negative = true;
            for (const Term& t : q.terms())
                if (t.factor > 0 && std::any_of(t.atoms.begin(), t.atoms.end(), [&](const Expr& a) { return a.same_as(atom); }))
                    all_negative = false;
            if (all_negative && b.high)
                q = q.replaced(atom, Polynomial(*b.high) - Polynomial(atom));
            else if (b.low)
                q = *b.low == 0 ? q : q.replaced(atom, Polynomial(atom) + Polynomial(*b.low));
            else
                return false;
        }
        if (q.overflowed()) return false;
        for (const Term& t : q.terms())
            if (t.atoms.empty() ? t.factor < -slack : t.factor < 0) return false;
        return true;
    }

    // floor(a / c): c floor(a / c) lies between a - c + 1 and a.
    bool by_division(const Polynomial& p, std::int64_t slack, int facts_left) {
        for (const Expr& atom : atoms_of(p)) {
            if (atom->op != Op::div && atom->op != Op::mod) continue;
            const auto split = split_linear(p, atom);
            if (!split) continue;
            const Polynomial a = plain_.normal(atom->args[0]), c = plain_.normal(atom->args[1]);
            const auto divisor = c.constant();
            if (atom->op == Op::mod) {
                // a % c <= a for a >= 0, and a % c < c.
                const auto k = split->factor.constant();
                if (!k || *k > 0) continue;
                if (prove(split->rest + split->factor * (c - Polynomial(1)), slack, facts_left)) return true;
                if (prove(a, 0, 0) && prove(split->rest + split->factor * a, slack, facts_left)) return true;
                continue;
            }
            if (divisor && *divisor > 0) {
                const bool up = by_signs(split->factor, 0);
                if (!up && !by_signs(split->factor * Polynomial(-1), 0)) continue;
                const Polynomial bound = up && !is_multiple(a, *divisor) ? a - c + Polynomial(1) : a;
                if (prove(split->rest * c + split->factor * bound, (slack + 1) * *divisor - 1, facts_left)) return true;
                continue;
            }
            if (!is_positive_symbol(c)) continue;
            const auto exact = exact_factor(split->factor, c);
            const Polynomial& factor = exact ? *exact : split->factor;
            const bool up = by_signs(factor, 0);
            if (!up && !by_signs(factor * Polynomial(-1), 0)) continue;
            const Polynomial bound = up ? a - c + Polynomial(1) : a;
            // Times c the goal is c p >= 0, which c p >= 1 - c implies.
            if (exact ? prove(split->rest + factor * bound, slack, facts_left)
                      : slack == 0 && prove(split->rest * c + factor * bound + c - Polynomial(1), 0, facts_left))
                return true;
        }
        return false;
    }

    // One symbol >= 1. An extent of 0 leaves nothing to read behind a division by it.
    bool is_positive_symbol(const Polynomial& c) {
        const auto atoms = atoms_of(c);
        if (atoms.size() != 1 || !(c == Polynomial(atoms[0]))) return false;
        const AtomBounds b = bounds_of(atoms[0]);
        return b.low && (*b.low >= 1 || atoms[0]->op == Op::extent);
    }
    // factor / c for a divisor that is one symbol.
    static std::optional<Polynomial> exact_factor(const Polynomial& factor, const Polynomial& c) {
        const auto split = split_linear(factor, atoms_of(c)[0]);
        if (!split || !split->rest.terms().empty()) return std::nullopt;
        return split->factor;
    }

    // A derived extent in terms of the extents it is made of; it is itself not negative.
    bool by_definition(const Polynomial& p, std::int64_t slack, int facts_left) {
        for (const Expr& atom : atoms_of(p)) {
            if (atom->op != Op::extent || !atom->dim().state().extent || contains(expanded_, atom)) continue;
            const Polynomial value = plain_.normal(Expr(*atom->dim().state().extent));
            expanded_.push_back(atom);
            known_.push_back(value - Polynomial(facts_.extents_positive ? 1 : 0));
            const bool proved = prove(p.replaced(atom, value), slack, std::max(facts_left, 1));
            known_.pop_back();
            expanded_.pop_back();
            if (proved) return true;
        }
        return false;
    }
    static bool contains(const std::vector<Expr>& list, const Expr& e) {
        return std::any_of(list.begin(), list.end(), [&](const Expr& x) { return x.same_as(e); });
    }

    const Facts& facts_;
    int effort_;
    IndexAnalysis plain_;
    std::vector<Polynomial> known_;
    std::vector<Expr> expanded_;
    std::map<Expr, AtomBounds, NodeOrder> bounds_;
};

}  // namespace

bool proves_nonnegative(const Polynomial& p, const Facts& facts, int effort) {
    if (const auto c = p.constant(); c && !p.overflowed()) return *c >= 0;
    return Prover(facts, effort).prove(p, 0, facts.nonnegative.empty() && facts.equalities.empty() ? 0 : 2);
}
bool proves_nonnegative(const Expr& e, const Facts& facts) { return proves_nonnegative(IndexAnalysis().normal(e), facts, 200); }

}  // namespace tessera
