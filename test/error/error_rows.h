#pragma once

#include <tessera/routine.h>
#include <tessera/tessera.h>

#include <string_view>
#include <vector>

namespace tessera {

/// A program that fails with `code`; the text of its message is test/golden/error/<code>.golden.
struct ErrorRow {
    ErrorCode code;
    void (*program)();
};
[[nodiscard]] const std::vector<ErrorRow>& front_end_error_rows();

/// A code whose messages another test looks at, or "" where nothing raises it.
struct CoveredElsewhere {
    ErrorCode code;
    std::string_view file;
};
[[nodiscard]] const std::vector<CoveredElsewhere>& codes_covered_elsewhere();

}  // namespace tessera
