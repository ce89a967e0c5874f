#include "base/match.h"
#include "expr/index_analysis.h"
#include "schedule/loop_split.h"
#include "tile/environment.h"
#include "tile/fragment_product.h"
#include "tile/lower.h"

#include <fmt/format.h>

#include <map>
#include <set>

namespace tessera::tile {
namespace {

class Verifier {
public:
    Verifier(const Program& program, const Kernel& kernel) : program_(program), kernel_(kernel) {
        for (size_t i = 0; i < stages().size(); ++i)
            if (stages()[i].output) global_.insert(i);
        for (const Scratch& s : program.scratch) global_.insert(s.stage);
    }

    void run() {
        if (!kernel_.persistent)
            for (const Axis& a : kernel_.grid) bind(a.variable);
        for (const Axis& a : kernel_.cluster) bind(a.variable);
        visit(*kernel_.body, Scope::thread, false);
    }

private:
    const std::vector<Stage>& stages() const { return program_.bound.graph.stages; }
    [[noreturn]] void fail(const std::string& message) const {
        throw Bug(B0951_internal, {}, message, {note(fmt::format("found in kernel {}", kernel_.name))});
    }
    void bind(const Expr& variable) {
        if (!bound_.insert(variable.get()).second) fail(fmt::format("variable {} is bound twice", name_of(variable)));
    }
    bool available(size_t stage) const { return global_.count(stage) != 0 || local_.count(stage) != 0; }

    void check(const std::vector<Expr>& exprs) {
        for_each_node(exprs, [&](const Expr& n) {
            if (n->op == Op::variable && !bound_.count(n.get()))
                fail(fmt::format("variable {} is used where it is not bound", name_of(n)));
            if (n->op == Op::dim) fail(fmt::format("dim {} is left over", n->dim().name()));
            if (n->op != Op::access || !n->target().func) return;
            const auto i = program_.bound.graph.find(n->target().func.get());
            if (!i || !available(*i)) fail(fmt::format("{} is read outside its memory", n->target().func->name));
        });
    }

    void check_ring(const std::vector<size_t>& stages, std::int64_t ring) const {
        if (!in_roles_ || ring < 2) fail("a buffer is handed over outside roles");
        for (const size_t i : stages)
            if (rings_.count(i) == 0) fail(fmt::format("{} has not several buffers", program_.bound.graph.stages[i].name));
    }

    void check_turn(bool alone, Scope scope) const {
        if (alone || scope != Scope::thread || !in_tiles_ || kernel_.consumers < 2)
            fail("a turn is handed over where no consumers take turns");
    }

    // `scope`: who meets at a barrier here; `alone`: a position of a thread or lane.
    void visit(const Statement& s, Scope scope, bool alone) {
        check(expressions(s));
        const auto scoped = [&](const Expr& variable, const StatementPtr& body) {
            bind(variable);
            visit(*body, scope, alone);
            bound_.erase(variable.get());
        };
        match(
            s.node,
            [&](const Sequence& q) {
                for (const StatementPtr& child : q.statements) visit(*child, scope, alone);
            },
            [&](const For& f) { scoped(f.variable, f.body); }, [&](const Let& l) { scoped(l.variable, l.body); },
            [&](const If& i) { visit(*i.body, scope, alone); },
            [&](const Spread& p) {
                const bool outside = p.over == Scope::thread || inside_of(p.over);
                if (alone || (outside ? scope != Scope::thread : scope != p.over)) fail("a spread stands inside a spread");
                for (const Axis& a : p.axes) bind(a.variable);
                visit(*p.body, inside_of(p.over).value_or(scope), !inside_of(p.over));
                for (const Axis& a : p.axes) bound_.erase(a.variable.get());
            },
            [&](const Alloc& a) {
                if (a.begin.size() != stages()[a.stage].dims.size() || a.extent.size() != a.begin.size())
                    fail(fmt::format("the memory of {} has another rank", stages()[a.stage].name));
                if (a.space == Space::shared && (alone || scope != Scope::thread))
                    fail(fmt::format("{} is in shared memory of one warp or thread", stages()[a.stage].name));
                if ((a.buffers != 1 || a.swizzled) && a.space != Space::shared)
                    fail(fmt::format("{} has buffers but is not in shared memory", stages()[a.stage].name));
                if (!local_.insert(a.stage).second)
                    fail(fmt::format("{} is allocated inside its allocation", stages()[a.stage].name));
                if (a.buffers > 1) rings_.insert(a.stage), local_.erase(a.stage);
                if (a.grouped) grouped_.insert(a.stage);
                if (a.boxed && (a.space != Space::shared || a.extent.size() != 3))
                    fail(fmt::format("{} has no dims of boxes", stages()[a.stage].name));
                if (a.space == Space::register_) registers_.insert(a.stage);
                visit(*a.body, scope, alone);
                local_.erase(a.stage);
                registers_.erase(a.stage);
                rings_.erase(a.stage);
                grouped_.erase(a.stage);
            },
            [&](const InBuffer& b) {
                if (rings_.count(b.stage) == 0 || !local_.insert(b.stage).second)
                    fail(fmt::format("{} has not several buffers here", stages()[b.stage].name));
                if (b.begin.size() != stages()[b.stage].dims.size())
                    fail(fmt::format("a buffer of {} has another rank", stages()[b.stage].name));
                visit(*b.body, scope, alone);
                local_.erase(b.stage);
            },
            [&](const AsyncCopy& c) {
                const Stage& target = stages()[c.stage];
                if (!alone || scope != Scope::thread)
                    fail(fmt::format("a copy of {} is started by several threads", target.name));
                if (local_.count(c.stage) == 0 || registers_.count(c.stage) != 0)
                    fail(fmt::format("a copy of {} does not go to shared memory", target.name));
                if (c.place.size() != target.dims.size() || c.source->op != Op::access || c.source->dtype != target.dtypes[0])
                    fail(fmt::format("a copy of {} has another shape", target.name));
                const std::int64_t bytes = c.cells * dtype_bytes(target.dtypes[0]);
                if (bytes != 4 && bytes != 8 && bytes != 16) fail(fmt::format("a copy of {} moves {} bytes", target.name, bytes));
                visit(*c.otherwise, scope, alone);
            },
            [&](const BoxCopy& c) {
                if (alone || scope != Scope::thread || local_.count(c.stage) == 0 || registers_.count(c.stage) != 0)
                    fail(fmt::format("a box of {} does not go to shared memory of the block", stages()[c.stage].name));
                if (!c.source->target().input) fail(fmt::format("a box of {} is read from no input", stages()[c.stage].name));
            },
            [&](const Roles& r) {
                if (alone || scope != Scope::thread || in_roles_ || kernel_.producers == 0)
                    fail("roles stand inside other statements of some threads");
                in_roles_ = true;
                visit(*r.copies, scope, false);
                if (kernel_.consumers > 1 && !kernel_.persistent) fail("consumers share one tile");
                visit(*r.rest, scope, false);
                in_roles_ = false;
            },
            [&](const Tiles& t) {
                if (!kernel_.persistent || bound_.count(t.round.get()) != 0) fail("a block takes tiles twice");
                bind(t.round);
                for (const Axis& a : kernel_.grid) bind(a.variable);
                in_tiles_ = true;
                visit(*t.body, scope, alone);
                in_tiles_ = false;
                for (const Axis& a : kernel_.grid) bound_.erase(a.variable.get());
                bound_.erase(t.round.get());
            },
            [&](const Acquire& a) { check_ring(a.stages, a.ring); }, [&](const Release& r) { check_ring(r.stages, r.ring); },
            [&](const TakeTurn&) { check_turn(alone, scope); }, [&](const PassTurn&) { check_turn(alone, scope); },
            [&](const BoxStore& b) {
                const auto from = program_.bound.graph.find(b.source->target().func.get());
                if (alone || scope != Scope::member || global_.count(b.stage) == 0)
                    fail(fmt::format("boxes of {} are not stored by one warpgroup", stages()[b.stage].name));
                if (!from || grouped_.count(*from) == 0 || b.place.size() != stages()[b.stage].dims.size())
                    fail(fmt::format("boxes of {} are read from no memory of its warpgroup", stages()[b.stage].name));
            },
            [&](const Reclaim& r) {
                if (alone || grouped_.count(r.stage) == 0 || (scope != Scope::thread && scope != Scope::member))
                    fail(fmt::format("{} is reclaimed where not all threads come by", stages()[r.stage].name));
            },
            [&](const Fence&) {
                if (alone || (scope != Scope::thread && scope != Scope::member))
                    fail("a fence stands where not all threads come by");
            },
            [&](const Commit&) {
                if (alone || scope != Scope::thread) fail("a commit of copies stands where not all threads come by");
            },
            [&](const Await& a) {
                if (alone || scope != Scope::thread || (!a.in_flight && a.ring == 0))
                    fail("copies are awaited where not all threads come by");
            },
            [&](const Assign& a) {
                const Stage& target = stages()[a.stage];
                if (!available(a.stage)) fail(fmt::format("{} is stored outside its memory", target.name));
                if (!alone && registers_.count(a.stage) == 0) fail(fmt::format("all threads store {}", target.name));
                if (a.place.size() != target.dims.size() || a.values.size() != target.dtypes.size())
                    fail(fmt::format("a store of {} has another shape", target.name));
                for (size_t c = 0; c < a.values.size(); ++c)
                    if (a.values[c]->dtype != target.dtypes[c]) fail(fmt::format("a store of {} has another dtype", target.name));
            },
            [&](const Combine& c) {
                if (alone || c.over != scope) fail("a combination stands where not all of its threads come by");
                const bool in_warp = c.over == Scope::lane || c.over == Scope::member;
                if ((c.lanes != 32 || c.over == Scope::member) &&
                    (!in_warp || c.before || (c.lanes & (c.lanes - 1)) != 0 || c.lanes < 2 || c.lanes > 32))
                    fail(fmt::format("{} lanes combine", c.lanes));
                if (registers_.count(c.stage) == 0)
                    fail(fmt::format("{} is combined but not in registers", stages()[c.stage].name));
            },
            [&](const Mma& m) {
                if (alone || scope != (m.grouped ? Scope::member : Scope::lane))
                    fail("a product of fragments stands where not all of its threads come by");
                if (registers_.count(m.stage) == 0) fail(fmt::format("{} is no product in registers", stages()[m.stage].name));
                const auto left = program_.bound.graph.find(left_read(m)->target().func.get());
                const bool held = left && registers_.count(*left) != 0;
                if ((held || m.left->op == Op::cast) && (!held || m.left_turned || m.left->dtype != m.right->dtype))
                    fail(fmt::format("a product into {} has a held factor that no instruction takes", stages()[m.stage].name));
            },
            [&](const Settle& w) {
                if (alone || (scope != Scope::thread && scope != Scope::member) || registers_.count(w.stage) == 0)
                    fail(fmt::format("{} is settled where not all threads hold it", stages()[w.stage].name));
            },
            [&](const Barrier& b) {
                if (alone || b.over != scope) fail("a barrier stands where not all of its threads come by");
            });
    }

    const Program& program_;
    const Kernel& kernel_;
    std::set<const ExprNode*> bound_;
    std::set<size_t> global_, local_, registers_, rings_, grouped_;
    bool in_roles_ = false, in_tiles_ = false;
};

// Every access of a register buffer is by the thread that owns the cell.
class OwnershipCheck {
public:
    OwnershipCheck(const Program& program, const Kernel& kernel) : program_(program), kernel_(kernel) {}

    void run() {
        for (const Axis& a : kernel_.grid) environment_.add_range(a.variable, a.extent);
        for (const Axis& a : kernel_.cluster) environment_.add_range(a.variable, a.extent);
        visit(*kernel_.body);
    }

private:
    void check(size_t stage, const std::vector<Expr>& place, std::string_view use) {
        const auto found = registers_.find(stage);
        if (found == registers_.end() || own_index(*found->second, place, dealt_, environment_)) return;
        const Stage& s = program_.bound.graph.stages[stage];
        throw Limit(
            L0903_schedule, s.where,
            fmt::format("{} is stored in registers, but a thread {} cells of other threads", s.name, use),
            {note(fmt::format("kernel {} has {} threads", kernel_.name, kernel_.threads)), fix("store it in shared memory"),
             fix("give its loops and those of what reads it the same thread loops over the same dims")});
    }

    // All of a factor lies in its memory; of boxes all of it is the factor, along their columns.
    void check_factor(const Mma& m, const Expr& access, std::int64_t rows, std::int64_t columns) const {
        const auto i = program_.bound.graph.find(access->target().func.get());
        const auto found = i ? shared_.find(*i) : shared_.end();
        if (found == shared_.end()) refuse_product(program_.bound.graph.stages[m.stage], "a factor is not in shared memory");
        const Alloc& a = found->second;
        if (a.boxed) {
            const bool whole = integer_constant(access->args[0]) == 0 && integer_constant(access->args[2]) == 0 &&
                               a.extent[0] * a.extent[2] == columns && a.extent[2] * dtype_bytes(access->dtype) == 128;
            if (!m.grouped || !a.swizzled || !whole)
                refuse_product(program_.bound.graph.stages[m.stage],
                               fmt::format("{} lies in other boxes", program_.bound.graph.stages[*i].name));
            columns = a.extent[2];
        }
        for (size_t from_end = 1; from_end <= 2; ++from_end) {
            const size_t d = a.extent.size() - from_end;
            const Expr first =
                make_op(Op::sub, DType::i64, {environment_.resolved(access->args[d]), environment_.resolved(a.begin[d])});
            const auto last = environment_.constant_bound(first);
            if (!last || *last + (from_end == 1 ? columns : rows) > a.extent[d])
                refuse_product(program_.bound.graph.stages[m.stage],
                               fmt::format("it reads more of {} than is stored", program_.bound.graph.stages[*i].name));
        }
    }
    // The left factor's where it is in registers.
    Expr held_read(const Mma& m) const {
        const auto i = program_.bound.graph.find(left_read(m)->target().func.get());
        return i && registers_.count(*i) != 0 ? left_read(m) : Expr();
    }
    // What is multiplied from registers is the thread's own, as far as it goes.
    void check_held(const Mma& m, const Expr& held) const {
        const Stage& sums = program_.bound.graph.stages[m.stage];
        const Alloc& memory = *registers_.at(program_.bound.graph.find(held->target().func.get()).value());
        const std::vector<Expr> place(held->args.begin(), held->args.end());
        const auto own = own_fragment(memory, place, dealt_, environment_, m.grouped);
        if (!own || !fits(*own, own_extent(memory), m.grouped ? m.m / 4 : m.m, m.k))
            refuse_product(sums, fmt::format("the registers of {} are not shared as a factor is",
                                             program_.bound.graph.stages[memory.stage].name));
    }
    // Of a fragment of so many rows and columns whose first cell is at `own` in the registers of a thread.
    bool fits(const std::vector<Expr>& own, const std::vector<std::int64_t>& extent, std::int64_t rows,
              std::int64_t columns) const {
        const size_t rank = own.size();
        const auto row = environment_.constant_bound(own[rank - 2]), column = environment_.constant_bound(own[rank - 1]);
        return row && column && *row + rows / 8 <= extent[rank - 2] && *column + columns / 4 <= extent[rank - 1];
    }
    void check_product(const Mma& m) {
        if (const Expr held = held_read(m); held.defined())
            check_held(m, held);
        else
            check_factor(m, m.left, m.left_turned ? m.k : m.m, m.left_turned ? m.m : m.k);
        check_factor(m, m.right, m.right_turned ? m.n : m.k, m.right_turned ? m.k : m.n);
        const auto found = registers_.find(m.stage);
        if (found != registers_.end() && is_own(m, *found->second)) return;
        throw Limit(
            L0903_schedule, program_.bound.graph.stages[m.stage].where,
            fmt::format("the registers of {} are not shared as its product is", program_.bound.graph.stages[m.stage].name),
            {fix("give its init the same warp loops, and frag loops over the same two dims")});
    }

    // Of a warpgroup's product all sums that its threads hold.
    bool is_own(const Mma& m, const Alloc& sums) const {
        const auto own = own_fragment(sums, m.place, dealt_, environment_, m.grouped);
        if (!own || !m.grouped) return own.has_value();
        std::int64_t cells = 1;
        for (const std::int64_t e : own_extent(sums)) cells *= e;
        for (const Expr& e : *own)
            if (environment_.constant_bound(e) != 0) return false;
        return cells * 128 == m.m * m.n;
    }

    void visit(const Statement& s) {
        if (const auto* a = std::get_if<Assign>(&s.node)) check(a->stage, a->place, "writes");
        const auto* product = std::get_if<Mma>(&s.node);
        const Expr held = product ? held_read(*product) : Expr();
        for_each_node(expressions(s), [&](const Expr& n) {
            if (n->op != Op::access || !n->target().func || n.same_as(held)) return;
            const auto i = program_.bound.graph.find(n->target().func.get());
            const std::vector<Expr> place(n->args.begin(), n->args.begin() + static_cast<std::ptrdiff_t>(n->index_count()));
            if (i) check(*i, place, "reads");
        });
        if (product) check_product(*product);
        if (const auto* b = std::get_if<BoxCopy>(&s.node)) check_parts(*b);
        if (const auto* a = std::get_if<Assign>(&s.node)) check_group(a->stage, a->place);
        if (const auto* b = std::get_if<BoxStore>(&s.node))
            check_group(program_.bound.graph.find(b->source->target().func.get()).value(), b->source->args);
        if (const auto* c = std::get_if<AsyncCopy>(&s.node)) check_copy(*c);
        if (const auto* f = std::get_if<For>(&s.node)) environment_.add_range(f->variable, f->extent);
        if (const auto* t = std::get_if<Tiles>(&s.node)) round_ = t->round;
        if (const auto* l = std::get_if<Let>(&s.node)) environment_.add_let(l->variable, l->value);
        const size_t before = dealt_.size();
        if (const auto* p = std::get_if<Spread>(&s.node)) {
            for (const Axis& a : p->axes) environment_.add_range(a.variable, a.extent);
            for (DealtAxis& a : dealt_axes(*p, kernel_.threads, environment_)) dealt_.push_back(std::move(a));
            if (p->over == Scope::warpgroup) group_ = p;
        }
        const auto* alloc = std::get_if<Alloc>(&s.node);
        if (alloc && alloc->space == Space::register_) registers_[alloc->stage] = alloc;
        if (alloc && alloc->space == Space::shared) shared_[alloc->stage] = *alloc;
        if (const auto* b = std::get_if<InBuffer>(&s.node)) shared_.at(b->stage).begin = b->begin;
        for (const StatementPtr& child : children(s)) visit(*child);
        if (alloc) registers_.erase(alloc->stage), shared_.erase(alloc->stage);
        dealt_.resize(before);
    }

    // What one block of a cluster copies to all of them is the same for all.
    void check_parts(const BoxCopy& b) const {
        if (b.parts == 1) return;
        bool alike = kernel_.cluster.size() == 1 && integer_constant(kernel_.cluster[0].extent) == b.parts;
        for (const Expr& e : b.source->args)
            for (const Axis& a : kernel_.cluster) alike = alike && !mentions(environment_.resolved(e), a.variable);
        const Alloc& memory = shared_.at(b.stage);
        if (memory.extent.size() > 3)
            throw Limit(L0903_schedule, program_.bound.graph.stages[b.stage].where,
                        fmt::format("blocks of a cluster share boxes of {}, which have {} dims",
                                    program_.bound.graph.stages[b.stage].name, memory.extent.size()),
                        {expected("two or three"), fix("make the cluster loop a block loop")});
        const std::int64_t rows = memory.extent[memory.extent.size() - 2];
        if (rows % (8 * b.parts) != 0)
            throw Limit(
                L0903_schedule, program_.bound.graph.stages[b.stage].where,
                fmt::format("{} blocks of a cluster share boxes of {}, which have {} rows", b.parts,
                            program_.bound.graph.stages[b.stage].name, rows),
                {expected(fmt::format("a multiple of {} rows", 8 * b.parts)), fix("use a larger tile, or a smaller cluster")});
        if (!alike)
            throw Bug(B0951_internal, {},
                      fmt::format("blocks of a cluster share boxes of {} that are not the same",
                                  program_.bound.graph.stages[b.stage].name));
    }

    // A warpgroup's own memory is at its position, counted through all consumers: the round says which one runs it.
    void check_group(size_t stage, const std::vector<Expr>& place) const {
        const auto found = shared_.find(stage);
        if (found == shared_.end() || !found->second.grouped) return;
        Expr position = index_number(0);
        for (const Axis& a : group_ ? group_->axes : std::vector<Axis>{})
            position = index_sum(simplify_index(make_op(Op::mul, DType::i64, {position, a.extent})), a.variable);
        if (kernel_.consumers > 1 && group_) {
            const Expr consumer = make_op(Op::mod, DType::i64, {round_, index_number(kernel_.consumers)});
            const Expr groups = index_number(positions(group_->axes, environment_).value_or(0));
            position = index_sum(simplify_index(make_op(Op::mul, DType::i64, {consumer, groups})), position);
        }
        if (group_ && environment_.resolved(place[0]).same_as(environment_.resolved(position))) return;
        throw Bug(B0951_internal, {}, fmt::format("{} is used by another warpgroup", program_.bound.graph.stages[stage].name));
    }

    // Both ends of a copy are multiples of its size.
    void check_copy(const AsyncCopy& c) const {
        const Stage& s = program_.bound.graph.stages[c.stage];
        const auto refuse = [&](const std::string& what) {
            throw Error(E0508_storage, s.where,
                        fmt::format("cp_async moves {} cells of {} at once, but {}", c.cells, s.name, what),
                        {expected(fmt::format("a multiple of {} cells", c.cells))});
        };
        const auto found = shared_.find(c.stage);
        if (found == shared_.end())
            throw Limit(L0903_schedule, s.where,
                        fmt::format("cp_async does not move {}: it is not stored in shared memory", s.name),
                        {fix("store it in shared memory"), fix("use engine auto")});
        const auto is_whole = [&](const Expr& e) {
            return is_multiple(IndexAnalysis().normal(environment_.resolved(e)), c.cells);
        };
        const Alloc& a = found->second;
        if (a.extent.back() % c.cells != 0 && a.extent.size() > 1)
            refuse(fmt::format("its rows have room for {}: round them up with store.align {}", a.extent.back(),
                               s.dims.back().name()));
        if (!is_whole(index_difference(environment_.resolved(c.place.back()), environment_.resolved(a.begin.back()))))
            refuse("they do not start at multiples of it in a row");
        if (c.source->target().input) return;
        const size_t from = program_.bound.graph.find(c.source->target().func.get()).value();
        for (const Scratch& scratch : program_.scratch)
            if (scratch.stage == from &&
                (!is_whole(scratch.begin.back()) || (scratch.begin.size() > 1 && !is_whole(scratch.extent.back()))))
                refuse(fmt::format("rows of {} do not start at multiples of it: round them up with store.align",
                                   program_.bound.graph.stages[from].name));
    }

    const Program& program_;
    const Kernel& kernel_;
    Environment environment_;
    std::vector<DealtAxis> dealt_;
    std::map<size_t, const Alloc*> registers_;
    std::map<size_t, Alloc> shared_;
    const Spread* group_ = nullptr;  // of warpgroups, the last one entered
    Expr round_;                     // of the tiles around
};

}  // namespace

void verify(const Program& program) {
    for (const Kernel& k : program.kernels) Verifier(program, k).run();
}

void check_ownership(const Program& program) {
    for (const Kernel& k : program.kernels) OwnershipCheck(program, k).run();
}

}  // namespace tessera::tile
