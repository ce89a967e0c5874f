// Kernels that Tessera emitted, recorded with inputs and with what the interpreter computed (test/cuda/record_corpus.cpp writes the folder):
// loaded, run and compared.
//
// A record is lines of words: kernel NAME, image FILE, buffer BYTES [FILE], launch FUNCTION BLOCKS THREADS SHARED, map BUFFER DTYPE SWIZZLE
// RANK EXTENTS STRIDES BOX, param buffer INDEX, param map INDEX, param words HEX, expect BUFFER DTYPE TOLERANCE FILE, end. `expect` compares with a tolerance relative to the largest value; 0: the very bytes.
#include <cuda.h>

#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "gpu_memory.h"

namespace gpu_check {
namespace {

using Bytes = std::vector<char>;

Bytes file_bytes(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error(path + " cannot be read");
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

double number_at(const std::string& dtype, const char* at) {
    std::uint16_t half = 0;
    if (dtype == "f32") {
        float x = 0;
        std::memcpy(&x, at, 4);
        return x;
    }
    if (dtype == "f64") {
        double x = 0;
        std::memcpy(&x, at, 8);
        return x;
    }
    std::memcpy(&half, at, 2);
    if (dtype == "bf16") {
        const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
        float x = 0;
        std::memcpy(&x, &bits, 4);
        return x;
    }
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    const double size = exponent == 31  ? (fraction == 0 ? INFINITY : NAN)
                        : exponent == 0 ? std::ldexp(fraction, -24)
                                        : std::ldexp(fraction + 1024, exponent - 25);
    return (half & 0x8000) != 0 ? -size : size;
}

int dtype_bytes(const std::string& dtype) { return dtype == "f64" ? 8 : dtype == "f32" ? 4 : 2; }

/// Empty where the bytes are near enough.
std::string difference(const Bytes& wanted, const Bytes& got, const std::string& dtype, double tolerance) {
    if (tolerance == 0) {
        for (std::size_t i = 0; i < wanted.size(); ++i)
            if (wanted[i] != got[i]) return text("byte %zu of %zu is another", i, wanted.size());
        return "";
    }
    const auto width = static_cast<std::size_t>(dtype_bytes(dtype));
    double largest = 0;
    for (std::size_t i = 0; i + width <= wanted.size(); i += width) largest = std::max(largest, std::fabs(number_at(dtype, &wanted[i])));
    for (std::size_t i = 0; i + width <= wanted.size(); i += width) {
        const double w = number_at(dtype, &wanted[i]), g = number_at(dtype, &got[i]);
        if (!(std::fabs(w - g) <= tolerance * largest)) return text("cell %zu is %g, %g is due", i / width, g, w);
    }
    return "";
}

class Record {
public:
    Record(std::string folder, std::string name) : folder_(std::move(folder)), name_(std::move(name)) {}

    /// Empty, or what is wrong.
    std::string run(std::istream& lines) {
        std::string wrong;
        for (std::string line; std::getline(lines, line);) {
            std::istringstream words(line);
            std::string what;
            words >> what;
            if (what == "end") break;
            if (what == "image") {
                std::string file;
                words >> file;
                image_ = file_bytes(folder_ + "/" + file);
                require(cudaLibraryLoadData(&library_, image_.data(), nullptr, nullptr, 0, nullptr, nullptr, 0), name_.c_str());
            } else if (what == "buffer") {
                add_buffer(words);
            } else if (what == "launch") {
                launch_pending();
                words >> function_ >> blocks_ >> threads_ >> shared_;
                is_pending_ = true;
            } else if (what == "map") {
                add_map(words);
            } else if (what == "param") {
                add_param(words);
            } else if (what == "expect") {
                launch_pending();
                require(cudaDeviceSynchronize(), name_.c_str());
                std::size_t buffer = 0;
                std::string dtype, file;
                double tolerance = 0;
                words >> buffer >> dtype >> tolerance >> file;
                if (wrong.empty()) wrong = difference(file_bytes(folder_ + "/" + file), buffers_.at(buffer)->read(), dtype, tolerance);
            }
        }
        if (library_ != nullptr) cudaLibraryUnload(library_);
        return wrong;
    }

private:
    void add_buffer(std::istringstream& words) {
        std::size_t bytes = 0;
        std::string file;
        words >> bytes >> file;
        buffers_.push_back(std::make_unique<GpuArray<char>>(bytes));
        buffers_.back()->set_bytes(0x5a);
        if (!file.empty()) buffers_.back()->assign(file_bytes(folder_ + "/" + file));
    }
    void add_map(std::istringstream& words) {
        std::size_t buffer = 0, rank = 0;
        std::string dtype;
        int swizzle = 0;
        words >> buffer >> dtype >> swizzle >> rank;
        std::vector<std::uint64_t> extents(rank), strides(rank - 1);
        std::vector<std::uint32_t> box(rank);
        for (std::uint64_t& e : extents) words >> e;
        for (std::uint64_t& s : strides) words >> s;
        for (std::uint32_t& b : box) words >> b;
        maps_.push_back({});
        encode_tensor_map(maps_.back().data(), map_type(dtype), buffers_.at(buffer)->get(), extents, strides, box, swizzle);
    }
    static int map_type(const std::string& dtype) {
        static const std::map<std::string, CUtensorMapDataType> types{
            {"u8", CU_TENSOR_MAP_DATA_TYPE_UINT8},     {"i8", CU_TENSOR_MAP_DATA_TYPE_UINT8},
            {"f8e4m3", CU_TENSOR_MAP_DATA_TYPE_UINT8}, {"f8e5m2", CU_TENSOR_MAP_DATA_TYPE_UINT8}, {"f16", CU_TENSOR_MAP_DATA_TYPE_FLOAT16},
            {"bf16", CU_TENSOR_MAP_DATA_TYPE_BFLOAT16}, {"f32", CU_TENSOR_MAP_DATA_TYPE_FLOAT32}, {"i32", CU_TENSOR_MAP_DATA_TYPE_INT32}};
        return types.at(dtype);
    }
    void add_param(std::istringstream& words) {
        std::string kind;
        words >> kind;
        std::uint64_t value = 0;
        if (kind == "buffer") {
            std::size_t buffer = 0;
            words >> buffer;
            value = reinterpret_cast<std::uint64_t>(buffers_.at(buffer)->get());
        } else if (kind == "map") {
            words >> value;
            map_of_param_.emplace(params_.size(), static_cast<std::size_t>(value));
        } else {
            words >> std::hex >> value;
        }
        params_.push_back(value);
    }
    void launch_pending() {
        if (!is_pending_) return;
        is_pending_ = false;
        cudaKernel_t kernel = nullptr;
        require(cudaLibraryGetKernel(&kernel, library_, function_.c_str()), function_.c_str());
        const void* const function = reinterpret_cast<const void*>(kernel);
        if (shared_ > 48 << 10)
            require(cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_)), function_.c_str());
        std::vector<void*> addresses;
        for (std::uint64_t& p : params_) addresses.push_back(&p);
        for (const auto& [param, map] : map_of_param_) addresses[param] = maps_.at(map).data();
        if (blocks_ > 0) require(cudaLaunchKernel(function, blocks_, threads_, addresses.data(), shared_, nullptr), function_.c_str());
        params_.clear();
        map_of_param_.clear();
    }

    std::string folder_, name_, function_;
    Bytes image_;
    cudaLibrary_t library_ = nullptr;
    std::vector<std::unique_ptr<GpuArray<char>>> buffers_;
    struct alignas(64) Map : std::array<std::uint64_t, 16> {};
    std::vector<std::uint64_t> params_;
    std::vector<Map> maps_;
    std::map<std::size_t, std::size_t> map_of_param_;
    unsigned blocks_ = 0, threads_ = 0, shared_ = 0;
    bool is_pending_ = false;
};

}  // namespace

int run_recorded_corpus(const char* folder) {
    std::ifstream records(std::string(folder) + "/corpus.txt");
    if (!records) throw std::runtime_error(std::string(folder) + "/corpus.txt cannot be read");
    require(cudaFree(nullptr), "the GPU's context");
    int right = 0, wrong = 0;
    for (std::string line; std::getline(records, line);) {
        std::istringstream words(line);
        std::string what, name;
        words >> what >> name;
        if (what != "kernel") continue;
        const std::string problem = Record(folder, name).run(records);
        if (problem.empty()) {
            ++right;
        } else {
            ++wrong;
            std::printf("WRONG %s: %s\n", name.c_str(), problem.c_str());
        }
    }
    std::printf("corpus: %d right, %d wrong\n", right, wrong);
    return wrong == 0 && right > 0 ? 0 : 1;
}

}  // namespace gpu_check
