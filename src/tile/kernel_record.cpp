#include "tile/kernel_record.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::tile {
namespace {

void set_roles(Kernel& kernel, const KernelSpec& spec, const Stage& root) {
    kernel.persistent = spec.persistent.value_or(false);
    if (spec.overlap) kernel.producers = 128;
    kernel.producer_registers = spec.producer_regs.value_or(0);
    kernel.consumer_registers = spec.consumer_regs.value_or(0);
    const bool registers = kernel.producer_registers > 0 || kernel.consumer_registers > 0;
    if (!spec.overlap && (kernel.persistent || registers))
        throw Limit(L0903_schedule, root.where,
                    fmt::format("kernel {} has {}, but no warps with roles", kernel.name,
                                kernel.persistent ? "persistent blocks" : "registers of roles"),
                    {fix("use overlap cooperative"), fix("leave it out")});
    if (spec.overlap && registers && (kernel.producer_registers == 0 || kernel.consumer_registers == 0))
        throw Error(E0508_storage, root.where,
                    fmt::format("kernel {} says how many registers threads of one role have", kernel.name),
                    {expected("producer_regs and consumer_regs, or neither")});
}

}  // namespace

void size_kernel(Kernel& kernel, const WantedThreads& wanted, const KernelSpec* record, const Stage& root, bool plain) {
    kernel.threads = (std::min<std::int64_t>(wanted.most, 1024) + 31) / 32 * 32;
    if (record) {
        kernel.threads = record->threads.value_or(kernel.threads);
        kernel.min_ctas = record->min_ctas.value_or(1);
        if (!plain) set_roles(kernel, *record, root);
    }
    if (kernel.threads >= wanted.together) return;
    throw Error(E0506_loop_kind, root.where,
                fmt::format("kernel {} has {} threads, but {} scan together", kernel.name, kernel.threads, wanted.together),
                {fix("raise threads in its record under kernels"), fix("give each thread more steps")});
}

}  // namespace tessera::tile
