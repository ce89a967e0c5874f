#include "base/match.h"
#include "schedule/loop_split.h"
#include "tile/async_copy.h"
#include "tile/atomic_update.h"
#include "tile/box_copy.h"
#include "tile/buffer_layout.h"
#include "tile/environment.h"
#include "tile/fragment_product.h"
#include "tile/kernel_record.h"
#include "tile/loop_tree_walk.h"
#include "tile/lower.h"
#include "tile/online_rows.h"
#include "tile/register_shares.h"
#include "tile/row_reduction.h"
#include "tile/thread_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace tessera::tile {
namespace {

using Tree = tessera::Statement;
using TreePtr = tessera::StatementPtr;

/// Where a statement stands: among the block loops, run by all threads of the block, by one warp or warpgroup, by one thread.
enum class Level { grid, block, warp, group, thread };

class KernelLowering {
public:
    KernelLowering(const LoopTree& tree, Copies copies)
        : tree_(tree), out_{tree.bound, {}, {}}, plain_(copies == Copies::plain), cell_by_cell_(plain_) {}

    Program run() {
        at_root(tree_.root);
        return std::move(out_);
    }

private:
    const Stage& stage(size_t i) const { return tree_.bound.graph.stages[i]; }
    const BoundStage& placed(size_t i) const { return tree_.bound.stages[i]; }

    // ---- the host: every nest is a kernel

    void at_root(const TreePtr& s) {
        match(
            s->node,
            [&](const tessera::Block& b) {
                for (const TreePtr& child : b.statements) at_root(child);
            },
            [&](const tessera::Let& l) {
                root_lets_.push_back(l);
                environment_.add_let(l.variable, l.value);
                at_root(l.body);
            },
            [&](const tessera::Allocate& a) {
                Scratch scratch{a.stage, {}, {}};
                for (const Expr& e : a.begin) scratch.begin.push_back(environment_.resolved(e));
                for (const Expr& e : a.extent) scratch.extent.push_back(environment_.resolved(e));
                if (a.space == Space::shared || a.space == Space::register_)
                    throw Error(E0508_storage, stage(a.stage).where,
                                fmt::format("{} is computed at root but stored in {} memory", stage(a.stage).name, word(a.space)),
                                {fix("store it in global memory"), fix("compute it at a block loop of what reads it")});
                out_.scratch.push_back(std::move(scratch));
                at_root(a.body);
            },
            [&](const tessera::Produce& p) {
                producing_ = p.stage;
                if (is_combined(p.stage)) refuse_root_combination(p.stage);
                at_root(p.body);
            },
            [&](const tessera::Loop&) { add_kernel(s); }, [&](const tessera::Guard&) { add_kernel(s); },
            [&](const tessera::Store&) { add_kernel(s); }, [&](const CallRoutine& c) { refuse_routine(c); });
    }

    // Binding for a GPU refuses them.
    [[noreturn]] void refuse_routine(const CallRoutine& c) const {
        throw Bug(B0951_internal, stage(c.stage).where, fmt::format("routine {} in a tree for a GPU", stage(c.stage).symbol));
    }

    void add_kernel(const TreePtr& s) {
        Kernel kernel;
        const std::string& root = stage(producing_).name;
        for (const char c : root) kernel.name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
        kernel.name += fmt::format("_{}", out_.kernels.size());
        const Environment outside = environment_;
        kernel_ = &kernel;
        most_threads_ = 32, scanning_threads_ = 0;
        StatementPtr body = lower(s, Level::grid);
        for (size_t i = root_lets_.size(); i-- > 0;) body = statement(Let{root_lets_[i].variable, root_lets_[i].value, body});
        kernel.body = std::move(body);
        const auto spec = tree_.bound.kernels.find(root);
        size_kernel(kernel, {most_threads_, scanning_threads_}, spec == tree_.bound.kernels.end() ? nullptr : &spec->second,
                    stage(producing_), plain_);
        environment_ = outside;
        spaces_.clear();
        out_.kernels.push_back(std::move(kernel));
    }

    // ---- statements of a kernel

    StatementPtr lower(const TreePtr& s, Level level) {
        if (level == Level::grid && !leads_to_blocks(*s)) level = Level::block;
        if (level == Level::block || level == Level::warp || level == Level::group)
            if (const auto alone = lower_alone(s, level)) return alone;
        return match(
            s->node,
            [&](const tessera::Block& b) {
                std::vector<StatementPtr> out;
                for (const TreePtr& child : b.statements) out.push_back(lower(child, level));
                return sequence(std::move(out));
            },
            [&](const tessera::Let& l) {
                environment_.add_let(l.variable, l.value);
                return statement(Let{l.variable, l.value, lower(l.body, level)});
            },
            [&](const tessera::Guard& g) {
                return statement(If{g.condition, lower(g.body, level)});
            },
            [&](const tessera::Loop& l) { return lower_loop(l, level); },
            [&](const tessera::Allocate& a) { return lower_allocation(a, level); },
            [&](const tessera::Produce& p) {
                if (is_combined(p.stage)) return lower_combined(p, level);
                refuse_shared_update(p.stage);
                if (reduces_rows(stage(p.stage), placed(p.stage))) return lower_rows(p, level);
                const auto memory = shared_.find(p.stage);
                if (placed(p.stage).engine != Engine::tma || memory == shared_.end()) return lower(p.body, level);
                if (plain_) return sequence({lower(p.body, level), statement(Fence{})});
                return statement(box_copy(tree_.bound, p, memory->second, environment_));
            },
            [&](const tessera::Store& w) { return lower_store(w); },
            [&](const CallRoutine& c) -> StatementPtr { refuse_routine(c); });
    }

    // Blocks whose regions overlap would start and combine the same cells.
    void refuse_shared_update(size_t i) const {
        const Stage& s = stage(i);
        if (!s.update || spaces_.count(i) != 0) return;
        throw Limit(L0903_schedule, s.where, fmt::format("{} is combined inside a kernel and stored outside it", s.name),
                    {fix("store it where it is computed"), fix("compute it at root")});
    }

    static bool leads_to_blocks(const Tree& s) {
        const auto* l = std::get_if<tessera::Loop>(&s.node);
        return (l && is_of_grid(l->kind)) || std::holds_alternative<tessera::Let>(s.node) ||
               std::holds_alternative<tessera::Guard>(s.node);
    }

    // In registers.
    bool is_own(size_t i) const {
        const auto space = spaces_.find(i);
        return space != spaces_.end() && space->second == Space::register_;
    }
    // A statement without spreads that is not a sequence: registers are written by every thread, other memory by one.
    StatementPtr lower_alone(const TreePtr& s, Level level) {
        if (std::holds_alternative<tessera::Block>(s->node) || std::holds_alternative<tessera::Let>(s->node)) return nullptr;
        bool spreads = false, registers = false, memory = false;
        std::set<size_t> inside;
        std::string names;
        visit_tree(*s, [&](const Tree& t) {
            if (const auto* l = std::get_if<tessera::Loop>(&t.node))
                spreads = spreads || is_spread(l->kind) || l->kind == LoopKind::frag || is_of_grid(l->kind);
            if (const auto* a = std::get_if<tessera::Allocate>(&t.node)) inside.insert(a->stage);
            const auto* w = std::get_if<tessera::Store>(&t.node);
            if (!w || inside.count(w->stage)) return;
            (is_own(w->stage) ? registers : memory) = true;
            names = stage(w->stage).name;
        });
        if (spreads || !memory) return nullptr;
        if (registers)
            throw Limit(L0903_schedule, stage(producing_).where,
                        fmt::format("one nest without thread loops writes registers and, in {}, other memory", names),
                        {fix("give the stages loops of their own instead of fuse_with")});
        Spread alone;
        alone.over = level == Level::block ? Scope::thread : level == Level::warp ? Scope::lane : Scope::member;
        const Environment outside = environment_;
        alone.body = lower(s, Level::thread);
        environment_ = outside;
        return statement(std::move(alone));
    }

    // The zero-based variable of a loop; `bound` wraps its body with the loop's own one.
    static Expr zero_based(const tessera::Loop& l) {
        if (integer_constant(l.begin) == 0) return l.variable;
        return make_variable(name_of(l.variable) + ".at", DType::i64);
    }
    StatementPtr with_index(const tessera::Loop& l, const Expr& variable, StatementPtr body) const {
        if (variable.same_as(l.variable)) return body;
        return statement(Let{l.variable, index_sum(l.begin, variable), std::move(body)});
    }
    void enter(const tessera::Loop& l, const Expr& variable) {
        environment_.add_range(variable, l.extent);
        if (!variable.same_as(l.variable)) environment_.add_let(l.variable, index_sum(l.begin, variable));
    }

    StatementPtr lower_loop(const tessera::Loop& l, Level level) {
        if (is_of_grid(l.kind)) return lower_block_loop(l, level);
        if (is_spread(l.kind)) return lower_spread(l, level);
        if (l.kind == LoopKind::frag) return lower_fragment(l, level);
        For f;
        f.variable = zero_based(l);
        f.extent = l.extent;
        f.unrolled = l.kind != LoopKind::serial;
        std::optional<AsyncCopy> copy;
        if (l.kind == LoopKind::vector && level == Level::thread && !cell_by_cell_)
            copy = asynchronous_copy(tree_.bound, l, environment_);
        if (copy) cell_by_cell_ = true, f.unrolled = false;
        enter(l, f.variable);
        f.body = with_index(l, f.variable, lower(l.body, level));
        if (!copy) return statement(std::move(f));
        cell_by_cell_ = false;
        copy->otherwise = statement(std::move(f));
        return statement(std::move(*copy));
    }

    StatementPtr lower_block_loop(const tessera::Loop& l, Level level) {
        if (level != Level::grid)
            throw Limit(
                L0903_schedule, stage(producing_).where,
                fmt::format("{} loop {} stands inside other loops of its kernel", word(l.kind), l.name),
                {fix("put the block loops outermost, and compute what stands inside at one of them without block loops")});
        const Expr variable = zero_based(l);
        add_axis(*kernel_, l.kind == LoopKind::cluster && !plain_, {variable, environment_.resolved(l.extent)}, l.name,
                 stage(producing_));
        enter(l, variable);
        return with_index(l, variable, lower(l.body, Level::grid));
    }

    // ---- spreads

    StatementPtr lower_spread(const tessera::Loop& l, Level level) {
        const Level needed = l.kind == LoopKind::lane ? Level::warp : Level::block;
        if (level != needed) {
            const bool lane = l.kind == LoopKind::lane;
            throw Error(E0506_loop_kind, stage(producing_).where,
                        fmt::format("{} loop {} stands {}", word(l.kind), l.name,
                                    lane && level != Level::thread ? "outside all warp loops"
                                                                   : "inside a loop that a thread or warp runs alone"),
                        {lane ? fix("put a warp loop around it, or make it a thread loop")
                              : fix("compute the stage at a block loop, or make the loop serial")});
        }
        if (const tessera::Store* store = scan_ ? nullptr : scanned_by(tree_.bound, l)) return lower_scan(l, *store);
        Spread spread = dealt_out(l);
        note_threads(spread);
        return statement(std::move(spread));
    }
    Spread dealt_out(const tessera::Loop& l) {
        Spread spread;
        spread.over = l.kind == LoopKind::thread      ? Scope::thread
                      : l.kind == LoopKind::warp      ? Scope::warp
                      : l.kind == LoopKind::warpgroup ? Scope::warpgroup
                                                      : Scope::lane;
        const Environment outside = environment_;
        std::set<const ExprNode*> inside;
        spread.body = spread_loop(l, spread, inside);
        environment_ = outside;
        return spread;
    }

    // The thread of a step is that of its position, so none may have two.
    StatementPtr lower_scan(const tessera::Loop& l, const tessera::Store& store) {
        ThreadScan scan{store.stage, add_before(out_.bound, store.stage), false};
        Alloc before;
        before.stage = scan.before;
        before.space = Space::register_;
        scan_ = &scan;
        Spread first = dealt_out(l);
        scan.stores = true;
        Spread second = dealt_out(l);
        scan_ = nullptr;
        second.body = sequence({continue_scan(out_.bound, scan, l, store), second.body});
        const auto count = positions(first.axes, environment_);
        const std::int64_t most = first.over == Scope::lane ? 32 : 1024;
        if (!count || *count > most)
            throw Limit(L0903_schedule, stage(store.stage).where,
                        fmt::format("{} loop {} has {} positions, where {} may scan together", word(l.kind), l.name,
                                    count ? std::to_string(*count) : "an unknown number of", most),
                        {fix(fmt::format("put a serial loop with a constant tile over {} outside it",
                                         stage(store.stage).update->reduction_dims[0].name()))});
        note_threads(first);
        if (first.over == Scope::thread) scanning_threads_ = std::max(scanning_threads_, *count);
        const Scope over = first.over;
        before.body = sequence({start_scan(out_.bound, scan), statement(std::move(first)),
                                statement(Combine{scan.before, over, true}), statement(std::move(second))});
        return statement(std::move(before));
    }

    // An extent that is not constant but bounded gives an axis of the bound, with a guard: which thread has which position is
    // then known when the kernel is compiled.
    StatementPtr spread_loop(const tessera::Loop& l, Spread& spread, std::set<const ExprNode*>& inside) {
        const Expr variable = zero_based(l), extent = extent_outside(l, spread, inside);
        const auto most = environment_.constant_bound(extent);
        const bool guarded = most && *most >= 1 && *most <= 1024 && !integer_constant(environment_.resolved(extent));
        spread.axes.push_back({variable, guarded ? index_number(*most) : extent});
        inside.insert(l.variable.get());
        enter(l, variable);
        StatementPtr body = with_index(l, variable, spread_body(l.body, l.kind, spread, inside));
        return guarded ? statement(If{make_op(Op::lt, DType::bool_, {variable, extent}), std::move(body)}) : body;
    }
    // Adjacent loops of one kind, with names and guards between them at most, are one space.
    StatementPtr spread_body(const TreePtr& s, LoopKind kind, Spread& spread, std::set<const ExprNode*>& inside) {
        if (const auto* l = std::get_if<tessera::Let>(&s->node)) {
            environment_.add_let(l->variable, l->value);
            inside.insert(l->variable.get());
            return statement(Let{l->variable, l->value, spread_body(l->body, kind, spread, inside)});
        }
        if (const auto* g = std::get_if<tessera::Guard>(&s->node))
            return statement(If{g->condition, spread_body(g->body, kind, spread, inside)});
        if (const auto* l = std::get_if<tessera::Loop>(&s->node))
            if (l->kind == kind) return spread_loop(*l, spread, inside);
        return lower(s, kind == LoopKind::warp ? Level::warp : kind == LoopKind::warpgroup ? Level::group : Level::thread);
    }
    Expr extent_outside(const tessera::Loop& l, const Spread& spread, const std::set<const ExprNode*>& inside) const {
        bool names_inside = false;
        for_each_node({l.extent}, [&](const Expr& n) { names_inside = names_inside || inside.count(n.get()) != 0; });
        if (!names_inside) return l.extent;
        const Expr extent = environment_.resolved(l.extent);
        for_each_node({extent}, [&](const Expr& n) {
            for (const Axis& a : spread.axes)
                if (n.same_as(a.variable))
                    throw Limit(L0903_schedule, stage(producing_).where,
                                fmt::format("the extent of {} loop {} depends on the position in the loop around it",
                                            word(l.kind), l.name),
                                {fix("make the inner loop serial"), fix("give the outer loop tail guard")});
        });
        return extent;
    }

    // ---- fragments: what a warp holds as mma.sync deals it out

    // Lane 4 a + b has rows a + 8 u and columns 2 b + 8 v + w of a product.
    StatementPtr lower_fragment(const tessera::Loop& l, Level level) {
        if (level != Level::warp && level != Level::group)
            throw Error(E0506_loop_kind, stage(producing_).where,
                        fmt::format("frag loop {} stands outside all warp loops", l.name), {fix("put warp loops around it")});
        if (is_product(tree_.bound, l)) return lower_product(l, level);
        Spread lanes;
        lanes.over = level == Level::warp ? Scope::lane : Scope::member;
        if (level == Level::group) lanes.axes.push_back({make_variable("warp.part", DType::i64), index_number(4)});
        lanes.axes.push_back({make_variable("row.lane", DType::i64), index_number(8)});
        lanes.axes.push_back({make_variable("column.lane", DType::i64), index_number(4)});
        for (const Axis& a : lanes.axes) environment_.add_range(a.variable, a.extent);
        lanes.body = fragment_rows(l, lanes.axes);
        return statement(std::move(lanes));
    }
    std::int64_t fragment_extent(const tessera::Loop& l) const {
        const auto extent = integer_constant(environment_.resolved(l.extent));
        if (extent && *extent % 16 == 0) return *extent;
        throw Limit(
            L0903_schedule, stage(producing_).where, fmt::format("frag loop {} does not cover a constant multiple of 16", l.name),
            {fix("put a warp loop with a tile of 16, 32 or 64 over the same dim outside it, with tail guard or round_up")});
    }
    For counted(const std::string& name, std::int64_t extent) {
        For f;
        f.variable = make_variable(name, DType::i64);
        f.extent = index_number(extent);
        f.unrolled = true;
        environment_.add_range(f.variable, f.extent);
        return f;
    }
    StatementPtr fragment_rows(const tessera::Loop& l, const std::vector<Axis>& lanes) {
        const std::int64_t extent = fragment_extent(l);
        const bool grouped = lanes.size() == 3;
        if (grouped && extent != 64)
            throw Limit(L0903_schedule, stage(producing_).where,
                        fmt::format("frag loop {} of a warpgroup covers {} rows, not 64", l.name, extent),
                        {fix("put a warpgroup loop with a tile of 64 over the same dim outside it")});
        For rows = counted(l.name + ".u", grouped ? 2 : extent / 8);
        Expr at = index_sum(l.begin, index_sum(lanes[lanes.size() - 2].variable, scaled(rows.variable, 8)));
        if (grouped) at = index_sum(at, scaled(lanes[0].variable, 16));
        environment_.add_let(l.variable, at);
        rows.body = statement(Let{l.variable, at, fragment_body(l.body, lanes)});
        return statement(std::move(rows));
    }
    StatementPtr fragment_body(const TreePtr& s, const std::vector<Axis>& lanes) {
        if (const auto* let = std::get_if<tessera::Let>(&s->node)) {
            environment_.add_let(let->variable, let->value);
            return statement(Let{let->variable, let->value, fragment_body(let->body, lanes)});
        }
        if (const auto* g = std::get_if<tessera::Guard>(&s->node))
            return statement(If{g->condition, fragment_body(g->body, lanes)});
        if (const auto* w = std::get_if<tessera::Store>(&s->node)) {
            // The four lanes of a row all have its cell; one of them stores it elsewhere.
            const Expr first = make_op(Op::eq, DType::bool_, {lanes.back().variable, index_number(0)});
            return is_own(w->stage) ? lower_store(*w) : statement(If{first, lower_store(*w)});
        }
        const auto* l = std::get_if<tessera::Loop>(&s->node);
        if (!l || l->kind != LoopKind::frag)
            throw Limit(L0903_schedule, stage(producing_).where,
                        fmt::format("{} has one frag loop alone", stage(producing_).name),
                        {fix("make the two last dims of the product frag loops, rows outside")});
        const std::int64_t extent = fragment_extent(*l);
        For blocks = counted(l->name + ".v", extent / 8), pair = counted(l->name + ".w", 2);
        const Expr at = index_sum(
            l->begin, index_sum(index_sum(scaled(lanes.back().variable, 2), scaled(blocks.variable, 8)), pair.variable));
        environment_.add_let(l->variable, at);
        pair.body = statement(Let{l->variable, at, lower(l->body, Level::thread)});
        blocks.body = statement(std::move(pair));
        return statement(std::move(blocks));
    }
    static Expr scaled(const Expr& e, std::int64_t by) {
        return simplify_index(make_op(Op::mul, DType::i64, {e, index_number(by)}));
    }

    // { init; update of each lane's own cells; combine the lanes of each row }
    StatementPtr lower_rows(const tessera::Produce& p, Level level) {
        if (!is_own(p.stage))
            throw Limit(L0903_schedule, stage(p.stage).where,
                        fmt::format("{} reduces rows of fragments and is not stored in registers", stage(p.stage).name),
                        {fix("store it in registers"), fix("reduce over thread or lane loops")});
        return combine_rows(stage(p.stage), p.stage, lower(p.body, level));
    }

    StatementPtr lower_product(const tessera::Loop& outer, Level level) {
        const ProductNest nest = product_nest(outer, stage(producing_));
        for (const tessera::Let* l : nest.lets) environment_.add_let(l->variable, l->value);
        std::array<std::int64_t, 3> extents{};
        for (size_t i = 0; i < 3; ++i) extents[i] = fragment_extent(*nest.loops[i]);
        return statement(fragment_product(tree_.bound, level == Level::group, nest.loops, *nest.store, extents));
    }

    void note_threads(const Spread& spread) {
        const std::int64_t unit = spread.over == Scope::warpgroup ? 128 : spread.over == Scope::warp ? 32 : 1;
        const std::int64_t several = spread.over == Scope::warpgroup ? 2
                                     : spread.over == Scope::warp    ? 8
                                     : spread.over == Scope::lane    ? 32
                                                                     : 256;
        const std::int64_t wanted = positions(spread.axes, environment_).value_or(several);
        most_threads_ = std::max(most_threads_, std::min<std::int64_t>(wanted, 1024 / unit) * unit);
    }

    // ---- memory

    StatementPtr lower_allocation(const tessera::Allocate& a, Level level) {
        const Stage& s = stage(a.stage);
        const auto refuse = [&](std::string_view what, std::string_view instead) {
            throw Limit(L0903_schedule, s.where, fmt::format("{} is stored in {} memory where {}", s.name, word(a.space), what),
                        {fix(std::string(instead))});
        };
        bool spread = false;
        visit_tree(*a.body, [&](const Tree& t) {
            const auto* p = std::get_if<tessera::Produce>(&t.node);
            if (p && p->stage == a.stage)
                visit_tree(*p->body, [&](const Tree& inner) {
                    const auto* l = std::get_if<tessera::Loop>(&inner.node);
                    spread = spread || (l && (is_spread(l->kind) || l->kind == LoopKind::frag));
                });
        });
        const bool own = a.space == Space::register_ || a.space == Space::stack;
        Alloc out;
        out.stage = a.stage;
        out.space = own || level == Level::thread || is_combined(a.stage) || (a.space == Space::auto_ && !spread)
                        ? Space::register_
                        : Space::shared;
        if (a.space == Space::global || a.space == Space::heap)
            refuse("it is computed inside a kernel", "compute it at root, or store it in shared memory or registers");
        if (a.space == Space::shared && level == Level::thread)
            refuse("one thread computes it", "compute it at a block loop, or store it in registers");
        if (a.space == Space::shared && is_combined(a.stage))
            refuse("threads combine it", "store it in registers: all threads have the result");
        if (out.space == Space::shared && (level == Level::warp || level == Level::group))
            refuse("one warp computes it", "compute it at a block loop, or store it in registers");
        out.begin = a.begin;
        for (size_t d = 0; d < a.extent.size(); ++d) {
            const auto most = environment_.constant_bound(a.extent[d]);
            if (!most)
                throw Error(E0508_storage, s.where,
                            fmt::format("{} is stored in {} memory, but how much of dim {} one {} needs has no constant bound",
                                        s.name, word(out.space), s.dims[d].name(), level == Level::thread ? "thread" : "block"),
                            {fix("tile the loops that it is computed at"), fix(fmt::format("compute {} at root", s.name)),
                             fix(fmt::format("promise a bound: Dim {}.at_most(…)", s.dims[d].name()))});
            out.extent.push_back(std::max<std::int64_t>(*most, 1));
        }
        if (out.space == Space::register_) {
            const bool own_cells = level == Level::thread || is_combined(a.stage) || !spread;
            out.shares =
                own_cells ? std::vector<std::vector<Share>>(s.dims.size()) : register_shares(s, placed(a.stage).pure, out.extent);
        }
        lay_out(s, placed(a.stage), out);
        if (plain_) out.buffers = 1;
        const auto before = spaces_.find(a.stage) == spaces_.end() ? std::optional<Space>() : spaces_[a.stage];
        spaces_[a.stage] = out.space;
        if (out.space == Space::shared) shared_[a.stage] = out;
        out.body = lower(a.body, level);
        shared_.erase(a.stage);
        if (before)
            spaces_[a.stage] = *before;
        else
            spaces_.erase(a.stage);
        return statement(std::move(out));
    }

    // ---- reductions that threads share

    bool is_combined(size_t i) const {
        if (stage(i).kind != Stage::Kind::reduction) return false;
        for (const BoundLoop& l : placed(i).update)
            if (l.reduction && is_spread(l.kind)) return true;
        return false;
    }

    [[noreturn]] void refuse_root_combination(size_t i) const {
        throw Limit(
            L0903_schedule, stage(i).where,
            fmt::format("{} is computed at root and its reduction runs on threads", stage(i).name),
            {fix("compute it at a block loop of what reads it"), fix("reduce serially, with thread loops over its dims")});
    }

    // { init; update over threads }  ->  { init everywhere; update of each thread's own partial; combine }
    StatementPtr lower_combined(const tessera::Produce& p, Level level) {
        const Stage& s = stage(p.stage);
        const auto space = spaces_.find(p.stage);
        if (space == spaces_.end()) refuse_root_combination(p.stage);
        Scope scope = Scope::lane;
        for (const BoundLoop& l : placed(p.stage).update) {
            if (!is_spread(l.kind)) continue;
            if (l.reduction && (l.kind == LoopKind::warp || l.kind == LoopKind::warpgroup))
                throw Limit(L0903_schedule, s.where, fmt::format("loop {} of {} reduces over warps", l.name, s.name),
                            {fix("use a thread loop, which is warps and lanes")});
            if (!l.reduction)
                throw Limit(
                    L0903_schedule, s.where,
                    fmt::format("loop {} of {} is a {} loop beside a reduction on threads", l.name, s.name, word(l.kind)),
                    {fix(fmt::format("compute {} at a warp loop and reduce over lanes", s.name)), fix("make the loop serial")});
            if (l.kind == LoopKind::thread) scope = Scope::thread;
        }
        if ((scope == Scope::thread) != (level == Level::block) || level == Level::thread)
            throw Error(
                E0506_loop_kind, s.where,
                fmt::format("{} reduces over {}s where {} computes it", s.name, scope == Scope::thread ? "thread" : "lane",
                            level == Level::block  ? "the whole block"
                            : level == Level::warp ? "one warp"
                                                   : "one thread"),
                {fix(level == Level::block  ? "use thread loops"
                     : level == Level::warp ? "use lane loops"
                                            : "reduce serially")});
        return sequence({lower(p.body, level), statement(Combine{p.stage, scope})});
    }

    StatementPtr lower_store(const tessera::Store& w) {
        if (scan_ && w.stage == scan_->stage) return scan_step(out_.bound, *scan_, w);
        if (placed(w.stage).method == Method::blocked) return start_of_time(out_.bound, w);
        Assign out{w.stage, w.place, w.values, false};
        const Stage& s = stage(w.stage);
        if (placed(w.stage).engine == Engine::cp_async && !cell_by_cell_) refuse_single_cells(s);
        out.atomic = is_atomic_update(tree_.bound, w);
        return statement(std::move(out));
    }

    const LoopTree& tree_;
    Program out_;
    std::vector<tessera::Let> root_lets_;
    size_t producing_ = 0;
    Environment environment_;
    Kernel* kernel_ = nullptr;
    std::int64_t most_threads_ = 32, scanning_threads_ = 0;
    const ThreadScan* scan_ = nullptr;  // around the statement
    std::map<size_t, Space> spaces_;    // of the stages allocated around the statement
    std::map<size_t, Alloc> shared_;    // without their bodies
    bool plain_;
    bool cell_by_cell_;  // no copy is asynchronous, or where one is not whole
};

}  // namespace

Program lower_kernels(const LoopTree& tree, Copies copies) { return run_online(KernelLowering(tree, copies).run()); }

}  // namespace tessera::tile
