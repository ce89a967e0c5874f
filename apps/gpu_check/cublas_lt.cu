#include "cublas_lt.h"

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#include <dlfcn.h>

namespace gpu_check {
namespace {

constexpr std::size_t workspace_bytes = 64 << 20;

void* open_library() {
    for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so", "/usr/local/cuda/lib64/libcublasLt.so"})
        if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    return nullptr;
}

void require_blas(cublasStatus_t status, const char* what) {
    if (status != CUBLAS_STATUS_SUCCESS) throw std::runtime_error(std::string(what) + ": cublasStatus " + std::to_string(status));
}

}  // namespace

#define TESSERA_LT_FUNCTIONS(X)                                                                                                        \
    X(cublasLtCreate) X(cublasLtDestroy) X(cublasLtMatmul) X(cublasLtMatmulDescCreate) X(cublasLtMatmulDescDestroy) X(cublasLtMatmulDescSetAttribute) \
    X(cublasLtMatrixLayoutCreate) X(cublasLtMatrixLayoutDestroy) X(cublasLtMatmulPreferenceCreate) X(cublasLtMatmulPreferenceDestroy)     \
    X(cublasLtMatmulPreferenceSetAttribute) X(cublasLtMatmulAlgoGetHeuristic)

struct CublasLt::Impl {
#define TESSERA_DECLARE(name) decltype(&::name) name = nullptr;
    TESSERA_LT_FUNCTIONS(TESSERA_DECLARE)
#undef TESSERA_DECLARE
    cublasLtHandle_t handle = nullptr;
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
    cublasLtMatmulAlgo_t algorithm{};
    GpuArray<char> workspace{workspace_bytes};
    const void *a_at = nullptr, *b_at = nullptr;
    void* c_at = nullptr;

    cublasStatus_t multiply(const cublasLtMatmulAlgo_t& with) {
        const float one = 1, zero = 0;
        // Column-major, C^T (n x m) = B (n x k) A^T: both operands have k as their fast dim.
        return cublasLtMatmul(handle, operation, &one, b_at, b, a_at, a, &zero, c_at, c, c_at, c, &with, workspace.get(), workspace_bytes, nullptr);
    }
    void forget() {
        if (operation != nullptr) cublasLtMatmulDescDestroy(operation);
        for (cublasLtMatrixLayout_t* layout : {&a, &b, &c}) {
            if (*layout != nullptr) cublasLtMatrixLayoutDestroy(*layout);
            *layout = nullptr;
        }
        operation = nullptr;
    }
};

CublasLt::CublasLt() {
    void* library = open_library();
    if (library == nullptr) return;
    auto* impl = new Impl;
#define TESSERA_FIND(name) impl->name = reinterpret_cast<decltype(impl->name)>(dlsym(library, #name));
    TESSERA_LT_FUNCTIONS(TESSERA_FIND)
#undef TESSERA_FIND
    if (impl->cublasLtCreate == nullptr || impl->cublasLtCreate(&impl->handle) != CUBLAS_STATUS_SUCCESS) {
        delete impl;
        return;
    }
    impl_ = impl;
}

CublasLt::~CublasLt() {
    if (impl_ == nullptr) return;
    impl_->forget();
    impl_->cublasLtDestroy(impl_->handle);
    delete impl_;
}

bool CublasLt::prepare(int m, int n, int k, const void* a, const void* b, void* c, const void* bias, Epilogue epilogue) {
    Impl& l = *impl_;
    l.forget();
    l.a_at = a;
    l.b_at = b;
    l.c_at = c;
    require_blas(l.cublasLtMatmulDescCreate(&l.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
    const cublasOperation_t transposed = CUBLAS_OP_T;
    l.cublasLtMatmulDescSetAttribute(l.operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed);
    if (epilogue != Epilogue::none) {
        const cublasLtEpilogue_t kind = epilogue == Epilogue::relu_bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_GELU_BIAS;
        l.cublasLtMatmulDescSetAttribute(l.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &kind, sizeof kind);
        l.cublasLtMatmulDescSetAttribute(l.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
    }
    const auto rows = [](int x) { return static_cast<std::uint64_t>(x); };
    require_blas(l.cublasLtMatrixLayoutCreate(&l.b, CUDA_R_16BF, rows(k), rows(n), k), "layout");
    require_blas(l.cublasLtMatrixLayoutCreate(&l.a, CUDA_R_16BF, rows(k), rows(m), k), "layout");
    require_blas(l.cublasLtMatrixLayoutCreate(&l.c, CUDA_R_16BF, rows(n), rows(m), n), "layout");
    cublasLtMatmulPreference_t preference = nullptr;
    require_blas(l.cublasLtMatmulPreferenceCreate(&preference), "preference");
    l.cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes, sizeof workspace_bytes);
    constexpr int wanted = 16;
    cublasLtMatmulHeuristicResult_t proposed[wanted];
    int found = 0;
    l.cublasLtMatmulAlgoGetHeuristic(l.handle, l.operation, l.b, l.a, l.c, l.c, preference, wanted, proposed, &found);
    l.cublasLtMatmulPreferenceDestroy(preference);
    double best = 0;
    for (int i = 0; i < found; ++i) {
        if (l.multiply(proposed[i].algo) != CUBLAS_STATUS_SUCCESS) continue;
        std::vector<double> times;
        for (int run = 0; run < 5; ++run) times.push_back(milliseconds([&] { l.multiply(proposed[i].algo); }));
        const double time = median(times);
        if (best == 0 || time < best) {
            best = time;
            l.algorithm = proposed[i].algo;
        }
    }
    return best > 0;
}

void CublasLt::run() { require_blas(impl_->multiply(impl_->algorithm), "cublasLtMatmul"); }

}  // namespace gpu_check

#else

namespace gpu_check {
struct CublasLt::Impl {};
CublasLt::CublasLt() = default;
CublasLt::~CublasLt() = default;
bool CublasLt::prepare(int, int, int, const void*, const void*, void*, const void*, Epilogue) { return false; }
void CublasLt::run() {}
}  // namespace gpu_check

#endif
