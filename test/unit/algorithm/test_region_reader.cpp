#include "algorithm/required_region.h"

#include "expr/tensor_state.h"

#include <gtest/gtest.h>
#include <tessera/tessera.h>

namespace tessera {
namespace {

// What is kept of one index depends on the dim and on the boundary condition as well.
TEST(RegionReader, KeepsApartDimsAndBoundariesOfOneIndex) {
    const Dim x("x"), ten("ten", 10), four("four", 4);
    const Input wide("wide", f32, {ten}), narrow("narrow", f32, {four});
    Domain points;
    points.set(x, {make_constant(DType::i64, std::int64_t{0}), make_constant(DType::i64, std::int64_t{7})});
    RegionReader reader(points, InputReads::symbolic);
    const auto access = [&](const Input& from, Boundary boundary) {
        return make_access({from.state(), nullptr, boundary}, {make_dim(x)}, DType::f32, 0, {});
    };
    const auto last = [&](const Input& from, Boundary boundary, const std::vector<bool>* inside = nullptr) {
        const Interval read = reader.read_region(access(from, boundary), inside).at(0);
        EXPECT_EQ(integer_constant(read.low), 0);
        return integer_constant(read.high);
    };
    const std::vector<bool> known{true};
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(last(wide, Boundary::none), 7);
        EXPECT_EQ(last(narrow, Boundary::clamp), 3);
        EXPECT_EQ(last(narrow, Boundary::none), 7);
        EXPECT_EQ(last(narrow, Boundary::clamp, &known), 7);
        EXPECT_EQ(last(wide, Boundary::clamp), 7);
        EXPECT_EQ(reader.indices_inside(access(wide, Boundary::clamp)), std::vector<bool>{true});
        EXPECT_EQ(reader.indices_inside(access(narrow, Boundary::clamp)), std::vector<bool>{false});
    }
}

}  // namespace
}  // namespace tessera
