#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "expr/philox.h"

namespace tessera::math {
namespace {

using Builder = ScalarRandomBuilder;
using Words = PhiloxWords<Builder>;

// The known answers published with Random123 (kat_vectors, philox4x32 10).
TEST(Philox, GivesThePublishedAnswers) {
    Builder b;
    EXPECT_EQ(philox4x32(b, {0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    const std::uint32_t ones = 0xffffffff;
    EXPECT_EQ(philox4x32(b, {ones, ones, ones, ones}, {ones, ones}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(philox4x32(b, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, KeyEntriesAreTheCounterAndTheSeedIsTheKey) {
    Builder b;
    const std::vector<std::int64_t> key = {0x13198a2e, 0x03707344};
    const std::int64_t seed = 0x299f31d0a4093822;
    EXPECT_EQ(random_block<Builder>(b, seed, key), philox4x32(b, {0x13198a2e, 0x03707344, 0, 0}, {0xa4093822, 0x299f31d0}));
    EXPECT_EQ(random_bits<Builder>(b, seed, key), random_block<Builder>(b, seed, key)[0]);
}

TEST(Philox, DifferentKeysGiveDifferentBlocks) {
    Builder b;
    const std::vector<std::int64_t> entries = {0, 1, -1, 0xffffffff, 0x100000000, 0x100000001, -0x100000000, 0x7fffffffffffffff};
    std::set<Words> blocks;
    std::size_t count = 0;
    for (std::size_t position = 0; position < 4; ++position)
        for (std::int64_t entry : entries) {
            std::vector<std::int64_t> key = {5, 6, 7, 8};
            key[position] = entry;
            blocks.insert(random_block<Builder>(b, 42, key));
            ++count;
        }
    EXPECT_EQ(blocks.size(), count);
}

TEST(Uniform, UsesTheTopBitsAndStaysBelowOne) {
    Builder b;
    EXPECT_EQ(word_to_uniform_f32(b, 0), 0.0f);
    EXPECT_EQ(word_to_uniform_f32(b, 0xffffffff), 1 - 0x1p-24f);
    EXPECT_EQ(words_to_uniform_f64(b, 0xffffffff, 0xffffffff), 1 - 0x1p-53);
    EXPECT_EQ(words_to_uniform_f64(b, 0x80000000, 0x800), 0.5 + 0x1p-53);
    EXPECT_EQ(words_to_uniform_f64(b, 0, 0x7ff), 0.0);
}

/// Mean, variance and fourth moment of n draws.
template <class Draw>
std::array<double, 3> moments(int n, Draw draw) {
    double mean = 0, square = 0, fourth = 0;
    for (int i = 0; i < n; ++i) {
        const double x = draw(i);
        mean += x / n;
        square += x * x / n;
        fourth += x * x * x * x / n;
    }
    return {mean, square, fourth};
}

TEST(Uniform, MomentsAreThoseOfTheDistribution) {
    Builder b;
    const int n = 200000;  // standard errors: mean 0.00065, square 0.00067, fourth 0.0006
    for (bool wide : {false, true}) {
        const auto [mean, square, fourth] = moments(n, [&](std::int64_t i) -> double {
            const std::int64_t key[] = {i, 3};
            return wide ? uniform_f64<Builder>(b, 1, key) : static_cast<double>(uniform_f32<Builder>(b, 1, key));
        });
        EXPECT_NEAR(mean, 0.5, 0.003);
        EXPECT_NEAR(square, 1.0 / 3, 0.003);
        EXPECT_NEAR(fourth, 0.2, 0.003);
    }
}

TEST(Normal, MomentsAreThoseOfTheDistribution) {
    Builder b;
    const int n = 200000;  // standard errors: mean 0.0022, square 0.0032, fourth 0.022
    for (bool wide : {false, true}) {
        const auto [mean, square, fourth] = moments(n, [&](std::int64_t i) -> double {
            const std::int64_t key[] = {i};
            return wide ? normal_f64<Builder>(b, 9, key) : static_cast<double>(normal_f32<Builder>(b, 9, key));
        });
        EXPECT_NEAR(mean, 0, 0.01);
        EXPECT_NEAR(square, 1, 0.015);
        EXPECT_NEAR(fourth, 3, 0.1);
    }
}

TEST(Normal, IsFiniteAtTheEndsOfTheUniform) {
    ScalarBuilder<float> f;
    EXPECT_EQ(box_muller(f, 0.0f, 0.25f), 0.0f);
    EXPECT_LT(box_muller(f, 1 - 0x1p-24f, 0.0f), 5.8f);
    ScalarBuilder<double> d;
    EXPECT_LT(box_muller(d, 1 - 0x1p-53, 0.0), 8.6);
}

}  // namespace
}  // namespace tessera::math
