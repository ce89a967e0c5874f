// Scratch memory of kernels' buffers outside loops: one block a call, from the caller or from tessera_malloc().
#include "runtime/scratch.h"

#include "runtime/last_error.h"

#include <tessera/tessera_kernel.h>

namespace tessera::runtime {
namespace {

/// Stands before the slots, in memory of either kind.
struct ScratchHeader {
    uint64_t from_heap;
};

thread_local ScratchRequest* request_here = nullptr;

/// What kernels without scratch buffers get: they neither read nor give it back.
alignas(TESSERA_SCRATCH_ALIGNMENT) char nothing_needed[1];

void* slots_of(void* block, bool from_heap) {
    static_cast<ScratchHeader*>(block)->from_heap = from_heap ? 1 : 0;
    return static_cast<char*>(block) + TESSERA_SCRATCH_ALIGNMENT;
}

}  // namespace

ScratchScope::ScratchScope(ScratchRequest& request) : outer_(request_here) { request_here = &request; }
ScratchScope::~ScratchScope() { request_here = outer_; }

bool scratch_is_measured() { return request_here != nullptr && request_here->mode == ScratchRequest::Mode::measure; }

}  // namespace tessera::runtime

using namespace tessera::runtime;

extern "C" void* tessera_scratch_begin(int64_t slot_bytes) {
    ScratchRequest direct;
    ScratchRequest& request = request_here != nullptr ? *request_here : direct;
    // What this kernel calls while it runs is none of the caller's request.
    request_here = nullptr;
    request.needed = slot_bytes == 0 ? 0 : static_cast<size_t>(slot_bytes) + TESSERA_SCRATCH_ALIGNMENT;
    if (slot_bytes == 0 && request.mode != ScratchRequest::Mode::measure) return nothing_needed;
    switch (request.mode) {
        case ScratchRequest::Mode::measure: return nullptr;
        case ScratchRequest::Mode::given:
            if (request.needed <= request.bytes) return slots_of(request.memory, false);
            request.status = fail(TESSERA_ARGUMENT, "the scratch memory has %zu bytes, but this call takes %zu", request.bytes,
                                  request.needed);
            return nullptr;
        case ScratchRequest::Mode::heap: break;
    }
    void* const block = tessera_malloc(request.needed);
    if (block != nullptr) return slots_of(block, true);
    request.status =
        fail(TESSERA_OUT_OF_MEMORY, "the kernel found no memory for the %zu bytes of its scratch buffers", request.needed);
    return nullptr;
}

extern "C" int32_t tessera_scratch_end(void* slots) {
    if (slots == nullptr) return 0;
    void* const block = static_cast<char*>(slots) - TESSERA_SCRATCH_ALIGNMENT;
    if (static_cast<const ScratchHeader*>(block)->from_heap != 0) tessera_free(block);
    return 0;
}
