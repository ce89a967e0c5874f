// What an ordinary program needs of Tessera: the headers of the libraries, and buffers.
#include "kernels.h"

#include <stdexcept>

#include "harris_default.h"
#include "harris_hand.h"
#include "matmul_default.h"
#include "matmul_hand.h"
#include "unsharp_default.h"
#include "unsharp_hand.h"

namespace demo {
namespace {

std::string graph_of(const std::string& library) {
    return std::string(DEMO_LIBRARIES) + "/" + library + ".tessera/" + library + ".graph";
}

}  // namespace

KernelPair unsharp_kernels() {
    return {"unsharp",
            graph_of("unsharp_default"),
            {"default", [](const tessera_buffer* in, tessera_buffer* out) { return unsharp_default(in, out); }},
            {"schedules/unsharp.json", [](const tessera_buffer* in, tessera_buffer* out) { return unsharp_hand(in, out); }}};
}

KernelPair harris_kernels() {
    return {"harris",
            graph_of("harris_default"),
            {"default", [](const tessera_buffer* in, tessera_buffer* out) { return harris_default(in, out); }},
            {"schedules/harris.json", [](const tessera_buffer* in, tessera_buffer* out) { return harris_hand(in, out); }}};
}

KernelPair matmul_kernels() {
    return {"matmul",
            graph_of("matmul_default"),
            {"default", [](const tessera_buffer* in, tessera_buffer* out) { return matmul_default(in, in + 1, in + 2, out); }},
            {"schedules/" DEMO_MATMUL_SCHEDULE,
             [](const tessera_buffer* in, tessera_buffer* out) { return matmul_hand(in, in + 1, in + 2, out); }}};
}

void run(const Kernel& kernel, const std::vector<Planes>& inputs, const Planes& output) {
    std::vector<tessera_buffer> from;
    for (const Planes& input : inputs) from.push_back(input.c_buffer());
    tessera_buffer to = output.c_buffer();
    if (kernel.call(from.data(), &to) != TESSERA_OK)
        throw std::runtime_error("the kernel with schedule " + kernel.schedule + " refused: " + tessera_last_error() + " " +
                                 tessera_last_error_fix());
}

}  // namespace demo
