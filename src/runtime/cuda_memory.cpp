#include "runtime/cuda_driver.h"

#include <tessera/tessera_cuda.h>

using namespace tessera::runtime;

namespace {

CudaAddress address_of(const void* memory) { return static_cast<CudaAddress>(reinterpret_cast<std::uintptr_t>(memory)); }

}  // namespace

extern "C" int tessera_cuda_device_count(int32_t* count) {
    clear_error();
    *count = 0;
    const CudaDriver* driver = cuda_driver();
    if (driver == nullptr) return TESSERA_TARGET_UNAVAILABLE;
    int found = 0;
    if (const CudaResult r = driver->device_get_count(&found)) return fail_cuda(*driver, r, "the GPUs cannot be counted");
    *count = found;
    if (found == 0)
        return add_fix(fail(TESSERA_TARGET_UNAVAILABLE, "there is no GPU on this machine"), "call the kernel's CPU variant");
    return TESSERA_OK;
}

extern "C" int tessera_cuda_compute_capability(int32_t device, int32_t* capability) {
    return with_device(device, "the compute capability cannot be asked", [&](const CudaDriver& driver) {
        *capability = compute_capability(driver, device);
        return cuda_success;
    });
}

extern "C" int tessera_cuda_malloc(int32_t device, size_t bytes, void** memory) {
    *memory = nullptr;
    return with_device(device, "memory of the GPU cannot be allocated", [&](const CudaDriver& driver) {
        CudaAddress address = 0;
        const CudaResult r = bytes == 0 ? cuda_success : driver.memory_allocate(&address, bytes);
        *memory = reinterpret_cast<void*>(static_cast<std::uintptr_t>(address));
        return r;
    });
}

extern "C" int tessera_cuda_free(int32_t device, void* memory) {
    return with_device(device, "memory of the GPU cannot be freed", [&](const CudaDriver& driver) {
        return memory == nullptr ? cuda_success : driver.memory_free(address_of(memory));
    });
}

extern "C" int tessera_cuda_copy_to(int32_t device, void* to, const void* from_main, size_t bytes, tessera_cuda_stream stream) {
    return with_device(device, "a copy to the GPU failed", [&](const CudaDriver& driver) {
        return bytes == 0 ? cuda_success : driver.copy_to_device(address_of(to), from_main, bytes, stream);
    });
}

extern "C" int tessera_cuda_copy_from(int32_t device, void* to_main, const void* from, size_t bytes, tessera_cuda_stream stream) {
    return with_device(device, "a copy from the GPU failed", [&](const CudaDriver& driver) {
        return bytes == 0 ? cuda_success : driver.copy_to_host(to_main, address_of(from), bytes, stream);
    });
}

extern "C" int tessera_cuda_fill(int32_t device, void* memory, unsigned char value, size_t bytes, tessera_cuda_stream stream) {
    return with_device(device, "memory of the GPU cannot be filled", [&](const CudaDriver& driver) {
        return bytes == 0 ? cuda_success : driver.fill(address_of(memory), value, bytes, stream);
    });
}

extern "C" int tessera_cuda_synchronize(int32_t device, tessera_cuda_stream stream) {
    return with_device(device, "a kernel or copy of the stream failed",
                       [&](const CudaDriver& driver) { return driver.stream_synchronize(stream); });
}
