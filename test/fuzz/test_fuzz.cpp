#include <gtest/gtest.h>

#include "fuzz/fuzz_case.h"

namespace tessera {
namespace {

constexpr std::uint64_t corpus = 1500;
constexpr std::uint64_t compiled_corpus = 20;

TEST(Fuzz, LoopTreesEqualTheOracle) {
    std::uint64_t legal = 0;
    for (std::uint64_t seed = 1; seed <= corpus; ++seed) {
        const auto result = fuzz::run_case(seed, false);
        legal += result.legal;
        ASSERT_FALSE(result.failed) << result.text;
    }
    EXPECT_GT(legal, corpus / 3) << "too few random schedules are legal for the corpus to mean much";
}

#if TESSERA_HAVE_HALIDE
TEST(Fuzz, CompiledKernelsEqualTheOracle) {
    for (std::uint64_t seed = 1000; seed < 1000 + compiled_corpus; ++seed) {
        const auto result = fuzz::run_case(seed, true);
        ASSERT_FALSE(result.failed) << result.text;
    }
}
#endif

}  // namespace
}  // namespace tessera
