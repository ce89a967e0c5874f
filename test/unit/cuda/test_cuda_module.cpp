// Modules for a GPU, called in this process: with a driver and a compiler that are none.
#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include "thrown.h"
#include "unit/compile/scratch_folder.h"
#include "unit/cuda/fake_driver.h"
#include "unit/cuda/fake_nvrtc.h"

#include <cstring>

namespace tessera {
namespace {

Algorithm scaled() {
    Dim y("y"), x("x");
    Input a("a", f32, {y, x});
    Func out("out");
    out(y, x) = a(y, x) * 2.0f;
    return Algorithm({out}, {a}, {.name = "scaled"});
}

/// A matrix in the memory of the fake GPU.
class GpuMatrix {
public:
    GpuMatrix(std::int64_t rows, std::int64_t columns) {
        EXPECT_EQ(tessera_cuda_malloc(0, static_cast<std::size_t>(rows * columns) * 4, &memory_), 0);
        buffer_ = AnyBuffer(TESSERA_F32, memory_, {rows, columns});
    }
    ~GpuMatrix() { EXPECT_EQ(tessera_cuda_free(0, memory_), 0); }
    GpuMatrix(const GpuMatrix&) = delete;
    GpuMatrix& operator=(const GpuMatrix&) = delete;
    [[nodiscard]] const AnyBuffer& buffer() const { return buffer_; }

private:
    void* memory_ = nullptr;
    AnyBuffer buffer_;
};

class CudaModule : public testing::Test {
protected:
    void SetUp() override {
        fake_cuda::state() = {};
        fake_nvrtc::state() = {};
        ::setenv("TESSERA_CACHE_DIR", cache_.path().c_str(), 1);
    }
    void TearDown() override {
        ::unsetenv("TESSERA_CACHE_DIR");
        EXPECT_EQ(fake_cuda::state().modules_loaded, fake_cuda::state().modules_unloaded);
        EXPECT_EQ(fake_cuda::state().contexts_pushed, 0);
    }
    static Module compiled(const Algorithm& algorithm = scaled()) {
        const Target target = parse_target("cuda-sm_90");
        return compile(algorithm, default_schedule(algorithm, target), target);
    }
    ScratchFolder cache_;
};

TEST_F(CudaModule, CompilesLaunchesAndWaits) {
    const Module module = compiled();
    EXPECT_EQ(fake_nvrtc::state().compiled, 1) << "indices of 64 bits wait for arguments that need them";
    EXPECT_EQ(fake_nvrtc::state().options,
              (std::vector<std::string>{"--gpu-architecture=sm_90", "--std=c++17", "-fmad=false", "--ptxas-options=-v"}));
    const GpuMatrix a(3, 40), out(3, 40);
    module({{"a", a.buffer()}}, {{"out", out.buffer()}});
    ASSERT_EQ(fake_cuda::state().launches.size(), 1u);
    const fake_cuda::Launch& l = fake_cuda::state().launches[0];
    EXPECT_EQ(l.function, "scaled_base_out_0");
    EXPECT_EQ(l.grid[0], 3u);
    EXPECT_NE(l.image.find("// algorithm scaled"), std::string::npos) << l.image.substr(0, 400);
    const auto stream = reinterpret_cast<tessera_cuda_stream>(0x77);
    module.enqueue({{"a", a.buffer()}}, {{"out", out.buffer()}}, stream);
    EXPECT_EQ(fake_cuda::state().launches[1].stream, stream);
    EXPECT_EQ(fake_cuda::state().modules_loaded, 1);
}

TEST_F(CudaModule, AnotherVariantIsCompiledWhenACallTakesIt) {
    const Module module = compiled();
    const GpuMatrix a(1, 40), out(1, 40);
    // Rows that are so far apart that offsets do not fit 32 bits.
    const AnyBuffer apart(TESSERA_F32, a.buffer().data(), {1, 40}, {std::int64_t{1} << 33, 1});
    module({{"a", apart}}, {{"out", out.buffer()}});
    EXPECT_EQ(fake_nvrtc::state().compiled, 2);
    EXPECT_EQ(fake_cuda::state().launches[0].function, "scaled_base_wide_out_0");
    module({{"a", apart}}, {{"out", out.buffer()}});
    module({{"a", a.buffer()}}, {{"out", out.buffer()}});
    EXPECT_EQ(fake_nvrtc::state().compiled, 2);
}

TEST_F(CudaModule, CodeIsKeptOnDisk) {
    EXPECT_FALSE(compiled().from_disk_cache());
    EXPECT_TRUE(compiled().from_disk_cache());
    EXPECT_EQ(fake_nvrtc::state().compiled, 1);
    ASSERT_EQ(cache_.names().size(), 1u);
    EXPECT_TRUE(cache_.names()[0].ends_with(".cubin"));
    const Algorithm algorithm = scaled();
    const Target target = parse_target("cuda-sm_80");
    EXPECT_FALSE(compile(algorithm, default_schedule(algorithm, target), target).from_disk_cache()) << "for another GPU";
    EXPECT_EQ(fake_nvrtc::state().compiled, 2);
}

TEST_F(CudaModule, WhatCannotBeCompiledOrCalledIsAnError) {
    std::string text;
    fake_nvrtc::state().refuse = "scaled_base";
    EXPECT_EQ(thrown([] { (void)compiled(); }, &text), E0804_toolchain);
    EXPECT_NE(text.find("the fake refuses"), std::string::npos) << text;
    fake_nvrtc::state() = {};
    fake_nvrtc::state().spill = "scaled_base";
    EXPECT_EQ(thrown([] { (void)compiled(); }, &text), E0804_toolchain);
    EXPECT_NE(text.find("64 bytes of registers are spilled"), std::string::npos) << text;
    EXPECT_TRUE(cache_.names().empty()) << "what spills is not kept";
    fake_nvrtc::state() = {};
    const Module module = compiled();
    const GpuMatrix out(3, 40);
    const AnyBuffer main_memory(TESSERA_F32, {3, 40});
    EXPECT_EQ(thrown([&] { module({{"a", main_memory}}, {{"out", out.buffer()}}); }, &text), E0710_argument_device);
    EXPECT_NE(text.find("its data is in main memory"), std::string::npos) << text;
    EXPECT_EQ(thrown([&] { (void)module.scratch_bytes({}, {}); }), L0901_not_on_target);
    const GpuMatrix a(3, 40);
    fake_cuda::state().fail_synchronize = 719;
    EXPECT_EQ(thrown([&] { module({{"a", a.buffer()}}, {{"out", out.buffer()}}); }, &text), E0712_kernel_failed);
    EXPECT_NE(text.find("CUDA_ERROR_LAUNCH_FAILED"), std::string::npos) << text;
    EXPECT_EQ(thrown([&] { compile(scaled(), {}, parse_target("interpreter")).enqueue({}, {}, nullptr); }), L0901_not_on_target);
}

TEST_F(CudaModule, WithoutAGpuItIsInspectedOnly) {
    fake_cuda::state().devices = 0;
    const Module module = compiled();
    EXPECT_EQ(fake_nvrtc::state().compiled, 0);
    EXPECT_NE(module.inspect_ir(IrLevel::target).find("__global__"), std::string::npos);
    std::string text;
    const AnyBuffer any(TESSERA_F32, {3, 40});
    EXPECT_EQ(thrown([&] { module({{"a", any}}, {{"out", any}}); }, &text), E0803_target_unavailable);
    EXPECT_NE(text.find("there is no GPU on this machine"), std::string::npos) << text;
}

TEST_F(CudaModule, EventsTellTheTimeOfTheGpu) {
    const Module module = compiled();
    const GpuMatrix a(3, 40), out(3, 40);
    tessera_cuda_event before = nullptr, after = nullptr;
    ASSERT_EQ(tessera_cuda_event_create(0, &before), 0);
    ASSERT_EQ(tessera_cuda_event_create(0, &after), 0);
    EXPECT_EQ(tessera_cuda_event_record(0, before, nullptr), 0);
    for (int i = 0; i < 5; ++i) module.enqueue({{"a", a.buffer()}}, {{"out", out.buffer()}}, nullptr);
    EXPECT_EQ(tessera_cuda_event_record(0, after, nullptr), 0);
    double seconds = 0;
    EXPECT_EQ(tessera_cuda_seconds_between(0, before, after, &seconds), 0);
    EXPECT_NEAR(seconds, 5 * fake_cuda::state().launch_seconds, 1e-7);
    fake_cuda::state().fail_synchronize = 719;
    EXPECT_EQ(tessera_cuda_seconds_between(0, before, after, &seconds), TESSERA_KERNEL_FAILED);
    EXPECT_EQ(tessera_cuda_event_free(0, before), 0);
    EXPECT_EQ(tessera_cuda_event_free(0, after), 0);
    EXPECT_EQ(fake_cuda::state().events, 0);
    EXPECT_EQ(tessera_cuda_fill(0, out.buffer().data(), 0x5A, 480, nullptr), 0);
    EXPECT_EQ(static_cast<const unsigned char*>(out.buffer().data())[479], 0x5A);
}

}  // namespace
}  // namespace tessera
