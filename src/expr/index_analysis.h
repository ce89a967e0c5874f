#pragma once

#include "expr/affine.h"
#include "expr/bounds.h"

#include <map>
#include <optional>
#include <utility>

namespace tessera {

/// Ends of an interval in normal form.
struct Ends {
    std::optional<Polynomial> low, high;
};

[[nodiscard]] Interval as_interval(const Ends& ends);

/// Normal forms and intervals of integer expressions over one domain; keeps what it found.
class IndexAnalysis {
public:
    explicit IndexAnalysis(const Domain& domain = {}, InputReads reads = InputReads::by_range, int depth = 0);

    /// The polynomial of `e`; every dtype is read as an unbounded integer, so i64 and i32 are taken not to wrap.
    Polynomial normal(const Expr& e);
    Ends interval(const Polynomial& p);
    Ends interval(const Expr& e) { return interval(normal(e)); }
    /// The values of integer `e` of any dtype, wrap-around of narrow dtypes included.
    Ends value_interval(const Expr& e);

    /// Whether `atom` takes several values over the domain.
    bool varies(const Expr& atom);

    /// As much effort for what comes next as a new analysis would have; where it ran out of it, what it found is forgotten.
    void renew();

private:
    friend struct ValueRange;
    Polynomial normalize(const Expr& e);
    Polynomial divide(const Polynomial& a, const Polynomial& c, bool remainder);
    Polynomial divide_by_constant(const Polynomial& a, std::int64_t c, bool remainder);
    Polynomial least(Op op, const Expr& e);
    [[nodiscard]] bool remainder_vanishes(const Polynomial& r, const Polynomial& c);
    bool varies(const Polynomial& p);
    std::optional<Polynomial> extreme(const Polynomial& p, bool low);
    std::optional<Polynomial> by_branches(const Polynomial& p, const Expr& atom, const LinearSplit& split, int sign, bool low);
    std::optional<Polynomial> relaxed_division(const Polynomial& p, const Expr& atom, const LinearSplit& split, bool low);
    /// 1, -1: the factor is >= 0, <= 0 over the domain; 0: not known.
    int sign_of(const Polynomial& p);
    Ends atom_interval(const Expr& atom);
    Ends computed_interval(const Expr& atom);

    Domain domain_;
    InputReads reads_;
    int depth_;
    static constexpr int most_steps = 400, most_splits = 2048;
    int budget_ = most_steps;
    int splits_ = most_splits;  // of sums of minima and maxima
    int nesting_ = 0;
    std::vector<Polynomial> facts_;
    std::map<Expr, Polynomial, NodeOrder> normal_;
    std::map<Expr, Ends, NodeOrder> intervals_;
    std::map<Expr, bool, NodeOrder> varies_;
};

/// The values of a non-polynomial integer node: reads, casts, arg-reductions, counts, bit operations, narrow arithmetic.
[[nodiscard]] Ends value_range(const Expr& e, const Domain& domain, InputReads reads, int depth);

/// More than a few hundred nodes, shared ones counted once: too many to go through again for what little more is then known.
[[nodiscard]] bool is_large(const Expr& e);
/// The tighter of two lower (upper) ends. Where that is not known and both are long, the shorter one, which is an end as well:
/// ends that hold each other grow with every stage that they pass.
[[nodiscard]] Polynomial tighter_low(const Polynomial& a, const Polynomial& b);
[[nodiscard]] Polynomial tighter_high(const Polynomial& a, const Polynomial& b);

/// Every term is a multiple of c >= 1, by its factor and the promises of its extents.
[[nodiscard]] bool is_multiple(const Polynomial& p, std::int64_t c);

/// The polynomial proved to be the smaller / larger one, or an opaque min / max.
[[nodiscard]] Polynomial smaller_of(const Polynomial& a, const Polynomial& b, const Facts& facts = {});
[[nodiscard]] Polynomial larger_of(const Polynomial& a, const Polynomial& b, const Facts& facts = {});

/// As proves_nonnegative(); effort bounds the number of cases.
[[nodiscard]] bool proves_nonnegative(const Polynomial& p, const Facts& facts, int effort = 64);

/// What is known of an atom of a polynomial without a domain: extents are >= 0 (or >= 1), scalars and remainders have ranges.
struct AtomBounds {
    std::optional<std::int64_t> low, high;
};

}  // namespace tessera
