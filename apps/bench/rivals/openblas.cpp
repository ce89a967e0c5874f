#include "openblas.h"

#include <cstdlib>

#include <dlfcn.h>

#include <fmt/format.h>

namespace bench::rivals {
namespace {

constexpr int row_major = 101;
constexpr int not_transposed = 111;

template <typename F>
void find(void* library, const char* symbol, F& function) {
    function = reinterpret_cast<F>(dlsym(library, symbol));
}

}  // namespace

OpenBlas::OpenBlas(const std::string& path) {
    setenv("OPENBLAS_THREAD_TIMEOUT", "20", 0);  // 2^20 clock ticks
    for (const char* choice : {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"}) unsetenv(choice);
    void* const library = path.empty() ? nullptr : dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        problem_ =
            path.empty() ? "no OpenBLAS was given (--openblas FILE)" : fmt::format("OpenBLAS cannot be loaded: {}", dlerror());
        return;
    }
    Gemm<float> sgemm = nullptr;
    find(library, "scipy_cblas_sgemm", sgemm);
    find(library, "scipy_cblas_dgemm", dgemm_);
    find(library, "scipy_openblas_set_num_threads", set_threads_);
    find(library, "scipy_openblas_get_config", config_);
    find(library, "scipy_openblas_get_corename", core_name_);
    if (sgemm && dgemm_ && set_threads_ && config_ && core_name_) {
        sgemm_ = sgemm;
    } else {
        problem_ = fmt::format("{} lacks a symbol of scipy-openblas32", path);
    }
}

std::string OpenBlas::version() const { return available() ? fmt::format("{}; kernels {}", config_(), core_name_()) : problem_; }

std::function<void()> OpenBlas::matmul(const float* a, const float* b, float* out, MatmulSize size) const {
    return [=, sgemm = sgemm_] {
        sgemm(row_major, not_transposed, not_transposed, size.m, size.n, size.k, 1.0f, a, size.k, b, size.n, 0.0f, out, size.n);
    };
}

std::function<void()> OpenBlas::matmul(const double* a, const double* b, double* out, MatmulSize size) const {
    return [=, dgemm = dgemm_] {
        dgemm(row_major, not_transposed, not_transposed, size.m, size.n, size.k, 1.0, a, size.k, b, size.n, 0.0, out, size.n);
    };
}

}  // namespace bench::rivals
