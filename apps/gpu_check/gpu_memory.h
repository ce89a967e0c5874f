#pragma once
// What the parts of gpu_check share: memory of a GPU, errors that name the call, medians and their intervals, lines of JSON.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace gpu_check {

inline void require(cudaError_t result, const char* what) {
    if (result != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(result));
}

template <class T>
class GpuArray {
public:
    explicit GpuArray(std::size_t count) : count_(count) {
        require(cudaMalloc(reinterpret_cast<void**>(&data_), std::max<std::size_t>(count, 1) * sizeof(T)), "cudaMalloc");
    }
    GpuArray(const GpuArray&) = delete;
    GpuArray& operator=(const GpuArray&) = delete;
    ~GpuArray() { cudaFree(data_); }
    [[nodiscard]] T* get() const { return data_; }
    [[nodiscard]] std::size_t size() const { return count_; }
    void set_bytes(int value) { require(cudaMemset(data_, value, count_ * sizeof(T)), "cudaMemset"); }
    void assign(const std::vector<T>& from) {
        require(cudaMemcpy(data_, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice), "copy to the GPU");
    }
    [[nodiscard]] std::vector<T> read() const {
        std::vector<T> to(count_);
        require(cudaMemcpy(to.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost), "copy from the GPU");
        return to;
    }

private:
    T* data_ = nullptr;
    std::size_t count_;
};

inline double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v.size() % 2 == 1 ? v[v.size() / 2] : (v[v.size() / 2 - 1] + v[v.size() / 2]) / 2;
}

struct Interval {
    double low, high;
};
/// 95 % bootstrap interval of the median.
inline Interval bootstrap(const std::vector<double>& v) {
    std::mt19937 random(1);
    std::vector<double> medians, sample(v.size());
    for (int i = 0; i < 1000; ++i) {
        for (double& x : sample) x = v[random() % v.size()];
        medians.push_back(median(sample));
    }
    std::sort(medians.begin(), medians.end());
    return {medians[25], medians[974]};
}

/// Milliseconds of what `work` puts into the default stream.
template <class Work>
double milliseconds(Work work) {
    static cudaEvent_t begin = nullptr, end = nullptr;
    if (begin == nullptr) {
        require(cudaEventCreate(&begin), "cudaEventCreate");
        require(cudaEventCreate(&end), "cudaEventCreate");
    }
    require(cudaEventRecord(begin), "cudaEventRecord");
    work();
    require(cudaEventRecord(end), "cudaEventRecord");
    require(cudaEventSynchronize(end), "a kernel");
    float ms = 0;
    require(cudaEventElapsedTime(&ms, begin, end), "cudaEventElapsedTime");
    return ms;
}

/// Ours and a rival's times in interleaved pairs.
struct Pairs {
    double ours_ms, rival_ms, ratio;  // medians; ratio = rival / ours
    Interval interval;
};
template <class Ours, class Rival>
Pairs interleaved(Ours ours, Rival rival, int pairs = 31) {
    for (int i = 0; i < 3; ++i) {
        ours();
        rival();
    }
    std::vector<double> a, b, ratios;
    for (int i = 0; i < pairs; ++i) {
        const bool ours_first = i % 2 == 0;
        const double first = ours_first ? milliseconds(ours) : milliseconds(rival);
        const double second = ours_first ? milliseconds(rival) : milliseconds(ours);
        a.push_back(ours_first ? first : second);
        b.push_back(ours_first ? second : first);
        ratios.push_back(b.back() / a.back());
    }
    return {median(a), median(b), median(ratios), bootstrap(ratios)};
}

/// One row of the results: a line of JSON in the file, a line of text on the screen.
class Results {
public:
    explicit Results(const char* file) : file_(file == nullptr ? nullptr : std::fopen(file, "a")) {}
    Results(const Results&) = delete;
    Results& operator=(const Results&) = delete;
    ~Results() {
        if (file_ != nullptr) std::fclose(file_);
    }
    void add(const std::string& json, const std::string& text) {
        if (file_ != nullptr) {
            std::fprintf(file_, "%s\n", json.c_str());
            std::fflush(file_);  // what was measured before a cut-off counts
        }
        std::printf("%s\n", text.c_str());
        std::fflush(stdout);
    }

private:
    std::FILE* file_;
};

template <class... Args>
std::string text(const char* format, Args... args) {
    char line[1000];
    std::snprintf(line, sizeof line, format, args...);
    return line;
}

/// A tensor map as the driver encodes it. `type`: CU_TENSOR_MAP_DATA_TYPE_*; dims innermost first, strides in bytes.
void encode_tensor_map(void* map, int type, void* base, const std::vector<std::uint64_t>& extents,
                       const std::vector<std::uint64_t>& strides, const std::vector<std::uint32_t>& box, int swizzle_bytes);

/// Arguments: conform GOLDENS [FOLDER [FIRST RIGHT WRONG LEFT_OUT]].
int run_conformance(int argc, char** argv);
/// Of "gemm_sm80", "gemm_sm90" or "flash_sm80".
int run_correctness(const std::string& kernel);
int run_recorded_corpus(const char* folder);
int run_ceilings(Results& results);
int run_benchmark(Results& results);
int run_libraries(Results& results);

}  // namespace gpu_check
