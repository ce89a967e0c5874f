#pragma once

#include "backend/cuda/cuda_source.h"
#include "backend/interpreter/bound_arguments.h"
#include "cuda/corpus_run.h"
#include "emulator/launch.h"
#include "tile/lower.h"

#include <vector>

namespace tessera::cuda_test {

/// The launches of one tile program with one set of arguments, of kernels whose text was compiled for the emulator.
class EmulatedRun {
public:
    EmulatedRun(const Algorithm& algorithm, tile::Program program, std::vector<cuda::EmittedKernel> emitted,
                CorpusBuffers buffers);

    /// Throws emulator::Fault, and std::runtime_error for a kernel that was not compiled.
    void run(emulator::Options options);
    [[nodiscard]] const interpreter::Outputs& outputs() const { return buffers_.outputs; }
    /// Whether indices stay within 32 bits, as the runtime decides it.
    [[nodiscard]] bool is_within_reach() const;

private:
    void launch(const cuda::EmittedKernel& e, const emulator::Options& options);
    void encode(void* map, const cuda::BoxMap& m) const;
    void set(std::uint64_t& word, const cuda::KernelParam& p) const;

    Algorithm algorithm_;
    CorpusBuffers buffers_;
    tile::Program program_;
    std::vector<cuda::EmittedKernel> emitted_;
    interpreter::BoundArguments arguments_;
    std::vector<std::vector<std::vector<char>>> scratch_;  // of every component of every scratch stage
};

}  // namespace tessera::cuda_test
