#pragma once

#include "schedule/stage_cost.h"
#include "schedule/stages.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace tessera::tune {

/// Reads of one stage by another whose indices depend on the same dims.
struct ReadPattern {
    size_t user = 0;
    std::vector<std::vector<Dim>> free;  // of each index
};

/// The stages that are left where some are inlined, with what every descent asks of them.
struct InlinedGraph {
    StageGraph graph;
    std::vector<std::vector<Read>> reads;            // of each stage
    std::vector<std::vector<ReadPattern>> patterns;  // of those
    std::vector<bool> may_inline;                    // each stage: a definition that is not computed too often where it is used
    std::string inlined;                             // names of those that are, each with a line end
};

/// The graphs of one algorithm. Descents inline the same few sets of stages over and over: each graph is made once and kept. Safe
/// from several threads.
class InlinedGraphs {
public:
    explicit InlinedGraphs(StageGraph whole);
    /// With nothing inlined.
    [[nodiscard]] std::shared_ptr<const InlinedGraph> whole() const { return whole_; }
    /// With one more stage inlined.
    [[nodiscard]] std::shared_ptr<const InlinedGraph> without(const InlinedGraph& from, size_t stage) const;

private:
    std::shared_ptr<const InlinedGraph> whole_;
    mutable std::mutex mutex_;
    mutable std::map<std::string, std::shared_ptr<const InlinedGraph>> made_;
};

}  // namespace tessera::tune
