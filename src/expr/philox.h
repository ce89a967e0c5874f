#pragma once
// Random numbers as a pure function of a seed and up to four integers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel
// random numbers: as easy as 1, 2, 3"), written over a builder so that every backend draws the same bits.
#include <array>
#include <cstdint>
#include <span>

#include "expr/math_definitions.h"

namespace tessera::math {

/// What a random builder provides. U32 and I64 are its 32-bit unsigned and 64-bit signed values.
///   u32(value) -> U32; u32_add, u32_mul (wrapping), u32_xor, u32_shr(x, amount)
///   mul_high(U32, U32) -> U32: the upper half of the 64-bit product
///   low_word(I64), high_word(I64) -> U32
///   Real32, Real64: the math builders of f32 and f64, reached by real32() and real64()
///   to_f32(U32), to_f64(U32) -> Float of a value below 2^24 (any for f64), exact
class ScalarRandomBuilder {
public:
    using U32 = std::uint32_t;
    using I64 = std::int64_t;
    using Real32 = ScalarBuilder<float>;
    using Real64 = ScalarBuilder<double>;

    Real32& real32() { return real32_; }
    Real64& real64() { return real64_; }
    U32 u32(std::uint32_t value) const { return value; }
    U32 u32_add(U32 a, U32 b) const { return a + b; }
    U32 u32_mul(U32 a, U32 b) const { return a * b; }
    U32 u32_xor(U32 a, U32 b) const { return a ^ b; }
    U32 u32_shr(U32 a, int by) const { return a >> by; }
    U32 mul_high(U32 a, U32 b) const { return static_cast<U32>((std::uint64_t{a} * b) >> 32); }
    U32 low_word(I64 a) const { return static_cast<U32>(static_cast<std::uint64_t>(a)); }
    U32 high_word(I64 a) const { return static_cast<U32>(static_cast<std::uint64_t>(a) >> 32); }
    float to_f32(U32 a) const { return static_cast<float>(a); }
    double to_f64(U32 a) const { return static_cast<double>(a); }

private:
    Real32 real32_;
    Real64 real64_;
};

template <class B>
using PhiloxWords = std::array<typename B::U32, 4>;

/// The block of four words for a counter and a key: ten rounds.
template <class B>
[[nodiscard]] PhiloxWords<B> philox4x32(B& b, PhiloxWords<B> counter, std::array<typename B::U32, 2> key) {
    const auto m0 = b.u32(0xD2511F53), m1 = b.u32(0xCD9E8D57);  // the published multipliers and Weyl increments
    const auto w0 = b.u32(0x9E3779B9), w1 = b.u32(0xBB67AE85);
    for (int round = 0; round < 10; ++round) {
        if (round > 0) key = {b.u32_add(key[0], w0), b.u32_add(key[1], w1)};
        const auto high0 = b.mul_high(m0, counter[0]), low0 = b.u32_mul(m0, counter[0]);
        const auto high1 = b.mul_high(m1, counter[2]), low1 = b.u32_mul(m1, counter[2]);
        counter = {b.u32_xor(b.u32_xor(high1, counter[1]), key[0]), low1, b.u32_xor(b.u32_xor(high0, counter[3]), key[1]), low0};
    }
    return counter;
}

/// The block that belongs to a seed and a key of 0 to 4 integers.
/// Counter word j is the low word of entry j, 0 where there is no entry: {i} and {i, 0} are the same key. The Philox key is the
/// seed, its low word xor-ed with high(0)*0x9E3779B1 + high(1)*0x85EBCA77 and its high word with high(2)*0xC2B2AE3D +
/// high(3)*0x27D4EB2F, where high(j) is the high word of entry j. Entries in [0, 2^32) leave the seed as it is, so two such keys
/// never share a block; neither do two keys of the same seed that go beyond 2^32 (or below 0) in at most one of entries 0, 1 and
/// one of entries 2, 3: the multipliers are odd.
template <class B>
[[nodiscard]] PhiloxWords<B> random_block(B& b, typename B::I64 seed, std::span<const typename B::I64> key) {
    using U32 = typename B::U32;
    constexpr std::uint32_t fold[] = {0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F};
    const U32 zero = b.u32(0);
    PhiloxWords<B> counter{zero, zero, zero, zero};
    std::array<U32, 2> philox_key{b.low_word(seed), b.high_word(seed)};
    std::array<U32, 2> folded{zero, zero};
    for (std::size_t j = 0; j < key.size() && j < 4; ++j) {
        counter[j] = b.low_word(key[j]);
        folded[j / 2] = b.u32_add(folded[j / 2], b.u32_mul(b.high_word(key[j]), b.u32(fold[j])));
    }
    for (std::size_t j = 0; j < 2; ++j) philox_key[j] = b.u32_xor(philox_key[j], folded[j]);
    return philox4x32(b, counter, philox_key);
}

/// Uniform random bits: word 0 of the block.
template <class B>
[[nodiscard]] typename B::U32 random_bits(B& b, typename B::I64 seed, std::span<const typename B::I64> key) {
    return random_block(b, seed, key)[0];
}

/// k / 2^24 with k the top 24 bits of a word: uniform in [0, 1).
template <class B>
[[nodiscard]] typename B::Real32::Float word_to_uniform_f32(B& b, typename B::U32 word) {
    return b.real32().mul(b.to_f32(b.u32_shr(word, 8)), b.real32().constant(0x1p-24));
}

/// k / 2^53 with k the top 53 bits of high * 2^32 + low: uniform in [0, 1).
template <class B>
[[nodiscard]] typename B::Real64::Float words_to_uniform_f64(B& b, typename B::U32 high, typename B::U32 low) {
    auto& r = b.real64();
    return r.fma(b.to_f64(high), r.constant(0x1p-32), r.mul(b.to_f64(b.u32_shr(low, 11)), r.constant(0x1p-53)));
}

/// Uniform in [0, 1): a multiple of 2^-24, from word 0.
template <class B>
[[nodiscard]] typename B::Real32::Float uniform_f32(B& b, typename B::I64 seed, std::span<const typename B::I64> key) {
    return word_to_uniform_f32(b, random_block(b, seed, key)[0]);
}

/// Uniform in [0, 1): a multiple of 2^-53, from words 0 (high) and 1.
template <class B>
[[nodiscard]] typename B::Real64::Float uniform_f64(B& b, typename B::I64 seed, std::span<const typename B::I64> key) {
    const auto block = random_block(b, seed, key);
    return words_to_uniform_f64(b, block[0], block[1]);
}

/// Box-Muller: sqrt(-2 log(1 - u)) cos(2 pi v). 1 - u lies in (0, 1], so the result is finite.
template <class B>
[[nodiscard]] typename B::Float box_muller(B& b, typename B::Float u, typename B::Float v) {
    constexpr double two_pi = B::bits == 32 ? 0x1.921fb6p+2 : 0x1.921fb54442d18p+2;
    const auto radius = b.sqrt(b.mul(b.constant(-2), log(b, b.sub(b.constant(1), u))));
    return b.mul(radius, cos(b, b.mul(b.constant(two_pi), v)));
}

/// Standard normal, |result| < 5.8 (24-bit uniforms): words 0 and 1.
template <class B>
[[nodiscard]] typename B::Real32::Float normal_f32(B& b, typename B::I64 seed, std::span<const typename B::I64> key) {
    const auto block = random_block(b, seed, key);
    return box_muller(b.real32(), word_to_uniform_f32(b, block[0]), word_to_uniform_f32(b, block[1]));
}

/// Standard normal, |result| < 8.6 (53-bit uniforms): words 0, 1 and 2, 3.
template <class B>
[[nodiscard]] typename B::Real64::Float normal_f64(B& b, typename B::I64 seed, std::span<const typename B::I64> key) {
    const auto block = random_block(b, seed, key);
    return box_muller(b.real64(), words_to_uniform_f64(b, block[0], block[1]), words_to_uniform_f64(b, block[2], block[3]));
}

}  // namespace tessera::math
