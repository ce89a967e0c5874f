#pragma once

#include <tessera/reduce.h>

#include <map>

namespace tessera {

struct AlgorithmState;

/// Outputs and everything they reach: Graph IR. Construction checks names, shapes, dtypes and bounds and throws Error.
/// `arguments` (Inputs and Scalars, in the order of the kernel's parameters) must be exactly those that are read.
class Argument {
public:
    Argument(const Input& input) : state_(input.state()) {}
    Argument(const Scalar& scalar) : state_(scalar.state()) {}
    [[nodiscard]] const std::shared_ptr<InputState>& state() const { return state_; }

private:
    std::shared_ptr<InputState> state_;
};

struct AlgorithmOptions {
    std::string name = {};                                           // default: the first output's name
    std::vector<std::pair<Extent, Extent>> require = {};             // extents that are equal, used in proofs, checked at entry
    std::vector<std::pair<std::string, std::string>> in_place = {};  // (input, output) pairs that share memory
};

class Algorithm {
public:
    Algorithm(const std::vector<Func>& outputs, const std::vector<Argument>& arguments, const AlgorithmOptions& options = {},
              SourceLoc where = SourceLoc::current());
    explicit Algorithm(std::shared_ptr<const AlgorithmState> state) : state_(std::move(state)) {}

    [[nodiscard]] const std::string& name() const;
    [[nodiscard]] const std::vector<Func>& outputs() const;
    [[nodiscard]] const std::vector<Argument>& arguments() const;
    /// Every Func, producers before consumers, in left-to-right order of first visit.
    [[nodiscard]] const std::vector<Func>& funcs() const;
    [[nodiscard]] const AlgorithmState& state() const { return *state_; }

    /// Canonical text; parse_algorithm(text()) prints the same text.
    [[nodiscard]] std::string text() const;
    /// Structural hash (64 hex digits): the same on every machine, independent of names.
    [[nodiscard]] std::string hash() const;

private:
    std::shared_ptr<const AlgorithmState> state_;
};
/// Throws E0601 with line and column.
[[nodiscard]] Algorithm parse_algorithm(std::string_view text);

}  // namespace tessera
