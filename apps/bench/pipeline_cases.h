// The cases of pipelines whose arithmetic is what their generator says: ours and every rival must agree.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "definitions.h"
#include "harness.h"

namespace bench {

/// A pipeline that can be measured; arrays and kernels exist once `make` was called.
struct PipelineCase {
    std::string name;
    bool quick = false;
    std::function<std::vector<Case>()> make;
};

[[nodiscard]] std::vector<PipelineCase> pipeline_cases(Size2 photo);

}  // namespace bench
