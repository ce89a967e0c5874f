#include <dlfcn.h>
#include <gtest/gtest.h>
#include <tessera/tessera_cuda.h>

#include <cstring>

namespace {

TEST(NoDriver, IsSaidWithAFix) {
    if (dlopen("libcuda.so.1", RTLD_LAZY) != nullptr) GTEST_SKIP() << "[SKIP] this machine has a CUDA driver";
    std::int32_t count = 1;
    EXPECT_EQ(tessera_cuda_device_count(&count), TESSERA_TARGET_UNAVAILABLE);
    EXPECT_EQ(count, 0);
    EXPECT_NE(std::strstr(tessera_last_error(), "libcuda.so.1"), nullptr) << tessera_last_error();
    EXPECT_NE(std::strstr(tessera_last_error_fix(), "NVIDIA GPU"), nullptr) << tessera_last_error_fix();
    const tessera_kernel_descriptor signature = {
        TESSERA_KERNEL_ABI, "empty", 0, nullptr, 0, nullptr, 0, nullptr, 0, nullptr, 0, nullptr};
    const tessera_cuda_kernel kernel = {&signature, 0, nullptr};
    EXPECT_EQ(tessera_cuda_call(&kernel, nullptr, nullptr), TESSERA_TARGET_UNAVAILABLE);
}

}  // namespace
