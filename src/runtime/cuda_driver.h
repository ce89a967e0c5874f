#pragma once
// The CUDA driver, found at run time. Types and numbers as its interface has them; nothing of the toolkit is included.
#include <cstddef>
#include <cstdint>

#include <tessera/tessera_cuda.h>

#include "runtime/last_error.h"

namespace tessera::runtime {

using CudaResult = int;  // CUresult
inline constexpr CudaResult cuda_success = 0, cuda_error_out_of_memory = 2, cuda_error_no_device = 100;
using CudaDevice = int;
using CudaAddress = std::uint64_t;
struct CudaContext;
struct CudaModule;
struct CudaFunction;
using CudaEvent = tessera_cuda_event;

/// The functions that Tessera calls.
struct CudaDriver {
    CudaResult (*init)(unsigned flags);
    CudaResult (*device_get_count)(int* count);
    CudaResult (*device_get)(CudaDevice* device, int ordinal);
    CudaResult (*device_get_attribute)(int* value, int attribute, CudaDevice device);
    CudaResult (*primary_retain)(CudaContext** context, CudaDevice device);
    CudaResult (*context_push)(CudaContext* context);
    CudaResult (*context_pop)(CudaContext** context);
    CudaResult (*module_load)(CudaModule** module, const void* image);
    CudaResult (*module_unload)(CudaModule* module);
    CudaResult (*module_get_function)(CudaFunction** function, CudaModule* module, const char* name);
    CudaResult (*function_set_attribute)(CudaFunction* function, int attribute, int value);
    CudaResult (*launch)(CudaFunction* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                         unsigned block_y, unsigned block_z, unsigned shared_bytes, tessera_cuda_stream stream, void** params,
                         void** extra);
    CudaResult (*memory_allocate)(CudaAddress* address, std::size_t bytes);
    CudaResult (*memory_free)(CudaAddress address);
    CudaResult (*memory_allocate_async)(CudaAddress* address, std::size_t bytes, tessera_cuda_stream stream);
    CudaResult (*memory_free_async)(CudaAddress address, tessera_cuda_stream stream);
    CudaResult (*copy_to_device)(CudaAddress to, const void* from, std::size_t bytes, tessera_cuda_stream stream);
    CudaResult (*copy_to_host)(void* to, CudaAddress from, std::size_t bytes, tessera_cuda_stream stream);
    CudaResult (*fill)(CudaAddress to, unsigned char value, std::size_t bytes, tessera_cuda_stream stream);
    CudaResult (*stream_synchronize)(tessera_cuda_stream stream);
    CudaResult (*event_create)(CudaEvent* event, unsigned flags);
    CudaResult (*event_record)(CudaEvent event, tessera_cuda_stream stream);
    CudaResult (*event_synchronize)(CudaEvent event);
    CudaResult (*event_milliseconds)(float* milliseconds, CudaEvent before, CudaEvent after);
    CudaResult (*event_destroy)(CudaEvent event);
    CudaResult (*pointer_attribute)(void* value, int attribute, CudaAddress address);
    CudaResult (*error_name)(CudaResult error, const char** name);
    CudaResult (*error_text)(CudaResult error, const char** text);
    CudaResult (*encode_tiled)(void* map, int type, std::uint32_t rank, void* base, const std::uint64_t* extents,
                               const std::uint64_t* strides, const std::uint32_t* box, const std::uint32_t* element_strides,
                               int interleave, int swizzle, int promotion,
                               int fill);  // null in drivers before 12.0
};

/// The driver, initialised; null with the last error set (status TESSERA_TARGET_UNAVAILABLE) where there is none that works.
[[nodiscard]] const CudaDriver* cuda_driver();

/// Records "what: CUDA_ERROR_X (text)" and returns the status that fits the error.
int fail_cuda(const CudaDriver& driver, CudaResult error, const char* what);

/// The primary context of a device, current while this lives.
class CurrentContext {
public:
    explicit CurrentContext(std::int32_t device);
    ~CurrentContext();
    CurrentContext(const CurrentContext&) = delete;
    CurrentContext& operator=(const CurrentContext&) = delete;
    /// 0, or why there is none; the last error is set.
    [[nodiscard]] int status() const { return status_; }
    [[nodiscard]] const CudaDriver& driver() const { return *driver_; }

private:
    const CudaDriver* driver_;
    int status_ = TESSERA_OK;
    bool is_pushed_ = false;
};

/// Runs action(driver) with the device's context and turns its result into a status.
template <class Action>
int with_device(std::int32_t device, const char* what, Action action) {
    clear_error();
    const CurrentContext context(device);
    if (context.status() != TESSERA_OK) return context.status();
    const CudaResult r = action(context.driver());
    return r == cuda_success ? static_cast<int>(TESSERA_OK) : fail_cuda(context.driver(), r, what);
}

/// 90 for compute capability 9.0; a negative number where it cannot be asked.
[[nodiscard]] int compute_capability(const CudaDriver& driver, std::int32_t device);
/// 1 at least.
[[nodiscard]] int multiprocessor_count(const CudaDriver& driver, std::int32_t device);

}  // namespace tessera::runtime
