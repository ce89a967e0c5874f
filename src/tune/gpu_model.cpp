#include "tune/gpu_model.h"

#include "base/match.h"
#include "expr/op_cost.h"
#include "tile/environment.h"
#include "tile/lower.h"
#include "tune/index_values.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace tessera::tune {
namespace {

constexpr double sector_bytes = 32;     // that global memory moves at least
constexpr double global_latency = 700;  // cycles until a read of global memory is there
constexpr double barrier_cycles = 40;
constexpr double read_again = 0.25;
constexpr double other_registers = 32;  // a thread has beside its memory: addresses, counters
constexpr double warps_that_hide = 8;   // of a scheduler's instructions in a row

// Of one block.
struct BlockWork {
    double issued = 0;    // instructions of warps
    double products = 0;  // cycles of the tensor cores
    double shared_bytes = 0;
    double moved_bytes = 0;              // between the L2 cache and the multiprocessor
    double waits = 0;                    // cycles that nothing of the block fills
    double registers = other_registers;  // a thread
};

// Who runs a statement, how often.
struct Executions {
    double issued = 1;   // executions by warps
    double cells = 1;    // executions by threads
    double loops = 1;    // of the block's loops, one after the other
    Expr fastest;        // the axis along which neighbouring threads differ
    Expr vector;         // the innermost loop of a thread
    bool ahead = false;  // copies run iterations ahead
    bool alone = false;  // inside a spread of threads
};

class KernelCost {
public:
    KernelCost(const tile::Program& program, const tile::Kernel& kernel, const std::map<std::string, std::int64_t>& extents,
               const GpuFacts& facts)
        : program_(program), kernel_(kernel), indices_(extents), facts_(facts) {}

    double seconds() {
        double blocks = 1;
        for (const tile::Axis& a : kernel_.grid) blocks *= std::max(value(a.extent), 1.0);
        for (const tile::Axis& a : kernel_.cluster) blocks *= std::max(value(a.extent), 1.0);
        const double warps = static_cast<double>(kernel_.threads) / 32;
        visit(*kernel_.body, {.issued = warps, .cells = static_cast<double>(kernel_.threads)});
        const double threads = static_cast<double>(kernel_.all_threads());
        const auto shared = static_cast<double>(tile::plan_shared(program_, kernel_).bytes) + 1024;
        const double registers = std::min(255.0, work_.registers) * threads;
        const double together = std::clamp(std::floor(std::min({static_cast<double>(facts_.shared_room) / shared,
                                                                static_cast<double>(facts_.registers) / registers,
                                                                static_cast<double>(facts_.threads) / threads, 32.0})),
                                           1.0, 32.0);
        // The last round counts whole, unless blocks take tile after tile.
        const double rounds = kernel_.persistent ? std::max(1.0, std::ceil(blocks / facts_.multiprocessors) / together)
                                                 : std::ceil(blocks / (facts_.multiprocessors * together));
        const double held = std::min(together, std::max(1.0, blocks / facts_.multiprocessors));
        // Few warps do not fill the schedulers.
        const double filled = std::min(1.0, held * warps / (facts_.issues * warps_that_hide));
        const double busy = held * std::max({work_.issued / facts_.issues / std::max(filled, 0.05), work_.products,
                                             work_.shared_bytes / facts_.shared_bytes});
        const double own = work_.issued / facts_.issues + work_.products;
        const double cycles = rounds * std::max(busy, own + work_.waits);
        const double moved = blocks * work_.moved_bytes;
        const double seconds = std::max({cycles / facts_.clock, moved / facts_.l2_bytes_per_second,
                                         std::min(moved, touched_bytes()) / facts_.global_bytes_per_second});
        return seconds + facts_.launch_seconds;
    }

private:
    const Stage& stage(size_t i) const { return program_.bound.graph.stages[i]; }

    double extent(const Dim& d) const { return indices_.extent(d); }
    double value(const Expr& e) const { return indices_.value(e); }
    void set_middle(const Expr& variable, double count) {
        counts_[variable.get()] = count;
        indices_.set(variable, std::floor((count - 1) / 2));
    }

    // Memory of the whole GPU that the kernel uses: every array once.
    double touched_bytes() const {
        double bytes = 0;
        for (const auto& [name, size] : touched_) bytes += size;
        return bytes;
    }

    void visit(const tile::Statement& s, const Executions& around) {
        match(
            s.node,
            [&](const tile::Sequence& q) {
                for (const tile::StatementPtr& child : q.statements) visit(*child, around);
            },
            [&](const tile::For& f) {
                const double count = std::max(value(f.extent), 1.0);
                set_middle(f.variable, count);
                Executions inside = around;
                inside.issued *= count, inside.cells *= count;
                if (around.alone)
                    inside.vector = f.variable;
                else
                    inside.loops *= count;
                inside.ahead = around.ahead || has<tile::InBuffer>(*f.body);
                // A counter, and a branch.
                if (!f.unrolled) work_.issued += 2 * inside.issued;
                visit(*f.body, inside);
            },
            [&](const tile::Let& l) {
                indices_.set(l.variable, value(l.value));
                lets_[l.variable.get()] = l.value;
                visit(*l.body, around);
            },
            [&](const tile::If& i) {
                if (around.alone) work_.issued += around.issued;
                visit(*i.body, around);
            },
            [&](const tile::Spread& p) { visit_spread(p, around); },
            [&](const tile::Alloc& a) {
                if (a.space == Space::register_) {
                    double cells = 1;
                    for (const std::int64_t e : tile::own_extent(a)) cells *= static_cast<double>(e);
                    for (const DType t : stage(a.stage).dtypes)
                        work_.registers += cells * std::max(1.0, static_cast<double>(dtype_bytes(t)) / 4);
                    registers_.insert(a.stage);
                } else {
                    shared_.insert(a.stage);
                }
                visit(*a.body, around);
            },
            [&](const tile::Assign& a) { visit_assign(a, around); },
            [&](const tile::Combine& c) {
                // Five exchanges of a warp, and once more through shared memory.
                work_.issued += 15 * around.issued;
                if (c.over == tile::Scope::thread) work_.waits += 2 * barrier_cycles * around.loops;
            },
            [&](const tile::Mma& m) { visit_product(m, around); },
            [&](const tile::AsyncCopy& c) {
                const double bytes = static_cast<double>(c.cells * dtype_bytes(c.source->dtype));
                work_.issued += 2 * around.issued;
                work_.shared_bytes += bytes * around.cells;
                move(c.source, bytes, around);
            },
            [&](const tile::InBuffer& b) { visit(*b.body, around); },
            [&](const tile::BoxCopy& c) {
                double bytes = static_cast<double>(dtype_bytes(c.source->dtype));
                for (const std::int64_t e : memory_.at(c.stage)) bytes *= static_cast<double>(e);
                touch(c.source);
                work_.shared_bytes += bytes * around.loops;
                work_.moved_bytes += bytes * around.loops / static_cast<double>(c.parts);
            },
            [&](const tile::BoxStore& b) {
                work_.issued += around.issued / 128;
                touch_output(b.stage);
                work_.moved_bytes += 64 * 128 * around.loops;
            },
            [&](const tile::Await& a) {
                // Of copies that were started just before.
                const bool running = a.ring > 1 || a.in_flight.value_or(0) > 0 || around.ahead;
                work_.waits += (running ? barrier_cycles : global_latency) * around.loops;
            },
            [&](const tile::Barrier&) {
                work_.issued += around.issued;
                work_.waits += barrier_cycles * around.loops;
            },
            [&](const tile::Roles& r) {
                visit(*r.copies, {.ahead = true});
                visit(*r.rest, around);
            },
            [&](const tile::Tiles& t) { visit(*t.body, around); }, [&](const auto&) { work_.issued += around.issued; });
    }
    template <class Node>
    static bool has(const tile::Statement& s) {
        if (std::holds_alternative<Node>(s.node)) return true;
        for (const tile::StatementPtr& child : tile::children(s))
            if (has<Node>(*child)) return true;
        return false;
    }

    void visit_spread(const tile::Spread& p, const Executions& around) {
        double positions = 1;
        for (const tile::Axis& a : p.axes) {
            const double count = std::max(value(a.extent), 1.0);
            set_middle(a.variable, count);
            positions *= count;
        }
        Executions inside = around;
        const double block = static_cast<double>(kernel_.threads);
        switch (p.over) {
            case tile::Scope::thread:
                inside.issued = around.loops * std::ceil(positions / 32), inside.cells = around.loops * positions;
                break;
            case tile::Scope::warp: inside.issued = around.loops * positions, inside.cells = inside.issued * 32; break;
            case tile::Scope::warpgroup: inside.issued = around.loops * positions * 4, inside.cells = inside.issued * 32; break;
            // Inside one, whose executions are counted.
            case tile::Scope::lane:
                inside.issued = around.issued * std::ceil(positions / 32), inside.cells = around.issued * positions;
                break;
            case tile::Scope::member:
                inside.issued = around.issued * std::ceil(positions / 128), inside.cells = around.issued / 4 * positions;
                break;
        }
        const bool deals = p.over == tile::Scope::thread || p.over == tile::Scope::lane || p.over == tile::Scope::member;
        inside.alone = deals;
        inside.vector = {};
        if (deals) inside.fastest = p.axes.empty() ? Expr() : p.axes.back().variable;
        // Positions beyond the threads come one after the other, and their reads with them.
        reads_ = 0;
        visit(*p.body, inside);
        if (deals && reads_ > 0) {
            const double turns = std::max(1.0, std::ceil(positions / block));
            work_.waits += global_latency * around.loops * std::max(1.0, turns / 4);
        }
        reads_ = 0;
    }

    void visit_assign(const tile::Assign& a, const Executions& around) {
        const Stage& s = stage(a.stage);
        double cost = 1;
        read_here_.clear();
        for_each_node(a.values, [&](const Expr& n) {
            if (n->op != Op::access) {
                // Indices are steps of loops.
                if (n->dtype != DType::i64) cost += op_cost(*n);
                return;
            }
            use(n, around);
        });
        work_.issued += cost * around.issued;
        if (registers_.count(a.stage) != 0) return;
        double bytes = 0;
        for (const DType t : s.dtypes) bytes += static_cast<double>(dtype_bytes(t));
        work_.issued += around.issued / vector_of(a.place, around);
        if (shared_.count(a.stage) != 0) {
            work_.shared_bytes += bytes * around.cells;
            return;
        }
        touch_output(a.stage);
        work_.moved_bytes += bytes * around.cells * scatter(a.place, bytes, around);
    }
    void use(const Expr& access, const Executions& around) {
        const std::vector<Expr> place(access->args.begin(),
                                      access->args.begin() + static_cast<std::ptrdiff_t>(access->index_count()));
        if (place.empty()) return;
        const auto bytes = static_cast<double>(dtype_bytes(access->dtype));
        if (access->target().func) {
            const size_t i = program_.bound.graph.find(access->target().func.get()).value();
            if (registers_.count(i) != 0) return;
            if (shared_.count(i) != 0) {
                work_.issued += around.issued / vector_of(place, around);
                // One cell for a whole warp is one read.
                work_.shared_bytes += bytes * (moves(place, around.fastest) ? around.cells : around.issued);
                return;
            }
        }
        ++reads_;
        work_.issued += around.issued / vector_of(place, around);
        // What a cell reads beside its first read of an array is mostly near the multiprocessor.
        const void* const array =
            access->target().input ? static_cast<const void*>(access->target().input.get()) : access->target().func.get();
        move(access, bytes * (read_here_.insert(array).second ? 1 : read_again), around);
    }
    void move(const Expr& source, double bytes, const Executions& around) {
        touch(source);
        const std::vector<Expr> place(source->args.begin(),
                                      source->args.begin() + static_cast<std::ptrdiff_t>(source->index_count()));
        if (place.empty()) return;
        const double share = moves(place, around.fastest) ? around.cells * scatter(place, bytes, around) : around.issued;
        work_.moved_bytes += bytes * share;
    }

    void visit_product(const tile::Mma& m, const Executions& around) {
        const double runs = m.grouped ? around.issued / 4 : around.issued;
        const auto cells = static_cast<double>(m.m * m.n * m.k);
        const double bytes = static_cast<double>(dtype_bytes(m.right->dtype));
        const double rate = (m.grouped ? facts_.group_products : facts_.warp_products) * 2 / std::max(bytes, 1.0);
        work_.products += runs * cells / std::max(rate, 1.0);
        const bool held = registers_.count(program_.bound.graph.find(tile::left_read(m)->target().func.get()).value()) != 0;
        work_.shared_bytes += runs * bytes * static_cast<double>((held ? 0 : m.m * m.k) + m.n * m.k);
        work_.issued += m.grouped ? around.issued * 8 : around.issued * cells / (16 * 8 * 16 * 2 / bytes) * 1.5;
    }

    // ---- patterns of access

    bool depends(const Expr& e, const Expr& variable) const {
        bool found = false;
        for_each_node({e}, [&](const Expr& n) {
            if (found) return;
            found = n.same_as(variable);
            if (const auto let = lets_.find(n.get()); !found && let != lets_.end()) found = depends(let->second, variable);
        });
        return found;
    }
    bool moves(const std::vector<Expr>& place, const Expr& variable) const {
        if (!variable.defined()) return false;
        return std::any_of(place.begin(), place.end(), [&](const Expr& e) { return depends(e, variable); });
    }
    // How many times the bytes are moved: threads beside each other have cells beside each other, or a sector for each.
    double scatter(const std::vector<Expr>& place, double bytes, const Executions& around) const {
        if (!around.fastest.defined()) return 1;
        for (size_t d = 0; d + 1 < place.size(); ++d)
            if (depends(place[d], around.fastest)) return std::max(1.0, sector_bytes / (bytes * vector_of(place, around)));
        return 1;
    }
    // Cells that one instruction moves.
    double vector_of(const std::vector<Expr>& place, const Executions& around) const {
        if (!around.vector.defined() || place.empty() || !depends(place.back(), around.vector)) return 1;
        return std::clamp(counts_.at(around.vector.get()), 1.0, 4.0);
    }

    void touch(const Expr& access) {
        if (access->target().input) {
            double bytes = static_cast<double>(dtype_bytes(access->dtype));
            for (const Dim& d : access->target().input->dims) bytes *= std::max(extent(d), 1.0);
            touched_[access->target().input->name] = bytes;
        } else {
            touch_output(program_.bound.graph.find(access->target().func.get()).value());
        }
    }
    void touch_output(size_t i) {
        double bytes = 0;
        for (const DType t : stage(i).dtypes) bytes += static_cast<double>(dtype_bytes(t));
        for (const Dim& d : stage(i).dims) bytes *= std::max(extent(d), 1.0);
        touched_[stage(i).name] = bytes;
    }

public:
    void note_memory(const tile::Statement& s) {
        if (const auto* a = std::get_if<tile::Alloc>(&s.node)) memory_[a->stage] = a->extent;
        for (const tile::StatementPtr& child : tile::children(s)) note_memory(*child);
    }

private:
    const tile::Program& program_;
    const tile::Kernel& kernel_;
    IndexValues indices_;
    const GpuFacts& facts_;
    BlockWork work_;
    double reads_ = 0;                 // of global memory, in the spread
    std::set<const void*> read_here_;  // arrays of global memory, by the statement
    std::set<size_t> registers_, shared_;
    std::map<size_t, std::vector<std::int64_t>> memory_;
    std::map<std::string, double> touched_;
    std::map<const ExprNode*, double> counts_;  // of loops and axes
    std::map<const ExprNode*, Expr> lets_;
};

}  // namespace

GpuFacts gpu_facts(const Target& target) {
    static const std::map<std::string, GpuFacts> all{
        {"sm_80", {108, 1.41e9, 4, 1024, 0, 128, 4.0e12, 1.6e12, 163 << 10, 2048, 65536, 3e-6}},
        {"sm_86", {84, 1.70e9, 4, 512, 0, 128, 3.0e12, 0.85e12, 99 << 10, 1536, 65536, 3e-6}},
        {"sm_89", {128, 2.50e9, 4, 512, 0, 128, 5.0e12, 0.95e12, 99 << 10, 1536, 65536, 3e-6}},
        {"sm_90", {132, 1.70e9, 4, 1230, 0, 128, 5.5e12, 4.0e12, 227 << 10, 2048, 65536, 3e-6}},
        {"sm_90a", {132, 1.70e9, 4, 1230, 2048, 128, 5.5e12, 4.0e12, 227 << 10, 2048, 65536, 3e-6}},
        {"sm_100a", {148, 1.80e9, 4, 1230, 0, 128, 7.0e12, 7.0e12, 227 << 10, 2048, 65536, 3e-6}},
        {"sm_120a", {188, 2.40e9, 4, 512, 0, 128, 6.0e12, 1.7e12, 99 << 10, 1536, 65536, 3e-6}}};
    const auto found = all.find(target.arch);
    return found == all.end() ? all.at("sm_80") : found->second;
}

double gpu_seconds(const tile::Program& program, const std::map<std::string, std::int64_t>& extents, const GpuFacts& facts) {
    double seconds = 0;
    for (const tile::Kernel& k : program.kernels) {
        KernelCost cost(program, k, extents, facts);
        cost.note_memory(*k.body);
        seconds += cost.seconds();
    }
    return seconds;
}

}  // namespace tessera::tune
