#pragma once

#include <tessera/tune_measure.h>

#include "tune/kernel_arguments.h"

#include <memory>
#include <string>
#include <vector>

namespace tessera::tune {

/// A compiled candidate with its arguments, in a process of its own.
class Candidate {
public:
    virtual ~Candidate() = default;
    /// Of the machine code; "" where it is not known.
    [[nodiscard]] virtual const std::string& code_hash() const = 0;
    /// One call, from outputs as the arguments have them to what it leaves there.
    virtual void run() = 0;
    /// Seconds per call, in the order in which they are taken.
    [[nodiscard]] virtual std::vector<double> take_samples(int count) = 0;
};

/// Where the candidates of one algorithm run. Every function but the limits' is called in a process that measure_isolated() has
/// forked, and throws what compile() and modules throw.
class CandidateDevice {
public:
    virtual ~CandidateDevice() = default;
    /// The limits of a candidate's process, and of the one that computes the reference.
    [[nodiscard]] virtual MeasureOptions limits() const = 0;
    [[nodiscard]] virtual MeasureOptions reference_limits() const { return limits(); }
    /// Throws E0803 and E0804 where no candidate can run.
    virtual void require() const = 0;
    /// What candidates are compared with, into `outputs`: by `reference`, or the default schedule when it has no stages.
    virtual void compute_reference(const Schedule& reference, const KernelArguments& arguments,
                                   const NamedOutputs& outputs) const = 0;
    /// The arguments must outlive the candidate.
    [[nodiscard]] virtual std::unique_ptr<Candidate> compile(const Schedule& schedule, KernelArguments& arguments) const = 0;
    /// What a kernel is that ends with E0712.
    [[nodiscard]] virtual Verdict failed_kernel() const = 0;
};

/// The device of a target. Algorithm, target and options must outlive it.
[[nodiscard]] std::unique_ptr<CandidateDevice> candidate_device(const Algorithm& algorithm, const Target& target,
                                                                const MeasureOptions& options);
[[nodiscard]] std::unique_ptr<CandidateDevice> cpu_device(const Algorithm& algorithm, const Target& target,
                                                          const MeasureOptions& options);
[[nodiscard]] std::unique_ptr<CandidateDevice> cuda_device(const Algorithm& algorithm, const Target& target,
                                                           const MeasureOptions& options);

}  // namespace tessera::tune
