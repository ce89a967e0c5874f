#pragma once

#include <tessera/tessera.h>

#include <string>
#include <vector>

namespace tessera {

/// Programs that together use the whole language.
struct GraphProgram {
    std::string name;
    Algorithm (*build)();
};
[[nodiscard]] const std::vector<GraphProgram>& graph_programs();

}  // namespace tessera
