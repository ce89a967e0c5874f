#include "schedule/block_stages.h"

#include "expr/index_build.h"
#include "schedule/accumulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace tessera {
namespace {

Expr strong(const Expr& e) { return e->weak ? resolve_weak(e, DType::i64, {}) : e; }

// What the stages of one reduction share.
struct Blocked {
    const Reduction& r;
    std::string name, points_name;  // the latter: "k", "y*x"
    SourceLoc where;
    Extent points;                      // of the reduction
    std::optional<std::int64_t> count;  // of blocks, where the extents are constant
    Expr blocks;                        // their number
    Dim q;                              // one more than there are where that is not known to be a whole number of blocks

    Blocked(const Expr& n, std::string stage)
        : r(n->reduction()), name(std::move(stage)), where(n->where), points(points_of(r.dims)), q("q", Extent(1)) {
        const std::int64_t size = r.order.block;
        for (const Dim& d : r.dims) points_name += (points_name.empty() ? "" : "*") + d.name();
        if (points.constant()) count = (*points.constant() + size - 1) / size;
        blocks = strong(Expr((points + (size - 1)) / size));
        q = made_dim(fmt::format("{}/{}", points_name, size),
                     count ? Extent(std::max<std::int64_t>(*count, 1)) : points / size + 1, where);
    }

    Stage stage(std::string stage_name, std::vector<Dim> dims, Stage::Kind kind) const {
        Stage s;
        s.kind = kind;
        s.name = std::move(stage_name);
        s.dims = std::move(dims);
        for (const Expr& e : r.identity) s.dtypes.push_back(e.dtype());
        s.where = where;
        s.func = make_stage_func(s.name, s.dims, s.dtypes, where);
        return s;
    }
};

std::vector<Expr> read_all(const Stage& s, const std::vector<Expr>& at) {
    std::vector<Expr> out;
    for (size_t i = 0; i < s.dtypes.size(); ++i) out.push_back(read_stage(s.func, at, static_cast<int>(i)));
    return out;
}

std::vector<Expr> with_first(Expr first, const std::vector<Dim>& dims) {
    std::vector<Expr> out = dim_exprs(dims);
    out.insert(out.begin(), std::move(first));
    return out;
}

// Points that the predicate leaves out count, so a block is a range of positions.
Stage blocks_stage(const Blocked& b, const std::vector<Dim>& free, const std::vector<Expr>& args) {
    std::vector<Dim> dims = free;
    dims.insert(dims.begin(), b.q);
    Stage s = b.stage(b.name + ".blocks", dims, Stage::Kind::reduction);
    s.values = b.r.identity;
    const Dim inside = made_dim(fmt::format("{}%{}", b.points_name, b.r.order.block), Extent(b.r.order.block), b.where);
    const Expr position = make_dim(b.q) * number(b.r.order.block) + make_dim(inside);
    const auto points = b.points.constant();
    const bool whole = points && *points > 0 && *points % b.r.order.block == 0;
    const Expr end = strong(Expr(b.points));
    const std::vector<Expr> point = point_at(b.r.dims, whole ? position : min(position, end - number(1)));
    std::vector<Expr> operands;
    for (const Expr& a : args) operands.push_back(substitute_dims(a, b.r.dims, point));
    Update u;
    u.reduction_dims = {inside};
    u.place = dim_exprs(s.dims);
    u.order = Order::ascending();
    u.monoid = b.r.monoid;
    u.values = accumulated(b.r, operands, read_all(s, u.place));
    if (!whole) u.condition = position < end;
    if (const Expr wanted = predicate_of(b.r, operands); wanted.defined())
        u.condition = u.condition.defined() ? u.condition && wanted : wanted;
    s.update = std::move(u);
    return s;
}

Stage chain_stage(const Blocked& b, const Stage& blocks, const std::vector<Dim>& free) {
    Stage s = b.stage(b.name, free, Stage::Kind::reduction);
    s.values = b.r.identity;
    const Expr q = make_dim(b.q);
    Update u;
    u.reduction_dims = {b.q};
    u.place = dim_exprs(free);
    u.order = Order::ascending();
    u.monoid = b.r.monoid;
    const std::vector<Expr> next = read_all(blocks, with_first(q, free));
    const std::vector<Expr> sums = combined(b.r, read_all(s, u.place), next);
    for (size_t c = 0; c < sums.size(); ++c) u.values.push_back(select(q == number(0), next[c], sums[c]));
    if (!b.count || *b.count == 0) u.condition = q < b.blocks;
    s.update = std::move(u);
    return s;
}

// Level l: block 2i·2^l takes in block (2i+1)·2^l, for every i where there is one.
Stage tree_stage(const Blocked& b, const Stage& blocks, const std::vector<Dim>& free) {
    constexpr std::int64_t most_levels = 31;  // extents are below 2^31
    std::vector<Dim> dims = free;
    dims.insert(dims.begin(), b.q);
    Stage s = b.stage(b.name, dims, Stage::Kind::scatter);
    s.values = read_all(blocks, with_first(make_dim(b.q), free));
    const std::int64_t levels =
        b.count ? std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(*b.count, 1) - 1)) : most_levels;
    const Dim level = made_dim("level", Extent(levels), b.where);
    const Dim pair = made_dim("pair", b.count ? Extent(*b.count / 2) : (b.points / b.r.order.block + 1) / 2, b.where);
    // Shifts, which are wide wherever they are computed: for a level and a pair that are not met together they are large.
    const auto shifted = [&](Op shift, const Expr& e, const Expr& by) { return make_op(shift, DType::i64, {e, by}); };
    const Expr l = make_dim(level), i = make_dim(pair);
    const Expr left = shifted(Op::shl, i, l + number(1)), right = shifted(Op::shl, i * number(2) + number(1), l);
    Update u;
    u.reduction_dims = {level, pair};
    u.place = with_first(left, free);
    u.order = Order::ascending();
    u.monoid = b.r.monoid;
    u.condition = i < shifted(Op::shr, b.blocks + shifted(Op::shl, number(1), l) - number(1), l + number(1));
    u.values = combined(b.r, read_all(s, u.place), read_all(s, with_first(right, free)));
    s.update = std::move(u);
    return s;
}

}  // namespace

bool needs_blocks(const Reduction& r) {
    if (r.order.kind != Order::Kind::pairwise && r.order.kind != Order::Kind::blocked) return false;
    const bool floats = std::any_of(r.identity.begin(), r.identity.end(), [](const Expr& e) { return is_float(e.dtype()); });
    return floats || !r.monoid->traits.associative;
}

BlockStages make_block_stages(const std::string& name, const Expr& n, const std::vector<Dim>& dims,
                              const std::vector<Expr>& args) {
    const Blocked b(n, name);
    Stage blocks = blocks_stage(b, dims, args);
    if (b.r.order.kind == Order::Kind::blocked) {
        Stage whole = chain_stage(b, blocks, dims);
        return {std::move(blocks), std::move(whole), dim_exprs(dims)};
    }
    Stage whole = tree_stage(b, blocks, dims);
    return {std::move(blocks), std::move(whole), with_first(number(0), dims)};
}

}  // namespace tessera
