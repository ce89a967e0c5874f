#pragma once

#include "unit/interpreter/interpreter_cases.h"

#include "schedule/loop_tree.h"
#include "tessera_paths.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tessera::interpreter_test {

inline std::string read_text(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
}

inline LoopTree tree_of(const Algorithm& algorithm, const Schedule& schedule) {
    LoopTree tree = build_loop_tree(bind(algorithm, schedule));
    verify(tree);
    const std::string text = to_text(tree);
    const LoopTree parsed = parse_loop_tree(text, tree.bound);
    verify(parsed);
    EXPECT_EQ(to_text(parsed), text);
    return tree;
}

/// Compares with test/golden/loop_tree/<name>.golden; TESSERA_UPDATE_GOLDEN=1 writes it.
inline void expect_golden(const std::string& name, const LoopTree& tree) {
    const auto path = std::filesystem::path(TESSERA_SOURCE_DIR) / "test/golden/loop_tree" / (name + ".golden");
    const std::string text = to_text(tree);
    if (std::getenv("TESSERA_UPDATE_GOLDEN") != nullptr) {
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << text;
    }
    EXPECT_EQ(read_text(path), text) << "TESSERA_UPDATE_GOLDEN=1 writes it";
}

/// The tree computes the bits that the definition has.
inline void expect_same(const Algorithm& algorithm, const Schedule& schedule, const Inputs& inputs, tessera_dtype dtype,
                        const std::vector<std::int64_t>& extents) {
    const LoopTree tree = tree_of(algorithm, schedule);
    AnyBuffer wanted(dtype, extents), got(dtype, extents);
    const std::string name = algorithm.outputs()[0].name();
    evaluate(algorithm, inputs, {{name, wanted}});
    try {
        interpreter::execute(tree, inputs, {{name, got}}, {.shuffle_seed = 7});
    } catch (const Exception& e) {
        ADD_FAILURE() << e.what() << "\n" << to_text(tree);
        return;
    }
    const size_t bytes = static_cast<size_t>(wanted.size()) * (dtype == dtype_of<std::uint8_t> ? 1 : 4);
    EXPECT_EQ(std::memcmp(wanted.data(), got.data(), bytes), 0) << to_text(tree);
}

inline std::string message_of(const Algorithm& algorithm, const Schedule& schedule) {
    try {
        (void)bind(algorithm, schedule);
    } catch (const Exception& e) {
        return e.what();
    }
    return "accepted";
}
inline bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace tessera::interpreter_test
