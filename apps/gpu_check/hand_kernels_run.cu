// The hand-written kernels on a GPU: right over odd and large shapes, and how fast beside cuBLASLt. Compiled with the device functions in
// front.
#include <cuda.h>

#include <cmath>
#include <cstring>
#include <functional>

#include <kernels/flash_attention_sm80.cu>
#include <kernels/gemm_bias_relu_sm80.cu>
#if TESSERA_HOPPER
#include <kernels/flash_attention_sm90.cu>
#include <kernels/gemm_bias_relu_sm90.cu>
#endif

#include "cublas_lt.h"

namespace gpu_check {
namespace {

using tsr::bf16;

// Uniform in [-1, 1): random operands, since zeros run faster than numbers do.
__global__ void fill_random(bf16* p, std::size_t count, unsigned seed) {
    for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < count; i += std::size_t{gridDim.x} * blockDim.x) {
        unsigned x = static_cast<unsigned>(i) * 2654435761u ^ seed;
        x = (x ^ x >> 15) * 2246822519u;
        p[i] = tsr::f32_to_bf16(static_cast<float>(static_cast<int>(x ^ x >> 13)) * 0x1p-31f);
    }
}

/// wanted[r][j] = relu(sum A(row, k) B + bias) for every `step`-th row.
__global__ void reference_rows(const bf16* a, const bf16* b, const float* bias, float* wanted, int n, int k, int step, bool b_transposed) {
    const int j = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), row = static_cast<int>(blockIdx.y) * step;
    if (j >= n) return;
    float sum = 0;
    for (int t = 0; t < k; ++t) {
        const std::size_t at = b_transposed ? static_cast<std::size_t>(j) * k + t : static_cast<std::size_t>(t) * n + j;
        sum = fmaf(tsr::bf16_to_f32(a[static_cast<std::size_t>(row) * k + t]), tsr::bf16_to_f32(b[at]), sum);
    }
    wanted[blockIdx.y * static_cast<std::size_t>(n) + j] = fmaxf(sum + bias[j], 0.0f);
}

struct Gemm {
    int m, n, k;
    bool b_transposed;
    GpuArray<bf16> a, b, c, bias_bf16;
    GpuArray<float> bias;

    Gemm(int rows, int columns, int depth, bool transposed)
        : m(rows), n(columns), k(depth), b_transposed(transposed), a(size(rows, depth)), b(size(columns, depth)), c(size(rows, columns)),
          bias_bf16(static_cast<std::size_t>(columns)), bias(static_cast<std::size_t>(columns)) {
        fill_random<<<512, 256>>>(a.get(), a.size(), 1);
        fill_random<<<512, 256>>>(b.get(), b.size(), 2);
        bias_bf16.set_bytes(0);
        std::vector<float> values(bias.size());
        for (std::size_t j = 0; j < values.size(); ++j) values[j] = static_cast<float>(j % 7) - 3;
        bias.assign(values);
        c.set_bytes(0xff);
    }
    static std::size_t size(int rows, int columns) { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns); }

    /// Relative error of some rows.
    [[nodiscard]] double error() const {
        const int step = std::max(1, m / 61), rows = (m + step - 1) / step;
        GpuArray<float> wanted(size(rows, n));
        reference_rows<<<dim3(static_cast<unsigned>((n + 127) / 128), static_cast<unsigned>(rows)), 128>>>(a.get(), b.get(), bias.get(), wanted.get(), n, k,
                                                                                                       step, b_transposed);
        require(cudaGetLastError(), "reference_rows");
        const std::vector<float> right = wanted.read();
        const std::vector<bf16> all = c.read();
        double difference = 0, sum = 0;
        for (int r = 0; r < rows; ++r)
            for (int j = 0; j < n; ++j) {
                const bf16 got = all[size(r * step, n) + static_cast<std::size_t>(j)];
                std::uint32_t bits = static_cast<std::uint32_t>(got.x) << 16;
                float value = 0;
                std::memcpy(&value, &bits, 4);
                const double w = right[size(r, n) + static_cast<std::size_t>(j)];
                difference += (value - w) * (value - w);
                sum += w * w;
            }
        return std::sqrt(difference / sum);
    }
};

void run_sm80(const Gemm& g) {
    namespace kernel = gemm_sm80;
    require(cudaFuncSetAttribute(kernel::gemm_bias_relu, cudaFuncAttributeMaxDynamicSharedMemorySize, kernel::shared_bytes), "shared memory");
    const dim3 grid(static_cast<unsigned>((g.n + kernel::tile_n - 1) / kernel::tile_n), static_cast<unsigned>((g.m + kernel::tile_m - 1) / kernel::tile_m));
    kernel::gemm_bias_relu<<<grid, kernel::threads, kernel::shared_bytes>>>(g.a.get(), g.b.get(), g.bias.get(), g.c.get(), g.m, g.n, g.k);
    require(cudaGetLastError(), "gemm_sm80");
}

#if TESSERA_HOPPER
tsr::TensorMap row_major_map(const GpuArray<bf16>& array, int rows, int columns, int box_rows) {
    tsr::TensorMap map{};
    const auto width = static_cast<std::uint64_t>(columns);
    encode_tensor_map(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, array.get(), {width, static_cast<std::uint64_t>(rows)}, {2 * width},
                      {64, static_cast<std::uint32_t>(box_rows)}, 128);
    return map;
}

/// A launch that may be repeated: the maps are encoded once.
std::function<void()> prepared_sm90(const Gemm& g) {
    namespace kernel = gemm_sm90;
    require(cudaFuncSetAttribute(kernel::gemm_bias_relu, cudaFuncAttributeMaxDynamicSharedMemorySize, kernel::shared_bytes), "shared memory");
    const tsr::TensorMap a = row_major_map(g.a, g.m, g.k, kernel::tile_m), b = row_major_map(g.b, g.n, g.k, kernel::tile_n / kernel::cluster),
                         c = row_major_map(g.c, g.m, g.n, 64);
    int multiprocessors = 0;
    require(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0), "multiprocessors");
    const int ctas = multiprocessors / kernel::cluster * kernel::cluster;
    return [=, &g] {
        kernel::gemm_bias_relu<<<ctas, kernel::threads, kernel::shared_bytes>>>(a, b, c, g.bias.get(), g.m, g.n, g.k);
        require(cudaGetLastError(), "gemm_sm90");
    };
}
#endif

// bf16 results of right f32 sums have half of this; without one k-step of 8192 the error is above.
constexpr double gemm_error_limit = 5e-3;

bool check(const char* name, double error, double limit, int m, int n, int k) {
    const bool right = error < limit;  // false for a NaN
    std::printf("%s %s %d x %d x %d: relative error %.2e\n", right ? "right" : "WRONG", name, m, n, k, error);
    return right;
}

struct Attention {
    int heads, q_rows, kv_rows, head;
    bool causal;
    GpuArray<bf16> q, k, v, out;

    Attention(int head_count, int rows, int keys, int head_size, bool is_causal = false)
        : heads(head_count), q_rows(rows), kv_rows(keys), head(head_size), causal(is_causal), q(size(rows)), k(size(keys)), v(size(keys)), out(size(rows)) {
        fill_random<<<512, 256>>>(q.get(), q.size(), 3);
        fill_random<<<512, 256>>>(k.get(), k.size(), 4);
        fill_random<<<512, 256>>>(v.get(), v.size(), 5);
        out.set_bytes(0xff);
    }
    [[nodiscard]] std::size_t size(int rows) const {
        return static_cast<std::size_t>(heads) * static_cast<std::size_t>(rows) * static_cast<std::size_t>(head);
    }
    [[nodiscard]] dim3 grid(int tile) const { return {static_cast<unsigned>((q_rows + tile - 1) / tile), static_cast<unsigned>(heads)}; }
    [[nodiscard]] double operations() const {
        const double all = 4.0 * heads * q_rows * static_cast<double>(kv_rows) * head;
        return causal ? all / 2 : all;
    }
};

constexpr float attention_scale = 0.125f, scale_log2e = attention_scale * 1.44269504f;

std::function<void()> prepared_flash_sm80(const Attention& a) {
    return [&a] {
        flash_sm80::flash_attention<<<a.grid(flash_sm80::tile_q), flash_sm80::threads, flash_sm80::shared_bytes>>>(a.q.get(), a.k.get(), a.v.get(),
                                                                                                                 a.out.get(), a.q_rows, a.kv_rows, scale_log2e);
        require(cudaGetLastError(), "flash_sm80");
    };
}

#if TESSERA_HOPPER
std::function<void()> prepared_flash_sm90(const Attention& a) {
    namespace kernel = flash_sm90;
    require(cudaFuncSetAttribute(kernel::flash_attention, cudaFuncAttributeMaxDynamicSharedMemorySize, kernel::shared_bytes), "shared memory");
    const auto heads_map = [&a](const GpuArray<bf16>& array, int rows, int box_rows) {
        tsr::TensorMap map{};
        const auto count = static_cast<std::uint64_t>(rows);
        encode_tensor_map(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, array.get(), {128, count, static_cast<std::uint64_t>(a.heads)}, {256, 256 * count},
                          {64, static_cast<std::uint32_t>(box_rows), 1}, 128);
        return map;
    };
    const tsr::TensorMap q = heads_map(a.q, a.q_rows, 64), k = heads_map(a.k, a.kv_rows, kernel::tile_kv), v = heads_map(a.v, a.kv_rows, kernel::tile_kv),
                         out = heads_map(a.out, a.q_rows, 64);
    return [=, &a] {
        kernel::flash_attention<<<a.grid(kernel::tile_q), kernel::threads, kernel::shared_bytes>>>(q, k, v, out, a.kv_rows, a.causal ? 1 : 0, scale_log2e);
        require(cudaGetLastError(), "flash_sm90");
    };
}
#endif

__global__ void reference_attention(const bf16* q, const bf16* k, const bf16* v, const bf16* out, int q_rows, int kv_rows, int head, bool causal,
                                    double* errors) {
    // one thread for a row: slow and plain
    const int row = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), of_head = static_cast<int>(blockIdx.y);
    if (row >= q_rows) return;
    const bf16* const own = q + (static_cast<std::size_t>(of_head) * q_rows + row) * head;
    double o[128] = {}, sum = 0;
    for (int j = 0; j < kv_rows && !(causal && j > row); ++j) {
        const std::size_t at = (static_cast<std::size_t>(of_head) * kv_rows + j) * head;
        double score = 0;
        for (int d = 0; d < head; ++d) score += static_cast<double>(tsr::bf16_to_f32(own[d])) * tsr::bf16_to_f32(k[at + d]);
        const double p = exp(score * attention_scale);
        sum += p;
        for (int d = 0; d < head; ++d) o[d] += p * tsr::bf16_to_f32(v[at + d]);
    }
    double difference = 0, size = 0;
    for (int d = 0; d < head; ++d) {
        const double w = o[d] / sum, got = tsr::bf16_to_f32(out[(static_cast<std::size_t>(of_head) * q_rows + row) * head + d]);
        difference += (got - w) * (got - w);
        size += w * w;
    }
    atomicAdd(errors, difference);
    atomicAdd(errors + 1, size);
}

double attention_error(const Attention& a) {
    GpuArray<double> errors(2);
    errors.set_bytes(0);
    reference_attention<<<a.grid(32), 32>>>(a.q.get(), a.k.get(), a.v.get(), a.out.get(), a.q_rows, a.kv_rows, a.head, a.causal, errors.get());
    const std::vector<double> sums = errors.read();
    return std::sqrt(sums[0] / sums[1]);
}

void report_attention(Results& results, const char* name, const Attention& a, const std::function<void()>& run) {
    for (int i = 0; i < 3; ++i) run();
    std::vector<double> times;
    for (int i = 0; i < 20; ++i) times.push_back(milliseconds(run));
    const double ms = median(times), tflops = a.operations() / ms / 1e9;
    results.add(text("{\"row\": \"%s\", \"heads\": %d, \"rows\": %d, \"head\": %d, \"causal\": %s, \"ms\": %.4f, \"tflops\": %.1f}", name, a.heads, a.q_rows, a.head,
                     a.causal ? "true" : "false", ms, tflops),
                text("%s %d heads x %d rows, head %d%s: %.1f TFLOP/s", name, a.heads, a.q_rows, a.head, a.causal ? ", causal" : "", tflops));
}

}  // namespace

int run_correctness(const std::string& kernel) {
    bool right = true;
    struct Row {
        int m, n, k;
    };
    if (kernel == "gemm_sm80")
        for (const Row r : {Row{128, 128, 32}, {130, 136, 72}, {1, 8, 160}, {1000, 1032, 520}, {4096, 4096, 4096}}) {
            const Gemm g(r.m, r.n, r.k, false);
            run_sm80(g);
            right = check("gemm_sm80", g.error(), gemm_error_limit, r.m, r.n, r.k) && right;
        }
#if TESSERA_HOPPER
    if (kernel == "gemm_sm90")
        for (const Row r : {Row{256, 256, 64}, {264, 264, 328}, {8, 8, 8}, {1000, 1032, 520}, {4096, 4096, 4096}, {8192, 8192, 8192}}) {
            const Gemm g(r.m, r.n, r.k, true);
            prepared_sm90(g)();
            right = check("gemm_sm90", g.error(), gemm_error_limit, r.m, r.n, r.k) && right;
        }
#endif
    // Values average out, so that what the rounding of probabilities and of the result leaves is larger than in a product.
    constexpr double limit = 2e-2;
    if (kernel == "flash_sm80")
        for (const Row r : {Row{2, 128, 192}, {1, 1, 1}, {3, 70, 130}, {16, 1024, 1024}}) {
            const Attention a(r.m, r.n, r.k, 64);
            prepared_flash_sm80(a)();
            right = check("flash_sm80", attention_error(a), limit, r.m, r.n, r.k) && right;
        }
#if TESSERA_HOPPER
    if (kernel == "flash_sm90")
        for (const bool causal : {false, true})
            for (const Row r : {Row{2, 128, 192}, {1, 1, 1}, {3, 300, 300}, {16, 1024, 1024}}) {
                const Attention a(r.m, r.n, r.k, 128, causal);
                prepared_flash_sm90(a)();
                right = check(causal ? "flash_sm90 causal" : "flash_sm90", attention_error(a), limit, r.m, r.n, r.k) && right;
            }
#endif
    require(cudaDeviceSynchronize(), "the kernels");
    return right ? 0 : 1;
}

int run_ceilings(Results& results) {
    constexpr std::size_t bytes = std::size_t{1} << 30;
    GpuArray<char> from(bytes), to(bytes);
    from.set_bytes(1);
    std::vector<double> times;
    for (int i = 0; i < 12; ++i) {
        const double ms = milliseconds([&] { require(cudaMemcpyAsync(to.get(), from.get(), bytes, cudaMemcpyDeviceToDevice), "copy"); });
        if (i >= 2) times.push_back(ms);
    }
    const double rate = 2.0 * bytes / median(times) / 1e6;
    results.add(text("{\"row\": \"copy\", \"gb_per_s\": %.0f}", rate), text("copy, bytes read and written: %.0f GB/s", rate));
    CublasLt blas;
    Gemm g(8192, 8192, 8192, true);
    if (!blas.is_there() || !blas.prepare(g.m, g.n, g.k, g.a.get(), g.b.get(), g.c.get(), nullptr, CublasLt::Epilogue::none)) {
        results.add("{\"row\": \"cublasLt\", \"missing\": true}", "cuBLASLt: not there");
        return 0;
    }
    times.clear();
    for (int i = 0; i < 20; ++i) times.push_back(milliseconds([&] { blas.run(); }));
    const double tflops = 2.0 * 8192 * 8192 * 8192 / median(times) / 1e9;
    results.add(text("{\"row\": \"cublasLt bf16 8192\", \"tflops\": %.1f}", tflops), text("cuBLASLt bf16 8192 x 8192 x 8192, random data: %.1f TFLOP/s", tflops));
    return 0;
}

int run_benchmark(Results& results) {
    CublasLt blas;
    if (!blas.is_there()) {
        std::printf("cuBLASLt is not there: nothing to compare with\n");
        return 1;
    }
    struct Row {
        int m, n, k;
    };
    for (const Row r : {Row{8192, 8192, 8192}, {4096, 4096, 4096}, {16384, 8192, 4096}, {1024, 1024, 1024}, {1000, 1032, 520}}) {
        const double work = 2.0 * r.m * r.n * r.k / 1e9;
        const auto report = [&](const char* name, const char* rival, const Pairs& p, double error) {
            results.add(text("{\"row\": \"%s\", \"rival\": \"%s\", \"m\": %d, \"n\": %d, \"k\": %d, \"tflops\": %.1f, \"rival_tflops\": %.1f, \"ratio\": %.4f, "
                             "\"low\": %.4f, \"high\": %.4f, \"error\": %.2e}",
                             name, rival, r.m, r.n, r.k, work / p.ours_ms, work / p.rival_ms, p.ratio, p.interval.low, p.interval.high, error),
                        text("%-22s %5d x %5d x %5d: %6.1f TFLOP/s, %s %6.1f, ratio %.3f [%.3f, %.3f]%s", name, r.m, r.n, r.k, work / p.ours_ms, rival,
                             work / p.rival_ms, p.ratio, p.interval.low, p.interval.high, error < gemm_error_limit ? "" : "  WRONG"));
        };
        Gemm g(r.m, r.n, r.k, true);
        GpuArray<bf16> theirs(g.c.size());
        const bool plain = blas.prepare(r.m, r.n, r.k, g.a.get(), g.b.get(), theirs.get(), nullptr, CublasLt::Epilogue::none);
        if (plain) report("A/A cuBLASLt", "itself", interleaved([&] { blas.run(); }, [&] { blas.run(); }), 0);
#if TESSERA_HOPPER
        const std::function<void()> ours = prepared_sm90(g);
        ours();
        const double error = g.error();
        if (plain) report("gemm_sm90 bias relu", "cuBLASLt plain", interleaved(ours, [&] { blas.run(); }), error);
        if (blas.prepare(r.m, r.n, r.k, g.a.get(), g.b.get(), theirs.get(), g.bias_bf16.get(), CublasLt::Epilogue::relu_bias))
            report("gemm_sm90 bias relu", "cuBLASLt bias relu", interleaved(ours, [&] { blas.run(); }), error);
#else
        Gemm other(r.m, r.n, r.k, false);
        run_sm80(other);
        if (plain) report("gemm_sm80 bias relu", "cuBLASLt plain", interleaved([&] { run_sm80(other); }, [&] { blas.run(); }), other.error());
#endif
    }
    for (const int rows : {1024, 4096, 16384}) {
        const Attention small(16, rows, rows, 64);
        report_attention(results, "flash_sm80", small, prepared_flash_sm80(small));
#if TESSERA_HOPPER
        for (const bool causal : {false, true}) {
            const Attention large(16, rows, rows, 128, causal);
            report_attention(results, "flash_sm90", large, prepared_flash_sm90(large));
        }
#endif
    }
    return 0;
}

}  // namespace gpu_check
