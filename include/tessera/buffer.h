#pragma once

#include <tessera/float8.h>
#include <tessera/tessera_runtime.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace tessera {

/// A buffer is used as what it is not; `status` is the tessera_status of the same mistake at a kernel's entry.
class BufferError : public std::invalid_argument {
public:
    BufferError(tessera_status status, const std::string& message) : std::invalid_argument(message), status_(status) {}
    [[nodiscard]] tessera_status status() const { return status_; }

private:
    tessera_status status_;
};

template <class T>
inline constexpr tessera_dtype dtype_of = [] {
    using U = std::remove_cv_t<T>;
    if constexpr (std::is_same_v<U, bool>)
        return TESSERA_BOOL;
    else if constexpr (std::is_integral_v<U> && sizeof(U) == 1)
        return std::is_signed_v<U> ? TESSERA_I8 : TESSERA_U8;
    else if constexpr (std::is_integral_v<U> && sizeof(U) == 2)
        return std::is_signed_v<U> ? TESSERA_I16 : TESSERA_U16;
    else if constexpr (std::is_integral_v<U> && sizeof(U) == 4)
        return std::is_signed_v<U> ? TESSERA_I32 : TESSERA_U32;
    else if constexpr (std::is_integral_v<U>)
        return std::is_signed_v<U> ? TESSERA_I64 : TESSERA_U64;
    else if constexpr (std::is_same_v<U, float16>)
        return TESSERA_F16;
    else if constexpr (std::is_same_v<U, bfloat16>)
        return TESSERA_BF16;
    else if constexpr (std::is_same_v<U, float8_e4m3>)
        return TESSERA_F8E4M3;
    else if constexpr (std::is_same_v<U, float8_e5m2>)
        return TESSERA_F8E5M2;
    else if constexpr (std::is_same_v<U, float>)
        return TESSERA_F32;
    else {
        static_assert(std::is_same_v<U, double>, "no dtype has this C++ type");
        return TESSERA_F64;
    }
}();
static_assert(sizeof(bool) == 1);

/// An array whose dtype is known at run time: a handle. Copies share the memory; `copy()` makes an independent one. Row-major:
/// the last dim is contiguous unless strides say otherwise. What modules take as arguments.
class AnyBuffer {
public:
    AnyBuffer() = default;
    /// Owning, dense, aligned to 64 bytes, zero-filled. Throws BufferError for negative or too large extents or an unknown dtype.
    AnyBuffer(tessera_dtype dtype, std::vector<int64_t> extents);
    /// A view of memory that `owner` keeps alive (null: the caller does). Strides count elements; empty: dense.
    AnyBuffer(tessera_dtype dtype, void* memory, std::vector<int64_t> extents, std::vector<int64_t> strides = {},
              std::shared_ptr<void> owner = nullptr);

    [[nodiscard]] void* data() const { return memory_; }
    [[nodiscard]] tessera_dtype dtype() const { return dtype_; }
    [[nodiscard]] int rank() const { return static_cast<int>(extents_.size()); }
    [[nodiscard]] const std::vector<int64_t>& extents() const { return extents_; }
    [[nodiscard]] const std::vector<int64_t>& strides() const { return strides_; }
    [[nodiscard]] int64_t extent(int dim) const { return extents_.at(static_cast<size_t>(dim)); }
    [[nodiscard]] int64_t stride(int dim) const { return strides_.at(static_cast<size_t>(dim)); }
    /// The number of elements; 0 for AnyBuffer{}.
    [[nodiscard]] int64_t size() const;
    [[nodiscard]] bool is_dense() const;
    [[nodiscard]] bool read_only() const { return read_only_; }
    void set_read_only(bool value) { read_only_ = value; }
    /// True for a buffer that was given memory or extents; false for AnyBuffer{}.
    [[nodiscard]] bool defined() const { return dtype_ != tessera_dtype{}; }

    /// A dense owning copy of the elements, writable.
    [[nodiscard]] AnyBuffer copy() const;
    /// The view with begin <= index < end in one dim.
    [[nodiscard]] AnyBuffer crop(int dim, int64_t begin, int64_t end) const;
    /// The view with the dims in the given order.
    [[nodiscard]] AnyBuffer transpose(const std::vector<int>& order) const;
    /// The C view; valid while this object is neither changed nor destroyed.
    [[nodiscard]] tessera_buffer c_buffer() const;

private:
    std::shared_ptr<void> owner_;
    void* memory_ = nullptr;
    tessera_dtype dtype_ = {};
    bool read_only_ = false;
    std::vector<int64_t> extents_;
    std::vector<int64_t> strides_;
};

/// Throws BufferError unless `buffer` has the dtype.
void require_dtype(const AnyBuffer& buffer, tessera_dtype dtype);

/// An array of T (bool, std integers, float16, bfloat16, float, double; const T for a read-only view): AnyBuffer with element
/// access.
template <class T>
class Buffer {
public:
    Buffer() = default;
    /// Owning, dense, aligned to 64 bytes, zero-filled.
    explicit Buffer(std::vector<int64_t> extents) : any_(dtype_of<T>, std::move(extents)) {}
    Buffer(std::initializer_list<int64_t> extents) : Buffer(std::vector<int64_t>(extents)) {}
    /// A view of memory that the caller keeps alive. Strides count elements; empty: dense.
    Buffer(T* memory, std::vector<int64_t> extents, std::vector<int64_t> strides = {})
        : any_(dtype_of<T>, const_cast<std::remove_const_t<T>*>(memory), std::move(extents), std::move(strides)) {
        any_.set_read_only(std::is_const_v<T>);
    }
    /// The typed handle of the same memory. Throws BufferError on another dtype, or a read-only buffer unless T is const.
    explicit Buffer(AnyBuffer any) : any_(std::move(any)) {
        require_dtype(any_, dtype_of<T>);
        if (any_.read_only() && !std::is_const_v<T>)
            throw BufferError(TESSERA_ARGUMENT_READ_ONLY, "a read-only buffer needs Buffer<const T>");
    }

    [[nodiscard]] T* data() const { return static_cast<T*>(any_.data()); }
    [[nodiscard]] int rank() const { return any_.rank(); }
    [[nodiscard]] int64_t size() const { return any_.size(); }
    [[nodiscard]] const std::vector<int64_t>& extents() const { return any_.extents(); }
    [[nodiscard]] const std::vector<int64_t>& strides() const { return any_.strides(); }
    [[nodiscard]] int64_t extent(int dim) const { return any_.extent(dim); }
    [[nodiscard]] int64_t stride(int dim) const { return any_.stride(dim); }
    [[nodiscard]] bool is_dense() const { return any_.is_dense(); }

    /// One element, unchecked; as many indices as the rank.
    template <class... Index>
    [[nodiscard]] T& operator()(Index... index) const {
        const int64_t* stride = any_.strides().data();
        int64_t offset = 0;
        ((offset += static_cast<int64_t>(index) * *stride++), ...);
        return data()[offset];
    }
    /// One element, checked: throws BufferError on a wrong count of indices or an index outside.
    [[nodiscard]] T& at(std::span<const int64_t> index) const {
        if (static_cast<int>(index.size()) != rank())
            throw BufferError(TESSERA_ARGUMENT_RANK, "the number of indices is not the rank");
        int64_t offset = 0;
        for (size_t d = 0; d < index.size(); ++d) {
            if (index[d] < 0 || index[d] >= extents()[d])
                throw BufferError(TESSERA_ARGUMENT_EXTENT, "index " + std::to_string(index[d]) + " is outside dim " +
                                                               std::to_string(d) + " of extent " + std::to_string(extents()[d]));
            offset += index[d] * strides()[d];
        }
        return data()[offset];
    }
    /// Calls visit(T&) for every element in row-major order.
    template <class Visit>
    void for_each(Visit visit) const {
        if (size() == 0) return;
        visit_dim(0, data(), visit);
    }
    void fill(const std::remove_const_t<T>& value) const {
        for_each([&](T& element) { element = value; });
    }
    [[nodiscard]] Buffer<std::remove_const_t<T>> copy() const { return Buffer<std::remove_const_t<T>>(any_.copy()); }
    [[nodiscard]] Buffer crop(int dim, int64_t begin, int64_t end) const { return Buffer(any_.crop(dim, begin, end)); }
    [[nodiscard]] Buffer transpose(const std::vector<int>& order) const { return Buffer(any_.transpose(order)); }
    [[nodiscard]] tessera_buffer c_buffer() const { return any_.c_buffer(); }
    [[nodiscard]] const AnyBuffer& any() const { return any_; }
    operator AnyBuffer() const { return any_; }

private:
    template <class Visit>
    void visit_dim(int dim, T* first, Visit& visit) const {
        if (dim == rank()) return visit(*first);
        for (int64_t i = 0; i < extent(dim); ++i) visit_dim(dim + 1, first + i * stride(dim), visit);
    }

    AnyBuffer any_;
};

}  // namespace tessera
