// One kernel for every group of device functions that sm_90a alone has, beside conformance_basic.cu. The maps are of the words in and out,
// as conformance_cases.h describes them.
namespace conformance {

TSR_KERNEL(64, 1) conversions_8(const u32* in, u32* out) {
    const int t = tid();
    const float a = t % 2 == 0 ? f32_word(ldg(in + t)) : moderate(ldg(in + t)), b = moderate(ldg(in + 64 + t));
    stg(out + t, static_cast<u32>(pack_e4m3x2(a, b)) | static_cast<u32>(pack_e5m2x2(a, b)) << 16);
    const u16 bytes = static_cast<u16>(ldg(in + t));
    // of a NaN only that it is one is defined
    stg(out + 64 + t, e4m3x2_to_f16x2(static_cast<u16>((bytes & 0x7f) == 0x7f || (bytes & 0x7f00) == 0x7f00 ? 0x3838 : bytes)));
    stg(out + 128 + t, e5m2x2_to_f16x2(static_cast<u16>((bytes & 0x7c) == 0x7c || (bytes & 0x7c00) == 0x7c00 ? 0x3838 : bytes)));
}

TSR_KERNEL(32, 1) products_8(const u32* in, u32* out) {
    const int t = tid();
    u32 r[6];
    TSR_UNROLL
    for (int i = 0; i < 6; ++i) {
        const u32 w = ldg(in + 6 * t + i);
        r[i] = pack_e4m3x2(static_cast<float>(small(w)), static_cast<float>(small(w >> 4))) |
               static_cast<u32>(pack_e4m3x2(static_cast<float>(small(w >> 8)), static_cast<float>(small(w >> 12)))) << 16;
    }
    float c[4] = {0.0f, 1.0f, 2.0f, 3.0f};
    const u32 a[4] = {r[0], r[1], r[2], r[3]};
    mma_m16n8k32_e4m3(c, a, r[4], r[5]);
    TSR_UNROLL
    for (int e = 0; e < 4; ++e) stg(out + 32 * e + t, word_f32(c[e]));
}

TSR_KERNEL(32, 1) matrix_stores(const u32* in, u32* out) {
    const u32 base = smem_base();
    const int t = tid();
    const u32 row = base + static_cast<u32>((t * 5 % 32) * 16);
    u32 r[4];
    for (int i = 0; i < 4; ++i) r[i] = ldg(in + 4 * t + i);
    stmatrix_x4(row, r[0], r[1], r[2], r[3]);
    sync_warp();
    for (int i = 0; i < 4; ++i) stg(out + 4 * t + i, lds<u32>(base + static_cast<u32>(t * 16 + 4 * i)));
    sync_warp();
    stmatrix_x4_trans(row, r[0], r[1], r[2], r[3]);
    sync_warp();
    for (int i = 0; i < 4; ++i) stg(out + 128 + 4 * t + i, lds<u32>(base + static_cast<u32>(t * 16 + 4 * i)));
    sync_warp();
    stmatrix_x2(row, r[3], r[1]);
    sync_warp();
    for (int i = 0; i < 4; ++i) stg(out + 256 + 4 * t + i, lds<u32>(base + static_cast<u32>(t * 16 + 4 * i)));
}

TSR_KERNEL(384, 1) TSR_CLUSTER(2) clusters(const u32* in, u32* out) {
    const u32 base = smem_base(), rank = cluster_rank();
    const int t = tid();
    // 384 threads begin with 168 registers: what one warpgroup gives back the others take
    if (t < 128) reg_dealloc<40>();
    else reg_alloc<232>();
    if (t == 0) {
        mbar_init(base, 64);
        mbar_init(base + 8, 2);
        mbar_fence_init();
    }
    cluster_sync();
    if (t < 32) {
        sts_cluster(map_shared(base + 16 + static_cast<u32>(t) * 4, rank ^ 1), ldg(in + static_cast<int>(rank) * 32 + t));
        mbar_arrive_cluster(base, 0);
        mbar_arrive_cluster(base, 1);
    }
    if (t == 64) mbar_arrive(base + 8);
    if (t == 65) mbar_arrive_remote(base + 8, rank);
    mbar_wait(base + 8, 0);
    mbar_wait_cluster(base, 0);
    if (t >= 32 && t < 64) stg(out + static_cast<int>(rank) * 32 + t - 32, lds<u32>(base + 16 + static_cast<u32>(t - 32) * 4));
    // one lane of every warp; which one is not said
    const u32 elected = vote(elect_one());
    if (t % 32 == 0) stg(out + 64 + static_cast<int>(rank) * 12 + t / 32, elected != 0 && (elected & (elected - 1)) == 0 ? 1u : 0u);
    cluster_sync();
    if (t < 32) stg(out + 96 + static_cast<int>(rank) * 32 + t, lds_cluster<u32>(map_shared(base + 16 + static_cast<u32>(t) * 4, rank ^ 1)));
    cluster_sync();
}

constexpr u32 bar_at = 16384;

TSR_DEV void begin_load(u32 base, u32 bytes) {
    if (tid() == 0) {
        mbar_init(base + bar_at, 1);
        mbar_fence_init();
    }
    sync_cta();
    if (tid() == 0) {
        mbar_expect_tx(base + bar_at, bytes);
    }
}
TSR_DEV void put_words(u32 base, u32* out, int count) {
    for (int i = tid(); i < count; i += 128) stg(out + i, lds<u32>(base + static_cast<u32>(i) * 4));
}

// the bytes as they lie in shared memory, so that the swizzle shows
TSR_DEV void load_box(const TensorMap* map, u32* out, int x, int y, int words) {
    const u32 base = smem_base();
    begin_load(base, static_cast<u32>(words) * 4);
    if (tid() == 0) {
        tma_prefetch_desc(map);
        tma_load_2d(base, map, base + bar_at, x, y);
    }
    mbar_wait(base + bar_at, 0);
    put_words(base, out, words);
}

TSR_KERNEL(128, 1) load_plain(const u32*, u32* out, TSR_GRID_CONST TensorMap map, TSR_GRID_CONST TensorMap) { load_box(&map, out, 4, 5, 256); }
TSR_KERNEL(128, 1) load_swizzle_32(const u32*, u32* out, TSR_GRID_CONST TensorMap map, TSR_GRID_CONST TensorMap) { load_box(&map, out, 8, 1, 128); }
TSR_KERNEL(128, 1) load_swizzle_64(const u32*, u32* out, TSR_GRID_CONST TensorMap map, TSR_GRID_CONST TensorMap) { load_box(&map, out, 0, 2, 256); }
TSR_KERNEL(128, 1) load_swizzle_128(const u32*, u32* out, TSR_GRID_CONST TensorMap map, TSR_GRID_CONST TensorMap) { load_box(&map, out, 0, 0, 512); }
// the box hangs over two sides
TSR_KERNEL(128, 1) load_outside(const u32*, u32* out, TSR_GRID_CONST TensorMap map, TSR_GRID_CONST TensorMap) { load_box(&map, out, -8, 26, 512); }

TSR_KERNEL(128, 1) load_deep(const u32* in, u32* out, TSR_GRID_CONST TensorMap map, TSR_GRID_CONST TensorMap map_4d) {
    const u32 base = smem_base();
    begin_load(base, 512 + 512 + 256);
    if (tid() == 0) {
        tma_load_3d(base, &map, base + bar_at, 4, -1, 1);
        tma_load_4d(base + 512, &map_4d, base + bar_at, 0, 1, 1, -1);
        bulk_load(base + 1024, in + 12, 256, base + bar_at);
    }
    mbar_wait(base + bar_at, 0);
    put_words(base, out, 320);
}

TSR_KERNEL(128, 1) TSR_CLUSTER(2) load_multicast(const u32*, u32* out, TSR_GRID_CONST TensorMap map, TSR_GRID_CONST TensorMap map_3d) {
    const u32 base = smem_base();
    const int rank = static_cast<int>(cluster_rank());
    begin_load(base, 2 * 512 + 512);
    cluster_sync();
    if (tid() == 0) {
        tma_load_2d_multicast(base + static_cast<u32>(rank) * 512, &map, base + bar_at, 4 * rank, 3, 3);
        if (rank == 0) {
            tma_load_3d_multicast(base + 1024, &map_3d, base + bar_at, 0, 1, 2, 3);
        }
    }
    mbar_wait(base + bar_at, 0);
    put_words(base, out + rank * 384, 384);
    cluster_sync();
}

TSR_KERNEL(128, 1) store_boxes(const u32* in, u32* out, TSR_GRID_CONST TensorMap map, TSR_GRID_CONST TensorMap map_3d) {
    const u32 base = smem_base();
    const int t = tid();
    for (int i = t; i < 768; i += 128) sts(base + static_cast<u32>(i) * 4, ldg(in + i));
    fence_proxy_async();
    sync_cta();
    if (t == 0) {
        tma_store_2d(&map, base, 20, 10);  // hangs over the end of rows
        tma_store_commit();
        tma_store_3d(&map_3d, base + 2048, 0, 3, 1);
        tma_store_commit();
        bulk_store(out + 1536, base + 2560, 512);
        tma_store_commit();
        tma_store_wait_read<1>();
        tma_store_wait<0>();
    }
}

// operands of 8 rows of 128 bytes each, written swizzled; bytes of small numbers in the type that is asked for
TSR_DEV void put_operand(u32 at, const u32* in, int rows, int kind, int span) {
    for (int i = tid(); i < rows * span / 4; i += 128) {
        const int row = i / (span / 4), word = i % (span / 4);
        const u32 w = ldg(in + i % 1024);
        const float low = static_cast<float>(small(w)), high = static_cast<float>(small(w >> 4));
        u32 v = w;
        if (kind == 0) v = pack_bf16x2(low, high);
        if (kind == 1) v = pack_f16x2(low, high);
        if (kind == 2) v = f32_to_tf32(low);
        if (kind == 3) v = pack_e4m3x2(low, high) | static_cast<u32>(pack_e4m3x2(static_cast<float>(small(w >> 8)), high)) << 16;
        if (kind == 4) v = pack_e5m2x2(low / 8.0f, high) | static_cast<u32>(pack_e5m2x2(1.0f, low / 4.0f)) << 16;
        const int bits = span == 128 ? row & 7 : span == 64 ? row >> 1 & 3 : row >> 2 & 1;
        sts(at + static_cast<u32>(row * span + ((word / 4 ^ bits) << 4) + word % 4 * 4), v);
    }
}
TSR_DEV void publish_operands() {
    fence_proxy_async();
    sync_cta();
}
template <class T, int n>
TSR_DEV void put_sums(u32* out, const T (&d)[n]) {
    TSR_UNROLL
    for (int e = 0; e < n; ++e) {
        if constexpr (sizeof(T) == 4 && static_cast<T>(0.5f) == static_cast<T>(0)) stg(out + e * 128 + tid(), static_cast<u32>(d[e]));
        else stg(out + e * 128 + tid(), word_f32(static_cast<float>(d[e])));
    }
}

#define TSR_WGMMA_CASE(name, product, product_rs, element, kind, n)                                  \
    TSR_KERNEL(128, 1) name(const u32* in, u32* out) {                                               \
        const u32 base = smem_base();                                                                \
        put_operand(base, in, 64, kind, 128);                                                        \
        put_operand(base + 8192, in + 7, n, kind, 128);                                              \
        publish_operands();                                                                          \
        element d[n / 2], r[n / 2];                                                                  \
        TSR_UNROLL                                                                                   \
        for (int e = 0; e < n / 2; ++e) {                                                            \
            d[e] = static_cast<element>(e);                                                          \
            r[e] = static_cast<element>(7);                                                          \
        }                                                                                            \
        u32 a[4];                                                                                    \
        TSR_UNROLL                                                                                   \
        for (int i = 0; i < 4; ++i) {                                                                \
            const int row = 16 * (tid() / 32) + tid() % 32 / 4 + 8 * (i % 2);                        \
            a[i] = lds<u32>(base + static_cast<u32>(row * 128 + ((i / 2 ^ (row & 7)) << 4) + tid() % 4 * 4)); \
            reg_fence(a[i]);                                                                         \
        }                                                                                            \
        TSR_UNROLL                                                                                   \
        for (int e = 0; e < n / 2; ++e) {                                                            \
            reg_fence(d[e]);                                                                         \
            reg_fence(r[e]);                                                                         \
        }                                                                                            \
        wgmma_fence();                                                                               \
        product(d, desc_k_sw128(base), desc_k_sw128(base + 8192), 1);                                \
        product(d, desc_k_sw128(base) + 2, desc_k_sw128(base + 8192) + 4, 1);                        \
        product_rs(r, a, desc_k_sw128(base + 8192), 0);                                              \
        wgmma_commit();                                                                              \
        wgmma_wait<0>();                                                                             \
        TSR_UNROLL                                                                                   \
        for (int e = 0; e < n / 2; ++e) {                                                            \
            reg_fence(d[e]);                                                                         \
            reg_fence(r[e]);                                                                         \
        }                                                                                            \
        put_sums(out, d);                                                                            \
        put_sums(out + n / 2 * 128, r);                                                              \
    }
TSR_WGMMA_CASE(wgmma_bf16, wgmma_m64n8k16_bf16, wgmma_m64n8k16_bf16_rs, float, 0, 8)
TSR_WGMMA_CASE(wgmma_f16, wgmma_m64n8k16_f16, wgmma_m64n8k16_f16_rs, float, 1, 8)
TSR_WGMMA_CASE(wgmma_tf32, wgmma_m64n8k8_tf32, wgmma_m64n8k8_tf32_rs, float, 2, 8)
TSR_WGMMA_CASE(wgmma_e4m3, wgmma_m64n8k32_e4m3, wgmma_m64n8k32_e4m3_rs, float, 3, 8)
TSR_WGMMA_CASE(wgmma_e5m2, wgmma_m64n8k32_e5m2, wgmma_m64n8k32_e5m2_rs, float, 4, 8)
TSR_WGMMA_CASE(wgmma_s8, wgmma_m64n8k32_s8, wgmma_m64n8k32_s8_rs, i32, 5, 8)
#undef TSR_WGMMA_CASE

// other swizzles along k, and a wide product of which a part is put out
TSR_KERNEL(128, 1) wgmma_swizzles(const u32* in, u32* out) {
    const u32 base = smem_base();
    put_operand(base, in, 64, 0, 64);
    put_operand(base + 4096, in + 5, 64, 0, 32);
    put_operand(base + 8192, in + 9, 256, 0, 32);
    publish_operands();
    float d[4] = {1.0f, 2.0f, 3.0f, 4.0f}, wide[128];
    TSR_UNROLL
    for (int e = 0; e < 128; ++e) wide[e] = 0.0f;
    TSR_UNROLL
    for (int e = 0; e < 4; ++e) reg_fence(d[e]);
    TSR_UNROLL
    for (int e = 0; e < 128; ++e) reg_fence(wide[e]);
    wgmma_fence();
    wgmma_m64n8k16_bf16(d, desc_k_sw64(base) + 2, desc_k_sw32(base + 8192), 1);
    wgmma_m64n256k16_bf16(wide, matrix_desc(base + 4096, 16, 256, 3), desc_k_sw32(base + 8192), 0);
    wgmma_commit();
    wgmma_wait<0>();
    TSR_UNROLL
    for (int e = 0; e < 4; ++e) reg_fence(d[e]);
    TSR_UNROLL
    for (int e = 0; e < 128; ++e) reg_fence(wide[e]);
    put_sums(out, d);
    const float part[4] = {wide[1], wide[50], wide[99], wide[126]};
    put_sums(out + 512, part);
}

// operands that lie along m and n: rows of 64 elements for each k
TSR_KERNEL(128, 1) wgmma_transposed(const u32* in, u32* out) {
    const u32 base = smem_base();
    put_operand(base, in, 16, 0, 128);          // k 16, m 64
    put_operand(base + 2048, in + 3, 16, 0, 128);  // k 16, n 0 to 63
    put_operand(base + 4096, in + 6, 16, 0, 128);  // k 16, n 64 to 127
    put_operand(base + 8192, in + 9, 64, 0, 128);  // along k
    publish_operands();
    float d[32], e[64];
    TSR_UNROLL
    for (int i = 0; i < 32; ++i) {
        d[i] = 0.0f;
        reg_fence(d[i]);
    }
    TSR_UNROLL
    for (int i = 0; i < 64; ++i) {
        e[i] = 0.0f;
        reg_fence(e[i]);
    }
    wgmma_fence();
    wgmma_m64n64k16_bf16<1, 1>(d, matrix_desc(base, 2048, 1024, 1), matrix_desc(base + 2048, 2048, 1024, 1), 0);
    wgmma_m64n128k16_bf16<0, 1>(e, desc_k_sw128(base + 8192), matrix_desc(base + 2048, 2048, 1024, 1), 0);
    wgmma_commit();
    wgmma_wait<0>();
    TSR_UNROLL
    for (int i = 0; i < 32; ++i) reg_fence(d[i]);
    TSR_UNROLL
    for (int i = 0; i < 64; ++i) reg_fence(e[i]);
    const float part[4] = {d[0], d[9], d[22], d[31]}, other[4] = {e[0], e[21], e[42], e[63]};
    put_sums(out, part);
    put_sums(out + 512, other);
}

}  // namespace conformance
