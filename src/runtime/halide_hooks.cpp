// The functions that Halide 21 kernels compiled with no_runtime refer to. Names and signatures: HalideRuntime.h of Halide 21.
#include "runtime/last_error.h"
#include "runtime/solve_check.h"
#include "runtime/thread_pool.h"

#include <tessera/tessera_runtime.h>

#include <cinttypes>

using tessera::runtime::fail;

extern "C" {

int halide_do_par_for(void* user_context, int (*task)(void*, int, uint8_t*), int min, int size, uint8_t* closure) {
    const int status = tessera::runtime::run_parallel({nullptr, task, user_context, closure}, min, size);
    // A kernel without assertions does not look at it.
    if (status == TESSERA_UNCONVERGED || status == TESSERA_KERNEL_FAILED) tessera::runtime::note_failed_check(status);
    return status;
}

void* halide_malloc(void*, size_t bytes) { return tessera_malloc(bytes); }
void halide_free(void*, void* memory) { tessera_free(memory); }

void halide_error(void*, const char* message) { fail(TESSERA_KERNEL_FAILED, "%s", message); }

int halide_error_out_of_memory(void*) {
    return fail(TESSERA_OUT_OF_MEMORY, "the kernel found no memory for its scratch buffers");
}

int halide_error_buffer_allocation_too_large(void*, const char* name, uint64_t size, uint64_t limit) {
    return fail(TESSERA_SIZE, "%s would take %" PRIu64 " bytes, beyond the %" PRIu64 " that kernels support", name, size, limit);
}
int halide_error_buffer_extents_too_large(void*, const char* name, int64_t size, int64_t limit) {
    return fail(TESSERA_SIZE, "%s would have %" PRId64 " elements, beyond the %" PRId64 " that kernels support", name, size,
                limit);
}
int halide_error_buffer_extents_negative(void*, const char* name, int dim, int extent) {
    return fail(TESSERA_ARGUMENT_EXTENT, "%s has the negative extent %d in dim %d counted from the last", name, extent, dim);
}
int halide_error_buffer_argument_is_null(void*, const char* name) {
    return fail(TESSERA_ARGUMENT, "the buffer of %s is null", name);
}
int halide_error_buffer_is_null(void*, const char* routine) {
    return fail(TESSERA_ARGUMENT, "a buffer passed to %s is null", routine);
}
int halide_error_host_is_null(void*, const char* name) { return fail(TESSERA_ARGUMENT, "the data of %s is null", name); }
int halide_error_bad_type(void*, const char* name, uint32_t given, uint32_t wanted) {
    return fail(TESSERA_ARGUMENT_DTYPE, "%s has type 0x%" PRIx32 ", but the kernel takes 0x%" PRIx32, name, given, wanted);
}
int halide_error_bad_dimensions(void*, const char* name, int32_t given, int32_t wanted) {
    return fail(TESSERA_ARGUMENT_RANK, "%s has rank %" PRId32 ", but the kernel takes rank %" PRId32, name, given, wanted);
}
int halide_error_unaligned_host_ptr(void*, const char* name, int alignment) {
    return fail(TESSERA_ARGUMENT_ALIGNMENT, "%s is not aligned to %d bytes", name, alignment);
}
int halide_error_access_out_of_bounds(void*, const char* name, int dim, int min_touched, int max_touched, int min_valid,
                                      int max_valid) {
    return fail(TESSERA_KERNEL_FAILED,
                "the kernel would touch [%d, %d] of %s, dim %d counted from the last, of which only [%d, %d] exists", min_touched,
                max_touched, name, dim, min_valid, max_valid);
}
int halide_error_explicit_bounds_too_small(void*, const char* name, const char* dim, int min, int max, int min_required,
                                           int max_required) {
    return fail(TESSERA_KERNEL_FAILED, "%s of %s is bound to [%d, %d], but [%d, %d] is needed", dim, name, min, max, min_required,
                max_required);
}
int halide_error_constraints_make_required_region_smaller(void*, const char* name, int dim, int min, int extent, int required_min,
                                                          int required_extent) {
    return fail(TESSERA_KERNEL_FAILED, "%s, dim %d counted from the last, has [%d, +%d), but [%d, +%d) is needed", name, dim, min,
                extent, required_min, required_extent);
}
int halide_error_constraint_violated(void*, const char* name, int value, const char* wanted_name, int wanted) {
    return fail(TESSERA_KERNEL_FAILED, "%s is %d, but must equal %s, which is %d", name, value, wanted_name, wanted);
}
int halide_error_param_too_small_i64(void*, const char* name, int64_t value, int64_t least) {
    return fail(TESSERA_ARGUMENT_VALUE, "%s is %" PRId64 ", but must be at least %" PRId64, name, value, least);
}
int halide_error_param_too_small_u64(void*, const char* name, uint64_t value, uint64_t least) {
    return fail(TESSERA_ARGUMENT_VALUE, "%s is %" PRIu64 ", but must be at least %" PRIu64, name, value, least);
}
int halide_error_param_too_small_f64(void*, const char* name, double value, double least) {
    return fail(TESSERA_ARGUMENT_VALUE, "%s is %g, but must be at least %g", name, value, least);
}
int halide_error_param_too_large_i64(void*, const char* name, int64_t value, int64_t most) {
    return fail(TESSERA_ARGUMENT_VALUE, "%s is %" PRId64 ", but must be at most %" PRId64, name, value, most);
}
int halide_error_param_too_large_u64(void*, const char* name, uint64_t value, uint64_t most) {
    return fail(TESSERA_ARGUMENT_VALUE, "%s is %" PRIu64 ", but must be at most %" PRIu64, name, value, most);
}
int halide_error_param_too_large_f64(void*, const char* name, double value, double most) {
    return fail(TESSERA_ARGUMENT_VALUE, "%s is %g, but must be at most %g", name, value, most);
}
int halide_error_bad_fold(void*, const char* name, const char* dim, const char* loop) {
    return fail(TESSERA_KERNEL_FAILED, "the fold of %s along %s does not fit loop %s", name, dim, loop);
}
int halide_error_fold_factor_too_small(void*, const char* name, const char* dim, int factor, const char* loop, int required) {
    return fail(TESSERA_KERNEL_FAILED, "%s is folded to %d along %s, but loop %s needs %d", name, factor, dim, loop, required);
}
int halide_error_storage_bound_too_small(void*, const char* name, const char* dim, int provided, int required) {
    return fail(TESSERA_KERNEL_FAILED, "the storage of %s has %d along %s, but %d is needed", name, provided, dim, required);
}
int halide_error_split_factor_not_positive(void*, const char* name, const char* dim, const char*, const char*, const char* text,
                                           int factor) {
    return fail(TESSERA_KERNEL_FAILED, "the tile %s of %s along %s is %d", text, name, dim, factor);
}
int halide_error_requirement_failed(void*, const char* condition, const char* message) {
    return fail(TESSERA_KERNEL_FAILED, "%s does not hold: %s", condition, message);
}
int halide_error_specialize_fail(void*, const char* message) {
    return fail(TESSERA_KERNEL_FAILED, "no variant fits: %s", message);
}
int halide_error_extern_stage_failed(void*, const char* name, int result) {
    return fail(TESSERA_KERNEL_FAILED, "stage %s failed with code %d", name, result);
}
int halide_error_bounds_inference_call_failed(void*, const char* name, int result) {
    return fail(TESSERA_KERNEL_FAILED, "the bounds of stage %s could not be found, code %d", name, result);
}
int halide_error_device_dirty_with_no_device_support(void*, const char* name) {
    return fail(TESSERA_ARGUMENT_DEVICE, "%s lives on a device, but the kernel runs on the CPU", name);
}

}  // extern "C"
