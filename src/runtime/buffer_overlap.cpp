#include "runtime/buffer_overlap.h"

namespace tessera::runtime {
namespace {

/// Bytes from the first element to the end of the last one, of the dims whose stride is below `stride_bytes`; -1 when a larger
/// stride is no multiple of it.
int64_t inner_bytes(const CheckedBuffer& buffer, int64_t stride_bytes) {
    const auto element = static_cast<int64_t>(buffer.element_bytes);
    int64_t bytes = element;
    for (int d = 0; d < buffer.buffer->rank; ++d) {
        const int64_t extent = buffer.buffer->extents[d];
        const int64_t step = buffer.strides[d] * element;
        if (extent <= 1) continue;
        if (step < stride_bytes)
            bytes += (extent - 1) * step;
        else if (step % stride_bytes != 0)
            return -1;
    }
    return bytes;
}

}  // namespace

bool repeats_elements(const CheckedBuffer& buffer) {
    // Taken by ascending stride, every dim has to step over all that the dims before it span.
    const int rank = buffer.buffer->rank;
    for (int d = 0; d < rank; ++d) {
        if (buffer.buffer->extents[d] <= 1) continue;
        int64_t inner = 1;
        for (int e = 0; e < rank; ++e) {
            if (e == d || buffer.buffer->extents[e] <= 1) continue;
            const bool below = buffer.strides[e] < buffer.strides[d] || (buffer.strides[e] == buffer.strides[d] && e < d);
            if (below) inner += (buffer.buffer->extents[e] - 1) * buffer.strides[e];
        }
        if (buffer.strides[d] < inner) return true;
    }
    return false;
}

bool may_overlap(const CheckedBuffer& a, const CheckedBuffer& b) {
    if (a.span_elements == 0 || b.span_elements == 0) return false;
    const auto first_a = reinterpret_cast<uintptr_t>(a.buffer->data);
    const auto first_b = reinterpret_cast<uintptr_t>(b.buffer->data);
    const auto bytes_a = static_cast<uintptr_t>(a.span_elements) * a.element_bytes;
    const auto bytes_b = static_cast<uintptr_t>(b.span_elements) * b.element_bytes;
    if (first_a + bytes_a <= first_b || first_b + bytes_b <= first_a) return false;
    // Blocks of one array: modulo a stride that divides all larger ones, each occupies one interval; apart there, apart
    // everywhere.
    const auto distance = static_cast<int64_t>(first_b - first_a);
    for (int d = 0; d < a.buffer->rank; ++d) {
        const int64_t stride = a.strides[d] * static_cast<int64_t>(a.element_bytes);
        if (a.buffer->extents[d] <= 1 || stride == 0) continue;
        const int64_t inner_a = inner_bytes(a, stride);
        const int64_t inner_b = inner_bytes(b, stride);
        if (inner_a < 0 || inner_b < 0) continue;
        const int64_t offset = ((distance % stride) + stride) % stride;
        if (offset >= inner_a && offset + inner_b <= stride) return false;
    }
    return true;
}

bool same_elements(const CheckedBuffer& a, const CheckedBuffer& b) {
    if (a.buffer->data != b.buffer->data || a.buffer->rank != b.buffer->rank || a.element_bytes != b.element_bytes) return false;
    for (int d = 0; d < a.buffer->rank; ++d) {
        if (a.buffer->extents[d] != b.buffer->extents[d]) return false;
        if (a.buffer->extents[d] > 1 && a.strides[d] != b.strides[d]) return false;
    }
    return true;
}

}  // namespace tessera::runtime
