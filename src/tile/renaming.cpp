#include "tile/renaming.h"

#include "base/match.h"
#include "schedule/loop_split.h"
#include "tile/lower.h"

namespace tessera::tile {
namespace {

class Renaming {
public:
    Renaming(std::map<const ExprNode*, Expr> names, std::string suffix) : names_(std::move(names)), suffix_(std::move(suffix)) {}

    StatementPtr operator()(const StatementPtr& s) {
        return match(
            s->node,
            [&](const Sequence& q) {
                std::vector<StatementPtr> out;
                for (const StatementPtr& child : q.statements) out.push_back((*this)(child));
                return sequence(std::move(out));
            },
            [&](For f) {
                f.extent = of(f.extent);
                f.variable = bound(f.variable);
                return with_body(std::move(f));
            },
            [&](Let l) {
                l.value = of(l.value);
                l.variable = bound(l.variable);
                return with_body(std::move(l));
            },
            [&](If i) {
                i.condition = of(i.condition);
                return with_body(std::move(i));
            },
            [&](Spread p) {
                for (Axis& a : p.axes) a = {bound(a.variable), of(a.extent)};
                return with_body(std::move(p));
            },
            [&](Alloc a) {
                a.begin = of(a.begin);
                return with_body(std::move(a));
            },
            [&](Assign a) {
                a.place = of(a.place), a.values = of(a.values);
                return statement(std::move(a));
            },
            [&](const Combine& c) { return statement(c); },
            [&](Mma m) {
                m.place = of(m.place), m.left = of(m.left), m.right = of(m.right);
                if (m.fresh.defined()) m.fresh = of(m.fresh);
                return statement(std::move(m));
            },
            [&](AsyncCopy c) {
                c.place = of(c.place), c.source = of(c.source);
                if (c.whole.defined()) c.whole = of(c.whole);
                c.otherwise = (*this)(c.otherwise);
                return statement(std::move(c));
            },
            [&](BoxCopy c) {
                c.place = of(c.place), c.source = of(c.source);
                return statement(std::move(c));
            },
            [&](BoxStore b) {
                b.place = of(b.place), b.source = of(b.source);
                return statement(std::move(b));
            },
            [&](const Reclaim& r) { return statement(r); }, [&](const Fence& f) { return statement(f); },
            [&](const Settle& w) { return statement(w); },
            [&](InBuffer b) {
                b.index = of(b.index), b.begin = of(b.begin);
                return with_body(std::move(b));
            },
            [&](const Commit& c) { return with_token(c); }, [&](const Await& a) { return with_token(a); },
            [&](Roles r) {
                r.copies = (*this)(r.copies);
                r.rest = (*this)(r.rest);
                return statement(std::move(r));
            },
            [&](Tiles t) {
                t.round = bound(t.round);
                return with_body(std::move(t));
            },
            [&](const Acquire& a) { return with_token(a); }, [&](const Release& r) { return with_token(r); },
            [&](const TakeTurn& t) { return statement(t); }, [&](const PassTurn& p) { return statement(p); },
            [&](const Barrier& b) { return statement(b); });
    }

private:
    Expr of(const Expr& e) const { return substitute(e, names_); }
    std::vector<Expr> of(std::vector<Expr> exprs) const {
        for (Expr& e : exprs) e = of(e);
        return exprs;
    }
    Expr bound(const Expr& variable) { return names_[variable.get()] = make_variable(name_of(variable) + suffix_, DType::i64); }
    template <class Node>
    StatementPtr with_body(Node node) {
        node.body = (*this)(node.body);
        return statement(std::move(node));
    }

    template <class Node>
    StatementPtr with_token(Node node) {
        node.token = of(node.token);
        return statement(std::move(node));
    }

    std::map<const ExprNode*, Expr> names_;
    std::string suffix_;
};

}  // namespace

StatementPtr renamed(const StatementPtr& s, std::map<const ExprNode*, Expr> names, std::string suffix) {
    return Renaming(std::move(names), std::move(suffix))(s);
}

}  // namespace tessera::tile
