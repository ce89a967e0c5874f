#pragma once

#include <tessera/schedule.h>

#include <nlohmann/json.hpp>

#include <string>

/// The pieces between text and Schedule; the algebra works on the JSON value, so that the table's rows are all it knows.
namespace tessera {

/// Checks every field against the table of primitives. Throws E0602, E0603 and the codes of the rows, naming the path.
void check_fields(const nlohmann::json& schedule);

/// The JSON value of a schedule; what it clears is null.
[[nodiscard]] nlohmann::json schedule_to_value(const Schedule& schedule);
/// The schedule of a value that check_fields accepts.
[[nodiscard]] Schedule schedule_from_value(const nlohmann::json& value);

/// Checks what the table cannot say: E0509 (copy and clone at once), E0512 (loops and tile), E0101 (two loops of one name),
/// in the base and in each variant derived from it.
void check_contradictions(const Schedule& schedule);

/// Schedule::derive without its checks.
[[nodiscard]] Schedule derive_fields(const Schedule& base, const Schedule& deltas);

/// Prints with fields in the table's order.
[[nodiscard]] std::string print_value(const nlohmann::json& value, JsonStyle style);

}  // namespace tessera
