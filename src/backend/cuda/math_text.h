#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "backend/cuda/device_functions.h"

namespace tessera::cuda {

/// exp_f32, pow_f64, ... and uniform_f32, normal_f32, random_bits_u32 as device functions of arch "any", written from the shared
/// definitions (expr/math_definitions.h, expr/philox.h): the same operations, so the same bits as on every backend.
[[nodiscard]] std::optional<DeviceFunction> math_function(std::string_view name);

/// The names of all of them.
[[nodiscard]] std::vector<std::string> math_function_names();

}  // namespace tessera::cuda
