// O = softmax(scale Q K^T) V for every head, causal where asked for: bf16, head size 128, sums in f32.
// tile q 128, kv 128; one warpgroup loads (24 registers), two take 64 rows of q each (240); 2 buffers of K and of V. The scores of a tile are
// multiplied while the values of the tile before are: wgmma m64n128k16 twice, the second with the probabilities in registers.
namespace flash_sm90 {
using namespace tsr;

constexpr int tile_q = 128, tile_kv = 128, head = 128, buffers = 2, consumers = 2, threads = 128 * (1 + consumers);
constexpr u32 half_tile_bytes = tile_kv * 128, tile_bytes = 2 * half_tile_bytes;  // 64 columns of every row, then the other 64
constexpr u32 q_bytes = 64 * head * 2;                                           // of a consumer: the same two halves of 64 rows
constexpr u32 k_begin = consumers * q_bytes, v_begin = k_begin + buffers * tile_bytes, barriers_begin = v_begin + buffers * tile_bytes;
constexpr u32 shared_bytes = barriers_begin + (1 + 4 * buffers) * 8;
static_assert(shared_bytes <= 232448);
constexpr float lowest_score = -1e30f;

struct Ring {
    int buffer;
    u32 parity;
    TSR_DEV void advance() {
        if (++buffer == buffers) {
            buffer = 0;
            parity ^= 1;
        }
    }
};

struct Place {
    u32 smem;
    TSR_DEV u32 q(int consumer) const { return smem + static_cast<u32>(consumer) * q_bytes; }
    TSR_DEV u32 k(int buffer) const { return smem + k_begin + static_cast<u32>(buffer) * tile_bytes; }
    TSR_DEV u32 v(int buffer) const { return smem + v_begin + static_cast<u32>(buffer) * tile_bytes; }
    TSR_DEV u32 barrier(int number) const { return smem + barriers_begin + static_cast<u32>(number) * 8; }
    TSR_DEV u32 q_full() const { return barrier(0); }
    TSR_DEV u32 k_full(int buffer) const { return barrier(1 + buffer); }
    TSR_DEV u32 v_full(int buffer) const { return barrier(1 + buffers + buffer); }
    TSR_DEV u32 k_empty(int buffer) const { return barrier(1 + 2 * buffers + buffer); }
    TSR_DEV u32 v_empty(int buffer) const { return barrier(1 + 3 * buffers + buffer); }
};

TSR_DEV int tiles_of(int q0, int kv_rows, int causal) {
    const int all = (kv_rows + tile_kv - 1) / tile_kv, seen = (q0 + tile_q + tile_kv - 1) / tile_kv;
    return causal != 0 && seen < all ? seen : all;
}

TSR_DEV void load_all(Place at, const TensorMap* q, const TensorMap* k, const TensorMap* v, int q0, int of_head, int tiles) {
    mbar_expect_tx(at.q_full(), consumers * q_bytes);
    for (int c = 0; c < consumers; ++c) {
        tma_load_3d(at.q(c), q, at.q_full(), 0, q0 + c * 64, of_head);
        tma_load_3d(at.q(c) + q_bytes / 2, q, at.q_full(), 64, q0 + c * 64, of_head);
    }
    Ring ring{0, 1};
    for (int tile = 0; tile < tiles; ++tile) {
        mbar_wait(at.k_empty(ring.buffer), ring.parity);
        mbar_expect_tx(at.k_full(ring.buffer), tile_bytes);
        tma_load_3d(at.k(ring.buffer), k, at.k_full(ring.buffer), 0, tile * tile_kv, of_head);
        tma_load_3d(at.k(ring.buffer) + half_tile_bytes, k, at.k_full(ring.buffer), 64, tile * tile_kv, of_head);
        mbar_wait(at.v_empty(ring.buffer), ring.parity);
        mbar_expect_tx(at.v_full(ring.buffer), tile_bytes);
        tma_load_3d(at.v(ring.buffer), v, at.v_full(ring.buffer), 0, tile * tile_kv, of_head);
        tma_load_3d(at.v(ring.buffer) + half_tile_bytes, v, at.v_full(ring.buffer), 64, tile * tile_kv, of_head);
        ring.advance();
    }
}

template <int n>
TSR_DEV void fence_registers(float (&x)[n]) {
    TSR_UNROLL
    for (int i = 0; i < n; ++i) reg_fence(x[i]);
}

// s = q k^T, issued
TSR_DEV void multiply_scores(float (&s)[64], u32 q, u32 k) {
    TSR_UNROLL
    for (int kk = 0; kk < head / 16; ++kk) {
        const u32 within = static_cast<u32>(kk % 4) * 32;
        wgmma_m64n128k16_bf16(s, desc_k_sw128(q + static_cast<u32>(kk / 4) * (q_bytes / 2) + within),
                              desc_k_sw128(k + static_cast<u32>(kk / 4) * half_tile_bytes + within), kk != 0);
    }
}

// o += p v, issued; v has kv along its rows, so it is read transposed: atoms of 64 columns a half apart
TSR_DEV void multiply_values(float (&o)[64], const u32 (&p)[8][4], u32 v, bool accumulates) {
    TSR_UNROLL
    for (int kk = 0; kk < tile_kv / 16; ++kk)
        wgmma_m64n128k16_bf16_rs<1>(o, p[kk], matrix_desc(v + static_cast<u32>(kk) * 2048, half_tile_bytes, 1024, 1), accumulates || kk != 0);
}

// s[e] is row lane/4 + 8 (e/2 % 2) of the warp's 16, column 8 (e/4) + 2 (lane%4) + e%2
TSR_DEV void mask(float (&s)[64], int first_row, int first_column, int kv_rows, int causal, int lane) {
    TSR_UNROLL
    for (int e = 0; e < 64; ++e) {
        const int column = first_column + 8 * (e / 4) + 2 * (lane & 3) + e % 2, row = first_row + (lane >> 2) + 8 * (e / 2 % 2);
        if (column >= kv_rows || (causal != 0 && column > row)) s[e] = lowest_score;
    }
}

// s becomes probabilities relative to the running maximum; what was summed before is to be multiplied by `rescale`
TSR_DEV void update_softmax(float (&s)[64], float (&highest)[2], float (&sum)[2], float (&rescale)[2], float scale_log2e) {
    TSR_UNROLL
    for (int h = 0; h < 2; ++h) {
        float top = highest[h];
        TSR_UNROLL
        for (int j = 0; j < 16; ++j) top = max_of(top, max_of(s[4 * j + 2 * h], s[4 * j + 2 * h + 1]));
        top = max_of(top, shfl_xor(top, 1));
        top = max_of(top, shfl_xor(top, 2));
        rescale[h] = exp2_approx((highest[h] - top) * scale_log2e);
        highest[h] = top;
        const float shift = -top * scale_log2e;
        float added = 0.0f;
        TSR_UNROLL
        for (int j = 0; j < 16; ++j) {
            TSR_UNROLL
            for (int e = 0; e < 2; ++e) {
                float& x = s[4 * j + 2 * h + e];
                x = exp2_approx(fma_rn(x, scale_log2e, shift));
                added += x;
            }
        }
        sum[h] = sum[h] * rescale[h] + added;
    }
}

TSR_DEV void pack(u32 (&p)[8][4], const float (&s)[64]) {
    TSR_UNROLL
    for (int kk = 0; kk < 8; ++kk) {
        TSR_UNROLL
        for (int i = 0; i < 4; ++i) p[kk][i] = pack_bf16x2(s[8 * kk + 2 * i], s[8 * kk + 2 * i + 1]);
    }
}

TSR_DEV void put_out(const float (&o)[64], const float (&scale)[2], u32 out, int warp, int lane) {
    TSR_UNROLL
    for (int p = 0; p < 8; ++p) {
        u32 r[4];
        TSR_UNROLL
        for (int i = 0; i < 4; ++i) r[i] = pack_bf16x2(o[8 * p + 2 * i] * scale[i % 2], o[8 * p + 2 * i + 1] * scale[i % 2]);
        const int row = warp * 16 + (lane & 7) + (lane >> 3 & 1) * 8, chunk = (p & 3) * 2 + (lane >> 4);
        stmatrix_x4(out + static_cast<u32>(p >> 2) * (q_bytes / 2) + static_cast<u32>(row * 128 + ((chunk ^ (row & 7)) << 4)), r[0], r[1], r[2], r[3]);
    }
}

TSR_DEV void sync_consumer(int consumer) {
    if (consumer == 0) {
        sync_named(1, 128);
    } else {
        sync_named(2, 128);
    }
}

// o over the sums of the rows, by way of the memory of q
TSR_DEV void finish(Place at, const TensorMap* out, const float (&o)[64], float (&sum)[2], int q0, int of_head, int consumer, int warp, int lane) {
    TSR_UNROLL
    for (int h = 0; h < 2; ++h) {
        sum[h] += shfl_xor(sum[h], 1);
        sum[h] += shfl_xor(sum[h], 2);
        sum[h] = div_rn(1.0f, sum[h]);
    }
    put_out(o, sum, at.q(consumer), warp, lane);
    fence_proxy_async();
    sync_consumer(consumer);
    if (warp == 0 && lane == 0) {
        tma_store_3d(out, at.q(consumer), 0, q0 + consumer * 64, of_head);
        tma_store_3d(out, at.q(consumer) + q_bytes / 2, 64, q0 + consumer * 64, of_head);
        tma_store_commit();
        tma_store_wait<0>();
    }
}

TSR_DEV void attend(Place at, const TensorMap* out, int q0, int of_head, int tiles, int kv_rows, int causal, float scale_log2e, int consumer, int warp,
                    int lane) {
    const int first_row = q0 + consumer * 64 + warp * 16;
    float s[64], o[64], highest[2] = {lowest_score, lowest_score}, sum[2] = {0.0f, 0.0f}, rescale[2];
    u32 p[8][4];
    Ring keys{0, 0}, values{0, 0};
    mbar_wait(at.q_full(), 0);
    mbar_wait(at.k_full(0), 0);
    fence_registers(s);
    wgmma_fence();
    multiply_scores(s, at.q(consumer), at.k(0));
    wgmma_commit();
    wgmma_wait<0>();
    fence_registers(s);
    if (lane == 0) {
        mbar_arrive(at.k_empty(0));
    }
    keys.advance();
    mask(s, first_row, 0, kv_rows, causal, lane);
    update_softmax(s, highest, sum, rescale, scale_log2e);
    pack(p, s);
    TSR_NOUNROLL
    for (int tile = 1; tile < tiles; ++tile) {
        mbar_wait(at.k_full(keys.buffer), keys.parity);
        fence_registers(s);
        fence_registers(o);
        wgmma_fence();
        multiply_scores(s, at.q(consumer), at.k(keys.buffer));
        wgmma_commit();
        mbar_wait(at.v_full(values.buffer), values.parity);
        wgmma_fence();
        multiply_values(o, p, at.v(values.buffer), tile > 1);
        wgmma_commit();
        wgmma_wait<1>();
        fence_registers(s);
        if (lane == 0) {
            mbar_arrive(at.k_empty(keys.buffer));
        }
        keys.advance();
        if ((tile + 1) * tile_kv > kv_rows || (causal != 0 && (tile + 1) * tile_kv > first_row)) mask(s, first_row, tile * tile_kv, kv_rows, causal, lane);
        update_softmax(s, highest, sum, rescale, scale_log2e);
        wgmma_wait<0>();
        fence_registers(o);
        if (lane == 0) {
            mbar_arrive(at.v_empty(values.buffer));
        }
        values.advance();
        TSR_UNROLL
        for (int e = 0; e < 64; ++e) o[e] *= rescale[e / 2 % 2];
        pack(p, s);
    }
    mbar_wait(at.v_full(values.buffer), values.parity);
    fence_registers(o);
    wgmma_fence();
    multiply_values(o, p, at.v(values.buffer), tiles > 1);
    wgmma_commit();
    wgmma_wait<0>();
    fence_registers(o);
    finish(at, out, o, sum, q0, of_head, consumer, warp, lane);
}

TSR_KERNEL(threads, 1)
flash_attention(TSR_GRID_CONST TensorMap q, TSR_GRID_CONST TensorMap k, TSR_GRID_CONST TensorMap v, TSR_GRID_CONST TensorMap out, int kv_rows, int causal,
                float scale_log2e) {
    const Place at{smem_base()};
    const int t = tid(), lane = t & 31, group = uniform(t >> 7), warp = uniform(t >> 5 & 3);
    // the longest rows of tiles first
    const int q0 = (grid_x() - 1 - cta_x()) * tile_q, of_head = cta_y(), tiles = tiles_of(q0, kv_rows, causal);
    if (t == 0) {
        mbar_init(at.q_full(), 1);
        for (int b = 0; b < buffers; ++b) {
            mbar_init(at.k_full(b), 1);
            mbar_init(at.v_full(b), 1);
            mbar_init(at.k_empty(b), consumers * 4);
            mbar_init(at.v_empty(b), consumers * 4);
        }
        mbar_fence_init();
    }
    sync_cta();
    if (group == 0) {
        reg_dealloc<24>();
        if (warp == 0 && lane == 0) {
            load_all(at, &q, &k, &v, q0, of_head, tiles);
        }
    } else {
        reg_alloc<240>();
        attend(at, &out, q0, of_head, tiles, kv_rows, causal, scale_log2e, group - 1, warp, lane);
    }
}

}  // namespace flash_sm90
