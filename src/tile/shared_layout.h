#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace tessera::tile {

/// A linear map of bits: the image of a number is the exclusive or of the images of its bits. Layouts of shared memory and of
/// fragments are such maps, so that whether one instruction moves a tile from one to the other is a question about images of
/// bits.
class LinearMap {
public:
    /// `images[i]` is the image of bit i.
    explicit LinearMap(std::vector<std::uint32_t> images) : images_(std::move(images)) {}

    [[nodiscard]] std::uint32_t operator()(std::uint32_t x) const;
    [[nodiscard]] size_t bits() const { return images_.size(); }
    /// x -> this(inner(x)).
    [[nodiscard]] LinearMap after(const LinearMap& inner) const;
    /// No two numbers have one image.
    [[nodiscard]] bool is_injective() const;
    bool operator==(const LinearMap&) const = default;

private:
    std::vector<std::uint32_t> images_;
};

/// Rows of a power of two of bytes whose 16-byte chunks are permuted: the chunk's number is exclusive-ored with `mask` bits of
/// the row, from bit `shift` on, so that eight rows of a column of chunks lie in eight groups of four banks.
struct RowSwizzle {
    int row_bits = 0;  // log2 of a row's bytes
    int shift = 0;
    std::uint32_t mask = 0;

    /// offset in bytes -> offset in bytes, for offsets of `bits` bits.
    [[nodiscard]] LinearMap map(int bits) const;
};
/// None for rows that are no power of two of at least 32 bytes.
[[nodiscard]] std::optional<RowSwizzle> swizzle_of(std::int64_t row_bytes);

/// How often the banks are asked by a load of 8 chunks of 16 bytes at these offsets (what ldmatrix does per matrix): 1 is the
/// least.
[[nodiscard]] int bank_rounds(const std::array<std::uint32_t, 8>& offsets);

}  // namespace tessera::tile
