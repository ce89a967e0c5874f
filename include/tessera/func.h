#pragma once

#include <tessera/expr.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tessera {

struct InputState;
struct FuncState;
class Input;
class Func;

/// Several scalar values of one definition.
class Tuple {
public:
    Tuple(std::initializer_list<Operand> values) : values_(values) {}
    explicit Tuple(const std::vector<Expr>& values) : values_(values.begin(), values.end()) {}
    [[nodiscard]] size_t size() const { return values_.size(); }
    [[nodiscard]] Expr operator[](size_t i) const { return values_.at(i).expr; }
    [[nodiscard]] const std::vector<Operand>& values() const { return values_; }

private:
    std::vector<Operand> values_;
};

/// How an access outside [0, extent) of a dim is served.
enum class Boundary : std::uint8_t { none, clamp, mirror, mirror_interior, periodic, constant };

/// An Input or Func whose reads outside its dims' extents are defined by a boundary condition. For a Func the extents are those
/// of its left-hand dims.
class Bounded {
public:
    Bounded(const Input& input, Boundary mode, Expr outside);
    Bounded(const Func& func, Boundary mode, Expr outside);
    [[nodiscard]] Expr operator()(const Index& a) const { return at({a}, a.where); }
    [[nodiscard]] Expr operator()(const Index& a, const Index& b) const { return at({a, b}, a.where); }
    [[nodiscard]] Expr operator()(const Index& a, const Index& b, const Index& c) const { return at({a, b, c}, a.where); }
    [[nodiscard]] Expr operator()(const Index& a, const Index& b, const Index& c, const Index& d) const {
        return at({a, b, c, d}, a.where);
    }
    [[nodiscard]] Expr at(const std::vector<Index>& indices, SourceLoc where = SourceLoc::current()) const;

private:
    std::shared_ptr<const InputState> input_;
    std::shared_ptr<FuncState> func_;
    Boundary mode_;
    Expr outside_;
};

/// The nearest element inside.
[[nodiscard]] Bounded clamp(const Input& input);
[[nodiscard]] Bounded clamp(const Func& func);
/// Reflection that repeats the edge: … 1 0 0 1 … (breaks the parity of Bayer mosaics; mirror_interior keeps it).
[[nodiscard]] Bounded mirror(const Input& input);
[[nodiscard]] Bounded mirror(const Func& func);
/// Reflection about the edge element: … 2 1 0 1 2 …
[[nodiscard]] Bounded mirror_interior(const Input& input);
[[nodiscard]] Bounded mirror_interior(const Func& func);
[[nodiscard]] Bounded periodic(const Input& input);
[[nodiscard]] Bounded periodic(const Func& func);
/// `value` outside; weakly typed literals take the dtype of what is read.
[[nodiscard]] Bounded constant(const Input& input, const Operand& value);
[[nodiscard]] Bounded constant(const Func& func, const Operand& value);

/// A tensor parameter. Row-major: the last dim is contiguous. Reading it gives `dtype`, or `numerics.compute`.
class Input {
public:
    Input(std::string name, DType dtype, std::vector<Dim> dims, SourceLoc where = SourceLoc::current());
    Input(std::string name, Numerics numerics, std::vector<Dim> dims, SourceLoc where = SourceLoc::current());
    explicit Input(std::shared_ptr<InputState> state) : state_(std::move(state)) {}

    /// Promise, checked at entry: every value v has low <= v < high. Integer inputs only (E0204).
    Input& values_in(const Extent& low, const Extent& high) &;
    Input values_in(const Extent& low, const Extent& high) &&;
    /// Promise, checked at entry: values do not decrease along the last dim.
    Input& increasing() &;
    Input increasing() &&;

    [[nodiscard]] const std::string& name() const;
    [[nodiscard]] DType dtype() const;
    [[nodiscard]] const std::vector<Dim>& dims() const;
    [[nodiscard]] size_t rank() const { return dims().size(); }

    [[nodiscard]] Expr operator()(SourceLoc where = SourceLoc::current()) const;
    [[nodiscard]] Expr operator()(const Index& a) const { return at({a}, a.where); }
    [[nodiscard]] Expr operator()(const Index& a, const Index& b) const { return at({a, b}, a.where); }
    [[nodiscard]] Expr operator()(const Index& a, const Index& b, const Index& c) const { return at({a, b, c}, a.where); }
    [[nodiscard]] Expr operator()(const Index& a, const Index& b, const Index& c, const Index& d) const {
        return at({a, b, c, d}, a.where);
    }
    [[nodiscard]] Expr operator()(const Index& a, const Index& b, const Index& c, const Index& d, const Index& e) const {
        return at({a, b, c, d, e}, a.where);
    }
    [[nodiscard]] Expr operator()(const Index& a, const Index& b, const Index& c, const Index& d, const Index& e,
                                  const Index& f) const {
        return at({a, b, c, d, e, f}, a.where);
    }
    [[nodiscard]] Expr at(const std::vector<Index>& indices, SourceLoc where = SourceLoc::current()) const;

    [[nodiscard]] const std::shared_ptr<InputState>& state() const { return state_; }

private:
    std::shared_ptr<InputState> state_;
};

/// A 0-d parameter passed by value. An integer Scalar may stand in extents; bounds make it provable.
class Scalar {
public:
    Scalar(std::string name, DType dtype, SourceLoc where = SourceLoc::current());
    explicit Scalar(std::shared_ptr<InputState> state) : state_(std::move(state)) {}
    /// Promise, checked at entry: low <= value < high. Integers only (E0204).
    Scalar& values_in(const Extent& low, const Extent& high) &;
    Scalar values_in(const Extent& low, const Extent& high) &&;
    [[nodiscard]] const std::string& name() const;
    [[nodiscard]] DType dtype() const;
    [[nodiscard]] const std::shared_ptr<InputState>& state() const { return state_; }

private:
    std::shared_ptr<InputState> state_;
};

/// `f(i, j)`: on the left of = the definition of f, elsewhere a read of it.
class FuncRef {
public:
    FuncRef(std::shared_ptr<FuncState> func, std::vector<Index> indices, SourceLoc where)
        : func_(std::move(func)), indices_(std::move(indices)), where_(where) {}
    void operator=(const Operand& value) &&;
    void operator=(const Expr& value) &&;
    void operator=(const Tuple& values) &&;
    void operator=(const FuncRef& value) &&;
    FuncRef(const FuncRef&) = default;
    /// Component `i` of a tuple-valued Func's value here.
    [[nodiscard]] Expr operator[](int i) const;
    /// The value read. Throws E0305 when the Func is tuple-valued with more than one component.
    [[nodiscard]] Expr read() const;
    [[nodiscard]] const std::shared_ptr<FuncState>& func() const { return func_; }
    [[nodiscard]] const std::vector<Index>& indices() const { return indices_; }
    [[nodiscard]] SourceLoc where() const { return where_; }

private:
    std::shared_ptr<FuncState> func_;
    std::vector<Index> indices_;
    SourceLoc where_;
};

/// A handle to a named pure definition over all integers; written once.
class Func {
public:
    explicit Func(std::string name, SourceLoc where = SourceLoc::current());
    /// Declares the dtype of the definition: another one is E0205.
    Func(std::string name, DType dtype, SourceLoc where = SourceLoc::current());
    /// The definition's value is stored in numerics.storage, reads yield numerics.compute.
    Func(std::string name, Numerics numerics, SourceLoc where = SourceLoc::current());
    explicit Func(std::shared_ptr<FuncState> state) : state_(std::move(state)) {}

    [[nodiscard]] const std::string& name() const;
    [[nodiscard]] bool defined() const;
    /// Dims of the left-hand side, dtype(s) of the values. E0303 before the definition.
    [[nodiscard]] const std::vector<Dim>& dims() const;
    [[nodiscard]] DType dtype(int component = 0) const;
    [[nodiscard]] int components() const;
    [[nodiscard]] size_t rank() const { return dims().size(); }

    [[nodiscard]] FuncRef operator()(SourceLoc where = SourceLoc::current()) const { return at({}, where); }
    [[nodiscard]] FuncRef operator()(const Index& a) const { return at({a}, a.where); }
    [[nodiscard]] FuncRef operator()(const Index& a, const Index& b) const { return at({a, b}, a.where); }
    [[nodiscard]] FuncRef operator()(const Index& a, const Index& b, const Index& c) const { return at({a, b, c}, a.where); }
    [[nodiscard]] FuncRef operator()(const Index& a, const Index& b, const Index& c, const Index& d) const {
        return at({a, b, c, d}, a.where);
    }
    [[nodiscard]] FuncRef operator()(const Index& a, const Index& b, const Index& c, const Index& d, const Index& e) const {
        return at({a, b, c, d, e}, a.where);
    }
    [[nodiscard]] FuncRef operator()(const Index& a, const Index& b, const Index& c, const Index& d, const Index& e,
                                     const Index& f) const {
        return at({a, b, c, d, e, f}, a.where);
    }
    [[nodiscard]] FuncRef at(const std::vector<Index>& indices, SourceLoc where = SourceLoc::current()) const {
        return {state_, indices, where};
    }

    [[nodiscard]] const std::shared_ptr<FuncState>& state() const { return state_; }

private:
    std::shared_ptr<FuncState> state_;
};

}  // namespace tessera
