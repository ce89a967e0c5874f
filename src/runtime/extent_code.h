#pragma once

#include <tessera/tessera_kernel.h>

#include <cstdint>

namespace tessera::runtime {

enum class CodeResult { ok, overflow, malformed };

/// Runs `code` and stores what is left on the stack. Only dims below `known_dims` may be read.
[[nodiscard]] CodeResult run_code(const tessera_code& code, const tessera_kernel_descriptor& kernel, const tessera_value* args,
                                  const int64_t* dims, int known_dims, int64_t& result);

/// The value of an integer scalar argument; false when it does not fit an i64 or is no integer.
[[nodiscard]] bool integer_scalar(const tessera_arg_descriptor& arg, const tessera_value& value, int64_t& result);

}  // namespace tessera::runtime
