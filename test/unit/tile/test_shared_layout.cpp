#include <gtest/gtest.h>

#include "tile/shared_layout.h"

#include <random>

namespace tessera::tile {
namespace {

TEST(LinearMap, ImagesOfSumsAreSumsOfImages) {
    std::mt19937 random(1);
    const LinearMap a({3, 9, 17, 1}), b({2, 5, 8, 1, 12});
    for (int i = 0; i < 100; ++i) {
        const auto x = static_cast<std::uint32_t>(random() % 32), y = static_cast<std::uint32_t>(random() % 32);
        EXPECT_EQ(b(x ^ y), b(x) ^ b(y));
        EXPECT_EQ(a.after(b)(x), a(b(x)));
    }
    EXPECT_EQ(a.after(b).bits(), 5u);
}

TEST(LinearMap, IsInjectiveWhereNoImageIsACombinationOfOthers) {
    EXPECT_TRUE(LinearMap({1, 3, 7}).is_injective());
    EXPECT_FALSE(LinearMap({1, 3, 2}).is_injective());
    EXPECT_FALSE(LinearMap({5, 0}).is_injective());
    std::mt19937 random(2);
    int injective = 0;
    for (int i = 0; i < 200; ++i) {
        std::vector<std::uint32_t> images(3);
        for (std::uint32_t& image : images) image = static_cast<std::uint32_t>(random() % 16);
        const LinearMap map(images);
        bool meets = false;
        for (std::uint32_t x = 1; x < 8; ++x) meets = meets || map(x) == 0;
        EXPECT_EQ(map.is_injective(), !meets);
        injective += map.is_injective() ? 1 : 0;
    }
    EXPECT_TRUE(injective > 20 && injective < 180) << injective;
}

// The eight rows that ldmatrix reads for one matrix, in a column of chunks.
int rounds(std::int64_t row_bytes, std::uint32_t first_row, std::uint32_t chunk, bool swizzle) {
    const LinearMap map = swizzle_of(row_bytes)->map(20);
    std::array<std::uint32_t, 8> offsets{};
    for (std::uint32_t row = 0; row < 8; ++row) {
        const auto offset = static_cast<std::uint32_t>(row_bytes) * (first_row + row) + 16 * chunk;
        offsets[row] = swizzle ? map(offset) : offset;
    }
    return bank_rounds(offsets);
}

TEST(RowSwizzle, ColumnsOfChunksMeetNoBankTwice) {
    for (const std::int64_t row_bytes : {32, 64, 128, 256, 512}) {
        EXPECT_TRUE(swizzle_of(row_bytes)->map(20).is_injective());
        for (std::uint32_t row = 0; row < 64; row += 8)
            for (std::uint32_t chunk = 0; chunk < row_bytes / 16; ++chunk)
                EXPECT_EQ(rounds(row_bytes, row, chunk, true), 1) << row_bytes;
    }
    EXPECT_EQ(rounds(32, 0, 0, false), 2);
    EXPECT_EQ(rounds(64, 0, 1, false), 4);
    EXPECT_EQ(rounds(128, 8, 3, false), 8);
    for (const std::int64_t row_bytes : {16, 24, 80, 96, 0}) EXPECT_FALSE(swizzle_of(row_bytes)) << row_bytes;
}

// A chunk stays whole and in its row.
TEST(RowSwizzle, MovesChunksInsideRows) {
    for (const std::int64_t row_bytes : {32, 64, 128, 256}) {
        const LinearMap map = swizzle_of(row_bytes)->map(16);
        for (std::uint32_t offset = 0; offset < 4096; offset += 5) {
            EXPECT_EQ(map(offset) / static_cast<std::uint32_t>(row_bytes), offset / static_cast<std::uint32_t>(row_bytes));
            EXPECT_EQ(map(offset) % 16, offset % 16);
        }
    }
}

}  // namespace
}  // namespace tessera::tile
