#pragma once

#include <tessera/algorithm.h>
#include <tessera/buffer.h>
#include <tessera/compile.h>

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace tessera::tune {

/// An output with guards before and after its values.
class GuardedBuffer {
public:
    GuardedBuffer(tessera_dtype dtype, const std::vector<std::int64_t>& extents);
    /// Fills the values with a pattern and the guards with another.
    void poison(std::uint8_t pattern);
    [[nodiscard]] bool guards_hold() const;
    /// The values with guard_bytes before and after them, for copies to where a kernel has its memory.
    [[nodiscard]] std::span<std::uint8_t> with_guards();
    static constexpr std::size_t guard_bytes = 4096;
    [[nodiscard]] const AnyBuffer& buffer() const { return buffer_; }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    std::vector<std::uint8_t> memory_;
    std::size_t offset_ = 0, bytes_ = 0;
    AnyBuffer buffer_;
};

/// Inputs with random values inside their declared ranges, and outputs, for given extents of dims.
struct KernelArguments {
    NamedInputs inputs;
    std::map<std::string, GuardedBuffer> outputs;
    [[nodiscard]] NamedOutputs named_outputs() const;
};
/// Throws E0805 for a dim without an extent.
[[nodiscard]] KernelArguments make_arguments(const Algorithm& algorithm, const std::map<std::string, std::int64_t>& extents,
                                             std::uint64_t seed);

/// What is wrong with an output: "" when it agrees with the reference. Integers must be equal; floats may differ by a rounding
/// error for every value that is reduced, relative to the largest value.
[[nodiscard]] std::string difference(const AnyBuffer& got, const AnyBuffer& wanted, double reduced_values);
/// Calls twice, with outputs poisoned by two patterns, and looks at outputs and guards after each: "" when all is as it should
/// be.
[[nodiscard]] std::string output_problem(KernelArguments& arguments, const std::map<std::string, AnyBuffer>& reference,
                                         double reduced_values, const std::function<void()>& call);
/// The most values that are reduced into one, over all of the algorithm.
[[nodiscard]] double reduction_length(const Algorithm& algorithm, const std::map<std::string, std::int64_t>& extents);

}  // namespace tessera::tune
