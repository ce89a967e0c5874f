#pragma once

#include <tessera/tile_kernel.h>

namespace gpu_kernels {

/// O = softmax(Q K^T / sqrt(head)) V of bf16, for every head: Q(heads, queries, head), K and V(heads, keys, head). `causal`:
/// query i of n sees key j of m where j - m <= i - n; a query that sees none gives 0. lse(heads, queries), f32: the logarithms of
/// the sums of exp(score), 0 of a query that sees none.
struct FlashShape {
    std::int64_t head = 64;
    bool causal = false;
    bool statistics = false;             // the output lse beside: what the backward kernels start from
    std::int64_t rows = 128, keys = 64;  // of a tile of queries and of keys
    std::int64_t warps = 4, buffers = 2, min_ctas = 1;
};
/// The same by warpgroups, of 64 rows each, for cuda-sm_90a.
struct GroupedFlashShape {
    std::int64_t head = 64;
    bool causal = false;
    bool statistics = false;  // the output lse beside: what the backward kernels start from
    std::int64_t groups = 2, keys = 128, buffers = 2;
};

/// What is computed, cell by cell.
[[nodiscard]] tessera::Algorithm attention(const std::string& name, const FlashShape& shape);
/// How: the scores of a tile stay in registers, with a running maximum and sum a row, and what was added up before is rescaled.
/// Source: Dao 2023, "FlashAttention-2: Faster attention with better parallelism and work partitioning", alg. 1.
[[nodiscard]] tessera::TileKernel flash_attention(const std::string& name, const FlashShape& shape);
/// One warpgroup has the copy engine bring keys and values ahead, the others multiply: one does so while another takes
/// exponentials.
[[nodiscard]] tessera::TileKernel flash_attention_grouped(const std::string& name, const GroupedFlashShape& shape);

}  // namespace gpu_kernels
