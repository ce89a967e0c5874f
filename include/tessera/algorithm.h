#pragma once

#include <tessera/reduce.h>

#include <map>

namespace tessera {

struct AlgorithmState;

/// What an algorithm may do with the memory of an argument. read: nothing is written there; the default for what is in no
/// in_place pair. write: an output is written there. reduce: an output is there that adds something to it, by +, *, min, max or a
/// scatter that starts from it, and reads it for nothing else: contributions of several calls may come in any order.
enum class Privilege : std::uint8_t { read, write, reduce };

/// What a call does besides writing outputs that depend on its arguments alone. random: it draws numbers; which ones is decided
/// by the seeds and keys. state: an output shares memory with an input. check: it may end with an error that depends on values.
enum class EffectKind : std::uint8_t { random, state, check };
struct Effect {
    EffectKind kind = EffectKind::random;
    std::vector<std::string> of;  // Funcs that draw or check; the inputs that are overwritten
};

/// Outputs and everything they reach: Graph IR. Construction checks names, shapes, dtypes and bounds and throws Error.
/// `arguments` (Inputs and Scalars, in the order of the kernel's parameters) must be exactly those that are read.
class Argument {
public:
    Argument(const Input& input) : state_(input.state()) {}
    /// Declares what happens to the argument; E0316 when the definitions say otherwise.
    Argument(const Input& input, Privilege privilege) : state_(input.state()), declared_(privilege) {}
    Argument(const Scalar& scalar) : state_(scalar.state()) {}
    [[nodiscard]] const std::shared_ptr<InputState>& state() const { return state_; }
    [[nodiscard]] const std::optional<Privilege>& declared() const { return declared_; }

private:
    std::shared_ptr<InputState> state_;
    std::optional<Privilege> declared_;
};

struct AlgorithmOptions {
    std::string name = {};                                           // default: the first output's name
    std::vector<std::pair<Extent, Extent>> require = {};             // extents that are equal, used in proofs, checked at entry
    std::vector<std::pair<std::string, std::string>> in_place = {};  // (input, output) that share memory; "f.1" of a tuple
    std::optional<std::vector<EffectKind>> effects = {};             // all that it may have: another one is E0315; {}: pure
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
    /// What follows from the definitions; empty for a pure algorithm.
    [[nodiscard]] std::vector<Effect> effects() const;
    /// Of every argument, the strongest that holds.
    [[nodiscard]] std::vector<Privilege> privileges() const;

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
