#pragma once

#include <tessera/error.h>

#include <string>
#include <string_view>
#include <vector>

namespace tessera {

/// The candidate with the smallest edit distance to `spelling` when it is near enough to be meant, else "".
[[nodiscard]] std::string closest_name(std::string_view spelling, const std::vector<std::string>& candidates);

/// A fix that says "did you mean 'x'?", or lists what there is.
[[nodiscard]] Hint fix_spelling(std::string_view spelling, const std::vector<std::string>& candidates);

/// "a, b and c"
[[nodiscard]] std::string join_names(const std::vector<std::string>& names);

}  // namespace tessera
