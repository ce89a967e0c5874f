#pragma once

#include "expr/bounds.h"
#include "tile/tile_ir.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace tessera::tile {

/// What is known of variables at a place of a kernel: what lets stand for, and how far loops, spreads and the grid run.
class Environment {
public:
    /// `variable` in [0, extent).
    void add_range(const Expr& variable, const Expr& extent);
    void add_let(const Expr& variable, const Expr& value);

    /// `e` over loop, spread and grid variables only, in normal form.
    [[nodiscard]] Expr resolved(const Expr& e) const;
    /// The largest value that `e` takes, where that is a constant.
    [[nodiscard]] std::optional<std::int64_t> constant_bound(const Expr& e) const;

private:
    std::map<const ExprNode*, Expr> lets_;             // resolved
    std::vector<std::pair<Expr, Expr>> written_lets_;  // as they stand, outer ones first
    Domain ranges_;
};

/// An axis that an enclosing spread deals out: thread t of the block has position t / stride % count.
struct DealtAxis {
    Expr variable;
    std::int64_t stride = 0, count = 0;  // 0: not known when compiled, or positions are dealt out in several rounds
};

/// Where a cell of a register buffer lies in the thread's own part, per dim; nothing where it cannot be proved to be in it.
[[nodiscard]] std::optional<std::vector<Expr>> own_index(const Alloc& alloc, const std::vector<Expr>& place,
                                                         const std::vector<DealtAxis>& dealt, const Environment& environment);
/// The same of the first cell of a fragment at `place`, whose rows and columns lanes share as mma.sync deals them out; `grouped`:
/// the threads of a warpgroup, 16 rows a warp.
[[nodiscard]] std::optional<std::vector<Expr>> own_fragment(const Alloc& alloc, const std::vector<Expr>& place,
                                                            const std::vector<DealtAxis>& dealt, const Environment& environment,
                                                            bool grouped = false);
/// Cells of the thread's own part, per dim.
[[nodiscard]] std::vector<std::int64_t> own_extent(const Alloc& alloc);

/// The axes of a spread as dealt to `threads` threads; `warps` of the block for warp axes.
[[nodiscard]] std::vector<DealtAxis> dealt_axes(const Spread& spread, std::int64_t threads, const Environment& environment);
/// The product of the extents where it is a constant.
[[nodiscard]] std::optional<std::int64_t> positions(const std::vector<Axis>& axes, const Environment& environment);

}  // namespace tessera::tile
