#pragma once

#include <tessera/func.h>

namespace tessera {

struct MonoidState;

/// A predicate of a reduction: only points where it holds take part.
struct Where {
    Where() = default;
    Expr condition;
    SourceLoc loc;
};
[[nodiscard]] Where where(const Operand& condition);
Where where(bool) = delete;

/// In which order a reduction combines. `any`: the schedule may split, vectorise and reorder it. The others belong to the
/// algorithm: re-tuning and other targets keep the bits.
struct Order {
    enum class Kind : std::uint8_t { any, ascending, pairwise, kahan, blocked };
    Kind kind = Kind::any;
    std::int64_t block = 0;

    static Order any() { return {}; }
    static Order ascending() { return {Kind::ascending, 0}; }
    /// Sequential inside blocks of `block`, blocks combined in a balanced tree.
    static Order pairwise(std::int64_t block) { return {Kind::pairwise, block}; }
    static Order kahan() { return {Kind::kahan, 0}; }
    static Order blocked(std::int64_t block) { return {Kind::blocked, block}; }
    bool operator==(const Order&) const = default;
};

struct ReduceOptions {
    Order order = {};
    std::string name = {};  // the stage's name; "" numbers it
    std::optional<DType> accumulate = {};
};
struct ScanOptions {
    bool exclusive = false;
    bool reverse = false;
    std::string name = {};
};
struct ScatterOptions {
    Order order = {};
    std::string name = {};
    std::vector<Operand> init = {};  // values of the cells before anything is combined; default the monoid's identity
};

struct MonoidTraits {
    bool commutative = true;
    bool associative = true;
};

/// identity: dtypes of the operands -> the neutral values; combine: (left, right) -> combined.
using Identity = std::function<Tuple(const std::vector<DType>&)>;
using Combine = std::function<Tuple(const Tuple&, const Tuple&)>;

/// An associative operation with a neutral element on tuples.
class Monoid {
public:
    Monoid(std::string name, Identity identity, Combine combine, MonoidTraits traits);
    explicit Monoid(std::shared_ptr<const MonoidState> state) : state_(std::move(state)) {}
    [[nodiscard]] const std::string& name() const;
    [[nodiscard]] const MonoidState& state() const { return *state_; }
    [[nodiscard]] const std::shared_ptr<const MonoidState>& shared() const { return state_; }

private:
    std::shared_ptr<const MonoidState> state_;
};
[[nodiscard]] Monoid monoid(std::string name, Identity identity, Combine combine, MonoidTraits traits = {});
/// The built-in monoids; `last` keeps the right operand (assignment).
extern const Monoid plus, times, minimum, maximum, logical_and, logical_or, last;

using Dims = std::vector<Dim>;

/// Sum over `dims` of `body` where `where` holds. A product of floats accumulates by fused multiply-add. Over nothing: 0.
[[nodiscard]] Expr sum(const Dims& dims, const Operand& body, const Where& where = {}, const ReduceOptions& options = {});
[[nodiscard]] Expr sum(const Dims& dims, const Operand& body, const ReduceOptions& options);
[[nodiscard]] Expr prod(const Dims& dims, const Operand& body, const Where& where = {}, const ReduceOptions& options = {});
/// Over nothing: the lowest / highest value (-inf / inf for floats). NaN when any value is NaN.
[[nodiscard]] Expr max(const Dims& dims, const Operand& body, const Where& where = {}, const ReduceOptions& options = {});
[[nodiscard]] Expr min(const Dims& dims, const Operand& body, const Where& where = {}, const ReduceOptions& options = {});
// Chosen for {j}, which could also be the first operand of max(a, b).
[[nodiscard]] Expr max(std::initializer_list<Dim> dims, const Operand& body, const Where& where = {},
                       const ReduceOptions& options = {});
[[nodiscard]] Expr min(std::initializer_list<Dim> dims, const Operand& body, const Where& where = {},
                       const ReduceOptions& options = {});
[[nodiscard]] Expr all(const Dims& dims, const Operand& body, const Where& where = {}, const ReduceOptions& options = {});
[[nodiscard]] Expr any(const Dims& dims, const Operand& body, const Where& where = {}, const ReduceOptions& options = {});
/// Sum divided by the number of points that take part; NaN over nothing. Floats only.
[[nodiscard]] Expr mean(const Dims& dims, const Operand& body, const Where& where = {}, const ReduceOptions& options = {});
/// The index (i64) along `dim` of the largest / smallest value, the first one on ties; a NaN wins; -1 over nothing.
[[nodiscard]] Expr argmax(const Dim& dim, const Operand& body, const Where& where = {}, const ReduceOptions& options = {});
[[nodiscard]] Expr argmin(const Dim& dim, const Operand& body, const Where& where = {}, const ReduceOptions& options = {});
/// log of the sum of exp(body), computed as max + log(sum(exp(body - max))). Floats only; -inf over nothing.
[[nodiscard]] Expr logsumexp(const Dims& dims, const Operand& body, const Where& where = {});
/// Count, mean and sum of squared deviations in one pass (Welford 1962; merge: Chan, Golub, LeVeque 1979). Floats only.
[[nodiscard]] Tuple welford(const Dims& dims, const Operand& body, const Where& where = {}, const ReduceOptions& options = {});

[[nodiscard]] Tuple reduce(const Monoid& monoid, const Dims& dims, const std::vector<Operand>& operands, const Where& where = {},
                           const ReduceOptions& options = {});

/// The running combination along `t`, which stays free: values at t' <= t (t' < t when exclusive; from the other end when
/// reverse).
[[nodiscard]] Expr scan(const Monoid& monoid, const Dim& t, const Operand& body, const ScanOptions& options = {});
[[nodiscard]] Tuple scan(const Monoid& monoid, const Dim& t, const std::vector<Operand>& operands,
                         const ScanOptions& options = {});

/// Destination of a scatter: the index along the destination's dim `dst`.
struct To {
    Dim dst;
    Expr index;
    SourceLoc where;
};
[[nodiscard]] To to(const Dim& dst, const Operand& index);
/// init ⊕ (⊕ over `over`, in ascending source order, of the values whose every index equals its destination); other dims stay
/// free; an index outside its Dim is dropped.
[[nodiscard]] Tuple scatter(const Monoid& monoid, const std::vector<To>& destination, const Dims& over,
                            const std::vector<Operand>& values, const ScatterOptions& options = {});
[[nodiscard]] Expr scatter(const Monoid& monoid, const std::vector<To>& destination, const Dims& over, const Operand& value,
                           const ScatterOptions& options = {});

/// A state of a recurrence and its value for t < 0.
struct StateVar {
    FuncRef at;
    Operand init;
};
/// The states inside a step.
class Self {
public:
    explicit Self(std::vector<Func> states) : states_(std::move(states)) {}
    [[nodiscard]] const Func& operator[](size_t i) const { return states_.at(i); }

private:
    std::vector<Func> states_;
};
struct RecurrenceOptions {
    bool reverse = false;
    /// Read after a step, of the states at t: where it holds, all later steps keep the values. Its free dims stop each for
    /// itself; every state must have them. `t` needs a static extent or .at_most(n).
    std::function<Expr(const Self&)> until = {};
};
/// States evolve along `t`: for t >= 0 each state's value is its component of `step`, which may read any state at times before t.
/// E0311 when a read is not provably before t, and for an `until` that does not fit. With `until` there is one more state,
/// <first>/stopped, which says which steps are no longer taken.
void recurrence(const Dim& t, const std::vector<StateVar>& states, const std::function<Tuple(const Self&)>& step,
                const RecurrenceOptions& options = {}, SourceLoc where = SourceLoc::current());
/// A state after the last step: <state>/end, over its dims without t. Throws E0311 for a Func that is no state.
[[nodiscard]] Func at_end(const Func& state, SourceLoc where = SourceLoc::current());

}  // namespace tessera
