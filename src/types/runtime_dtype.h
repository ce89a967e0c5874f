#pragma once

#include <tessera/dtype.h>
#include <tessera/tessera_runtime.h>

namespace tessera {

/// The number that the C interface has for a dtype.
[[nodiscard]] tessera_dtype runtime_dtype(DType dtype);

}  // namespace tessera
