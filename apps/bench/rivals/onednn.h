// oneDNN, where Debian's libdnnl-dev was installed when the benchmark was built. All arrays are f32, row-major and dense, and
// must outlive the kernels. Weights of convolutions are laid out as the library likes best before the first call.
#pragma once

#include <functional>
#include <string>

#include "algebra_kernels.h"

namespace bench::rivals {

using Kernel = std::function<void()>;

/// "" where oneDNN can run, else why it cannot; then the kernels below are empty.
[[nodiscard]] std::string onednn_problem();
[[nodiscard]] std::string onednn_version();
void use_onednn_threads(int threads);

[[nodiscard]] Kernel onednn_matmul(const float* a, const float* b, float* out, MatmulSize);
/// Bias and GELU (by the error function) as post-operations.
[[nodiscard]] Kernel onednn_matmul_gelu(const float* a, const float* b, const float* bias, float* out, MatmulSize);
[[nodiscard]] Kernel onednn_softmax(const float* in, float* out, RowsSize);
/// Epsilon 1e-5.
[[nodiscard]] Kernel onednn_layer_norm(const float* in, const float* gamma, const float* beta, float* out, RowsSize);
[[nodiscard]] Kernel onednn_convolution(const float* in, const float* weights, const float* bias, float* out, ConvolutionSize);

}  // namespace bench::rivals
