#include "emulator/hand_kernels.h"

#include "emulator/emulated_device.h"
#include "emulator/mutation.h"

// The kernels' texts stand outside every namespace, as they do for nvcc.
namespace {
constexpr int gemm_sm80_first = __COUNTER__ + 1;
}
#include "emulator/kernels/gemm_bias_relu_sm80.cu"
namespace {
constexpr int flash_sm80_first = __COUNTER__ + 1;
}
#include "emulator/kernels/flash_attention_sm80.cu"
namespace {
constexpr int gemm_sm90_first = __COUNTER__ + 1;
}
#include "emulator/kernels/gemm_bias_relu_sm90.cu"
namespace {
constexpr int flash_sm90_first = __COUNTER__ + 1;
}
#include "emulator/kernels/flash_attention_sm90.cu"
namespace {
constexpr int flash_sm90_end = __COUNTER__;

int tiles(int extent, int tile) { return (extent + tile - 1) / tile; }

/// Heads of 128 columns, in boxes of 64.
tsr::TensorMap heads_map(const tsr::bf16* base, int heads, int rows, std::uint32_t box_rows) {
    tsr::TensorMap map{};
    const auto count = static_cast<std::uint64_t>(rows);
    tessera::emulator::encode_tensor_map(&map, {const_cast<tsr::bf16*>(base),
                                                2,
                                                {128, count, static_cast<std::uint64_t>(heads)},
                                                {256, 256 * count},
                                                {64, box_rows, 1},
                                                128});
    return map;
}

tsr::TensorMap row_major_map(const tsr::bf16* base, int rows, int columns, std::uint32_t box_rows, std::uint32_t box_columns) {
    tsr::TensorMap map{};
    const auto width = static_cast<std::uint64_t>(columns);
    tessera::emulator::encode_tensor_map(
        &map,
        {const_cast<tsr::bf16*>(base), 2, {width, static_cast<std::uint64_t>(rows)}, {2 * width}, {box_columns, box_rows}, 128});
    return map;
}
}  // namespace

namespace tessera::emulator {

int skipped_place = -1;

Counts run_gemm_sm80(const GemmCase& g, const Options& options) {
    namespace kernel = gemm_sm80;
    const Shape shape{.grid_x = tiles(g.n, kernel::tile_n),
                      .grid_y = tiles(g.m, kernel::tile_m),
                      .threads = kernel::threads,
                      .shared_bytes = kernel::shared_bytes};
    return launch(shape, options, [&] { kernel::gemm_bias_relu(g.a, g.b, g.bias, g.c, g.m, g.n, g.k); });
}

Counts run_gemm_sm90(const GemmCase& g, const Options& options, int ctas) {
    namespace kernel = gemm_sm90;
    const tsr::TensorMap a = row_major_map(g.a, g.m, g.k, kernel::tile_m, kernel::tile_k);
    const tsr::TensorMap b = row_major_map(g.b, g.n, g.k, kernel::tile_n / kernel::cluster, kernel::tile_k);
    const tsr::TensorMap c = row_major_map(g.c, g.m, g.n, 64, 64);
    const Shape shape{
        .grid_x = ctas, .threads = kernel::threads, .shared_bytes = kernel::shared_bytes, .cluster_x = kernel::cluster};
    return launch(shape, options, [&] { kernel::gemm_bias_relu(a, b, c, g.bias, g.m, g.n, g.k); });
}

Counts run_flash_sm80(const AttentionCase& a, const Options& options) {
    namespace kernel = flash_sm80;
    const Shape shape{.grid_x = tiles(a.q_rows, kernel::tile_q),
                      .grid_y = a.heads,
                      .threads = kernel::threads,
                      .shared_bytes = kernel::shared_bytes};
    const float scale_log2e = a.scale * 1.44269504f;
    return launch(shape, options, [&] { kernel::flash_attention(a.q, a.k, a.v, a.out, a.q_rows, a.kv_rows, scale_log2e); });
}

Counts run_flash_sm90(const AttentionCase& a, const Options& options) {
    namespace kernel = flash_sm90;
    const tsr::TensorMap q = heads_map(a.q, a.heads, a.q_rows, 64), k = heads_map(a.k, a.heads, a.kv_rows, kernel::tile_kv),
                         v = heads_map(a.v, a.heads, a.kv_rows, kernel::tile_kv), out = heads_map(a.out, a.heads, a.q_rows, 64);
    const Shape shape{.grid_x = tiles(a.q_rows, kernel::tile_q),
                      .grid_y = a.heads,
                      .threads = kernel::threads,
                      .shared_bytes = kernel::shared_bytes};
    const float scale_log2e = a.scale * 1.44269504f;
    return launch(shape, options, [&] { kernel::flash_attention(q, k, v, out, a.kv_rows, a.causal ? 1 : 0, scale_log2e); });
}

Places places_gemm_sm80() { return {gemm_sm80_first, flash_sm80_first - 1}; }
Places places_flash_sm80() { return {flash_sm80_first, gemm_sm90_first - 1}; }
Places places_gemm_sm90() { return {gemm_sm90_first, flash_sm90_first - 1}; }
Places places_flash_sm90() { return {flash_sm90_first, flash_sm90_end}; }

}  // namespace tessera::emulator
