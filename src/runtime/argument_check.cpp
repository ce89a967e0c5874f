#include "runtime/argument_check.h"

#include "runtime/buffer_overlap.h"
#include "runtime/extent_code.h"
#include "runtime/last_error.h"
#include "runtime/value_check.h"

#include <algorithm>
#include <cinttypes>

namespace tessera::runtime {
namespace {

size_t stride_total(const tessera_kernel_descriptor& kernel) {
    size_t total = 0;
    for (int a = 0; a < kernel.arg_count; ++a)
        if (kernel.args[a].kind != TESSERA_ARG_SCALAR) total += static_cast<size_t>(kernel.args[a].rank);
    return total;
}

/// What can be said of a buffer without looking at another argument.
int check_alone(const char* kernel, const tessera_arg_descriptor& arg, const tessera_buffer* buffer, tessera_device_type device) {
    if (buffer == nullptr)
        return add_fix(fail(TESSERA_ARGUMENT, "%s: the buffer of %s is null", kernel, arg.name), "pass a tessera_buffer for %s",
                       arg.name);
    if (buffer->dtype != arg.dtype)
        return add_fix(fail(TESSERA_ARGUMENT_DTYPE, "%s: %s holds %s, but the kernel takes %s", kernel, arg.name,
                            tessera_dtype_name(buffer->dtype), tessera_dtype_name(arg.dtype)),
                       "pass a buffer of %s", tessera_dtype_name(arg.dtype));
    if (buffer->rank != arg.rank)
        return add_fix(fail(TESSERA_ARGUMENT_RANK, "%s: %s has rank %d, but the kernel takes rank %d", kernel, arg.name,
                            buffer->rank, arg.rank),
                       "pass a buffer of rank %d", arg.rank);
    constexpr int32_t dlpack_main_memory = 1;
    const int32_t lives_on =
        buffer->device_type == dlpack_main_memory ? static_cast<int32_t>(TESSERA_DEVICE_CPU) : buffer->device_type;
    if (lives_on != device && device == TESSERA_DEVICE_CPU)
        return add_fix(fail(TESSERA_ARGUMENT_DEVICE, "%s: %s lives on device type %d, but the kernel runs on the CPU", kernel,
                            arg.name, buffer->device_type),
                       "copy %s to main memory first", arg.name);
    if (lives_on != device)
        return add_fix(fail(TESSERA_ARGUMENT_DEVICE, "%s: %s lives on device type %d, but the kernel runs on a GPU", kernel,
                            arg.name, buffer->device_type),
                       "copy %s to the GPU first (tessera_cuda_copy_to), and set device_type to TESSERA_DEVICE_CUDA", arg.name);
    if (arg.kind == TESSERA_ARG_OUTPUT && (buffer->flags & TESSERA_BUFFER_READ_ONLY) != 0)
        return add_fix(fail(TESSERA_ARGUMENT_READ_ONLY, "%s: output %s is read-only", kernel, arg.name),
                       "pass a writable buffer for %s", arg.name);
    if (buffer->rank > 0 && buffer->extents == nullptr)
        return add_fix(fail(TESSERA_ARGUMENT, "%s: the extents of %s are null", kernel, arg.name),
                       "point extents of %s at %d numbers", arg.name, arg.rank);
    for (int d = 0; d < arg.rank; ++d)
        if (buffer->extents[d] < 0)
            return add_fix(fail(TESSERA_ARGUMENT_EXTENT, "%s: %s dim %d has the negative extent %" PRId64, kernel, arg.name, d,
                                buffer->extents[d]),
                           "extents count elements: 0 or more");
    return TESSERA_OK;
}

int malformed(const tessera_kernel_descriptor& kernel, const char* where, const char* name) {
    return fail(TESSERA_INTERNAL, "%s: the descriptor of %s %s is malformed", kernel.name, where, name);
}

/// The extent of one dim, from where its descriptor says.
int find_dim(const tessera_kernel_descriptor& kernel, const tessera_value* args, int number, int64_t* dims) {
    const tessera_dim_descriptor& dim = kernel.dims[number];
    int64_t& extent = dims[number];
    switch (dim.kind) {
        case TESSERA_DIM_STATIC: extent = dim.value; break;
        case TESSERA_DIM_BOUND: {
            if (dim.arg < 0 || dim.arg >= kernel.arg_count || kernel.args[dim.arg].kind == TESSERA_ARG_SCALAR || dim.axis < 0 ||
                dim.axis >= kernel.args[dim.arg].rank)
                return malformed(kernel, "dim", dim.name);
            extent = args[dim.arg].buffer->extents[dim.axis];
            break;
        }
        case TESSERA_DIM_DERIVED: {
            const CodeResult result = run_code(dim.code, kernel, args, dims, number, extent);
            if (result == CodeResult::malformed) return malformed(kernel, "dim", dim.name);
            if (result == CodeResult::overflow)
                return add_fix(fail(TESSERA_SIZE, "%s: the extent of dim %s overflows 64 bits", kernel.name, dim.name),
                               "pass smaller extents");
            if (extent < 0)
                return add_fix(fail(TESSERA_ARGUMENT_EXTENT, "%s: the extents passed make dim %s negative: %" PRId64, kernel.name,
                                    dim.name, extent),
                               "pass larger inputs");
            break;
        }
        default: return malformed(kernel, "dim", dim.name);
    }
    if (dim.multiple_of > 1 && extent % dim.multiple_of != 0)
        return add_fix(fail(TESSERA_ARGUMENT_EXTENT, "%s: dim %s is %" PRId64 ", but must be a multiple of %" PRId64, kernel.name,
                            dim.name, extent, dim.multiple_of),
                       "pad %s to %" PRId64, dim.name, (extent / dim.multiple_of + 1) * dim.multiple_of);
    if (extent < dim.at_least)
        return add_fix(fail(TESSERA_ARGUMENT_EXTENT, "%s: dim %s is %" PRId64 ", but must be at least %" PRId64, kernel.name,
                            dim.name, extent, dim.at_least),
                       "pass at least %" PRId64 " along %s", dim.at_least, dim.name);
    if (dim.at_most >= 0 && extent > dim.at_most)
        return add_fix(fail(TESSERA_ARGUMENT_EXTENT, "%s: dim %s is %" PRId64 ", but must be at most %" PRId64, kernel.name,
                            dim.name, extent, dim.at_most),
                       "split the work along %s", dim.name);
    return TESSERA_OK;
}

/// Every axis of one buffer has the extent of its dim.
int check_extents(const tessera_kernel_descriptor& kernel, const tessera_arg_descriptor& arg, const tessera_buffer& buffer,
                  const int64_t* dims) {
    for (int d = 0; d < arg.rank; ++d) {
        const int number = arg.dims[d];
        if (number < 0 || number >= kernel.dim_count) return malformed(kernel, "argument", arg.name);
        if (buffer.extents[d] == dims[number]) continue;
        const tessera_dim_descriptor& dim = kernel.dims[number];
        const char* format_fix = "pass a %s whose dim %d has extent %" PRId64;
        if (dim.kind == TESSERA_DIM_BOUND)
            fail(TESSERA_ARGUMENT_EXTENT, "%s: %s dim %d (%s) has extent %" PRId64 ", but %s dim %d binds %s = %" PRId64,
                 kernel.name, arg.name, d, dim.name, buffer.extents[d], kernel.args[dim.arg].name, dim.axis, dim.name,
                 dims[number]);
        else
            fail(TESSERA_ARGUMENT_EXTENT, "%s: %s dim %d (%s) has extent %" PRId64 ", but %s %s %" PRId64, kernel.name, arg.name,
                 d, dim.name, buffer.extents[d], dim.name,
                 dim.kind == TESSERA_DIM_STATIC ? "is" : "follows from the other extents as", dims[number]);
        return add_fix(TESSERA_ARGUMENT_EXTENT, format_fix, arg.name, d, dims[number]);
    }
    return TESSERA_OK;
}

int check_requirements(const tessera_kernel_descriptor& kernel, const tessera_value* args, const int64_t* dims) {
    for (int r = 0; r < kernel.requirement_count; ++r) {
        const tessera_requirement& requirement = kernel.requirements[r];
        int64_t left = 0;
        int64_t right = 0;
        const CodeResult a = run_code(requirement.left, kernel, args, dims, kernel.dim_count, left);
        const CodeResult b = run_code(requirement.right, kernel, args, dims, kernel.dim_count, right);
        if (a == CodeResult::malformed || b == CodeResult::malformed) return malformed(kernel, "requirement", requirement.text);
        if (a == CodeResult::overflow || b == CodeResult::overflow)
            return fail(TESSERA_SIZE, "%s: requirement %s overflows 64 bits", kernel.name, requirement.text);
        if (left != right)
            return add_fix(fail(TESSERA_ARGUMENT_EXTENT, "%s: %s does not hold: %" PRId64 " and %" PRId64, kernel.name,
                                requirement.text, left, right),
                           "pass extents for which %s", requirement.text);
    }
    return TESSERA_OK;
}

/// Halide computes offsets in 32 bits: extents, strides, their products and the span have to fit. Kernels of a GPU have variants
/// for 64 bits, in which bytes are counted too.
constexpr int64_t cpu_limit = INT32_MAX, gpu_limit = INT64_MAX / 16;

int too_large(const char* kernel, const char* arg, const char* what, int64_t value, int64_t limit) {
    return add_fix(fail(TESSERA_SIZE, "%s: %s %s %" PRId64 ", beyond the %" PRId64 " that %s kernels support", kernel, arg, what,
                        value, limit, limit == cpu_limit ? "CPU" : "GPU"),
                   "split the work into smaller buffers");
}

/// Strides, sizes and the address of one buffer.
int check_memory(const char* kernel, const tessera_arg_descriptor& arg, CheckedBuffer& checked, int64_t limit) {
    const auto refuse = [&](const char* what, int64_t value) { return too_large(kernel, arg.name, what, value, limit); };
    const tessera_buffer& buffer = *checked.buffer;
    bool empty = false;
    for (int d = 0; d < arg.rank; ++d) {
        if (buffer.extents[d] > limit) return refuse("has extent", buffer.extents[d]);
        empty = empty || buffer.extents[d] == 0;
    }
    int64_t dense = 1;
    int64_t last = 0;
    for (int d = arg.rank; d-- > 0;) {
        const int64_t extent = buffer.extents[d];
        const bool innermost = d == arg.rank - 1;
        int64_t stride = buffer.strides == nullptr ? dense : buffer.strides[d];
        // Nobody steps along a dim of one element; a stride of 1 or 0 there is what every kernel expects.
        if (extent <= 1 || empty) stride = innermost ? 1 : std::clamp<int64_t>(stride, 0, cpu_limit);
        if (stride < 0)
            return add_fix(
                fail(TESSERA_ARGUMENT_STRIDE, "%s: %s dim %d has the negative stride %" PRId64, kernel, arg.name, d, stride),
                "copy %s into a buffer with positive strides", arg.name);
        if (innermost && (arg.flags & TESSERA_ARG_LAST_DIM_DENSE) != 0 && stride != 1)
            return add_fix(fail(TESSERA_ARGUMENT_STRIDE, "%s: %s has stride %" PRId64 " in its last dim, but the kernel needs 1",
                                kernel, arg.name, stride),
                           "copy %s into a buffer whose last dim is contiguous", arg.name);
        checked.strides[d] = stride;
        if (empty || extent <= 1) continue;
        int64_t reach = 0;
        if (stride > limit || __builtin_mul_overflow(stride, extent, &reach)) return refuse("spans elements up to", stride);
        if (reach > limit) return refuse("spans elements up to", reach);
        last += stride * (extent - 1);
        if (last >= limit) return refuse("spans elements up to", last);
        if (__builtin_mul_overflow(dense, extent, &dense)) return refuse("has this many elements or more:", extent);
        if (dense > limit) return refuse("has this many elements or more:", dense);
    }
    checked.span_elements = empty ? 0 : last + 1;
    if (empty) return TESSERA_OK;
    if (buffer.data == nullptr)
        return add_fix(fail(TESSERA_ARGUMENT, "%s: the data of %s is null", kernel, arg.name), "allocate %s before the call",
                       arg.name);
    const auto alignment =
        static_cast<uint64_t>(arg.alignment_bytes > 0 ? arg.alignment_bytes : static_cast<int64_t>(checked.element_bytes));
    const auto address = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(buffer.data));
    if (address % alignment != 0)
        return add_fix(
            fail(TESSERA_ARGUMENT_ALIGNMENT, "%s: %s starts at address 0x%" PRIx64 ", which is no multiple of %" PRIu64, kernel,
                 arg.name, address, alignment),
            "align %s to %" PRIu64 " bytes", arg.name, alignment);
    if (arg.kind == TESSERA_ARG_OUTPUT && buffer.strides != nullptr && repeats_elements(checked))
        return add_fix(
            fail(TESSERA_ARGUMENT_STRIDE, "%s: strides of output %s let different indices share an element", kernel, arg.name),
            "pass an output without broadcast or overlapping strides");
    return TESSERA_OK;
}

int check_overlaps(const tessera_kernel_descriptor& kernel, CheckedArguments& checked) {
    for (int o = 0; o < kernel.arg_count; ++o) {
        if (kernel.args[o].kind != TESSERA_ARG_OUTPUT) continue;
        const CheckedBuffer& output = checked.buffers[static_cast<size_t>(o)];
        for (int b = 0; b < kernel.arg_count; ++b) {
            const tessera_arg_descriptor& other = kernel.args[b];
            // A pair of outputs is looked at once.
            if (b == o || other.kind == TESSERA_ARG_SCALAR || (other.kind == TESSERA_ARG_OUTPUT && b < o)) continue;
            const CheckedBuffer& second = checked.buffers[static_cast<size_t>(b)];
            if (!may_overlap(output, second)) continue;
            const bool pair = (kernel.args[o].flags & TESSERA_ARG_IN_PLACE) != 0 && kernel.args[o].in_place_of == b;
            if (pair && same_elements(output, second)) continue;
            fail(TESSERA_ARGUMENT_OVERLAP, "%s: output %s overlaps %s %s%s", kernel.name, kernel.args[o].name,
                 other.kind == TESSERA_ARG_OUTPUT ? "output" : "input", other.name,
                 pair ? ", and in place needs the very same elements" : "");
            return add_fix(TESSERA_ARGUMENT_OVERLAP, "pass separate memory, or declare in_place(%s, %s) in the algorithm",
                           other.name, kernel.args[o].name);
        }
    }
    return TESSERA_OK;
}

}  // namespace

CheckedArguments::CheckedArguments(const tessera_kernel_descriptor& kernel)
    : dims(static_cast<size_t>(kernel.dim_count)), buffers(static_cast<size_t>(kernel.arg_count)), strides_(stride_total(kernel)),
      first_stride_(static_cast<size_t>(kernel.arg_count)) {
    int first = 0;
    for (int a = 0; a < kernel.arg_count; ++a) {
        first_stride_[static_cast<size_t>(a)] = first;
        if (kernel.args[a].kind != TESSERA_ARG_SCALAR) first += kernel.args[a].rank;
    }
}

int check_arguments(const tessera_kernel_descriptor& kernel, const tessera_value* args, CheckedArguments& checked,
                    tessera_device_type device) {
    for (int a = 0; a < kernel.arg_count; ++a) {
        if (kernel.args[a].kind == TESSERA_ARG_SCALAR) continue;
        if (const int status = check_alone(kernel.name, kernel.args[a], args[a].buffer, device)) return status;
    }
    for (int d = 0; d < kernel.dim_count; ++d)
        if (const int status = find_dim(kernel, args, d, checked.dims.data())) return status;
    for (int a = 0; a < kernel.arg_count; ++a) {
        if (kernel.args[a].kind == TESSERA_ARG_SCALAR) continue;
        if (const int status = check_extents(kernel, kernel.args[a], *args[a].buffer, checked.dims.data())) return status;
    }
    if (const int status = check_requirements(kernel, args, checked.dims.data())) return status;
    for (int a = 0; a < kernel.arg_count; ++a) {
        if (kernel.args[a].kind == TESSERA_ARG_SCALAR) continue;
        CheckedBuffer& buffer = checked.buffers[static_cast<size_t>(a)];
        buffer = {args[a].buffer, checked.strides_of(a), 0, tessera_dtype_bytes(kernel.args[a].dtype)};
        if (const int status =
                check_memory(kernel.name, kernel.args[a], buffer, device == TESSERA_DEVICE_CUDA ? gpu_limit : cpu_limit))
            return status;
    }
    if (const int status = check_overlaps(kernel, checked)) return status;
    for (int a = 0; a < kernel.arg_count; ++a) {
        if (device != TESSERA_DEVICE_CPU && kernel.args[a].kind != TESSERA_ARG_SCALAR) continue;
        if (const int status = check_values(kernel, args, a, checked)) return status;
    }
    return TESSERA_OK;
}

}  // namespace tessera::runtime
