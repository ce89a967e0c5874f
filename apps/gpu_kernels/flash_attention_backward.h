#pragma once

#include <tessera/tile_kernel.h>

namespace gpu_kernels {

/// The derivatives of attention() by Q, K and V, of bf16, from the cotangent dO of its result, in two kernels. Both start from
/// lse, which the forward kernel gives with `statistics`, and compute the weights exp(score - lse) again. No sum depends on the
/// order in which blocks run: the bits are the same in every run.
struct FlashBackwardShape {
    std::int64_t head = 64;
    bool causal = false;
    std::int64_t rows = 64, keys = 64;  // of a tile of queries and of keys
    std::int64_t warps = 4, buffers = 2, min_ctas = 1;
};
/// Tiles for which the registers of a thread do, in less than 100 KB of shared memory. Where a warp owns 32 rows rather than 16,
/// products load half as much from there.
[[nodiscard]] inline FlashBackwardShape shape_by_queries(std::int64_t head, bool causal) {
    return {head, causal, head <= 64 ? 128 : 64, head <= 64 ? 32 : 64};
}
[[nodiscard]] inline FlashBackwardShape shape_by_keys(std::int64_t head, bool causal) {
    return {head, causal, 32, head <= 64 ? 128 : 64};
}

/// dQ of (Q, K, V, O, dO, lse), and delta(heads, queries) = sum of dO O, f32.
[[nodiscard]] tessera::Algorithm attention_by_queries(const FlashBackwardShape& shape);
/// dK and dV of (Q, K, V, dO, lse, delta).
[[nodiscard]] tessera::Algorithm attention_by_keys(const FlashBackwardShape& shape);

/// Blocks own queries and go over the keys; each warp has `rows` / `warps` of them, a multiple of 16.
[[nodiscard]] tessera::TileKernel flash_attention_by_queries(const FlashBackwardShape& shape);
/// Blocks own keys, `keys` / `warps` a warp, and go over the queries. Scores are turned, so that weights lie in registers as the
/// left factors that they are.
/// Source of both: Dao 2023, "FlashAttention-2: Faster attention with better parallelism and work partitioning", alg. 2.
[[nodiscard]] tessera::TileKernel flash_attention_by_keys(const FlashBackwardShape& shape);

}  // namespace gpu_kernels
