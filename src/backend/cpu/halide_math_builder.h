#pragma once

#include "expr/philox.h"

#include <Halide.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>

namespace tessera::cpu {

/// Comparisons as values of which Halide's intervals know nothing. Those are of real numbers: x - x is 0 to them and x == x holds
/// whatever x is, and conditions that they decide leave the program. LLVM makes a plain comparison of it again.
class Comparison {
public:
    using E = Halide::Expr;
    static E less(const E& a, const E& b) { return unforeseen(a < b, a); }
    static E equal(const E& a, const E& b) { return unforeseen(a == b, a); }
    static E differ(const E& a, const E& b) { return unforeseen(a != b, a); }
    static E is_nan(const E& a) { return differ(a, a); }
    /// Halide's <= is "not above", which a NaN is.
    static E at_most(const E& a, const E& b) { return unforeseen(a.type().is_float() ? a < b || a == b : a <= b, a); }
    /// The condition as one of which they know nothing.
    static E hidden(const E& condition) {
        using Halide::Internal::Call;
        if (Halide::Internal::is_const(condition)) return condition;
        return Call::make(
            Halide::Bool(), Call::mux,
            {Halide::cast(Halide::UInt(8), condition), Halide::Internal::const_false(), Halide::Internal::const_true()},
            Call::PureIntrinsic);
    }

    /// Of a < b Halide 21 learns, where it has no bounds of a, that b is above its own least value: an `if` inside that asks for
    /// just that is dropped. Of max(a, c) < b and a < min(b, c) it learns a < b. Variables of `domain` that begin at constants
    /// have bounds.
    static bool is_misread(const E& condition, const Halide::RDom& domain) {
        const E simple = Halide::Internal::simplify(condition);
        if (!simple.as<Halide::Internal::LT>()) return false;
        std::set<std::string> known;
        for (int d = 0; domain.defined() && d < domain.dimensions(); ++d)
            if (Halide::Internal::is_const(domain[d].min())) known.insert(domain[d].name());
        if (is_between_variables(simple, known)) return true;
        // Of L + x < 2 x Halide finds in a later pass that it is L < x.
        Names names;
        simple.accept(&names);
        return std::any_of(names.found.begin(), names.found.end(), [&](const std::string& name) {
            return is_between_variables(Halide::Internal::simplify(Halide::Internal::solve_expression(simple, name).result),
                                        known);
        });
    }

private:
    struct Names : Halide::Internal::IRVisitor {
        std::set<std::string> found;
        using IRVisitor::visit;
        void visit(const Halide::Internal::Variable* v) override { found.insert(v->name); }
    };
    // Whether e is or has as an operand, of one `Extreme` after the other, a variable that `wanted` takes.
    template <class Extreme, class Wanted>
    static bool has_variable(const E& e, const Wanted& wanted) {
        if (const auto* both = e.as<Extreme>())
            return has_variable<Extreme>(both->a, wanted) || has_variable<Extreme>(both->b, wanted);
        const auto* v = e.as<Halide::Internal::Variable>();
        return v && wanted(*v);
    }
    static bool is_between_variables(const E& condition, const std::set<std::string>& known) {
        using Halide::Internal::Variable;
        const auto* less = condition.as<Halide::Internal::LT>();
        return less && less->a.type().is_int() &&
               has_variable<Halide::Internal::Max>(less->a, [&](const Variable& v) { return known.count(v.name) == 0; }) &&
               has_variable<Halide::Internal::Min>(less->b, [](const Variable& v) { return !v.param.defined(); });
    }
    static E unforeseen(const E& condition, const E& operand) {
        return operand.type().is_float() ? hidden(condition) : condition;
    }
};

/// The builder of expr/math_builder.h over Halide expressions. Exact under Target::StrictFloat, which every kernel is compiled
/// with; fma is LLVM's own.
template <int width>
struct HalideMathBuilder {
    using E = Halide::Expr;
    using Float = E;
    using Int = E;
    using Bool = E;
    static constexpr int bits = width;

    static Halide::Type real() { return Halide::Float(width); }
    static Halide::Type whole() { return Halide::Int(width); }
    static E unsigned_bits(const E& a) { return Halide::reinterpret(Halide::UInt(width), a); }
    static E signed_bits(const E& a) { return Halide::reinterpret(whole(), a); }

    E constant(double value) const { return Halide::Internal::make_const(real(), value); }
    E integer(std::int64_t value) const {
        return Halide::Internal::IntImm::make(whole(), width == 32 ? static_cast<std::int32_t>(value) : value);
    }
    E add(E a, E b) const { return a + b; }
    E sub(E a, E b) const { return a - b; }
    E mul(E a, E b) const { return a * b; }
    E div(E a, E b) const { return a / b; }
    E sqrt(E a) const { return Halide::sqrt(a); }
    E fma(E a, E b, E c) const {
        return Halide::Internal::Call::make(real(), width == 32 ? "llvm.fma.f32" : "llvm.fma.f64", {a, b, c},
                                            Halide::Internal::Call::PureExtern);
    }
    E abs(E a) const { return from_bits(to_bits(a) & integer(width == 32 ? 0x7fffffff : 0x7fffffffffffffff)); }
    E floor(E a) const { return Halide::floor(a); }
    E lt(E a, E b) const { return Comparison::less(a, b); }
    E le(E a, E b) const { return Comparison::at_most(a, b); }
    E eq(E a, E b) const { return Comparison::equal(a, b); }
    E ne(E a, E b) const { return Comparison::differ(a, b); }
    E both(E a, E b) const { return a && b; }
    E either(E a, E b) const { return a || b; }
    E negate(E a) const { return !a; }
    E select(E condition, E a, E b) const { return Halide::Internal::Select::make(condition, a, b); }
    E to_bits(E a) const { return Halide::reinterpret(whole(), a); }
    E from_bits(E a) const { return Halide::reinterpret(real(), a); }
    E int_add(E a, E b) const { return signed_bits(unsigned_bits(a) + unsigned_bits(b)); }
    E int_sub(E a, E b) const { return signed_bits(unsigned_bits(a) - unsigned_bits(b)); }
    E int_and(E a, E b) const { return a & b; }
    E int_or(E a, E b) const { return a | b; }
    E int_xor(E a, E b) const { return a ^ b; }
    E int_shl(E a, int by) const { return signed_bits(unsigned_bits(a) << by); }
    E int_shr(E a, int by) const { return signed_bits(unsigned_bits(a) >> by); }
    E int_ne(E a, E b) const { return a != b; }
};

/// The random builder of expr/philox.h over Halide expressions.
class HalideRandomBuilder {
public:
    using E = Halide::Expr;
    using U32 = E;
    using I64 = E;
    using Real32 = HalideMathBuilder<32>;
    using Real64 = HalideMathBuilder<64>;

    Real32& real32() { return real32_; }
    Real64& real64() { return real64_; }
    E u32(std::uint32_t value) const { return Halide::Internal::UIntImm::make(Halide::UInt(32), value); }
    E u32_add(E a, E b) const { return a + b; }
    E u32_mul(E a, E b) const { return a * b; }
    E u32_xor(E a, E b) const { return a ^ b; }
    E u32_shr(E a, int by) const { return a >> by; }
    E mul_high(E a, E b) const {
        const Halide::Type wide = Halide::UInt(64);
        return Halide::cast(Halide::UInt(32), (Halide::cast(wide, a) * Halide::cast(wide, b)) >> 32);
    }
    E low_word(E a) const { return Halide::cast(Halide::UInt(32), a); }
    E high_word(E a) const { return Halide::cast(Halide::UInt(32), Halide::reinterpret(Halide::UInt(64), a) >> 32); }
    E to_f32(E a) const { return Halide::cast(Halide::Float(32), Halide::cast(Halide::Int(32), a)); }  // below 2^24
    E to_f64(E a) const { return Halide::cast(Halide::Float(64), a); }

private:
    Real32 real32_;
    Real64 real64_;
};

}  // namespace tessera::cpu
