#include <gtest/gtest.h>

#include "fuzz/fuzz_case.h"

#include <cstdio>
#include <set>
#include <string>

namespace tessera {
namespace {

using fuzz::Family;

constexpr std::uint64_t corpus = 1500, real_corpus = 60;
constexpr std::uint64_t compiled_corpus = 20, compiled_reals = 6;

// How many algorithms of a corpus are compared; the others ask for what stages do not have yet.
void run_corpus(std::uint64_t count, Family family, std::uint64_t least_legal, std::uint64_t least_on_gpu,
                std::uint64_t most_limits) {
    std::uint64_t legal = 0, limits = 0, legal_on_gpu = 0;
    std::set<std::string> reasons;
    for (std::uint64_t seed = 1; seed <= count; ++seed) {
        const auto result = fuzz::run_case(seed, false, family);
        legal += result.legal, legal_on_gpu += result.legal_on_gpu;
        if (!result.limit.empty()) ++limits, reasons.insert(result.limit);
        ASSERT_FALSE(result.failed) << result.text;
    }
    EXPECT_GE(legal_on_gpu, least_on_gpu) << "too few random schedules for GPUs are lowered";
    EXPECT_GE(legal, least_legal) << "too few random schedules are legal for the corpus to mean much";
    std::string text;
    for (const std::string& reason : reasons) text += "\n  " + reason;
    std::printf("%llu of %llu algorithms are beyond what stages have%s\n", static_cast<unsigned long long>(limits),
                static_cast<unsigned long long>(count), text.c_str());
    EXPECT_LE(limits, most_limits) << text;
}

TEST(Fuzz, LoopTreesEqualTheOracle) { run_corpus(corpus, Family::whole_numbers, corpus / 3, corpus / 60, 2); }
TEST(Fuzz, LoopTreesOfRealsEqualTheOracle) { run_corpus(real_corpus, Family::reals, real_corpus / 4, 0, 0); }

#if TESSERA_HAVE_HALIDE
TEST(Fuzz, CompiledKernelsEqualTheOracle) {
    for (std::uint64_t seed = 1000; seed < 1000 + compiled_corpus; ++seed) {
        const auto result = fuzz::run_case(seed, true);
        ASSERT_FALSE(result.failed) << result.text;
    }
    for (std::uint64_t seed = 1000; seed < 1000 + compiled_reals; ++seed) {
        const auto result = fuzz::run_case(seed, true, Family::reals);
        ASSERT_FALSE(result.failed) << result.text;
    }
}
#endif

}  // namespace
}  // namespace tessera
