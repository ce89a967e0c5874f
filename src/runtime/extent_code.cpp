#include "runtime/extent_code.h"

#include <algorithm>

namespace tessera::runtime {
namespace {

/// One binary operation; false on overflow.
bool combine(int64_t word, int64_t a, int64_t b, int64_t& out) {
    switch (word) {
        case TESSERA_OP_ADD: return !__builtin_add_overflow(a, b, &out);
        case TESSERA_OP_SUB: return !__builtin_sub_overflow(a, b, &out);
        case TESSERA_OP_MUL: return !__builtin_mul_overflow(a, b, &out);
        case TESSERA_OP_FLOORDIV:
            if (b == 0) return out = 0, true;
            if (b == -1) return !__builtin_sub_overflow(int64_t{0}, a, &out);
            out = a / b - ((a % b != 0 && (a % b < 0) != (b < 0)) ? 1 : 0);
            return true;
        case TESSERA_OP_FLOORMOD:
            if (b == 0 || b == -1) return out = 0, true;
            out = a % b + ((a % b != 0 && (a % b < 0) != (b < 0)) ? b : 0);
            return true;
        case TESSERA_OP_MIN: out = std::min(a, b); return true;
        case TESSERA_OP_MAX: out = std::max(a, b); return true;
        case TESSERA_OP_LT: out = a < b; return true;
        case TESSERA_OP_LE: out = a <= b; return true;
        case TESSERA_OP_EQ: out = a == b; return true;
        case TESSERA_OP_NE: out = a != b; return true;
        case TESSERA_OP_AND: out = a != 0 && b != 0; return true;
        case TESSERA_OP_OR: out = a != 0 || b != 0; return true;
        default: return false;
    }
}

bool is_binary(int64_t op) {
    return (op >= TESSERA_OP_ADD && op <= TESSERA_OP_MAX) || (op >= TESSERA_OP_LT && op <= TESSERA_OP_OR);
}

}  // namespace

bool integer_scalar(const tessera_arg_descriptor& arg, const tessera_value& value, int64_t& result) {
    switch (arg.dtype) {
        case TESSERA_BOOL:
        case TESSERA_I8:
        case TESSERA_I16:
        case TESSERA_I32:
        case TESSERA_I64: result = value.i; return true;
        case TESSERA_U8:
        case TESSERA_U16:
        case TESSERA_U32:
        case TESSERA_U64: result = static_cast<int64_t>(value.u); return value.u <= static_cast<uint64_t>(INT64_MAX);
        default: return false;
    }
}

CodeResult run_code(const tessera_code& code, const tessera_kernel_descriptor& kernel, const tessera_value* args,
                    const int64_t* dims, int known_dims, int64_t& result) {
    int64_t stack[TESSERA_CODE_DEPTH];
    int depth = 0;
    for (int at = 0; at < code.count;) {
        const int64_t op = code.words[at++];
        if (is_binary(op)) {
            if (depth < 2) return CodeResult::malformed;
            --depth;
            if (!combine(op, stack[depth - 1], stack[depth], stack[depth - 1])) return CodeResult::overflow;
            continue;
        }
        if (op == TESSERA_OP_NOT) {
            if (depth < 1) return CodeResult::malformed;
            stack[depth - 1] = stack[depth - 1] == 0;
            continue;
        }
        if (at == code.count || depth == TESSERA_CODE_DEPTH) return CodeResult::malformed;
        const int64_t operand = code.words[at++];
        if (op == TESSERA_OP_CONST) {
            stack[depth++] = operand;
        } else if (op == TESSERA_OP_DIM && operand >= 0 && operand < known_dims) {
            stack[depth++] = dims[operand];
        } else if (op == TESSERA_OP_SCALAR && operand >= 0 && operand < kernel.arg_count &&
                   kernel.args[operand].kind == TESSERA_ARG_SCALAR) {
            if (!integer_scalar(kernel.args[operand], args[operand], stack[depth++])) return CodeResult::overflow;
        } else {
            return CodeResult::malformed;
        }
    }
    if (depth != 1) return CodeResult::malformed;
    result = stack[0];
    return CodeResult::ok;
}

}  // namespace tessera::runtime
