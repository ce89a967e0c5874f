// OpenBLAS from the scipy-openblas32 wheel, loaded at run time.
#pragma once

#include <functional>
#include <string>

#include "definitions.h"

namespace bench::rivals {

class OpenBlas {
public:
    /// Loads the shared library at `path` (libscipy_openblas.so). When it cannot, `available` is false and `problem` says why.
    /// Sets OPENBLAS_THREAD_TIMEOUT, unless it is set, so that idle workers sleep after 0.5 ms instead of spinning for 100 ms on
    /// the processor of the next program. Clears OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE: the rival picks its best kernels itself.
    explicit OpenBlas(const std::string& path);

    [[nodiscard]] bool available() const { return sgemm_ != nullptr; }
    [[nodiscard]] const std::string& problem() const { return problem_; }
    /// Version, options and the kernels in use.
    [[nodiscard]] std::string version() const;

    /// out = a * b, row-major and dense. The arrays must outlive the result.
    [[nodiscard]] std::function<void()> matmul(const float* a, const float* b, float* out, MatmulSize) const;
    [[nodiscard]] std::function<void()> matmul(const double* a, const double* b, double* out, MatmulSize) const;
    void use_threads(int threads) const { set_threads_(threads); }

private:
    template <typename T>
    using Gemm = void (*)(int order, int trans_a, int trans_b, int m, int n, int k, T alpha, const T* a, int lda, const T* b,
                          int ldb, T beta, T* c, int ldc);
    Gemm<float> sgemm_ = nullptr;
    Gemm<double> dgemm_ = nullptr;
    void (*set_threads_)(int) = nullptr;
    char* (*config_)() = nullptr;
    char* (*core_name_)() = nullptr;
    std::string problem_;
};

}  // namespace bench::rivals
