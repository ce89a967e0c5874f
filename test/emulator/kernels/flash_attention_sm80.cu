// O = softmax(scale Q K^T) V for every head: bf16, head size 64, sums in f32.
// tile q 64 (16 rows a warp), kv 64; 2 buffers filled by cp.async; running maximum and sum; the probabilities stay in registers: the
// fragment of m16n8 sums is the A fragment of the second product.
namespace flash_sm80 {
using namespace tsr;

constexpr int tile_q = 64, tile_kv = 64, head = 64, buffers = 2, threads = 128;
constexpr u32 tile_bytes = 64 * head * 2, shared_bytes = tile_bytes * (1 + 2 * buffers);
constexpr float lowest_score = -1e30f;

TSR_DEV u32 chunk_at(int row, int chunk) { return static_cast<u32>(row * 128 + ((chunk ^ (row & 7)) << 4)); }

TSR_DEV void fill(u32 to, const bf16* from, int first_row, int rows) {
    TSR_UNROLL
    for (int i = 0; i < 64 * 8 / threads; ++i) {
        const int id = tid() + i * threads, row = id >> 3, chunk = id & 7;
        const bool valid = first_row + row < rows;
        cp_async16(to + chunk_at(row, chunk), from + (valid ? static_cast<i64>(first_row + row) * head + chunk * 8 : 0), valid);
    }
}

// s = q k^T for the 16 rows of the warp
TSR_DEV void multiply_scores(float (&s)[8][4], const u32 (&q)[4][4], u32 keys, int lane) {
    TSR_UNROLL
    for (int kk = 0; kk < 4; ++kk) {
        TSR_UNROLL
        for (int j = 0; j < 4; ++j) {
            u32 b[4];
            ldmatrix_x4(b, keys + chunk_at(j * 16 + (lane & 7) + (lane >> 4 << 3), kk * 2 + (lane >> 3 & 1)));
            mma_m16n8k16_bf16(s[2 * j], q[kk], b[0], b[1]);
            mma_m16n8k16_bf16(s[2 * j + 1], q[kk], b[2], b[3]);
        }
    }
}

// s becomes the probabilities relative to the running maximum; what was summed before is rescaled
TSR_DEV void update_softmax(float (&s)[8][4], float (&o)[8][4], float (&highest)[2], float (&sum)[2], float scale_log2e) {
    TSR_UNROLL
    for (int h = 0; h < 2; ++h) {
        float top = highest[h];
        TSR_UNROLL
        for (int j = 0; j < 8; ++j) top = max_of(top, max_of(s[j][2 * h], s[j][2 * h + 1]));
        top = max_of(top, shfl_xor(top, 1));
        top = max_of(top, shfl_xor(top, 2));
        const float rescale = exp2_approx((highest[h] - top) * scale_log2e);
        highest[h] = top;
        float added = 0.0f;
        TSR_UNROLL
        for (int j = 0; j < 8; ++j) {
            TSR_UNROLL
            for (int e = 0; e < 2; ++e) {
                s[j][2 * h + e] = exp2_approx((s[j][2 * h + e] - top) * scale_log2e);
                added += s[j][2 * h + e];
                o[j][2 * h + e] *= rescale;
            }
        }
        sum[h] = sum[h] * rescale + added;
    }
}

TSR_DEV void multiply_values(float (&o)[8][4], const float (&s)[8][4], u32 values, int lane) {
    TSR_UNROLL
    for (int kk = 0; kk < 4; ++kk) {
        const u32 p[4] = {pack_bf16x2(s[2 * kk][0], s[2 * kk][1]), pack_bf16x2(s[2 * kk][2], s[2 * kk][3]),
                          pack_bf16x2(s[2 * kk + 1][0], s[2 * kk + 1][1]), pack_bf16x2(s[2 * kk + 1][2], s[2 * kk + 1][3])};
        TSR_UNROLL
        for (int j = 0; j < 4; ++j) {
            u32 b[4];
            ldmatrix_x4_trans(b, values + chunk_at(kk * 16 + (lane & 15), j * 2 + (lane >> 4)));
            mma_m16n8k16_bf16(o[2 * j], p, b[0], b[1]);
            mma_m16n8k16_bf16(o[2 * j + 1], p, b[2], b[3]);
        }
    }
}

TSR_KERNEL(threads, 2)
flash_attention(const bf16* __restrict__ queries, const bf16* __restrict__ keys, const bf16* __restrict__ values, bf16* __restrict__ out,
                int q_rows, int kv_rows, float scale_log2e) {
    const u32 smem = smem_base();
    const int lane = tid() & 31, warp = tid() >> 5, q0 = cta_x() * tile_q;
    const i64 q_head = static_cast<i64>(cta_y()) * q_rows * head, kv_head = static_cast<i64>(cta_y()) * kv_rows * head;
    const auto key_tile = [&](int buffer) { return smem + tile_bytes * static_cast<u32>(1 + 2 * buffer); };
    const auto value_tile = [&](int buffer) { return smem + tile_bytes * static_cast<u32>(2 + 2 * buffer); };
    fill(smem, queries + q_head, q0, q_rows);
    fill(key_tile(0), keys + kv_head, 0, kv_rows);
    fill(value_tile(0), values + kv_head, 0, kv_rows);
    cp_async_commit();
    u32 q[4][4];
    float o[8][4], highest[2] = {lowest_score, lowest_score}, sum[2] = {0.0f, 0.0f};
    TSR_UNROLL
    for (int j = 0; j < 8; ++j) {
        TSR_UNROLL
        for (int e = 0; e < 4; ++e) o[j][e] = 0.0f;
    }
    const int tiles = (kv_rows + tile_kv - 1) / tile_kv;
    TSR_NOUNROLL
    for (int kt = 0; kt < tiles; ++kt) {
        const int buffer = kt & 1;
        if (kt + 1 < tiles) {
            fill(key_tile(buffer ^ 1), keys + kv_head, (kt + 1) * tile_kv, kv_rows);
            fill(value_tile(buffer ^ 1), values + kv_head, (kt + 1) * tile_kv, kv_rows);
        }
        cp_async_commit();
        cp_async_wait<1>();
        sync_cta();
        if (kt == 0) {
            TSR_UNROLL
            for (int kk = 0; kk < 4; ++kk) ldmatrix_x4(q[kk], smem + chunk_at(warp * 16 + (lane & 15), kk * 2 + (lane >> 4)));
        }
        float s[8][4];
        TSR_UNROLL
        for (int j = 0; j < 8; ++j) {
            TSR_UNROLL
            for (int e = 0; e < 4; ++e) s[j][e] = 0.0f;
        }
        multiply_scores(s, q, key_tile(buffer), lane);
        TSR_UNROLL
        for (int j = 0; j < 8; ++j) {
            TSR_UNROLL
            for (int e = 0; e < 4; ++e)
                if (kt * tile_kv + j * 8 + (lane & 3) * 2 + (e & 1) >= kv_rows) s[j][e] = lowest_score;
        }
        update_softmax(s, o, highest, sum, scale_log2e);
        multiply_values(o, s, value_tile(buffer), lane);
        sync_cta();
    }
    TSR_UNROLL
    for (int h = 0; h < 2; ++h) {
        sum[h] += shfl_xor(sum[h], 1);
        sum[h] += shfl_xor(sum[h], 2);
        const float scale = div_rn(1.0f, sum[h]);
        const int row = q0 + warp * 16 + (lane >> 2) + 8 * h;
        TSR_UNROLL
        for (int j = 0; j < 8; ++j)
            if (row < q_rows)
                stg(out + q_head + static_cast<i64>(row) * head + j * 8 + (lane & 3) * 2,
                    pack_bf16x2(o[j][2 * h] * scale, o[j][2 * h + 1] * scale));
    }
}

}  // namespace flash_sm80
