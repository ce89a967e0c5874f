#include "runtime/extent_code.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <vector>

namespace tessera::runtime {
namespace {

/// The kernel has dims 7 and -3 and the scalars i32 41 (argument 0), u64 (argument 1) and f32 (argument 2).
std::optional<int64_t> run(std::vector<int64_t> words, CodeResult wanted = CodeResult::ok, uint64_t big = 0) {
    tessera_arg_descriptor args[3] = {
        {"s", TESSERA_ARG_SCALAR, TESSERA_I32}, {"u", TESSERA_ARG_SCALAR, TESSERA_U64}, {"f", TESSERA_ARG_SCALAR, TESSERA_F32}};
    tessera_kernel_descriptor kernel{};
    kernel.arg_count = 3;
    kernel.args = args;
    tessera_value values[3];
    values[0].i = 41;
    values[1].u = big;
    values[2].f = 1;
    const int64_t dims[2] = {7, -3};
    int64_t result = 0;
    EXPECT_EQ(run_code({words.data(), static_cast<int32_t>(words.size())}, kernel, values, dims, 2, result), wanted);
    return wanted == CodeResult::ok ? std::optional(result) : std::nullopt;
}

constexpr int64_t c = TESSERA_OP_CONST;

TEST(ExtentCode, ReadsConstantsDimsAndScalars) {
    EXPECT_EQ(run({c, -5}), -5);
    EXPECT_EQ(run({TESSERA_OP_DIM, 1}), -3);
    EXPECT_EQ(run({TESSERA_OP_SCALAR, 0}), 41);
    EXPECT_EQ(run({TESSERA_OP_DIM, 0, c, 2, TESSERA_OP_MUL, TESSERA_OP_SCALAR, 0, TESSERA_OP_SUB}), -27);
}

TEST(ExtentCode, DivisionFloorsAndByZeroIsZero) {
    for (int64_t a = -7; a <= 7; ++a)
        for (int64_t b = -3; b <= 3; ++b) {
            const int64_t quotient = *run({c, a, c, b, TESSERA_OP_FLOORDIV});
            const int64_t rest = *run({c, a, c, b, TESSERA_OP_FLOORMOD});
            if (b == 0) {
                EXPECT_EQ(quotient, 0);
                EXPECT_EQ(rest, 0);
                continue;
            }
            EXPECT_EQ(quotient * b + rest, a);
            EXPECT_TRUE(b > 0 ? rest >= 0 && rest < b : rest <= 0 && rest > b) << a << " " << b;
        }
}

TEST(ExtentCode, MinMaxComparisonsAndLogic) {
    EXPECT_EQ(run({c, 2, c, 3, TESSERA_OP_MIN}), 2);
    EXPECT_EQ(run({c, 2, c, 3, TESSERA_OP_MAX}), 3);
    EXPECT_EQ(run({c, 2, c, 3, TESSERA_OP_LT}), 1);
    EXPECT_EQ(run({c, 3, c, 3, TESSERA_OP_LT}), 0);
    EXPECT_EQ(run({c, 3, c, 3, TESSERA_OP_LE}), 1);
    EXPECT_EQ(run({c, 3, c, 3, TESSERA_OP_EQ}), 1);
    EXPECT_EQ(run({c, 3, c, 3, TESSERA_OP_NE}), 0);
    EXPECT_EQ(run({c, 2, c, 0, TESSERA_OP_AND}), 0);
    EXPECT_EQ(run({c, 2, c, 0, TESSERA_OP_OR}), 1);
    EXPECT_EQ(run({c, 2, TESSERA_OP_NOT}), 0);
}

TEST(ExtentCode, OverflowIsReported) {
    run({c, INT64_MAX, c, 1, TESSERA_OP_ADD}, CodeResult::overflow);
    run({c, INT64_MIN, c, 1, TESSERA_OP_SUB}, CodeResult::overflow);
    run({c, int64_t{1} << 40, c, int64_t{1} << 40, TESSERA_OP_MUL}, CodeResult::overflow);
    run({c, INT64_MIN, c, -1, TESSERA_OP_FLOORDIV}, CodeResult::overflow);
    run({TESSERA_OP_SCALAR, 1}, CodeResult::overflow, UINT64_MAX);
}

TEST(ExtentCode, MalformedCodeIsRefused) {
    run({}, CodeResult::malformed);
    run({c}, CodeResult::malformed);
    run({c, 1, c, 2}, CodeResult::malformed);
    run({c, 1, TESSERA_OP_ADD}, CodeResult::malformed);
    run({TESSERA_OP_NOT}, CodeResult::malformed);
    run({99, 0}, CodeResult::malformed);
    run({TESSERA_OP_DIM, 2}, CodeResult::malformed);
    run({TESSERA_OP_DIM, -1}, CodeResult::malformed);
    run({TESSERA_OP_SCALAR, 3}, CodeResult::malformed);
    std::vector<int64_t> deep;
    for (int i = 0; i <= TESSERA_CODE_DEPTH; ++i) deep.insert(deep.end(), {c, 1});
    for (int i = 0; i < TESSERA_CODE_DEPTH; ++i) deep.push_back(TESSERA_OP_ADD);
    run(deep, CodeResult::malformed);
    deep.erase(deep.begin(), deep.begin() + 2);
    deep.pop_back();
    EXPECT_EQ(run(deep), TESSERA_CODE_DEPTH);
}

}  // namespace
}  // namespace tessera::runtime
