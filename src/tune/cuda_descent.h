#pragma once

#include <tessera/algorithm.h>
#include <tessera/schedule.h>
#include <tessera/target.h>

#include "tune/schedule_descent.h"

#include <optional>
#include <string>
#include <vector>

namespace tessera::tune {

/// What a sum of products is, for the decisions about it: C(b…, m, n) of sums over k of A and B.
struct CudaProduct {
    std::string definition, sum;  // stages: what reads the sum at its own point alone, and the sum
    struct Factor {
        std::string of;  // the Input or stage
        std::vector<std::string> dims;
        bool along_k = false;  // k is its last dim
    };
    Factor left, right;
    std::vector<std::string> batch;
    std::string m, n, k;
    std::int64_t cell_bytes = 4;  // of the factors
    std::int64_t out_bytes = 4;   // of the definition
    std::string atom;             // of warps: "m16n8k16"; "" where the factors have none
    bool grouped = false;         // warpgroups multiply them
};

/// A definition at root with a thread a cell, or with a row a block.
struct CudaDefinition {
    std::string stage;
    std::vector<std::string> dims;
    bool row = false;  // a block has a row, or several stages are computed in it: only its threads are chosen
};

/// A definition that the default keeps at root for one reader, itself such a definition.
struct CudaProducer {
    std::string stage, reader;
    std::vector<std::string> dims;
};

/// What there is to decide about schedules of an algorithm for a GPU.
struct CudaPlan {
    Schedule initial;               // the default, on which decisions build
    std::int64_t shared_bytes = 0;  // a block may have
    bool grouped = false;           // the target has warpgroups' products, the copy engine and clusters
    std::vector<CudaProduct> products;
    std::vector<CudaDefinition> definitions;
    std::vector<CudaProducer> producers;
};
[[nodiscard]] CudaPlan cuda_plan(const Algorithm& algorithm, const Target& target);

/// The schedule of a sequence of decisions; the first value of each is the default's. Domains leave out what exceeds threads,
/// shared memory and accumulators; whether all of them go together is what lowering the schedule says.
[[nodiscard]] Schedule descend_cuda(const CudaPlan& plan, const Choose& choose);

/// The values of the decision "<definition>.product" in order: "default", "threads", "warps", "warpgroups".
[[nodiscard]] const std::vector<std::string>& product_words();
/// Of "<stage>.kept": "root", "inline", "shared".
[[nodiscard]] const std::vector<std::string>& kept_words();

}  // namespace tessera::tune
