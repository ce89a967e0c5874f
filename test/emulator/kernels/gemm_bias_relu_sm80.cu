// C(m, n) = relu(sum over k of A(m, k) B(k, n) + bias(n)): bf16, sums in f32, C in bf16.
// tile m 128, n 128, k 32; 4 warps of 64 x 64; 3 buffers filled by cp.async; mma m16n8k16.
namespace gemm_sm80 {
using namespace tsr;

constexpr int tile_m = 128, tile_n = 128, tile_k = 32, buffers = 3, threads = 128;
constexpr u32 a_bytes = tile_m * tile_k * 2, buffer_bytes = a_bytes + tile_k * tile_n * 2, shared_bytes = buffers * buffer_bytes;

// Offsets of 16-byte chunks: the xor lets eight rows of a column lie in eight groups of banks.
TSR_DEV u32 a_chunk(int row, int chunk) { return static_cast<u32>(row * 64 + ((chunk ^ (row >> 1 & 3)) << 4)); }
TSR_DEV u32 b_chunk(int row, int chunk) { return static_cast<u32>(row * 256 + ((chunk ^ (row & 7)) << 4)); }

TSR_DEV void fill(u32 buffer, const bf16* a, const bf16* b, int m0, int n0, int k0, int m, int n, int k) {
    const int t = tid();
    TSR_UNROLL
    for (int i = 0; i < tile_m * tile_k / 8 / threads; ++i) {
        const int id = t + i * threads, row = id >> 2, chunk = id & 3, gm = m0 + row, gk = k0 + chunk * 8;
        const bool valid = gm < m && gk < k;
        cp_async16(buffer + a_chunk(row, chunk), a + (valid ? static_cast<i64>(gm) * k + gk : 0), valid);
    }
    TSR_UNROLL
    for (int i = 0; i < tile_k * tile_n / 8 / threads; ++i) {
        const int id = t + i * threads, row = id >> 4, chunk = id & 15, gk = k0 + row, gn = n0 + chunk * 8;
        const bool valid = gk < k && gn < n;
        cp_async16(buffer + a_bytes + b_chunk(row, chunk), b + (valid ? static_cast<i64>(gk) * n + gn : 0), valid);
    }
}

TSR_DEV void multiply(float (&c)[4][8][4], u32 buffer, int wm, int wn, int lane) {
    TSR_UNROLL
    for (int kk = 0; kk < tile_k / 16; ++kk) {
        u32 a[4][4], b[4][4];
        TSR_UNROLL
        for (int i = 0; i < 4; ++i) ldmatrix_x4(a[i], buffer + a_chunk(wm + i * 16 + (lane & 15), kk * 2 + (lane >> 4)));
        TSR_UNROLL
        for (int j = 0; j < 4; ++j)
            ldmatrix_x4_trans(b[j], buffer + a_bytes + b_chunk(kk * 16 + (lane & 15), (wn >> 3) + j * 2 + (lane >> 4)));
        TSR_UNROLL
        for (int i = 0; i < 4; ++i) {
            TSR_UNROLL
            for (int j = 0; j < 8; ++j) mma_m16n8k16_bf16(c[i][j], a[i], b[j >> 1][(j & 1) * 2], b[j >> 1][(j & 1) * 2 + 1]);
        }
    }
}

TSR_KERNEL(threads, 2)
gemm_bias_relu(const bf16* __restrict__ a, const bf16* __restrict__ b, const float* __restrict__ bias, bf16* __restrict__ c, int m, int n,
               int k) {
    const u32 smem = smem_base();
    const int lane = tid() & 31, warp = tid() >> 5;
    const int m0 = cta_y() * tile_m, n0 = cta_x() * tile_n, wm = (warp >> 1) * 64, wn = (warp & 1) * 64;
    float acc[4][8][4];
    TSR_UNROLL
    for (int i = 0; i < 4; ++i) {
        TSR_UNROLL
        for (int j = 0; j < 8; ++j) {
            TSR_UNROLL
            for (int e = 0; e < 4; ++e) acc[i][j][e] = 0.0f;
        }
    }
    const int tiles = (k + tile_k - 1) / tile_k;
    TSR_UNROLL
    for (int s = 0; s < buffers - 1; ++s) {
        if (s < tiles) fill(smem + static_cast<u32>(s) * buffer_bytes, a, b, m0, n0, s * tile_k, m, n, k);
        cp_async_commit();
    }
    int reads = 0, writes = buffers - 1;
    TSR_NOUNROLL
    for (int kt = 0; kt < tiles; ++kt) {
        cp_async_wait<buffers - 2>();
        sync_cta();
        if (kt + buffers - 1 < tiles)
            fill(smem + static_cast<u32>(writes) * buffer_bytes, a, b, m0, n0, (kt + buffers - 1) * tile_k, m, n, k);
        cp_async_commit();
        multiply(acc, smem + static_cast<u32>(reads) * buffer_bytes, wm, wn, lane);
        reads = reads + 1 == buffers ? 0 : reads + 1;
        writes = writes + 1 == buffers ? 0 : writes + 1;
    }
    TSR_UNROLL
    for (int j = 0; j < 8; ++j) {
        const int gn = n0 + wn + j * 8 + (lane & 3) * 2;
        if (gn >= n) continue;
        const float bias0 = ldg(bias + gn), bias1 = ldg(bias + gn + 1);
        TSR_UNROLL
        for (int i = 0; i < 4; ++i) {
            TSR_UNROLL
            for (int h = 0; h < 2; ++h) {
                const int gm = m0 + wm + i * 16 + (lane >> 2) + h * 8;
                const float v0 = max_of(acc[i][j][h * 2] + bias0, 0.0f), v1 = max_of(acc[i][j][h * 2 + 1] + bias1, 0.0f);
                if (gm < m) stg(c + static_cast<i64>(gm) * n + gn, pack_bf16x2(v0, v1));
            }
        }
    }
}

}  // namespace gemm_sm80
