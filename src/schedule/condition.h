#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

/// The `when` of a variant: comparisons of integer expressions over names (extents, integer Scalars, strides), joined by
/// && || !. A name may have dots: "A.stride.m".
struct Condition {
    enum class Kind { number, name, negate, not_, mul, div, mod, add, sub, lt, le, gt, ge, eq, ne, and_, or_ };
    Kind kind = Kind::number;
    std::int64_t value = 0;       // of number
    std::string spelling;         // of name
    std::vector<Condition> args;  // one or two
    bool operator==(const Condition&) const = default;

    /// Whether it is true or false, and not an integer.
    [[nodiscard]] bool is_boolean() const { return kind == Kind::not_ || kind >= Kind::lt; }
};

/// Throws E0511 with the column.
[[nodiscard]] Condition parse_condition(std::string_view text);
/// With the fewest parentheses; parses back to an equal condition.
[[nodiscard]] std::string to_text(const Condition& condition);

/// Whether it holds: int64 arithmetic that wraps, floor division, x / 0 = x % 0 = 0. Throws E0511 for a name without a value.
[[nodiscard]] bool holds(const Condition& condition, const std::map<std::string, std::int64_t>& values);
[[nodiscard]] std::set<std::string> names_in(const Condition& condition);
/// The parts that && joins: each of them is a fact where the condition holds.
[[nodiscard]] std::vector<Condition> conjuncts(const Condition& condition);
/// With every name replaced by what `rename` makes of it.
[[nodiscard]] Condition renamed(const Condition& condition, const std::function<std::string(const std::string&)>& rename);

}  // namespace tessera
