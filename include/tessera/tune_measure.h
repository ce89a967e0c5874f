#pragma once

#include <tessera/algorithm.h>
#include <tessera/schedule.h>
#include <tessera/target.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// Measuring candidates: each in a process of its own, checked before it is timed.
namespace tessera::tune {

/// What became of a candidate.
enum class Verdict { ok, invalid, compile_error, crash, timeout, out_of_memory, wrong };
/// "ok", "compile_error", "out_of_memory".
[[nodiscard]] std::string_view word(Verdict verdict);
/// Throws E0601.
[[nodiscard]] Verdict parse_verdict(const std::string& text);

struct MeasureOptions {
    std::map<std::string, std::int64_t> extents;        // of dims that are not static
    int threads = 0;                                    // 0: as many as the machine has
    bool cold = false;                                  // empty the caches before each call
    double timeout_seconds = 30;                        // for compiling, checking and one round of samples together
    double timeout_ratio = 0;                           // over compiling and running the reference; at least 5 s; 0: none
    std::int64_t memory_bytes = std::int64_t{8} << 30;  // address space of a candidate, of a GPU's none; 0: no limit
    std::uint64_t seed = 1;                             // of the inputs' values
    std::string lock_file;         // held while measuring; "": the machine's, in the folder of temporary files
    std::string code_folder = {};  // keeps machine code of candidates; "": a temporary one that goes with the Runner
};

/// What a candidate did. Seconds per call in `samples`, in the order in which they were taken.
struct Measured {
    Verdict verdict = Verdict::ok;
    bool checked = false;
    std::string error;
    double compile_seconds = 0;
    std::vector<double> samples;
    std::string code_hash;   // of the machine code; "" when it was not compiled
    bool same_code = false;  // as an earlier candidate's, whose answer this is
};

/// What checks and times candidates.
class Measurer {
public:
    virtual ~Measurer() = default;
    /// Compiles what will be measured next, as many at once as there are processors, and returns when that is done. What is not
    /// prepared is compiled when it is measured.
    virtual void prepare(const std::vector<Schedule>& schedules) { (void)schedules; }
    /// A candidate that fails is an answer.
    [[nodiscard]] virtual Measured measure(const Schedule& schedule, int samples) = 0;
};

/// Throws E0803 and E0804, with what to do, where candidates for the target cannot be measured: for a GPU where there is none of
/// its architecture or no NVRTC.
void require_measurable(const Algorithm& algorithm, const Target& target);

/// Runs candidates of one algorithm. A runner process forks for each of them, so that a crash, a hang or a wrong result is an
/// answer and costs nothing else. Make it before the process has threads.
class Runner : public Measurer {
public:
    /// Makes inputs, and the outputs of `reference` (the default schedule when it has no stages) that candidates are compared
    /// with; those for a GPU with what the CPU computes. Throws what require_measurable() throws, E0805 for a dim without an
    /// extent, E0712 when the reference itself does not run.
    Runner(const Algorithm& algorithm, const Target& target, const MeasureOptions& options = {}, const Schedule& reference = {});
    ~Runner() override;
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;

    /// Compiles; unless it is known to be right, runs it twice with outputs poisoned by different patterns, compares (exactly for
    /// integers, by dtype and reduction length for floats) and looks at the guards around the outputs; then takes `samples`
    /// times. What compiles to the machine code of an earlier candidate gets that one's answer the first time.
    [[nodiscard]] Measured measure(const Schedule& schedule, int samples) override;
    void prepare(const std::vector<Schedule>& schedules) override;
    [[nodiscard]] int threads() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The median and an interval that holds it with 95 % confidence.
struct Interval {
    double median = 0, low = 0, high = 0;
};
/// Source: Efron & Tibshirani 1993, section 13.3.
[[nodiscard]] Interval bootstrap_median(const std::vector<double>& values, std::uint64_t seed = 20240229);

/// Interleaved rounds of several schedules; [i][r] is the time of schedule i in round r. A schedule that fails has no times.
[[nodiscard]] std::vector<std::vector<double>> interleaved(Measurer& measurer, const std::vector<Schedule>& schedules,
                                                           int rounds);
/// Whether `challenger` is faster than `incumbent`: the interval of the paired log ratio is below zero. Ties keep the incumbent.
[[nodiscard]] bool faster(const std::vector<double>& challenger, const std::vector<double>& incumbent);

}  // namespace tessera::tune
