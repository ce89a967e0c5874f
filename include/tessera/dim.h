#pragma once

#include <tessera/error.h>

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace tessera {

struct ExprNode;
struct DimState;
class Scalar;
class Dim;

template <class T>
concept IntegerLiteral = std::integral<T> && !std::same_as<T, bool>;

/// A number of elements: an integer, the extent of a Dim, an integer Scalar, or their + - * / % (floor division). Dims and Exprs
/// do not convert to it.
class Extent {
public:
    template <IntegerLiteral T>
    Extent(T value) : Extent(static_cast<std::int64_t>(value), nullptr) {}
    /// The value of an integer Scalar, known at entry. Throws E0204 for another dtype.
    Extent(const Scalar& scalar);
    explicit Extent(std::shared_ptr<const ExprNode> node) : node_(std::move(node)) {}
    [[nodiscard]] const std::shared_ptr<const ExprNode>& node() const { return node_; }
    [[nodiscard]] std::optional<std::int64_t> constant() const;

private:
    Extent(std::int64_t value, std::nullptr_t);
    std::shared_ptr<const ExprNode> node_;
};
[[nodiscard]] Extent operator+(const Extent& a, const Extent& b);
[[nodiscard]] Extent operator-(const Extent& a, const Extent& b);
[[nodiscard]] Extent operator*(const Extent& a, const Extent& b);
[[nodiscard]] Extent operator/(const Extent& a, const Extent& b);
[[nodiscard]] Extent operator%(const Extent& a, const Extent& b);

/// A named dimension. Its extent is symbolic (bound at entry by the buffers that have it), static (`Dim k("k", 64)`), derived
/// from other extents, or dynamic ("?", not even named in messages about equality). In an expression a Dim is the index.
/// Handles share state; two Dims are the same when their id() is.
class Dim {
public:
    explicit Dim(std::string name, SourceLoc where = SourceLoc::current());
    Dim(std::string name, Extent extent, SourceLoc where = SourceLoc::current());
    [[nodiscard]] static Dim dynamic(std::string name, SourceLoc where = SourceLoc::current());

    /// Promise, checked at entry: the extent is a multiple of `factor` (>= 1) / at most `bound` (>= 0). E0105 otherwise.
    Dim& multiple_of(std::int64_t factor) &;
    Dim multiple_of(std::int64_t factor) &&;
    Dim& at_most(std::int64_t bound) &;
    Dim at_most(std::int64_t bound) &&;

    [[nodiscard]] const std::string& name() const;
    [[nodiscard]] Extent extent() const;
    /// Identity: equal for handles of one Dim, different for two Dims of one name.
    [[nodiscard]] const void* id() const { return state_.get(); }
    [[nodiscard]] bool is_pack() const;
    [[nodiscard]] const DimState& state() const { return *state_; }
    [[nodiscard]] const std::shared_ptr<DimState>& shared() const { return state_; }
    explicit Dim(std::shared_ptr<DimState> state) : state_(std::move(state)) {}

    struct Order {
        bool operator()(const Dim& a, const Dim& b) const { return a.id() < b.id(); }
    };

private:
    std::shared_ptr<DimState> state_;
};

}  // namespace tessera
