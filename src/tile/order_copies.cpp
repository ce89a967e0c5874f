#include "base/check.h"
#include "expr/affine.h"
#include "schedule/loop_split.h"
#include "tile/lower.h"

#include <map>

namespace tessera::tile {
namespace {

// Tokens of a ring of buffers are committed in ascending order, one after the other. So at an Await of token t, with `last` the
// token committed before it, the groups after t are last - t; those of other rings between them only make the wait longer.
class Ordering {
public:
    StatementPtr visit(const StatementPtr& s) {
        // The copy engine's copies are awaited by their number.
        if (const auto* c = std::get_if<Commit>(&s->node); c && c->bytes > 0) return s;
        if (const auto* a = std::get_if<Await>(&s->node); a && a->ring > 0) return s;
        if (const auto* c = std::get_if<Commit>(&s->node)) {
            last_[c->stages] = simplify_index(c->token);
            return s;
        }
        if (const auto* a = std::get_if<Await>(&s->node)) {
            Await out = *a;
            const auto last = last_.find(a->stages);
            const auto later = last == last_.end() ? std::nullopt : integer_constant(index_difference(last->second, a->token));
            TESSERA_CHECK(later && *later >= 0, "a group of copies is awaited that is not known to be committed");
            out.in_flight = *later;
            return statement(std::move(out));
        }
        if (const auto* f = std::get_if<For>(&s->node)) return visit_loop(*f, s);
        return map_children(s, [&](const StatementPtr& child) { return visit(child); });
    }

private:
    // What is committed last when a round of the loop begins: as found before round 0, moved on with the loop's variable if a
    // round moves it on by one, which is seen by going round once; otherwise nothing that a round may rely on.
    StatementPtr visit_loop(const For& f, const StatementPtr& s) {
        const auto before = last_;
        for (auto& [ring, token] : last_)
            if (commits(*f.body, ring)) token = index_sum(token, f.variable);
        const auto entered = last_;
        const auto round = [&] { return map_children(s, [&](const StatementPtr& child) { return visit(child); }); };
        StatementPtr out = round();
        const std::map<const ExprNode*, Expr> next{{f.variable.get(), index_sum(f.variable, index_number(1))}};
        auto steady = before;
        for (const auto& [ring, token] : entered)
            if (commits(*f.body, ring) && !simplify_index(substitute(token, next)).same_as(last_.at(ring))) steady.erase(ring);
        if (steady.size() < before.size()) {
            last_ = steady;
            return visit_loop(f, s);
        }
        for (auto& [ring, token] : last_)
            if (commits(*f.body, ring))
                token = simplify_index(substitute(token, {{f.variable.get(), index_difference(f.extent, index_number(1))}}));
        return out;
    }
    static bool commits(const Statement& s, const std::vector<size_t>& ring) {
        const auto* c = std::get_if<Commit>(&s.node);
        if (c && c->bytes == 0 && c->stages == ring) return true;
        for (const StatementPtr& child : children(s))
            if (commits(*child, ring)) return true;
        return false;
    }

    std::map<std::vector<size_t>, Expr> last_;
};

}  // namespace

Program order_copies(Program program) {
    for (Kernel& k : program.kernels) k.body = Ordering().visit(k.body);
    return program;
}

}  // namespace tessera::tile
