#pragma once

#include "backend/cuda/cuda_source.h"

#include <string>
#include <vector>

namespace tessera::cuda_test {

/// What the emulator compiles of kernels: the emitted text, a switch before every synchronisation, a call of every kernel by its
/// name.
[[nodiscard]] std::string emulated_source(const std::vector<cuda::EmittedKernel>& kernels, const Target& target,
                                          const std::string& comment);

}  // namespace tessera::cuda_test
