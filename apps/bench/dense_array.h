// What the calls of our kernels share: views of dense arrays, the check of a status. Included only by them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include <fmt/format.h>
#include <tessera/tessera_runtime.h>

namespace bench {

inline int32_t dtype_of(const float*) { return TESSERA_F32; }
inline int32_t dtype_of(const double*) { return TESSERA_F64; }
inline int32_t dtype_of(const std::uint8_t*) { return TESSERA_U8; }
inline int32_t dtype_of(const std::uint16_t*) { return TESSERA_U16; }

/// A dense array and its extents, outermost first.
template <std::size_t Rank>
class DenseArray {
public:
    template <typename T>
    DenseArray(const T* data, std::array<int64_t, Rank> extents)
        : memory_(const_cast<T*>(data)), dtype_(dtype_of(data)), extents_(extents) {}

    /// A view that is valid while this object stays where it is.
    [[nodiscard]] tessera_buffer view() const {
        return {.data = memory_, .extents = extents_.data(), .rank = Rank, .dtype = dtype_};
    }

private:
    void* memory_;
    int32_t dtype_;
    std::array<int64_t, Rank> extents_;
};

inline void check_status(int status) {
    if (status != TESSERA_OK)
        throw std::runtime_error(fmt::format("our kernel failed, status {}: {}", status, tessera_last_error()));
}

}  // namespace bench
