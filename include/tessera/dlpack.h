#pragma once

#include <tessera/buffer.h>

#include <cstdint>

namespace tessera::dlpack {

/// The structs of DLPack (github.com/dmlc/dlpack, versions 0.8 and 1.0), declared anew under our names: same layout, so a pointer
/// to one is a pointer to the other, and both headers may be included together.
struct Device {
    int32_t type;
    int32_t id;
};
struct ElementType {
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
};
struct Tensor {
    void* data;
    Device device;
    int32_t ndim;
    ElementType dtype;
    int64_t* shape;
    int64_t* strides;  // in elements; null: dense row-major
    uint64_t byte_offset;
};
/// DLManagedTensor.
struct ManagedTensor {
    Tensor tensor;
    void* manager_ctx;
    void (*deleter)(ManagedTensor*);
};
struct Version {
    uint32_t major;
    uint32_t minor;
};
inline constexpr uint64_t flag_read_only = 1;
/// DLManagedTensorVersioned.
struct VersionedTensor {
    Version version;
    void* manager_ctx;
    void (*deleter)(VersionedTensor*);
    uint64_t flags;
    Tensor tensor;
};

/// Hands out the buffer's memory without copying. The receiver calls the deleter; until then the memory stays (if the buffer owns
/// it). The unversioned form cannot say read-only: throws BufferError for a read-only buffer.
[[nodiscard]] ManagedTensor* export_tensor(const AnyBuffer& buffer);
[[nodiscard]] VersionedTensor* export_versioned(const AnyBuffer& buffer);

/// Takes the tensor over without copying; its deleter is called when the last buffer of it goes. Throws BufferError (and leaves
/// the tensor to the caller) when it is null, of an unknown dtype, vector lanes, a newer major version, or not in main memory.
[[nodiscard]] AnyBuffer import_tensor(ManagedTensor* tensor);
[[nodiscard]] AnyBuffer import_versioned(VersionedTensor* tensor);

}  // namespace tessera::dlpack
