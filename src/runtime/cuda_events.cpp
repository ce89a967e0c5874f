#include "runtime/cuda_driver.h"

#include <tessera/tessera_cuda.h>

using namespace tessera::runtime;

extern "C" int tessera_cuda_event_create(int32_t device, tessera_cuda_event* event) {
    *event = nullptr;
    return with_device(device, "an event cannot be made",
                       [&](const CudaDriver& driver) { return driver.event_create(event, 0); });
}

extern "C" int tessera_cuda_event_free(int32_t device, tessera_cuda_event event) {
    return with_device(device, "an event cannot be freed",
                       [&](const CudaDriver& driver) { return event == nullptr ? cuda_success : driver.event_destroy(event); });
}

extern "C" int tessera_cuda_event_record(int32_t device, tessera_cuda_event event, tessera_cuda_stream stream) {
    return with_device(device, "an event cannot be put into the stream",
                       [&](const CudaDriver& driver) { return driver.event_record(event, stream); });
}

extern "C" int tessera_cuda_seconds_between(int32_t device, tessera_cuda_event before, tessera_cuda_event after,
                                            double* seconds) {
    *seconds = 0;
    return with_device(device, "a kernel or copy between two events failed", [&](const CudaDriver& driver) {
        float milliseconds = 0;
        CudaResult r = driver.event_synchronize(after);
        if (r == cuda_success) r = driver.event_milliseconds(&milliseconds, before, after);
        *seconds = static_cast<double>(milliseconds) * 1e-3;
        return r;
    });
}
