#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace tessera {

struct JsonLimits {
    std::size_t bytes = std::size_t{16} << 20;
    int depth = 64;
};

/// Reads JSON that anyone may have written. `what` names the text in messages ("schedule").
/// Throws E0601 with line and column (syntax, comments, numbers that overflow, a key that stands twice in one object),
/// E0604 (larger or deeper than the limits).
[[nodiscard]] nlohmann::json parse_json(std::string_view text, std::string_view what, JsonLimits limits = {});

/// One step of a JSON pointer (RFC 6901): "a/b" -> "a~1b".
[[nodiscard]] std::string pointer_escape(std::string_view key);
[[nodiscard]] std::string pointer_unescape(std::string_view token);

}  // namespace tessera
