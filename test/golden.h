#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tessera_paths.h"

namespace tessera {

/// Compares `text` with test/golden/<name>; with TESSERA_UPDATE_GOLDEN=1 in the environment writes it instead.
inline void expect_golden(const std::string& name, const std::string& text) {
    const std::string path = std::string(TESSERA_SOURCE_DIR) + "/test/golden/" + name;
    if (const char* update = std::getenv("TESSERA_UPDATE_GOLDEN"); update != nullptr && std::string(update) == "1") {
        std::ofstream(path) << text;
        return;
    }
    std::ifstream in(path);
    ASSERT_TRUE(in.good()) << path << " is missing; TESSERA_UPDATE_GOLDEN=1 writes it";
    std::ostringstream kept;
    kept << in.rdbuf();
    EXPECT_EQ(kept.str(), text) << "differs from " << path << "; TESSERA_UPDATE_GOLDEN=1 rewrites it";
}

}  // namespace tessera
