// One kernel for every group of device functions that sm_80 has: words in, words out. The same text runs in the emulator, which records
// what is expected, and on a GPU. Sums of products are of small whole numbers, so that they are exact in every order.
namespace conformance {
using namespace tsr;

TSR_DEV float f32_word(u32 w) { return float_of(static_cast<i32>(w)); }
// the bits, of every NaN the same
TSR_DEV u32 word_f32(float x) { return x != x ? 0x7fc00000u : static_cast<u32>(bits_of(x)); }
TSR_DEV double f64_words(const u32* in, int i) {
    return float_of(static_cast<i64>(static_cast<u64>(ldg(in + 2 * i + 1)) << 32 | ldg(in + 2 * i)));
}
TSR_DEV void put_f64(u32* out, int i, double x) {
    const u64 bits = x != x ? 0x7ff8ull << 48 : static_cast<u64>(bits_of(x));
    stg(out + 2 * i, static_cast<u32>(bits));
    stg(out + 2 * i + 1, static_cast<u32>(bits >> 32));
}
// -8 to 7, exact in every type that products take; 8-bit floats have 4 significant bits
TSR_DEV int small(u32 w) { return static_cast<int>(w % 16) - 8; }

TSR_KERNEL(64, 1) places(const u32* in, u32* out) {
    const int at = (cta_x() + grid_x() * (cta_y() + grid_y() * cta_z())) * 64 + tid();
    stg(out + at, ldg(in + at) ^ static_cast<u32>(tid() | cta_x() << 8 | cta_y() << 12 | cta_z() << 16 | grid_x() << 20 | grid_z() << 24));
}

TSR_KERNEL(32, 1) lanes(const u32* in, u32* out) {
    const int t = tid();
    const u32 w = ldg(in + t);
    stg(out + t, shfl_xor(w, 5));
    stg(out + 32 + t, shfl_up(w, 3));
    stg(out + 64 + t, shfl_down(w, 7));
    stg(out + 96 + t, shfl_idx(w, t / 3));
    stg(out + 128 + t, word_f32(shfl_xor(f32_word(w), 17)));
    stg(out + 160 + t, vote((w & 1) != 0));
    stg(out + 192 + t, static_cast<u32>(uniform(static_cast<int>(w))));
}

TSR_KERNEL(64, 1) arithmetic(const u32* in, u32* out) {
    const int t = tid();
    const float a = f32_word(ldg(in + t)), b = f32_word(ldg(in + 64 + t)), c = f32_word(ldg(in + 128 + t));
    const float results[] = {add_rn(a, b),  sub_rn(a, b), mul_rn(a, b),  div_rn(a, b),   fma_rn(a, b, c), sqrt_rn(abs_of(a)),
                             floor_of(a),   ceil_of(a),   trunc_of(a),   round_of(a),    mod_floor_of(a, b), min_of(a, b),
                             max_of(a, b)};
    TSR_UNROLL
    for (int i = 0; i < 13; ++i) stg(out + i * 64 + t, word_f32(results[i]));
}

TSR_KERNEL(32, 1) arithmetic_f64(const u32* in, u32* out) {
    const int t = tid();
    const double a = f64_words(in, t), b = f64_words(in, 32 + t), c = f64_words(in, 64 + t);
    const double results[] = {add_rn(a, b), sub_rn(a, b), mul_rn(a, b), div_rn(a, b), fma_rn(a, b, c), sqrt_rn(abs_of(a)),
                              floor_of(a),  ceil_of(a),   trunc_of(a),  round_of(a)};
    TSR_UNROLL
    for (int i = 0; i < 10; ++i) put_f64(out, i * 32 + t, results[i]);
}

TSR_KERNEL(64, 1) integers(const u32* in, u32* out) {
    const int t = tid();
    const i32 a = static_cast<i32>(ldg(in + t)), b = static_cast<i32>(ldg(in + 64 + t)) >> (t % 31);
    const i32 results[] = {add_wrap(a, b), sub_wrap(a, b), mul_wrap(a, b), neg_wrap(a), div_floor(a, b), mod_floor(a, b), shift_left(a, b % 40),
                           shift_right(a, b % 40), abs_wrap(a), beyond_width(b) ? 1 : 0, clamp_integer<i8>(b), static_cast<i32>(clamp_integer<u16>(a)),
                           to_integer<i32>(f32_word(ldg(in + t))), static_cast<i32>(to_integer<u8>(f32_word(ldg(in + 64 + t)))),
                           highest<i32>() ^ lowest<i32>(), static_cast<i32>(swizzled<7, 7>(static_cast<u32>(a)))};
    TSR_UNROLL
    for (int i = 0; i < 16; ++i) stg(out + i * 64 + t, static_cast<u32>(results[i]));
}

// any f32, one near the range of the 8-bit floats, and all of these
TSR_KERNEL(64, 1) float8_words(const u32* in, u32* out) {
    const int t = tid();
    const u32 any = ldg(in + t), near = (any & 0x807fffffu) | (108u + (any >> 8) % 36u) << 23;
    stg(out + t, static_cast<u32>(f32_bits_to_f8<3>(any)) | static_cast<u32>(f32_bits_to_f8<2>(any)) << 8);
    stg(out + 64 + t, static_cast<u32>(f32_bits_to_f8<3>(near)) | static_cast<u32>(f32_bits_to_f8<2>(near)) << 8);
    for (int i = 0; i < 4; ++i) {
        stg(out + 128 + i * 64 + t, f8_to_f32_bits<3>(static_cast<u8>(i * 64 + t)));
        stg(out + 384 + i * 64 + t, f8_to_f32_bits<2>(static_cast<u8>(i * 64 + t)));
    }
}

TSR_KERNEL(64, 1) conversions(const u32* in, u32* out) {
    const int t = tid();
    const float a = f32_word(ldg(in + t)), b = f32_word(ldg(in + 64 + t));
    stg(out + t, static_cast<u32>(f32_to_bf16(a).x) | static_cast<u32>(f32_to_f16(a).x) << 16);
    stg(out + 64 + t, pack_bf16x2(a, b));
    stg(out + 128 + t, pack_f16x2(a, b));
    stg(out + 192 + t, f32_to_tf32(a));
    stg(out + 256 + t, word_f32(bf16_to_f32({static_cast<u16>(ldg(in + t) >> 16)})));
    stg(out + 320 + t, word_f32(f16_to_f32({static_cast<u16>(ldg(in + t) >> 16)})));
}

// arguments in (2^-6, 2^6), positive where the function asks for it
TSR_DEV float moderate(u32 w) { return float_of(static_cast<i32>((w & 0x807fffffu) | (121 + w / 8 % 12) << 23)); }

TSR_KERNEL(64, 1) approximations(const u32* in, u32* out) {
    const int t = tid();
    const float a = moderate(ldg(in + t)), p = abs_of(a);
    const float other = moderate(ldg(in + (t + 1) % 64));
    const float results[] = {exp2_approx(a), log2_approx(p + 2.0f), rcp_approx(a), rsqrt_approx(p), max_number(a, other), min_number(a, other)};
    TSR_UNROLL
    for (int i = 0; i < 6; ++i) stg(out + i * 64 + t, word_f32(results[i]));
}

TSR_KERNEL(64, 1) rough_approximations(const u32* in, u32* out) { stg(out + tid(), word_f32(tanh_approx(moderate(ldg(in + tid()))))); }

TSR_KERNEL(64, 1) math_f32(const u32* in, u32* out) {
    const int t = tid();
    const u32 w = ldg(in + t);
    const float x = t % 4 == 0 ? f32_word(w) : moderate(w), y = moderate(ldg(in + 64 + t)), part = div_rn(x, 64.0f);
    const float results[] = {exp_f32(x),  exp2_f32(x),    expm1_f32(x),  log_f32(x),  log2_f32(x),  log1p_f32(x), sin_f32(x),
                             cos_f32(x),  tan_f32(x),     asin_f32(part), acos_f32(part), atan_f32(x), sinh_f32(x),  cosh_f32(x),
                             tanh_f32(x), erf_f32(x),     sigmoid_f32(x), rsqrt_f32(x), atan2_f32(x, y), pow_f32(abs_of(x), y)};
    TSR_UNROLL
    for (int i = 0; i < 20; ++i) stg(out + i * 64 + t, word_f32(results[i]));
}

TSR_KERNEL(32, 1) math_f64(const u32* in, u32* out) {
    const int t = tid();
    const double x = static_cast<double>(moderate(ldg(in + t))) * 1.0000001, y = moderate(ldg(in + 32 + t)), part = x / 64.0;
    const double results[] = {exp_f64(x),  exp2_f64(x), expm1_f64(x),  log_f64(x),   log2_f64(x),  log1p_f64(x), sin_f64(x),
                              cos_f64(x),  tan_f64(x),  asin_f64(part), acos_f64(part), atan_f64(x), sinh_f64(x),  cosh_f64(x),
                              tanh_f64(x), erf_f64(x),  sigmoid_f64(x), rsqrt_f64(x), atan2_f64(x, y), pow_f64(abs_of(x), y)};
    TSR_UNROLL
    for (int i = 0; i < 20; ++i) put_f64(out, i * 32 + t, results[i]);
}

TSR_KERNEL(64, 1) random_numbers(const u32* in, u32* out) {
    const int t = tid();
    const i64 seed = static_cast<i64>(static_cast<u64>(ldg(in + t)) << 32 | ldg(in + 64 + t));
    stg(out + t, random_bits_u32(seed, t, 1, seed, -5));
    stg(out + 64 + t, word_f32(uniform_f32(seed, t, 2, 3, 4)));
    stg(out + 128 + t, word_f32(normal_f32(seed, t, 2, 3, 4)));
}

TSR_KERNEL(64, 1) shared_words(const u32* in, u32* out) {
    const u32 base = smem_base();
    const int t = tid();
    const u32 w = ldg(in + t), at = base + static_cast<u32>(t) * 16;
    sts(at, w);
    sts(at + 4, static_cast<u16>(w >> 3));
    sts(at + 6, static_cast<u8>(w >> 5));
    sts(at + 7, static_cast<i8>(w >> 7));
    sts(at + 8, static_cast<u64>(w) * 0x100000001ull);
    sync_cta();
    const u32 other = base + static_cast<u32>(t ^ 37) * 16;
    const Vec<u32, 4> all = lds<Vec<u32, 4>>(other);
    const u32 parts = lds<u8>(other + 6) + lds<u16>(other + 4) * 256u + (lds<u32>(other) << 9) + static_cast<u32>(lds<i8>(other + 7));
    stg(out + t, all.v[0] ^ all.v[1] ^ all.v[2] ^ all.v[3]);
    stg(out + 64 + t, parts);
    stg(out + 128 + t, static_cast<u32>(lds<u64>(other + 8) >> 16));
    sync_cta();
    sts(at, Vec<u32, 4>{{w, w + 1, w + 2, w + 3}});
    sync_warp();
    stg(out + 192 + t, lds<u32>(base + static_cast<u32>(t ^ 1) * 16 + 12));
}

TSR_KERNEL(64, 1) atomics(const u32* in, u32* out) {
    const u32 base = smem_base();
    const int t = tid();
    const u32 w = ldg(in + t);
    if (t == 0) {
        sts(base, 5u);
        sts(base + 4, 0x7fffffff);
        sts(base + 8, -0x7fffffff);
    }
    sync_cta();
    atom_add_shared(base, w);
    atom_min_shared(base + 4, static_cast<i32>(w));
    atom_max_shared(base + 8, static_cast<i32>(w));
    // out[0..15] is zero before the launch
    atom_add(out, w);
    atom_add(reinterpret_cast<u64*>(out + 2), static_cast<u64>(w));
    atom_min(reinterpret_cast<i32*>(out + 4), static_cast<i32>(w));
    atom_max(reinterpret_cast<i32*>(out + 5), static_cast<i32>(w));
    atom_max(out + 6, w);
    if (t == 7) {
        atom_exchange(out + 7, w);
        atom_compare(out + 8, 0u, w);
        atom_compare(out + 9, 1u, w);
        st_release(out + 10, ld_acquire(out + 11) + w);
        fence_gpu();
    }
    sync_cta();
    if (t < 3) stg(out + 12 + t, lds<u32>(base + static_cast<u32>(t) * 4));
}

TSR_KERNEL(96, 1) named_barriers(const u32* in, u32* out) {
    const u32 base = smem_base();
    const int t = tid();
    if (t < 64) {
        sts(base + static_cast<u32>(t) * 4, ldg(in + t));
        arrive_named(1, 96);
        sync_named(2, 64);
        stg(out + t, lds<u32>(base + static_cast<u32>(t ^ 33) * 4));
    } else {
        sync_named(1, 96);
        stg(out + t, lds<u32>(base + static_cast<u32>(95 - t) * 4));
    }
}

TSR_KERNEL(32, 1) copies(const u32* in, u32* out) {
    const u32 base = smem_base();
    const int t = tid();
    const u32 at = base + static_cast<u32>(t) * 32;
    cp_async16(at, in + 4 * t, t % 3 != 0);
    cp_async_commit();
    cp_async8(at + 16, in + 2 * t, t % 4 != 1);
    cp_async4(at + 24, in + t, t % 5 != 2);
    cp_async4(at + 28, in + t + 1, true);
    cp_async_commit();
    cp_async_wait<1>();
    const Vec<u32, 4> first = lds<Vec<u32, 4>>(at);
    cp_async_wait<0>();
    const Vec<u32, 4> second = lds<Vec<u32, 4>>(at + 16);
    TSR_UNROLL
    for (int i = 0; i < 4; ++i) {
        stg(out + t * 8 + i, first.v[i]);
        stg(out + t * 8 + 4 + i, second.v[i]);
    }
}

TSR_KERNEL(32, 1) matrix_loads(const u32* in, u32* out) {
    const u32 base = smem_base();
    const int t = tid();
    for (int i = 0; i < 4; ++i) sts(base + static_cast<u32>(t * 16 + 4 * i), ldg(in + 4 * t + i));
    sync_warp();
    const u32 row = base + static_cast<u32>((t * 5 % 32) * 16);
    u32 one[1], two[2], four[4];
    ldmatrix_x1(one, row);
    stg(out + t, one[0]);
    ldmatrix_x2(two, row);
    stg(out + 32 + t, two[0] ^ two[1] << 1);
    ldmatrix_x2_trans(two, row);
    stg(out + 64 + t, two[0] ^ two[1] << 1);
    ldmatrix_x4(four, row);
    for (int i = 0; i < 4; ++i) stg(out + 96 + 32 * i + t, four[i]);
    ldmatrix_x4_trans(four, row);
    for (int i = 0; i < 4; ++i) stg(out + 224 + 32 * i + t, four[i]);
}

TSR_KERNEL(32, 1) products(const u32* in, u32* out) {
    const int t = tid();
    u32 bf[6], hf[6], tf[6];
    TSR_UNROLL
    for (int i = 0; i < 6; ++i) {
        const u32 w = ldg(in + 6 * t + i);
        bf[i] = pack_bf16x2(static_cast<float>(small(w)), static_cast<float>(small(w >> 4)));
        hf[i] = pack_f16x2(static_cast<float>(small(w)), static_cast<float>(small(w >> 4)));
        tf[i] = f32_to_tf32(static_cast<float>(small(w >> 8)));
    }
    float c[3][4];
    i32 sums[2][4];
    TSR_UNROLL
    for (int e = 0; e < 4; ++e) {
        c[0][e] = c[1][e] = c[2][e] = static_cast<float>(e);
        sums[0][e] = sums[1][e] = e;
    }
    const u32 ab[4] = {bf[0], bf[1], bf[2], bf[3]}, ah[4] = {hf[0], hf[1], hf[2], hf[3]}, at[4] = {tf[0], tf[1], tf[2], tf[3]};
    const u32 bytes[4] = {ldg(in + 6 * t), ldg(in + 6 * t + 1), ldg(in + 6 * t + 2), ldg(in + 6 * t + 3)};
    const u32 b0 = ldg(in + 6 * t + 4), b1 = ldg(in + 6 * t + 5);
    mma_m16n8k16_bf16(c[0], ab, bf[4], bf[5]);
    mma_m16n8k16_f16(c[1], ah, hf[4], hf[5]);
    mma_m16n8k8_tf32(c[2], at, tf[4], tf[5]);
    mma_m16n8k32_s8(sums[0], bytes, b0, b1);
    mma_m16n8k32_u8(sums[1], bytes, b0, b1);
    TSR_UNROLL
    for (int e = 0; e < 4; ++e) {
        TSR_UNROLL
        for (int k = 0; k < 3; ++k) stg(out + (k * 4 + e) * 32 + t, word_f32(c[k][e]));
        stg(out + (12 + e) * 32 + t, static_cast<u32>(sums[0][e]));
        stg(out + (16 + e) * 32 + t, static_cast<u32>(sums[1][e]));
    }
}

}  // namespace conformance
