#pragma once
// Scalar operations whose meaning C++ leaves open or defines otherwise, as Tessera defines them.

#include "backend/cuda/device/word_types.cuh"

namespace tsr {

/// any | thread | - | The unsigned type of a width, and whether a type has a sign.
template <class T>
struct Traits;
template <>
struct Traits<i8> {
    using Unsigned = u8;
    static constexpr bool is_signed = true;
};
template <>
struct Traits<i16> {
    using Unsigned = u16;
    static constexpr bool is_signed = true;
};
template <>
struct Traits<i32> {
    using Unsigned = u32;
    static constexpr bool is_signed = true;
};
template <>
struct Traits<i64> {
    using Unsigned = u64;
    static constexpr bool is_signed = true;
};
template <>
struct Traits<u8> {
    using Unsigned = u8;
    static constexpr bool is_signed = false;
};
template <>
struct Traits<u16> {
    using Unsigned = u16;
    static constexpr bool is_signed = false;
};
template <>
struct Traits<u32> {
    using Unsigned = u32;
    static constexpr bool is_signed = false;
};
template <>
struct Traits<u64> {
    using Unsigned = u64;
    static constexpr bool is_signed = false;
};

/// any | thread | - | The largest value of an integer type.
template <class T>
TSR_DEV constexpr T highest() {
    using U = typename Traits<T>::Unsigned;
    if constexpr (Traits<T>::is_signed)
        return static_cast<T>(static_cast<U>(static_cast<U>(~U{0}) >> 1));
    else
        return static_cast<T>(~U{0});
}

/// any | thread | - | The smallest value of an integer type.
template <class T>
TSR_DEV constexpr T lowest() {
    if constexpr (Traits<T>::is_signed)
        return static_cast<T>(-highest<T>() - 1);
    else
        return T{0};
}

/// any | thread | - | a + b, wrapping.
template <class T>
TSR_DEV T add_wrap(T a, T b) {
    return static_cast<T>(static_cast<u64>(a) + static_cast<u64>(b));
}

/// any | thread | - | a - b, wrapping.
template <class T>
TSR_DEV T sub_wrap(T a, T b) {
    return static_cast<T>(static_cast<u64>(a) - static_cast<u64>(b));
}

/// any | thread | - | a * b, wrapping.
template <class T>
TSR_DEV T mul_wrap(T a, T b) {
    return static_cast<T>(static_cast<u64>(a) * static_cast<u64>(b));
}

/// any | thread | - | -a, wrapping.
template <class T>
TSR_DEV T neg_wrap(T a) {
    return static_cast<T>(u64{0} - static_cast<u64>(a));
}

/// any | thread | - | a / b rounded down; 0 where b is 0.
template <class T>
TSR_DEV T div_floor(T a, T b) {
    if (b == 0) return T{0};
    if constexpr (Traits<T>::is_signed) {
        if (b == -1) return neg_wrap(a);
        const T quotient = static_cast<T>(a / b);
        return a % b != 0 && (a < 0) != (b < 0) ? static_cast<T>(quotient - 1) : quotient;
    } else {
        return static_cast<T>(a / b);
    }
}

/// any | thread | - | a - b * div_floor(a, b); 0 where b is 0.
template <class T>
TSR_DEV T mod_floor(T a, T b) {
    return b == 0 ? T{0} : sub_wrap(a, mul_wrap(b, div_floor(a, b)));
}

/// any | thread | - | Whether a shift amount is negative or not below the width of its type.
template <class T>
TSR_DEV bool beyond_width(T by) {
    return static_cast<u64>(by) >= 8 * sizeof(T);
}

/// any | thread | - | a << by; 0 where `by` is outside the width.
template <class T>
TSR_DEV T shift_left(T a, T by) {
    return beyond_width(by) ? T{0} : static_cast<T>(static_cast<u64>(a) << by);
}

/// any | thread | - | a >> by, arithmetic for signed types; all sign bits where `by` is outside the width.
template <class T>
TSR_DEV T shift_right(T a, T by) {
    if (!beyond_width(by)) return static_cast<T>(a >> by);
    if constexpr (Traits<T>::is_signed)
        return static_cast<T>(a >> (8 * static_cast<int>(sizeof(T)) - 1));
    else
        return T{0};
}

/// any | thread | - | |a| of an integer, wrapping.
template <class T>
TSR_DEV T abs_wrap(T a) {
    if constexpr (Traits<T>::is_signed)
        return a < 0 ? neg_wrap(a) : a;
    else
        return a;
}

/// any | thread | - | The smaller; a where a is a NaN, and b where b is.
template <class T>
TSR_DEV T min_of(T a, T b) {
    return a < b || a != a ? a : b;
}

/// any | thread | - | The larger; a where a is a NaN, and b where b is.
template <class T>
TSR_DEV T max_of(T a, T b) {
    return a > b || a != a ? a : b;
}

/// any | thread | - | A float toward zero as an integer, clamped to the type's range; 0 for a NaN.
template <class To, class From>
TSR_DEV To to_integer(From x) {
    if (x != x) return To{0};
    const From end = static_cast<From>(static_cast<u64>(highest<To>() / 2 + 1)) * 2;
    if (x >= end) return highest<To>();
    if constexpr (Traits<To>::is_signed) {
        if (x <= -end) return lowest<To>();
    } else {
        if (x <= 0) return To{0};
    }
    return static_cast<To>(x);
}

/// any | thread | - | An integer clamped to another type's range.
template <class To, class From>
TSR_DEV To clamp_integer(From x) {
    if constexpr (Traits<From>::is_signed) {
        if (x < 0) {
            if constexpr (Traits<To>::is_signed)
                return static_cast<i64>(x) < static_cast<i64>(lowest<To>()) ? lowest<To>() : static_cast<To>(x);
            else
                return To{0};
        }
    }
    return static_cast<u64>(x) > static_cast<u64>(highest<To>()) ? highest<To>() : static_cast<To>(x);
}

/// any | thread | - | A byte offset whose 16-byte chunk is exclusive-ored with the bits `mask` of the row, from bit `shift` on.
template <u32 shift, u32 mask>
TSR_DEV u32 swizzled(u32 offset) {
    return offset ^ (offset >> shift & mask) << 4;
}

/// any | thread | - | The f32, as its bits, of an 8-bit float with so many mantissa bits: 3 (e4m3) or 2 (e5m2). Exact.
template <int mantissa>
TSR_DEV constexpr u32 f8_to_f32_bits(u8 x) {
    const u32 sign = static_cast<u32>(x & 0x80) << 24, magnitude = x & 0x7fu;
    if (mantissa == 3 ? magnitude == 0x7f : magnitude > 0x7c) return 0x7fc00000u;
    if (mantissa == 2 && magnitude == 0x7c) return sign | 0x7f800000u;
    u32 exponent = magnitude >> mantissa, fraction = magnitude & ((1u << mantissa) - 1);
    if (exponent == 0) {
        if (fraction == 0) return sign;
        for (exponent = 1; (fraction >> mantissa) == 0; --exponent) fraction <<= 1;
        fraction &= (1u << mantissa) - 1;
    }
    const u32 bias = mantissa == 3 ? 120 : 112;
    return sign | ((exponent + bias) << 23) | (fraction << (23 - mantissa));
}

/// any | thread | - | The 8-bit float nearest to an f32 given by its bits. A NaN is 0x7f, e4m3 beyond 448 too; e5m2 is infinite.
template <int mantissa>
TSR_DEV constexpr u8 f32_bits_to_f8(u32 bits) {
    const u32 sign = (bits >> 24) & 0x80u, magnitude = bits & 0x7fffffffu;
    const u32 bias = mantissa == 3 ? 120 : 112, top = mantissa == 3 ? 0x7f : 0x7c;
    u32 code = 0;
    if (magnitude > 0x7f800000u) return 0x7f;
    if (magnitude >= (bias + 1) << 23) {
        const int cut = 23 - mantissa;
        code = ((magnitude + (1u << (cut - 1)) - 1 + ((magnitude >> cut) & 1u)) >> cut) - (bias << mantissa);
    } else {
        const u32 cut = 23 - mantissa + bias + 1 - (magnitude >> 23);
        const u32 significand = (magnitude & 0x7fffffu) | 0x800000u;
        if (cut <= 24) code = (significand + (1u << (cut - 1)) - 1 + ((significand >> cut) & 1u)) >> cut;
    }
    if (code > top) code = top;
    return static_cast<u8>(code == 0x7f ? code : sign | code);
}

}  // namespace tsr
