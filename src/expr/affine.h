#pragma once

#include "expr/expr_node.h"

#include <optional>
#include <vector>

namespace tessera {

/// factor * atoms[0] * atoms[1] * …; atoms are i64 Exprs in canonical order, repeated for powers.
struct Term {
    std::vector<Expr> atoms;
    std::int64_t factor = 0;
};

/// A sum of terms with distinct atoms in canonical order (the constant last): the normal form of integer index arithmetic.
class Polynomial {
public:
    Polynomial() = default;
    explicit Polynomial(std::int64_t constant);
    explicit Polynomial(const Expr& atom);
    explicit Polynomial(std::vector<Term> terms);

    [[nodiscard]] const std::vector<Term>& terms() const { return terms_; }
    /// A coefficient left the range of exact arithmetic, or there are too many terms: the value must not be used.
    [[nodiscard]] bool overflowed() const { return overflowed_; }
    [[nodiscard]] std::optional<std::int64_t> constant() const;
    /// The constant term, 0 when there is none.
    [[nodiscard]] std::int64_t offset() const;
    [[nodiscard]] bool contains(const Expr& atom) const;
    /// The polynomial as an Expr; equal polynomials give one node.
    [[nodiscard]] Expr expr() const;
    /// This with `atom` replaced.
    [[nodiscard]] Polynomial replaced(const Expr& atom, const Polynomial& value) const;
    /// This times a constant.
    [[nodiscard]] Polynomial scaled(std::int64_t by) const;

    friend Polynomial operator+(const Polynomial& a, const Polynomial& b);
    friend Polynomial operator-(const Polynomial& a, const Polynomial& b);
    friend Polynomial operator*(const Polynomial& a, const Polynomial& b);
    friend bool operator==(const Polynomial& a, const Polynomial& b);

private:
    std::vector<Term> terms_;
    bool overflowed_ = false;
};
[[nodiscard]] Polynomial operator+(const Polynomial& a, const Polynomial& b);
[[nodiscard]] Polynomial operator-(const Polynomial& a, const Polynomial& b);
[[nodiscard]] Polynomial operator*(const Polynomial& a, const Polynomial& b);
[[nodiscard]] bool operator==(const Polynomial& a, const Polynomial& b);

/// a - b where that is a constant.
[[nodiscard]] std::optional<std::int64_t> constant_difference(const Polynomial& a, const Polynomial& b);

/// p = factor * atom + rest, both free of `atom`; none when the atom stands in a product with itself.
struct LinearSplit {
    Polynomial factor, rest;
};
[[nodiscard]] std::optional<LinearSplit> split_linear(const Polynomial& p, const Expr& atom);

/// The distinct atoms of `p`, in canonical order.
[[nodiscard]] std::vector<Expr> atoms_of(const Polynomial& p);
/// Those of one kind.
[[nodiscard]] std::vector<Expr> atoms_of(const Polynomial& p, Op op);

/// A total order of Exprs by kind, names and args: the same in every run for Exprs that differ in more than the identity of
/// equally named dims or variables.
[[nodiscard]] int compare_exprs(const Expr& a, const Expr& b);

[[nodiscard]] std::int64_t floor_div(std::int64_t a, std::int64_t b);

}  // namespace tessera
