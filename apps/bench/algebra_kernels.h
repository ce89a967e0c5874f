// Our kernels of linear algebra and neural networks, compiled ahead of time from generators/. As in tessera_kernels.h.
#pragma once

#include "definitions.h"
#include "tessera_kernels.h"

namespace bench {

[[nodiscard]] OurKernel tessera_matmul(const float* a, const float* b, float* out, MatmulSize, OurSchedule);
/// Under the default schedule, as are the kernels below without a choice.
[[nodiscard]] OurKernel tessera_matmul(const double* a, const double* b, double* out, MatmulSize);
/// gelu(a * b + bias), bias (n).
[[nodiscard]] OurKernel tessera_matmul_gelu(const float* a, const float* b, const float* bias, float* out, MatmulSize,
                                            OurSchedule);

struct RowsSize {
    int rows = 0;
    int columns = 0;
};
/// Softmax of each row.
[[nodiscard]] OurKernel tessera_softmax(const float* in, float* out, RowsSize);
/// Each row less its mean over its deviation, times gamma, plus beta; epsilon 1e-5.
[[nodiscard]] OurKernel tessera_layer_norm(const float* in, const float* gamma, const float* beta, float* out, RowsSize);

/// 3x3, channels last, weights (3, 3, in_channels, out_channels), bias (out_channels); the input is larger by 2 than the output.
[[nodiscard]] OurKernel tessera_convolution(const float* in, const float* weights, const float* bias, float* out,
                                            ConvolutionSize);
/// 3x3 taps (3, 3, in_channels), the input as large as the output, mix (in_channels, out_channels); 32 channels in and 16 out.
[[nodiscard]] OurKernel tessera_separable_conv(const float* in, const float* taps, const float* mix, const float* bias,
                                               float* out, ConvolutionSize, OurSchedule);

}  // namespace bench
