#pragma once

#include "runtime/inline_array.h"

#include <tessera/tessera_kernel.h>

#include <cstddef>
#include <cstdint>

namespace tessera::runtime {

/// A buffer as the kernel will see it. `strides` has an entry for every dim; those of dims with extent <= 1 say nothing.
struct CheckedBuffer {
    const tessera_buffer* buffer;
    int64_t* strides;
    int64_t span_elements;  // from the first to one past the last element; 0 when the buffer is empty
    size_t element_bytes;
};

/// The scratch of one call: extents of all dims, and every buffer argument (indexed like the arguments).
class CheckedArguments {
public:
    explicit CheckedArguments(const tessera_kernel_descriptor& kernel);
    InlineArray<int64_t, 32> dims;
    InlineArray<CheckedBuffer, 16> buffers;
    [[nodiscard]] int64_t* strides_of(int arg) { return strides_.data() + first_stride_[static_cast<size_t>(arg)]; }

private:
    InlineArray<int64_t, 64> strides_;
    InlineArray<int, 16> first_stride_;
};

/// Checks every argument against the descriptor and fills `checked`; buffers must live on a device of type `device`, and values
/// in them are looked at in main memory alone. Returns a tessera_status with the last error set.
[[nodiscard]] int check_arguments(const tessera_kernel_descriptor& kernel, const tessera_value* args, CheckedArguments& checked,
                                  tessera_device_type device);

}  // namespace tessera::runtime
