#include "tile/kernel_record.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::tile {
namespace {

void set_roles(Kernel& kernel, const KernelSpec& spec, const Stage& root) {
    kernel.persistent = spec.persistent.value_or(false);
    if (spec.overlap) kernel.producers = 128;
    if (spec.overlap == Overlap::pingpong) kernel.consumers = 2;
    kernel.producer_registers = spec.producer_regs.value_or(0);
    kernel.consumer_registers = spec.consumer_regs.value_or(0);
    const bool registers = kernel.producer_registers > 0 || kernel.consumer_registers > 0;
    if (!spec.overlap && (kernel.persistent || registers))
        throw Limit(L0903_schedule, root.where,
                    fmt::format("kernel {} has {}, but no warps with roles", kernel.name,
                                kernel.persistent ? "persistent blocks" : "registers of roles"),
                    {fix("use overlap cooperative or pingpong"), fix("leave it out")});
    if (kernel.consumers > 1 && !kernel.persistent)
        throw Limit(L0903_schedule, root.where,
                    fmt::format("consumers of kernel {} take turns (overlap pingpong), but a block has one tile", kernel.name),
                    {fix("use persistent true"), fix("use overlap cooperative")});
    if (spec.overlap && registers && (kernel.producer_registers == 0 || kernel.consumer_registers == 0))
        throw Error(E0508_storage, root.where,
                    fmt::format("kernel {} says how many registers threads of one role have", kernel.name),
                    {expected("producer_regs and consumer_regs, or neither")});
}

}  // namespace

void add_axis(Kernel& kernel, bool cluster, Axis axis, const std::string& loop, const Stage& root) {
    for_each_node({axis.extent}, [&](const Expr& n) {
        if (n->op == Op::variable || (n->op == Op::access && n->index_count() > 0))
            throw Limit(L0903_schedule, root.where,
                        fmt::format("the extent of {} loop {} is not known before the kernel starts",
                                    cluster ? "cluster" : "block", loop),
                        {fix("make it a serial loop inside")});
    });
    if (!cluster) return kernel.grid.push_back(std::move(axis));
    const std::int64_t blocks = integer_constant(axis.extent).value_or(0);
    // Binding puts it inside the block loops.
    if ((blocks != 2 && blocks != 4 && blocks != 8) || !kernel.cluster.empty() || kernel.grid.empty())
        throw Limit(
            L0903_schedule, root.where,
            fmt::format("cluster loop {} does not make clusters of 2, 4 or 8 blocks, inside the block loops", loop),
            {fix("tile its dim by a block loop of 2, 4 or 8 of its tiles, with tail guard"), fix("make it a block loop")});
    kernel.cluster.push_back(std::move(axis));
}

void size_kernel(Kernel& kernel, const WantedThreads& wanted, const KernelSpec* record, const Stage& root, bool plain) {
    kernel.threads = (std::min<std::int64_t>(wanted.most, 1024) + 31) / 32 * 32;
    if (record) {
        kernel.threads = record->threads.value_or(kernel.threads);
        kernel.min_ctas = record->min_ctas.value_or(1);
        if (!plain) set_roles(kernel, *record, root);
    }
    if (!kernel.cluster.empty() && kernel.producers == 0)
        throw Limit(L0903_schedule, root.where, fmt::format("kernel {} has clusters, but no warps with roles", kernel.name),
                    {fix("use overlap cooperative or pingpong"), fix("make the cluster loop a block loop")});
    if (kernel.threads >= wanted.together) return;
    throw Error(E0506_loop_kind, root.where,
                fmt::format("kernel {} has {} threads, but {} scan together", kernel.name, kernel.threads, wanted.together),
                {fix("raise threads in its record under kernels"), fix("give each thread more steps")});
}

}  // namespace tessera::tile
