// The cases of linear algebra and neural networks, against OpenBLAS and oneDNN.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness.h"
#include "rivals/openblas.h"

namespace bench {

/// A kernel at one size; arrays and kernels exist once `make` was called.
struct AlgebraCase {
    std::string name;
    bool quick = false;
    bool rare = false;  // only among all sizes
    std::function<std::vector<Case>()> make;
};

[[nodiscard]] std::vector<AlgebraCase> algebra_cases(const rivals::OpenBlas& blas);

}  // namespace bench
