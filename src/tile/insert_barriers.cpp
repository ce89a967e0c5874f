#include "base/match.h"
#include "tile/lower.h"

#include <map>
#include <set>

namespace tessera::tile {
namespace {

// Memory that threads used since they last met; what was written, by which stores.
struct Pending {
    std::set<size_t> read;
    std::map<size_t, std::set<const Statement*>> written;

    void add(const Pending& more) {
        read.insert(more.read.begin(), more.read.end());
        for (const auto& [stage, stores] : more.written) written[stage].insert(stores.begin(), stores.end());
    }
    bool operator==(const Pending&) const = default;
};

// Whether `unit` must wait for what is pending. One store writes other cells each time that it runs.
bool must_wait(const Pending& unit, const Pending& pending) {
    for (const size_t stage : unit.read)
        if (pending.written.count(stage) != 0) return true;
    for (const auto& [stage, stores] : unit.written) {
        if (pending.read.count(stage) != 0) return true;
        const auto before = pending.written.find(stage);
        if (before == pending.written.end()) continue;
        if (before->second.size() > 1 || stores.size() > 1 || before->second != stores) return true;
    }
    return false;
}

class Insertion {
public:
    Insertion(const Program& program, const Kernel& kernel) : program_(program), kernel_(kernel) {}

    StatementPtr run() {
        Pending pending;
        return insert(kernel_.body, pending, Scope::thread);
    }

private:
    // The shared words through which warps combine, as if they were a stage.
    static constexpr size_t partials = static_cast<size_t>(-1);

    // Uses of memory that other threads see.
    Pending uses(const Statement& s, bool inside) {
        Pending out;
        if (const auto* a = std::get_if<Alloc>(&s.node); a && a->space == Space::register_) registers_.insert(a->stage);
        // A warpgroup's own memory has barriers of its own.
        if (const auto* a = std::get_if<Alloc>(&s.node); a && a->grouped) registers_.insert(a->stage);
        // Rings of buffers are used where a barrier stands already: what came before is waited for where they begin.
        if (const auto* a = std::get_if<Alloc>(&s.node); a && a->buffers > 1)
            out.written[a->stage].insert(&s), rings_.insert(a->stage);
        const auto* w = std::get_if<Assign>(&s.node);
        const auto* c = std::get_if<AsyncCopy>(&s.node);
        if (w && registers_.count(w->stage) == 0 && rings_.count(w->stage) == 0) out.written[w->stage].insert(&s);
        if (c && rings_.count(c->stage) == 0) out.written[c->stage].insert(&s);
        for_each_node(expressions(s), [&](const Expr& n) {
            if (n->op != Op::access || !n->target().func) return;
            const auto i = program_.bound.graph.find(n->target().func.get());
            if (i && registers_.count(*i) == 0 && rings_.count(*i) == 0) out.read.insert(*i);
        });
        if (inside)
            for (const StatementPtr& child : children(s)) out.add(uses(*child, true));
        return out;
    }

    // The statement behind a barrier where one is needed; `unit` is what it uses before its children run.
    StatementPtr behind(const Pending& unit, Pending& pending, Scope scope, const StatementPtr& s) {
        const bool conflict = must_wait(unit, pending);
        if (conflict) pending = {};
        pending.add(unit);
        return conflict ? sequence({statement(Barrier{scope}), s}) : s;
    }

    StatementPtr insert(const StatementPtr& s, Pending& pending, Scope scope) {
        if (const auto* q = std::get_if<Sequence>(&s->node)) {
            std::vector<StatementPtr> out;
            for (const StatementPtr& child : q->statements) out.push_back(insert(child, pending, scope));
            return sequence(std::move(out));
        }
        if (const auto* p = std::get_if<Spread>(&s->node)) {
            StatementPtr out = s;
            if (const auto inside = inside_of(p->over)) {
                // A warp takes one position after the other.
                Pending lanes;
                out = repeated(s, lanes, *inside);
            }
            return behind(uses(*s, true), pending, scope, out);
        }
        if (const auto* c = std::get_if<Combine>(&s->node)) {
            if (c->over != Scope::thread || kernel_.threads <= 32) return s;
            // Every warp writes its partial, all meet, every warp reads.
            StatementPtr out = behind({{}, {{partials, {s.get()}}}}, pending, scope, s);
            pending = {{partials}, {}};
            return out;
        }
        if (std::holds_alternative<Roles>(s->node)) {
            // Rings alone are between roles; their tokens order every use.
            in_role_ = true;
            StatementPtr out = map_children(s, [&](const StatementPtr& child) {
                Pending own;
                return insert(child, own, scope);
            });
            in_role_ = false;
            return out;
        }
        if (std::holds_alternative<Tiles>(s->node)) return repeated(s, pending, scope);
        if (const auto* a = std::get_if<Await>(&s->node); a && rings_.count(a->stages[0]) != 0 && !in_role_) {
            // Copies of this round have arrived for all, and the buffer that the last round read is free for the next copies.
            pending = {};
            return sequence({s, statement(Barrier{scope})});
        }
        const Pending unit = uses(*s, false);
        Pending after;
        const bool conflict = must_wait(unit, pending);
        if (conflict) pending = {};
        pending.add(unit);
        StatementPtr out;
        const auto* loop = std::get_if<For>(&s->node);
        if (loop && integer_constant(loop->extent) != 1) {
            out = repeated(s, pending, scope);
        } else if (std::holds_alternative<If>(s->node)) {
            after = pending;
            out = map_children(s, [&](const StatementPtr& child) { return insert(child, after, scope); });
            pending.add(after);
        } else {
            out = map_children(s, [&](const StatementPtr& child) { return insert(child, pending, scope); });
        }
        if (const auto* a = std::get_if<Alloc>(&s->node); a && rings_.erase(a->stage) != 0) pending.read.insert(a->stage);
        return conflict ? sequence({statement(Barrier{scope}), out}) : out;
    }

    // The body meets what its last run left, so the runs grow until nothing is added.
    StatementPtr repeated(const StatementPtr& s, Pending& pending, Scope scope) {
        while (true) {
            Pending after = pending;
            StatementPtr out = map_children(s, [&](const StatementPtr& child) { return insert(child, after, scope); });
            Pending joined = pending;
            joined.add(after);
            if (joined == pending) return out;
            pending = std::move(joined);
        }
    }

    const Program& program_;
    const Kernel& kernel_;
    std::set<size_t> registers_, rings_;  // registers: what the block does not wait for
    bool in_role_ = false;
};

}  // namespace

Program insert_barriers(Program program) {
    for (Kernel& k : program.kernels) k.body = Insertion(program, k).run();
    return program;
}

}  // namespace tessera::tile
