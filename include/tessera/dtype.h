#pragma once

#include <tessera/error.h>

#include <cstdint>
#include <string_view>

namespace tessera {

/// Element types. f16 is IEEE binary16, bf16 the upper half of binary32; f8e4m3 and f8e5m2 are the 8-bit floats of the OCP, whose
/// values <tessera/float8.h> says.
enum class DType : std::uint8_t { bool_, i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64, f8e4m3, f8e5m2 };
using enum DType;

/// "f32", "bool", …
[[nodiscard]] std::string_view dtype_name(DType dtype);
/// The dtype called `name`. Throws E0202 with the closest name.
[[nodiscard]] DType parse_dtype(std::string_view name);

[[nodiscard]] constexpr bool is_float(DType t) { return t >= DType::f16; }
[[nodiscard]] constexpr bool is_f8(DType t) { return t == DType::f8e4m3 || t == DType::f8e5m2; }
/// Floats that are stored in 8 or 16 bits: what is done to them is done in f32 and rounded.
[[nodiscard]] constexpr bool is_narrow_float(DType t) { return t == DType::f16 || t == DType::bf16 || is_f8(t); }
[[nodiscard]] constexpr bool is_unsigned(DType t) { return t >= DType::u8 && t <= DType::u64; }
[[nodiscard]] constexpr bool is_signed_integer(DType t) { return t >= DType::i8 && t <= DType::i64; }
[[nodiscard]] constexpr bool is_integer(DType t) { return is_unsigned(t) || is_signed_integer(t); }
[[nodiscard]] constexpr int dtype_bits(DType t) {
    switch (t) {
        case DType::bool_:
        case DType::i8:
        case DType::u8:
        case DType::f8e4m3:
        case DType::f8e5m2: return 8;
        case DType::i16:
        case DType::u16:
        case DType::f16:
        case DType::bf16: return 16;
        case DType::i32:
        case DType::u32:
        case DType::f32: return 32;
        default: return 64;
    }
}
/// Size of one element in bytes (a bool is one byte, 0 or 1).
[[nodiscard]] constexpr int dtype_bytes(DType t) { return dtype_bits(t) / 8; }

enum class Rounding : std::uint8_t { nearest_even };
enum class Denormals : std::uint8_t { preserve };

/// How the values of an Input or Func are kept and used: a read yields `compute`, reductions of a definition accumulate in
/// `accumulate`, the store rounds to `storage` (clamped to its range when `saturate`). Expanded into casts where it applies.
struct Numerics {
    DType storage = f32;
    DType compute = f32;
    DType accumulate = f32;
    Rounding rounding = Rounding::nearest_even;
    bool saturate = false;
    Denormals denormals = Denormals::preserve;
};

}  // namespace tessera
