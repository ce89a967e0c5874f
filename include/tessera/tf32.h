#pragma once

#include <tessera/expr.h>

namespace tessera {

/// The nearest f32 with 10 bits behind the point, ties away from zero: what tensor cores multiply as tf32. A sum of
/// round_tf32(a) * round_tf32(b) means the same on every target, and may use the mma atom "m16n8k8" on a GPU. Overflow gives
/// infinity, a NaN stays one. Throws E0202 for other dtypes than f32. Gradient: that of x.
[[nodiscard]] Expr round_tf32(const Operand& x);

}  // namespace tessera
