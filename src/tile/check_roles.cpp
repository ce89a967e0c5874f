#include "schedule/loop_split.h"
#include "tile/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace tessera::tile {
namespace {

// Both roles of a kernel on paper, one after the other: loops whose extent is not known go round `rounds` times, a block takes
// three tiles for each consumer. Copies are numbered from 0; number t goes into buffer t mod ring, which must be free, and only
// then. A barrier tells two phases apart: who awaits copy t must know, from what it did itself and from turns that it was passed,
// that copy t - ring has arrived.
class RolesRun {
public:
    RolesRun(const Program& program, const Kernel& kernel, std::int64_t rounds, bool conditions)
        : program_(program), kernel_(kernel), rounds_(rounds), conditions_(conditions) {}

    void run() { find(*kernel_.body); }

private:
    [[noreturn]] void fail(const std::string& what) const {
        throw Bug(B0951_internal, {}, fmt::format("the roles of kernel {}: {}", kernel_.name, what));
    }

    void find(const Statement& s) {
        if (const auto* a = std::get_if<Alloc>(&s.node); a && a->buffers > 1) {
            ring_ = a->buffers;
            std::int64_t cells = dtype_bytes(program_.bound.graph.stages[a->stage].dtypes[0]);
            for (const std::int64_t e : a->extent) cells *= e;
            bytes_[a->stage] = cells;
        }
        const auto* roles = std::get_if<Roles>(&s.node);
        if (!roles) {
            for (const StatementPtr& child : children(s)) find(*child);
            return;
        }
        copies(*roles->copies);
        if (due_ != 0) fail("the last copy has other bytes than are awaited");
        rest(*roles->rest);
        if (copied_ != awaited_) fail(fmt::format("{} copies are made and {} awaited", copied_, awaited_));
        if (taken_ != passed_) fail("a turn is passed on to nobody");
        // Nobody waits for the last buffer of a block that ends.
        if (released_ + (kernel_.persistent ? 0 : 1) < awaited_)
            fail(fmt::format("{} buffers are awaited and {} released", awaited_, released_));
    }

    std::optional<std::int64_t> known(const Expr& e) const {
        const Expr at = substitute(e, values_);
        if (at->op == Op::lt && at->dtype == DType::bool_) {
            const auto margin = integer_constant(index_difference(at->args[1], at->args[0]));
            return margin ? std::optional<std::int64_t>(*margin > 0) : std::nullopt;
        }
        return is_integer(at->dtype) ? integer_constant(simplify_index(at)) : std::nullopt;
    }
    std::int64_t number(const Expr& token) const {
        const auto value = known(token);
        if (!value) fail("a copy has no number");
        return *value;
    }
    void same_ring(std::int64_t ring) const {
        if (ring != ring_) fail("buffers are counted in another ring");
    }
    template <class Visit>
    void repeat(const Statement& s, const Visit& visit) {
        const auto* f = std::get_if<For>(&s.node);
        const auto* t = std::get_if<Tiles>(&s.node);
        const Expr variable = f ? f->variable : t->round;
        if (f && !integer_constant(f->extent)) values_[f->extent.get()] = index_number(rounds_);
        const std::int64_t times = t ? tiles() : known(f->extent).value_or(rounds_);
        for (std::int64_t i = 0; i < times; ++i) {
            if (t) tile_ = i;
            values_[variable.get()] = index_number(i);
            visit(f ? *f->body : *t->body);
        }
        values_.erase(variable.get());
    }
    std::int64_t tiles() const { return 3 * kernel_.consumers; }
    size_t consumer() const { return static_cast<size_t>(tile_ % kernel_.consumers); }
    // The first tile's turn is there, the last one's has nobody behind it.
    void take_turn() {
        if (taken_ != tile_ || passed_ != tile_) fail("a turn is taken that was not passed on");
        ++taken_;
        arrived_[consumer()].insert(handed_.begin(), handed_.end());
    }
    void pass_turn() {
        if (taken_ != tile_ + 1 || passed_ != tile_) fail("a turn is passed on that was not taken");
        ++passed_;
        handed_ = arrived_[consumer()];
    }
    void arrives(std::int64_t copy) {
        if (copy >= ring_ && arrived_[consumer()].count(copy - ring_) == 0)
            fail(fmt::format("copy {} is awaited while copy {} may be under way", copy, copy - ring_));
        arrived_[consumer()].insert(copy);
    }

    bool holds(const If& i) const { return known(i.condition).value_or(conditions_) != 0; }

    void copies(const Statement& s) {
        if (std::holds_alternative<For>(s.node) || std::holds_alternative<Tiles>(s.node))
            return repeat(s, [&](const Statement& body) { copies(body); });
        if (const auto* i = std::get_if<If>(&s.node); i && !holds(*i)) return;
        if (const auto* a = std::get_if<Acquire>(&s.node)) {
            same_ring(a->ring);
            if (due_ != 0) fail("a copy has other bytes than are awaited");
            acquired_ = number(a->token);
            if (acquired_ != copied_) fail(fmt::format("buffer {} is acquired for copy {}", acquired_, copied_));
        } else if (const auto* c = std::get_if<Commit>(&s.node)) {
            if (number(c->token) != copied_ || acquired_ != copied_) fail(fmt::format("copy {} is not acquired", copied_));
            due_ = c->bytes;
            ++copied_;
        } else if (const auto* b = std::get_if<InBuffer>(&s.node)) {
            buffers_[b->stage] = number(b->index);
        } else if (const auto* box = std::get_if<BoxCopy>(&s.node)) {
            if (acquired_ != copied_ - 1 || buffers_[box->stage] != acquired_ % ring_)
                fail("a box is copied into another buffer");
            due_ -= bytes_[box->stage];
        } else if (!std::holds_alternative<Sequence>(s.node) && !std::holds_alternative<Let>(s.node) &&
                   !std::holds_alternative<If>(s.node)) {
            fail("the role that copies does more");
        }
        for (const StatementPtr& child : children(s)) copies(*child);
    }

    void rest(const Statement& s) {
        if (std::holds_alternative<For>(s.node) || std::holds_alternative<Tiles>(s.node))
            return repeat(s, [&](const Statement& body) { rest(body); });
        if (const auto* i = std::get_if<If>(&s.node); i && !holds(*i)) return;
        if (const auto* a = std::get_if<Await>(&s.node); a && a->ring > 1) {
            same_ring(a->ring);
            if (number(a->token) != awaited_) fail(fmt::format("copy {} is awaited before {}", number(a->token), awaited_));
            arrives(awaited_++);
        }
        if (std::holds_alternative<TakeTurn>(s.node)) take_turn();
        if (std::holds_alternative<PassTurn>(s.node)) pass_turn();
        if (const auto* b = std::get_if<InBuffer>(&s.node)) buffers_[b->stage] = number(b->index);
        if (const auto* r = std::get_if<Release>(&s.node)) {
            same_ring(r->ring);
            if (number(r->token) != released_ || released_ >= awaited_)
                fail(fmt::format("copy {} is released too soon", released_));
            if (read_ && *read_ <= released_) fail(fmt::format("copy {} is released while a product may read it", released_));
            ++released_;
        }
        if (std::holds_alternative<Settle>(s.node)) read_.reset();
        for_each_node(expressions(s), [&](const Expr& n) {
            if (n->op != Op::access || !n->target().func) return;
            const auto i = program_.bound.graph.find(n->target().func.get());
            if (!i || bytes_.count(*i) == 0) return;
            if (awaited_ == released_ || buffers_[*i] != (awaited_ - 1) % ring_) fail("a buffer is read that is not awaited");
        });
        if (const auto* m = std::get_if<Mma>(&s.node)) read_ = m->in_flight ? std::optional(awaited_ - 1) : std::nullopt;
        for (const StatementPtr& child : children(s)) rest(*child);
    }

    const Program& program_;
    const Kernel& kernel_;
    std::int64_t rounds_;
    bool conditions_;
    std::int64_t ring_ = 0, copied_ = 0, acquired_ = -1, awaited_ = 0, released_ = 0, due_ = 0;
    std::int64_t tile_ = 0, taken_ = 0, passed_ = 0;
    std::map<size_t, std::set<std::int64_t>> arrived_;  // copies that a consumer knows to have
    std::set<std::int64_t> handed_;                     // that who passed on the last turn knew of
    std::optional<std::int64_t> read_;                  // what the product in flight reads
    std::map<size_t, std::int64_t> bytes_, buffers_;
    std::map<const ExprNode*, Expr> values_;
};

}  // namespace

void check_roles(const Program& program) {
    for (const Kernel& k : program.kernels)
        for (const std::int64_t rounds : {1, 2, 3, 4, 5, 9})
            for (const bool conditions : {false, true}) RolesRun(program, k, rounds, conditions).run();
}

}  // namespace tessera::tile
