#pragma once

#include "schedule/loop_tree.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// Tile IR: kernels in which every statement says who executes it. Outside all spreads the threads of a block run one program
/// together; a spread deals positions out to threads, warps or lanes; memory has a space; barriers stand where they are needed.
/// Expressions are those of the loop tree: accesses name stages and inputs at absolute coordinates.
namespace tessera::tile {

struct Statement;
using StatementPtr = std::shared_ptr<const Statement>;

/// Who a spread deals positions to, and who meets at a barrier or combines: all threads of the block, its warps, the lanes of one
/// warp, its groups of four warps, the 128 threads of one.
enum class Scope { thread, warp, lane, warpgroup, member };

struct Sequence {
    std::vector<StatementPtr> statements;
};
/// for variable in [0, extent)
struct For {
    Expr variable;
    Expr extent;
    bool unrolled = false;
    StatementPtr body;
};
struct Let {
    Expr variable;
    Expr value;
    StatementPtr body;
};
struct If {
    Expr condition;
    StatementPtr body;
};
/// One axis of a spread or of the grid: variable in [0, extent).
struct Axis {
    Expr variable;
    Expr extent;
};
/// The positions of the box of axes, the last one fastest, are dealt out in turn; without axes the first one of the scope runs
/// the body alone. The body of one position does not wait for another.
struct Spread {
    Scope over = Scope::thread;
    std::vector<Axis> axes;
    StatementPtr body;
};
/// Of a register buffer: cell i of a dim belongs to the threads t with t / stride % count = i / tile % count.
struct Share {
    std::int64_t tile = 1, stride = 1, count = 1;
    bool operator==(const Share&) const = default;
};
/// Memory of `stage` while the body runs: cells [begin, begin + extent) per dim.
struct Alloc {
    size_t stage = 0;
    Space space = Space::shared;  // shared or register
    std::vector<Expr> begin;      // zeros where there are several buffers: each has its own
    std::vector<std::int64_t> extent;
    std::int64_t buffers = 1;  // of shared memory: one behind the other, each with the cells; used inside an InBuffer
    bool swizzled = false;     // of shared memory: rows lie as swizzle_of() says
    bool grouped = false;      // of shared memory: cells (g, ...) are those of a warpgroup at position g alone
    /// Of shared memory with dims (box, row, column): a matrix whose columns are those of the boxes, one after the other.
    bool boxed = false;
    /// Of registers, per dim: the first deals out the dim, each next one what is left of it. None: every thread has all cells.
    std::vector<std::vector<Share>> shares;
    StatementPtr body;
};
/// stage(place) = values. `atomic`: the update of an integer cell that other threads update as well.
struct Assign {
    size_t stage = 0;
    std::vector<Expr> place;
    std::vector<Expr> values;
    bool atomic = false;
};
/// Every thread of the scope holds a partial of each cell of a register buffer; all get the combination, in a fixed tree. With
/// `before` each gets that of the partials of the threads before it, in their order; the first one gets the identity. Over
/// members of a warpgroup: each of its warps like lanes.
struct Combine {
    size_t stage = 0;
    Scope over = Scope::thread;
    bool before = false;
    std::int64_t lanes = 32;  // of lanes: so many neighbours combine, a power of two
};
/// One warp adds a product of matrices to registers that it shares as mma.sync does: `stage` at [place, place + m x n) +=
/// left[m x k] right[k x n]. Left and right are reads of shared memory at their first cells. The last two indices of place are
/// (m, n), those of left (m, k), or (k, m) where it is turned, those of right (k, n), or (n, k). Left may be held: a read of
/// registers that are shared as sums of m x k are, or its conversion to the dtype of right. Of memory in boxes the factor is all
/// of its columns, and is read at (0, row, 0).
struct Mma {
    size_t stage = 0;
    std::vector<Expr> place;
    Expr left, right;
    std::int64_t m = 0, n = 0, k = 0;
    bool left_turned = false, right_turned = false;
    /// A warpgroup multiplies, 64 rows, with factors in swizzled rows along k, or with right in boxes of rows along n; the sums
    /// are there behind the statement.
    bool grouped = false;
    /// Of a warpgroup: behind the statement the product is in flight, and the one before it is over. The sums are there behind a
    /// Settle.
    bool in_flight = false;
    /// Of a warpgroup, where defined: the sums are replaced where it is 0, whatever they were.
    Expr fresh;
};
/// Threads wait until their products are over, the last of which is into `stage`.
struct Settle {
    size_t stage = 0;
};
/// One thread starts to copy `cells` cells of `stage`, from `place` on along the last dim, from those at `source`, a read of
/// global memory, where `whole` holds (undefined: always); elsewhere it runs `otherwise`, which stores them one by one. The cells
/// may be read after an Await of the group that the copy is in and a barrier behind it.
struct AsyncCopy {
    size_t stage = 0;
    std::vector<Expr> place;
    Expr source;
    std::int64_t cells = 0;
    Expr whole;
    StatementPtr otherwise;
};
/// One thread has the copy engine fill the buffer of `stage`, whose first cell is at `place`, from the box at `source`, a read of
/// an input; cells outside the input are 0. The input may have more dims, outside, of which the box has one position. The cells
/// may be read after an Await of the Commit before it.
struct BoxCopy {
    size_t stage = 0;
    std::vector<Expr> place;
    Expr source;
    /// Of a box that all blocks of a cluster fill alike: each one's thread copies one of so many parts of its rows to all of
    /// them.
    std::int64_t parts = 1;
};
/// One thread of a warpgroup has the copy engine store the boxes of `source`, a read of a stage in shared memory at its first
/// cell (group, 0, 0, 0), to those of the output `stage` at `place`: box i with its rows to place + (0, i * columns), cells
/// outside the output to nowhere. The boxes may be stored to again after a Reclaim and a barrier behind it.
struct BoxStore {
    size_t stage = 0;
    std::vector<Expr> place;
    Expr source;
};
/// Each thread that has the copy engine store boxes of `stage` waits until it has read them.
struct Reclaim {
    size_t stage = 0;
};
/// What threads stored to shared memory is seen by products of warpgroups, and by the copy engine, behind the next barrier.
struct Fence {};
/// In the body `stage` is buffer number `index` of its memory, whose first cell is at `begin`.
struct InBuffer {
    size_t stage = 0;
    Expr index;
    std::vector<Expr> begin;
    StatementPtr body;
};
/// What each thread has started to copy into `stages` since its last commit is its group number `token`. With `bytes`: one thread
/// says that copy number `token` of the copy engine into `stages`, which starts behind it, has so many.
struct Commit {
    std::vector<size_t> stages;
    Expr token;
    std::int64_t bytes = 0;
};
/// Each thread waits until its own group number `token` has arrived, which is so when at most `in_flight` of its groups have not
/// (order_copies() counts them). Of the copy engine's copies, which fill `ring` buffers in turn, all wait for number `token`.
struct Await {
    std::vector<size_t> stages;
    Expr token;
    std::optional<std::int64_t> in_flight;
    std::int64_t ring = 0;
};
/// Threads with roles, which share rings of buffers that the copy engine fills: one thread of a warpgroup of its own starts the
/// copies, the kernel's consumers run the rest. With registers, both kinds have so many a thread.
struct Roles {
    std::int64_t producer_registers = 0, consumer_registers = 0;
    StatementPtr copies, rest;
};
/// A block of a persistent kernel takes position after position of the grid: the body runs with the grid's variables, in round 0,
/// 1, … of the block. Of n consumers, number c runs the rounds c, c + n, c + 2 n, …
struct Tiles {
    Expr round;
    StatementPtr body;
};
/// Of the role that copies: the buffer of copy number `token` is free, as all, in all blocks of the cluster, have released what
/// was in it.
struct Acquire {
    std::vector<size_t> stages;
    Expr token;
    std::int64_t ring = 0;
};
/// Of the other role: every warp is done with the buffer of copy number `token`, as far as the blocks of the cluster fill it.
struct Release {
    std::vector<size_t> stages;
    Expr token;
    std::int64_t ring = 0;
};
/// Of consumers: behind it this round has its turn, as the round before has passed it on. One at a time waits for what is copied.
struct TakeTurn {};
/// The round after this one, which is another consumer's, may take its turn.
struct PassTurn {};
/// All threads of the block, or of the warp, meet; memory written before is seen after. In a role, all threads of it: of the
/// consumer.
struct Barrier {
    Scope over = Scope::thread;
};

struct Statement {
    std::variant<Sequence, For, Let, If, Spread, Alloc, Assign, Combine, Mma, AsyncCopy, BoxCopy, InBuffer, Commit, Await, Fence,
                 BoxStore, Reclaim, Settle, Roles, Tiles, Acquire, Release, TakeTurn, PassTurn, Barrier>
        node;
};

struct Kernel {
    std::string name;            // of a C function
    std::vector<Axis> grid;      // the last one fastest; extents are known at launch
    std::vector<Axis> cluster;   // one axis of constant extent: the grid's positions are clusters of so many blocks; or none
    std::int64_t threads = 0;    // of a consumer, but for those that copy
    std::int64_t consumers = 1;  // that run the rest of the roles, each with `threads`
    std::int64_t min_ctas = 1;
    std::int64_t producers = 0;                                   // threads of the role that copies: a warpgroup, or none
    std::int64_t producer_registers = 0, consumer_registers = 0;  // a thread; 0: what the compiler gives
    bool persistent = false;                                      // as many blocks as run at once; each takes Tiles
    bool fast_math = false;  // of f32: exp2 and log2 as the hardware approximates them, max and min of numbers
    StatementPtr body;

    [[nodiscard]] std::int64_t all_threads() const { return threads * consumers + producers; }
};

/// Device memory of a stage that lives across kernels.
struct Scratch {
    size_t stage = 0;
    std::vector<Expr> begin, extent;  // over extents and scalars
};

/// Kernels in the order of their launches.
struct Program {
    BoundSchedule bound;
    std::vector<Scratch> scratch;
    std::vector<Kernel> kernels;
};

template <class Node>
[[nodiscard]] StatementPtr statement(Node node) {
    return std::make_shared<const Statement>(Statement{std::move(node)});
}
[[nodiscard]] StatementPtr sequence(std::vector<StatementPtr> statements);
/// The statement with every child replaced.
[[nodiscard]] StatementPtr map_children(const StatementPtr& s, const std::function<StatementPtr(const StatementPtr&)>& replace);
/// The children of a statement, in order.
[[nodiscard]] std::vector<StatementPtr> children(const Statement& s);
/// The Exprs of the statement itself, without its children's.
[[nodiscard]] std::vector<Expr> expressions(const Statement& s);
[[nodiscard]] std::string_view word(Scope scope);
/// Who a position of a spread over warps or warpgroups is run by: the lanes of one, the threads of one; otherwise one thread
/// alone.
[[nodiscard]] std::optional<Scope> inside_of(Scope scope);
/// The name of a variable.
[[nodiscard]] const std::string& name_of(const Expr& variable);
/// The read that the left factor of a product is, or is converted from.
[[nodiscard]] Expr left_read(const Mma& m);

/// parse_program(to_text(p), p.bound) prints the same. Throws E0601.
[[nodiscard]] std::string to_text(const Program& program);
[[nodiscard]] Program parse_program(std::string_view text, const BoundSchedule& bound);
/// Throws Bug for a program that means nothing: unbound variables, memory used outside its allocation, spreads inside spreads
/// that do not nest, barriers and combinations where not all of their threads come by, registers used by who does not own them.
void verify(const Program& program);

}  // namespace tessera::tile
