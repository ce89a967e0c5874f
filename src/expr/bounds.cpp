#include "expr/bounds.h"

#include "expr/index_analysis.h"

#include <array>

namespace tessera {
namespace {

// The Exprs that are >= 0 where `condition` is `holds`.
void collect_facts(const Expr& condition, bool holds, IndexAnalysis& analysis, std::vector<Polynomial>& facts, int depth = 0) {
    if (depth > 64) return;
    const Op op = condition->op;
    if (op == Op::not_) return collect_facts(condition->args[0], !holds, analysis, facts, depth + 1);
    if (op == (holds ? Op::and_ : Op::or_)) {
        for (const Expr& a : condition->args) collect_facts(a, holds, analysis, facts, depth + 1);
        return;
    }
    if ((op != Op::lt && op != Op::le && op != Op::eq && op != Op::ne) || !is_integer(condition->args[0]->dtype)) return;
    const Polynomial a = analysis.normal(condition->args[0]), b = analysis.normal(condition->args[1]);
    if (op == Op::lt) facts.push_back(holds ? b - a - Polynomial(1) : a - b);
    if (op == Op::le) facts.push_back(holds ? b - a : a - b - Polynomial(1));
    if ((op == Op::eq && holds) || (op == Op::ne && !holds)) {
        facts.push_back(a - b);
        facts.push_back(b - a);
    }
}

// Nodes, written out; no more than `most`.
int written_size(const Expr& e, int most) {
    int size = 1;
    for (const Expr& a : e->args)
        if (size < most) size += written_size(a, most - size);
    return size;
}
// The shorter one where both together are long.
std::optional<Polynomial> shorter_of(const Polynomial& a, const Polynomial& b) {
    constexpr int is_long = 30;
    const int first = written_size(a.expr(), is_long), second = written_size(b.expr(), is_long);
    if (first + second < is_long) return std::nullopt;
    return first <= second ? a : b;
}

// Narrows every range that stands alone in `fact` = k * atom + rest >= 0.
void narrow_by(const Polynomial& fact, const Domain& from, Domain& to) {
    IndexAnalysis analysis(Domain(from.ranges));
    for (const Expr& atom : atoms_of(fact)) {
        const bool ranged = from.ranges.count(atom) != 0;
        if (!ranged && !analysis.varies(atom)) continue;
        const auto split = split_linear(fact, atom);
        const auto k = split ? split->factor.constant() : std::nullopt;
        if (!k || *k == 0 || split->rest.contains(atom)) continue;
        const Ends rest = analysis.interval(split->rest);
        if (!rest.high || is_large(rest.high->expr())) continue;
        Interval& range = to.ranges[atom];
        IndexAnalysis plain;
        // k > 0: atom >= ceil(-rest / k) = -floor(rest / k); k < 0: atom <= floor(rest / |k|).
        const Expr quotient = make_op(Op::div, DType::i64, {rest.high->expr(), make_constant(DType::i64, *k > 0 ? *k : -*k)});
        if (*k > 0) {
            const Expr low = (plain.normal(quotient) * Polynomial(-1)).expr();
            range.low = range.low.defined() ? tighter_low(plain.normal(range.low), plain.normal(low)).expr() : low;
        } else {
            const Expr high = simplify_index(quotient);
            range.high = range.high.defined() ? tighter_high(plain.normal(range.high), plain.normal(high)).expr() : high;
        }
    }
}

}  // namespace

Interval as_interval(const Ends& ends) {
    Interval i;
    if (ends.low) i.low = ends.low->expr();
    if (ends.high) i.high = ends.high->expr();
    return i;
}

// Of large conditions nothing is taken: each use of the ends that they give would go through all of them again.
Domain Domain::narrowed(const Expr& condition, bool holds) const {
    if (!narrows) return *this;
    IndexAnalysis plain;
    std::vector<Polynomial> facts;
    collect_facts(condition, holds, plain, facts);
    Domain out = *this;
    for (const Polynomial& fact : facts) {
        if (fact.overflowed() || fact.constant() || is_large(fact.expr())) continue;
        out.nonnegative.push_back(fact.expr());
        narrow_by(fact, out, out);
    }
    return out;
}

Expr simplify_index(const Expr& e) { return IndexAnalysis().normal(e).expr(); }

Interval bounds(const Expr& e, const Domain& domain, InputReads reads) {
    return as_interval(IndexAnalysis(domain, reads).interval(e));
}

Polynomial smaller_of(const Polynomial& a, const Polynomial& b, const Facts& facts) {
    const Polynomial difference = b - a;
    if (proves_nonnegative(difference, facts, 12)) return a;
    if (proves_nonnegative(difference * Polynomial(-1), facts, 12)) return b;
    return IndexAnalysis().normal(make_op(Op::min, DType::i64, {a.expr(), b.expr()}));
}
Polynomial larger_of(const Polynomial& a, const Polynomial& b, const Facts& facts) {
    const Polynomial difference = b - a;
    if (proves_nonnegative(difference, facts, 12)) return b;
    if (proves_nonnegative(difference * Polynomial(-1), facts, 12)) return a;
    return IndexAnalysis().normal(make_op(Op::max, DType::i64, {a.expr(), b.expr()}));
}
Polynomial tighter_low(const Polynomial& a, const Polynomial& b) {
    const Polynomial both = larger_of(a, b);
    return both == a || both == b ? both : shorter_of(a, b).value_or(both);
}
Polynomial tighter_high(const Polynomial& a, const Polynomial& b) {
    const Polynomial both = smaller_of(a, b);
    return both == a || both == b ? both : shorter_of(a, b).value_or(both);
}
Expr lesser(const Expr& a, const Expr& b, const Facts& facts) {
    IndexAnalysis plain;
    return smaller_of(plain.normal(a), plain.normal(b), facts).expr();
}
Expr greater(const Expr& a, const Expr& b, const Facts& facts) {
    IndexAnalysis plain;
    return larger_of(plain.normal(a), plain.normal(b), facts).expr();
}
Interval hull(const Interval& a, const Interval& b) {
    Interval out;
    if (a.low.defined() && b.low.defined()) out.low = a.low.same_as(b.low) ? a.low : lesser(a.low, b.low);
    if (a.high.defined() && b.high.defined())
        out.high = a.high.same_as(b.high) ? a.high : greater(b.high, a.high);  // of equal ones a stays
    return out;
}

}  // namespace tessera
