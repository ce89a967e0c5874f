#include "algorithm/graph.h"
#include "base/match.h"
#include "schedule/loop_split.h"
#include "schedule/loop_tree_expr.h"
#include "tile/kernel_writing.h"
#include "tile/shared_layout.h"

#include <fmt/format.h>

#include <map>

namespace tessera {

namespace {

using Place = KernelBuilderState::Place;

std::string_view word_of(Place place) {
    return place == Place::block   ? "the block"
           : place == Place::warp  ? "a warp"
           : place == Place::group ? "a warpgroup"
                                   : "a thread";
}

[[noreturn]] void refuse_place(std::string_view what, SourceLoc loc, std::string_view needed, Place place) {
    throw Error(E0506_loop_kind, loc, fmt::format("{} stands where {} runs it", what, word_of(place)),
                {expected(std::string(needed))});
}

}  // namespace

void KernelBuilderState::require_open(std::string_view what, SourceLoc loc) const {
    if (has_grid && !finished) return;
    throw Error(E0506_loop_kind, loc, fmt::format("{} of a kernel {}", what, finished ? "that is finished" : "without a grid"),
                {fix(finished ? "make another KernelBuilder" : "call grid() first: its extents are the blocks")});
}

void KernelBuilderState::add(Entry entry) { blocks.back().push_back(std::move(entry)); }

tile::StatementPtr KernelBuilderState::block_of(const std::function<void()>& body) {
    const std::set<size_t> outside = alive;
    const std::optional<size_t> before = flying;
    blocks.emplace_back();
    body();
    if (flying != before) {
        const std::string& name = stage(flying ? *flying : *before).name;
        throw Error(
            E0508_storage, where,
            fmt::format("a product into {} {}", name,
                        flying ? "is in flight where its body ends" : "is settled in a body inside that in which it started"),
            {fix(fmt::format("call settle({}) in the body in which it starts", name))});
    }
    std::vector<Entry> entries = std::move(blocks.back());
    blocks.pop_back();
    alive = outside;
    std::vector<tile::StatementPtr> rest;
    for (size_t i = entries.size(); i-- > 0;) {
        const auto enclose = [&](auto node) {
            node.body = tile::sequence({rest.rbegin(), rest.rend()});
            rest = {tile::statement(std::move(node))};
        };
        match(
            entries[i], [&](const tile::StatementPtr& s) { rest.push_back(s); },
            [&](const tile::Let& l) {
                forget(l.variable);
                enclose(l);
            },
            [&](const tile::Alloc& a) { enclose(a); });
    }
    return tile::sequence({rest.rbegin(), rest.rend()});
}

Expr KernelBuilderState::variable(const std::string& name, const Expr& extent) {
    const int number = names[name]++;
    const Expr v = make_variable(number == 0 ? name : fmt::format("{}.{}", name, number), DType::i64);
    bound.insert(v.get());
    environment.add_range(v, extent);
    return v;
}

void KernelBuilderState::check(const Expr& e, SourceLoc loc, bool may_read) const {
    for_each_node({e}, [&](const Expr& n) {
        if (n->op == Op::variable && bound.count(n.get()) == 0)
            throw Error(E0103_unknown_dim, loc, fmt::format("index {} is used outside its body", tile::name_of(n)),
                        {fix("use it inside the function that it is given to")});
        if (n->op == Op::dim)
            throw Error(E0103_unknown_dim, loc, fmt::format("dim {} is no index of a kernel", n->dim().name()),
                        {fix("use an index of grid(), loop() or a spread"), fix("write extent() for its extent")});
        if (n->op == Op::reduce || n->op == Op::scan || n->op == Op::scatter)
            throw Limit(L0901_not_on_target, loc, "a reduction stands in a kernel",
                        {fix("write its loop, and combine the threads' partials with reduce()")});
        if (n->op != Op::access || !n->target().func) return;
        const auto i = program.bound.graph.find(n->target().func.get());
        const std::string& name = n->target().func->name;
        if (!i || stage(*i).output)
            throw Limit(L0901_not_on_target, loc, fmt::format("{} is read in a kernel", name),
                        {expected("reads of inputs, scalars and tiles"), fix("keep what is read again in a tile")});
        if (alive.count(*i) == 0)
            throw Error(E0508_storage, loc, fmt::format("{} is read where its memory is gone", name),
                        {fix("declare it in the body around")});
        require_landed(*i, loc);
        if (!may_read)
            throw Error(E0204_index_type, loc, fmt::format("{} is read in an index", name),
                        {fix("compute indices from indices, extents and scalars")});
    });
}

Expr KernelBuilderState::index(const Index& given) const {
    const Expr e = simplify_index(resolve_weak(index_expr(given), DType::i64, given.where));
    check(e, given.where, false);
    return e;
}

Expr KernelBuilderState::value(const Operand& given, DType dtype, std::string_view of) const {
    const Expr e = given.expr->weak ? resolve_weak(given.expr, dtype, given.where) : given.expr;
    check(e, given.where, true);
    if (e->dtype != dtype)
        throw Error(E0201_dtype_mismatch, given.where,
                    fmt::format("{} keeps {}, but is given {}", of, dtype_name(dtype), dtype_name(e->dtype)),
                    {fix(fmt::format("write cast({}, …)", dtype_name(dtype)))});
    return e;
}

void KernelBuilderState::require_shared(const Expr& e, SourceLoc loc, std::string_view what) const {
    if (place == Place::thread) return;
    for_each_node({e}, [&](const Expr& n) {
        if (n->op == Op::access && n->target().func)
            throw Error(E0506_loop_kind, loc,
                        fmt::format("{} that {} runs together reads {}, which may differ from thread to thread", what,
                                    word_of(place), n->target().func->name),
                        {fix("put it inside threads() or lanes()")});
    });
}

const TileState& KernelBuilderState::alive_tile(const Tile& tile, SourceLoc loc) const {
    const TileState& t = tile.state();
    if (t.stage < program.bound.graph.stages.size() && stage(t.stage).func == t.func && alive.count(t.stage) != 0) return t;
    throw Error(E0508_storage, loc, fmt::format("{} is used where its memory is gone", tile.name()),
                {fix("declare it in the body around, with this builder")});
}

void KernelBuilderState::require_landed(size_t i, SourceLoc loc) const {
    if (flying == i)
        throw Error(E0508_storage, loc, fmt::format("{} is used while a product into it is in flight", stage(i).name),
                    {fix(fmt::format("call settle({}) before", stage(i).name))});
}

std::array<Expr, 2> KernelBuilderState::warps_of(const TileState& fragment, SourceLoc loc) const {
    const std::string& name = stage(fragment.stage).name;
    if (place != (fragment.grouped ? Place::group : Place::warp))
        refuse_place(fmt::format("a use of fragment {}", name), loc,
                     fragment.grouped ? "warpgroups() around it" : "warps() around it", place);
    std::array<Expr, 2> out{index_number(0), index_number(0)};
    std::vector<std::int64_t> counts;
    for (const tile::Axis& a : warps) counts.push_back(integer_constant(a.extent).value_or(0));
    for (size_t d = 0; d < 2; ++d) {
        const std::int64_t found = d < counts.size() ? counts[d] : 1;
        if (found != fragment.warps[d] || counts.size() > 2)
            throw Error(E0506_loop_kind, loc,
                        fmt::format("fragment {} is shared by {} x {} {}, but used by {} along axis {}", name, fragment.warps[0],
                                    fragment.warps[1], fragment.grouped ? "warpgroups" : "warps", found, d),
                        {fix(fragment.grouped
                                 ? fmt::format("use it inside warpgroups({{{}}}, …)", fragment.warps[0])
                                 : fmt::format("use it inside warps({{{}, {}}}, …)", fragment.warps[0], fragment.warps[1]))});
        if (d < warps.size()) out[d] = warps[d].variable;
    }
    return out;
}

// ---- handles

const Algorithm& TileKernel::algorithm() const { return state_->program.bound.graph.algorithm; }
std::string TileKernel::text() const { return to_text(state_->program); }

const std::string& Tile::name() const { return state_->func->name; }
DType Tile::dtype() const { return state_->func->dtypes[0]; }
const std::vector<std::int64_t>& Tile::extents() const { return state_->extents; }
Expr Tile::at(const std::vector<Index>& indices, SourceLoc where) const {
    if (indices.size() != state_->extents.size())
        throw Error(E0301_rank, where,
                    fmt::format("{} has {} but is used with {}", name(), counted(state_->extents.size(), "dim"), indices.size()),
                    {expected(std::to_string(state_->extents.size())), received(std::to_string(indices.size()))});
    std::vector<Expr> args;
    for (const Index& i : indices) args.push_back(simplify_index(resolve_weak(index_expr(i), DType::i64, i.where)));
    if (state_->box > 0) {
        const Expr box = index_number(state_->box), column = args[1];
        args = {simplify_index(make_op(Op::div, DType::i64, {column, box})), args[0],
                simplify_index(make_op(Op::mod, DType::i64, {column, box}))};
    }
    return make_access({nullptr, state_->func, Boundary::none}, std::move(args), dtype(), 0, where);
}

// ---- the kernel

KernelBuilder::KernelBuilder(const Algorithm& algorithm, const TileKernelOptions& options, SourceLoc where)
    : state_(std::make_shared<KernelBuilderState>(algorithm)) {
    KernelBuilderState& k = *state_;
    k.where = where;
    if (!algorithm.state().in_place.empty())
        throw Limit(L0901_not_on_target, where, fmt::format("{} writes into the memory of an argument", algorithm.name()),
                    {fix("give the output memory of its own")});
    for (size_t i = 0; i < algorithm.outputs().size(); ++i) {
        const std::shared_ptr<FuncState>& f = algorithm.outputs()[i].state();
        if (f->dtypes.size() != 1)
            throw Limit(L0901_not_on_target, where, fmt::format("output {} is a tuple", f->name),
                        {fix("make its components outputs of their own")});
        Stage s;
        s.func = f, s.name = f->name, s.dims = f->dims, s.dtypes = f->dtypes, s.output = i, s.where = f->where;
        k.program.bound.graph.stages.push_back(std::move(s));
        k.program.bound.stages.emplace_back();
    }
    if (options.threads < 32 || options.threads > 1024 || options.threads % 32 != 0)
        throw Error(E0506_loop_kind, where, fmt::format("threads is {}", options.threads),
                    {expected("a multiple of 32 from 32 to 1024")});
    if (options.min_ctas < 1 || options.min_ctas * options.threads > 2048)
        throw Error(E0506_loop_kind, where, fmt::format("min_ctas is {} with {} threads", options.min_ctas, options.threads),
                    {expected("at least 1, and at most 2048 threads a multiprocessor")});
    // In texts an index is called otherwise than an extent.
    for (const auto& [name, extent] : tree_scope(k.program.bound).extents) k.names[name] = 1;
    for (const char c : algorithm.name()) k.kernel.name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    k.kernel.name += "_0";
    k.kernel.threads = options.threads;
    k.kernel.min_ctas = options.min_ctas;
    k.kernel.fast_math = options.fast_math;
    const std::int64_t copy = options.producer_registers, rest = options.consumer_registers;
    if (options.roles ? options.threads % 128 != 0 || (copy > 0) != (rest > 0) : copy > 0 || rest > 0)
        throw Error(E0506_loop_kind, where,
                    fmt::format("roles with {} threads beside those that copy, which have {} registers, the others {}",
                                options.threads, copy, rest),
                    {expected("a multiple of 128 threads, registers of both roles or of neither, and roles")});
    if (options.roles) k.kernel.producers = 128;
    k.kernel.producer_registers = copy, k.kernel.consumer_registers = rest;
    k.blocks.emplace_back();
}

std::vector<Expr> KernelBuilder::grid_axes(const std::vector<Index>& extents) {
    KernelBuilderState& k = *state_;
    if (k.has_grid) throw Error(E0506_loop_kind, k.where, "grid() is called twice", {fix("give all axes of the blocks at once")});
    std::vector<Expr> out;
    for (const Index& e : extents) {
        const Expr extent = k.index(e);
        out.push_back(k.variable("block", extent));
        k.kernel.grid.push_back({out.back(), extent});
    }
    k.has_grid = true;
    return out;
}

// ---- memory

namespace {

Tile add_tile(KernelBuilderState& k, const std::string& name, DType dtype, TileState tile, tile::Alloc memory, SourceLoc where) {
    k.require_open("a tile", where);
    check_name(name, "a tile", where);
    bool taken = k.program.bound.graph.find(name).has_value();
    for (const Argument& a : k.program.bound.graph.algorithm.arguments()) taken = taken || a.state()->name == name;
    if (taken) throw Error(E0101_duplicate_name, where, fmt::format("two things are called {}", name), {fix("rename the tile")});
    if (tile.extents.empty() || tile.extents.size() > 4)
        throw Error(E0301_rank, where, fmt::format("tile {} has {}", name, counted(tile.extents.size(), "dim")),
                    {expected("1 to 4")});
    std::vector<Dim> dims;
    memory.extent = tile.extents;
    if (tile.box > 0) memory.extent = {tile.extents[1] / tile.box, tile.extents[0], tile.box};
    for (size_t d = 0; d < memory.extent.size(); ++d) {
        if (memory.extent[d] < 1 || memory.extent[d] > (1 << 20))
            throw Error(E0105_extent, where, fmt::format("extent {} of {} is {}", d, name, memory.extent[d]),
                        {expected("1 to 2^20")});
        dims.emplace_back(std::string(1, static_cast<char>('i' + d)), memory.extent[d]);
        memory.begin.push_back(index_number(0));
    }
    tile.stage = k.program.bound.graph.stages.size();
    tile.func = make_stage_func(name, dims, {dtype}, where);
    Stage s;
    s.func = tile.func, s.name = name, s.dims = dims, s.dtypes = {dtype}, s.where = where;
    k.program.bound.graph.stages.push_back(std::move(s));
    k.program.bound.stages.emplace_back();
    memory.stage = tile.stage, memory.space = tile.space;
    k.alive.insert(tile.stage);
    if (tile.box > 0) k.boxed.insert(tile.stage);
    k.add(std::move(memory));
    return Tile(std::make_shared<const TileState>(std::move(tile)));
}

}  // namespace

Tile KernelBuilder::shared(const std::string& name, DType dtype, const std::vector<std::int64_t>& extents,
                           const SharedOptions& options, SourceLoc where) {
    if (state_->place != Place::block)
        refuse_place(fmt::format("tile {} in shared memory", name), where, "the block", state_->place);
    if (options.buffers < 1 || options.buffers > 8)
        throw Error(E0508_storage, where, fmt::format("buffers of {} is {}", name, options.buffers), {expected("1 to 8")});
    const std::int64_t row = extents.empty() ? 0 : extents.back() * dtype_bytes(dtype);
    if (options.swizzle && !tile::swizzle_of(row))
        throw Error(E0508_storage, where, fmt::format("rows of {} take {} bytes", name, row),
                    {expected("a power of two of at least 32 bytes, as swizzle asks for"), fix("leave swizzle out")});
    tile::Alloc memory;
    memory.buffers = options.buffers, memory.swizzled = options.swizzle;
    TileState tile;
    tile.space = Space::shared, tile.extents = extents;
    return add_tile(*state_, name, dtype, std::move(tile), std::move(memory), where);
}

Tile KernelBuilder::boxes(const std::string& name, DType dtype, const std::array<std::int64_t, 2>& extents, std::int64_t buffers,
                          SourceLoc where) {
    if (state_->place != Place::block)
        refuse_place(fmt::format("tile {} in shared memory", name), where, "the block", state_->place);
    if (buffers < 1 || buffers > 8)
        throw Error(E0508_storage, where, fmt::format("buffers of {} is {}", name, buffers), {expected("1 to 8")});
    const std::int64_t box = 128 / dtype_bytes(dtype);
    if (extents[0] < 8 || extents[0] > 256 || extents[0] % 8 != 0 || extents[1] < box || extents[1] % box != 0)
        throw Error(E0508_storage, where,
                    fmt::format("tile {} of boxes has {} rows and {} columns", name, extents[0], extents[1]),
                    {expected(fmt::format("a multiple of 8 rows, at most 256, and of {} columns, 128 bytes", box))});
    tile::Alloc memory;
    memory.buffers = buffers, memory.swizzled = memory.boxed = true;
    TileState tile;
    tile.space = Space::shared, tile.extents = {extents[0], extents[1]}, tile.box = box;
    return add_tile(*state_, name, dtype, std::move(tile), std::move(memory), where);
}

Tile KernelBuilder::registers(const std::string& name, DType dtype, const std::vector<std::int64_t>& extents, SourceLoc where) {
    tile::Alloc memory;
    memory.shares.resize(extents.size());
    TileState tile;
    tile.space = Space::register_, tile.extents = extents;
    return add_tile(*state_, name, dtype, std::move(tile), std::move(memory), where);
}

Tile KernelBuilder::fragment(const std::string& name, DType dtype, const std::vector<std::int64_t>& extents,
                             const std::array<std::int64_t, 2>& warps, SourceLoc where) {
    if (extents.empty() || extents.size() > 2)
        throw Error(E0301_rank, where, fmt::format("fragment {} has {}", name, counted(extents.size(), "dim")),
                    {expected("1 or 2")});
    if (warps[0] < 1 || warps[1] < 1 || warps[0] * warps[1] * 32 > state_->kernel.threads)
        throw Error(
            E0506_loop_kind, where, fmt::format("fragment {} is shared by {} x {} warps", name, warps[0], warps[1]),
            {expected(fmt::format("1 to {}, as the block has {} threads", state_->kernel.threads / 32, state_->kernel.threads))});
    tile::Alloc memory;
    for (size_t d = 0; d < extents.size(); ++d) {
        if (extents[d] % (16 * warps[d]) != 0)
            throw Error(E0508_storage, where,
                        fmt::format("extent {} of fragment {} is {}, for {} warps", d, name, extents[d], warps[d]),
                        {expected(fmt::format("a multiple of {}", 16 * warps[d]))});
        std::vector<tile::Share> shares;
        if (warps[d] > 1) shares.push_back({extents[d] / warps[d], d == 0 ? 32 * warps[1] : 32, warps[d]});
        shares.push_back(d == 0 ? tile::Share{1, 4, 8} : tile::Share{2, 1, 4});
        memory.shares.push_back(std::move(shares));
    }
    TileState tile;
    tile.space = Space::register_, tile.extents = extents, tile.warps = warps;
    return add_tile(*state_, name, dtype, std::move(tile), std::move(memory), where);
}

Tile KernelBuilder::group_fragment(const std::string& name, DType dtype, const std::vector<std::int64_t>& extents,
                                   std::int64_t groups, SourceLoc where) {
    if (extents.empty() || extents.size() > 2)
        throw Error(E0301_rank, where, fmt::format("fragment {} has {}", name, counted(extents.size(), "dim")),
                    {expected("1 or 2")});
    if (groups < 1 || groups * 128 > state_->kernel.threads)
        throw Error(
            E0506_loop_kind, where, fmt::format("fragment {} is shared by {} warpgroups", name, groups),
            {expected(fmt::format("1 to {}, as {} threads run it", state_->kernel.threads / 128, state_->kernel.threads))});
    if (extents[0] != 64 * groups || (extents.size() > 1 && (extents[1] < 16 || extents[1] % 16 != 0)))
        throw Error(E0508_storage, where,
                    fmt::format("fragment {} of {} has {} rows{}", name, counted(static_cast<size_t>(groups), "warpgroup"),
                                extents[0], extents.size() > 1 ? fmt::format(" and {} columns", extents[1]) : ""),
                    {expected(fmt::format("{} rows, and a multiple of 16 columns", 64 * groups))});
    tile::Alloc memory;
    memory.shares.emplace_back();
    if (groups > 1) memory.shares[0].push_back({64, 128, groups});
    memory.shares[0].insert(memory.shares[0].end(), {tile::Share{16, 32, 4}, tile::Share{1, 4, 8}});
    if (extents.size() > 1) memory.shares.push_back({tile::Share{2, 1, 4}});
    TileState tile;
    tile.space = Space::register_, tile.extents = extents, tile.warps = {groups, 1}, tile.grouped = true;
    return add_tile(*state_, name, dtype, std::move(tile), std::move(memory), where);
}

// ---- control and spreads

namespace {

void add_loop(KernelBuilderState& k, const Index& extent, bool unrolled, const std::function<void(const Expr&)>& body) {
    k.require_open("a loop", extent.where);
    tile::For f;
    f.extent = k.index(extent);
    f.unrolled = unrolled;
    f.variable = k.variable("i", f.extent);
    f.body = k.block_of([&] { body(f.variable); });
    k.forget(f.variable);
    k.add(tile::statement(std::move(f)));
}

}  // namespace

void KernelBuilder::loop(const Index& extent, const std::function<void(const Expr&)>& body) {
    add_loop(*state_, extent, false, body);
}
void KernelBuilder::unroll(const Index& extent, const std::function<void(const Expr&)>& body) {
    add_loop(*state_, extent, true, body);
}

void KernelBuilder::when(const Operand& condition, const std::function<void()>& body) {
    KernelBuilderState& k = *state_;
    k.require_open("a condition", condition.where);
    tile::If i;
    i.condition = k.value(condition, DType::bool_, "when()");
    k.require_shared(i.condition, condition.where, "a condition");
    i.body = k.block_of(body);
    k.add(tile::statement(std::move(i)));
}

Expr KernelBuilder::let(const Index& value) {
    KernelBuilderState& k = *state_;
    k.require_open("an index", value.where);
    tile::Let l;
    l.value = k.index(value);
    l.variable = make_variable(fmt::format("x.{}", k.names["x"]++), DType::i64);
    k.bound.insert(l.variable.get());
    k.environment.add_let(l.variable, l.value);
    k.add(l);
    return l.variable;
}

void KernelBuilder::spread(Level level, const std::vector<Index>& extents, const SpreadBody& body, SourceLoc where) {
    KernelBuilderState& k = *state_;
    k.require_open("a spread", where);
    const std::string_view name = level == Level::thread  ? "threads()"
                                  : level == Level::warp  ? "warps()"
                                  : level == Level::group ? "warpgroups()"
                                                          : "lanes()";
    const Place needed = level == Level::lane ? Place::warp : Place::block, outside = k.place;
    if (outside != needed) refuse_place(name, where, word_of(needed), outside);
    tile::Spread s;
    s.over = level == Level::thread  ? tile::Scope::thread
             : level == Level::warp  ? tile::Scope::warp
             : level == Level::group ? tile::Scope::warpgroup
                                     : tile::Scope::lane;
    std::vector<Expr> variables;
    for (const Index& e : extents) {
        const Expr extent = k.index(e);
        variables.push_back(k.variable(level == Level::thread  ? "t"
                                       : level == Level::warp  ? "warp"
                                       : level == Level::group ? "group"
                                                               : "lane",
                                       extent));
        s.axes.push_back({variables.back(), extent});
    }
    k.place = level == Level::warp ? Place::warp : level == Level::group ? Place::group : Place::thread;
    if (level == Level::warp || level == Level::group) k.warps = s.axes;
    s.body = k.block_of([&] { body(variables); });
    k.place = outside;
    for (const Expr& v : variables) k.forget(v);
    k.add(tile::statement(std::move(s)));
}

TileKernel KernelBuilder::finish() {
    KernelBuilderState& k = *state_;
    k.require_open("the end", k.where);
    std::vector<KernelBuilderState::Entry> all = std::move(k.blocks.back());
    k.kernel.body = k.block_of([&] { k.blocks.back() = std::move(all); });
    k.finished = true;
    tile::Program program = k.program;
    program.kernels = {k.kernel};
    return TileKernel(std::make_shared<const TileKernelState>(TileKernelState{std::move(program)}));
}

// ---- for a target

namespace tile {
namespace {

// A box that threads store, cell by cell, for the products of warpgroups that read it.
StatementPtr stored_box(const Program& program, const BoxCopy& c, const Alloc& memory) {
    const Stage& s = program.bound.graph.stages[c.stage];
    Spread threads;
    std::vector<Expr> place;
    for (size_t d = 0; d < memory.extent.size(); ++d) {
        const Expr extent = index_number(memory.extent[d]);
        threads.axes.push_back({make_variable(fmt::format("{}.{}", s.name, d), DType::i64), extent});
        place.push_back(threads.axes.back().variable);
    }
    std::vector<Expr> from(c.source->args.begin(), c.source->args.begin() + static_cast<std::ptrdiff_t>(c.source->index_count()));
    const Expr column = index_sum(simplify_index(make_op(Op::mul, DType::i64, {place[0], threads.axes[2].extent})), place[2]);
    from.back() = index_sum(from.back(), column);
    from[from.size() - 2] = index_sum(from[from.size() - 2], place[1]);
    from.push_back(make_constant_bits(s.dtypes[0], 0));
    const Expr value = make_access({c.source->target().input, nullptr, Boundary::constant}, std::move(from), s.dtypes[0],
                                   c.source->component(), c.source->where);
    threads.body = statement(Assign{c.stage, std::move(place), {value}});
    return sequence({statement(std::move(threads)), statement(Fence{})});
}

StatementPtr through_registers(const Program& program, const StatementPtr& s, std::map<size_t, const Alloc*> memory = {}) {
    if (const auto* c = std::get_if<AsyncCopy>(&s->node)) return c->otherwise;
    if (const auto* c = std::get_if<BoxCopy>(&s->node)) return stored_box(program, *c, *memory.at(c->stage));
    if (const auto* a = std::get_if<Alloc>(&s->node)) {
        Alloc out = *a;
        out.buffers = 1;
        memory[a->stage] = a;
        out.body = through_registers(program, a->body, memory);
        return statement(std::move(out));
    }
    return map_children(s, [&](const StatementPtr& child) { return through_registers(program, child, memory); });
}

}  // namespace

Program written_program(const TileKernel& kernel, const Target& target, Copies copies) {
    Program program = kernel.state().program;
    if (copies == Copies::plain)
        for (Kernel& k : program.kernels) {
            k.body = through_registers(program, k.body);
            k.producers = k.producer_registers = k.consumer_registers = 0;
        }
    return synchronise(std::move(program), target, copies);
}

}  // namespace tile
}  // namespace tessera
