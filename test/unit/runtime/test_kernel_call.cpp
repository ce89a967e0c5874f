#include <gtest/gtest.h>
#include <tessera/buffer.h>
#include <tessera/tessera_kernel.h>

#include "runtime/halide_abi.h"

#include <cstring>
#include <limits>
#include <string>
#include <vector>

extern "C" int call_kernel_from_c(void);

namespace tessera {
namespace {

using runtime::HalideBuffer;

/// A kernel C(m, n) = s * A(m, k) + B(k, n) taken at k = 0, with an index row R(n) of values in [0, m), as the descriptor of a
/// compiled one would say it: m and k from A, n from B.
struct Gemm {
    int32_t dims_a[2] = {0, 1};
    int32_t dims_b[2] = {1, 2};
    int32_t dims_c[2] = {0, 2};
    int32_t dims_r[1] = {2};
    int64_t zero[2] = {TESSERA_OP_CONST, 0};
    int64_t extent_m[2] = {TESSERA_OP_DIM, 0};
    int64_t large[5] = {TESSERA_OP_DIM, 0, TESSERA_OP_CONST, 4, TESSERA_OP_LT};
    tessera_dim_descriptor dims[3] = {{"m", TESSERA_DIM_BOUND, 0, 0, 0, {}, 0, 0, -1},
                                      {"k", TESSERA_DIM_BOUND, 0, 1, 0, {}, 0, 0, -1},
                                      {"n", TESSERA_DIM_BOUND, 1, 1, 0, {}, 0, 0, -1}};
    tessera_arg_descriptor args[5] = {{"A", TESSERA_ARG_INPUT, TESSERA_F32, 2, dims_a, TESSERA_ARG_LAST_DIM_DENSE, -1, 0, {}, {}},
                                      {"B", TESSERA_ARG_INPUT, TESSERA_F32, 2, dims_b, 0, -1, 0, {}, {}},
                                      {"R",
                                       TESSERA_ARG_INPUT,
                                       TESSERA_I32,
                                       1,
                                       dims_r,
                                       TESSERA_ARG_VALUE_RANGE | TESSERA_ARG_NONDECREASING,
                                       -1,
                                       0,
                                       {zero, 2},
                                       {extent_m, 2}},
                                      {"s", TESSERA_ARG_SCALAR, TESSERA_F32, 0, nullptr, 0, -1, 0, {}, {}},
                                      {"C", TESSERA_ARG_OUTPUT, TESSERA_F32, 2, dims_c, 0, -1, 0, {}, {}}};
    std::vector<tessera_kernel_variant> variants{{"all", {}, 0, kernel, nullptr, nullptr}};
    std::vector<tessera_requirement> requirements;
    std::vector<tessera_kernel_param> params;

    Buffer<float> a{{3, 2}};
    Buffer<float> b{{2, 4}};
    Buffer<int32_t> r{{4}};
    Buffer<float> c{{3, 4}};
    tessera_buffer ca = a.c_buffer();
    tessera_buffer cb = b.c_buffer();
    tessera_buffer cr = r.c_buffer();
    tessera_buffer cc = c.c_buffer();
    double s = 2;

    Gemm() {
        for (int64_t i = 0; i < 3; ++i) a(i, 0) = static_cast<float>(i);
        for (int64_t j = 0; j < 4; ++j) b(0, j) = static_cast<float>(10 * j);
    }

    static int kernel(void** params) {
        const auto* a = static_cast<const HalideBuffer*>(params[0]);
        const auto* b = static_cast<const HalideBuffer*>(params[1]);
        const float s = *static_cast<const float*>(params[3]);
        const auto* c = static_cast<const HalideBuffer*>(params[4]);
        for (int i = 0; i < c->dim[1].extent; ++i)
            for (int j = 0; j < c->dim[0].extent; ++j)
                reinterpret_cast<float*>(c->host)[i * c->dim[1].stride + j * c->dim[0].stride] =
                    s * reinterpret_cast<const float*>(a->host)[i * a->dim[1].stride] +
                    reinterpret_cast<const float*>(b->host)[j * b->dim[0].stride];
        return 0;
    }

    int call() {
        const tessera_kernel_descriptor kernel_descriptor{TESSERA_KERNEL_ABI,
                                                          "gemm",
                                                          5,
                                                          args,
                                                          3,
                                                          dims,
                                                          static_cast<int32_t>(requirements.size()),
                                                          requirements.data(),
                                                          static_cast<int32_t>(params.size()),
                                                          params.empty() ? nullptr : params.data(),
                                                          static_cast<int32_t>(variants.size()),
                                                          variants.data()};
        tessera_value values[5];
        values[0].buffer = &ca;
        values[1].buffer = &cb;
        values[2].buffer = &cr;
        values[3].f = s;
        values[4].buffer = &cc;
        return tessera_call(&kernel_descriptor, values);
    }

    /// The call fails with this code and message, names a fix, and leaves the output alone.
    void expect(int status, const std::string& message) {
        const Buffer<float> before = c.copy();
        EXPECT_EQ(call(), status);
        EXPECT_EQ(tessera_last_error(), "gemm: " + message);
        EXPECT_STRNE(tessera_last_error_fix(), "");
        EXPECT_EQ(std::memcmp(before.data(), c.data(), static_cast<size_t>(c.size()) * sizeof(float)), 0);
    }
};

TEST(KernelCall, RunsWithReversedDimsAndNarrowedScalars) {
    Gemm gemm;
    ASSERT_EQ(gemm.call(), 0) << tessera_last_error();
    EXPECT_EQ(gemm.c(2, 3), 2 * 2 + 30);
    EXPECT_STREQ(tessera_last_error(), "");
}

TEST(KernelCall, HeadersArePlainC) { EXPECT_EQ(call_kernel_from_c(), 0); }

TEST(KernelCall, StridedViewsAndNullStrides) {
    Gemm gemm;
    const Buffer<float> wide({4, 6});
    wide(0, 2) = 5;
    const Buffer<float> turned = wide.transpose({1, 0}).crop(0, 2, 4);  // (2, 4) with strides (1, 6)
    gemm.cb = turned.c_buffer();
    gemm.cb.strides = turned.strides().data();
    ASSERT_EQ(gemm.call(), 0) << tessera_last_error();
    EXPECT_EQ(gemm.c(1, 0), 2 + 5);
    gemm.cc.strides = nullptr;
    gemm.ca.strides = nullptr;
    ASSERT_EQ(gemm.call(), 0) << tessera_last_error();
    EXPECT_EQ(gemm.c(2, 0), 4 + 5);
}

TEST(KernelCall, EveryBadBufferHasItsCode) {
    {
        Gemm g;
        g.ca.data = nullptr;
        g.expect(TESSERA_ARGUMENT, "the data of A is null");
    }
    {
        Gemm g;
        g.ca.extents = nullptr;
        g.expect(TESSERA_ARGUMENT, "the extents of A are null");
    }
    {
        Gemm g;
        g.ca.dtype = TESSERA_F64;
        g.expect(TESSERA_ARGUMENT_DTYPE, "A holds f64, but the kernel takes f32");
    }
    {
        Gemm g;
        g.ca.dtype = 77;
        g.expect(TESSERA_ARGUMENT_DTYPE, "A holds ?, but the kernel takes f32");
    }
    {
        Gemm g;
        g.cb.rank = 3;
        g.expect(TESSERA_ARGUMENT_RANK, "B has rank 3, but the kernel takes rank 2");
    }
    {
        Gemm g;
        g.cb.device_type = TESSERA_DEVICE_CUDA;
        g.expect(TESSERA_ARGUMENT_DEVICE, "B lives on device type 2, but the kernel runs on the CPU");
    }
    {
        Gemm g;
        g.cc.flags = TESSERA_BUFFER_READ_ONLY;
        g.expect(TESSERA_ARGUMENT_READ_ONLY, "output C is read-only");
    }
    {
        Gemm g;
        g.ca.flags = TESSERA_BUFFER_READ_ONLY;
        EXPECT_EQ(g.call(), 0);
    }
}

TEST(KernelCall, ExtentsNameBothArgumentsAndBothValues) {
    const int64_t five_by_four[2] = {5, 4};
    const int64_t negative[2] = {2, -4};
    {
        Gemm g;
        g.cc.extents = five_by_four;
        g.expect(TESSERA_ARGUMENT_EXTENT, "C dim 0 (m) has extent 5, but A dim 0 binds m = 3");
    }
    {
        Gemm g;
        g.cb.extents = five_by_four;
        g.expect(TESSERA_ARGUMENT_EXTENT, "B dim 0 (k) has extent 5, but A dim 1 binds k = 2");
    }
    {
        Gemm g;
        g.cb.extents = negative;
        g.expect(TESSERA_ARGUMENT_EXTENT, "B dim 1 has the negative extent -4");
    }
    {
        Gemm g;
        g.dims[1] = {"k", TESSERA_DIM_STATIC, 0, 0, 8, {}, 0, 0, -1};
        g.expect(TESSERA_ARGUMENT_EXTENT, "A dim 1 (k) has extent 2, but k is 8");
    }
    {
        Gemm g;
        g.dims[2].multiple_of = 8;
        g.expect(TESSERA_ARGUMENT_EXTENT, "dim n is 4, but must be a multiple of 8");
    }
    {
        Gemm g;
        g.dims[2].at_most = 3;
        g.expect(TESSERA_ARGUMENT_EXTENT, "dim n is 4, but must be at most 3");
    }
    {
        Gemm g;
        g.dims[2].at_least = 5;
        g.expect(TESSERA_ARGUMENT_EXTENT, "dim n is 4, but must be at least 5");
    }
}

TEST(KernelCall, DerivedDimsAndRequirements) {
    const int64_t twice_k[] = {TESSERA_OP_DIM, 1, TESSERA_OP_CONST, 2, TESSERA_OP_MUL};
    const int64_t less[] = {TESSERA_OP_DIM, 1, TESSERA_OP_CONST, 9, TESSERA_OP_SUB};
    const int64_t huge[] = {TESSERA_OP_CONST, INT64_MAX, TESSERA_OP_DIM, 1, TESSERA_OP_MUL};
    const int64_t later[] = {TESSERA_OP_DIM, 2};
    Gemm g;
    g.dims[2] = {"n", TESSERA_DIM_DERIVED, 0, 0, 0, {twice_k, 5}, 0, 0, -1};
    EXPECT_EQ(g.call(), 0) << tessera_last_error();
    g.dims[2].code = {less, 5};
    g.expect(TESSERA_ARGUMENT_EXTENT, "the extents passed make dim n negative: -7");
    g.dims[2].code = {huge, 5};
    g.expect(TESSERA_SIZE, "the extent of dim n overflows 64 bits");
    g.dims[2].code = {later, 2};
    EXPECT_EQ(g.call(), TESSERA_INTERNAL);
    g.dims[2] = Gemm().dims[2];
    g.requirements = {{{g.extent_m, 2}, {twice_k, 5}, "m == 2 * k"}};
    g.expect(TESSERA_ARGUMENT_EXTENT, "m == 2 * k does not hold: 3 and 4");
}

TEST(KernelCall, StridesAndAlignment) {
    const int64_t negative[2] = {-4, 1};
    const int64_t spread[2] = {8, 2};
    const int64_t broadcast[2] = {0, 1};
    const int64_t overlapping[2] = {2, 1};
    {
        Gemm g;
        g.cb.strides = negative;
        g.expect(TESSERA_ARGUMENT_STRIDE, "B dim 0 has the negative stride -4");
    }
    {
        Gemm g;
        g.ca.strides = spread;
        g.expect(TESSERA_ARGUMENT_STRIDE, "A has stride 2 in its last dim, but the kernel needs 1");
    }
    {
        Gemm g;
        g.cb.strides = broadcast;
        EXPECT_EQ(g.call(), 0);
    }
    {
        Gemm g;
        g.cc.strides = broadcast;
        g.expect(TESSERA_ARGUMENT_STRIDE, "strides of output C let different indices share an element");
    }
    {
        Gemm g;
        g.cc.strides = overlapping;
        g.expect(TESSERA_ARGUMENT_STRIDE, "strides of output C let different indices share an element");
    }
    Gemm g;
    g.ca.data = static_cast<char*>(g.ca.data) + 2;
    EXPECT_EQ(g.call(), TESSERA_ARGUMENT_ALIGNMENT);
}

TEST(KernelCall, PromisedAlignment) {
    Gemm g;
    g.args[1].alignment_bytes = 64;
    EXPECT_EQ(g.call(), 0);
    const Buffer<float> room({3, 4});
    g.cb.data = room.data() + 4;
    EXPECT_EQ(g.call(), TESSERA_ARGUMENT_ALIGNMENT);
    g.args[1].alignment_bytes = 16;
    EXPECT_EQ(g.call(), 0);
}

TEST(KernelCall, SizesBeyond32Bits) {
    const int64_t long_row[2] = {2, int64_t{1} << 31};
    const int64_t many[2] = {int64_t{1} << 20, int64_t{1} << 20};
    const int64_t none[2] = {0, 0};
    const int64_t far[2] = {int64_t{1} << 31, 1};
    const int64_t overflow[2] = {INT64_MAX, INT64_MAX};
    const auto status = [](const int64_t* extents, const int64_t* strides) {
        Gemm g;
        if (extents != nullptr) {
            // Only B is judged: its extents bind k and n, and everybody follows.
            g.dims[1] = {"k", TESSERA_DIM_BOUND, 1, 0, 0, {}, 0, 0, -1};
            g.cb.extents = extents;
            g.cb.strides = strides;
            const int64_t a_extents[2] = {3, extents[0]};
            const int64_t r_extents[1] = {extents[1]};
            const int64_t c_extents[2] = {3, extents[1]};
            g.ca.extents = a_extents;
            g.ca.strides = nullptr;
            g.cr.extents = r_extents;
            g.cc.extents = c_extents;
            return g.call();
        }
        g.cb.strides = strides;
        return g.call();
    };
    EXPECT_EQ(status(long_row, nullptr), TESSERA_SIZE);
    EXPECT_EQ(status(many, nullptr), TESSERA_SIZE);
    EXPECT_EQ(status(overflow, nullptr), TESSERA_SIZE);
    EXPECT_EQ(status(nullptr, far), TESSERA_SIZE);
    EXPECT_EQ(status(many, none), TESSERA_SIZE);
}

TEST(KernelCall, OutputsMayNotOverlapUnlessInPlace) {
    Gemm g;
    const Buffer<float> shared({8, 8});
    g.cb.data = g.c.data();
    g.expect(TESSERA_ARGUMENT_OVERLAP, "output C overlaps input B");
    // Left and right half of one array interleave in memory, but share nothing.
    const Buffer<float> left = shared.crop(0, 0, 3).crop(1, 0, 4);
    const Buffer<float> right = shared.crop(0, 0, 2).crop(1, 4, 8);
    g.cc = left.c_buffer();
    g.cb = right.c_buffer();
    EXPECT_EQ(g.call(), 0) << tessera_last_error();
    const Buffer<float> too_wide = shared.crop(0, 0, 2).crop(1, 3, 7);
    g.cb = too_wide.c_buffer();
    EXPECT_EQ(g.call(), TESSERA_ARGUMENT_OVERLAP);
    g.cb = right.c_buffer();
    g.cb.data = shared.data() + 6;  // its rows end in the next row of the left half
    EXPECT_EQ(g.call(), TESSERA_ARGUMENT_OVERLAP);
    // The declared pair, on the same elements and on shifted ones.
    Gemm pair;
    pair.args[4].flags |= TESSERA_ARG_IN_PLACE;
    pair.args[4].in_place_of = 1;
    pair.args[1].dims = pair.dims_c;
    pair.dims[2] = {"n", TESSERA_DIM_BOUND, 2, 0, 0, {}, 0, 0, -1};
    pair.cb = pair.cc;
    EXPECT_EQ(pair.call(), 0) << tessera_last_error();
    const Buffer<float> room({4, 4});
    const Buffer<float> upper = room.crop(0, 0, 3);
    const Buffer<float> lower = room.crop(0, 1, 4);
    pair.cb = upper.c_buffer();
    pair.cc = lower.c_buffer();
    pair.expect(TESSERA_ARGUMENT_OVERLAP, "output C overlaps input B, and in place needs the very same elements");
}

TEST(KernelCall, DeclaredValuesAreScanned) {
    Gemm g;
    g.r(3) = 2;
    EXPECT_EQ(g.call(), 0);
    g.r(3) = 3;
    g.expect(TESSERA_ARGUMENT_VALUE, "R's element is 3, outside [0, 3)");
    g.r(3) = -1;
    g.expect(TESSERA_ARGUMENT_VALUE, "R's element is -1, outside [0, 3)");
    g.r(3) = 1;
    g.r(1) = 2;
    g.expect(TESSERA_ARGUMENT_VALUE, "R decreases from 2 to 0 at index 2 of its last dim");
}

TEST(KernelCall, ScalarsHaveToFit) {
    const auto status = [](int32_t dtype, tessera_value value, bool ranged) {
        const int64_t low[2] = {TESSERA_OP_CONST, -2};
        const int64_t high[2] = {TESSERA_OP_CONST, 10};
        const tessera_arg_descriptor arg{
            "s", TESSERA_ARG_SCALAR, dtype,    0, nullptr, ranged ? uint32_t{TESSERA_ARG_VALUE_RANGE} : 0u, -1,
            0,   {low, 2},           {high, 2}};
        const tessera_kernel_descriptor kernel{
            TESSERA_KERNEL_ABI, "scale", 1, &arg, 0, nullptr, 0, nullptr, 0, nullptr, 0, nullptr};
        return tessera_validate(&kernel, &value);
    };
    EXPECT_EQ(status(TESSERA_I8, {.i = 127}, false), 0);
    EXPECT_EQ(status(TESSERA_I8, {.i = 128}, false), TESSERA_ARGUMENT_VALUE);
    EXPECT_EQ(status(TESSERA_U8, {.u = 256}, false), TESSERA_ARGUMENT_VALUE);
    EXPECT_EQ(status(TESSERA_U32, {.u = UINT64_MAX}, false), TESSERA_ARGUMENT_VALUE);
    EXPECT_EQ(status(TESSERA_BOOL, {.i = 2}, false), TESSERA_ARGUMENT_VALUE);
    EXPECT_EQ(status(TESSERA_U64, {.u = UINT64_MAX}, false), 0);
    EXPECT_EQ(status(TESSERA_U64, {.u = UINT64_MAX}, true), TESSERA_ARGUMENT_VALUE);
    EXPECT_EQ(status(TESSERA_I64, {.i = INT64_MIN}, false), 0);
    EXPECT_EQ(status(TESSERA_I32, {.i = -2}, true), 0);
    EXPECT_EQ(status(TESSERA_I32, {.i = 10}, true), TESSERA_ARGUMENT_VALUE);
}

TEST(KernelCall, TheFirstFittingVariantRuns) {
    static int ran;
    Gemm g;
    g.variants = {{"small", {g.large, 5}, 0, [](void**) { return ran = 1, 0; }, nullptr, nullptr},
                  {"exotic", {}, 1u << 31, [](void**) { return ran = 2, 0; }, nullptr, nullptr},
                  {"rest", {}, 0, nullptr, [](void* context, void**) { return ran = *static_cast<int*>(context), 0; }, nullptr}};
    int three = 3;
    g.variants[2].context = &three;
    EXPECT_EQ(g.call(), 0);
    EXPECT_EQ(ran, 1);
    g.large[3] = 3;  // m < 3 does not hold
    EXPECT_EQ(g.call(), 0);
    EXPECT_EQ(ran, 3);
    g.variants.pop_back();
    g.expect(TESSERA_TARGET_UNAVAILABLE, "this machine lacks instructions that the kernel was compiled for");
}

TEST(KernelCall, ListedParamsPassDimsAndReorder) {
    static int64_t seen[3];
    Gemm g;
    g.params = {{TESSERA_PARAM_DIM_I32, 2}, {TESSERA_PARAM_ARG, 4}, {TESSERA_PARAM_ARG, 3}};
    g.variants[0].argv = [](void** params) {
        seen[0] = *static_cast<int32_t*>(params[0]);
        seen[1] = static_cast<HalideBuffer*>(params[1])->dim[1].extent;
        seen[2] = static_cast<int64_t>(*static_cast<float*>(params[2]));
        return 0;
    };
    ASSERT_EQ(g.call(), 0);
    EXPECT_EQ(seen[0], 4);
    EXPECT_EQ(seen[1], 3);
    EXPECT_EQ(seen[2], 2);
}

TEST(KernelCall, EmptyOutputsRunNothingAndEmptyInputsNeedNoMemory) {
    static int ran;
    ran = 0;
    Gemm g;
    g.variants[0].argv = [](void** params) { return ++ran, static_cast<HalideBuffer*>(params[0])->host == nullptr ? 1 : 0; };
    const int64_t a_extents[2] = {3, 0};
    const int64_t b_extents[2] = {0, 4};
    g.ca.extents = a_extents;
    g.cb.extents = b_extents;
    g.ca.data = nullptr;
    g.cb.data = nullptr;
    EXPECT_EQ(g.call(), 0) << tessera_last_error();
    EXPECT_EQ(ran, 1);
    const int64_t none[2] = {0, 4};
    const int64_t a_none[2] = {0, 0};
    g.ca.extents = a_none;
    g.cc.extents = none;
    g.args[2].flags = 0;
    EXPECT_EQ(g.call(), 0) << tessera_last_error();
    EXPECT_EQ(ran, 1);
}

TEST(KernelCall, KernelFailuresAndBadDescriptors) {
    Gemm g;
    g.variants[0].argv = [](void**) { return -22; };
    EXPECT_EQ(g.call(), TESSERA_KERNEL_FAILED);
    EXPECT_STREQ(tessera_last_error(), "gemm: the kernel stopped with code -22");
    EXPECT_EQ(tessera_call(nullptr, nullptr), TESSERA_ARGUMENT);
    tessera_kernel_descriptor old{};
    old.name = "old";
    EXPECT_EQ(tessera_call(&old, nullptr), TESSERA_INTERNAL);
}

}  // namespace
}  // namespace tessera
