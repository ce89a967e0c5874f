#include "expr/affine.h"
#include "expr/index_analysis.h"
#include "schedule/loop_split.h"
#include "tile/async_copy.h"
#include "tile/kernel_writing.h"

#include <fmt/format.h>

namespace tessera {

namespace {

Expr scaled_by(const Expr& e, std::int64_t by) { return simplify_index(make_op(Op::mul, DType::i64, {e, index_number(by)})); }

// An unrolled loop with its body.
template <class Body>
tile::StatementPtr counted_loop(KernelBuilderState& k, const std::string& name, std::int64_t extent, Body&& body) {
    tile::For f;
    f.extent = index_number(extent);
    f.unrolled = true;
    f.variable = k.variable(name, f.extent);
    f.body = body(f.variable);
    k.forget(f.variable);
    return tile::statement(std::move(f));
}

// A let around what the body writes.
template <class Body>
tile::StatementPtr with_position(KernelBuilderState& k, const std::string& name, const Expr& value, Body&& body) {
    const int number = k.names[name]++;
    const Expr v = make_variable(number == 0 ? name : fmt::format("{}.{}", name, number), DType::i64);
    k.bound.insert(v.get());
    k.environment.add_let(v, value);
    tile::StatementPtr inside = body(v);
    k.forget(v);
    return tile::statement(tile::Let{v, value, std::move(inside)});
}

// Lane 4 a + b has rows a + 8 u and columns 2 b + 8 v + w of a fragment; of a warpgroup warp c has rows from 16 c on.
template <class Body>
void spread_fragment(KernelBuilderState& k, const Tile& tile, SourceLoc where, Body&& body) {
    k.require_open("for_each()", where);
    const TileState& t = k.alive_tile(tile, where);
    const std::array<Expr, 2> warps = k.warps_of(t, where);
    tile::Spread lanes;
    lanes.over = t.grouped ? tile::Scope::member : tile::Scope::lane;
    const auto add_axis = [&](const char* name, std::int64_t extent) {
        lanes.axes.push_back({k.variable(name, index_number(extent)), index_number(extent)});
    };
    if (t.grouped) add_axis("row.warp", 4);
    add_axis("row.lane", 8), add_axis("column.lane", 4);
    const Expr lane = lanes.axes.back().variable, row_lane = lanes.axes[lanes.axes.size() - 2].variable;
    const Expr first = t.grouped ? scaled_by(lanes.axes[0].variable, 16) : index_number(0);
    k.place = KernelBuilderState::Place::thread;
    lanes.body = counted_loop(k, "u", t.part(0) / (t.grouped ? 32 : 8), [&](const Expr& u) {
        const Expr inside = index_sum(first, index_sum(row_lane, scaled_by(u, 8)));
        return with_position(k, "row", index_sum(scaled_by(warps[0], t.part(0)), inside),
                             [&](const Expr& row) { return body(t, warps[1], lane, row); });
    });
    k.place = t.grouped ? KernelBuilderState::Place::group : KernelBuilderState::Place::warp;
    for (const tile::Axis& a : lanes.axes) k.forget(a.variable);
    k.add(tile::statement(std::move(lanes)));
}

// What always holds here is left out; undefined: everything does.
Expr remaining(const tile::Environment& environment, const Expr& condition) {
    if (condition->op == Op::and_) {
        Expr out;
        for (const Expr& c : condition->args)
            if (const Expr left = remaining(environment, c); left.defined())
                out = out.defined() ? make_op(Op::and_, DType::bool_, {out, left}) : left;
        return out;
    }
    if (condition->op == Op::lt || condition->op == Op::le) {
        const auto most = environment.constant_bound(index_difference(condition->args[0], condition->args[1]));
        if (most && *most <= (condition->op == Op::lt ? -1 : 0)) return {};
    }
    return condition;
}

// What mma multiplies: how deep an instruction is, and its sums.
struct Factors {
    DType dtype, sums;
    std::int64_t depth;
};
constexpr Factors factor_rows[] = {{DType::bf16, DType::f32, 16},
                                   {DType::f16, DType::f32, 16},
                                   {DType::f32, DType::f32, 8},
                                   {DType::i8, DType::i32, 32},
                                   {DType::u8, DType::i32, 32}};
constexpr Factors grouped_rows[] = {{DType::bf16, DType::f32, 16},
                                    {DType::f16, DType::f32, 16},
                                    {DType::f8e4m3, DType::f32, 32},
                                    {DType::f8e5m2, DType::f32, 32},
                                    {DType::i8, DType::i32, 32}};

// Of warpgroups where `grouped`; null: none.
const Factors* factors_of(DType dtype, bool grouped) {
    const auto find = [&](const auto& rows) -> const Factors* {
        for (const Factors& f : rows)
            if (f.dtype == dtype) return &f;
        return nullptr;
    };
    return grouped ? find(grouped_rows) : find(factor_rows);
}

bool moves_with(const Expr& e, const Expr& variable) {
    bool found = false;
    for_each_node({e}, [&](const Expr& n) { found = found || n.same_as(variable); });
    return found;
}

[[noreturn]] void refuse_mma(SourceLoc where, const std::string& what, const std::string& wanted) {
    throw Error(E0508_storage, where, "mma(): " + what, {expected(wanted)});
}

}  // namespace

void KernelBuilder::each_cell(const Tile& fragment, const std::function<void(const Expr&, const Expr&)>& body, SourceLoc where) {
    if (fragment.extents().size() != 2 || !fragment.state().is_fragment())
        throw Error(E0301_rank, where, fmt::format("for_each() of {} takes no row and column", fragment.name()),
                    {expected("a fragment of two dims")});
    KernelBuilderState& k = *state_;
    spread_fragment(k, fragment, where, [&](const TileState& t, const Expr& warp, const Expr& lane, const Expr& row) {
        return counted_loop(k, "v", t.part(1) / 8, [&](const Expr& v) {
            return counted_loop(k, "w", 2, [&](const Expr& w) {
                const Expr inside = index_sum(index_sum(scaled_by(lane, 2), scaled_by(v, 8)), w);
                return with_position(k, "column", index_sum(scaled_by(warp, t.part(1)), inside),
                                     [&](const Expr& column) { return k.block_of([&] { body(row, column); }); });
            });
        });
    });
}

void KernelBuilder::each_row(const Tile& fragment, const std::function<void(const Expr&)>& body, SourceLoc where) {
    if (!fragment.state().is_fragment())
        throw Error(E0508_storage, where, fmt::format("for_each() of {}, which is no fragment", fragment.name()),
                    {fix("use threads() or lanes()")});
    KernelBuilderState& k = *state_;
    spread_fragment(k, fragment, where,
                    [&](const TileState&, const Expr&, const Expr&, const Expr& row) { return k.block_of([&] { body(row); }); });
}

void KernelBuilder::store(const Operand& place, const Operand& value) {
    KernelBuilderState& k = *state_;
    k.require_open("a store", place.where);
    const Expr& to = place.expr;
    const auto i = to->op == Op::access && to->target().func && to->target().boundary == Boundary::none
                       ? k.program.bound.graph.find(to->target().func.get())
                       : std::nullopt;
    if (!i)
        throw Error(E0306_left_hand_side, place.where, "store() is given no cell of a tile or of an output",
                    {fix("write store(tile(i, j), value)")});
    const Stage& s = k.stage(*i);
    if (k.boxed.count(*i) != 0)
        throw Error(E0508_storage, place.where, fmt::format("threads store {}, which the copy engine fills", s.name),
                    {fix("use shared() for what threads store")});
    if (!s.output && k.alive.count(*i) == 0)
        throw Error(E0508_storage, place.where, fmt::format("{} is stored where its memory is gone", s.name),
                    {fix("declare it in the body around")});
    tile::Assign a;
    a.stage = *i;
    for (size_t d = 0; d < to->index_count(); ++d) a.place.push_back(k.index(Index(to->args[d], place.where)));
    a.values = {k.value(value, s.dtypes[0], s.name)};
    k.require_landed(*i, place.where);
    if (k.flying && k.held == *i)
        throw Error(E0508_storage, place.where, fmt::format("{} is stored while a product in flight may still read it", s.name),
                    {fix(fmt::format("call settle({}) before", k.stage(*k.flying).name))});
    if (k.place != KernelBuilderState::Place::thread)
        throw Error(E0506_loop_kind, place.where, fmt::format("{} is stored by several threads at once", s.name),
                    {fix("store it inside threads(), lanes() or for_each()")});
    k.add(tile::statement(std::move(a)));
}

void KernelBuilder::copy_async(const Tile& to, const std::function<Expr(const std::vector<Expr>&)>& value,
                               const CopyOptions& options, SourceLoc where) {
    KernelBuilderState& k = *state_;
    k.require_open("a copy", where);
    const TileState& t = k.alive_tile(to, where);
    const std::int64_t bytes = options.bytes, cells = bytes / dtype_bytes(to.dtype());
    if ((bytes != 4 && bytes != 8 && bytes != 16) || cells < 1)
        throw Error(E0508_storage, where,
                    fmt::format("copy_async() of {}, of {}, moves {} bytes at once", to.name(), dtype_name(to.dtype()), bytes),
                    {expected("4, 8 or 16, a cell or more")});
    if (k.place != KernelBuilderState::Place::block || t.space != Space::shared)
        throw Error(E0506_loop_kind, where, fmt::format("copy_async() of {} inside a spread, or to registers", to.name()),
                    {expected("a tile in shared memory, filled by the block")});
    if (t.extents.back() % cells != 0)
        throw Error(E0508_storage, where, fmt::format("rows of {} have {} cells", to.name(), t.extents.back()),
                    {expected(fmt::format("a multiple of {}, {} bytes", cells, bytes))});
    k.program.bound.stages[t.stage].engine = Engine::cp_async;
    tile::Spread threads;
    std::vector<Expr> place;
    for (size_t d = 0; d < t.extents.size(); ++d) {
        const bool innermost = d + 1 == t.extents.size();
        const Expr extent = index_number(innermost ? t.extents[d] / cells : t.extents[d]);
        threads.axes.push_back({k.variable(innermost ? "chunk" : "t", extent), extent});
        place.push_back(threads.axes.back().variable);
    }
    const Expr cell = k.variable("cell", index_number(cells));
    place.back() = index_sum(scaled_by(place.back(), cells), cell);
    const std::vector<Expr> values{k.value(Operand(value(place), where), to.dtype(), to.name())};
    tessera::Loop loop{to.name() + ".cell", cell, index_number(0), index_number(cells), LoopKind::vector, nullptr};
    loop.body = std::make_shared<const tessera::Statement>(tessera::Statement{tessera::Store{t.stage, place, values}});
    std::optional<tile::AsyncCopy> copy = tile::asynchronous_copy(k.program.bound, loop, k.environment);
    if (copy->whole.defined()) copy->whole = remaining(k.environment, copy->whole);
    copy->otherwise =
        tile::statement(tile::For{cell, index_number(cells), false, tile::statement(tile::Assign{t.stage, place, values})});
    threads.body = tile::statement(std::move(*copy));
    k.forget(cell);
    for (const tile::Axis& a : threads.axes) k.forget(a.variable);
    k.add(tile::statement(std::move(threads)));
}

void KernelBuilder::copy_box(const Tile& to, const std::function<Expr(const Expr&, const Expr&)>& value, SourceLoc where) {
    KernelBuilderState& k = *state_;
    k.require_open("a copy", where);
    const TileState& t = k.alive_tile(to, where);
    if (k.place != KernelBuilderState::Place::block || t.box == 0)
        throw Error(E0506_loop_kind, where, fmt::format("copy_box() of {} inside a spread, or of no tile of boxes()", to.name()),
                    {expected("a tile of boxes(), filled by the block")});
    const Expr row = k.variable("row", index_number(t.extents[0])), column = k.variable("column", index_number(t.extents[1]));
    const Expr read = k.value(Operand(value(row, column), where), to.dtype(), to.name());
    k.forget(row), k.forget(column);
    const size_t rank = read->op == Op::access && read->target().input ? read->index_count() : 0;
    const auto refuse = [&](const std::string& why) {
        throw Error(E0508_storage, where, fmt::format("copy_box() of {}: {}", to.name(), why),
                    {expected("constant(input, 0)(…, first row + row, first column + column), of two to four dims")});
    };
    const bool zeros = rank > 0 && read->target().boundary == Boundary::constant && is_constant(read->args.back()) &&
                       read->args.back()->bits == 0;
    if (rank < 2 || rank > 4 || (!zeros && read->target().boundary != Boundary::none))
        refuse("its value is no read of an input, with zeros at its ends");
    tile::BoxCopy box;
    box.stage = t.stage;
    box.place.assign(3, index_number(0));
    std::vector<Expr> from;
    for (size_t d = 0; d < rank; ++d) {
        const Expr& index = read->args[d];
        const Expr moving = d + 2 == rank ? row : d + 1 == rank ? column : Expr();
        from.push_back(moving.defined() ? index_difference(index, moving) : index);
        if (moves_with(from.back(), row) || moves_with(from.back(), column))
            refuse("its last two indices are not a first row + row and a first column + column");
    }
    if (!is_multiple(IndexAnalysis().normal(k.environment.resolved(from.back())), 16 / dtype_bytes(to.dtype())))
        refuse("its first column is not known to be a multiple of 16 bytes");
    box.source = make_access({read->target().input, nullptr}, std::move(from), read->dtype, read->component(), where);
    k.program.bound.stages[t.stage].engine = Engine::tma;
    k.add(tile::statement(std::move(box)));
}

void KernelBuilder::mma(const Tile& sums, const Tile& left, const Tile& right, const MmaOptions& options, SourceLoc where) {
    KernelBuilderState& k = *state_;
    k.require_open("mma()", where);
    const TileState &s = k.alive_tile(sums, where), &l = k.alive_tile(left, where), &r = k.alive_tile(right, where);
    if (!s.is_fragment() || s.extents.size() != 2)
        refuse_mma(where, sums.name() + " is no fragment (m, n)", "a fragment of two dims");
    const std::array<Expr, 2> warps = k.warps_of(s, where);
    const Factors* row = factors_of(right.dtype(), s.grouped);
    if (!row || row->sums != sums.dtype())
        refuse_mma(
            where,
            fmt::format("{} is {} and {} is {}", right.name(), dtype_name(right.dtype()), sums.name(), dtype_name(sums.dtype())),
            s.grouped ? "of warpgroups factors of bf16, f16 or 8-bit floats with sums in f32, of i8 with sums in i32"
                      : "factors of bf16, f16 or f32 (rounded to tf32) with sums in f32, of i8 or u8 with sums in i32");
    const bool held = l.is_fragment();
    const bool rounded = held && left.dtype() == DType::f32;
    if (held ? (left.dtype() != right.dtype() && !rounded) || dtype_bytes(right.dtype()) != 2 : left.dtype() != right.dtype())
        refuse_mma(
            where,
            fmt::format("{} is {} and {} is {}", left.name(), dtype_name(left.dtype()), right.name(), dtype_name(right.dtype())),
            "two of one dtype, a left fragment with a right tile of bf16 or f16, or of f32 with one of these");
    for (const auto& [tile, name] : {std::pair{&l, left.name()}, {&r, right.name()}})
        if (tile->extents.size() != 2 || (tile->space != Space::shared && !(held && tile == &l)))
            refuse_mma(where, name + " is no tile (rows, columns) in shared memory",
                       "two dims, shared(); left may be a fragment");
    for (const auto& [tile, name] : {std::pair{&l, left.name()}, {&r, right.name()}})
        if (tile->space == Space::shared && (tile->box > 0) != s.grouped)
            refuse_mma(where,
                       fmt::format("{} is {}of boxes(), and {} is a fragment of {}", name, tile->box > 0 ? "" : "not ",
                                   sums.name(), s.grouped ? "warpgroups" : "warps"),
                       "boxes() with group_fragment(), shared() with fragment()");
    if (options.in_flight && !s.grouped)
        refuse_mma(where, fmt::format("{} is shared by warps, whose products the hardware waits for", sums.name()),
                   "sums of warpgroups, or no in_flight");
    k.require_landed(s.stage, where);
    if (held) k.require_landed(l.stage, where);
    if (options.replaces && !s.grouped)
        refuse_mma(where, fmt::format("{} is replaced, and shared by warps", sums.name()),
                   "sums of warpgroups, or zeros stored before");
    if (s.grouped && (options.left_transposed || s.extents[1] > 256))
        refuse_mma(where, fmt::format("warpgroups multiply (m, k), for at most 256 columns, not {}", s.extents[1]),
                   "left as it is, and a fragment of fewer columns");
    if (dtype_bytes(right.dtype()) != 2 && (options.left_transposed || !options.right_transposed))
        refuse_mma(where, fmt::format("factors of {} are multiplied along their last dims", dtype_name(right.dtype())),
                   "(m, k) and (n, k): right_transposed alone");
    const size_t left_row = options.left_transposed ? 1 : 0, right_row = options.right_transposed ? 1 : 0;
    const auto require = [&](std::int64_t a, std::int64_t b, const std::string& what, const std::string& name) {
        if (a != b) refuse_mma(where, fmt::format("{} has {} {}", name, a, what), fmt::format("{}, as the other has", b));
    };
    require(l.extents[left_row], s.extents[0], "rows", left.name());
    require(r.extents[1 - right_row], s.extents[1], "columns", right.name());
    require(l.extents[1 - left_row], r.extents[right_row], "cells to sum over", left.name());
    const std::int64_t depth = r.extents[right_row];
    if (depth % row->depth != 0)
        refuse_mma(where, fmt::format("{} cells are summed over", depth), fmt::format("a multiple of {}", row->depth));
    if (held && (l.warps != s.warps || l.grouped != s.grouped || l.warps[1] != 1 || options.left_transposed))
        refuse_mma(where,
                   fmt::format("fragment {} is shared by {} x {} {}, {} by {} x {} {}", left.name(), l.warps[0], l.warps[1],
                               l.grouped ? "warpgroups" : "warps", sums.name(), s.warps[0], s.warps[1],
                               s.grouped ? "warpgroups" : "warps"),
                   "the same, with 1 along the columns, and no left_transposed");
    const Expr top = scaled_by(warps[0], s.part(0)), first = scaled_by(warps[1], s.part(1)), none = index_number(0);
    const auto read = [&](const Tile& tile, bool turned, const Expr& a, const Expr& b) {
        return turned ? tile(b, a) : tile(a, b);
    };
    tile::Mma m;
    m.grouped = s.grouped;
    m.stage = s.stage, m.place = {top, first};
    m.left = read(left, options.left_transposed, top, none), m.right = read(right, options.right_transposed, none, first);
    if (rounded) m.left = make_op(Op::cast, right.dtype(), {m.left});
    m.m = s.part(0), m.n = s.part(1), m.k = depth;
    if (options.replaces) m.fresh = index_number(0);
    m.in_flight = options.in_flight;
    k.flying = options.in_flight ? std::optional(s.stage) : std::nullopt;
    k.held = held ? std::optional(l.stage) : std::nullopt;
    m.left_turned = options.left_transposed, m.right_turned = options.right_transposed;
    k.add(tile::statement(std::move(m)));
}

void KernelBuilder::settle(const Tile& sums, SourceLoc where) {
    KernelBuilderState& k = *state_;
    k.require_open("settle()", where);
    const TileState& s = k.alive_tile(sums, where);
    if (k.place != KernelBuilderState::Place::group || k.flying != s.stage)
        throw Error(E0508_storage, where, fmt::format("settle() of {}, into which no product is in flight here", sums.name()),
                    {expected("the sums of the last mma() with in_flight, inside its warpgroups()")});
    k.flying.reset();
    k.add(tile::statement(tile::Settle{s.stage}));
}

void KernelBuilder::reduce(const Tile& partials, const Monoid& monoid, SourceLoc where) {
    KernelBuilderState& k = *state_;
    k.require_open("reduce()", where);
    const TileState& t = k.alive_tile(partials, where);
    using Place = KernelBuilderState::Place;
    const bool rows = t.is_fragment() && t.extents.size() == 1;
    if (rows) (void)k.warps_of(t, where);
    k.require_landed(t.stage, where);
    if (t.space != Space::register_ || (t.is_fragment() && !rows) || k.place == Place::thread ||
        (k.place == Place::group && !rows))
        throw Error(E0508_storage, where, fmt::format("reduce() of {}", partials.name()),
                    {expected("registers, or a fragment of rows, outside what one thread runs")});
    Stage& s = k.program.bound.graph.stages[t.stage];
    if (s.update && s.update->monoid != monoid.shared())
        throw Error(E0310_monoid, where,
                    fmt::format("{} is reduced by {} and by {}", s.name, s.update->monoid->name, monoid.name()),
                    {fix("use a tile of its own for each")});
    s.update.emplace();
    s.update->monoid = monoid.shared();
    s.values.clear();
    const Tuple identity = monoid.state().identity(s.dtypes);
    if (identity.size() != 1)
        throw Limit(L0901_not_on_target, where, fmt::format("reduce() of {} by {}, of tuples", s.name, monoid.name()),
                    {fix("reduce values of one component")});
    s.values.push_back(resolve_weak(identity[0], s.dtypes[0], where));
    tile::Combine c;
    c.stage = t.stage;
    c.over = k.place == Place::block ? tile::Scope::thread : k.place == Place::group ? tile::Scope::member : tile::Scope::lane;
    c.lanes = rows ? 4 : 32;
    k.add(tile::statement(c));
}

}  // namespace tessera
