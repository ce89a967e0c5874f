#include "base/match.h"
#include "tile/lower.h"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace tessera::tile {
namespace {

// One run of a kernel on paper: loops go round up to three times, conditions hold always, never, or every other time. Time is
// counted in barriers; two uses of one memory in one stretch of time, one of them a store, must be of one statement's run.
class PaperRun {
public:
    PaperRun(const Program& program, const Kernel& kernel, int conditions)
        : program_(program), kernel_(kernel), conditions_(conditions) {}

    void run() { visit(*kernel_.body, Scope::thread); }

private:
    struct Use {
        std::int64_t time = -1, statement = -1;
        const Statement* store = nullptr;
    };
    struct Memory {
        Use store, read;
        bool several_reads = false;
    };
    struct Clock {
        std::int64_t time = 0;
        std::map<size_t, Memory> memories;
    };

    // The shared words through which warps combine, as if they were a stage.
    static constexpr size_t partials = static_cast<size_t>(-1);

    void use(size_t stage, const Statement* stores) {
        if (registers_.count(stage) != 0) return;
        Memory& m = clock_.memories[stage];
        // One store writes other cells each time that it runs.
        const bool after_store =
            m.store.time == clock_.time && m.store.statement != statement_ && (!stores || stores != m.store.store);
        const bool after_read = m.read.time == clock_.time && (m.read.statement != statement_ || m.several_reads);
        if (after_store || (stores && after_read))
            throw Bug(B0951_internal, {},
                      fmt::format("{} is {} in kernel {} while other threads may still {} it",
                                  stage == partials ? "the memory of combinations" : program_.bound.graph.stages[stage].name,
                                  stores ? "stored" : "read", kernel_.name, after_store ? "store" : "read"),
                      {note("a barrier is missing")});
        if (!stores) m.several_reads = m.read.time == clock_.time && (m.read.statement != statement_ || m.several_reads);
        (stores ? m.store : m.read) = {clock_.time, statement_, stores};
    }

    void own_uses(const Statement& s) {
        for_each_node(expressions(s), [&](const Expr& n) {
            if (n->op != Op::access || !n->target().func) return;
            if (const auto i = program_.bound.graph.find(n->target().func.get())) use(*i, nullptr);
        });
        if (const auto* a = std::get_if<Assign>(&s.node)) use(a->stage, &s);
    }

    // Inside what one thread runs: no time passes.
    void alone(const Statement& s) {
        const auto* a = std::get_if<Alloc>(&s.node);
        if (a && a->space == Space::register_) ++registers_[a->stage];
        own_uses(s);
        for (const StatementPtr& child : children(s)) alone(*child);
        if (a && a->space == Space::register_) leave(a->stage);
    }
    void leave(size_t stage) {
        if (--registers_[stage] == 0) registers_.erase(stage);
    }

    int rounds(const Expr& extent) const {
        const auto c = integer_constant(extent);
        return c ? static_cast<int>(std::min<std::int64_t>(*c, 3)) : 3;
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
                for (int i = rounds(f.extent); i > 0; --i) visit(*f.body, scope);
            },
            [&](const Let& l) {
                ++statement_;
                own_uses(s);
                visit(*l.body, scope);
            },
            [&](const If& i) {
                ++statement_;
                own_uses(s);
                if (conditions_ == 0 || (conditions_ == 2 && ++turns_ % 2 == 0)) visit(*i.body, scope);
            },
            [&](const Spread& p) {
                if (p.over != Scope::warp) {
                    ++statement_;
                    alone(*p.body);
                    return;
                }
                // To the block one statement, to the lanes of a warp a loop.
                const Clock block = std::exchange(clock_, {});
                for (int i = 0; i < 3; ++i) visit(*p.body, Scope::lane);
                clock_ = block;
                ++statement_;
                alone(*p.body);
            },
            [&](const Alloc& a) {
                if (a.space == Space::register_) ++registers_[a.stage];
                ++statement_;
                own_uses(s);
                visit(*a.body, scope);
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
            [&](const Mma&) {
                ++statement_;
                own_uses(s);
            },
            [&](const Barrier&) { ++clock_.time; });
    }

    const Program& program_;
    const Kernel& kernel_;
    int conditions_;
    int turns_ = 0;
    std::int64_t statement_ = 0;
    Clock clock_;
    std::map<size_t, int> registers_;
};

}  // namespace

void check_barriers(const Program& program) {
    for (const Kernel& k : program.kernels)
        for (int conditions = 0; conditions < 3; ++conditions) PaperRun(program, k, conditions).run();
}

}  // namespace tessera::tile
