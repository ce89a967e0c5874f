#pragma once

#include <tessera/compile.h>

#include <string>

namespace tessera {

/// The text of one level; of every variant where the schedule has some.
[[nodiscard]] std::string ir_text(const Algorithm& algorithm, const Schedule& schedule, const Target& target, IrLevel level);

}  // namespace tessera
