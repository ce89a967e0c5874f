#include <tessera/buffer.h>

#include <cstdlib>
#include <cstring>

namespace tessera {
namespace {

std::string list_text(const std::vector<int64_t>& values) {
    std::string out = "(";
    for (size_t i = 0; i < values.size(); ++i) out += (i == 0 ? "" : ", ") + std::to_string(values[i]);
    return out + ")";
}

std::vector<int64_t> dense_strides(const std::vector<int64_t>& extents) {
    std::vector<int64_t> strides(extents.size());
    int64_t stride = 1;
    for (size_t d = extents.size(); d-- > 0;) {
        strides[d] = stride;
        stride *= std::max<int64_t>(extents[d], 1);
    }
    return strides;
}

void require_shape(tessera_dtype dtype, const std::vector<int64_t>& extents) {
    const auto element = static_cast<int64_t>(tessera_dtype_bytes(dtype));
    if (element == 0) throw BufferError(TESSERA_ARGUMENT_DTYPE, "dtype number " + std::to_string(dtype) + " is unknown");
    int64_t bytes = element;
    for (const int64_t extent : extents) {
        if (extent < 0)
            throw BufferError(TESSERA_ARGUMENT_EXTENT,
                              "extents " + list_text(extents) + " of a buffer hold the negative " + std::to_string(extent));
        if (__builtin_mul_overflow(bytes, std::max<int64_t>(extent, 1), &bytes))
            throw BufferError(TESSERA_SIZE, "a " + std::string(tessera_dtype_name(dtype)) + " buffer of extents " +
                                                list_text(extents) + " is larger than memory can be");
    }
}

void copy_dim(const AnyBuffer& from, const AnyBuffer& to, int dim, const char* source, char* target, size_t element) {
    if (dim == from.rank()) {
        std::memcpy(target, source, element);
        return;
    }
    const auto step = static_cast<int64_t>(element);
    for (int64_t i = 0; i < from.extent(dim); ++i)
        copy_dim(from, to, dim + 1, source + i * from.stride(dim) * step, target + i * to.stride(dim) * step, element);
}

}  // namespace

AnyBuffer::AnyBuffer(tessera_dtype dtype, std::vector<int64_t> extents) : dtype_(dtype), extents_(std::move(extents)) {
    require_shape(dtype_, extents_);
    strides_ = dense_strides(extents_);
    const size_t bytes = static_cast<size_t>(size()) * tessera_dtype_bytes(dtype_);
    // Not tessera_malloc: a caller's array, once freed, goes back to the system.
    memory_ = std::aligned_alloc(64, (bytes / 64 + 1) * 64);
    if (memory_ == nullptr)
        throw BufferError(TESSERA_OUT_OF_MEMORY, "no memory for a buffer of " + std::to_string(bytes) + " bytes");
    owner_ = std::shared_ptr<void>(memory_, std::free);
    std::memset(memory_, 0, bytes);
}

AnyBuffer::AnyBuffer(tessera_dtype dtype, void* memory, std::vector<int64_t> extents, std::vector<int64_t> strides,
                     std::shared_ptr<void> owner)
    : owner_(std::move(owner)), memory_(memory), dtype_(dtype), extents_(std::move(extents)), strides_(std::move(strides)) {
    require_shape(dtype_, extents_);
    if (strides_.empty()) strides_ = dense_strides(extents_);
    if (strides_.size() != extents_.size())
        throw BufferError(TESSERA_ARGUMENT_STRIDE,
                          "strides " + list_text(strides_) + " and extents " + list_text(extents_) + " differ in number");
}

int64_t AnyBuffer::size() const {
    int64_t count = defined() ? 1 : 0;
    for (const int64_t extent : extents_) count *= extent;
    return count;
}

bool AnyBuffer::is_dense() const {
    const std::vector<int64_t> dense = dense_strides(extents_);
    for (size_t d = 0; d < extents_.size(); ++d)
        if (extents_[d] > 1 && strides_[d] != dense[d]) return false;
    return true;
}

AnyBuffer AnyBuffer::copy() const {
    if (!defined()) return {};
    AnyBuffer result(dtype_, extents_);
    const size_t element = tessera_dtype_bytes(dtype_);
    if (size() == 0) return result;
    if (is_dense())
        std::memcpy(result.memory_, memory_, static_cast<size_t>(size()) * element);
    else
        copy_dim(*this, result, 0, static_cast<const char*>(memory_), static_cast<char*>(result.memory_), element);
    return result;
}

AnyBuffer AnyBuffer::crop(int dim, int64_t begin, int64_t end) const {
    if (dim < 0 || dim >= rank())
        throw BufferError(TESSERA_ARGUMENT_RANK, "dim " + std::to_string(dim) + " of a buffer of rank " + std::to_string(rank()));
    const auto d = static_cast<size_t>(dim);
    if (begin < 0 || end < begin || end > extents_[d])
        throw BufferError(TESSERA_ARGUMENT_EXTENT, "crop [" + std::to_string(begin) + ", " + std::to_string(end) + ") of dim " +
                                                       std::to_string(dim) + " of extent " + std::to_string(extents_[d]));
    AnyBuffer result = *this;
    result.memory_ = static_cast<char*>(memory_) + begin * strides_[d] * static_cast<int64_t>(tessera_dtype_bytes(dtype_));
    result.extents_[d] = end - begin;
    return result;
}

AnyBuffer AnyBuffer::transpose(const std::vector<int>& order) const {
    AnyBuffer result = *this;
    std::vector<bool> seen(extents_.size(), false);
    for (size_t d = 0; d < order.size(); ++d) {
        const int from = order[d];
        if (order.size() != extents_.size() || from < 0 || from >= rank() || seen[static_cast<size_t>(from)])
            throw BufferError(TESSERA_ARGUMENT_RANK, "the order is no permutation of " + std::to_string(rank()) + " dims");
        seen[static_cast<size_t>(from)] = true;
        result.extents_[d] = extents_[static_cast<size_t>(from)];
        result.strides_[d] = strides_[static_cast<size_t>(from)];
    }
    return result;
}

tessera_buffer AnyBuffer::c_buffer() const {
    tessera_buffer view{};
    view.data = memory_;
    view.extents = extents_.data();
    view.strides = strides_.data();
    view.rank = rank();
    view.dtype = dtype_;
    view.flags = read_only_ ? TESSERA_BUFFER_READ_ONLY : 0;
    return view;
}

void require_dtype(const AnyBuffer& buffer, tessera_dtype dtype) {
    if (buffer.dtype() != dtype)
        throw BufferError(TESSERA_ARGUMENT_DTYPE, std::string("the buffer holds ") + tessera_dtype_name(buffer.dtype()) +
                                                      ", not " + tessera_dtype_name(dtype));
}

}  // namespace tessera
