// gpu_check conform GOLDENS [FOLDER] | correct KERNEL | corpus FOLDER | ceilings [JSON] | bench [JSON] | libraries [JSON]: what scripts/gpu_check runs on a machine with a GPU.
// 0: all right, 1: something is wrong, 2: there is no GPU or a wrong command line.
#include <cuda.h>

#include <cstring>

#include "gpu_memory.h"

namespace gpu_check {

void encode_tensor_map(void* map, int type, void* base, const std::vector<std::uint64_t>& extents, const std::vector<std::uint64_t>& strides,
                       const std::vector<std::uint32_t>& box, int swizzle_bytes) {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult status{};
    require(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &status), "cuTensorMapEncodeTiled");
    if (found == nullptr) throw std::runtime_error("the driver has no cuTensorMapEncodeTiled");
    const std::vector<cuuint64_t> e(extents.begin(), extents.end()), s(strides.begin(), strides.end());
    const std::vector<cuuint32_t> b(box.begin(), box.end()), steps(box.size(), 1);
    const auto swizzle = static_cast<CUtensorMapSwizzle>(swizzle_bytes == 128 ? 3 : swizzle_bytes == 64 ? 2 : swizzle_bytes == 32 ? 1 : 0);
    const auto encode = reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(found);
    const CUresult r = encode(static_cast<CUtensorMap*>(map), static_cast<CUtensorMapDataType>(type), static_cast<cuuint32_t>(box.size()), base,
                              e.data(), s.data(), b.data(), steps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
                              CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (r != CUDA_SUCCESS) throw std::runtime_error("cuTensorMapEncodeTiled: CUresult " + std::to_string(r));
}

namespace {

int run_command(int argc, char** argv) {
    const std::string command = argc > 1 ? argv[1] : "";
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        std::printf("no device: this machine has no GPU that CUDA can use (%s)\n", cudaGetErrorString(cudaGetLastError()));
        return 2;
    }
    cudaDeviceProp properties{};
    require(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    std::printf("%s, compute capability %d.%d, %d multiprocessors\n", properties.name, properties.major, properties.minor,
                properties.multiProcessorCount);
    if (command == "conform" && argc > 2) return run_conformance(argc, argv);
    if (command == "correct" && argc > 2) return run_correctness(argv[2]);
    if (command == "corpus" && argc > 2) return run_recorded_corpus(argv[2]);
    Results results(argc > 2 ? argv[2] : nullptr);
    if (command == "ceilings") return run_ceilings(results);
    if (command == "bench") return run_benchmark(results);
    if (command == "libraries") return run_libraries(results);
    std::printf("usage: gpu_check conform GOLDENS [FOLDER] | correct KERNEL | corpus FOLDER | ceilings [JSON] | bench [JSON] | libraries [JSON]\n");
    return 2;
}

}  // namespace
}  // namespace gpu_check

int main(int argc, char** argv) {
    try {
        return gpu_check::run_command(argc, argv);
    } catch (const std::exception& e) {
        std::printf("FAILED: %s\n", e.what());
        return 1;
    }
}
