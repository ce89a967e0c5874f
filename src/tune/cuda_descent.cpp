#include "tune/cuda_descent.h"

#include <algorithm>
#include <functional>

namespace tessera::tune {
namespace {

constexpr std::int64_t most_threads = 1024;
constexpr std::int64_t most_accumulators = 128;  // cells of a sum that a thread holds, of the 255 registers it has
enum ProductKind : std::int64_t { by_default, by_threads, by_warps, by_warpgroups };
enum Kept : std::int64_t { kept_at_root, kept_inline, kept_shared };

LoopSpec gpu_loop(LoopKind kind, std::string dim, std::int64_t tile = 0, std::string name = "") {
    LoopSpec out{.dim = std::move(dim), .as = kind, .name = std::move(name)};
    if (tile > 0) out.tile = tile;
    return out;
}
StageEdit with_loops(StageEdit edit, const std::vector<LoopSpec>& loops) {
    edit.spec().loops.emplace();
    for (const LoopSpec& l : loops) edit.loop(l);
    return edit;
}
LoopSpec padded_loop(LoopSpec l) {
    l.tail = Tail::pad;
    return l;
}

class CudaDescent {
public:
    CudaDescent(const CudaPlan& plan, const Choose& choose) : plan_(plan), choose_(choose), out_(plan.initial) {}

    Schedule run() {
        for (const CudaDefinition& d : plan_.definitions)
            if (!decide_product(d)) decide_definition(d);
        for (const CudaProducer& p : plan_.producers) decide_producer(p);
        return std::move(out_);
    }

private:
    using Values = std::vector<std::int64_t>;
    std::int64_t choose(const std::string& stage, const std::string& what, const Values& domain) const {
        return choose_(stage + "." + what, domain);
    }
    // Of `all` those that `fits`; the first of all where none does.
    static Values fitting(const Values& all, const std::function<bool(std::int64_t)>& fits) {
        Values out;
        std::copy_if(all.begin(), all.end(), std::back_inserter(out), fits);
        return out.empty() ? Values{all.front()} : out;
    }

    // ---- a thread a cell, or several

    void decide_definition(const CudaDefinition& d) {
        if (d.row) {
            // As many as the loops have, unless it is said.
            const std::int64_t threads = choose(d.stage, "threads", {0, 64, 128, 256, 512, 1024});
            if (threads > 0) out_.kernels[d.stage].threads = threads;
            return;
        }
        const std::int64_t columns = choose(d.stage, "columns", {256, 32, 64, 128, 512, 1024});
        std::int64_t rows = 1;
        if (d.dims.size() > 1)
            rows = choose(d.stage, "rows",
                          fitting({1, 2, 4, 8, 16, 32}, [&](std::int64_t r) { return r * columns <= most_threads; }));
        const std::int64_t cells = choose(d.stage, "cells", {1, 2, 4, 8});
        if (columns == 256 && rows == 1 && cells == 1) return;
        std::vector<LoopSpec> loops;
        const size_t outer = d.dims.size() - (rows > 1 ? 2 : 1);
        for (size_t i = 0; i < outer; ++i) loops.push_back(gpu_loop(LoopKind::block, d.dims[i], 0, d.dims[i]));
        if (rows > 1) loops.push_back(gpu_loop(LoopKind::block, d.dims[outer], rows, "rows"));
        loops.push_back(gpu_loop(LoopKind::block, d.dims.back(), columns * cells, "tile"));
        if (rows > 1) loops.push_back(gpu_loop(LoopKind::thread, d.dims[outer]));
        loops.push_back(gpu_loop(LoopKind::thread, d.dims.back(), cells > 1 ? cells : 0, "cells"));
        if (cells > 1) loops.push_back(gpu_loop(LoopKind::vector, d.dims.back()));
        out_.stages.at(d.stage).loops = std::move(loops);
    }

    void decide_producer(const CudaProducer& p) {
        const std::int64_t kept = choose(p.stage, "kept", {kept_at_root, kept_inline, kept_shared});
        if (kept == kept_at_root) return;
        out_.stages.erase(p.stage);
        if (kept == kept_inline) return;
        std::vector<LoopSpec> loops;
        for (const std::string& dim : p.dims) loops.push_back(gpu_loop(LoopKind::thread, dim));
        with_loops(out_.stage(p.stage).at(p.reader, "tile"), loops).space(Space::shared);
    }

    // ---- sums of products

    bool decide_product(const CudaDefinition& d) {
        const auto p = std::find_if(plan_.products.begin(), plan_.products.end(),
                                    [&](const CudaProduct& product) { return product.definition == d.stage; });
        if (p == plan_.products.end()) return false;
        Values kinds{by_default, by_threads};
        if (!p->atom.empty()) kinds.push_back(by_warps);
        if (p->grouped) kinds.push_back(by_warpgroups);
        const std::int64_t kind = choose(d.stage, "product", kinds);
        if (kind == by_default) return false;
        out_.stages.erase(p->definition);
        out_.stages.erase(p->sum);
        if (kind == by_threads) multiply_by_threads(*p);
        if (kind == by_warps) multiply_by_warps(*p);
        if (kind == by_warpgroups) multiply_by_warpgroups(*p);
        return true;
    }

    StageEdit root_of(const CudaProduct& p) {
        StageEdit edit = out_.stage(p.definition).root();
        for (const std::string& b : p.batch) edit.loop(gpu_loop(LoopKind::block, b, 0, b));
        return edit;
    }
    static void add_loops(StageEdit edit, const std::vector<LoopSpec>& loops) {
        for (const LoopSpec& l : loops) edit.loop(l);
    }

    // Blocks of threads, each with a tile of registers.
    void multiply_by_threads(const CudaProduct& p) {
        const std::string& C = p.definition;
        const std::int64_t bm = choose(C, "m.block", {64, 16, 32, 128}), bn = choose(C, "n.block", {64, 16, 32, 128});
        const std::int64_t tm = choose(C, "m.thread", fitting({4, 1, 2, 8}, [&](std::int64_t t) { return bm / t <= 32; }));
        const std::int64_t tn = choose(C, "n.thread", fitting({4, 1, 2, 8}, [&](std::int64_t t) {
                                           const std::int64_t threads = (bm / tm) * (bn / t);
                                           return threads >= 32 && threads <= most_threads;
                                       }));
        const std::int64_t step =
            choose(C, "k.step",
                   fitting({8, 4, 16, 32}, [&](std::int64_t k) { return (bm + bn) * k * p.cell_bytes <= plan_.shared_bytes; }));
        std::vector<LoopSpec> cells{gpu_loop(LoopKind::thread, p.m, tm > 1 ? tm : 0, "mt"),
                                    gpu_loop(LoopKind::thread, p.n, tn > 1 ? tn : 0, "nt")},
            held;
        if (tm > 1) held.push_back(gpu_loop(LoopKind::unroll, p.m));
        if (tn > 1) held.push_back(gpu_loop(LoopKind::unroll, p.n));
        StageEdit definition = root_of(p);
        add_loops(definition, {gpu_loop(LoopKind::block, p.m, bm, "mb"), gpu_loop(LoopKind::block, p.n, bn, "nb")});
        add_loops(definition, cells);
        add_loops(definition, held);
        StageEdit sum = with_loops(out_.stage(p.sum).at(C, "nb"), {gpu_loop(LoopKind::serial, p.k, step, "ks")});
        add_loops(sum, cells);
        add_loops(sum, {gpu_loop(LoopKind::unroll, p.k)});
        add_loops(sum, held);
        sum.space(Space::register_);
        for (const CudaProduct::Factor* f : {&p.left, &p.right}) {
            const std::string& own = f == &p.left ? p.m : p.n;
            std::vector<LoopSpec> loops{gpu_loop(LoopKind::thread, own), gpu_loop(LoopKind::thread, p.k)};
            if (!f->along_k) std::swap(loops[0], loops[1]);
            with_loops(out_.copy(f->of + ".s", f->of, {p.sum}).at(p.sum, "ks"), loops).space(Space::shared);
        }
    }

    // Warps with fragments; cp_async moves the factors ahead.
    void multiply_by_warps(const CudaProduct& p) {
        const std::string& C = p.definition;
        const std::int64_t wm = choose(C, "m.warps", {2, 4}), wn = choose(C, "n.warps", {2, 4});
        const std::int64_t bm = choose(C, "m.block", fitting({128, 32, 64, 256}, [&](std::int64_t b) { return b / wm >= 16; }));
        const std::int64_t bn = choose(C, "n.block", fitting({128, 32, 64, 256}, [&](std::int64_t b) {
                                           return b / wn >= 16 && (bm / wm) * (b / wn) / 32 <= most_accumulators;
                                       }));
        const std::int64_t chunk = 16 / p.cell_bytes;
        const std::int64_t step = choose(C, "k.step", fitting({4 * chunk, 2 * chunk, 8 * chunk}, [&](std::int64_t k) {
                                             return 2 * (bm + bn) * k * p.cell_bytes <= plan_.shared_bytes;
                                         }));
        const std::int64_t buffers = choose(C, "buffers", fitting({3, 2, 4, 5, 6}, [&](std::int64_t b) {
                                                return b * (bm + bn) * step * p.cell_bytes <= plan_.shared_bytes;
                                            }));
        const LoopSpec rows = gpu_loop(LoopKind::warp, p.m, bm / wm, "mw"),
                       columns = gpu_loop(LoopKind::warp, p.n, bn / wn, "nw");
        const LoopSpec fm = gpu_loop(LoopKind::frag, p.m), fn = gpu_loop(LoopKind::frag, p.n);
        add_loops(root_of(p),
                  {gpu_loop(LoopKind::block, p.m, bm, "mb"), gpu_loop(LoopKind::block, p.n, bn, "nb"), rows, columns, fm, fn});
        with_loops(out_.stage(p.sum).at(C, "nb"),
                   {gpu_loop(LoopKind::serial, p.k, step, "ks"), rows, columns, fm, fn, gpu_loop(LoopKind::frag, p.k)})
            .space(Space::register_)
            .mma(p.atom);
        for (const CudaProduct::Factor* f : {&p.left, &p.right}) {
            const std::string& own = f == &p.left ? p.m : p.n;
            const std::string &outer = f->along_k ? own : p.k, &inner = f->along_k ? p.k : own;
            with_loops(out_.copy(f->of + ".s", f->of, {p.sum}).at(p.sum, "ks"),
                       {padded_loop(gpu_loop(LoopKind::thread, p.k, step, "kt")), gpu_loop(LoopKind::thread, outer),
                        gpu_loop(LoopKind::thread, inner, chunk, "chunk"), gpu_loop(LoopKind::vector, inner)})
                .space(Space::shared)
                .engine(Engine::cp_async)
                .buffers(buffers)
                .swizzle(Swizzle::xor_);
        }
        out_.kernels[C].threads = 32 * wm * wn;
    }

    // Warpgroups of 64 rows; the copy engine moves the factors ahead, for warps with roles in clusters where that is chosen.
    void multiply_by_warpgroups(const CudaProduct& p) {
        const std::string& C = p.definition;
        const std::int64_t deep = 128 / p.cell_bytes;
        const std::int64_t groups = choose(C, "groups", {2, 4}), bm = 64 * groups;
        const std::int64_t bn = choose(C, "n.block", {128, 64, 256});
        const std::int64_t roles = choose(C, "roles", {0, 1, 2});  // 2: persistent blocks
        const std::int64_t cluster = roles > 0 ? choose(C, "cluster", {1, 2, 4}) : 1;
        const std::int64_t boxes = roles > 0 && p.out_bytes <= 4 && p.out_bytes >= 2 ? choose(C, "boxes", {0, 1}) : 0;
        const std::int64_t box = 128 / p.out_bytes;  // columns
        const std::int64_t buffers = choose(C, "buffers", fitting({3, 2, 4, 5, 6, 8}, [&](std::int64_t b) {
                                                return b * (bm + bn) * 128 + boxes * bm * 128 + 1024 <= plan_.shared_bytes;
                                            }));
        const std::int64_t together =
            roles == 2 ? choose(C, "m.together", {2, 1, 4}) : 1;  // rows of blocks that follow each other
        const LoopSpec rows = gpu_loop(LoopKind::warpgroup, p.m, 64, "mg"),
                       columns = gpu_loop(LoopKind::warpgroup, p.n, bn, "ng");
        const LoopSpec fm = gpu_loop(LoopKind::frag, p.m), fn = gpu_loop(LoopKind::frag, p.n);
        const std::int64_t clustered = bm * cluster;
        std::vector<LoopSpec> loops;
        if (together > 1) loops.push_back(gpu_loop(LoopKind::block, p.m, clustered * together, "mr"));
        loops.push_back(gpu_loop(LoopKind::block, p.n, bn, "nb"));
        loops.push_back(gpu_loop(LoopKind::block, p.m, clustered, "mb"));
        if (cluster > 1) loops.push_back(gpu_loop(LoopKind::cluster, p.m, bm, "mc"));
        loops.push_back(rows);
        if (boxes > 0 && box < bn) loops.push_back(gpu_loop(LoopKind::unroll, p.n, box, "nh"));
        loops.insert(loops.end(), {fm, fn});
        StageEdit definition = root_of(p);
        add_loops(definition, loops);
        if (boxes > 0) definition.engine(Engine::tma);
        with_loops(out_.stage(p.sum).at(C, cluster > 1 ? "mc" : "mb"),
                   {gpu_loop(LoopKind::serial, p.k, deep, "ks"), rows, columns, fm, fn, gpu_loop(LoopKind::frag, p.k)})
            .space(Space::register_)
            .mma("wgmma");
        for (const CudaProduct::Factor* f : {&p.left, &p.right})
            with_loops(out_.copy(f->of + ".s", f->of, {p.sum}).at(p.sum, "ks"),
                       {padded_loop(gpu_loop(LoopKind::thread, p.k, deep, "kt")),
                        gpu_loop(LoopKind::thread, f == &p.left ? p.m : p.n), gpu_loop(LoopKind::thread, p.k)})
                .space(Space::shared)
                .engine(Engine::tma)
                .buffers(buffers)
                .swizzle(Swizzle::bytes128);
        KernelSpec& kernel = out_.kernels[C];
        kernel.threads = 128 * groups;
        if (roles > 0) kernel.overlap = Overlap::cooperative;
        if (roles == 2) {
            kernel.persistent = true;
            kernel.producer_regs = 40;
            kernel.consumer_regs = 232;
        }
    }

    const CudaPlan& plan_;
    const Choose& choose_;
    Schedule out_;
};

}  // namespace

const std::vector<std::string>& product_words() {
    static const std::vector<std::string> words{"default", "threads", "warps", "warpgroups"};
    return words;
}
const std::vector<std::string>& kept_words() {
    static const std::vector<std::string> words{"root", "inline", "shared"};
    return words;
}

Schedule descend_cuda(const CudaPlan& plan, const Choose& choose) { return CudaDescent(plan, choose).run(); }

}  // namespace tessera::tune
