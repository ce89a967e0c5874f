#pragma once

#include <tessera/compile.h>
#include <tessera/reduce.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// The kernel language: a GPU kernel for an algorithm, written tile by tile. The algorithm stays the meaning, and what the kernel
/// is compared with; the kernel says who computes what, in which memory. Copies are started ahead, awaited and counted, and
/// barriers put where they are needed, by the passes that do so for schedules; their checks refuse what does not fit.
namespace tessera {

struct TileKernelState;
struct KernelBuilderState;
struct TileState;

/// A finished kernel; a handle.
class TileKernel {
public:
    explicit TileKernel(std::shared_ptr<const TileKernelState> state) : state_(std::move(state)) {}
    [[nodiscard]] const Algorithm& algorithm() const;
    /// Its statements as they were written, before copies run ahead and barriers stand.
    [[nodiscard]] std::string text() const;
    [[nodiscard]] const TileKernelState& state() const { return *state_; }

private:
    std::shared_ptr<const TileKernelState> state_;
};

/// Memory of a kernel: a tile in shared memory, or registers. Indices count from its first cell.
class Tile {
public:
    explicit Tile(std::shared_ptr<const TileState> state) : state_(std::move(state)) {}
    [[nodiscard]] const std::string& name() const;
    [[nodiscard]] DType dtype() const;
    [[nodiscard]] const std::vector<std::int64_t>& extents() const;
    /// A read of a cell, and on the left of store() its place.
    [[nodiscard]] Expr operator()(const Index& a) const { return at({a}, a.where); }
    [[nodiscard]] Expr operator()(const Index& a, const Index& b) const { return at({a, b}, a.where); }
    [[nodiscard]] Expr operator()(const Index& a, const Index& b, const Index& c) const { return at({a, b, c}, a.where); }
    [[nodiscard]] Expr at(const std::vector<Index>& indices, SourceLoc where = SourceLoc::current()) const;
    [[nodiscard]] const TileState& state() const { return *state_; }

private:
    std::shared_ptr<const TileState> state_;
};

struct TileKernelOptions {
    std::int64_t threads = 128;  // of a block: a multiple of 32
    std::int64_t min_ctas = 1;   // blocks that a multiprocessor is to hold at once
    /// Of f32: exp2 and log2 are the hardware's approximations (relative error 2^-22), max and min take the number beside a NaN.
    bool fast_math = false;
    /// One thread of a further warpgroup starts the copies of copy_box() in the kernel's one loop of them, iterations ahead, and
    /// `threads` others, whole warpgroups, run the rest. The registers a thread of both kinds has, multiples of 8; 0: as
    /// compiled.
    bool roles = false;
    std::int64_t producer_registers = 0, consumer_registers = 0;
};
struct SharedOptions {
    std::int64_t buffers = 1;  // 2 to 8: copies of the loop around run so many - 1 iterations ahead
    bool swizzle = false;      // the 16-byte chunks of rows are permuted, so that mma() meets no bank twice
};
struct CopyOptions {
    std::int64_t bytes = 16;  // that one copy moves, 4 or 8 or 16: rows of the input begin at multiples of them
};
struct MmaOptions {
    bool left_transposed = false;   // left is (k, m)
    bool right_transposed = false;  // right is (n, k)
    bool replaces = false;          // of warpgroups: sums = left right
    /// Of warpgroups: what follows runs while they multiply, until settle(), or until the next product, which waits for this one
    /// as soon as it has started itself. Until then sums are not used, and a left fragment is not stored to.
    bool in_flight = false;
};

/// Writes a kernel, statement after statement. A statement stands in the block as a whole until a spread deals positions out: to
/// threads(), or to warps() and inside them lanes(), of which for_each() is the one that follows a fragment.
///     KernelBuilder k(algorithm, {.threads = 128});
///     const auto [row] = k.grid({(m + 127) / 128});
///     k.threads({128}, [&](const Expr& i) { k.when(row * 128 + i < m, [&] { k.store(out(row * 128 + i), a(row * 128 + i)
///     * 2.0f); }); }); const TileKernel kernel = k.finish();
class KernelBuilder {
public:
    /// Throws L0901 for an algorithm whose outputs are tuples or live in the memory of an input.
    explicit KernelBuilder(const Algorithm& algorithm, const TileKernelOptions& options = {},
                           SourceLoc where = SourceLoc::current());

    /// The blocks, the last axis fastest: extents over those of dims and over scalars. Once, before anything else.
    template <std::size_t N>
    [[nodiscard]] std::array<Expr, N> grid(const Index (&extents)[N]) {
        const std::vector<Expr> all = grid_axes({extents, extents + N});
        std::array<Expr, N> out;
        for (std::size_t i = 0; i < N; ++i) out[i] = all[i];
        return out;
    }

    // ---- memory, which lives until the body it stands in ends

    /// Of the block. Outside spreads. Rows of a swizzled tile take a power of two of bytes, 32 or more.
    [[nodiscard]] Tile shared(const std::string& name, DType dtype, const std::vector<std::int64_t>& extents,
                              const SharedOptions& options = {}, SourceLoc where = SourceLoc::current());
    /// Of the block, for copy_box() and products of warpgroups: (rows, columns), rows a multiple of 8 and at most 256, columns a
    /// multiple of 128 bytes. cuda-sm_90a has both.
    [[nodiscard]] Tile boxes(const std::string& name, DType dtype, const std::array<std::int64_t, 2>& extents,
                             std::int64_t buffers = 1, SourceLoc where = SourceLoc::current());
    /// Of every thread for itself.
    [[nodiscard]] Tile registers(const std::string& name, DType dtype, const std::vector<std::int64_t>& extents,
                                 SourceLoc where = SourceLoc::current());
    /// Registers that warps hold together, (m, n) as mma() deals sums out or (m) with a cell a row, which the four lanes of a row
    /// all have. `warps` along m and n: each has m / warps[0] rows and n / warps[1] columns, multiples of 16.
    [[nodiscard]] Tile fragment(const std::string& name, DType dtype, const std::vector<std::int64_t>& extents,
                                const std::array<std::int64_t, 2>& warps, SourceLoc where = SourceLoc::current());
    /// The same of so many warpgroups, each with 64 rows: (m, n) of 64 groups rows, or (m) with a cell a row.
    [[nodiscard]] Tile group_fragment(const std::string& name, DType dtype, const std::vector<std::int64_t>& extents,
                                      std::int64_t groups, SourceLoc where = SourceLoc::current());

    // ---- control

    void loop(const Index& extent, const std::function<void(const Expr&)>& body);
    void unroll(const Index& extent, const std::function<void(const Expr&)>& body);
    void when(const Operand& condition, const std::function<void()>& body);
    /// An index that is computed once.
    [[nodiscard]] Expr let(const Index& value);

    // ---- spreads: positions of a box, the last axis fastest, dealt out in turn

    template <std::size_t N, class Body>
    void threads(const Index (&extents)[N], Body&& body, SourceLoc where = SourceLoc::current()) {
        spread(Level::thread, {extents, extents + N}, spread_body<N>(body), where);
    }
    template <std::size_t N, class Body>
    void warps(const Index (&extents)[N], Body&& body, SourceLoc where = SourceLoc::current()) {
        spread(Level::warp, {extents, extents + N}, spread_body<N>(body), where);
    }
    template <std::size_t N, class Body>
    void warpgroups(const Index (&extents)[N], Body&& body, SourceLoc where = SourceLoc::current()) {
        spread(Level::group, {extents, extents + N}, spread_body<N>(body), where);
    }
    template <std::size_t N, class Body>
    void lanes(const Index (&extents)[N], Body&& body, SourceLoc where = SourceLoc::current()) {
        spread(Level::lane, {extents, extents + N}, spread_body<N>(body), where);
    }
    /// Inside warps() or warpgroups(), as many as the fragment has: every cell (i, j), or row (i), by the lanes that hold it.
    template <class Body>
    void for_each(const Tile& fragment, Body&& body, SourceLoc where = SourceLoc::current()) {
        if constexpr (std::is_invocable_v<Body, const Expr&, const Expr&>)
            each_cell(
                fragment, [&](const Expr& i, const Expr& j) { body(i, j); }, where);
        else
            each_row(
                fragment, [&](const Expr& i) { body(i); }, where);
    }

    // ---- what is done

    /// place = value, where place is a cell of a tile or of an output: k.store(out(i, j), value).
    void store(const Operand& place, const Operand& value);
    /// Fills the tile from an input: value(indices of a cell...) is a read of it, constant(input, 0) at its ends, along its last
    /// dim. Threads move 16 bytes at a time past the registers (cp.async), or fewer. Outside spreads.
    void copy_async(const Tile& to, const std::function<Expr(const std::vector<Expr>&)>& value, const CopyOptions& options = {},
                    SourceLoc where = SourceLoc::current());
    /// Fills a tile of boxes() from an input: value(row, column) is a read of it by its last two dims, constant(input, 0) at its
    /// ends. The copy engine moves it, and needs rows that begin at multiples of 16 bytes. Outside spreads.
    void copy_box(const Tile& to, const std::function<Expr(const Expr&, const Expr&)>& value,
                  SourceLoc where = SourceLoc::current());
    /// sums += left right, every warp its part: (m, n), (m, k) and (k, n). sums is a fragment of f32 (i32 for bytes); left and
    /// right are tiles in shared memory of bf16, f16, f32 (rounded to tf32), i8 or u8. Left may be a fragment beside a right tile
    /// of bf16 or f16: of that dtype, or of f32, which is rounded to it. Inside warps() as many as the sums have. Inside
    /// warpgroups() left and right are tiles of boxes(), or left is a fragment of theirs beside one of bf16 or f16. They are of
    /// bf16, f16, 8-bit floats or i8; right has (n, k), or as bf16 and f16 (k, n), with n at most 256.
    void mma(const Tile& sums, const Tile& left, const Tile& right, const MmaOptions& options = {},
             SourceLoc where = SourceLoc::current());
    /// Waits for all products in flight, the last of which is into `sums`. Inside warpgroups(), in the body in which it started.
    void settle(const Tile& sums, SourceLoc where = SourceLoc::current());
    /// Each thread that may hold a cell has a partial of it; all get the combination. Of a fragment of rows the four lanes of a
    /// row combine, of registers the lanes of a warp or, outside spreads, all threads.
    void reduce(const Tile& partials, const Monoid& monoid, SourceLoc where = SourceLoc::current());

    /// The kernel; the builder is done. What a target does not have room for is said when it is compiled.
    [[nodiscard]] TileKernel finish();

private:
    enum class Level { thread, warp, group, lane };
    using SpreadBody = std::function<void(const std::vector<Expr>&)>;
    template <std::size_t N, class Body>
    static SpreadBody spread_body(Body& body) {
        return [&body](const std::vector<Expr>& at) { call_with(body, at, std::make_index_sequence<N>()); };
    }
    template <class Body, std::size_t... I>
    static void call_with(Body& body, const std::vector<Expr>& at, std::index_sequence<I...>) {
        body(at[I]...);
    }
    std::vector<Expr> grid_axes(const std::vector<Index>& extents);
    void spread(Level level, const std::vector<Index>& extents, const SpreadBody& body, SourceLoc where);
    void each_cell(const Tile& fragment, const std::function<void(const Expr&, const Expr&)>& body, SourceLoc where);
    void each_row(const Tile& fragment, const std::function<void(const Expr&)>& body, SourceLoc where);

    std::shared_ptr<KernelBuilderState> state_;
};

/// Text of one level of the kernel for a GPU: its algorithm, itself as it was written, with copies ahead and barriers, CUDA.
/// Throws E0803 for another target and E05xx, L0903 where the kernel does not fit it. compile_library() takes kernels as well.
[[nodiscard]] std::string inspect_ir(const TileKernel& kernel, const Target& target, IrLevel level);

}  // namespace tessera
