// The conformance cases on a GPU, against the goldens of the emulator. Compiled with the device functions in front.
#include <cuda.h>

#include <fstream>
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

int run_conformance(const char* goldens_file, const char* dump_folder) {
    const std::map<std::string, Words> goldens = read_goldens(goldens_file);
    int wrong = 0, right = 0, left_out = 0;
    for (const Case& c : conformance::cases()) {
        GpuArray<std::uint32_t> in(conformance::in_words), out(static_cast<std::size_t>(c.out_words));
        in.assign(conformance::input_words(c.name));
        out.set_bytes(0);
        tsr::TensorMap maps[2] = {};
        for (std::size_t m = 0; m < c.maps.size(); ++m) {
            const conformance::MapOfWords& map = c.maps[m];
            encode_tensor_map(&maps[m], CU_TENSOR_MAP_DATA_TYPE_UINT32, (map.of_output ? out : in).get() + map.first_word, map.extents, map.strides,
                              map.box, map.swizzle);
        }
        if (!launch_case(c, in.get(), out.get(), maps)) {
            ++left_out;
            continue;
        }
        require(cudaGetLastError(), c.name.c_str());
        require(cudaDeviceSynchronize(), c.name.c_str());
        const Words words = out.read();
        const std::vector<int> places = conformance::differences(c, goldens.at(c.name), conformance::digest(c, words));
        if (places.empty()) {
            ++right;
            continue;
        }
        ++wrong;
        std::printf("WRONG %s: %zu of %zu rows of 32 words, the first is %d\n", c.name.c_str(), places.size(), goldens.at(c.name).size(), places[0]);
        if (dump_folder != nullptr) write_words(std::string(dump_folder) + "/conform_" + c.name + ".txt", words);
    }
    std::printf("conformance: %d right, %d wrong, %d need a newer GPU\n", right, wrong, left_out);
    return wrong == 0 ? 0 : 1;
}

}  // namespace gpu_check
