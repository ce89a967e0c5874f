#pragma once

#include <string>

namespace tessera_tune {

/// "1.42 ms"
[[nodiscard]] std::string time_text(double seconds);

}  // namespace tessera_tune
