#pragma once
#include "runtime/cuda_driver.h"

namespace tessera::runtime {

/// The image of a variant that runs on a GPU of this compute capability (90 for 9.0), machine code before PTX; null where there
/// is none.
[[nodiscard]] const tessera_cuda_image* fitting_image(const tessera_cuda_variant& variant, int capability);

/// The image as a module of the device, whose context is current; loaded at its first use and kept. A status with the last error
/// set.
[[nodiscard]] int loaded_module(const CudaDriver& driver, std::int32_t device, const tessera_cuda_image& image,
                                const char* kernel, CudaModule*& module);

}  // namespace tessera::runtime
