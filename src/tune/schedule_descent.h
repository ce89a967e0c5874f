#pragma once

#include <tessera/schedule.h>

#include "schedule/stages.h"
#include "tune/inlined_graphs.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace tessera::tune {

/// What decisions are made for.
struct TuningTarget {
    std::map<std::string, std::int64_t> extents;
    std::int64_t vector_bytes = 32;
    std::int64_t vector_registers = 16;
    int cores = 1;
};

/// The loops of a dim have roles, which name them: blocks for tasks and caches ("m.o"), blocks of registers ("m.t"), unrolled
/// vectors
/// ("m.u"), positions ("m.i").
enum class LoopRole { outer, block, unrolled, position };
[[nodiscard]] std::string loop_name(const std::string& dim, LoopRole role);

/// Codes of placements: values of the decisions "<stage>.compute" and "<stage>.store".
struct PlacementCodes {
    static constexpr std::int64_t inline_ = 0, root = 1, none = 0;
    std::map<std::pair<std::string, std::string>, std::int64_t> at;  // (stage, loop); near loops of a stage have near codes
};
[[nodiscard]] PlacementCodes placement_codes(const StageGraph& graph);

/// Makes one decision: a value of `domain`, which is never empty.
using Choose = std::function<std::int64_t(const std::string& decision, const std::vector<std::int64_t>& domain)>;

/// The schedule of a sequence of decisions for the stages of make_stages(), consumers before producers. Every value of every
/// domain leads to a legal schedule.
[[nodiscard]] Schedule descend(const InlinedGraphs& graphs, const TuningTarget& target, const PlacementCodes& codes,
                               const Choose& choose);

/// The value that a schedule has for each decision it speaks about, by decision name.
[[nodiscard]] std::map<std::string, std::int64_t> decisions_in(const Schedule& schedule, const StageGraph& graph,
                                                               const PlacementCodes& codes);

}  // namespace tessera::tune
