#include "base/match.h"
#include "schedule/loop_split.h"
#include "tile/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace tessera::tile {
namespace {

// One run of a kernel on paper: a loop whose extent is not known goes round `rounds` times, others at most so often; conditions
// that are not known then hold always, never, or every other time. Time is counted in barriers; two uses of one memory in one
// stretch of time, one of them a store, must be of one statement's run. An asynchronous copy stores in the stretch in which it is
// awaited, and holds its memory from its start on.
class PaperRun {
public:
    PaperRun(const Program& program, const Kernel& kernel, int conditions, std::int64_t rounds)
        : program_(program), kernel_(kernel), conditions_(conditions), rounds_(rounds) {}

    void run() {
        assume_extents(*kernel_.body);
        visit(*kernel_.body, Scope::thread);
        for (const auto& [place, memory] : clock_.memories)
            if (memory.group >= 0) fail(place.first, "still being copied when its kernel ends", "an await is missing");
    }

private:
    struct Use {
        std::int64_t time = -1, statement = -1;
        const Statement* store = nullptr;
    };
    struct Memory {
        Use store, read;
        bool several_reads = false;
        std::int64_t group = -1;  // of the copies that have not arrived
        bool unfenced = false;    // stored by threads since the last fence
    };
    using Place = std::pair<size_t, std::int64_t>;  // a stage and its buffer
    struct Clock {
        std::int64_t time = 0;
        std::map<Place, Memory> memories;
    };

    // The shared words through which warps combine, as if they were a stage.
    static constexpr size_t partials = static_cast<size_t>(-1);

    [[noreturn]] void fail(size_t stage, const std::string& what, const std::string& why) const {
        const std::string& name = stage == partials ? "the memory of combinations" : program_.bound.graph.stages[stage].name;
        throw Bug(B0951_internal, {}, fmt::format("{} is {} in kernel {}", name, what, kernel_.name), {note(why)});
    }

    Place place_of(size_t stage) const {
        const auto buffer = buffers_.find(stage);
        return {stage, buffer == buffers_.end() ? 0 : buffer->second};
    }

    // A product that is in flight reads its factors until the next one has started or it is settled.
    void start(const Mma& m) {
        settle(std::nullopt);
        if (!m.in_flight) return;
        unsettled_ = m.stage;
        for (const Expr& factor : {left_read(m), m.right})
            if (const auto i = program_.bound.graph.find(factor->target().func.get())) multiplied_.insert(place_of(*i));
    }
    void settle(std::optional<size_t> stage) {
        for (const Place& place : multiplied_) {
            Memory& m = clock_.memories[place];
            m.read = {clock_.time, ++statement_, nullptr};
        }
        multiplied_.clear();
        if (stage == unsettled_) unsettled_.reset();
    }

    void use(size_t stage, const Statement* stores, bool copies = false) {
        if (stage == unsettled_) fail(stage, "used while a product into it is in flight", "a settle is missing");
        if (registers_.count(stage) != 0 || (alone_again_ && groups_own_.count(stage) != 0)) return;
        Memory& m = clock_.memories[place_of(stage)];
        if (stores && multiplied_.count(place_of(stage)) != 0)
            fail(stage, "stored while a product may still read it", "copies run too far ahead");
        if (m.group >= 0 && m.store.statement != statement_)
            fail(stage, stores ? "stored while it is being copied" : "read before its copy was awaited", "an await is missing");
        if (stores && !alone_again_ && put_.count(stage) != 0)
            fail(stage, "stored while the copy engine may still read it", "a reclaim is missing");
        // One store writes other cells each time that it runs.
        const bool after_store =
            m.store.time == clock_.time && m.store.statement != statement_ && (!stores || stores != m.store.store);
        const bool after_read = m.read.time == clock_.time && (m.read.statement != statement_ || m.several_reads);
        if (after_store || (stores && after_read))
            fail(
                stage,
                fmt::format("{} while other threads may still {} it", stores ? "stored" : "read", after_store ? "store" : "read"),
                "a barrier is missing");
        if (!stores) m.several_reads = m.read.time == clock_.time && (m.read.statement != statement_ || m.several_reads);
        (stores ? m.store : m.read) = {clock_.time, statement_, stores};
        if (copies) m.group = commits_;
        if (stores && !copies) m.unfenced = true;
        if (grouped_ && m.unfenced)
            fail(stage, "used by a warpgroup's product or the copy engine but not fenced", "a fence is missing");
    }

    // A group of the threads' copies ends here; one of the copy engine begins, on a barrier whose last one is over.
    void commit(const Commit& c) {
        ++commits_;
        if (c.bytes == 0) return;
        const std::int64_t token = known(c.token).value_or(0);
        tokens_[{c.stages[0], token}] = commits_ - 1;
        due_[commits_ - 1] = c.bytes;
    }
    void fence() {
        for (auto& [place, memory] : clock_.memories) memory.unfenced = false;
    }
    void await(const Await& a) {
        if (in_role_ && a.ring > 1) return;  // check_roles() follows what roles hand over
        if (a.ring == 0) return await_groups(a.in_flight.value_or(0));
        const std::int64_t token = known(a.token).value_or(0);
        const auto group = tokens_.find({a.stages[0], token});
        if (group == tokens_.end()) fail(a.stages[0], "awaited but not copied", "a commit is missing");
        if (due_[group->second] != 0)
            fail(a.stages[0], "awaited with other bytes than are copied", "the bytes of a commit are wrong");
        if (tokens_.count({a.stages[0], token + a.ring}) != 0)
            fail(a.stages[0], "copied again before all have seen the last copy", "a barrier is missing");
        ++statement_;
        for (auto& [place, memory] : clock_.memories) {
            if (memory.group != group->second) continue;
            memory.group = -1;
            memory.store.time = -1;  // all threads wait, and the copy was ordered behind the last barrier
        }
    }
    void await_groups(std::int64_t in_flight) {
        ++statement_;
        for (auto& [place, memory] : clock_.memories) {
            if (memory.group < 0 || memory.group >= commits_ - in_flight) continue;
            memory.group = -1;
            memory.store.time = clock_.time;
            memory.store.statement = statement_;
        }
    }

    void own_uses(const Statement& s) {
        for_each_node(expressions(s), [&](const Expr& n) {
            if (n->op != Op::access || !n->target().func) return;
            if (const auto i = program_.bound.graph.find(n->target().func.get())) use(*i, nullptr);
        });
        if (const auto* a = std::get_if<Assign>(&s.node)) use(a->stage, &s);
        if (const auto* c = std::get_if<AsyncCopy>(&s.node)) use(c->stage, &s, true);
        if (const auto* c = std::get_if<BoxCopy>(&s.node)) use(c->stage, &s, true);
    }

    // Inside what one thread runs: no time passes.
    void alone(const Statement& s) {
        const auto* a = std::get_if<Alloc>(&s.node);
        if (const auto* m = std::get_if<Mma>(&s.node)) grouped_ = m->grouped;
        if (a && a->space == Space::register_) ++registers_[a->stage];
        own_uses(s);
        grouped_ = false;
        if (const auto* b = std::get_if<InBuffer>(&s.node)) buffers_[b->stage] = known(b->index).value_or(0);
        for (const StatementPtr& child : children(s)) alone(*child);
        if (a && a->space == Space::register_) leave(a->stage);
    }
    void leave(size_t stage) {
        if (--registers_[stage] == 0) registers_.erase(stage);
    }

    void assume_extents(const Statement& s) {
        if (const auto* f = std::get_if<For>(&s.node); f && !integer_constant(f->extent))
            values_[f->extent.get()] = index_number(rounds_);
        for (const StatementPtr& child : children(s)) assume_extents(*child);
    }
    static bool commits(const Statement& s) {
        if (std::holds_alternative<Commit>(s.node)) return true;
        for (const StatementPtr& child : children(s))
            if (commits(*child)) return true;
        return false;
    }
    // Where the loops around it are.
    std::optional<std::int64_t> known(const Expr& e) const {
        const Expr at = substitute(e, values_);
        if (at->op == Op::lt && at->dtype == DType::bool_) {
            const auto margin = integer_constant(index_difference(at->args[1], at->args[0]));
            return margin ? std::optional<std::int64_t>(*margin > 0) : std::nullopt;
        }
        return is_integer(at->dtype) ? integer_constant(simplify_index(at)) : std::nullopt;
    }
    bool holds(const Expr& condition) {
        if (const auto value = known(condition)) return *value != 0;
        return conditions_ == 0 || (conditions_ == 2 && ++turns_ % 2 == 0);
    }
    void go_round(const For& f, Scope scope) {
        const auto outside = values_;
        const std::int64_t rounds = std::min<std::int64_t>(known(f.extent).value_or(rounds_), commits(*f.body) ? 4096 : 3);
        for (std::int64_t i = 0; i < rounds; ++i) {
            values_[f.variable.get()] = index_number(i);
            visit(*f.body, scope);
        }
        values_ = outside;
    }

    void visit(const Statement& s, Scope scope) {
        match(
            s.node,
            [&](const Sequence& q) {
                for (const StatementPtr& child : q.statements) visit(*child, scope);
            },
            [&](const For& f) {
                ++statement_;
                own_uses(s);
                go_round(f, scope);
            },
            [&](const Let& l) {
                ++statement_;
                own_uses(s);
                visit(*l.body, scope);
            },
            [&](const If& i) {
                ++statement_;
                own_uses(s);
                if (holds(i.condition)) visit(*i.body, scope);
            },
            [&](const Spread& p) {
                const auto inside = inside_of(p.over);
                if (!inside) {
                    ++statement_;
                    alone(*p.body);
                    return;
                }
                // To the block one statement, to the lanes of a warp a loop.
                const Clock block = std::exchange(clock_, {});
                for (int i = 0; i < 3; ++i) visit(*p.body, *inside);
                clock_ = block;
                ++statement_;
                alone_again_ = true;
                alone(*p.body);
                alone_again_ = false;
            },
            [&](const Alloc& a) {
                std::int64_t cells = dtype_bytes(program_.bound.graph.stages[a.stage].dtypes[0]);
                for (const std::int64_t e : a.extent) cells *= e;
                box_bytes_[a.stage] = cells;
                if (a.space == Space::register_) ++registers_[a.stage];
                if (a.grouped) groups_own_.insert(a.stage);
                ++statement_;
                own_uses(s);
                visit(*a.body, scope);
                if (put_.count(a.stage) != 0)
                    fail(a.stage, "still being read by the copy engine when its memory ends", "a reclaim is missing");
                if (a.space == Space::register_) leave(a.stage);
            },
            [&](const Assign&) {
                ++statement_;
                own_uses(s);
            },
            [&](const Combine& c) {
                if (c.over != Scope::thread || kernel_.threads <= 32) return;
                ++statement_;
                use(partials, &s);
                ++clock_.time;
                use(partials, nullptr);
            },
            [&](const Mma& m) {
                ++statement_;
                grouped_ = m.grouped;
                own_uses(s);
                grouped_ = false;
                start(m);
            },
            [&](const AsyncCopy&) {
                ++statement_;
                alone(s);
            },
            [&](const InBuffer& b) {
                buffers_[b.stage] = known(b.index).value_or(0);
                visit(*b.body, scope);
            },
            [&](const BoxCopy& c) {
                ++statement_;
                own_uses(s);
                Memory& memory = clock_.memories[{c.stage, buffers_[c.stage]}];
                memory.group = commits_ - 1;
                due_[commits_ - 1] -= box_bytes_[c.stage];
            },
            [&](const Roles& r) {
                in_role_ = true;
                visit(*r.rest, scope);
                in_role_ = false;
            },
            [&](const Tiles& t) {
                for (int i = 0; i < 2; ++i) visit(*t.body, scope);
            },
            [&](const BoxStore& b) {
                ++statement_;
                grouped_ = true;
                own_uses(s);
                grouped_ = false;
                put_.insert(program_.bound.graph.find(b.source->target().func.get()).value());
            },
            [&](const Reclaim& r) {
                ++statement_;
                use(r.stage, nullptr);  // by one thread, which the others wait for
                put_.erase(r.stage);
            },
            // check_roles() follows these.
            [&](const Acquire&) {}, [&](const Release&) {}, [&](const TakeTurn&) {}, [&](const PassTurn&) {},
            [&](const Fence&) { fence(); }, [&](const Settle& w) { settle(w.stage); }, [&](const Commit& c) { commit(c); },
            [&](const Await& a) { await(a); }, [&](const Barrier&) { ++clock_.time; });
    }

    const Program& program_;
    const Kernel& kernel_;
    int conditions_;
    std::int64_t rounds_;
    int turns_ = 0;
    std::int64_t statement_ = 0, commits_ = 0;
    bool in_role_ = false;         // that does not copy
    bool grouped_ = false;         // a warpgroup's product or the copy engine reads
    bool alone_again_ = false;     // a warp's or a warpgroup's statements as one of the block's
    std::set<size_t> groups_own_;  // memory that a warpgroup has for itself
    std::set<size_t> put_;         // what the copy engine still stores from
    std::map<std::pair<size_t, std::int64_t>, std::int64_t> tokens_;  // of the copy engine's groups
    std::set<Place> multiplied_;                                      // by the product in flight
    std::optional<size_t> unsettled_;                                 // its sums
    std::map<std::int64_t, std::int64_t> due_;                        // bytes that a group of the copy engine still has to start
    std::map<size_t, std::int64_t> box_bytes_;                        // of a buffer
    std::map<const ExprNode*, Expr> values_;                          // of loop variables, and of extents that are not known
    std::map<size_t, std::int64_t> buffers_;                          // which buffer of a stage is meant
    Clock clock_;
    std::map<size_t, int> registers_;
};

std::int64_t most_buffers(const Statement& s) {
    const auto* a = std::get_if<Alloc>(&s.node);
    std::int64_t most = a ? a->buffers : 1;
    for (const StatementPtr& child : children(s)) most = std::max(most, most_buffers(*child));
    return most;
}

}  // namespace

void check_barriers(const Program& program) {
    for (const Kernel& k : program.kernels) {
        // Every buffer is used again after its next use.
        const std::int64_t most = most_buffers(*k.body);
        std::set<std::int64_t> rounds{3};
        if (most > 1) rounds = {1, most - 1, most, 2 * most + 1};
        for (int conditions = 0; conditions < 3; ++conditions)
            for (const std::int64_t r : rounds) PaperRun(program, k, conditions, r).run();
    }
    check_roles(program);
}

}  // namespace tessera::tile
