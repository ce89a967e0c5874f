#pragma once
/* What a compiled kernel says about itself, and the one entry through which it is called. Plain C data: a C header of a kernel
 * library holds it as constants, a JIT builds it in memory. Pointers are never owned; arrays must outlive every call. */

#include <tessera/tessera_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TESSERA_KERNEL_ABI = 1 };

/** Operations of tessera_code, a stack machine over i64. Comparisons and logic leave 0 or 1. Overflow is an error of the call. */
enum tessera_op {
    TESSERA_OP_CONST = 1,  /**< followed by the constant */
    TESSERA_OP_DIM = 2,    /**< followed by a dim's number: pushes its extent */
    TESSERA_OP_SCALAR = 3, /**< followed by an argument's number: pushes an integer scalar */
    TESSERA_OP_ADD = 10,
    TESSERA_OP_SUB = 11,
    TESSERA_OP_MUL = 12,
    TESSERA_OP_FLOORDIV = 13, /**< rounds down; x / 0 is 0 */
    TESSERA_OP_FLOORMOD = 14, /**< has the divisor's sign; x % 0 is 0 */
    TESSERA_OP_MIN = 15,
    TESSERA_OP_MAX = 16,
    TESSERA_OP_LT = 20,
    TESSERA_OP_LE = 21,
    TESSERA_OP_EQ = 22,
    TESSERA_OP_NE = 23,
    TESSERA_OP_AND = 24,
    TESSERA_OP_OR = 25,
    TESSERA_OP_NOT = 26
};
enum { TESSERA_CODE_DEPTH = 32 /**< the deepest stack a code may need */ };

/** Postfix code: {OP_DIM, 0, OP_CONST, 2, OP_SUB} is "dim 0 minus 2". `words` null means no code. */
typedef struct tessera_code {
    const int64_t* words;
    int32_t count;
} tessera_code;

enum tessera_dim_kind {
    TESSERA_DIM_STATIC = 0, /**< `value` */
    TESSERA_DIM_BOUND = 1,  /**< the extent of argument `arg` at position `axis` */
    TESSERA_DIM_DERIVED = 2 /**< `code`, over dims of lower numbers and integer scalars; negative is an error */
};

/** One dim (a symbol) of the kernel. */
typedef struct tessera_dim_descriptor {
    const char* name;
    int32_t kind; /**< tessera_dim_kind */
    int32_t arg;
    int32_t axis;
    int64_t value;
    tessera_code code;
    int64_t multiple_of; /**< 0: any */
    int64_t at_least;
    int64_t at_most; /**< negative: any */
} tessera_dim_descriptor;

enum tessera_arg_kind { TESSERA_ARG_INPUT = 0, TESSERA_ARG_OUTPUT = 1, TESSERA_ARG_SCALAR = 2 };
enum tessera_arg_flags {
    TESSERA_ARG_LAST_DIM_DENSE = 1, /**< the kernel is compiled for stride 1 in the last dim */
    TESSERA_ARG_IN_PLACE = 2,       /**< output: may be the very memory of argument `in_place_of` */
    TESSERA_ARG_VALUE_RANGE = 4,    /**< every value (of an integer input or scalar) is in [value_low, value_high) */
    TESSERA_ARG_NONDECREASING = 8   /**< along the last dim, no value is below the one before it */
};

/** One argument in the order in which callers pass them. */
typedef struct tessera_arg_descriptor {
    const char* name;
    int32_t kind;  /**< tessera_arg_kind */
    int32_t dtype; /**< tessera_dtype */
    int32_t rank;
    const int32_t* dims; /**< rank dim numbers: the extent every axis must have */
    uint32_t flags;      /**< tessera_arg_flags */
    int32_t in_place_of;
    int32_t alignment_bytes; /**< of data; 0: that of the element */
    tessera_code value_low;
    tessera_code value_high;
} tessera_arg_descriptor;

/** An equation between extents that the caller must meet; `text` shows in the message. */
typedef struct tessera_requirement {
    tessera_code left;
    tessera_code right;
    const char* text;
} tessera_requirement;

enum tessera_param_kind {
    TESSERA_PARAM_ARG = 0,    /**< argument `index`: a Halide buffer, or a scalar of the argument's dtype */
    TESSERA_PARAM_DIM_I32 = 1 /**< extent of dim `index` */
};
/** One parameter of the compiled function. */
typedef struct tessera_kernel_param {
    int32_t kind; /**< tessera_param_kind */
    int32_t index;
} tessera_kernel_param;

/** Instruction sets beyond the base of the architecture that a variant needs. */
enum tessera_cpu_feature {
    TESSERA_CPU_SSE41 = 1 << 0,
    TESSERA_CPU_AVX = 1 << 1,
    TESSERA_CPU_F16C = 1 << 2,
    TESSERA_CPU_FMA = 1 << 3,
    TESSERA_CPU_AVX2 = 1 << 4,
    TESSERA_CPU_AVX512 = 1 << 5, /**< F, CD, BW, DQ, VL */
    TESSERA_CPU_AVX512_VNNI = 1 << 6,
    TESSERA_CPU_AVX512_BF16 = 1 << 7,
    TESSERA_CPU_AVX512_VBMI = 1 << 8,  /**< and IFMA */
    TESSERA_CPU_AVX512_VBMI2 = 1 << 9, /**< and BITALG, VPOPCNTDQ */
    TESSERA_CPU_AVX_VNNI = 1 << 10
};
/** The features of this machine. */
uint32_t tessera_cpu_features(void);

/** A compiled function and when it is the one to use. The first variant whose `when` is not 0 is called. */
typedef struct tessera_kernel_variant {
    const char* name;
    tessera_code when;     /**< no code: always */
    uint32_t cpu_features; /**< tessera_cpu_feature bits; a variant this machine cannot run is passed over */
    /** Halide's `<name>_argv`: pointers to the parameters (a buffer is passed as halide_buffer_t*). */
    int (*argv)(void** params);
    /** Called instead of `argv` when not null. */
    int (*call)(void* context, void** params);
    void* context;
} tessera_kernel_variant;

typedef struct tessera_kernel_descriptor {
    int32_t abi; /**< TESSERA_KERNEL_ABI */
    const char* name;
    int32_t arg_count;
    const tessera_arg_descriptor* args;
    int32_t dim_count;
    const tessera_dim_descriptor* dims;
    int32_t requirement_count;
    const tessera_requirement* requirements;
    int32_t param_count; /**< 0 with params null: the arguments in their order */
    const tessera_kernel_param* params;
    int32_t variant_count;
    const tessera_kernel_variant* variants;
} tessera_kernel_descriptor;

/** The value of one argument: `buffer` for inputs and outputs; for scalars `i` (signed integers, bool), `u` (unsigned) or `f`
 *  (floating; rounded to the scalar's dtype). */
typedef union tessera_value {
    const tessera_buffer* buffer;
    int64_t i;
    uint64_t u;
    double f;
} tessera_value;

/** Validates every argument, then runs the first fitting variant. `args` holds arg_count values in the descriptor's order.
 * Returns a tessera_status, with tessera_last_error() saying what is wrong; nothing is written unless every check passed. */
int tessera_call(const tessera_kernel_descriptor* kernel, const tessera_value* args);
enum { TESSERA_SCRATCH_ALIGNMENT = 64 };
/** The bytes that this call of a CPU kernel takes for its buffers outside loops: those alive at once, at most, each in its slot.
 * 0 when it has none. Checks as tessera_call does and computes nothing. Buffers inside loops come on top, from tessera_malloc().
 */
int tessera_scratch_bytes(const tessera_kernel_descriptor* kernel, const tessera_value* args, size_t* bytes);
/** tessera_call with memory of the caller's for those buffers, aligned to TESSERA_SCRATCH_ALIGNMENT, which must not overlap the
 *  arguments and is no other call's while this one runs. TESSERA_ARGUMENT when `bytes` is too little. */
int tessera_call_with_scratch(const tessera_kernel_descriptor* kernel, const tessera_value* args, void* scratch, size_t bytes);
/** The checks of tessera_call without the call. */
int tessera_validate(const tessera_kernel_descriptor* kernel, const tessera_value* args);

#ifdef __cplusplus
}
#endif
