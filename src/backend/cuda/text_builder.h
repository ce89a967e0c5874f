#pragma once
// Builders (expr/math_builder.h, expr/philox.h) whose values are C++ text: a definition evaluated with them is the body of a
// device function.
#include <cstdint>
#include <string>
#include <vector>

#include "expr/philox.h"

namespace tessera::cuda {

/// The operations of one function in the order in which they were asked for.
class TextRecorder {
public:
    struct Value {
        std::string type;                  // empty: a literal or a parameter
        std::vector<std::string> between;  // text around the operands: between[0] operand[0] between[1] ...
        std::vector<int> operands;
        bool is_call;  // needs no parentheses inside another expression
    };

    int literal(std::string text);
    /// "{0}" in the pattern is operand 0. Each operand stands once or more.
    int operation(std::string type, std::string_view pattern, std::vector<int> operands);

    /// "    const float v3 = ...;\n...    return v7;\n". What is used once and is short stands in its place.
    [[nodiscard]] std::string body(int result) const;

private:
    std::vector<Value> values_;
};

template <int width>
class TextBuilder {
public:
    struct Float {
        int value;
    };
    struct Int {
        int value;
    };
    struct Bool {
        int value;
    };
    static constexpr int bits = width;

    explicit TextBuilder(TextRecorder& recorder) : recorder_(&recorder) {}
    Float constant(double value) { return {recorder_->literal(float_literal(value))}; }
    Int integer(std::int64_t value) { return {recorder_->literal(integer_literal(value))}; }
    Float add(Float a, Float b) { return number("add_rn({0}, {1})", a, b); }
    Float sub(Float a, Float b) { return number("sub_rn({0}, {1})", a, b); }
    Float mul(Float a, Float b) { return number("mul_rn({0}, {1})", a, b); }
    Float div(Float a, Float b) { return number("div_rn({0}, {1})", a, b); }
    Float sqrt(Float a) { return number("sqrt_rn({0})", a); }
    Float fma(Float a, Float b, Float c) { return number("fma_rn({0}, {1}, {2})", a, b, c); }
    Float abs(Float a) { return number("abs_of({0})", a); }
    Float floor(Float a) { return number("floor_of({0})", a); }
    Bool lt(Float a, Float b) { return truth("{0} < {1}", a, b); }
    Bool le(Float a, Float b) { return truth("{0} <= {1}", a, b); }
    Bool eq(Float a, Float b) { return truth("{0} == {1}", a, b); }
    Bool ne(Float a, Float b) { return truth("{0} != {1}", a, b); }
    Bool both(Bool a, Bool b) { return truth("{0} && {1}", a, b); }
    Bool either(Bool a, Bool b) { return truth("{0} || {1}", a, b); }
    Bool negate(Bool a) { return truth("!{0}", a); }
    Float select(Bool c, Float a, Float b) { return number("{0} ? {1} : {2}", c, a, b); }
    Int select(Bool c, Int a, Int b) { return whole("{0} ? {1} : {2}", c, a, b); }
    Int to_bits(Float a) { return whole("bits_of({0})", a); }
    Float from_bits(Int a) { return number("float_of({0})", a); }
    Int int_add(Int a, Int b) { return whole("add_wrap({0}, {1})", a, b); }
    Int int_sub(Int a, Int b) { return whole("sub_wrap({0}, {1})", a, b); }
    Int int_and(Int a, Int b) { return whole("{0} & {1}", a, b); }
    Int int_or(Int a, Int b) { return whole("{0} | {1}", a, b); }
    Int int_xor(Int a, Int b) { return whole("{0} ^ {1}", a, b); }
    Int int_shl(Int a, int by) { return shifted("<<", a, by); }
    Int int_shr(Int a, int by) { return shifted(">>", a, by); }
    Bool int_ne(Int a, Int b) { return truth("{0} != {1}", a, b); }

private:
    static constexpr const char* float_type = width == 32 ? "float" : "double";
    static constexpr const char* int_type = width == 32 ? "i32" : "i64";

    template <class... Operands>
    Float number(std::string_view pattern, Operands... operands) {
        return {recorder_->operation(float_type, pattern, {operands.value...})};
    }
    template <class... Operands>
    Int whole(std::string_view pattern, Operands... operands) {
        return {recorder_->operation(int_type, pattern, {operands.value...})};
    }
    template <class... Operands>
    Bool truth(std::string_view pattern, Operands... operands) {
        return {recorder_->operation("bool", pattern, {operands.value...})};
    }
    Int shifted(const char* by_operator, Int a, int by);
    static std::string float_literal(double value);
    static std::string integer_literal(std::int64_t value);

    TextRecorder* recorder_;
};

class TextRandomBuilder {
public:
    struct U32 {
        int value;
    };
    struct I64 {
        int value;
    };
    using Real32 = TextBuilder<32>;
    using Real64 = TextBuilder<64>;

    explicit TextRandomBuilder(TextRecorder& recorder) : recorder_(&recorder), real32_(recorder), real64_(recorder) {}
    Real32& real32() { return real32_; }
    Real64& real64() { return real64_; }
    U32 u32(std::uint32_t value) { return {recorder_->literal(std::to_string(value) + "u")}; }
    U32 u32_add(U32 a, U32 b) { return word("{0} + {1}", a, b); }
    U32 u32_mul(U32 a, U32 b) { return word("{0} * {1}", a, b); }
    U32 u32_xor(U32 a, U32 b) { return word("{0} ^ {1}", a, b); }
    U32 u32_shr(U32 a, int by) { return word("{0} >> " + std::to_string(by), a); }
    U32 mul_high(U32 a, U32 b) { return word("static_cast<u32>(static_cast<u64>({0}) * {1} >> 32)", a, b); }
    U32 low_word(I64 a) { return word("static_cast<u32>({0})", a); }
    U32 high_word(I64 a) { return word("static_cast<u32>(static_cast<u64>({0}) >> 32)", a); }
    Real32::Float to_f32(U32 a) { return {recorder_->operation("float", "static_cast<float>({0})", {a.value})}; }
    Real64::Float to_f64(U32 a) { return {recorder_->operation("double", "static_cast<double>({0})", {a.value})}; }

private:
    template <class... Operands>
    U32 word(std::string_view pattern, Operands... operands) {
        return {recorder_->operation("u32", pattern, {operands.value...})};
    }

    TextRecorder* recorder_;
    Real32 real32_;
    Real64 real64_;
};

}  // namespace tessera::cuda
