#pragma once

#include "schedule/bound.h"

#include <string>

namespace tessera {

/// Whether the stage lives in a consumer's memory, or is such a consumer: by `store.in`.
[[nodiscard]] bool shares_memory(const Schedule& schedule, const std::string& stage);

/// The stage named `consumer`, in whose memory the stage at `at` lives (`store.in`). All stages are bound but for `stored_in`.
/// Throws E0501 (unknown stage), E0508 (the consumer does not replace each cell by a value of that cell alone, others read the
/// stage, or its storage is said otherwise), E0504 (another place), L0903 (tuples, shared loops).
[[nodiscard]] size_t bind_in_place(const BoundSchedule& bound, size_t at, const std::string& consumer);

/// Whether the stage is what lives in its memory, cell by cell: nothing is left to compute.
[[nodiscard]] bool only_renames_resident(const BoundSchedule& bound, size_t stage);

}  // namespace tessera
