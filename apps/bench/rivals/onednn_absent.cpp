// Stands in for onednn.cpp where the benchmark is built without the library.
#include "onednn.h"

namespace bench::rivals {

std::string onednn_problem() { return "the benchmark was built without oneDNN (Debian: libdnnl-dev)"; }
std::string onednn_version() { return onednn_problem(); }
void use_onednn_threads(int) {}
Kernel onednn_matmul(const float*, const float*, float*, MatmulSize) { return {}; }
Kernel onednn_matmul_gelu(const float*, const float*, const float*, float*, MatmulSize) { return {}; }
Kernel onednn_softmax(const float*, float*, RowsSize) { return {}; }
Kernel onednn_layer_norm(const float*, const float*, const float*, float*, RowsSize) { return {}; }
Kernel onednn_convolution(const float*, const float*, const float*, float*, ConvolutionSize) { return {}; }

}  // namespace bench::rivals
