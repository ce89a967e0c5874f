#pragma once

#include "random_pipeline.h"

#include <tessera/tune_space.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tessera_tune {

/// Candidates of a pipeline, none of them twice: at random and around the default schedule, or near the fastest that are known.
class Proposals {
public:
    /// `known` are not proposed.
    Proposals(const RandomPipeline& pipeline, const tessera::tune::ScheduleSpace& space,
              const std::vector<tessera::Schedule>& known, const std::vector<tessera::Schedule>& fastest, std::uint64_t seed);
    /// Nothing when the space gives only what was there.
    [[nodiscard]] std::optional<tessera::Schedule> next();
    /// It took too long to compile: most of what is unrolled as far is not proposed from here on.
    void was_late(const tessera::Schedule& schedule);

private:
    [[nodiscard]] tessera::tune::Point draw();
    [[nodiscard]] double copies(const tessera::Schedule& schedule) const;

    const RandomPipeline& pipeline_;
    const tessera::tune::ScheduleSpace& space_;
    std::vector<tessera::tune::Point> starts_;
    bool near_fastest_;
    double most_copies_ = 1e9;
    tessera::tune::Random random_;
    std::set<std::string> seen_;  // hashes of loop trees
};

/// The candidates of one half of a pipeline's trials that compiled, in a file; nothing where there is none yet.
[[nodiscard]] std::optional<std::vector<tessera::Schedule>> read_plan(const std::string& path);
/// All of it or nothing.
void write_plan(const std::string& path, const std::vector<tessera::Schedule>& candidates);

}  // namespace tessera_tune
