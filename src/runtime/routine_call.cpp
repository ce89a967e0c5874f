// Calls of the C functions of routines from kernels: Halide's buffers as Tessera's, statuses as the error of the call.
#include "runtime/halide_abi.h"
#include "runtime/last_error.h"
#include "runtime/solve_check.h"

#include <memory>
#include <vector>

namespace tessera::runtime {
namespace {

/// What one call is given: operands, then results.
struct RoutineBuffers {
    std::vector<tessera_buffer> buffers;
    std::vector<int64_t> sizes;  // extents and strides of all
    int32_t operands = 0;
};

}  // namespace
}  // namespace tessera::runtime

using tessera::runtime::HalideBuffer;
using tessera::runtime::RoutineBuffers;

extern "C" {

// `extents` of all buffers, outermost dim first: what a buffer holds beyond them, on either side, the function does not see.
void* tessera_routine_begin(int32_t operands, int32_t count, const int32_t* dtypes, const int32_t* extents_of_all,
                            const HalideBuffer* const* given) {
    auto call = std::make_unique<RoutineBuffers>();
    call->operands = operands;
    size_t total = 0;
    for (int32_t k = 0; k < count; ++k) total += 2 * static_cast<size_t>(given[k]->dimensions);
    call->sizes.resize(total);
    int64_t* next = call->sizes.data();
    for (int32_t k = 0; k < count; ++k) {
        const HalideBuffer& from = *given[k];
        tessera_buffer to{};
        const int32_t rank = from.dimensions;
        int64_t *extents = next, *strides = next + rank;
        next += 2 * rank;
        int64_t first = 0;  // element of index (0, 0, ...)
        for (int32_t d = 0; d < rank; ++d) {
            const auto& dim = from.dim[rank - 1 - d];
            extents[d] = *extents_of_all++;
            strides[d] = dim.stride;
            first -= int64_t{dim.min} * dim.stride;
        }
        to.data = from.host + first * static_cast<int64_t>(tessera_dtype_bytes(dtypes[k]));
        to.extents = extents;
        to.strides = strides;
        to.rank = rank;
        to.dtype = dtypes[k];
        to.flags = k < operands ? uint32_t{TESSERA_BUFFER_READ_ONLY} : 0;
        call->buffers.push_back(to);
    }
    return call.release();
}

const tessera_buffer* tessera_routine_operands(void* call) { return static_cast<RoutineBuffers*>(call)->buffers.data(); }
const tessera_buffer* tessera_routine_results(void* call) {
    const auto* buffers = static_cast<RoutineBuffers*>(call);
    return buffers->buffers.data() + buffers->operands;
}

int32_t tessera_routine_end(void* call, int32_t status, const char* symbol) {
    std::unique_ptr<RoutineBuffers>(static_cast<RoutineBuffers*>(call)).reset();
    if (status == 0 || tessera::runtime::this_thread_failed_check() != 0) return status;
    tessera::runtime::fail(TESSERA_KERNEL_FAILED, "routine %s ended with status %d", symbol, status);
    tessera::runtime::note_failed_check(TESSERA_KERNEL_FAILED);
    return status;
}

}  // extern "C"
