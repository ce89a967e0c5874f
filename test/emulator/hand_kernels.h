#pragma once
// Kernels written by hand, as the emulator runs them, with the numbers of their places that mutation.h counts.
#include "emulator/launch.h"

namespace tsr {
struct bf16;
struct TensorMap;
}  // namespace tsr

namespace tessera::emulator {

struct Places {
    int first, end;
};

struct GemmCase {
    int m, n, k;
    const tsr::bf16 *a, *b;  // the sm_90 kernel takes b transposed
    const float* bias;
    tsr::bf16* c;
};
Counts run_gemm_sm80(const GemmCase& gemm, const Options& options);
Counts run_gemm_sm90(const GemmCase& gemm, const Options& options, int ctas);
Places places_gemm_sm80();
Places places_gemm_sm90();

struct AttentionCase {
    int heads, q_rows, kv_rows;
    const tsr::bf16 *q, *k, *v;
    tsr::bf16* out;
    float scale;
    bool causal = false;
};
/// Heads of 64, not causal.
Counts run_flash_sm80(const AttentionCase& attention, const Options& options);
/// Heads of 128.
Counts run_flash_sm90(const AttentionCase& attention, const Options& options);
Places places_flash_sm80();
Places places_flash_sm90();

}  // namespace tessera::emulator
