#include "tile/shared_layout.h"

#include <algorithm>
#include <bit>
#include <set>

namespace tessera::tile {

std::uint32_t LinearMap::operator()(std::uint32_t x) const {
    std::uint32_t out = 0;
    for (size_t i = 0; i < images_.size(); ++i)
        if ((x >> i & 1) != 0) out ^= images_[i];
    return out;
}

LinearMap LinearMap::after(const LinearMap& inner) const {
    std::vector<std::uint32_t> images;
    for (const std::uint32_t image : inner.images_) images.push_back((*this)(image));
    return LinearMap(std::move(images));
}

bool LinearMap::is_injective() const {
    // Elimination: a bit whose image is a combination of the others' makes two numbers meet.
    std::vector<std::uint32_t> basis;
    for (std::uint32_t image : images_) {
        for (const std::uint32_t b : basis) image = std::min(image, image ^ b);
        if (image == 0) return false;
        basis.push_back(image);
    }
    return true;
}

LinearMap RowSwizzle::map(int bits) const {
    std::vector<std::uint32_t> images;
    for (int i = 0; i < bits; ++i) {
        const std::uint32_t bit = std::uint32_t{1} << i;
        images.push_back(bit ^ ((bit >> row_bits >> shift & mask) << 4));
    }
    return LinearMap(std::move(images));
}

std::optional<RowSwizzle> swizzle_of(std::int64_t row_bytes) {
    if (row_bytes < 32 || row_bytes > (1 << 20) || !std::has_single_bit(static_cast<std::uint64_t>(row_bytes)))
        return std::nullopt;
    RowSwizzle out;
    out.row_bits = std::countr_zero(static_cast<std::uint64_t>(row_bytes));
    // 128 bytes are all banks: shorter rows share them, so that as many rows as do keep their chunks.
    out.shift = std::max(0, 7 - out.row_bits);
    out.mask = std::uint32_t{7} >> out.shift;
    return out;
}

int bank_rounds(const std::array<std::uint32_t, 8>& offsets) {
    std::array<std::set<std::uint32_t>, 8> chunks;
    for (const std::uint32_t o : offsets) chunks[o / 16 % 8].insert(o / 16);
    size_t most = 1;
    for (const std::set<std::uint32_t>& each : chunks) most = std::max(most, each.size());
    return static_cast<int>(most);
}

}  // namespace tessera::tile
