// The cases of the benchmark: arrays, contestants, comparisons.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness.h"
#include "rivals/openblas.h"

namespace bench {

struct CaseOptions {
    bool quick = false;             // one size of the kernels that are quick to measure
    bool usual = true;              // one size per kernel, the main ones
    bool tuned = false;             // those with schedules in schedules/tuned too, against tuned rivals only
    std::vector<std::string> only;  // names, or their beginnings; empty: all
};

/// Calls `measure` with every case that is asked for; arrays and kernels exist only while the cases of one function are measured.
void for_each_case(const CaseOptions&, const rivals::OpenBlas& blas, const std::function<void(const Case&)>& measure);

}  // namespace bench
