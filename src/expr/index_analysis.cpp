#include "expr/index_analysis.h"

#include "expr/tensor_state.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <unordered_set>

namespace tessera {
namespace {

constexpr size_t large = 300;
constexpr int deepest = 300;  // nested args; what is deeper stays opaque

Expr as_i64(const Expr& e) { return e->dtype == DType::i64 && !e->weak ? e : make_op(Op::cast, DType::i64, {e}); }

bool is_wide(DType t) { return t == DType::i64 || t == DType::i32; }

// A cast that keeps every value: into i64 from any integer, into i32 of index arithmetic.
bool keeps_value(const Expr& cast_node) {
    const DType from = cast_node->args[0]->dtype, to = cast_node->dtype;
    return is_integer(from) && (to == DType::i64 || (to == DType::i32 && (is_wide(from) || dtype_bits(from) < 32)));
}

std::optional<Polynomial> divided_exactly(const Polynomial& p, const Expr& atom) {
    std::vector<Term> terms;
    for (Term t : p.terms()) {
        const auto found = std::find_if(t.atoms.begin(), t.atoms.end(), [&](const Expr& a) { return a.same_as(atom); });
        if (found == t.atoms.end()) return std::nullopt;
        t.atoms.erase(found);
        terms.push_back(std::move(t));
    }
    return Polynomial(std::move(terms));
}

// Every term's factor times what its extents are promised to be multiples of.
bool term_divisible(const Term& t, std::int64_t c) {
    __int128 known = t.factor;
    for (const Expr& a : t.atoms)
        if (a->op == Op::extent) known = (known * a->dim().state().multiple_of) % c;
    return known % c == 0;
}

}  // namespace

bool is_large(const Expr& e) {
    std::unordered_set<const ExprNode*> seen(2 * large);
    seen.insert(e.get());
    std::vector<const ExprNode*> open{e.get()};
    while (!open.empty() && seen.size() <= large) {
        const ExprNode* const node = open.back();
        open.pop_back();
        for (const Expr& a : node->args)
            if (seen.insert(a.get()).second) open.push_back(a.get());
    }
    return seen.size() > large;
}

bool is_multiple(const Polynomial& p, std::int64_t c) {
    return std::all_of(p.terms().begin(), p.terms().end(), [&](const Term& t) { return term_divisible(t, c); });
}

IndexAnalysis::IndexAnalysis(const Domain& domain, InputReads reads, int depth) : domain_(domain), reads_(reads), depth_(depth) {
    for (const Expr& fact : domain_.nonnegative) facts_.push_back(normal(fact));
}

void IndexAnalysis::renew() {
    if (budget_ < 0 || splits_ <= 0) {
        normal_.clear();
        intervals_.clear();
        varies_.clear();
    }
    budget_ = most_steps;
    splits_ = most_splits;
}

Polynomial IndexAnalysis::normal(const Expr& e) {
    // Leaves are as quickly made as found.
    if (e->args.empty() && !e->weak && is_wide(e->dtype)) {
        if (e->op == Op::variable && e->dtype == DType::i64) return Polynomial(e);
        if (const Polynomial p = e->op == Op::constant ? Polynomial(e->integer()) : Polynomial();
            !p.terms().empty() && !p.overflowed())
            return p;
    }
    if (const auto found = normal_.find(e); found != normal_.end()) return found->second;
    if (nesting_ > deepest) return Polynomial(as_i64(e));
    ++nesting_;
    Polynomial p = normalize(e);
    --nesting_;
    if (p.overflowed()) p = Polynomial(as_i64(e));
    normal_.emplace(e, p);
    return p;
}

Polynomial IndexAnalysis::normalize(const Expr& e) {
    switch (e->op) {
        case Op::constant: return is_integer(e->dtype) ? Polynomial(e->integer()) : Polynomial(as_i64(e));
        case Op::dim: return Polynomial(make_dim(e->dim()));
        case Op::extent: {
            const auto& declared = e->dim().state().extent;
            if (declared && declared->constant()) return Polynomial(*declared->constant());
            return Polynomial(e->weak ? resolve_weak(e, DType::i64, {}) : e);
        }
        case Op::cast: return keeps_value(e) ? normal(e->args[0]) : Polynomial(as_i64(e));
        default: break;
    }
    if (e->op == Op::access && e->weak) return normal(resolve_weak(e, DType::i64, {}));
    if (!is_wide(e->dtype)) return Polynomial(as_i64(e));
    switch (e->op) {
        case Op::add: return normal(e->args[0]) + normal(e->args[1]);
        case Op::sub: return normal(e->args[0]) - normal(e->args[1]);
        case Op::mul: return normal(e->args[0]) * normal(e->args[1]);
        case Op::neg: return normal(e->args[0]) * Polynomial(-1);
        case Op::shl:
            if (const auto by = integer_constant(e->args[1]); by && *by >= 0 && *by < 48)
                return normal(e->args[0]) * Polynomial(std::int64_t{1} << *by);
            break;
        case Op::shr:
            if (const auto by = integer_constant(e->args[1]); by && *by >= 0 && *by < 48)
                return divide(normal(e->args[0]), Polynomial(std::int64_t{1} << *by), false);
            break;
        case Op::div: return divide(normal(e->args[0]), normal(e->args[1]), false);
        case Op::mod: return divide(normal(e->args[0]), normal(e->args[1]), true);
        case Op::min:
        case Op::max: return least(e->op, e);
        case Op::select: {
            const Polynomial a = normal(e->args[1]), b = normal(e->args[2]);
            if (a == b) return a;
            return Polynomial(make_op(Op::select, DType::i64, {e->args[0], a.expr(), b.expr()}));
        }
        default: break;
    }
    return Polynomial(as_i64(e));
}

bool IndexAnalysis::remainder_vanishes(const Polynomial& r, const Polynomial& c) {
    // Each branch of a select is analysed anew, with the divisions in it: deep ones are not looked into again.
    if (domain_.ranges.empty() || depth_ > 1) return false;
    const Facts positive{.extents_positive = true};
    const Ends ends = interval(r);
    return ends.low && ends.high && proves_nonnegative(*ends.low, positive, 16) &&
           proves_nonnegative(c - *ends.high - Polynomial(1), positive, 16);
}

// floor(a / c), or a - c * floor(a / c).
Polynomial IndexAnalysis::divide(const Polynomial& a, const Polynomial& c, bool remainder) {
    const auto opaque = [&](const Polynomial& p) {
        return Polynomial(make_op(remainder ? Op::mod : Op::div, DType::i64, {p.expr(), c.expr()}));
    };
    if (a.terms().empty()) return a;
    if (const auto value = c.constant()) {
        if (*value == 0) return Polynomial(0);
        if (*value > 0) return divide_by_constant(a, *value, remainder);
        return opaque(a);
    }
    // By one positive symbol: terms that have it divide exactly.
    if (c.terms().size() != 1 || c.terms()[0].factor != 1 || c.terms()[0].atoms.size() != 1 ||
        c.terms()[0].atoms[0]->op != Op::extent)
        return remainder_vanishes(a, c) ? (remainder ? a : Polynomial(0)) : opaque(a);
    const Expr symbol = c.terms()[0].atoms[0];
    Polynomial quotient;
    std::vector<Term> rest;
    for (const Term& t : a.terms()) {
        if (const auto exact = divided_exactly(Polynomial(std::vector<Term>{t}), symbol))
            quotient = quotient + *exact;
        else
            rest.push_back(t);
    }
    const Polynomial r(std::move(rest));
    if (r.terms().empty() || remainder_vanishes(r, c)) return remainder ? r : quotient;
    return remainder ? opaque(r) : quotient + opaque(r);
}

Polynomial IndexAnalysis::divide_by_constant(const Polynomial& a, std::int64_t c, bool remainder) {
    if (c == 1) return remainder ? Polynomial(0) : a;
    Polynomial quotient, exact_rest;
    std::vector<Term> rest;
    for (const Term& t : a.terms()) {
        const std::int64_t q = floor_div(t.factor, c), left = t.factor - q * c;
        if (q != 0 && (left == 0 || t.atoms.empty())) quotient = quotient + Polynomial(std::vector<Term>{{t.atoms, q}});
        if (left == 0) continue;
        if (t.atoms.empty())
            rest.push_back({{}, left});
        else if (term_divisible(t, c))
            exact_rest =
                exact_rest +
                Polynomial(make_op(Op::div, DType::i64, {Polynomial(std::vector<Term>{t}).expr(), make_constant(DType::i64, c)}));
        else
            rest.push_back(t);
    }
    quotient = quotient + exact_rest;
    const Polynomial r(std::move(rest));
    const auto constant = r.constant();
    if (constant || remainder_vanishes(r, Polynomial(c))) return remainder ? r : quotient;
    if (remainder) return Polynomial(make_op(Op::mod, DType::i64, {r.expr(), make_constant(DType::i64, c)}));
    // floor((g x + k) / (g c')) = floor((x + floor(k / g)) / c'), and floor(floor(x / b) / c) = floor(x / (b c)).
    std::int64_t g = c;
    for (const Term& t : r.terms())
        if (!t.atoms.empty()) g = std::gcd(g, std::abs(t.factor));
    std::vector<Term> reduced;
    for (const Term& t : r.terms()) reduced.push_back({t.atoms, floor_div(t.factor, g)});
    const Polynomial numerator(std::move(reduced));
    const std::int64_t divisor = c / g;
    if (divisor == 1) return quotient + numerator;
    const auto atoms = atoms_of(numerator);
    if (numerator.terms().size() == 1 && atoms.size() == 1 && numerator == Polynomial(atoms[0]) && atoms[0]->op == Op::div)
        if (const auto inner = integer_constant(atoms[0]->args[1]);
            inner && *inner > 0 && *inner < (std::int64_t{1} << 30) && divisor < (std::int64_t{1} << 30))
            return quotient + divide_by_constant(normal(atoms[0]->args[0]), *inner * divisor, false);
    return quotient + Polynomial(make_op(Op::div, DType::i64, {numerator.expr(), make_constant(DType::i64, divisor)}));
}

// min or max as a flat list of operands, those that another one makes superfluous dropped.
Polynomial IndexAnalysis::least(Op op, const Expr& e) {
    std::vector<Polynomial> operands;
    std::optional<int> splits;  // sums of several minima have a product of cases
    const auto add = [&](const auto& self, const Polynomial& p) -> void {
        // min(min(a, b) + c, d) = min(a + c, b + c, d)
        for (const Expr& atom : atoms_of(p, op)) {
            if (operands.size() > 8 || splits_ <= 0 || splits == 0) break;
            const auto split = split_linear(p, atom);
            if (!split || !(split->factor == Polynomial(1))) continue;
            if (!splits) splits = is_large(e) ? 0 : 32;
            if (*splits == 0) continue;
            --*splits;
            --splits_;
            for (const Expr& a : atom->args) self(self, normal(a) + split->rest);
            return;
        }
        for (Polynomial& q : operands)
            if (const auto difference = constant_difference(p, q)) {
                if ((*difference < 0) == (op == Op::min)) q = p;
                return;
            }
        operands.push_back(p);
    };
    for (const Expr& a : e->args) add(add, normal(a));
    std::vector<Expr> sorted;
    for (const Polynomial& p : operands) sorted.push_back(p.expr());
    std::sort(sorted.begin(), sorted.end(), [](const Expr& a, const Expr& b) { return compare_exprs(a, b) < 0; });
    if (sorted.size() == 1) return operands[0];
    Expr chain = sorted[0];
    for (size_t i = 1; i < sorted.size(); ++i) chain = make_op(op, DType::i64, {chain, sorted[i]});
    return Polynomial(chain);
}

bool IndexAnalysis::varies(const Expr& atom) {
    if (domain_.ranges.count(atom)) return true;
    if (atom->op == Op::constant || atom->op == Op::extent || atom->op == Op::dim || atom->op == Op::variable) return false;
    if (const auto found = varies_.find(atom); found != varies_.end()) return found->second;
    bool any = atom->op == Op::reduce || atom->op == Op::scan || atom->op == Op::scatter;
    if (atom->op == Op::access) any = !atom->target().input || (!atom->target().input->scalar && reads_ == InputReads::by_range);
    if (nesting_ > deepest) any = true;
    ++nesting_;
    for (const Expr& a : atom->args) any = any || varies(a->op == Op::dim ? make_dim(a->dim()) : a);
    --nesting_;
    varies_.emplace(atom, any);
    return any;
}
bool IndexAnalysis::varies(const Polynomial& p) {
    for (const Expr& a : atoms_of(p))
        if (varies(a)) return true;
    return false;
}

int IndexAnalysis::sign_of(const Polynomial& p) {
    if (const auto c = p.constant()) return *c >= 0 ? 1 : -1;
    if (--budget_ < 0) return 0;
    if (const auto low = extreme(p, true); low && proves_nonnegative(*low, {}, 16)) return 1;
    if (const auto high = extreme(p, false); high && proves_nonnegative(*high * Polynomial(-1), {}, 16)) return -1;
    return 0;
}

std::optional<Polynomial> IndexAnalysis::by_branches(const Polynomial& p, const Expr& atom, const LinearSplit& split, int sign,
                                                     bool low) {
    const bool is_select = atom->op == Op::select;
    const auto branch = [&](const Expr& value, bool holds) -> std::optional<Polynomial> {
        const Polynomial q = split.factor * normal(value) + split.rest;
        if (!is_select) return extreme(q, low);
        const Domain inside = domain_.narrowed(atom->args[0], holds);
        if (inside.nonnegative.size() == domain_.nonnegative.size()) return extreme(q, low);
        const Ends ends = IndexAnalysis(inside, reads_, depth_ + 1).interval(q.expr());
        return low ? ends.low : ends.high;
    };
    (void)p;
    const auto a = branch(atom->args[is_select ? 1 : 0], true), b = branch(atom->args[is_select ? 2 : 1], false);
    // The value is one of the two; which one counts as the bound: for a select and for the weaker side both must be known.
    const bool takes_least = is_select ? low : (atom->op == Op::min) == (sign > 0);
    if (low == takes_least) {
        if (!a || !b) return std::nullopt;
    } else if (!a || !b) {
        return a ? a : b;
    }
    return takes_least ? smaller_of(*a, *b) : larger_of(*a, *b);
}

// k c floor(a / c) lies between k (a - c + 1) and k a: keeps what cancels against the rest.
std::optional<Polynomial> IndexAnalysis::relaxed_division(const Polynomial& p, const Expr& atom, const LinearSplit& split,
                                                          bool low) {
    (void)p;
    const Polynomial c = normal(atom->args[1]), a = normal(atom->args[0]);
    std::optional<std::int64_t> k;
    if (const auto value = c.constant()) {
        const auto factor = split.factor.constant();
        if (factor && *value > 0 && *factor % *value == 0) k = *factor / *value;
    } else if (c.terms().size() == 1 && c.terms()[0].atoms.size() == 1 && c.terms()[0].factor == 1) {
        if (const auto exact = divided_exactly(split.factor, c.terms()[0].atoms[0])) k = exact->constant();
    }
    if (!k) return std::nullopt;
    bool correlated = false;
    for (const Expr& x : atoms_of(a)) correlated = correlated || (varies(x) && split.rest.contains(x));
    if (!correlated) return std::nullopt;
    const bool down = (*k > 0) == low && !(c.constant() && is_multiple(a, *c.constant()));
    return extreme(split.rest + Polynomial(*k) * (down ? a - c + Polynomial(1) : a), low);
}

std::optional<Polynomial> IndexAnalysis::extreme(const Polynomial& p, bool low) {
    if (p.overflowed() || --budget_ < 0) return std::nullopt;
    std::vector<Expr> varying;
    for (const Expr& a : atoms_of(p))
        if (varies(a)) varying.push_back(a);
    if (varying.empty()) return p;
    for (const Expr& atom : varying) {
        if ((atom->op != Op::min && atom->op != Op::max && atom->op != Op::select && atom->op != Op::div) ||
            domain_.ranges.count(atom))
            continue;
        const auto split = split_linear(p, atom);
        if (!split) continue;
        if (atom->op == Op::div) {
            if (auto found = relaxed_division(p, atom, *split, low)) return found;
            continue;
        }
        if (depth_ > 6) continue;
        const int sign = atom->op == Op::select ? 1 : sign_of(split->factor);
        if (sign == 0 || (atom->op == Op::select && sign_of(split->factor) == 0)) continue;
        return by_branches(p, atom, *split, sign, low);
    }
    // Substitute ends one atom at a time; compound atoms first, since their ends are free of the others.
    std::stable_partition(varying.begin(), varying.end(),
                          [](const Expr& a) { return a->op != Op::dim && a->op != Op::variable; });
    const Expr atom = varying[0];
    const auto split = split_linear(p, atom);
    if (!split) return std::nullopt;
    const Ends ends = atom_interval(atom);
    const int sign = sign_of(split->factor);
    const auto at = [&](const std::optional<Polynomial>& end) -> std::optional<Polynomial> {
        if (!end) return std::nullopt;
        return extreme(split->factor * *end + split->rest, low);
    };
    if (sign != 0) return at((sign > 0) == low ? ends.low : ends.high);
    const auto a = at(ends.low), b = at(ends.high);
    if (!a || !b) return std::nullopt;
    return low ? smaller_of(*a, *b) : larger_of(*a, *b);
}

Ends IndexAnalysis::interval(const Polynomial& p) {
    if (p.overflowed()) return {};
    if (!varies(p)) return {p, p};
    Ends ends{extreme(p, true), extreme(p, false)};
    // p >= p - fact, which may be free of what varies.
    for (const Polynomial& fact : facts_) {
        const Polynomial above = p - fact, below = p + fact;
        if (!varies(above)) ends.low = ends.low ? tighter_low(*ends.low, above) : above;
        if (!varies(below)) ends.high = ends.high ? tighter_high(*ends.high, below) : below;
    }
    return ends;
}

Ends IndexAnalysis::atom_interval(const Expr& atom) {
    if (const auto found = intervals_.find(atom); found != intervals_.end()) return found->second;
    Ends ends;
    if (atom->op != Op::dim && atom->op != Op::variable) ends = computed_interval(atom);
    if (const auto range = domain_.ranges.find(atom); range != domain_.ranges.end()) {
        IndexAnalysis plain;
        if (range->second.low.defined()) {
            const Polynomial low = plain.normal(range->second.low);
            ends.low = ends.low ? tighter_low(*ends.low, low) : low;
        }
        if (range->second.high.defined()) {
            const Polynomial high = plain.normal(range->second.high);
            ends.high = ends.high ? tighter_high(*ends.high, high) : high;
        }
    }
    intervals_.emplace(atom, ends);
    return ends;
}

Ends IndexAnalysis::computed_interval(const Expr& atom) {
    const Facts positive{.extents_positive = true};
    switch (atom->op) {
        case Op::div: {
            const Ends a = interval(atom->args[0]), c = interval(atom->args[1]);
            if (!c.low || !proves_nonnegative(*c.low, {}, 16)) return {};
            const auto fixed = *c.low == *c.high;
            Ends ends;
            if (fixed) {
                IndexAnalysis plain;
                if (a.low) ends.low = plain.divide(*a.low, *c.low, false);
                if (a.high) ends.high = plain.divide(*a.high, *c.low, false);
                return ends;
            }
            if (a.low) ends.low = smaller_of(*a.low, Polynomial(0));
            if (a.high) ends.high = larger_of(*a.high, Polynomial(0));
            return ends;
        }
        case Op::mod: {
            const Ends c = interval(atom->args[1]);
            if (!c.low || !proves_nonnegative(*c.low, {}, 16)) return {};
            if (const auto value = c.high ? c.high->constant() : std::nullopt)
                return {Polynomial(0), Polynomial(std::max<std::int64_t>(*value - 1, 0))};
            Ends ends{Polynomial(0), std::nullopt};
            if (c.high) ends.high = larger_of(Polynomial(0), *c.high - Polynomial(1));
            return ends;
        }
        case Op::abs: {
            const Ends a = interval(atom->args[0]);
            if (!a.low || !a.high) return {Polynomial(0), std::nullopt};
            return {Polynomial(0), larger_of(*a.high, *a.low * Polynomial(-1))};
        }
        case Op::min:
        case Op::max:
        case Op::select: {
            // Reached when a condition narrowed the term, or the factor's sign is unknown. One operand bounds a min from above.
            const bool is_select = atom->op == Op::select;
            const Ends a = interval(atom->args[is_select ? 1 : 0]), b = interval(atom->args[is_select ? 2 : 1]);
            Ends ends;
            if (a.low && b.low)
                ends.low = atom->op == Op::max ? larger_of(*a.low, *b.low) : smaller_of(*a.low, *b.low);
            else if (atom->op == Op::max)
                ends.low = a.low ? a.low : b.low;
            if (a.high && b.high)
                ends.high = atom->op == Op::min ? smaller_of(*a.high, *b.high) : larger_of(*a.high, *b.high);
            else if (atom->op == Op::min)
                ends.high = a.high ? a.high : b.high;
            return ends;
        }
        default: return value_range(atom, domain_, reads_, depth_ + 1);
    }
}

Ends IndexAnalysis::value_interval(const Expr& e) { return interval(normal(e)); }

}  // namespace tessera
