#pragma once

#include "backend/interpreter/interpreter.h"
#include "cuda/corpus.h"
#include "schedule/loop_tree.h"

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
[[nodiscard]] CorpusBuffers corpus_buffers(const CorpusKernel& kernel, const std::map<std::string, std::int64_t>& extents,
                                           unsigned seed);

/// What is wrong with `got`: where the first cell stands that is too far from `want`; "" when nothing is. Floats may differ by
/// `length` + 2 roundings of the largest value, or not at all where length is 0.
[[nodiscard]] std::string difference(const AnyBuffer& want, const AnyBuffer& got, std::int64_t length);

/// The loop tree of the kernel's schedule for `target`.
[[nodiscard]] LoopTree corpus_tree(const CorpusKernel& kernel, const std::string& target = "cuda-sm_80");

}  // namespace tessera::cuda_test
