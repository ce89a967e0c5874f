// The conformance cases on a GPU, against the goldens of the emulator. Compiled with the device functions in front.
#include <cuda.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "conformance_basic.cu"
#include "conformance_cases.h"
#if TESSERA_HOPPER
#include "conformance_hopper.cu"
#endif
#include "gpu_memory.h"

namespace gpu_check {
namespace {

using conformance::Case;
using Words = std::vector<std::uint32_t>;

/// False where this build has no such kernel.
bool launch_case(const Case& c, const std::uint32_t* in, std::uint32_t* out, [[maybe_unused]] const tsr::TensorMap (&maps)[2]) {
    const dim3 grid(static_cast<unsigned>(c.grid_x), static_cast<unsigned>(c.grid_y), static_cast<unsigned>(c.grid_z));
    const auto threads = static_cast<unsigned>(c.threads);
#define TESSERA_LAUNCH(kernel)                                                   \
    if (c.name == #kernel) {                                                     \
        conformance::kernel<<<grid, threads, c.shared_bytes>>>(in, out);         \
        return true;                                                             \
    }
#define TESSERA_LAUNCH_MAPPED(kernel)                                                          \
    if (c.name == #kernel) {                                                                   \
        conformance::kernel<<<grid, threads, c.shared_bytes>>>(in, out, maps[0], maps[1]);     \
        return true;                                                                           \
    }
    TESSERA_BASIC_CASES(TESSERA_LAUNCH)
#if TESSERA_HOPPER
    TESSERA_HOPPER_CASES(TESSERA_LAUNCH)
    TESSERA_MAPPED_CASES(TESSERA_LAUNCH_MAPPED)
#endif
    return false;
}

std::map<std::string, Words> read_goldens(const char* file) {
    std::map<std::string, Words> goldens;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string name, number;
        words >> name;
        while (words >> number) goldens[name].push_back(static_cast<std::uint32_t>(std::stoul(number, nullptr, 16)));
    }
    if (goldens.empty()) throw std::runtime_error(std::string(file) + " cannot be read");
    return goldens;
}

void write_words(const std::string& file, const Words& words) {
    std::ofstream out(file);
    for (std::size_t i = 0; i < words.size(); ++i) out << std::hex << words[i] << (i % 8 == 7 ? '\n' : ' ');
}

}  // namespace

namespace {

constexpr double patience_seconds = 5;

/// Runs one case. Empty where it is right; throws where the GPU refuses it. Memory cannot be freed under a kernel that does not end:
/// then `abandon` is called, which does not return.
std::string run_case(const Case& c, const Words& golden, const char* dump_folder, bool& is_left_out, const std::function<void(const char*)>& abandon) {
    GpuArray<std::uint32_t> in(conformance::in_words), out(static_cast<std::size_t>(c.out_words));
    in.assign(conformance::input_words(c.name));
    out.set_bytes(0);
    tsr::TensorMap maps[2] = {};
    for (std::size_t m = 0; m < c.maps.size(); ++m) {
        const conformance::MapOfWords& map = c.maps[m];
        encode_tensor_map(&maps[m], CU_TENSOR_MAP_DATA_TYPE_UINT32, (map.of_output ? out : in).get() + map.first_word, map.extents, map.strides, map.box,
                          map.swizzle);
    }
    is_left_out = !launch_case(c, in.get(), out.get(), maps);
    if (is_left_out) return "";
    require(cudaGetLastError(), "launch");
    const auto begin = std::chrono::steady_clock::now();
    while (cudaStreamQuery(nullptr) == cudaErrorNotReady)
        if (std::chrono::steady_clock::now() - begin > std::chrono::duration<double>(patience_seconds)) abandon("it does not end");
    require(cudaDeviceSynchronize(), "run");
    const Words words = out.read();
    const std::vector<int> places = conformance::differences(c, golden, conformance::digest(c, words));
    if (places.empty()) return "";
    if (dump_folder != nullptr) write_words(std::string(dump_folder) + "/conform_" + c.name + ".txt", words);
    return text("%zu of %zu %s differ, the first is %d", places.size(), golden.size(), c.tolerance != 0 ? "words" : "rows of 32 words", places[0]);
}

}  // namespace

int run_conformance(int argc, char** argv) {
    const std::map<std::string, Words> goldens = read_goldens(argv[2]);
    const char* const dump_folder = argc > 3 ? argv[3] : nullptr;
    // After a case that the GPU refuses the process is of no more use; another goes on with the cases after it.
    std::size_t first = argc > 7 ? std::stoul(argv[4]) : 0;
    int right = argc > 7 ? std::atoi(argv[5]) : 0, wrong = argc > 7 ? std::atoi(argv[6]) : 0, left_out = argc > 7 ? std::atoi(argv[7]) : 0;
    for (; first < conformance::cases().size(); ++first) {
        const Case& c = conformance::cases()[first];
        const auto abandon = [&](const char* why) {
            std::printf("WRONG %s: %s\n", c.name.c_str(), why);
            std::fflush(stdout);
            const std::string next = std::to_string(first + 1), counts[] = {std::to_string(right), std::to_string(wrong + 1), std::to_string(left_out)};
            ::execl("/proc/self/exe", argv[0], argv[1], argv[2], dump_folder == nullptr ? "." : dump_folder, next.c_str(), counts[0].c_str(),
                    counts[1].c_str(), counts[2].c_str(), static_cast<char*>(nullptr));
            std::_Exit(1);
        };
        bool is_left_out = false;
        try {
            const std::string problem = run_case(c, goldens.at(c.name), dump_folder, is_left_out, abandon);
            if (!problem.empty()) std::printf("WRONG %s: %s\n", c.name.c_str(), problem.c_str());
            ++(is_left_out ? left_out : problem.empty() ? right : wrong);
        } catch (const std::runtime_error& e) {
            abandon(e.what());
        }
        std::fflush(stdout);
    }
    std::printf("conformance: %d right, %d wrong, %d need a newer GPU\n", right, wrong, left_out);
    return wrong == 0 ? 0 : 1;
}

}  // namespace gpu_check
