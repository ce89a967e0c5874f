#include "expr/op_cost.h"

namespace tessera {

double op_cost(const ExprNode& n) {
    switch (n.op) {
        case Op::constant:
        case Op::dim:
        case Op::extent:
        case Op::variable: return 0;
        case Op::div:
        case Op::mod: return is_float(n.dtype) ? 4 : 8;
        case Op::sqrt: return 6;
        case Op::uniform:
        case Op::normal:
        case Op::random_bits: return 60;
        default: return is_math_function(n.op) ? 15 : 1;
    }
}

}  // namespace tessera
