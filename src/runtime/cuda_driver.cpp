#include "runtime/cuda_driver.h"

#include <dlfcn.h>
#include <array>
#include <mutex>

namespace tessera::runtime {
namespace {

constexpr int attribute_major = 75, attribute_minor = 76;
constexpr std::size_t max_devices = 64;

struct LoadedDriver {
    CudaDriver functions{};
    const char* missing = nullptr;  // the first function that is not there
    bool has_library = false;
    CudaResult init_result = cuda_success;
};

template <class Function>
void find(void* library, const char* name, Function& function, const char*& missing) {
    function = reinterpret_cast<Function>(::dlsym(library, name));
    if (function == nullptr && missing == nullptr) missing = name;
}

LoadedDriver load_driver() {
    LoadedDriver d;
    void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return d;
    d.has_library = true;
    CudaDriver& f = d.functions;
    find(library, "cuInit", f.init, d.missing);
    find(library, "cuDeviceGetCount", f.device_get_count, d.missing);
    find(library, "cuDeviceGet", f.device_get, d.missing);
    find(library, "cuDeviceGetAttribute", f.device_get_attribute, d.missing);
    find(library, "cuDevicePrimaryCtxRetain", f.primary_retain, d.missing);
    find(library, "cuCtxPushCurrent_v2", f.context_push, d.missing);
    find(library, "cuCtxPopCurrent_v2", f.context_pop, d.missing);
    find(library, "cuModuleLoadData", f.module_load, d.missing);
    find(library, "cuModuleUnload", f.module_unload, d.missing);
    find(library, "cuModuleGetFunction", f.module_get_function, d.missing);
    find(library, "cuFuncSetAttribute", f.function_set_attribute, d.missing);
    find(library, "cuLaunchKernel", f.launch, d.missing);
    find(library, "cuMemAlloc_v2", f.memory_allocate, d.missing);
    find(library, "cuMemFree_v2", f.memory_free, d.missing);
    find(library, "cuMemAllocAsync", f.memory_allocate_async, d.missing);
    find(library, "cuMemFreeAsync", f.memory_free_async, d.missing);
    find(library, "cuMemcpyHtoDAsync_v2", f.copy_to_device, d.missing);
    find(library, "cuMemcpyDtoHAsync_v2", f.copy_to_host, d.missing);
    find(library, "cuMemsetD8Async", f.fill, d.missing);
    find(library, "cuStreamSynchronize", f.stream_synchronize, d.missing);
    find(library, "cuEventCreate", f.event_create, d.missing);
    find(library, "cuEventRecord", f.event_record, d.missing);
    find(library, "cuEventSynchronize", f.event_synchronize, d.missing);
    find(library, "cuEventElapsedTime", f.event_milliseconds, d.missing);
    find(library, "cuEventDestroy_v2", f.event_destroy, d.missing);
    find(library, "cuPointerGetAttribute", f.pointer_attribute, d.missing);
    find(library, "cuGetErrorName", f.error_name, d.missing);
    find(library, "cuGetErrorString", f.error_text, d.missing);
    const char* ignored = nullptr;
    find(library, "cuTensorMapEncodeTiled", f.encode_tiled, ignored);
    if (d.missing == nullptr) d.init_result = f.init(0);
    return d;
}

/// Retained once and kept: the program's own use of the runtime shares it.
CudaResult primary_context(const CudaDriver& driver, std::int32_t device, CudaContext** context) {
    static std::mutex mutex;
    static std::array<CudaContext*, max_devices> contexts{};
    const std::lock_guard lock(mutex);
    CudaContext*& kept = contexts[static_cast<std::size_t>(device)];
    if (kept == nullptr) {
        CudaDevice number = 0;
        if (const CudaResult r = driver.device_get(&number, device)) return r;
        if (const CudaResult r = driver.primary_retain(&kept, number)) return r;
    }
    *context = kept;
    return cuda_success;
}

}  // namespace

const CudaDriver* cuda_driver() {
    static const LoadedDriver driver = load_driver();
    const char* const repair =
        "run on a machine with an NVIDIA GPU and its driver (nvidia-smi shows them), or call the kernel's CPU variant";
    if (!driver.has_library)
        return add_fix(fail(TESSERA_TARGET_UNAVAILABLE, "the CUDA driver (libcuda.so.1) is not on this machine"), "%s", repair),
               nullptr;
    if (driver.missing != nullptr)
        return add_fix(fail(TESSERA_TARGET_UNAVAILABLE, "the CUDA driver of this machine lacks %s", driver.missing),
                       "install a driver of CUDA 12 or later"),
               nullptr;
    if (driver.init_result != cuda_success)
        return fail_cuda(driver.functions, driver.init_result, "the CUDA driver does not start"),
               add_fix(TESSERA_TARGET_UNAVAILABLE, "%s", repair), nullptr;
    return &driver.functions;
}

int fail_cuda(const CudaDriver& driver, CudaResult error, const char* what) {
    const char *name = nullptr, *text = nullptr;
    driver.error_name(error, &name);
    driver.error_text(error, &text);
    const int status = error == cuda_error_out_of_memory ? static_cast<int>(TESSERA_OUT_OF_MEMORY)
                       : error == cuda_error_no_device   ? static_cast<int>(TESSERA_TARGET_UNAVAILABLE)
                                                         : static_cast<int>(TESSERA_KERNEL_FAILED);
    return fail(status, "%s: %s (%s)", what, name == nullptr ? "CUDA error" : name, text == nullptr ? "no text" : text);
}

CurrentContext::CurrentContext(std::int32_t device) : driver_(cuda_driver()) {
    if (driver_ == nullptr) {
        status_ = TESSERA_TARGET_UNAVAILABLE;
        return;
    }
    int count = 0;
    if (const CudaResult r = driver_->device_get_count(&count)) {
        status_ = fail_cuda(*driver_, r, "the GPUs cannot be counted");
    } else if (count == 0) {
        status_ = add_fix(fail(TESSERA_TARGET_UNAVAILABLE, "there is no GPU on this machine"), "call the kernel's CPU variant");
    } else if (device < 0 || device >= count || static_cast<std::size_t>(device) >= max_devices) {
        status_ =
            add_fix(fail(TESSERA_ARGUMENT_DEVICE, "there is no GPU %d on this machine", device), "pass a device below %d", count);
    }
    if (status_ != TESSERA_OK) return;
    CudaContext* context = nullptr;
    CudaResult r = primary_context(*driver_, device, &context);
    if (r == cuda_success) r = driver_->context_push(context);
    if (r != cuda_success) {
        status_ = fail_cuda(*driver_, r, "the GPU's context cannot be used");
        return;
    }
    is_pushed_ = true;
}

CurrentContext::~CurrentContext() {
    CudaContext* popped = nullptr;
    if (is_pushed_) driver_->context_pop(&popped);
}

int compute_capability(const CudaDriver& driver, std::int32_t device) {
    CudaDevice number = 0;
    int major = 0, minor = 0;
    if (driver.device_get(&number, device) != cuda_success ||
        driver.device_get_attribute(&major, attribute_major, number) != cuda_success ||
        driver.device_get_attribute(&minor, attribute_minor, number) != cuda_success)
        return -1;
    return 10 * major + minor;
}

int multiprocessor_count(const CudaDriver& driver, std::int32_t device) {
    constexpr int multiprocessors = 16;
    CudaDevice handle = 0;
    int count = 0;
    if (driver.device_get(&handle, device) != cuda_success ||
        driver.device_get_attribute(&count, multiprocessors, handle) != cuda_success || count < 1)
        return 1;
    return count;
}

}  // namespace tessera::runtime
