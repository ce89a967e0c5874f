#include <gtest/gtest.h>

#include "fuzz/emulated_batch.h"

#include <filesystem>

namespace tessera {
namespace {

using fuzz::Family;

void run_corpus(std::uint64_t count, Family family, std::size_t least_schedules) {
    const std::string folder = testing::TempDir() + "tessera_emulated_fuzz";
    std::filesystem::create_directories(folder);
    const fuzz::BatchResult result = fuzz::run_batch(1, count, family, folder);
    EXPECT_EQ(result.fault, "");
    EXPECT_GE(result.schedules, least_schedules);
}

TEST(EmulatedFuzz, KernelsOfWholeNumbersEqualTheOracle) { run_corpus(30, Family::whole_numbers, 30); }
TEST(EmulatedFuzz, KernelsOfRealsEqualTheOracle) { run_corpus(2, Family::reals, 2); }

}  // namespace
}  // namespace tessera
