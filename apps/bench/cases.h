// The cases of the benchmark: arrays, contestants, comparisons.
#pragma once

#include <string>
#include <vector>

#include "harness.h"
#include "rivals/openblas.h"

namespace bench {

struct CaseOptions {
    bool quick = false;             // one size per kernel
    std::vector<std::string> only;  // names, or their beginnings; empty: all
};

/// Every case that `only` asks for. `blas` must outlive them.
[[nodiscard]] std::vector<Case> benchmark_cases(const CaseOptions&, const rivals::OpenBlas& blas);

}  // namespace bench
