#pragma once

#include "compile/c_text.h"

#include <nlohmann/json.hpp>

#include <string>

namespace tessera {

/// Version of the metadata of libraries and of what generators say about themselves.
inline constexpr int library_protocol = 1;
inline constexpr const char* tessera_version = TESSERA_VERSION;

/// What a caller passes and what is checked: arguments and dims.
[[nodiscard]] nlohmann::ordered_json signature_json(const KernelSignature& signature);
[[nodiscard]] nlohmann::ordered_json function_json(const CFunction& function, const std::string& algorithm_hash,
                                                   const Schedule& schedule);

}  // namespace tessera
