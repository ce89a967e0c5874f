#pragma once

#include "backend/cuda/cuda_source.h"
#include "tile/lower.h"

#include <string>
#include <vector>

namespace tessera {

/// The tile program of one schedule. Throws what bind() and tile::lower() throw, and L0901 for an algorithm that works in place.
[[nodiscard]] tile::Program cuda_program(const Algorithm& algorithm, const Schedule& schedule, const Target& target,
                                         tile::Copies copies = tile::Copies::as_scheduled);

/// Its kernels as a CUDA file with definition and `how` it is computed, schedule or kernel, in the head.
struct CudaFile {
    std::vector<cuda::EmittedKernel> kernels;
    std::string source;
};
[[nodiscard]] CudaFile cuda_file(const tile::Program& program, const std::string& how, const Target& target,
                                 const std::string& prefix, cuda::IndexWidth width = cuda::IndexWidth::narrow);

}  // namespace tessera
