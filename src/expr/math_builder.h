#pragma once
// The vocabulary in which math_definitions.h and philox.h are written. A builder B turns each operation into a value:
// ScalarBuilder computes it at once with C++ scalars; an expression builder makes a node. Both must mean exactly the IEEE
// operation named here.
#include <bit>
#include <cmath>
#include <cstdint>

namespace tessera::math {

/// What a builder provides. Float is f32 or f64 (`bits` 32 or 64), Int the signed integer of the same width, Bool a truth value;
/// all are copied freely. Every operation is pure and evaluates all its operands.
///   constant(double) -> Float (exact in the working type), integer(int64) -> Int
///   add sub mul div sqrt fma(a, b, c) = a*b+c rounded once; every one IEEE, round to nearest even, subnormals kept
///   abs floor; lt le eq ne on Float (false with a NaN, ne true); both/either/negate on Bool
///   select(Bool, T, T) -> T for Float and Int
///   to_bits(Float) -> Int and from_bits(Int) -> Float reinterpret
///   int_add int_sub (wrapping) int_and int_or int_xor int_shl int_shr (shr fills with zeros; amounts are constants) int_ne
template <class T>
class ScalarBuilder;

template <class F, class I, class U>
class ScalarOperations {
public:
    using Float = F;
    using Int = I;
    using Bool = bool;
    static constexpr int bits = 8 * sizeof(F);

    F constant(double value) const { return static_cast<F>(value); }
    I integer(std::int64_t value) const { return static_cast<I>(value); }
    F add(F a, F b) const { return a + b; }
    F sub(F a, F b) const { return a - b; }
    F mul(F a, F b) const { return a * b; }
    F div(F a, F b) const { return a / b; }
    F sqrt(F a) const { return std::sqrt(a); }
    F fma(F a, F b, F c) const { return std::fma(a, b, c); }
    F abs(F a) const { return std::fabs(a); }
    F floor(F a) const { return std::floor(a); }
    bool lt(F a, F b) const { return a < b; }
    bool le(F a, F b) const { return a <= b; }
    bool eq(F a, F b) const { return a == b; }
    bool ne(F a, F b) const { return a != b; }
    bool both(bool a, bool b) const { return a & b; }
    bool either(bool a, bool b) const { return a | b; }
    bool negate(bool a) const { return !a; }
    F select(bool condition, F a, F b) const { return condition ? a : b; }
    I select(bool condition, I a, I b) const { return condition ? a : b; }
    I to_bits(F a) const { return std::bit_cast<I>(a); }
    F from_bits(I a) const { return std::bit_cast<F>(a); }
    I int_add(I a, I b) const { return static_cast<I>(static_cast<U>(a) + static_cast<U>(b)); }
    I int_sub(I a, I b) const { return static_cast<I>(static_cast<U>(a) - static_cast<U>(b)); }
    I int_and(I a, I b) const { return a & b; }
    I int_or(I a, I b) const { return a | b; }
    I int_xor(I a, I b) const { return a ^ b; }
    I int_shl(I a, int by) const { return static_cast<I>(static_cast<U>(a) << by); }
    I int_shr(I a, int by) const { return static_cast<I>(static_cast<U>(a) >> by); }
    bool int_ne(I a, I b) const { return a != b; }
};

template <>
class ScalarBuilder<float> : public ScalarOperations<float, std::int32_t, std::uint32_t> {};
template <>
class ScalarBuilder<double> : public ScalarOperations<double, std::int64_t, std::uint64_t> {};

/// A Float, Int or Bool of the builder with operators, so that definitions read as formulas.
template <class B>
struct Real {
    B* b;
    typename B::Float value;

    friend Real operator+(Real x, Real y) { return {x.b, x.b->add(x.value, y.value)}; }
    friend Real operator-(Real x, Real y) { return {x.b, x.b->sub(x.value, y.value)}; }
    friend Real operator*(Real x, Real y) { return {x.b, x.b->mul(x.value, y.value)}; }
    friend Real operator/(Real x, Real y) { return {x.b, x.b->div(x.value, y.value)}; }
    friend Real operator+(Real x, double c) { return x + x.constant(c); }
    friend Real operator+(double c, Real x) { return x.constant(c) + x; }
    friend Real operator-(Real x, double c) { return x - x.constant(c); }
    friend Real operator-(double c, Real x) { return x.constant(c) - x; }
    friend Real operator*(Real x, double c) { return x * x.constant(c); }
    friend Real operator/(double c, Real x) { return x.constant(c) / x; }
    Real constant(double c) const { return {b, b->constant(c)}; }
};

template <class B>
struct Truth {
    B* b;
    typename B::Bool value;

    friend Truth operator&(Truth x, Truth y) { return {x.b, x.b->both(x.value, y.value)}; }
    friend Truth operator|(Truth x, Truth y) { return {x.b, x.b->either(x.value, y.value)}; }
    friend Truth operator!(Truth x) { return {x.b, x.b->negate(x.value)}; }
};

template <class B>
struct Whole {
    B* b;
    typename B::Int value;

    friend Whole operator+(Whole x, Whole y) { return {x.b, x.b->int_add(x.value, y.value)}; }
    friend Whole operator-(Whole x, Whole y) { return {x.b, x.b->int_sub(x.value, y.value)}; }
    friend Whole operator^(Whole x, Whole y) { return {x.b, x.b->int_xor(x.value, y.value)}; }
    friend Whole operator|(Whole x, Whole y) { return {x.b, x.b->int_or(x.value, y.value)}; }
    friend Whole operator&(Whole x, Whole y) { return {x.b, x.b->int_and(x.value, y.value)}; }
    friend Whole operator+(Whole x, std::int64_t c) { return x + x.constant(c); }
    friend Whole operator&(Whole x, std::int64_t c) { return x & x.constant(c); }
    friend Whole operator|(Whole x, std::int64_t c) { return x | x.constant(c); }
    Whole constant(std::int64_t c) const { return {b, b->integer(c)}; }
    Whole shl(int by) const { return {b, b->int_shl(value, by)}; }
    Whole shr(int by) const { return {b, b->int_shr(value, by)}; }
    Truth<B> is_set() const { return {b, b->int_ne(value, b->integer(0))}; }
};

template <class B>
Truth<B> operator<(Real<B> x, Real<B> y) {
    return {x.b, x.b->lt(x.value, y.value)};
}
template <class B>
Truth<B> operator<(Real<B> x, double c) {
    return x < x.constant(c);
}
template <class B>
Truth<B> operator<(double c, Real<B> x) {
    return x.constant(c) < x;
}
template <class B>
Truth<B> operator<=(Real<B> x, double c) {
    return {x.b, x.b->le(x.value, x.b->constant(c))};
}
template <class B>
Truth<B> operator==(Real<B> x, Real<B> y) {
    return {x.b, x.b->eq(x.value, y.value)};
}
template <class B>
Truth<B> operator==(Real<B> x, double c) {
    return x == x.constant(c);
}
template <class B>
Truth<B> operator!=(Real<B> x, Real<B> y) {
    return {x.b, x.b->ne(x.value, y.value)};
}
template <class B>
Truth<B> operator!=(Real<B> x, double c) {
    return x != x.constant(c);
}

template <class B>
Real<B> fma(Real<B> x, Real<B> y, Real<B> z) {
    return {x.b, x.b->fma(x.value, y.value, z.value)};
}
template <class B>
Real<B> fma(Real<B> x, double y, Real<B> z) {
    return fma(x, x.constant(y), z);
}
template <class B>
Real<B> fma(Real<B> x, Real<B> y, double z) {
    return fma(x, y, x.constant(z));
}
template <class B>
Real<B> fma(Real<B> x, double y, double z) {
    return fma(x, x.constant(y), x.constant(z));
}
template <class B>
Real<B> abs(Real<B> x) {
    return {x.b, x.b->abs(x.value)};
}
template <class B>
Real<B> sqrt(Real<B> x) {
    return {x.b, x.b->sqrt(x.value)};
}
template <class B>
Real<B> floor(Real<B> x) {
    return {x.b, x.b->floor(x.value)};
}
template <class B>
Whole<B> to_bits(Real<B> x) {
    return {x.b, x.b->to_bits(x.value)};
}
template <class B>
Real<B> from_bits(Whole<B> x) {
    return {x.b, x.b->from_bits(x.value)};
}
template <class B>
Real<B> select(Truth<B> c, Real<B> x, Real<B> y) {
    return {c.b, c.b->select(c.value, x.value, y.value)};
}
template <class B>
Real<B> select(Truth<B> c, Real<B> x, double y) {
    return select(c, x, x.constant(y));
}
template <class B>
Real<B> select(Truth<B> c, double x, Real<B> y) {
    return select(c, y.constant(x), y);
}
template <class B>
Real<B> select(Truth<B> c, double x, double y) {
    return {c.b, c.b->select(c.value, c.b->constant(x), c.b->constant(y))};
}

}  // namespace tessera::math
