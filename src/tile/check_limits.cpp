#include "base/match.h"
#include "tile/environment.h"
#include "tile/lower.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::tile {
namespace {

std::int64_t bytes_of(const Stage& s) {
    std::int64_t bytes = 0;
    for (const DType t : s.dtypes) bytes += dtype_bytes(t);
    return bytes;
}
std::int64_t product(const std::vector<std::int64_t>& extents) {
    std::int64_t out = 1;
    for (const std::int64_t e : extents)
        out = e > (std::int64_t{1} << 40) / std::max<std::int64_t>(out, 1) ? std::int64_t{1} << 40 : out * e;
    return out;
}

class LimitCheck {
public:
    LimitCheck(const Program& program, const Kernel& kernel, const GpuLimits& limits)
        : program_(program), kernel_(kernel), limits_(limits) {}

    void run() {
        const std::int64_t threads = kernel_.all_threads();
        if (threads > limits_.threads || threads % 32 != 0)
            throw Error(E0506_loop_kind, {}, fmt::format("kernel {} has {} threads", kernel_.name, threads),
                        {expected(fmt::format("a multiple of 32, at most {}", limits_.threads)), sharing(),
                         fix("change threads in its record under kernels")});
        check_roles();
        const SharedPlan plan = plan_shared(program_, kernel_);
        if (plan.bytes > limits_.shared_bytes) {
            std::vector<Hint> hints{expected(fmt::format("at most {} bytes a block", limits_.shared_bytes))};
            for (const auto& [stage, offset] : plan.offsets)
                hints.push_back(note(fmt::format("{} starts at byte {}", program_.bound.graph.stages[stage].name, offset)));
            hints.push_back(fix("use smaller tiles, or store a stage in registers or at root"));
            throw Error(E0508_storage, {}, fmt::format("kernel {} needs {} bytes of shared memory", kernel_.name, plan.bytes),
                        std::move(hints));
        }
        registers(*kernel_.body, 0);
    }

private:
    // Who the threads of a block are.
    Hint sharing() const {
        return note(fmt::format("{} of {} threads, {} that copy",
                                kernel_.consumers == 1 ? "one consumer" : fmt::format("{} consumers", kernel_.consumers),
                                kernel_.threads, kernel_.producers));
    }

    // setmaxnreg takes multiples of 8 from 24 to 256; a multiprocessor has 65536 registers.
    void check_roles() const {
        if (kernel_.producers == 0) return;
        if (kernel_.threads % 128 != 0)
            throw Error(E0506_loop_kind, {},
                        fmt::format("kernel {} has {} threads beside those that copy", kernel_.name, kernel_.threads),
                        {expected("a multiple of 128, whole warpgroups"), fix("change threads in its record under kernels")});
        const std::int64_t copy = kernel_.producer_registers, rest = kernel_.consumer_registers;
        if (copy == 0 && rest == 0) return;
        const std::int64_t all = kernel_.min_ctas * (copy * kernel_.producers + rest * kernel_.threads * kernel_.consumers);
        const auto is_legal = [](std::int64_t count) { return count >= 24 && count <= 256 && count % 8 == 0; };
        if (is_legal(copy) && is_legal(rest) && all <= 65536) return;
        throw Error(E0508_storage, {},
                    fmt::format("kernel {} gives threads that copy {} registers and the others {}, {} in all", kernel_.name, copy,
                                rest, all),
                    {expected("multiples of 8 from 24 to 256, at most 65536 in all"), sharing(),
                     fix("change producer_regs and consumer_regs in its record under kernels")});
    }

    void registers(const Statement& s, std::int64_t outside) {
        if (const auto* a = std::get_if<Alloc>(&s.node); a && a->space == Space::register_) {
            const Stage& stage = program_.bound.graph.stages[a->stage];
            const std::int64_t own = product(own_extent(*a)) * std::max<std::int64_t>(bytes_of(stage), 4);
            if (own + outside > limits_.register_bytes)
                throw Error(E0508_storage, stage.where,
                            fmt::format("{} takes {} bytes of each thread's registers, {} together with what lives around it",
                                        stage.name, own, own + outside),
                            {expected(fmt::format("at most {}", limits_.register_bytes)),
                             fix("use smaller tiles a thread, or store it in shared memory")});
            outside += own;
        }
        for (const StatementPtr& child : children(s)) registers(*child, outside);
    }

    const Program& program_;
    const Kernel& kernel_;
    const GpuLimits& limits_;
};

void plan_statement(const Program& program, const Statement& s, SharedPlan& plan, std::int64_t threads, std::int64_t& partial) {
    if (const auto* a = std::get_if<Alloc>(&s.node); a && a->space == Space::shared && plan.offsets.count(a->stage) == 0) {
        // Where the pattern of a swizzle begins.
        if (a->swizzled) plan.bytes = (plan.bytes + 1023) / 1024 * 1024;
        plan.offsets[a->stage] = plan.bytes;
        plan.bytes += a->buffers * buffer_bytes(program, *a);
    }
    if (const auto* c = std::get_if<Combine>(&s.node); c && c->over == Scope::thread && threads > 32)
        partial = std::max(partial, 32 * 8 * static_cast<std::int64_t>(program.bound.graph.stages[c->stage].dtypes.size()));
    if (const auto* a = std::get_if<Await>(&s.node); a && a->ring > 0) plan.rings[a->stages[0]] = {0, a->ring};
    if (const auto* r = std::get_if<Release>(&s.node)) plan.released[r->stages[0]] = 0;
    for (const StatementPtr& child : children(s)) plan_statement(program, *child, plan, threads, partial);
}

bool has_copy_engine(const Target& target) { return target.arch.rfind("sm_9", 0) == 0 || target.arch.rfind("sm_1", 0) == 0; }

// The copy engine came with sm_90, as clusters did; products of warpgroups are sm_90a's alone.
void require_arch(const Program& program, const Statement& s, const Target& target) {
    const auto refuse = [&](size_t stage, std::string_view what, std::string instead) {
        throw Limit(L0903_schedule, program.bound.graph.stages[stage].where,
                    fmt::format("{} is {}, which {} does not have", program.bound.graph.stages[stage].name, what, target.arch),
                    {fix(std::move(instead)), fix("compile for cuda-sm_90a")});
    };
    const auto* box = std::get_if<BoxCopy>(&s.node);
    if (box && !has_copy_engine(target)) refuse(box->stage, "moved by the copy engine", "use engine cp_async");
    const auto* put = std::get_if<BoxStore>(&s.node);
    if (put && !has_copy_engine(target)) refuse(put->stage, "stored by the copy engine", "use engine auto");
    const auto* product = std::get_if<Mma>(&s.node);
    if (product && product->grouped && target.arch != "sm_90a")
        refuse(product->stage, "a product of warpgroups", "use warp loops and the atom m16n8k16");
    for (const StatementPtr& child : children(s)) require_arch(program, *child, target);
}

void require_flight(const Program& program, const Statement& s) {
    for (const StatementPtr& child : children(s)) require_flight(program, *child);
    const auto* m = std::get_if<Mma>(&s.node);
    if (!m || m->in_flight || program.bound.stages[m->stage].in_flight.value_or(0) == 0) return;
    const Stage& sums = program.bound.graph.stages[m->stage];
    throw Limit(L0903_schedule, sums.where,
                fmt::format("products of {} stay in flight, but {}", sums.name,
                            m->grouped ? "no loop of nothing else copies its factors into 3 or more buffers"
                                       : "those of warps are waited for by the hardware"),
                {fix("use in_flight 0"), fix("multiply by warpgroups what one serial loop copies into 3 or more buffers")});
}

}  // namespace

void check_in_flight(const Program& program) {
    for (const Kernel& k : program.kernels) require_flight(program, *k.body);
}

GpuLimits gpu_limits(const Target& target) {
    // Shared memory a block may opt into: CUDA C++ Programming Guide, table of technical specifications per compute capability.
    static const std::map<std::string, std::int64_t> kilobytes{{"sm_70", 96},   {"sm_75", 64},    {"sm_80", 163},
                                                               {"sm_86", 99},   {"sm_89", 99},    {"sm_90", 227},
                                                               {"sm_90a", 227}, {"sm_100a", 227}, {"sm_120a", 99}};
    const auto found = kilobytes.find(target.arch);
    if (target.kind != Target::Kind::cuda || found == kilobytes.end())
        throw Error(E0803_target_unavailable, {}, fmt::format("target {} is no GPU that kernels are made for", to_text(target)),
                    {fix("use cuda-sm_80 or cuda-sm_90a")});
    GpuLimits limits;
    limits.shared_bytes = found->second * 1024;
    return limits;
}

SharedPlan plan_shared(const Program& program, const Kernel& kernel) {
    SharedPlan plan;
    std::int64_t partial = 0;
    plan_statement(program, *kernel.body, plan, kernel.threads, partial);
    plan.combine = plan.bytes;
    plan.bytes += partial;
    for (auto& [stage, ring] : plan.rings) {
        ring.first = plan.bytes;
        plan.bytes += 8 * ring.second;
        const auto released = plan.released.find(stage);
        if (released == plan.released.end()) continue;
        released->second = plan.bytes;
        plan.bytes += 8 * ring.second;
    }
    return plan;
}

void check_limits(const Program& program, const GpuLimits& limits) {
    for (const Kernel& k : program.kernels) LimitCheck(program, k, limits).run();
}

std::int64_t buffer_bytes(const Program& program, const Alloc& alloc) {
    std::int64_t bytes = 0;
    for (const DType t : program.bound.graph.stages[alloc.stage].dtypes)
        bytes += (product(alloc.extent) * dtype_bytes(t) + 15) / 16 * 16;
    if (alloc.swizzled) bytes = (bytes + 1023) / 1024 * 1024;
    return bytes;
}

Program lower(const LoopTree& tree, const Target& target, Copies copies) {
    return synchronise(lower_kernels(tree, copies), target, copies);
}

Program synchronise(Program program, const Target& target, Copies copies) {
    const GpuLimits limits = gpu_limits(target);
    program = pipeline_copies(std::move(program));
    if (copies == Copies::as_scheduled) {
        check_in_flight(program);
        program = store_boxes(std::move(program));
    }
    for (const Kernel& k : program.kernels) {
        if (!k.cluster.empty() && !has_copy_engine(target))
            throw Limit(L0903_schedule, {}, fmt::format("kernel {} has clusters, which {} does not have", k.name, target.arch),
                        {fix("make the cluster loop a block loop"), fix("compile for cuda-sm_90a")});
        require_arch(program, *k.body, target);
    }
    check_limits(program, limits);
    check_ownership(program);
    program = insert_barriers(order_copies(std::move(program)));
    verify(program);
    check_barriers(program);
    return program;
}

}  // namespace tessera::tile
