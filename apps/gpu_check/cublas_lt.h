#pragma once
// cuBLASLt, loaded at run time: C (m x n, row-major) = A (m x k) B^T (n x k), bf16 with f32 sums, by the fastest of the
// algorithms that its heuristic proposes.
#include "gpu_memory.h"

namespace gpu_check {

class CublasLt {
public:
    /// Usable only if there is a library.
    CublasLt();
    ~CublasLt();
    CublasLt(const CublasLt&) = delete;
    CublasLt& operator=(const CublasLt&) = delete;
    [[nodiscard]] bool is_there() const { return impl_ != nullptr; }

    enum class Epilogue { none, relu_bias, gelu_bias };
    /// Picks the algorithm; `bias` (bf16, n) for epilogues. False where the library has none.
    bool prepare(int m, int n, int k, const void* a, const void* b, void* c, const void* bias, Epilogue epilogue);
    void run();

private:
    struct Impl;
    Impl* impl_ = nullptr;
};

}  // namespace gpu_check
