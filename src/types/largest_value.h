#pragma once

#include <tessera/dtype.h>

#include <limits>

namespace tessera {

/// The largest finite value of a float dtype.
[[nodiscard]] constexpr double largest_value(DType t) {
    switch (t) {
        case DType::f8e4m3: return 448;
        case DType::f8e5m2: return 57344;
        case DType::f16: return 65504;
        case DType::bf16: return 0x1.fep127;
        case DType::f32: return std::numeric_limits<float>::max();
        default: return std::numeric_limits<double>::max();
    }
}

}  // namespace tessera
