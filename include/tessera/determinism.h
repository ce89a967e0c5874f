#pragma once

#include <tessera/compile.h>

#include <optional>
#include <string>
#include <vector>

namespace tessera {

struct DeterminismOptions {
    std::vector<int> threads = {1, 2, 3, 7};
    int runs = 2;  // with every number of threads
    Target target = {};
};

/// A value that two runs computed with different bits.
struct Difference {
    std::string func;  // the first definition, producers first; "f.1" for a component of a tuple
    std::vector<std::int64_t> index;
    double left = 0, right = 0;
    std::string left_run, right_run;  // "schedule 0, 1 thread, run 0"
    SourceLoc where;
    /// Whether the definition was told by computing all of them; false: an output, where the difference does not show when every
    /// definition is stored.
    bool located = true;
};

struct DeterminismReport {
    int runs = 0;
    std::optional<Difference> first;
    [[nodiscard]] bool same() const { return !first; }
    [[nodiscard]] std::string text() const;
};

/// Runs the algorithm under every schedule with every number of threads, several times, and compares the bits of all outputs with
/// those of the first run. Where some differ, all definitions are computed and compared, and the first that differs is named.
/// Sums of order `any` may differ between schedules, but not between runs of one; with order ascending() or kahan(), which
/// GradOptions have too, they do not either. Sets the number of threads of the runtime while it runs. Throws what compile() and
/// the call throw.
[[nodiscard]] DeterminismReport verify_determinism(const Algorithm& algorithm, const std::vector<Schedule>& schedules,
                                                   const NamedInputs& inputs, const DeterminismOptions& options = {});

}  // namespace tessera
