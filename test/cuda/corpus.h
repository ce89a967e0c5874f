#pragma once

#include <tessera/schedule.h>
#include <tessera/tessera.h>
#include <tessera/tile_kernel.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tessera::cuda_test {

/// An algorithm with a schedule for the GPU, and extents of its inputs' dims to run it with.
struct CorpusKernel {
    std::string name;
    Algorithm algorithm;
    Schedule schedule;
    /// By the names of dims that inputs bind; the first case is the smallest.
    std::vector<std::map<std::string, std::int64_t>> cases;
    std::int64_t length = 1;  // of reductions, for tolerances; 0: bits must be equal
    /// Rows of inputs start at multiples of so many cells, as asynchronous copies ask for.
    std::int64_t row_cells = 1;
    std::string target = "cuda-sm_80";                 // the least that runs it
    std::optional<TileKernel> written = {};            // instead of the schedule
    std::map<std::string, std::int64_t> lengths = {};  // of outputs with another length

    [[nodiscard]] std::int64_t length_of(const std::string& output) const {
        const auto own = lengths.find(output);
        return own == lengths.end() ? length : own->second;
    }
};
/// Whether a target of the tests runs the kernel.
[[nodiscard]] bool runs_on(const CorpusKernel& kernel, const std::string& target);

[[nodiscard]] const std::vector<CorpusKernel>& corpus();
/// Whether the emulator has the kernel with indices of 64 bits as well.
[[nodiscard]] bool is_emulated_wide(const CorpusKernel& kernel);
/// Those of them that multiply by tensor cores.
[[nodiscard]] std::vector<CorpusKernel> tensor_core_corpus();
/// Those that chain products, whose values stay in registers.
[[nodiscard]] std::vector<CorpusKernel> attention_corpus();
/// Those that are written tile by tile.
[[nodiscard]] std::vector<CorpusKernel> written_corpus();
[[nodiscard]] const CorpusKernel& corpus_kernel(const std::string& name);

}  // namespace tessera::cuda_test
