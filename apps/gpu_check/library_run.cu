// Functions of a library that Tessera compiled ahead of time, called through its C header as a program calls them: right, and how fast
// beside the copy of as many bytes, or cuBLASLt.
#include "gpu_memory.h"

#if __has_include(<gpu_speed.h>)
#include <gpu_speed.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>

#include "cublas_lt.h"

namespace gpu_check {
namespace {

void require_call(int status, const char* what) {
    if (status != TESSERA_OK) throw std::runtime_error(std::string(what) + ": " + tessera_last_error());
}

__global__ void fill_floats(float* p, std::size_t count, unsigned seed) {
    for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < count; i += std::size_t{gridDim.x} * blockDim.x) {
        unsigned x = static_cast<unsigned>(i) * 2654435761u ^ seed;
        x = (x ^ x >> 15) * 2246822519u;
        p[i] = static_cast<float>(static_cast<int>(x ^ x >> 13)) * 0x1p-31f;
    }
}
__global__ void round_to_bf16(const float* from, std::uint16_t* to, std::size_t count) {
    for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < count; i += std::size_t{gridDim.x} * blockDim.x)
        to[i] = static_cast<std::uint16_t>((__float_as_uint(from[i]) + 0x8000u) >> 16);
}

/// Dense numbers on the GPU and the description that a call takes.
class Tensor {
public:
    Tensor(std::vector<std::int64_t> extents, int dtype, unsigned seed = 0)
        : extents_(std::move(extents)), data_(count() * (dtype == TESSERA_F32 ? 4 : 2)) {
        buffer_.data = data_.get();
        buffer_.extents = extents_.data();
        buffer_.rank = static_cast<std::int32_t>(extents_.size());
        buffer_.dtype = dtype;
        buffer_.device_type = TESSERA_DEVICE_CUDA;
        data_.set_bytes(0xff);
        if (seed == 0) return;
        if (dtype == TESSERA_F32) {
            fill_floats<<<512, 256>>>(reinterpret_cast<float*>(data_.get()), count(), seed);
        } else {
            GpuArray<float> wide(count());
            fill_floats<<<512, 256>>>(wide.get(), count(), seed);
            round_to_bf16<<<512, 256>>>(wide.get(), reinterpret_cast<std::uint16_t*>(data_.get()), count());
            require(cudaDeviceSynchronize(), "fill");
        }
        require(cudaGetLastError(), "fill");
    }
    [[nodiscard]] std::size_t count() const {
        std::size_t n = 1;
        for (const std::int64_t e : extents_) n *= static_cast<std::size_t>(e);
        return n;
    }
    [[nodiscard]] double bytes() const { return static_cast<double>(data_.size()); }
    [[nodiscard]] tessera_buffer* get() { return &buffer_; }
    [[nodiscard]] void* data() const { return data_.get(); }
    [[nodiscard]] std::vector<float> floats(std::size_t first, std::size_t number) const {
        std::vector<float> out(number);
        if (buffer_.dtype == TESSERA_F32) {
            require(cudaMemcpy(out.data(), data_.get() + 4 * first, 4 * number, cudaMemcpyDeviceToHost), "copy from the GPU");
            return out;
        }
        std::vector<std::uint16_t> words(number);
        require(cudaMemcpy(words.data(), data_.get() + 2 * first, 2 * number, cudaMemcpyDeviceToHost), "copy from the GPU");
        for (std::size_t i = 0; i < number; ++i) {
            const std::uint32_t bits = static_cast<std::uint32_t>(words[i]) << 16;
            std::memcpy(&out[i], &bits, 4);
        }
        return out;
    }

private:
    std::vector<std::int64_t> extents_;
    GpuArray<char> data_;
    tessera_buffer buffer_{};
};

/// |got - wanted| over |wanted|.
double relative_error(const std::vector<float>& got, const std::vector<double>& wanted) {
    double difference = 0, sum = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        difference += (got[i] - wanted[i]) * (got[i] - wanted[i]);
        sum += wanted[i] * wanted[i];
    }
    return std::sqrt(difference / sum);
}

/// Rows of the derivatives of attention of the last head, summed up in f64. What a row of keys needs of every query, lse and delta, is
/// the kernels'; of the rows of queries that are asked for it is compared.
class BackwardSums {
public:
    BackwardSums(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& given, const Tensor& lse, const Tensor& delta, std::int64_t rows,
                 std::int64_t head, bool causal)
        : rows_(rows), width_(head), causal_(causal), root_(1 / std::sqrt(static_cast<double>(head))), q_(matrix(q)), k_(matrix(k)), v_(matrix(v)),
          given_(matrix(given)), lse_(lse.floats(15 * rows, rows)), delta_(delta.floats(15 * rows, rows)) {}

    [[nodiscard]] double query_error(const Tensor& dq, std::int64_t i) const {
        const std::int64_t seen = causal_ ? i + 1 : rows_;
        double total = 0, delta = 0;
        for (std::int64_t j = 0; j < seen; ++j) {
            const double p = std::exp(dot(q_, i, k_, j) * root_);
            total += p;
            delta += p * dot(given_, i, v_, j);
        }
        delta /= total;
        std::vector<double> wanted(width_);
        for (std::int64_t j = 0; j < seen; ++j) add(wanted, std::exp(dot(q_, i, k_, j) * root_) / total * (dot(given_, i, v_, j) - delta) * root_, k_, j);
        // delta is summed up from results that were rounded to bf16
        return std::max({relative_error(row_of(dq, i), wanted), std::fabs(lse_[i] - std::log(total)), std::fabs(delta_[i] - delta)});
    }
    [[nodiscard]] double key_error(const Tensor& dk, const Tensor& dv, std::int64_t j) const {
        std::vector<double> by_key(width_), by_value(width_);
        for (std::int64_t i = causal_ ? j : 0; i < rows_; ++i) {
            const double p = std::exp(dot(q_, i, k_, j) * root_ - lse_[i]);
            add(by_value, p, given_, i);
            add(by_key, p * (dot(given_, i, v_, j) - delta_[i]) * root_, q_, i);
        }
        return std::max(relative_error(row_of(dk, j), by_key), relative_error(row_of(dv, j), by_value));
    }

private:
    [[nodiscard]] std::vector<float> matrix(const Tensor& t) const { return t.floats(15 * rows_ * width_, rows_ * width_); }
    [[nodiscard]] std::vector<float> row_of(const Tensor& t, std::int64_t row) const { return t.floats((15 * rows_ + row) * width_, width_); }
    [[nodiscard]] double dot(const std::vector<float>& a, std::int64_t i, const std::vector<float>& b, std::int64_t j) const {
        double sum = 0;
        for (std::int64_t d = 0; d < width_; ++d) sum += static_cast<double>(a[i * width_ + d]) * b[j * width_ + d];
        return sum;
    }
    void add(std::vector<double>& to, double factor, const std::vector<float>& a, std::int64_t i) const {
        for (std::int64_t d = 0; d < width_; ++d) to[d] += factor * a[i * width_ + d];
    }

    std::int64_t rows_, width_;
    bool causal_;
    double root_;
    std::vector<float> q_, k_, v_, given_, lse_, delta_;
};

class Comparison {
public:
    explicit Comparison(Results& results) : results_(results) {}

    /// A function that moves `bytes`, beside a copy that moves as many.
    void memory_bound(const char* name, const std::function<int()>& call, double bytes, double error, double limit) {
        const auto half = static_cast<std::size_t>(bytes / 2);
        GpuArray<char> from(half), to(half);
        from.set_bytes(1);
        const auto ours = [&] { require_call(call(), name); };
        const Pairs p = interleaved(ours, [&] {
            require(cudaMemcpyAsync(to.get(), from.get(), half, cudaMemcpyDeviceToDevice), "copy");
        });
        const bool right = error < limit;
        is_right_ = is_right_ && right;
        results_.add(text("{\"row\": \"library %s\", \"rival\": \"copy\", \"gb_per_s\": %.0f, \"rival_gb_per_s\": %.0f, \"ratio\": %.4f, \"low\": %.4f, "
                          "\"high\": %.4f, \"error\": %.2e}",
                          name, bytes / p.ours_ms / 1e6, bytes / p.rival_ms / 1e6, p.ratio, p.interval.low, p.interval.high, error),
                     text("library %-17s %5.0f GB/s, copy %5.0f, ratio %.3f [%.3f, %.3f]%s", name, bytes / p.ours_ms / 1e6,
                          bytes / p.rival_ms / 1e6, p.ratio, p.interval.low, p.interval.high, right ? "" : text("  WRONG %.2e", error).c_str()));
    }

    void product(const char* name, decltype(&product_relu) function, CublasLt::Epilogue epilogue, int m, int n, int k) {
        Tensor a({m, k}, TESSERA_BF16, 1), b({n, k}, TESSERA_BF16, 2), bias({n}, TESSERA_F32, 3), c({m, n}, TESSERA_BF16), theirs({m, n}, TESSERA_BF16);
        GpuArray<std::uint16_t> bias_bf16(static_cast<std::size_t>(n));
        round_to_bf16<<<64, 256>>>(static_cast<const float*>(bias.data()), bias_bf16.get(), bias_bf16.size());
        if (!blas_.is_there() || !blas_.prepare(m, n, k, a.data(), b.data(), theirs.data(), bias_bf16.get(), epilogue)) return;
        const auto call = [&] { require_call(function(a.get(), b.get(), bias.get(), c.get(), nullptr), name); };
        call();
        blas_.run();
        const std::size_t cells = std::min<std::size_t>(c.count(), 1 << 22);
        std::vector<double> wanted;
        for (const float x : theirs.floats(c.count() - cells, cells)) wanted.push_back(x);
        const double error = relative_error(c.floats(c.count() - cells, cells), wanted), work = 2.0 * m * n * k / 1e9;
        const bool right = error < 1e-2;  // two roundings to bf16, of the biases one more
        is_right_ = is_right_ && right;
        const Pairs p = interleaved(call, [&] { blas_.run(); });
        results_.add(text("{\"row\": \"library %s\", \"rival\": \"cublasLt\", \"m\": %d, \"n\": %d, \"k\": %d, \"tflops\": %.1f, \"rival_tflops\": %.1f, "
                          "\"ratio\": %.4f, \"low\": %.4f, \"high\": %.4f, \"error\": %.2e}",
                          name, m, n, k, work / p.ours_ms, work / p.rival_ms, p.ratio, p.interval.low, p.interval.high, error),
                     text("library %-17s %5d x %5d x %5d: %6.1f TFLOP/s, cuBLASLt %6.1f, ratio %.3f [%.3f, %.3f]%s", name, m, n, k, work / p.ours_ms,
                          work / p.rival_ms, p.ratio, p.interval.low, p.interval.high, right ? "" : text("  WRONG %.2e", error).c_str()));
    }
    /// Softmax(Q K^T / sqrt(head)) V of 16 heads, as many queries as keys.
    void attention(const char* name, decltype(&flash_d64) function, std::int64_t rows, std::int64_t head, bool causal) {
        constexpr std::int64_t heads = 16;
        Tensor q({heads, rows, head}, TESSERA_BF16, 1), k({heads, rows, head}, TESSERA_BF16, 2), v({heads, rows, head}, TESSERA_BF16, 3),
            out({heads, rows, head}, TESSERA_BF16);
        const auto call = [&] { require_call(function(q.get(), k.get(), v.get(), out.get(), nullptr), name); };
        call();
        double error = 0;
        for (const std::int64_t row : {std::int64_t{1}, rows / 3, rows - 1})
            error = std::max(error, attention_error(q, k, v, out, rows, head, row, causal));
        const bool right = error < 2e-2;  // probabilities and results are rounded to bf16
        is_right_ = is_right_ && right;
        std::vector<double> times;
        for (int i = 0; i < 23; ++i) {
            const double ms = milliseconds(call);
            if (i >= 3) times.push_back(ms);
        }
        const double tflops = (causal ? 2.0 : 4.0) * heads * rows * rows * head / median(times) / 1e9;
        results_.add(text("{\"row\": \"library %s\", \"heads\": %d, \"rows\": %d, \"tflops\": %.1f, \"error\": %.2e}", name, static_cast<int>(heads),
                          static_cast<int>(rows), tflops, error),
                     text("library %-25s %d heads x %5d rows: %6.1f TFLOP/s%s", name, static_cast<int>(heads), static_cast<int>(rows), tflops,
                          right ? "" : text("  WRONG %.2e", error).c_str()));
    }
    /// The derivatives of the same by Q, K and V, from the forward kernel's results; its time is not counted. The work is that of five
    /// products, as it is counted for kernels that multiply more often than that.
    struct Backward {
        decltype(&flash_statistics_d64) forward;
        decltype(&flash_by_queries_d64) by_queries;
        decltype(&flash_by_keys_d64) by_keys;
    };
    void attention_backward(const char* name, const Backward& f, std::int64_t rows, std::int64_t head, bool causal) {
        constexpr std::int64_t heads = 16;
        const auto matrices = [&](unsigned seed) { return std::make_unique<Tensor>(std::vector<std::int64_t>{heads, rows, head}, TESSERA_BF16, seed); };
        Tensor lse({heads, rows}, TESSERA_F32), delta({heads, rows}, TESSERA_F32);
        const auto q = matrices(1), k = matrices(2), v = matrices(3), given = matrices(4), out = matrices(0), dq = matrices(0), dk = matrices(0), dv = matrices(0);
        require_call(f.forward(q->get(), k->get(), v->get(), out->get(), lse.get(), nullptr), name);
        const auto call = [&] {
            require_call(f.by_queries(q->get(), k->get(), v->get(), out->get(), given->get(), lse.get(), dq->get(), delta.get(), nullptr), name);
            require_call(f.by_keys(q->get(), k->get(), v->get(), given->get(), lse.get(), delta.get(), dk->get(), dv->get(), nullptr), name);
        };
        call();
        const BackwardSums sums(*q, *k, *v, *given, lse, delta, rows, head, causal);
        double error = 0;
        for (const std::int64_t row : {std::int64_t{1}, rows / 3, rows - 1}) error = std::max({error, sums.query_error(*dq, row), sums.key_error(*dk, *dv, row)});
        const bool right = error < 2e-2;  // weights, their slopes and results are rounded to bf16
        is_right_ = is_right_ && right;
        std::vector<double> times;
        for (int i = 0; i < 23; ++i) {
            const double ms = milliseconds(call);
            if (i >= 3) times.push_back(ms);
        }
        const double tflops = (causal ? 5.0 : 10.0) * heads * rows * rows * head / median(times) / 1e9;
        results_.add(text("{\"row\": \"library %s\", \"heads\": %d, \"rows\": %d, \"tflops\": %.1f, \"error\": %.2e}", name, static_cast<int>(heads),
                          static_cast<int>(rows), tflops, error),
                     text("library %-25s %d heads x %5d rows: %6.1f TFLOP/s%s", name, static_cast<int>(heads), static_cast<int>(rows), tflops,
                          right ? "" : text("  WRONG %.2e", error).c_str()));
    }
    [[nodiscard]] bool is_right() const { return is_right_; }

private:
    // Of one row of the last head, against sums in f64.
    static double attention_error(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out, std::int64_t rows, std::int64_t head,
                                  std::int64_t row, bool causal) {
        const std::int64_t of_head = 15 * rows * head, seen = causal ? row + 1 : rows;
        const auto width = static_cast<std::size_t>(head);
        const std::vector<float> own = q.floats(of_head + row * head, width), keys = k.floats(of_head, seen * head), values = v.floats(of_head, seen * head);
        std::vector<double> wanted(width);
        double sum = 0;
        for (std::int64_t j = 0; j < seen; ++j) {
            double score = 0;
            for (std::int64_t d = 0; d < head; ++d) score += static_cast<double>(own[d]) * keys[j * head + d];
            const double p = std::exp(score / std::sqrt(static_cast<double>(head)));
            sum += p;
            for (std::int64_t d = 0; d < head; ++d) wanted[d] += p * values[j * head + d];
        }
        for (double& w : wanted) w /= sum;
        return relative_error(out.floats(of_head + row * head, width), wanted);
    }

    Results& results_;
    CublasLt blas_;
    bool is_right_ = true;
};

void run_pointwise(Comparison& compare) {
    constexpr std::int64_t count = std::int64_t{1} << 28;
    Tensor a({count}, TESSERA_F32, 1), b({count}, TESSERA_F32, 2), out({count}, TESSERA_F32);
    require_call(triad(a.get(), b.get(), out.get(), nullptr), "triad");
    const std::vector<float> left = a.floats(count - 1000, 1000), right = b.floats(count - 1000, 1000);
    std::vector<double> wanted;
    for (std::size_t i = 0; i < left.size(); ++i) wanted.push_back(0.5 * left[i] + right[i]);
    compare.memory_bound("triad", [&] { return triad(a.get(), b.get(), out.get(), nullptr); }, 3 * a.bytes(),
                         relative_error(out.floats(count - 1000, 1000), wanted), 1e-6);
}

void run_rows(Comparison& compare) {
    constexpr std::int64_t rows = 32768, columns = 4096, last = (rows - 1) * columns;
    Tensor a({rows, columns}, TESSERA_F32, 1), gamma({columns}, TESSERA_F32, 2), beta({columns}, TESSERA_F32, 3), out({rows, columns}, TESSERA_F32);
    const std::vector<float> x = a.floats(last, columns), g = gamma.floats(0, columns), b = beta.floats(0, columns);
    std::vector<double> wanted(columns);
    double sum = 0, mean = 0, variance = 0;
    for (const float v : x) sum += std::exp(static_cast<double>(v));
    for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = std::exp(static_cast<double>(x[i])) / sum;
    Tensor sums({rows}, TESSERA_F32);
    require_call(row_sums(a.get(), sums.get(), nullptr), "row_sums");
    double all = 0, magnitudes = 0;
    for (const float v : x) {
        all += v;
        magnitudes += std::fabs(v);
    }
    compare.memory_bound("row_sums", [&] { return row_sums(a.get(), sums.get(), nullptr); }, a.bytes(),
                         std::fabs(sums.floats(rows - 1, 1)[0] - all) / magnitudes, 1e-6);
    require_call(softmax(a.get(), out.get(), nullptr), "softmax");
    compare.memory_bound("softmax", [&] { return softmax(a.get(), out.get(), nullptr); }, 2 * a.bytes(), relative_error(out.floats(last, columns), wanted),
                         1e-5);
    for (const float v : x) mean += v / static_cast<double>(columns);
    for (const float v : x) variance += (v - mean) * (v - mean) / static_cast<double>(columns);
    for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = (x[i] - mean) / std::sqrt(variance + 1e-5) * g[i] + b[i];
    require_call(layer_norm(a.get(), gamma.get(), beta.get(), out.get(), nullptr), "layer_norm");
    compare.memory_bound("layer_norm", [&] { return layer_norm(a.get(), gamma.get(), beta.get(), out.get(), nullptr); }, 2 * a.bytes(),
                         relative_error(out.floats(last, columns), wanted), 1e-5);
}

void run_pictures(Comparison& compare) {
    constexpr std::int64_t height = 8192, width = 16384;
    Tensor a({height, width}, TESSERA_F32, 1), turned({width, height}, TESSERA_F32), out({height, width}, TESSERA_F32);
    require_call(transposed(a.get(), turned.get(), nullptr), "transposed");
    std::vector<double> wanted;
    for (std::int64_t y = 0; y < 64; ++y) wanted.push_back(a.floats(static_cast<std::size_t>(y * width + width - 1), 1)[0]);
    compare.memory_bound("transposed", [&] { return transposed(a.get(), turned.get(), nullptr); }, 2 * a.bytes(),
                         relative_error(turned.floats(static_cast<std::size_t>((width - 1) * height), 64), wanted), 1e-9);
    wanted.clear();
    // the last row, where the picture ends below
    const std::vector<float> above = a.floats((height - 2) * width, width), row = a.floats((height - 1) * width, width);
    for (std::size_t x = 0; x < width; ++x) {
        double sum = 0;
        for (std::size_t d = 0; d < 3; ++d) {
            const std::size_t at = std::min<std::size_t>(std::max<std::size_t>(x + d, 1) - 1, width - 1);
            sum += above[at] + 2.0 * row[at];
        }
        wanted.push_back(sum / 9);
    }
    for (const auto& [name, function] : {std::pair{"blur", &blur}, {"blur_columns", &blur_columns}}) {
        const auto call = [&, run = function] { return run(a.get(), out.get(), nullptr); };
        require_call(call(), name);
        compare.memory_bound(name, call, 2 * a.bytes(), relative_error(out.floats((height - 1) * width, width), wanted), 1e-5);
    }
}

}  // namespace

int run_libraries(Results& results) {
    Comparison compare(results);
    run_pointwise(compare);
    run_rows(compare);
    run_pictures(compare);
    for (const std::int64_t rows : {1024, 4096, 16384}) {
        compare.attention("flash_d64", flash_d64, rows, 64, false);
        compare.attention("flash_d128", flash_d128, rows, 128, false);
        compare.attention("flash_d128_causal", flash_d128_causal, rows, 128, true);
        compare.attention_backward("flash_backward_d64", {flash_statistics_d64, flash_by_queries_d64, flash_by_keys_d64}, rows, 64, false);
        compare.attention_backward("flash_backward_d128", {flash_statistics_d128, flash_by_queries_d128, flash_by_keys_d128}, rows, 128, false);
        compare.attention_backward("flash_backward_d128_causal", {flash_statistics_d128_causal, flash_by_queries_d128_causal, flash_by_keys_d128_causal},
                                   rows, 128, true);
    }
#if TESSERA_HOPPER
    for (const std::int64_t rows : {1024, 4096, 16384}) {
        compare.attention("flash_grouped_d64", flash_grouped_d64, rows, 64, false);
        compare.attention("flash_grouped_d64_causal", flash_grouped_d64_causal, rows, 64, true);
        compare.attention("flash_grouped_d128", flash_grouped_d128, rows, 128, false);
        compare.attention("flash_grouped_d128_causal", flash_grouped_d128_causal, rows, 128, true);
    }
    struct Row {
        int m, n, k;
    };
    for (const Row r : {Row{8192, 8192, 8192}, {4096, 4096, 4096}, {1000, 1032, 520}}) {
        compare.product("product_relu", product_relu, CublasLt::Epilogue::relu_bias, r.m, r.n, r.k);
        compare.product("product_gelu", product_gelu, CublasLt::Epilogue::gelu_bias, r.m, r.n, r.k);
        compare.product("product_relu_pingpong", product_relu_pingpong, CublasLt::Epilogue::relu_bias, r.m, r.n, r.k);
        compare.product("product_gelu_pingpong", product_gelu_pingpong, CublasLt::Epilogue::gelu_bias, r.m, r.n, r.k);
        compare.product("product_relu_pingpong_square", product_relu_pingpong_square, CublasLt::Epilogue::relu_bias, r.m, r.n, r.k);
        compare.product("product_gelu_pingpong_square", product_gelu_pingpong_square, CublasLt::Epilogue::gelu_bias, r.m, r.n, r.k);
        compare.product("product_relu_alone", product_relu_alone, CublasLt::Epilogue::relu_bias, r.m, r.n, r.k);
        compare.product("product_relu_threads", product_relu_threads, CublasLt::Epilogue::relu_bias, r.m, r.n, r.k);
        compare.product("product_relu_blocks", product_relu_blocks, CublasLt::Epilogue::relu_bias, r.m, r.n, r.k);
        compare.product("product_relu_pair", product_relu_pair, CublasLt::Epilogue::relu_bias, r.m, r.n, r.k);
    }
#endif
    return compare.is_right() ? 0 : 1;
}

}  // namespace gpu_check

#else

namespace gpu_check {
int run_libraries(Results&) {
    std::printf("libraries: [SKIP] this program was built without a build of Tessera\n");
    return 0;
}
}  // namespace gpu_check

#endif
