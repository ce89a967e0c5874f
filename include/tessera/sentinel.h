#pragma once

#include <tessera/compile.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tessera {

/// Where the first value that is NaN or infinite came from.
struct NonFinite {
    std::string name;                 // of the Input, or of the definition; "f.1" for a component of a tuple
    bool is_input = false;            // an argument has it already
    std::vector<std::int64_t> index;  // of the first such value in row-major order
    double value = 0;
    SourceLoc where;        // of the definition
    std::string operation;  // that gave it: "log(-0.5)"; "" where it is not told
    std::vector<std::string> possible_fixes;
    std::int64_t count = 0, nans = 0, infinities = 0;  // of the definition's values
    double lowest = 0, highest = 0;                    // of those that are finite

    /// The whole report, in the form of an error's.
    [[nodiscard]] std::string text() const;
};

struct SentinelOptions {
    bool infinities = true;  // false: look for NaN alone
    Target target = parse_target("interpreter");
};

/// Calls the algorithm and looks at every value of every definition that it needs, also of those that are never stored: the first
/// definition, producers before consumers, with a value that is not finite, and the operation in it that gave the first one. For
/// algorithms with derivatives that is forward or backward, as the name says. Nothing: all values are finite. Throws what the
/// call of a Module throws.
[[nodiscard]] std::optional<NonFinite> first_nonfinite(const Algorithm& algorithm, const NamedInputs& inputs,
                                                       const SentinelOptions& options = {});

struct WatchedCells;

/// An algorithm that tells of values that are not finite on every call, for a price of one pass over what it computes.
struct Sentinels {
    Algorithm algorithm;               // with one further output
    std::string output;                // its name; i64, one number a watched definition
    std::vector<std::string> watched;  // definitions, producers first
    std::shared_ptr<const WatchedCells> cells;

    /// A buffer for that output.
    [[nodiscard]] AnyBuffer flags() const;
    /// Name and index of the first value that is not finite, read from the flags of a call with these inputs.
    [[nodiscard]] std::optional<NonFinite> found(const AnyBuffer& flags, const NamedInputs& inputs) const;
};
[[nodiscard]] Sentinels with_sentinels(const Algorithm& algorithm, bool infinities = true);

}  // namespace tessera
