#pragma once

#include <tessera/tune_measure.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tessera::tune {

/// One request to the runner process and its answer, as JSON texts that travel with their length in front.
struct RunnerRequest {
    std::vector<std::string> compile = {};  // as many at once as there are processors; they wait until they are measured
    std::string schedule = {};              // that is measured, where none is to be compiled; JSON like those
    int samples = 3;
    bool check = true;
    std::vector<std::string> known_code = {};  // machine code that need not run again
};

[[nodiscard]] std::string to_text(const RunnerRequest& request);
[[nodiscard]] RunnerRequest request_from(const std::string& text);

/// What a candidate may take, when compiling and running the reference took `reference_seconds`.
[[nodiscard]] double candidate_timeout(const MeasureOptions& options, double reference_seconds);

/// What an exception said in a process of its own.
struct Problem {
    ErrorCode code = E0712_kernel_failed;
    std::string message;
    std::vector<std::string> fixes;
};
/// Runs `body` as measure_isolated does; nothing where it returns.
[[nodiscard]] std::optional<Problem> problem_of(const MeasureOptions& options, const std::function<void()>& body);

/// The life of the runner process: makes the arguments, then forks a candidate per request until the socket closes. The first
/// text that it sends is empty when the reference ran, else what is wrong.
void run_requests(int socket, const Algorithm& algorithm, const Target& target, const MeasureOptions& options,
                  const Schedule& reference);

}  // namespace tessera::tune
