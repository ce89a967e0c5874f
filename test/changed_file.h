#pragma once

#include <fstream>
#include <sstream>
#include <string>

namespace tessera {

/// Writes `text` unless the file holds it already, so that what is built from it is left alone. False when it cannot be written.
inline bool write_changed(const std::string& path, const std::string& text) {
    std::ifstream old(path);
    std::ostringstream held;
    if (old && held << old.rdbuf() && held.str() == text) return true;
    std::ofstream file(path);
    file << text;
    return static_cast<bool>(file.flush());
}

}  // namespace tessera
