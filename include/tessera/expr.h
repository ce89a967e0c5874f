#pragma once

#include <tessera/dim.h>
#include <tessera/dtype.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace tessera {

struct ExprNode;
class FuncRef;

/// A scalar expression: a handle to an immutable, hash-consed DAG node. Arithmetic is IEEE for floats and wraps for integers;
/// integer / and % are floor division with x/0 = x%0 = 0.
class Expr {
public:
    Expr() = default;
    explicit Expr(std::shared_ptr<const ExprNode> node) : node_(std::move(node)) {}
    Expr(const Dim& dim);
    Expr(const Extent& extent) : node_(extent.node()) {}
    Expr(const Scalar& scalar);
    Expr(const FuncRef& access);

    [[nodiscard]] bool defined() const { return node_ != nullptr; }
    [[nodiscard]] DType dtype() const;
    /// A literal or index whose dtype is decided by what it meets.
    [[nodiscard]] bool is_weak() const;
    /// The same node (== builds a comparison).
    [[nodiscard]] bool same_as(const Expr& other) const { return node_ == other.node_; }
    [[nodiscard]] const ExprNode* get() const { return node_.get(); }
    [[nodiscard]] const ExprNode* operator->() const { return node_.get(); }
    [[nodiscard]] const ExprNode& operator*() const { return *node_; }
    [[nodiscard]] const std::shared_ptr<const ExprNode>& node() const { return node_; }

private:
    std::shared_ptr<const ExprNode> node_;
};

/// A weakly typed literal.
[[nodiscard]] Expr literal(std::int64_t value);
[[nodiscard]] Expr literal(double value);
[[nodiscard]] Expr literal(bool value);
/// A constant of dtype `dtype`. Throws E0203 when the value does not fit.
[[nodiscard]] Expr constant(DType dtype, std::int64_t value, SourceLoc where = SourceLoc::current());
[[nodiscard]] Expr constant(DType dtype, double value, SourceLoc where = SourceLoc::current());
/// Lowest and highest value (-inf and inf for floats).
[[nodiscard]] Expr lowest(DType dtype);
[[nodiscard]] Expr highest(DType dtype);

/// What operators and functions take: an Expr, a Dim (its index), an extent, a Scalar, a Func access, or a literal; with the
/// user's line.
struct Operand {
    Operand(const Expr& e, SourceLoc where_ = SourceLoc::current()) : expr(e), where(where_) {}
    Operand(const Dim& d, SourceLoc where_ = SourceLoc::current()) : expr(d), where(where_) {}
    Operand(const Extent& x, SourceLoc where_ = SourceLoc::current()) : expr(x), where(where_) {}
    Operand(const Scalar& s, SourceLoc where_ = SourceLoc::current()) : expr(s), where(where_) {}
    Operand(const FuncRef& f, SourceLoc where_ = SourceLoc::current()) : expr(f), where(where_) {}
    template <class T>
    requires std::is_arithmetic_v<T> Operand(T value, SourceLoc where_ = SourceLoc::current())
        : expr(of_literal(value)), where(where_) {}

    Expr expr;
    SourceLoc where;

private:
    template <class T>
    static Expr of_literal(T value) {
        if constexpr (std::same_as<T, bool>)
            return literal(value);
        else if constexpr (std::is_integral_v<T>)
            return literal(static_cast<std::int64_t>(value));
        else
            return literal(static_cast<double>(value));
    }
};

/// An index of an access: an integer Expr of any width, a Dim, an extent or an integer literal; never bool.
struct Index {
    Index(const Expr& e, SourceLoc where_ = SourceLoc::current()) : expr(e), where(where_) {}
    Index(const Dim& d, SourceLoc where_ = SourceLoc::current()) : expr(d), where(where_) {}
    Index(const Extent& x, SourceLoc where_ = SourceLoc::current()) : expr(x), where(where_) {}
    Index(const Scalar& s, SourceLoc where_ = SourceLoc::current()) : expr(s), where(where_) {}
    Index(const FuncRef& f, SourceLoc where_ = SourceLoc::current()) : expr(f), where(where_) {}
    template <IntegerLiteral T>
    Index(T value, SourceLoc where_ = SourceLoc::current()) : expr(literal(static_cast<std::int64_t>(value))), where(where_) {}

    Expr expr;
    SourceLoc where;
};

[[nodiscard]] Expr operator+(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator-(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator*(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator/(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator%(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator&(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator|(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator^(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator<<(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator>>(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator==(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator!=(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator<(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator<=(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator>(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator>=(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator&&(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator||(const Operand& a, const Operand& b);
[[nodiscard]] Expr operator-(const Operand& a);
[[nodiscard]] Expr operator~(const Operand& a);
[[nodiscard]] Expr operator!(const Operand& a);

/// The larger / smaller; NaN when either is NaN.
[[nodiscard]] Expr max(const Operand& a, const Operand& b);
[[nodiscard]] Expr min(const Operand& a, const Operand& b);
/// min(max(value, low), high)
[[nodiscard]] Expr clamp(const Operand& value, const Operand& low, const Operand& high);
/// a*b + c rounded once.
[[nodiscard]] Expr fma(const Operand& a, const Operand& b, const Operand& c);
[[nodiscard]] Expr abs(const Operand& x);
[[nodiscard]] Expr relu(const Operand& x);
/// Floats to the nearest integral value, ties to even / downwards / upwards / towards zero.
[[nodiscard]] Expr round(const Operand& x);
[[nodiscard]] Expr floor(const Operand& x);
[[nodiscard]] Expr ceil(const Operand& x);
[[nodiscard]] Expr trunc(const Operand& x);
[[nodiscard]] Expr sqrt(const Operand& x);
[[nodiscard]] Expr exp(const Operand& x);
[[nodiscard]] Expr exp2(const Operand& x);
[[nodiscard]] Expr expm1(const Operand& x);
[[nodiscard]] Expr log(const Operand& x);
[[nodiscard]] Expr log2(const Operand& x);
[[nodiscard]] Expr log1p(const Operand& x);
[[nodiscard]] Expr sin(const Operand& x);
[[nodiscard]] Expr cos(const Operand& x);
[[nodiscard]] Expr tan(const Operand& x);
[[nodiscard]] Expr asin(const Operand& x);
[[nodiscard]] Expr acos(const Operand& x);
[[nodiscard]] Expr atan(const Operand& x);
[[nodiscard]] Expr atan2(const Operand& y, const Operand& x);
[[nodiscard]] Expr sinh(const Operand& x);
[[nodiscard]] Expr cosh(const Operand& x);
[[nodiscard]] Expr tanh(const Operand& x);
[[nodiscard]] Expr erf(const Operand& x);
[[nodiscard]] Expr pow(const Operand& x, const Operand& y);
[[nodiscard]] Expr is_nan(const Operand& x);

/// The value in another dtype: integers wrap, floats round to nearest even, float to integer truncates and saturates (NaN gives
/// 0), to bool is != 0.
[[nodiscard]] Expr cast(DType dtype, const Operand& value);
/// Like cast, but integers and floats clamp to the range of `dtype`.
[[nodiscard]] Expr saturate_cast(DType dtype, const Operand& value);
/// The same bits in a dtype of the same width. Throws E0202 when the widths differ.
[[nodiscard]] Expr bitcast(DType dtype, const Operand& value);
/// `if_true` where `condition`, else `if_false`; the branch not taken is not evaluated.
[[nodiscard]] Expr select(const Operand& condition, const Operand& if_true, const Operand& if_false);
template <class... Rest>
requires(sizeof...(Rest) >= 2) [[nodiscard]] Expr select(const Operand& condition, const Operand& value,
                                                         const Operand& condition2, const Operand& value2, const Rest&... rest) {
    return select(condition, value, select(condition2, value2, rest...));
}
[[nodiscard]] inline Expr select(const Operand& c1, const Operand& v1, const Operand& c2, const Operand& v2,
                                 const Operand& otherwise) {
    return select(c1, v1, select(c2, v2, otherwise));
}
/// values[index], the last one for an index beyond, the first below 0.
[[nodiscard]] Expr mux(const Operand& index, const std::vector<Operand>& values);
/// The value of `value` with the derivative of `like`.
[[nodiscard]] Expr straight_through(const Operand& value, const Operand& like);
/// `value`, for which an error is measured while the kernel runs: E0713 unless error <= most (a NaN is not). All of one float
/// dtype.
[[nodiscard]] Expr checked(const Operand& value, const Operand& error, const Operand& most);

/// Random numbers: a pure function of a 64-bit seed and up to four integer keys (Philox4x32-10; Salmon et al. 2011, "Parallel
/// random numbers: as easy as 1, 2, 3"). uniform: f32 in [0, 1); normal: f32 by Box-Muller; random_bits: u32.
[[nodiscard]] Expr uniform(const Operand& seed, const std::vector<Operand>& keys);
[[nodiscard]] Expr normal(const Operand& seed, const std::vector<Operand>& keys);
[[nodiscard]] Expr random_bits(const Operand& seed, const std::vector<Operand>& keys);

}  // namespace tessera
