#include <tessera/dlpack.h>

#include <cstddef>
#include <string>

namespace tessera::dlpack {
namespace {

static_assert(sizeof(Tensor) == 48 && offsetof(Tensor, dtype) == 20 && offsetof(Tensor, byte_offset) == 40);
static_assert(sizeof(ManagedTensor) == 64 && sizeof(VersionedTensor) == 80 && offsetof(VersionedTensor, tensor) == 32);

constexpr int32_t device_cpu = 1;
constexpr int32_t device_cuda_host = 3;  // pinned main memory
constexpr uint32_t major_version = 1;

struct DtypeRow {
    tessera_dtype dtype;
    uint8_t code;
    uint8_t bits;
};
// Codes: 0 int, 1 uint, 2 float, 4 bfloat, 6 bool, 10 float8_e4m3fn, 12 float8_e5m2.
constexpr DtypeRow dlpack_dtypes[] = {
    {TESSERA_BOOL, 6, 8},  {TESSERA_I8, 0, 8},   {TESSERA_I16, 0, 16}, {TESSERA_I32, 0, 32},    {TESSERA_I64, 0, 64},
    {TESSERA_U8, 1, 8},    {TESSERA_U16, 1, 16}, {TESSERA_U32, 1, 32}, {TESSERA_U64, 1, 64},    {TESSERA_F16, 2, 16},
    {TESSERA_BF16, 4, 16}, {TESSERA_F32, 2, 32}, {TESSERA_F64, 2, 64}, {TESSERA_F8E4M3, 10, 8}, {TESSERA_F8E5M2, 12, 8},
};

template <class Managed>
struct Export {
    AnyBuffer buffer;
    std::vector<int64_t> shape;
    std::vector<int64_t> strides;
    Managed managed;
};

template <class Managed>
Managed* make_export(const AnyBuffer& buffer) {
    if (!buffer.defined()) throw BufferError(TESSERA_ARGUMENT, "an undefined buffer cannot be exported");
    auto* made = new Export<Managed>{buffer, buffer.extents(), buffer.strides(), {}};
    Tensor& tensor = made->managed.tensor;
    tensor.data = buffer.data();
    tensor.device = {device_cpu, 0};
    tensor.ndim = buffer.rank();
    for (const DtypeRow& row : dlpack_dtypes)
        if (row.dtype == buffer.dtype()) tensor.dtype = {row.code, row.bits, 1};
    tensor.shape = made->shape.data();
    tensor.strides = made->strides.data();
    made->managed.manager_ctx = made;
    made->managed.deleter = [](Managed* self) { delete static_cast<Export<Managed>*>(self->manager_ctx); };
    return &made->managed;
}

template <class Managed>
AnyBuffer take_over(Managed* managed) {
    const Tensor& tensor = managed->tensor;
    if (tensor.device.type != device_cpu && tensor.device.type != device_cuda_host)
        throw BufferError(TESSERA_ARGUMENT_DEVICE, "the tensor lives on DLPack device type " +
                                                       std::to_string(tensor.device.type) + "; only main memory can be imported");
    tessera_dtype dtype{};
    for (const DtypeRow& row : dlpack_dtypes)
        if (row.code == tensor.dtype.code && row.bits == tensor.dtype.bits && tensor.dtype.lanes == 1) dtype = row.dtype;
    if (dtype == tessera_dtype{})
        throw BufferError(TESSERA_ARGUMENT_DTYPE, "the tensor's DLPack type (code " + std::to_string(tensor.dtype.code) + ", " +
                                                      std::to_string(tensor.dtype.bits) + " bits, " +
                                                      std::to_string(tensor.dtype.lanes) + " lanes) has no dtype");
    if (tensor.ndim < 0 || (tensor.ndim > 0 && tensor.shape == nullptr))
        throw BufferError(TESSERA_ARGUMENT_RANK, "the tensor has " + std::to_string(tensor.ndim) + " dims without a shape");
    std::vector<int64_t> extents(tensor.shape, tensor.shape + tensor.ndim);
    std::vector<int64_t> strides;
    if (tensor.strides != nullptr) strides.assign(tensor.strides, tensor.strides + tensor.ndim);
    void* first = tensor.data == nullptr ? nullptr : static_cast<char*>(tensor.data) + tensor.byte_offset;
    // The view is checked before the tensor is taken, so a throw leaves it with the caller.
    static_cast<void>(AnyBuffer(dtype, first, extents, strides));
    std::shared_ptr<void> owner(managed, [](void* self) {
        auto* const owned = static_cast<Managed*>(self);
        if (owned->deleter != nullptr) owned->deleter(owned);
    });
    return AnyBuffer(dtype, first, std::move(extents), std::move(strides), std::move(owner));
}

}  // namespace

ManagedTensor* export_tensor(const AnyBuffer& buffer) {
    if (buffer.read_only())
        throw BufferError(TESSERA_ARGUMENT_READ_ONLY, "an unversioned DLPack tensor cannot be read-only; use export_versioned");
    return make_export<ManagedTensor>(buffer);
}

VersionedTensor* export_versioned(const AnyBuffer& buffer) {
    VersionedTensor* made = make_export<VersionedTensor>(buffer);
    made->version = {major_version, 0};
    made->flags = buffer.read_only() ? flag_read_only : 0;
    return made;
}

AnyBuffer import_tensor(ManagedTensor* tensor) {
    if (tensor == nullptr) throw BufferError(TESSERA_ARGUMENT, "the tensor is null");
    return take_over(tensor);
}

AnyBuffer import_versioned(VersionedTensor* tensor) {
    if (tensor == nullptr) throw BufferError(TESSERA_ARGUMENT, "the tensor is null");
    if (tensor->version.major > major_version)
        throw BufferError(TESSERA_ARGUMENT, "the tensor follows DLPack " + std::to_string(tensor->version.major) +
                                                "; this library knows major version " + std::to_string(major_version));
    AnyBuffer result = take_over(tensor);
    result.set_read_only((tensor->flags & flag_read_only) != 0);
    return result;
}

}  // namespace tessera::dlpack
