#pragma once
// IEEE arithmetic that no compiler flag changes, conversions of the narrow floats, and the fast approximations of the hardware.

namespace tsr {

/// sm_80 | thread | add.rn | a + b, never contracted.
TSR_DEV float add_rn(float a, float b) { return __fadd_rn(a, b); }
TSR_DEV double add_rn(double a, double b) { return __dadd_rn(a, b); }

/// sm_80 | thread | sub.rn | a - b, never contracted.
TSR_DEV float sub_rn(float a, float b) { return __fsub_rn(a, b); }
TSR_DEV double sub_rn(double a, double b) { return __dsub_rn(a, b); }

/// sm_80 | thread | mul.rn | a * b, never contracted.
TSR_DEV float mul_rn(float a, float b) { return __fmul_rn(a, b); }
TSR_DEV double mul_rn(double a, double b) { return __dmul_rn(a, b); }

/// sm_80 | thread | div.rn | a / b, rounded to nearest.
TSR_DEV float div_rn(float a, float b) { return __fdiv_rn(a, b); }
TSR_DEV double div_rn(double a, double b) { return __ddiv_rn(a, b); }

/// sm_80 | thread | fma.rn | a * b + c, rounded once.
TSR_DEV float fma_rn(float a, float b, float c) { return __fmaf_rn(a, b, c); }
TSR_DEV double fma_rn(double a, double b, double c) { return __fma_rn(a, b, c); }

/// sm_80 | thread | sqrt.rn | The square root, rounded to nearest.
TSR_DEV float sqrt_rn(float a) { return __fsqrt_rn(a); }
TSR_DEV double sqrt_rn(double a) { return __dsqrt_rn(a); }

/// sm_80 | thread | abs | |a|.
TSR_DEV float abs_of(float a) { return fabsf(a); }
TSR_DEV double abs_of(double a) { return fabs(a); }

/// sm_80 | thread | cvt.rmi | The largest whole number that is not above a.
TSR_DEV float floor_of(float a) { return floorf(a); }
TSR_DEV double floor_of(double a) { return floor(a); }

/// sm_80 | thread | cvt.rpi | The smallest whole number that is not below a.
TSR_DEV float ceil_of(float a) { return ceilf(a); }
TSR_DEV double ceil_of(double a) { return ceil(a); }

/// sm_80 | thread | cvt.rzi | a without its fraction.
TSR_DEV float trunc_of(float a) { return truncf(a); }
TSR_DEV double trunc_of(double a) { return trunc(a); }

/// sm_80 | thread | cvt.rni | The nearest whole number, ties to even.
TSR_DEV float round_of(float a) { return rintf(a); }
TSR_DEV double round_of(double a) { return rint(a); }

/// sm_80 | thread | mov | The bits of a float.
TSR_DEV i32 bits_of(float a) { return __float_as_int(a); }
TSR_DEV i64 bits_of(double a) { return __double_as_longlong(a); }

/// sm_80 | thread | mov | The float with these bits.
TSR_DEV float float_of(i32 a) { return __int_as_float(a); }
TSR_DEV double float_of(i64 a) { return __longlong_as_double(a); }

/// sm_80 | thread | - | a - b * floor(a / b).
TSR_DEV float mod_floor_of(float a, float b) { return sub_rn(a, mul_rn(b, floor_of(div_rn(a, b)))); }
TSR_DEV double mod_floor_of(double a, double b) { return sub_rn(a, mul_rn(b, floor_of(div_rn(a, b)))); }

/// sm_80 | thread | cvt.rn.bf16.f32 | Rounds to nearest even; a NaN becomes 0x7fff.
TSR_DEV bf16 f32_to_bf16(float a) {
    u16 r;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(a));
    return {r};
}

/// sm_80 | thread | - | Exact.
TSR_DEV float bf16_to_f32(bf16 a) { return float_of(static_cast<i32>(static_cast<u32>(a.x) << 16)); }

/// sm_80 | thread | cvt.rn.bf16x2.f32 | Two bf16 in a register, `low` in the low half.
TSR_DEV u32 pack_bf16x2(float low, float high) {
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

/// sm_80 | thread | cvt.rn.f16.f32 | Rounds to nearest even, beyond the range infinite; a NaN becomes 0x7fff.
TSR_DEV f16 f32_to_f16(float a) {
    u16 r;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(a));
    return {r};
}

/// sm_80 | thread | cvt.f32.f16 | Exact.
TSR_DEV float f16_to_f32(f16 a) {
    float r;
    asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(a.x));
    return r;
}

/// sm_80 | thread | cvt.rn.f16x2.f32 | Two f16 in a register, `low` in the low half.
TSR_DEV u32 pack_f16x2(float low, float high) {
    u32 r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

/// sm_80 | thread | cvt.rna.tf32.f32 | A float with 10 mantissa bits, ties away from zero, as the bits that mma takes.
TSR_DEV u32 f32_to_tf32(float a) {
    u32 r;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(a));
    return r;
}

/// sm_89 | thread | cvt.rn.satfinite.e4m3x2.f32 | Two e4m3, `low` in the low byte; beyond the range the largest; a NaN 0x7f.
TSR_DEV u16 pack_e4m3x2(float low, float high) {
    u16 r;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(r) : "f"(high), "f"(low));
    return r;
}

/// sm_89 | thread | cvt.rn.satfinite.e5m2x2.f32 | Two e5m2, `low` in the low byte; beyond the range the largest; a NaN 0x7f.
TSR_DEV u16 pack_e5m2x2(float low, float high) {
    u16 r;
    asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(r) : "f"(high), "f"(low));
    return r;
}

/// sm_89 | thread | cvt.rn.f16x2.e4m3x2 | Two e4m3 as two f16, exact.
TSR_DEV u32 e4m3x2_to_f16x2(u16 a) {
    u32 r;
    asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(r) : "h"(a));
    return r;
}

/// sm_89 | thread | cvt.rn.f16x2.e5m2x2 | Two e5m2 as two f16, exact.
TSR_DEV u32 e5m2x2_to_f16x2(u16 a) {
    u32 r;
    asm("cvt.rn.f16x2.e5m2x2 %0, %1;" : "=r"(r) : "h"(a));
    return r;
}

/// sm_80 | thread | max.f32 | The larger one; of a NaN and a number the number.
TSR_DEV float max_number(float a, float b) { return fmaxf(a, b); }

/// sm_80 | thread | min.f32 | The smaller one; of a NaN and a number the number.
TSR_DEV float min_number(float a, float b) { return fminf(a, b); }

/// sm_80 | thread | ex2.approx.ftz.f32 | 2^a, relative error at most 2^-22.
TSR_DEV float exp2_approx(float a) {
    float r;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(a));
    return r;
}

/// sm_80 | thread | lg2.approx.ftz.f32 | log2(a), error at most 2^-22 relative, or absolute for a in [0.5, 2].
TSR_DEV float log2_approx(float a) {
    float r;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(a));
    return r;
}

/// sm_80 | thread | rcp.approx.ftz.f32 | 1 / a, at most 1 ulp off.
TSR_DEV float rcp_approx(float a) {
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(a));
    return r;
}

/// sm_80 | thread | rsqrt.approx.ftz.f32 | 1 / sqrt(a), relative error at most 2^-22.
TSR_DEV float rsqrt_approx(float a) {
    float r;
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(a));
    return r;
}

/// sm_80 | thread | tanh.approx.f32 | tanh(a), relative error at most 2^-11.
TSR_DEV float tanh_approx(float a) {
    float r;
    asm("tanh.approx.f32 %0, %1;" : "=f"(r) : "f"(a));
    return r;
}

}  // namespace tsr
