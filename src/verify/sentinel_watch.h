#pragma once

#include <tessera/sentinel.h>

#include "verify/probe.h"

namespace tessera {

/// What Sentinels::found() needs to know of the watched definitions.
struct WatchedCells {
    std::vector<Probe> probes;
};

/// `value` is NaN, or infinite where infinities count.
[[nodiscard]] Expr is_nonfinite(const Expr& value, bool infinities);
/// The first position over `dims` where `condition` holds, as i64; no_position where it holds nowhere.
inline constexpr std::int64_t no_position = INT64_MAX;
[[nodiscard]] Expr first_position(const std::vector<Dim>& dims, const Expr& condition);

/// The scalar operation or reduction in the definition behind `probe` that gave the value at the row-major position, with its
/// operands, by the interpreter; and what may be done about it.
struct Blame {
    std::string operation;
    std::vector<std::string> possible_fixes;
};
[[nodiscard]] Blame blamed_operation(const Algorithm& algorithm, const NamedInputs& inputs, const Probe& probe,
                                     std::int64_t position, bool infinities);

}  // namespace tessera
