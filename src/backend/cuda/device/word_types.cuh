#pragma once
// The types of emitted kernels.

namespace tsr {

/// any | type | - | Integers by width.
using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using i8 = signed char;
using i16 = short;
using i32 = int;
using i64 = long long;

/// any | type | - | A bf16 as its bits.
struct bf16 {
    u16 x;
};

/// any | type | - | An IEEE binary16 as its bits.
struct f16 {
    u16 x;
};

/// any | type | - | An 8-bit float with 4 exponent bits, largest 448, no infinity, as its bits.
struct e4m3 {
    u8 x;
};

/// any | type | - | An 8-bit float with 5 exponent bits, largest 57344, as its bits.
struct e5m2 {
    u8 x;
};

/// any | type | - | n elements that are loaded and stored together, aligned to their size.
template <class T, int n>
struct alignas(sizeof(T) * n) Vec {
    T v[n];
};

/// any | type | - | A tensor map as the driver encodes it (CUtensorMap).
struct alignas(64) TensorMap {
    u64 opaque[16];
};

}  // namespace tsr
