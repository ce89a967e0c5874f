#pragma once

#include "runtime/argument_check.h"

namespace tessera::runtime {

/// True when two different indices of one buffer may address the same element.
[[nodiscard]] bool repeats_elements(const CheckedBuffer& buffer);
/// False when the two buffers certainly share no byte: their ranges are apart, or they are disjoint blocks of one array.
[[nodiscard]] bool may_overlap(const CheckedBuffer& a, const CheckedBuffer& b);
/// The same address, extents and strides: index for index the same memory.
[[nodiscard]] bool same_elements(const CheckedBuffer& a, const CheckedBuffer& b);

}  // namespace tessera::runtime
