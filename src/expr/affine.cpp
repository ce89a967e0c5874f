#include "expr/affine.h"

#include "expr/tensor_state.h"

#include <algorithm>
#include <limits>

namespace tessera {
namespace {

constexpr std::int64_t largest_factor = std::int64_t{1} << 60;
constexpr size_t most_terms = 128;

int rank_of(Op op) {
    switch (op) {
        case Op::variable: return 0;
        case Op::dim: return 1;
        case Op::extent: return 2;
        case Op::constant: return 1000;  // last: min(x, 9)
        default: return 3 + static_cast<int>(op);
    }
}

std::string_view name_of(const Expr& e) {
    if (const auto* d = std::get_if<std::shared_ptr<const DimState>>(&e->attribute)) return (*d)->name;
    if (const auto* v = std::get_if<std::shared_ptr<const Variable>>(&e->attribute)) return (*v)->name;
    if (e->op == Op::access) return e->target().input ? e->target().input->name : e->target().func->name;
    return {};
}

template <class T>
int order(const T& a, const T& b) {
    return a < b ? -1 : b < a ? 1 : 0;
}

int compare_atoms(const std::vector<Expr>& a, const std::vector<Expr>& b) {
    // Longer products first, so that the constant is last.
    if (a.size() != b.size()) return a.size() > b.size() ? -1 : 1;
    for (size_t i = 0; i < a.size(); ++i)
        if (const int c = compare_exprs(a[i], b[i])) return c;
    return 0;
}

// Exprs are interned: what compares equal is one node.
bool same_atoms(const std::vector<Expr>& a, const std::vector<Expr>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Expr& x, const Expr& y) { return x.same_as(y); });
}

bool too_large(__int128 v) { return v > largest_factor || v < -largest_factor; }

Expr product(const Term& term, std::int64_t factor) {
    Expr e;
    for (const Expr& a : term.atoms) e = e.defined() ? make_op(Op::mul, DType::i64, {e, a}) : a;
    if (!e.defined()) return make_constant(DType::i64, factor);
    return factor == 1 ? e : make_op(Op::mul, DType::i64, {e, make_constant(DType::i64, factor)});
}

}  // namespace

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
    if (b == 0) return 0;
    if (b == -1) return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(a));
    const std::int64_t q = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

int compare_exprs(const Expr& a, const Expr& b) {
    if (a.same_as(b)) return 0;
    if (const int c = order(rank_of(a->op), rank_of(b->op))) return c;
    if (const int c = order(name_of(a), name_of(b))) return c;
    if (const int c = order(a->integer(), b->integer())) return c;
    if (const int c = order(a->dtype, b->dtype)) return c;
    if (const int c = order(a->args.size(), b->args.size())) return c;
    for (size_t i = 0; i < a->args.size(); ++i)
        if (const int c = compare_exprs(a->args[i], b->args[i])) return c;
    if (const int c = order(a->where.line, b->where.line)) return c;
    return a.get() < b.get() ? -1 : 1;
}

Polynomial::Polynomial(std::int64_t constant) {
    if (constant != 0) terms_.push_back({{}, constant});
    overflowed_ = too_large(constant);
}
Polynomial::Polynomial(const Expr& atom) { terms_.push_back({{atom}, 1}); }
Polynomial::Polynomial(std::vector<Term> terms) {
    std::sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) { return compare_atoms(a.atoms, b.atoms) < 0; });
    for (Term& t : terms) {
        if (terms_.empty() || !same_atoms(terms_.back().atoms, t.atoms)) {
            terms_.push_back(std::move(t));
            continue;
        }
        const __int128 sum = static_cast<__int128>(terms_.back().factor) + t.factor;
        overflowed_ = overflowed_ || too_large(sum);
        terms_.back().factor = static_cast<std::int64_t>(sum);
    }
    std::erase_if(terms_, [](const Term& t) { return t.factor == 0; });
    for (const Term& t : terms_) overflowed_ = overflowed_ || too_large(t.factor);
    overflowed_ = overflowed_ || terms_.size() > most_terms;
}

std::optional<std::int64_t> Polynomial::constant() const {
    if (terms_.empty()) return 0;
    if (terms_.size() == 1 && terms_[0].atoms.empty()) return terms_[0].factor;
    return std::nullopt;
}
std::int64_t Polynomial::offset() const { return terms_.empty() || !terms_.back().atoms.empty() ? 0 : terms_.back().factor; }

bool Polynomial::contains(const Expr& atom) const {
    for (const Term& t : terms_)
        for (const Expr& a : t.atoms)
            if (a.same_as(atom)) return true;
    return false;
}

Expr Polynomial::expr() const {
    Expr sum;
    const auto add = [&](const Term& t) {
        sum = sum.defined() ? make_op(Op::add, DType::i64, {sum, product(t, t.factor)}) : product(t, t.factor);
    };
    // Positive terms first: x - y rather than -y + x.
    for (const Term& t : terms_)
        if (t.factor > 0) add(t);
    for (const Term& t : terms_) {
        if (t.factor > 0) continue;
        if (sum.defined())
            sum = make_op(Op::sub, DType::i64, {sum, product(t, -t.factor)});
        else if (t.factor == -1 && !t.atoms.empty())
            sum = make_op(Op::neg, DType::i64, {product(t, 1)});
        else
            add(t);
    }
    return sum.defined() ? sum : make_constant(DType::i64, std::int64_t{0});
}

Polynomial Polynomial::replaced(const Expr& atom, const Polynomial& value) const {
    if (!contains(atom)) return *this;
    Polynomial sum;
    std::vector<Term> kept;
    for (const Term& t : terms_) {
        Term rest{{}, t.factor};
        size_t power = 0;
        for (const Expr& a : t.atoms) {
            if (a.same_as(atom))
                ++power;
            else
                rest.atoms.push_back(a);
        }
        if (power == 0) {
            kept.push_back(t);
            continue;
        }
        Polynomial p(std::vector<Term>{rest});
        for (size_t i = 0; i < power; ++i) p = p * value;
        sum = sum + p;
    }
    return sum + Polynomial(std::move(kept));
}

Polynomial Polynomial::scaled(std::int64_t by) const {
    if (by == 1) return *this;
    Polynomial out;
    out.overflowed_ = overflowed_ || too_large(by);
    if (by == 0) return out;
    out.terms_ = terms_;
    for (Term& t : out.terms_) {
        const __int128 factor = static_cast<__int128>(t.factor) * by;
        out.overflowed_ = out.overflowed_ || too_large(factor);
        t.factor = static_cast<std::int64_t>(factor);
    }
    return out;
}

// Both are in canonical order: one pass.
Polynomial operator+(const Polynomial& a, const Polynomial& b) {
    Polynomial out;
    out.overflowed_ = a.overflowed_ || b.overflowed_;
    out.terms_.reserve(a.terms_.size() + b.terms_.size());
    auto x = a.terms_.begin(), y = b.terms_.begin();
    while (x != a.terms_.end() && y != b.terms_.end()) {
        const int c = compare_atoms(x->atoms, y->atoms);
        if (c != 0) {
            out.terms_.push_back(c < 0 ? *x++ : *y++);
            continue;
        }
        const __int128 sum = static_cast<__int128>(x->factor) + y->factor;
        out.overflowed_ = out.overflowed_ || too_large(sum);
        if (sum != 0) out.terms_.push_back({x->atoms, static_cast<std::int64_t>(sum)});
        ++x, ++y;
    }
    out.terms_.insert(out.terms_.end(), x, a.terms_.end());
    out.terms_.insert(out.terms_.end(), y, b.terms_.end());
    out.overflowed_ = out.overflowed_ || out.terms_.size() > most_terms;
    return out;
}
Polynomial operator-(const Polynomial& a, const Polynomial& b) { return a + b.scaled(-1); }
Polynomial operator*(const Polynomial& a, const Polynomial& b) {
    if (const auto c = b.constant(); c && !b.overflowed_) return a.scaled(*c);
    if (const auto c = a.constant(); c && !a.overflowed_) return b.scaled(*c);
    std::vector<Term> terms;
    bool overflowed = a.overflowed_ || b.overflowed_ || a.terms_.size() * b.terms_.size() > most_terms * most_terms;
    if (!overflowed)
        for (const Term& x : a.terms_)
            for (const Term& y : b.terms_) {
                Term t{x.atoms, 0};
                t.atoms.insert(t.atoms.end(), y.atoms.begin(), y.atoms.end());
                std::sort(t.atoms.begin(), t.atoms.end(), [](const Expr& p, const Expr& q) { return compare_exprs(p, q) < 0; });
                const __int128 factor = static_cast<__int128>(x.factor) * y.factor;
                overflowed = overflowed || too_large(factor);
                t.factor = static_cast<std::int64_t>(factor);
                terms.push_back(std::move(t));
            }
    Polynomial p(std::move(terms));
    p.overflowed_ = p.overflowed_ || overflowed;
    return p;
}
bool operator==(const Polynomial& a, const Polynomial& b) {
    if (a.terms_.size() != b.terms_.size() || a.overflowed_ || b.overflowed_) return false;
    for (size_t i = 0; i < a.terms_.size(); ++i)
        if (a.terms_[i].factor != b.terms_[i].factor || !same_atoms(a.terms_[i].atoms, b.terms_[i].atoms)) return false;
    return true;
}

std::optional<std::int64_t> constant_difference(const Polynomial& a, const Polynomial& b) {
    if (a.overflowed() || b.overflowed()) return std::nullopt;
    const auto symbols = [](const Polynomial& p) {
        return p.terms().size() - (p.terms().empty() || !p.terms().back().atoms.empty() ? 0 : 1);
    };
    const size_t count = symbols(a);
    if (count != symbols(b)) return std::nullopt;
    for (size_t i = 0; i < count; ++i)
        if (a.terms()[i].factor != b.terms()[i].factor || !same_atoms(a.terms()[i].atoms, b.terms()[i].atoms))
            return std::nullopt;
    return a.offset() - b.offset();
}

std::optional<LinearSplit> split_linear(const Polynomial& p, const Expr& atom) {
    std::vector<Term> factor, rest;
    for (const Term& t : p.terms()) {
        Term without{{}, t.factor};
        size_t power = 0;
        for (const Expr& a : t.atoms) {
            if (a.same_as(atom))
                ++power;
            else
                without.atoms.push_back(a);
        }
        if (power > 1) return std::nullopt;
        (power ? factor : rest).push_back(power ? std::move(without) : t);
    }
    return LinearSplit{Polynomial(std::move(factor)), Polynomial(std::move(rest))};
}

namespace {

template <class Wanted>
std::vector<Expr> atoms_where(const Polynomial& p, const Wanted& wanted) {
    std::vector<Expr> atoms;
    for (const Term& t : p.terms())
        for (const Expr& a : t.atoms)
            if (wanted(a) && std::none_of(atoms.begin(), atoms.end(), [&](const Expr& b) { return b.same_as(a); }))
                atoms.push_back(a);
    std::sort(atoms.begin(), atoms.end(), [](const Expr& a, const Expr& b) { return compare_exprs(a, b) < 0; });
    return atoms;
}

}  // namespace

std::vector<Expr> atoms_of(const Polynomial& p) {
    return atoms_where(p, [](const Expr&) { return true; });
}
std::vector<Expr> atoms_of(const Polynomial& p, Op op) {
    return atoms_where(p, [op](const Expr& a) { return a->op == op; });
}

}  // namespace tessera
