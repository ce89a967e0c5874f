#pragma once

#include "backend/interpreter/interpreter.h"
#include "cuda/corpus.h"
#include "tile/async_copy.h"
#include "tile/lower.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace tessera::cuda_test {

/// Buffers of one case of a corpus kernel: inputs of some spread, the same on every run; outputs by name.
struct CorpusBuffers {
    interpreter::Inputs inputs;
    interpreter::Outputs outputs;
};
/// Rows of inputs start at multiples of `row_cells` cells; what lies between them is NaN or all ones.
[[nodiscard]] CorpusBuffers corpus_buffers(const CorpusKernel& kernel, const std::map<std::string, std::int64_t>& extents,
                                           unsigned seed, std::int64_t row_cells = 1);
/// From the first cell to behind the last one.
[[nodiscard]] std::size_t span_bytes(const AnyBuffer& buffer);
/// Whether the copies of a program may be asynchronous with these buffers, as the runtime decides it.
[[nodiscard]] bool fits_alignments(const tile::Program& program, const CorpusBuffers& buffers);

/// What is wrong with `got`: where the first cell stands that is too far from `want`; "" when nothing is. Floats may differ by
/// `length` + 2 roundings of the largest value, or not at all where length is 0.
[[nodiscard]] std::string difference(const AnyBuffer& want, const AnyBuffer& got, std::int64_t length);

/// The loop tree of the kernel's schedule for `target`.
[[nodiscard]] LoopTree corpus_tree(const CorpusKernel& kernel, const std::string& target);
/// Its program for the least target that runs it.
[[nodiscard]] tile::Program corpus_program(const CorpusKernel& kernel, tile::Copies copies = tile::Copies::as_scheduled);
[[nodiscard]] tile::Program corpus_program(const CorpusKernel& kernel, const Target& target,
                                           tile::Copies copies = tile::Copies::as_scheduled);

}  // namespace tessera::cuda_test
