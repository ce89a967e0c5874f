#pragma once

#include "runtime/argument_check.h"

namespace tessera::runtime {

/// A scalar fits its dtype; the values of an integer input or scalar are in their declared range and order.
[[nodiscard]] int check_values(const tessera_kernel_descriptor& kernel, const tessera_value* args, int arg,
                               CheckedArguments& checked);

}  // namespace tessera::runtime
