#pragma once

#include <tessera/buffer.h>

#include "expr/op_table.h"

#include <bit>
#include <cstdint>
#include <type_traits>

namespace tessera::interpreter {

/// A value of any dtype: integers extended to 64 bits by their sign, bool as 0 or 1, floats as their own bits in the low end.
using Bits = std::uint64_t;

template <class T>
inline constexpr bool is_narrow =
    std::is_same_v<T, float16> || std::is_same_v<T, bfloat16> || std::is_same_v<T, float8_e4m3> || std::is_same_v<T, float8_e5m2>;
/// The C++ type in which an op computes: float for the narrow floats.
template <class T>
using Working = std::conditional_t<is_narrow<T>, float, T>;

template <class T>
[[nodiscard]] Bits to_bits(T value) {
    if constexpr (is_narrow<T>)
        return value.bits;
    else if constexpr (std::is_same_v<T, float>)
        return std::bit_cast<std::uint32_t>(value);
    else if constexpr (std::is_same_v<T, double>)
        return std::bit_cast<std::uint64_t>(value);
    else
        return static_cast<Bits>(value);
}
template <class T>
[[nodiscard]] T from_bits(Bits bits) {
    if constexpr (is_narrow<T>)
        return T::from_bits(static_cast<decltype(T::bits)>(bits));
    else if constexpr (std::is_same_v<T, float>)
        return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    else if constexpr (std::is_same_v<T, double>)
        return std::bit_cast<double>(bits);
    else
        return static_cast<T>(bits);
}

/// Calls visit(std::type_identity<T>{}) with the C++ type of `dtype`.
template <class Visit>
decltype(auto) with_type(DType dtype, Visit&& visit) {
    switch (dtype) {
        case DType::bool_: return visit(std::type_identity<bool>{});
        case DType::i8: return visit(std::type_identity<std::int8_t>{});
        case DType::i16: return visit(std::type_identity<std::int16_t>{});
        case DType::i32: return visit(std::type_identity<std::int32_t>{});
        case DType::i64: return visit(std::type_identity<std::int64_t>{});
        case DType::u8: return visit(std::type_identity<std::uint8_t>{});
        case DType::u16: return visit(std::type_identity<std::uint16_t>{});
        case DType::u32: return visit(std::type_identity<std::uint32_t>{});
        case DType::u64: return visit(std::type_identity<std::uint64_t>{});
        case DType::f16: return visit(std::type_identity<float16>{});
        case DType::bf16: return visit(std::type_identity<bfloat16>{});
        case DType::f8e4m3: return visit(std::type_identity<float8_e4m3>{});
        case DType::f8e5m2: return visit(std::type_identity<float8_e5m2>{});
        case DType::f32: return visit(std::type_identity<float>{});
        default: return visit(std::type_identity<double>{});
    }
}

using ScalarFunction = Bits (*)(const Bits* operands);
/// What a scalar op (all but select, and_ and or_, whose operands are not all evaluated) does to operands of dtype `operand`.
/// Floats: each op is IEEE in its dtype; a narrow one is computed in f32 and rounded (fma and mod too). mod is a -
/// b*floor(a/b), every step rounded. max(a, b) is (a > b or a is NaN) ? a : b, min mirrored. saturate_cast to a float clamps
/// infinities too.
[[nodiscard]] ScalarFunction scalar_function(Op op, DType operand, DType result);

using LoadFunction = Bits (*)(const void* memory, std::int64_t element);
using StoreFunction = void (*)(void* memory, std::int64_t element, Bits value);
[[nodiscard]] LoadFunction load_function(DType dtype);
[[nodiscard]] StoreFunction store_function(DType dtype);

/// The value of a constant node (integers as 64 bits, floats as the bits of an f64) in its dtype.
[[nodiscard]] Bits constant_value(DType dtype, std::uint64_t bits);
/// For messages: "-3", "1.5", "true".
[[nodiscard]] std::string value_text(DType dtype, Bits value);
[[nodiscard]] tessera_dtype buffer_dtype(DType dtype);

}  // namespace tessera::interpreter
