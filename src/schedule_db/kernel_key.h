#pragma once

#include <tessera/algorithm.h>
#include <tessera/schedule.h>

#include <nlohmann/json.hpp>

#include <optional>
#include <string>

namespace tessera::db {

/// The text whose hash is kernel_hash().
[[nodiscard]] std::string kernel_source(const Algorithm& algorithm);
/// Into and out of the names that are stored.
[[nodiscard]] Schedule in_stored_names(const Algorithm& algorithm, const Schedule& schedule);
[[nodiscard]] Schedule out_of_stored_names(const Algorithm& algorithm, const Schedule& schedule);

/// How far a recorded shape is from the one that is built for: 0 for the same fixed dims, else the sum of |log2| of ratios, and 1
/// for a dim that is fixed in one of them only; nothing where a ratio is beyond 16 or the dims are not the same.
[[nodiscard]] std::optional<double> shape_distance(const nlohmann::json& built, const nlohmann::json& recorded);

}  // namespace tessera::db
