#pragma once
// The words of emitted kernels, as CUDA: a function is one instruction or a few. Nothing is included, so NVRTC needs no header path.
// A block is a definition between blank lines under `/// arch | level | instruction | doc`; device_functions.h reads these lines.
// Blocks of arch `any` are plain C++, which the emulator of the tests compiles as it stands.

#define TSR_DEV __device__ __forceinline__
#define TSR_KERNEL(threads, ctas) __global__ void __launch_bounds__(threads, ctas)
#define TSR_CLUSTER(ctas) __cluster_dims__(ctas, 1, 1)
#define TSR_CLUSTER_2D(x, y) __cluster_dims__(x, y, 1)
#define TSR_GRID_CONST const __grid_constant__
#define TSR_UNROLL _Pragma("unroll")
#define TSR_NOUNROLL _Pragma("unroll 1")
