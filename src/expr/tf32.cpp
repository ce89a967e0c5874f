#include <tessera/tf32.h>

#include "expr/expr_node.h"

namespace tessera {

Expr round_tf32(const Operand& x) {
    const Expr bits = bitcast(DType::u32, x), value = bitcast(DType::f32, bits);
    // The sign is not part of the carry, so that ties go away from zero; a carry out of the mantissa is one of the exponent.
    const Expr half = make_constant(DType::u32, std::int64_t{0x1000}), kept = make_constant(DType::u32, std::int64_t{0xffffe000});
    const Expr rounded = (bits + half) & kept;
    return straight_through(select(is_nan(value), value, bitcast(DType::f32, rounded)), value);
}

}  // namespace tessera
