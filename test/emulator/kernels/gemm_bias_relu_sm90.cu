// C(m, n) = relu(sum over k of A(m, k) B(n, k) + bias(n)): bf16, sums in f32, C in bf16.
// tile m 128, n 256, k 64; 4 buffers; clusters of 2 CTAs along m that share the loads of B; one warpgroup loads (40 registers), two
// multiply 64 x 256 each (232); wgmma m64n256k16, one group in flight; CTAs take tile after tile, groups of 8 along m.
namespace gemm_sm90 {
using namespace tsr;

constexpr int tile_m = 128, tile_n = 256, tile_k = 64, buffers = 4, cluster = 2, consumers = 2, threads = 128 * (1 + consumers);
constexpr int raster_group = 8;
constexpr u32 a_bytes = tile_m * tile_k * 2, b_bytes = tile_n * tile_k * 2, buffer_bytes = a_bytes + b_bytes;
constexpr u32 out_bytes = 64 * 128 * 2;  // of a consumer, half of its columns
constexpr u32 b_begin = buffers * a_bytes, out_begin = buffers * buffer_bytes, barriers_begin = out_begin + consumers * out_bytes;
constexpr u32 shared_bytes = barriers_begin + 2 * buffers * 8;
static_assert(shared_bytes <= 232448);

struct Tile {
    int m, n;
};

// The order of tiles: rows in groups, so that what is in the L2 cache is used again.
TSR_DEV Tile tile_at(int id, int m_tiles, int n_tiles) {
    const int of_group = raster_group * n_tiles, group = id / of_group, first = group * raster_group;
    const int rows = m_tiles - first < raster_group ? m_tiles - first : raster_group, within = id - group * of_group;
    return {first + within % rows, within / rows};
}

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
    TSR_DEV u32 a(int buffer) const { return smem + static_cast<u32>(buffer) * a_bytes; }
    TSR_DEV u32 b(int buffer) const { return smem + b_begin + static_cast<u32>(buffer) * b_bytes; }
    TSR_DEV u32 full(int buffer) const { return smem + barriers_begin + static_cast<u32>(buffer) * 8; }
    TSR_DEV u32 empty(int buffer) const { return smem + barriers_begin + static_cast<u32>(buffers + buffer) * 8; }
    TSR_DEV u32 out(int consumer) const { return smem + out_begin + static_cast<u32>(consumer) * out_bytes; }
};

TSR_DEV void load_tiles(Place at, const TensorMap* a, const TensorMap* b, int m, int n, int k) {
    const int m_tiles = (m + tile_m * cluster - 1) / (tile_m * cluster), n_tiles = (n + tile_n - 1) / tile_n;
    const int k_tiles = (k + tile_k - 1) / tile_k, rank = static_cast<int>(cluster_rank());
    Ring ring{0, 1};  // of a fresh barrier the phase before the first is over
    for (int id = cta_x() / cluster; id < m_tiles * n_tiles; id += grid_x() / cluster) {
        const Tile tile = tile_at(id, m_tiles, n_tiles);
        const int m0 = (tile.m * cluster + rank) * tile_m, n0 = tile.n * tile_n;
        for (int kt = 0; kt < k_tiles; ++kt) {
            mbar_wait(at.empty(ring.buffer), ring.parity);
            mbar_expect_tx(at.full(ring.buffer), buffer_bytes);
            tma_load_2d(at.a(ring.buffer), a, at.full(ring.buffer), kt * tile_k, m0);
            tma_load_2d_multicast(at.b(ring.buffer) + static_cast<u32>(rank) * (b_bytes / cluster), b, at.full(ring.buffer), kt * tile_k,
                                  n0 + rank * (tile_n / cluster), (1 << cluster) - 1);
            ring.advance();
        }
    }
    // The peer still arrives at barriers of this CTA.
    for (int i = 0; i < buffers; ++i) {
        mbar_wait(at.empty(ring.buffer), ring.parity);
        ring.advance();
    }
}

TSR_DEV void multiply_tile(float (&acc)[128], Place at, Ring& ring, int k_tiles, int consumer, int lane) {
    int before = -1;
    for (int kt = 0; kt < k_tiles; ++kt) {
        mbar_wait(at.full(ring.buffer), ring.parity);
        TSR_UNROLL
        for (int i = 0; i < 128; ++i) reg_fence(acc[i]);
        wgmma_fence();
        const u64 a = desc_k_sw128(at.a(ring.buffer) + static_cast<u32>(consumer) * 64 * 128), b = desc_k_sw128(at.b(ring.buffer));
        TSR_UNROLL
        for (int kk = 0; kk < tile_k / 16; ++kk)
            wgmma_m64n256k16_bf16(acc, a + static_cast<u64>(kk * 2), b + static_cast<u64>(kk * 2), (kt | kk) != 0);
        wgmma_commit();
        TSR_UNROLL
        for (int i = 0; i < 128; ++i) reg_fence(acc[i]);
        wgmma_wait<1>();
        if (before >= 0 && lane < cluster) {
            mbar_arrive_remote(at.empty(before), static_cast<u32>(lane));
        }
        before = ring.buffer;
        ring.advance();
    }
    wgmma_wait<0>();
    TSR_UNROLL
    for (int i = 0; i < 128; ++i) reg_fence(acc[i]);
    if (lane < cluster) {
        mbar_arrive_remote(at.empty(before), static_cast<u32>(lane));
    }
}

// The barrier's number is a literal: for one in a register ptxas reserves all 16.
TSR_DEV void sync_consumer(int consumer) {
    if (consumer == 0) {
        sync_named(1, 128);
    } else {
        sync_named(2, 128);
    }
}

// 128 columns: registers to shared memory, swizzled as the map has it
TSR_DEV void put_half(const float* acc, u32 out, const float* bias, int n0, int n, int warp, int lane) {
    TSR_UNROLL
    for (int p = 0; p < 8; ++p) {
        u32 r[4];
        TSR_UNROLL
        for (int q = 0; q < 2; ++q) {
            const int column = n0 + p * 16 + q * 8 + (lane & 3) * 2;
            const float bias0 = column < n ? ldg(bias + column) : 0.0f, bias1 = column + 1 < n ? ldg(bias + column + 1) : 0.0f;
            TSR_UNROLL
            for (int h = 0; h < 2; ++h)
                r[q * 2 + h] = pack_bf16x2(max_of(acc[p * 8 + q * 4 + h * 2] + bias0, 0.0f),
                                           max_of(acc[p * 8 + q * 4 + h * 2 + 1] + bias1, 0.0f));
        }
        const int row = warp * 16 + (lane & 7) + (lane >> 3 & 1) * 8, chunk = (p & 3) * 2 + (lane >> 4);
        stmatrix_x4(out + static_cast<u32>((p >> 2) * 8192 + row * 128 + ((chunk ^ (row & 7)) << 4)), r[0], r[1], r[2], r[3]);
    }
}

TSR_DEV void multiply_tiles(Place at, const TensorMap* c, const float* bias, int m, int n, int k, int consumer, int warp, int lane) {
    const int m_tiles = (m + tile_m * cluster - 1) / (tile_m * cluster), n_tiles = (n + tile_n - 1) / tile_n;
    const int k_tiles = (k + tile_k - 1) / tile_k, rank = static_cast<int>(cluster_rank());
    Ring ring{0, 0};
    for (int id = cta_x() / cluster; id < m_tiles * n_tiles; id += grid_x() / cluster) {
        const Tile tile = tile_at(id, m_tiles, n_tiles);
        const int m0 = (tile.m * cluster + rank) * tile_m + consumer * 64, n0 = tile.n * tile_n;
        float acc[128];
        multiply_tile(acc, at, ring, k_tiles, consumer, lane);
        TSR_UNROLL
        for (int half = 0; half < 2; ++half) {
            if (warp == 0 && lane == 0) {
                tma_store_wait_read<0>();
            }
            sync_consumer(consumer);
            put_half(acc + half * 64, at.out(consumer), bias, n0 + half * 128, n, warp, lane);
            fence_proxy_async();
            sync_consumer(consumer);
            if (warp == 0 && lane == 0) {
                tma_store_2d(c, at.out(consumer), n0 + half * 128, m0);
                tma_store_2d(c, at.out(consumer) + 8192, n0 + half * 128 + 64, m0);
                tma_store_commit();
            }
        }
    }
    if (warp == 0 && lane == 0) {
        tma_store_wait<0>();
    }
}

TSR_KERNEL(threads, 1)
TSR_CLUSTER(cluster)
gemm_bias_relu(TSR_GRID_CONST TensorMap a, TSR_GRID_CONST TensorMap b, TSR_GRID_CONST TensorMap c, const float* __restrict__ bias, int m,
               int n, int k) {
    const Place at{smem_base()};
    const int t = tid(), lane = t & 31, group = uniform(t >> 7), warp = uniform(t >> 5 & 3);
    if (t == 0) {
        for (int s = 0; s < buffers; ++s) {
            mbar_init(at.full(s), 1);
            mbar_init(at.empty(s), cluster * consumers * 4);  // every consumer warp of the cluster
        }
        mbar_fence_init();
    }
    cluster_sync();
    if (group == 0) {
        reg_dealloc<40>();
        if (warp == 0 && lane == 0) {
            tma_prefetch_desc(&a);
            tma_prefetch_desc(&b);
            load_tiles(at, &a, &b, m, n, k);
        }
    } else {
        reg_alloc<232>();
        multiply_tiles(at, &c, bias, m, n, k, group - 1, warp, lane);
    }
}

}  // namespace gemm_sm90
