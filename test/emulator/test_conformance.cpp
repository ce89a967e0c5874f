// The conformance kernels in the emulator: the goldens of apps/gpu_check, which a GPU is compared with, are what it gives. With
// TESSERA_UPDATE_GOLDENS set the file is written.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "emulator/emulated_device.h"
#include "emulator/launch.h"
// after the emulator's words
#include "tessera_device_sm_90a.cuh"
// after the device functions
#include "../apps/gpu_check/conformance_basic.cu"
#include "../apps/gpu_check/conformance_cases.h"
#include "../apps/gpu_check/conformance_hopper.cu"

namespace tessera::emulator {
namespace {

using conformance::Case;
using Words = std::vector<std::uint32_t>;

void call_kernel(const std::string& name, const Words& in, Words& out, const tsr::TensorMap (&maps)[2]) {
#define TESSERA_CALL(kernel) \
    if (name == #kernel) return conformance::kernel(in.data(), out.data());
#define TESSERA_CALL_MAPPED(kernel) \
    if (name == #kernel) return conformance::kernel(in.data(), out.data(), maps[0], maps[1]);
    TESSERA_BASIC_CASES(TESSERA_CALL)
    TESSERA_HOPPER_CASES(TESSERA_CALL)
    TESSERA_MAPPED_CASES(TESSERA_CALL_MAPPED)
#undef TESSERA_CALL
#undef TESSERA_CALL_MAPPED
    throw Fault("no kernel " + name);
}

Words run_case(const Case& c, const Options& wanted) {
    Words in = conformance::input_words(c.name), out(static_cast<std::size_t>(c.out_words), 0);
    // the copy engine wants 16-byte alignment, which vectors of words have
    tsr::TensorMap maps[2] = {};
    for (std::size_t m = 0; m < c.maps.size(); ++m) {
        const conformance::MapOfWords& map = c.maps[m];
        encode_tensor_map(
            &maps[m], {(map.of_output ? out : in).data() + map.first_word, 4, map.extents, map.strides, map.box, map.swizzle});
    }
    Options options = wanted;
    options.memory = {{in.data(), in.size() * 4, true}, {out.data(), out.size() * 4}};
    const Shape shape{c.grid_x, c.grid_y, c.grid_z, c.threads, c.shared_bytes, c.cluster, 1};
    (void)launch(shape, options, [&] { call_kernel(c.name, in, out, maps); });
    return out;
}

std::map<std::string, Words> read_goldens(const std::string& file) {
    std::map<std::string, Words> goldens;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string name, number;
        words >> name;
        while (words >> number) goldens[name].push_back(static_cast<std::uint32_t>(std::stoul(number, nullptr, 16)));
    }
    return goldens;
}

TEST(Conformance, GoldensAreWhatTheEmulatorGives) {
    const std::string file = TESSERA_GOLDENS;
    if (std::getenv("TESSERA_UPDATE_GOLDENS") != nullptr) {
        std::ofstream out(file);
        for (const Case& c : conformance::cases()) {
            out << c.name << std::hex;
            for (const std::uint32_t number : conformance::digest(c, run_case(c, {}))) out << ' ' << number;
            out << std::dec << '\n';
        }
    }
    std::map<std::string, Words> goldens = read_goldens(file);
    for (const Case& c : conformance::cases())
        for (const Async async : {Async::lazy, Async::eager, Async::random}) {
            SCOPED_TRACE(c.name);
            try {
                const Words got = conformance::digest(c, run_case(c, {.seed = async == Async::lazy ? 0u : 5u, .async = async}));
                EXPECT_EQ(conformance::differences(c, goldens[c.name], got), std::vector<int>())
                    << "mode " << static_cast<int>(async);
            } catch (const Fault& f) {
                ADD_FAILURE() << f.what();
            }
        }
    EXPECT_EQ(goldens.size(), conformance::cases().size());
}

TEST(Conformance, DifferencesHaveATolerance) {
    Case exact{"a", 32, 2}, near{"b", 32, 2};
    near.tolerance = 0x1p-10;
    const auto bits = [](float x) { return std::bit_cast<std::uint32_t>(x); };
    EXPECT_EQ(conformance::differences(exact, {1, 2}, {1, 3}), std::vector<int>{1});
    EXPECT_EQ(conformance::differences(near, {bits(1.0f), bits(-2.0f)}, {bits(1.0005f), bits(-2.003f)}), std::vector<int>{1});
    EXPECT_EQ(conformance::differences(near, {bits(1.0f)}, {}), std::vector<int>{0});
}

}  // namespace
}  // namespace tessera::emulator
