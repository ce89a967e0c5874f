#include "runtime/value_check.h"

#include "runtime/extent_code.h"
#include "runtime/last_error.h"

#include <cinttypes>
#include <limits>

namespace tessera::runtime {
namespace {

struct ValueRule {
    const char* kernel;
    const tessera_arg_descriptor* arg;
    int64_t low;
    int64_t high;  // half-open
};

int outside(const ValueRule& rule, const char* where, int64_t value) {
    return add_fix(fail(TESSERA_ARGUMENT_VALUE, "%s: %s%s is %" PRId64 ", outside [%" PRId64 ", %" PRId64 ")", rule.kernel,
                        rule.arg->name, where, value, rule.low, rule.high),
                   "values of %s have to be at least %" PRId64 " and below %" PRId64, rule.arg->name, rule.low, rule.high);
}

/// One element as an i64; a u64 beyond its range is cut to the largest, which no half-open range contains.
template <class T>
int64_t widen(T value) {
    if constexpr (std::is_same_v<T, uint64_t>)
        return value > static_cast<uint64_t>(INT64_MAX) ? INT64_MAX : static_cast<int64_t>(value);
    else
        return static_cast<int64_t>(value);
}

template <class T>
int check_row(const ValueRule& rule, const T* row, int64_t extent, int64_t stride) {
    const bool ranged = (rule.arg->flags & TESSERA_ARG_VALUE_RANGE) != 0;
    const bool ordered = (rule.arg->flags & TESSERA_ARG_NONDECREASING) != 0;
    for (int64_t i = 0; i < extent; ++i) {
        const T value = row[i * stride];
        if (ranged && (widen(value) < rule.low || widen(value) >= rule.high)) return outside(rule, "'s element", widen(value));
        if (ordered && i > 0 && value < row[(i - 1) * stride])
            return add_fix(fail(TESSERA_ARGUMENT_VALUE,
                                "%s: %s decreases from %" PRId64 " to %" PRId64 " at index %" PRId64 " of its last dim",
                                rule.kernel, rule.arg->name, widen(row[(i - 1) * stride]), widen(value), i),
                           "sort %s", rule.arg->name);
    }
    return TESSERA_OK;
}

template <class T>
int check_elements(const ValueRule& rule, const CheckedBuffer& buffer, int dim, const T* first) {
    const int rank = buffer.buffer->rank;
    if (rank == 0) return check_row(rule, first, 1, 1);
    if (dim == rank - 1) return check_row(rule, first, buffer.buffer->extents[dim], buffer.strides[dim]);
    for (int64_t i = 0; i < buffer.buffer->extents[dim]; ++i)
        if (const int status = check_elements(rule, buffer, dim + 1, first + i * buffer.strides[dim])) return status;
    return TESSERA_OK;
}

template <class T>
int check_buffer(const ValueRule& rule, const CheckedBuffer& buffer) {
    if (buffer.span_elements == 0) return TESSERA_OK;
    return check_elements(rule, buffer, 0, static_cast<const T*>(buffer.buffer->data));
}

int dispatch_buffer(const ValueRule& rule, const CheckedBuffer& buffer) {
    switch (rule.arg->dtype) {
        case TESSERA_I8: return check_buffer<int8_t>(rule, buffer);
        case TESSERA_I16: return check_buffer<int16_t>(rule, buffer);
        case TESSERA_I32: return check_buffer<int32_t>(rule, buffer);
        case TESSERA_I64: return check_buffer<int64_t>(rule, buffer);
        case TESSERA_BOOL:
        case TESSERA_U8: return check_buffer<uint8_t>(rule, buffer);
        case TESSERA_U16: return check_buffer<uint16_t>(rule, buffer);
        case TESSERA_U32: return check_buffer<uint32_t>(rule, buffer);
        case TESSERA_U64: return check_buffer<uint64_t>(rule, buffer);
        default: return fail(TESSERA_INTERNAL, "%s: a value range of %s, which holds no integers", rule.kernel, rule.arg->name);
    }
}

/// The half-open range of an integer dtype narrower than 64 bits; false for the others.
bool dtype_range(int32_t dtype, int64_t& low, int64_t& high) {
    const auto set = [&](int64_t a, int64_t b) { return low = a, high = b + 1, true; };
    switch (dtype) {
        case TESSERA_BOOL: return set(0, 1);
        case TESSERA_I8: return set(INT8_MIN, INT8_MAX);
        case TESSERA_I16: return set(INT16_MIN, INT16_MAX);
        case TESSERA_I32: return set(INT32_MIN, INT32_MAX);
        case TESSERA_U8: return set(0, UINT8_MAX);
        case TESSERA_U16: return set(0, UINT16_MAX);
        case TESSERA_U32: return set(0, UINT32_MAX);
        default: return false;
    }
}

int check_scalar(const ValueRule& rule, const tessera_value& value) {
    ValueRule dtype_rule = rule;
    int64_t number = 0;
    const bool fits = integer_scalar(*rule.arg, value, number);
    if (dtype_range(rule.arg->dtype, dtype_rule.low, dtype_rule.high)) {
        if (!fits) number = INT64_MAX;
        if (number < dtype_rule.low || number >= dtype_rule.high) return outside(dtype_rule, "", number);
    }
    if ((rule.arg->flags & TESSERA_ARG_VALUE_RANGE) == 0) return TESSERA_OK;
    if (!fits) number = INT64_MAX;
    return number < rule.low || number >= rule.high ? outside(rule, "", number) : TESSERA_OK;
}

}  // namespace

int check_values(const tessera_kernel_descriptor& kernel, const tessera_value* args, int number, CheckedArguments& checked) {
    const tessera_arg_descriptor& arg = kernel.args[number];
    const bool ruled = (arg.flags & (TESSERA_ARG_VALUE_RANGE | TESSERA_ARG_NONDECREASING)) != 0;
    if (!ruled && arg.kind != TESSERA_ARG_SCALAR) return TESSERA_OK;
    ValueRule rule{kernel.name, &arg, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()};
    if ((arg.flags & TESSERA_ARG_VALUE_RANGE) != 0) {
        const CodeResult low = run_code(arg.value_low, kernel, args, checked.dims.data(), kernel.dim_count, rule.low);
        const CodeResult high = run_code(arg.value_high, kernel, args, checked.dims.data(), kernel.dim_count, rule.high);
        if (low == CodeResult::malformed || high == CodeResult::malformed)
            return fail(TESSERA_INTERNAL, "%s: the value range of %s is malformed", kernel.name, arg.name);
        if (low == CodeResult::overflow || high == CodeResult::overflow)
            return fail(TESSERA_SIZE, "%s: the value range of %s overflows 64 bits", kernel.name, arg.name);
    }
    if (arg.kind == TESSERA_ARG_SCALAR) return check_scalar(rule, args[number]);
    return dispatch_buffer(rule, checked.buffers[static_cast<size_t>(number)]);
}

}  // namespace tessera::runtime
