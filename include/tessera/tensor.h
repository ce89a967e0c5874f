#pragma once

#include <tessera/reduce.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tessera {

/// A whole tensor as a value: dims and the scalar at a point of them. Made from an Input, a Func, a literal (rank 0) or any
/// expression over listed dims. Arithmetic on Tensors builds expressions, not Funcs: ops::named() stores one as a Func.
class Tensor {
public:
    /// No tensor: an optional operand that is not there.
    Tensor() = default;
    Tensor(const Input& input, SourceLoc where = SourceLoc::current());
    /// Throws E0303 for a Func without definition, E0305 for a tuple-valued one.
    Tensor(const Func& func, SourceLoc where = SourceLoc::current());
    template <class T>
    requires std::is_arithmetic_v<T> Tensor(T value, SourceLoc where = SourceLoc::current())
        : Tensor(std::vector<Dim>{}, Operand(value, where)) {}
    explicit Tensor(const Scalar& scalar, SourceLoc where = SourceLoc::current());
    /// `value` over `dims`: Tensor({n, m}, A(m, n)) is a transpose. Throws E0103 for a free dim of `value` that is not listed,
    /// E0104 for one listed twice.
    Tensor(std::vector<Dim> dims, const Operand& value);

    [[nodiscard]] bool defined() const { return value_.defined(); }
    [[nodiscard]] const std::vector<Dim>& dims() const { return dims_; }
    [[nodiscard]] size_t rank() const { return dims_.size(); }
    [[nodiscard]] DType dtype() const { return value_.dtype(); }
    /// The value at the point of its own dims.
    [[nodiscard]] const Expr& value() const { return value_; }
    /// The value at `indices`. Throws E0301 when their number is not the rank.
    [[nodiscard]] Expr at(const std::vector<Index>& indices) const;
    /// For messages: the name of the Input or Func, else "an expression".
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] SourceLoc where() const { return where_; }
    /// The Input or Func itself, when the tensor is nothing more.
    [[nodiscard]] const std::optional<Input>& input() const { return input_; }
    [[nodiscard]] const std::optional<Func>& func() const { return func_; }

private:
    std::vector<Dim> dims_;
    Expr value_;
    std::string name_ = "an expression";
    SourceLoc where_;
    std::optional<Input> input_;
    std::optional<Func> func_;
};

/// Elementwise with NumPy broadcasting: dims are matched from the last one backwards; two match when they are one Dim, when their
/// extents are provably equal, or when one has the static extent 1. Missing leading dims are added. Throws E0313 naming both dims
/// and extents, and what the scalar operator throws (E0201 for two dtypes). Source: NumPy manual, "Broadcasting".
[[nodiscard]] Tensor operator+(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor operator-(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor operator*(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor operator/(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor operator%(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor operator<(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor operator<=(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor operator>(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor operator>=(const Tensor& a, const Tensor& b);
[[nodiscard]] Tensor operator-(const Tensor& a);

}  // namespace tessera
