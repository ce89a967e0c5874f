#pragma once
// The conformance cases: how each kernel of conformance_basic.cu and conformance_hopper.cu is launched and how its words are
// compared. Plain C++ for the two programs that run them: the one that records goldens in the emulator and the one that runs on a
// GPU.
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

// kernels (in, out) of every GPU from sm_80, kernels (in, out) of sm_90a, and those of sm_90a that also take two tensor maps
// clang-format off
#define TESSERA_BASIC_CASES(X) \
    X(places) X(lanes) X(arithmetic) X(arithmetic_f64) X(integers) X(float8_words) X(conversions) X(approximations) X(rough_approximations) \
    X(math_f32) X(math_f64) X(random_numbers) X(shared_words) X(atomics) X(named_barriers) X(copies) X(matrix_loads) X(products)
#define TESSERA_HOPPER_CASES(X) \
    X(conversions_8) X(products_8) X(matrix_stores) X(clusters) X(wgmma_bf16) X(wgmma_f16) X(wgmma_tf32) X(wgmma_e4m3) \
    X(wgmma_e5m2) X(wgmma_s8) X(wgmma_swizzles) X(wgmma_transposed)
#define TESSERA_MAPPED_CASES(X) \
    X(load_plain) X(load_swizzle_32) X(load_swizzle_64) X(load_swizzle_128) X(load_outside) X(load_deep) X(load_multicast) X(store_boxes)
// clang-format on

namespace conformance {

/// A tensor of 32-bit words inside a case's input or output; dims innermost first, strides in bytes.
struct MapOfWords {
    bool of_output = false;
    int first_word = 0;
    std::vector<std::uint64_t> extents, strides;
    std::vector<std::uint32_t> box;
    int swizzle = 0;
};

struct Case {
    std::string name;
    int threads, out_words;
    std::uint32_t shared_bytes = 0;
    int grid_x = 1, grid_y = 1, grid_z = 1, cluster = 1;
    double tolerance = 0;  // relative, of words that are floats; 0: the very bits
    std::vector<MapOfWords> maps;
};
constexpr int in_words = 2048;

inline const std::vector<Case>& cases() {
    const auto square = [](std::uint32_t columns, std::uint32_t rows, int swizzle, bool of_output = false) {
        return MapOfWords{of_output, 0, {32, 32}, {128}, {columns, rows}, swizzle};
    };
    const MapOfWords cube{false, 0, {8, 8, 16}, {32, 256}, {8, 4, 4}, 0},
        deep{false, 0, {4, 4, 8, 8}, {16, 64, 512}, {4, 4, 4, 2}, 0};
    const MapOfWords out_cube{true, 1024, {8, 8, 8}, {32, 256}, {8, 4, 4}, 0};
    constexpr std::uint32_t loads = 16384 + 64;
    static const std::vector<Case> all{
        {"places", 64, 64 * 24, 0, 2, 3, 4},
        {"lanes", 32, 224},
        {"arithmetic", 64, 832},
        {"arithmetic_f64", 32, 640},
        {"integers", 64, 1024},
        {"float8_words", 64, 640},
        {"conversions", 64, 384},
        {"approximations", 64, 384, 0, 1, 1, 1, 1, 0x1p-20},
        {"rough_approximations", 64, 64, 0, 1, 1, 1, 1, 0x1p-10},
        {"math_f32", 64, 1280},
        {"math_f64", 32, 1280},
        {"random_numbers", 64, 192},
        {"shared_words", 64, 256, 1024},
        {"atomics", 64, 16, 64},
        {"named_barriers", 96, 96, 256},
        {"copies", 32, 256, 1024},
        {"matrix_loads", 32, 352, 512},
        {"products", 32, 640},
        {"conversions_8", 64, 192},
        {"products_8", 32, 128},
        {"matrix_stores", 32, 384, 512},
        {"clusters", 384, 160, 256, 2, 1, 1, 2},
        {"wgmma_bf16", 128, 1024, 16384},
        {"wgmma_f16", 128, 1024, 16384},
        {"wgmma_tf32", 128, 1024, 16384},
        {"wgmma_e4m3", 128, 1024, 16384},
        {"wgmma_e5m2", 128, 1024, 16384},
        {"wgmma_s8", 128, 1024, 16384},
        {"wgmma_swizzles", 128, 1024, 16384},
        {"wgmma_transposed", 128, 1024, 16384},
        {"load_plain", 128, 256, loads, 1, 1, 1, 1, 0, {square(16, 16, 0)}},
        {"load_swizzle_32", 128, 128, loads, 1, 1, 1, 1, 0, {square(8, 16, 32)}},
        {"load_swizzle_64", 128, 256, loads, 1, 1, 1, 1, 0, {square(16, 16, 64)}},
        {"load_swizzle_128", 128, 512, loads, 1, 1, 1, 1, 0, {square(32, 16, 128)}},
        {"load_outside", 128, 512, loads, 1, 1, 1, 1, 0, {square(32, 16, 128)}},
        {"load_deep", 128, 320, loads, 1, 1, 1, 1, 0, {cube, deep}},
        {"load_multicast", 128, 768, loads, 2, 1, 1, 2, 0, {square(16, 8, 0), cube}},
        {"store_boxes", 128, 1664, 4096, 1, 1, 1, 1, 0, {square(16, 16, 64, true), out_cube}},
    };
    return all;
}

/// The words that every case reads: the same on every machine.
inline std::vector<std::uint32_t> input_words(const std::string& name) {
    std::uint64_t state = 1;
    for (const char c : name) state = state * 1099511628211ull + static_cast<unsigned char>(c);
    std::vector<std::uint32_t> words;
    for (int i = 0; i < in_words; ++i) {
        std::uint64_t z = state += 0x9e3779b97f4a7c15ull;  // splitmix64 (Steele, Lea, Flood 2014)
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        words.push_back(static_cast<std::uint32_t>(z ^ z >> 31));
    }
    return words;
}

/// What a golden file has of a case: of floats with a tolerance the words, else a number for each 32 of them.
inline std::vector<std::uint32_t> digest(const Case& c, const std::vector<std::uint32_t>& words) {
    if (c.tolerance != 0) return words;
    std::vector<std::uint32_t> rows;
    for (std::size_t first = 0; first < words.size(); first += 32) {
        std::uint32_t hash = 2166136261u;  // FNV-1a over words
        for (std::size_t i = first; i < words.size() && i < first + 32; ++i) hash = (hash ^ words[i]) * 16777619u;
        rows.push_back(hash);
    }
    return rows;
}

/// The numbers of a golden that differ from what a run gave.
inline std::vector<int> differences(const Case& c, const std::vector<std::uint32_t>& golden,
                                    const std::vector<std::uint32_t>& got) {
    std::vector<int> places;
    for (std::size_t i = 0; i < golden.size() || i < got.size(); ++i) {
        if (i < golden.size() && i < got.size()) {
            if (golden[i] == got[i]) continue;
            float wanted = 0, value = 0;
            std::memcpy(&wanted, &golden[i], 4);
            std::memcpy(&value, &got[i], 4);
            const double error = value > wanted ? double{value} - wanted : double{wanted} - value;
            if (c.tolerance != 0 && error <= c.tolerance * (wanted < 0 ? -double{wanted} : double{wanted})) continue;
        }
        places.push_back(static_cast<int>(i));
    }
    return places;
}

}  // namespace conformance
