#include "runtime/argument_check.h"
#include "runtime/call_values.h"
#include "runtime/extent_code.h"
#include "runtime/halide_abi.h"
#include "runtime/last_error.h"
#include "runtime/scratch.h"
#include "runtime/solve_check.h"

#include <tessera/tessera_kernel.h>

#include <algorithm>

namespace tessera::runtime {
namespace {

/// Finds the variant for these extents on this machine.
int choose_variant(const tessera_kernel_descriptor& kernel, const tessera_value* args, CheckedArguments& checked,
                   const tessera_kernel_variant*& chosen) {
    bool unavailable = false;
    for (int v = 0; v < kernel.variant_count; ++v) {
        const tessera_kernel_variant& variant = kernel.variants[v];
        int64_t holds = 1;
        if (variant.when.words != nullptr) {
            const CodeResult result = run_code(variant.when, kernel, args, checked.dims.data(), kernel.dim_count, holds);
            if (result == CodeResult::malformed)
                return fail(TESSERA_INTERNAL, "%s: the condition of variant %s is malformed", kernel.name, variant.name);
            if (result == CodeResult::overflow) holds = 0;
        }
        if (holds == 0) continue;
        if ((variant.cpu_features & ~tessera_cpu_features()) != 0) {
            unavailable = true;
            continue;
        }
        chosen = &variant;
        return TESSERA_OK;
    }
    if (unavailable)
        return add_fix(
            fail(TESSERA_TARGET_UNAVAILABLE, "%s: this machine lacks instructions that the kernel was compiled for", kernel.name),
            "compile the kernel for this machine's target");
    return fail(TESSERA_INTERNAL, "%s: no variant fits these extents", kernel.name);
}

/// Stands in for the memory of empty buffers, whose data may be null.
alignas(64) uint8_t empty_memory[64];

HalideBuffer halide_buffer(const CheckedBuffer& checked, HalideDim* dims) {
    const tessera_buffer& buffer = *checked.buffer;
    const int rank = buffer.rank;
    for (int d = 0; d < rank; ++d)
        dims[rank - 1 - d] = {0, static_cast<int32_t>(buffer.extents[d]), static_cast<int32_t>(checked.strides[d]), 0};
    HalideBuffer out{};
    out.host = checked.span_elements == 0 ? empty_memory : static_cast<uint8_t*>(buffer.data);
    out.type = halide_type(buffer.dtype);
    out.dimensions = rank;
    out.dim = dims;
    return out;
}

bool writes_nothing(const tessera_kernel_descriptor& kernel, CheckedArguments& checked) {
    for (int a = 0; a < kernel.arg_count; ++a)
        if (kernel.args[a].kind == TESSERA_ARG_OUTPUT && checked.buffers[static_cast<size_t>(a)].span_elements != 0) return false;
    return true;
}

int run_variant(const tessera_kernel_descriptor& kernel, const tessera_kernel_variant& variant, const tessera_value* args,
                CheckedArguments& checked, ScratchRequest& scratch) {
    const bool listed = kernel.params != nullptr;
    const int param_count = listed ? kernel.param_count : kernel.arg_count;
    const auto count = static_cast<size_t>(param_count);
    int dim_total = 0;
    for (int p = 0; p < param_count; ++p) {
        const tessera_kernel_param param = listed ? kernel.params[p] : tessera_kernel_param{TESSERA_PARAM_ARG, p};
        if (param.kind == TESSERA_PARAM_ARG && kernel.args[param.index].kind != TESSERA_ARG_SCALAR)
            dim_total += kernel.args[param.index].rank;
    }
    InlineArray<void*, 32> params(count);
    InlineArray<HalideBuffer, 16> buffers(count);
    InlineArray<ScalarStorage, 32> scalars(count);
    InlineArray<HalideDim, 64> dims(static_cast<size_t>(dim_total));
    HalideDim* next_dims = dims.data();
    for (size_t p = 0; p < count; ++p) {
        const tessera_kernel_param param =
            listed ? kernel.params[p] : tessera_kernel_param{TESSERA_PARAM_ARG, static_cast<int32_t>(p)};
        if (param.kind == TESSERA_PARAM_DIM_I32) {
            const int64_t extent = checked.dims[static_cast<size_t>(param.index)];
            if (extent > INT32_MAX)
                return fail(TESSERA_SIZE, "%s: dim %s is %lld, beyond what CPU kernels support", kernel.name,
                            kernel.dims[param.index].name, static_cast<long long>(extent));
            scalars[p].i32 = static_cast<int32_t>(extent);
            params[p] = &scalars[p];
        } else if (kernel.args[param.index].kind == TESSERA_ARG_SCALAR) {
            scalars[p] = narrow_scalar(kernel.args[param.index].dtype, args[param.index]);
            params[p] = &scalars[p];
        } else {
            buffers[p] = halide_buffer(checked.buffers[static_cast<size_t>(param.index)], next_dims);
            next_dims += kernel.args[param.index].rank;
            params[p] = &buffers[p];
        }
    }
    static_cast<void>(take_failed_check());
    const ScratchScope scope(scratch);
    const int status = variant.call != nullptr ? variant.call(variant.context, params.data()) : variant.argv(params.data());
    if (const int failed = take_failed_check()) return failed;
    if (scratch.status != 0) return scratch.status;
    if (status == 0) return TESSERA_OK;
    if (this_thread_error().message[0] == '\0')
        return fail(TESSERA_KERNEL_FAILED, "%s: the kernel stopped with code %d", kernel.name, status);
    return status > 0 ? status : static_cast<int>(TESSERA_KERNEL_FAILED);
}

int call_kernel(const tessera_kernel_descriptor* kernel, const tessera_value* args, ScratchRequest& scratch) {
    clear_error();
    if (const int status = check_descriptor(kernel, args)) return status;
    CheckedArguments checked(*kernel);
    if (const int status = check_arguments(*kernel, args, checked, TESSERA_DEVICE_CPU)) return status;
    const tessera_kernel_variant* variant = nullptr;
    if (const int status = choose_variant(*kernel, args, checked, variant)) return status;
    if (writes_nothing(*kernel, checked)) return TESSERA_OK;
    return run_variant(*kernel, *variant, args, checked, scratch);
}

}  // namespace
}  // namespace tessera::runtime

using namespace tessera::runtime;

extern "C" int tessera_validate(const tessera_kernel_descriptor* kernel, const tessera_value* args) {
    clear_error();
    if (const int status = check_descriptor(kernel, args)) return status;
    CheckedArguments checked(*kernel);
    return check_arguments(*kernel, args, checked, TESSERA_DEVICE_CPU);
}

extern "C" int tessera_call(const tessera_kernel_descriptor* kernel, const tessera_value* args) {
    ScratchRequest scratch;
    return call_kernel(kernel, args, scratch);
}

extern "C" int tessera_scratch_bytes(const tessera_kernel_descriptor* kernel, const tessera_value* args, size_t* bytes) {
    ScratchRequest scratch{.mode = ScratchRequest::Mode::measure};
    const int status = call_kernel(kernel, args, scratch);
    if (status == TESSERA_OK) *bytes = scratch.needed;
    return status;
}

extern "C" int tessera_call_with_scratch(const tessera_kernel_descriptor* kernel, const tessera_value* args, void* memory,
                                         size_t bytes) {
    if ((memory == nullptr && bytes != 0) || reinterpret_cast<uintptr_t>(memory) % TESSERA_SCRATCH_ALIGNMENT != 0)
        return add_fix(fail(TESSERA_ARGUMENT_ALIGNMENT, "the scratch memory at %p is not aligned to %d bytes", memory,
                            int{TESSERA_SCRATCH_ALIGNMENT}),
                       "take it from tessera_malloc()");
    ScratchRequest scratch{.mode = ScratchRequest::Mode::given, .memory = memory, .bytes = bytes};
    return call_kernel(kernel, args, scratch);
}
