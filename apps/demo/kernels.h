#pragma once

#include <tessera/buffer.h>

#include <string>
#include <vector>

namespace demo {

using Planes = tessera::Buffer<float>;

/// The six kernels that are linked into this program, behind the C functions of their headers.
struct Kernel {
    std::string schedule;  // "default", "schedules/unsharp.json"
    int (*call)(const tessera_buffer* inputs, tessera_buffer* output);
};
struct KernelPair {
    std::string pipeline;    // "unsharp"
    std::string graph_file;  // the algorithm as text, as its generator wrote it
    Kernel by_default, by_hand;
};
[[nodiscard]] KernelPair unsharp_kernels();
[[nodiscard]] KernelPair harris_kernels();
[[nodiscard]] KernelPair matmul_kernels();

/// Throws std::runtime_error with the kernel's own message when it refuses its arguments.
void run(const Kernel& kernel, const std::vector<Planes>& inputs, const Planes& output);

}  // namespace demo
