#pragma once

#include "schedule/bound.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::cpu {

/// What Halide makes of a bound schedule, as a tree; for comparison with the loop tree.
struct NestNode {
    enum class Kind { produce, consume, store, loop, compute };
    Kind kind = Kind::produce;
    std::string name;  // of the stage; of the loop for loops
    LoopKind loop = LoopKind::serial;
    std::vector<NestNode> body;
};

/// Reads the text that Halide prints; `stages` are its names of the stages of `bound`.
[[nodiscard]] std::vector<NestNode> parse_loop_nest(std::string_view text, const std::map<std::string, size_t>& stages,
                                                    const BoundSchedule& bound);
/// Two spaces a level: "produce C", "parallel nb", "store B.p", "compute C.sum".
[[nodiscard]] std::string to_text(const std::vector<NestNode>& nest);

/// Halide's loops for `bound`.
[[nodiscard]] std::vector<NestNode> loop_nest(const BoundSchedule& bound);

}  // namespace tessera::cpu
