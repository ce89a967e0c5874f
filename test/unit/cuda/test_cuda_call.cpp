// The runtime's side of GPU kernels against a driver that is none: arguments, variants, parameters, scratch memory, failures.
#include <gtest/gtest.h>
#include <tessera/tessera_cuda.h>

#include <array>
#include <cstring>

#include "unit/cuda/fake_driver.h"

namespace tessera {
namespace {

using fake_cuda::state;

constexpr std::int64_t m_times_8[] = {TESSERA_OP_DIM, 0, TESSERA_OP_CONST, 8, TESSERA_OP_MUL};
constexpr std::int64_t m_times_2_28[] = {TESSERA_OP_DIM, 0, TESSERA_OP_CONST, 1 << 28, TESSERA_OP_MUL};
constexpr std::int64_t dim_m[] = {TESSERA_OP_DIM, 0};
constexpr std::int64_t dim_n[] = {TESSERA_OP_DIM, 1};
constexpr std::int64_t m_above_100[] = {TESSERA_OP_CONST, 100, TESSERA_OP_DIM, 0, TESSERA_OP_LT};
template <std::size_t n>
constexpr tessera_code code(const std::int64_t (&words)[n]) {
    return {words, static_cast<std::int32_t>(n)};
}

/// y(m, n) from x(m, n) and a float: a signature, and what one entry of a library would hold.
struct KernelText {
    std::int32_t dims_of_both[2] = {0, 1};
    tessera_dim_descriptor dims[2] = {{"m", TESSERA_DIM_BOUND, 0, 0, 0, {}, 0, 0, -1},
                                      {"n", TESSERA_DIM_BOUND, 0, 1, 0, {}, 0, 0, -1}};
    tessera_arg_descriptor args[3] = {{"x", TESSERA_ARG_INPUT, TESSERA_F32, 2, dims_of_both, 0, 0, 0, {}, {}},
                                      {"y", TESSERA_ARG_OUTPUT, TESSERA_F32, 2, dims_of_both, 0, 0, 0, {}, {}},
                                      {"factor", TESSERA_ARG_SCALAR, TESSERA_F32, 0, nullptr, 0, 0, 0, {}, {}}};
    tessera_kernel_descriptor signature = {TESSERA_KERNEL_ABI, "scale", 3, args, 2, dims, 0, nullptr, 0, nullptr, 0, nullptr};
    tessera_cuda_param params[8] = {{TESSERA_CUDA_PARAM_ARG, 0, 0, {}},
                                    {TESSERA_CUDA_PARAM_ARG, 1, 0, {}},
                                    {TESSERA_CUDA_PARAM_ARG, 2, 0, {}},
                                    {TESSERA_CUDA_PARAM_STRIDE, 0, 0, {}},
                                    {TESSERA_CUDA_PARAM_CODE_I32, 0, 0, code(dim_m)},
                                    {TESSERA_CUDA_PARAM_CODE_I64, 0, 0, code(dim_n)},
                                    {TESSERA_CUDA_PARAM_SCRATCH, 0, 0, {}},
                                    {TESSERA_CUDA_PARAM_TENSOR_MAP, 0, 0, {}}};
    tessera_cuda_tensor_map map = {0, 0, TESSERA_F32, 2, {code(dim_n), code(dim_m)}, {}, {32, 8}, 128};
    tessera_code scratch = code(m_times_8);
    tessera_cuda_launch launches[2] = {{"first", {code(dim_m), {}, {}}, 128, 0, 0, 8, params},
                                       {"second", {code(dim_n), code(dim_m), {}}, 256, 65536, 0, 8, params}};
    tessera_cuda_image images[3] = {{"sm_80", "code 80", 8}, {"sm_90a", "code 90a", 9}, {"compute_80", "text 80", 8}};
    tessera_cuda_alignment alignment = {0, 16, 16};
    tessera_cuda_variant variants[3] = {
        {"large", code(m_above_100), 0, nullptr, 0, nullptr, 3, images, 0, nullptr, 0, nullptr, 1, launches + 1},
        {"aligned", {}, 1, &alignment, 0, nullptr, 3, images, 1, &scratch, 1, &map, 2, launches},
        {"any", {}, 0, nullptr, 0, nullptr, 1, images + 2, 1, &scratch, 1, &map, 1, launches}};
    tessera_cuda_kernel kernel = {&signature, 3, variants};
};

class CudaCall : public testing::Test {
protected:
    void SetUp() override { state() = {}; }
    void TearDown() override {
        EXPECT_EQ(state().contexts_pushed, 0) << "a context was left current";
        tessera_cuda_free(0, x_);
        tessera_cuda_free(0, y_);
        state().devices = 2;
        for (const tessera_cuda_image& image : text_.images) EXPECT_EQ(tessera_cuda_unload(&image), 0);
        EXPECT_EQ(state().live_allocations, 0);
    }
    /// The status of a call with x and y of m x n, rows `stride` apart, x's data `shift` elements further.
    int call(std::int64_t m, std::int64_t n, std::int64_t stride = 0, int shift = 0) {
        extents_ = {m, n};
        strides_ = {stride == 0 ? n : stride, 1};
        tessera_cuda_free(0, x_);
        tessera_cuda_free(0, y_);
        const auto bytes = static_cast<std::size_t>(m * strides_[0] + 16) * 4;
        EXPECT_EQ(tessera_cuda_malloc(0, bytes, &x_), 0);
        EXPECT_EQ(tessera_cuda_malloc(0, bytes, &y_), 0);
        bx_ = {static_cast<float*>(x_) + shift, extents_.data(), strides_.data(), 2, TESSERA_F32, TESSERA_DEVICE_CUDA, 0, 0};
        by_ = {y_, extents_.data(), strides_.data(), 2, TESSERA_F32, TESSERA_DEVICE_CUDA, 0, 0};
        return call_again();
    }
    int call_again() {
        tessera_value values[3];
        values[0].buffer = &bx_;
        values[1].buffer = &by_;
        values[2].f = 2.5;
        return tessera_cuda_call(&text_.kernel, values, stream_);
    }
    static void expect_words(const char* words) {
        EXPECT_NE(std::strstr(tessera_last_error(), words), nullptr) << tessera_last_error();
    }

    KernelText text_;
    std::array<std::int64_t, 2> extents_{}, strides_{};
    tessera_buffer bx_{}, by_{};
    void *x_ = nullptr, *y_ = nullptr;
    tessera_cuda_stream stream_ = reinterpret_cast<tessera_cuda_stream>(0x1234);
};

TEST_F(CudaCall, LaunchesWithItsParameters) {
    static void *x, *y;
    state().on_launch = [](const fake_cuda::Launch& l) {
        float factor = 0;
        std::memcpy(&x, l.params[0], 8);
        std::memcpy(&y, l.params[1], 8);
        std::memcpy(&factor, l.params[2], 4);
        std::int64_t stride = 0, n = 0;
        std::int32_t m = 0;
        std::memcpy(&stride, l.params[3], 8);
        std::memcpy(&m, l.params[4], 4);
        std::memcpy(&n, l.params[5], 8);
        void* scratch = nullptr;
        std::memcpy(&scratch, l.params[6], 8);
        EXPECT_EQ(factor, 2.5f);
        EXPECT_EQ(stride, 64);
        EXPECT_EQ(m, 6);
        EXPECT_EQ(n, 40);
        EXPECT_NE(scratch, nullptr);
        std::memset(scratch, 1, 48);
        EXPECT_EQ(static_cast<const char*>(l.params[7])[127], static_cast<char>(state().maps.size())) << "the tensor map";
    };
    ASSERT_EQ(call(6, 40, 64), 0) << tessera_last_error();
    EXPECT_EQ(x, x_);
    EXPECT_EQ(y, y_);
    ASSERT_EQ(state().launches.size(), 2u);
    const fake_cuda::Launch &first = state().launches[0], &second = state().launches[1];
    EXPECT_EQ(first.function, "first");
    EXPECT_EQ(first.image, "code 90a") << "machine code of this GPU";
    EXPECT_EQ(first.grid[0], 6u);
    EXPECT_EQ(first.grid[1], 1u);
    EXPECT_EQ(first.threads, 128u);
    EXPECT_EQ(first.stream, stream_);
    EXPECT_EQ(second.grid[0], 40u);
    EXPECT_EQ(second.grid[1], 6u);
    EXPECT_EQ(second.shared_bytes, 65536u);
    EXPECT_EQ(state().attributes_set, 1) << "more than 48 KiB of shared memory is asked for";
    ASSERT_EQ(state().maps.size(), 1u);
    EXPECT_EQ(state().maps[0].extents, (std::vector<std::uint64_t>{40, 6}));
    EXPECT_EQ(state().maps[0].strides, (std::vector<std::uint64_t>{256}));
    EXPECT_EQ(state().maps[0].box, (std::vector<std::uint32_t>{32, 8}));
    EXPECT_EQ(state().maps[0].swizzle, 3);
    EXPECT_EQ(state().live_allocations, 2) << "scratch memory was given back";
    ASSERT_EQ(call_again(), 0);
    EXPECT_EQ(state().modules_loaded, 1) << "loaded once";
}

TEST_F(CudaCall, TheVariantFollowsExtentsAlignmentAndGpu) {
    ASSERT_EQ(call(128, 32), 0) << tessera_last_error();
    EXPECT_EQ(state().launches.back().function, "second") << "large";
    ASSERT_EQ(call(5, 33), 0) << tessera_last_error();
    EXPECT_EQ(state().launches.back().image, "text 80") << "rows of 33 floats are not multiples of 16 bytes";
    ASSERT_EQ(call(5, 32, 32, 1), 0);
    EXPECT_EQ(state().launches.back().image, "text 80") << "the base is not a multiple of 16 bytes";
    state().capability = 86;
    ASSERT_EQ(call(5, 32), 0);
    EXPECT_EQ(state().launches.back().image, "code 80") << "a later minor version";
    state().capability = 100;
    ASSERT_EQ(call(5, 32), 0);
    EXPECT_EQ(state().launches.back().image, "text 80") << "PTX for later GPUs";
    text_.kernel.variant_count = 2;
    text_.variants[1].image_count = 2;
    EXPECT_EQ(call(5, 32), TESSERA_TARGET_UNAVAILABLE);
    expect_words("compute capability 10.0");
    state().capability = 90;
    EXPECT_EQ(call(5, 33), TESSERA_ARGUMENT_ALIGNMENT);
    expect_words("x must start at a multiple of 16 bytes");
}

// y(m, n) from x(m, n), where the first variant computes x's offsets m * stride + n and a value of m 2^28 in 32 bits.
TEST_F(CudaCall, IndicesAreComputedWideEnough) {
    const tessera_cuda_reach reaches[] = {{-1, 0, code(m_times_2_28)}, {0, 0, code(dim_m)}, {0, 1, code(dim_n)}};
    text_.variants[0].when = {};
    text_.variants[0].reach_count = 3;
    text_.variants[0].reaches = reaches;
    static std::int64_t stride;
    state().on_launch = [](const fake_cuda::Launch& l) { std::memcpy(&stride, l.params[3], 8); };
    ASSERT_EQ(call(2, 2), 0);
    void* memory = nullptr;
    ASSERT_EQ(tessera_cuda_malloc(0, 4096, &memory), 0);
    std::int64_t y_strides[2] = {1, 1};
    // Nothing touches the cells; those of x and y are apart.
    const auto is_narrow = [&](std::int64_t m, std::int64_t n, std::int64_t row) {
        extents_ = {m, n}, strides_ = {row, 1}, y_strides[0] = n;
        by_.strides = y_strides;
        bx_.data = static_cast<char*>(memory) + 2048;
        by_.data = memory;
        state().launches.clear();
        EXPECT_EQ(call_again(), 0) << tessera_last_error();
        EXPECT_EQ(stride, row);
        return !state().launches.empty() && state().launches[0].function == "second";
    };
    EXPECT_TRUE(is_narrow(7, 16, (INT32_MAX - 16) / 7));
    EXPECT_FALSE(is_narrow(7, 16, (INT32_MAX - 16) / 7 + 1));
    EXPECT_FALSE(is_narrow(3, 16, std::int64_t{1} << 40)) << "buffers of a GPU may be that large";
    EXPECT_TRUE(is_narrow(7, 16, 64));
    EXPECT_FALSE(is_narrow(8, 16, 64)) << "m 2^28 is computed";
    extents_ = {std::int64_t{1} << 40, std::int64_t{1} << 30};
    strides_ = {std::int64_t{1} << 30, 1};
    EXPECT_EQ(call_again(), TESSERA_SIZE);
    expect_words("that GPU kernels support");
    EXPECT_EQ(tessera_cuda_free(0, memory), 0);
}

TEST_F(CudaCall, PersistentBlocksAreAsManyAsRunAtOnce) {
    text_.launches[0].resident = 2;
    state().multiprocessors = 3;
    ASSERT_EQ(call(5, 32), 0);
    EXPECT_EQ(state().launches[0].grid[0], 5u);
    state().launches.clear();
    ASSERT_EQ(call(7, 32), 0);
    EXPECT_EQ(state().launches[0].grid[0], 6u) << "two for every multiprocessor";
}

TEST_F(CudaCall, PersistentBlocksAreWholeClusters) {
    text_.launches[0].resident = 1;
    text_.launches[0].cluster = 2;
    state().multiprocessors = 5;
    ASSERT_EQ(call(8, 32), 0);
    EXPECT_EQ(state().launches[0].grid[0], 4u);
    state().launches.clear();
    state().multiprocessors = 1;
    ASSERT_EQ(call(8, 32), 0);
    EXPECT_EQ(state().launches[0].grid[0], 2u) << "one cluster at least";
}

TEST_F(CudaCall, EmptyOutputsLaunchNothing) {
    ASSERT_EQ(call(0, 8), 0) << tessera_last_error();
    EXPECT_TRUE(state().launches.empty());
}

TEST_F(CudaCall, RefusesBuffersOfOtherPlaces) {
    ASSERT_EQ(call(4, 8), 0);
    float main_memory[32];
    const tessera_buffer good = bx_;
    bx_.device_type = TESSERA_DEVICE_CPU;
    EXPECT_EQ(call_again(), TESSERA_ARGUMENT_DEVICE);
    expect_words("runs on a GPU");
    bx_ = good;
    bx_.data = main_memory;
    EXPECT_EQ(call_again(), TESSERA_ARGUMENT_DEVICE);
    expect_words("its data is in main memory");
    bx_ = good;
    by_.device_id = 1;
    EXPECT_EQ(call_again(), TESSERA_ARGUMENT_DEVICE);
    expect_words("y lives on GPU 1");
    bx_.device_id = by_.device_id = 7;
    EXPECT_EQ(call_again(), TESSERA_ARGUMENT_DEVICE);
    expect_words("there is no GPU 7");
    bx_ = good;
    bx_.dtype = TESSERA_F16;
    EXPECT_EQ(call_again(), TESSERA_ARGUMENT_DTYPE) << "what is checked of buffers on the CPU is checked here";
}

TEST_F(CudaCall, FailuresSayWhatFailedAndLeaveTheLibraryUsable) {
    ASSERT_EQ(call(4, 8), 0);
    state().fail_launch = 719;
    EXPECT_EQ(call_again(), TESSERA_KERNEL_FAILED);
    expect_words("CUDA_ERROR_LAUNCH_FAILED");
    expect_words("launch of first with 4 x 1 x 1 blocks of 128 threads");
    EXPECT_EQ(state().live_allocations, 2) << "scratch memory after a failed launch";
    state().fail_launch = 0;
    EXPECT_EQ(call_again(), 0);
    EXPECT_STREQ(tessera_last_error(), "");
    state().memory_left = 16;
    EXPECT_EQ(call_again(), TESSERA_OUT_OF_MEMORY);
    expect_words("32 bytes of scratch memory on GPU 0");
    void* memory = nullptr;
    EXPECT_EQ(tessera_cuda_malloc(0, 1000, &memory), TESSERA_OUT_OF_MEMORY);
    EXPECT_EQ(memory, nullptr);
    state().memory_left = 1 << 20;
    state().fail_synchronize = 719;
    EXPECT_EQ(tessera_cuda_synchronize(0, stream_), TESSERA_KERNEL_FAILED);
    state().fail_synchronize = 0;
    text_.launches[0].function = "missing";
    EXPECT_EQ(call_again(), TESSERA_KERNEL_FAILED);
    text_.launches[0].function = "first";
    EXPECT_EQ(tessera_cuda_unload(&text_.images[1]), 0);
    EXPECT_EQ(state().modules_unloaded, 1);
    state().fail_load = 209;
    EXPECT_EQ(call_again(), TESSERA_KERNEL_FAILED);
    expect_words("the code for sm_90a cannot be loaded");
    state().fail_load = 0;
    EXPECT_EQ(call_again(), 0);
}

TEST_F(CudaCall, NoGpu) {
    state().devices = 0;
    std::int32_t count = 5;
    EXPECT_EQ(tessera_cuda_device_count(&count), TESSERA_TARGET_UNAVAILABLE);
    EXPECT_EQ(count, 0);
    void* memory = nullptr;
    EXPECT_EQ(tessera_cuda_malloc(0, 16, &memory), TESSERA_TARGET_UNAVAILABLE);
    expect_words("there is no GPU");
}

TEST_F(CudaCall, MemoryOfAGpu) {
    std::int32_t capability = 0;
    EXPECT_EQ(tessera_cuda_compute_capability(1, &capability), 0);
    EXPECT_EQ(capability, 90);
    void* memory = nullptr;
    ASSERT_EQ(tessera_cuda_malloc(1, 64, &memory), 0);
    const float in[4] = {1, 2, 3, 4};
    float out[4] = {};
    EXPECT_EQ(tessera_cuda_copy_to(1, memory, in, sizeof in, nullptr), 0);
    EXPECT_EQ(tessera_cuda_copy_from(1, out, memory, sizeof out, nullptr), 0);
    EXPECT_EQ(out[3], 4.0f);
    EXPECT_EQ(tessera_cuda_free(1, memory), 0);
    EXPECT_EQ(tessera_cuda_free(1, nullptr), 0);
}

}  // namespace
}  // namespace tessera
