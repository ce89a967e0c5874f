#include "tile/tile_ir.h"

#include "base/match.h"

namespace tessera::tile {

StatementPtr sequence(std::vector<StatementPtr> statements) {
    std::vector<StatementPtr> flat;
    for (StatementPtr& s : statements) {
        if (const auto* inner = std::get_if<Sequence>(&s->node))
            flat.insert(flat.end(), inner->statements.begin(), inner->statements.end());
        else
            flat.push_back(std::move(s));
    }
    return flat.size() == 1 ? flat[0] : statement(Sequence{std::move(flat)});
}

StatementPtr map_children(const StatementPtr& s, const std::function<StatementPtr(const StatementPtr&)>& replace) {
    const auto with_body = [&](auto node) {
        node.body = replace(node.body);
        return statement(std::move(node));
    };
    return match(
        s->node,
        [&](const Sequence& q) {
            std::vector<StatementPtr> out;
            for (const StatementPtr& child : q.statements) out.push_back(replace(child));
            return sequence(std::move(out));
        },
        [&](const For& f) { return with_body(f); }, [&](const Let& l) { return with_body(l); },
        [&](const If& i) { return with_body(i); }, [&](const Spread& p) { return with_body(p); },
        [&](const Alloc& a) { return with_body(a); }, [&](const Assign&) { return s; }, [&](const Combine&) { return s; },
        [&](const Mma&) { return s; },
        [&](const AsyncCopy& c) {
            AsyncCopy node = c;
            node.otherwise = replace(c.otherwise);
            return statement(std::move(node));
        },
        [&](const BoxCopy&) { return s; }, [&](const BoxStore&) { return s; }, [&](const Reclaim&) { return s; },
        [&](const InBuffer& b) { return with_body(b); }, [&](const Commit&) { return s; },
        [&](const Tiles& t) { return with_body(t); }, [&](const Acquire&) { return s; }, [&](const Release&) { return s; },
        [&](const TakeTurn&) { return s; }, [&](const PassTurn&) { return s; },
        [&](const Roles& r) {
            Roles node = r;
            node.copies = replace(r.copies);
            node.rest = replace(r.rest);
            return statement(std::move(node));
        },
        [&](const Await&) { return s; }, [&](const Fence&) { return s; }, [&](const Settle&) { return s; },
        [&](const Barrier&) { return s; });
}

std::vector<StatementPtr> children(const Statement& s) {
    using List = std::vector<StatementPtr>;
    return match(
        s.node, [](const Sequence& q) { return q.statements; }, [](const For& f) { return List{f.body}; },
        [](const Let& l) { return List{l.body}; }, [](const If& i) { return List{i.body}; },
        [](const Spread& p) { return List{p.body}; }, [](const Alloc& a) { return List{a.body}; },
        [](const Assign&) { return List{}; }, [](const Combine&) { return List{}; }, [](const Mma&) { return List{}; },
        [](const AsyncCopy& c) { return List{c.otherwise}; }, [](const InBuffer& b) { return List{b.body}; },
        [](const Commit&) { return List{}; }, [](const Await&) { return List{}; }, [](const BoxCopy&) { return List{}; },
        [](const BoxStore&) { return List{}; }, [](const Reclaim&) { return List{}; },
        [](const Roles& r) {
            return List{r.copies, r.rest};
        },
        [](const Tiles& t) { return List{t.body}; }, [](const Acquire&) { return List{}; }, [](const Release&) { return List{}; },
        [](const TakeTurn&) { return List{}; }, [](const PassTurn&) { return List{}; }, [](const Fence&) { return List{}; },
        [](const Settle&) { return List{}; }, [](const Barrier&) { return List{}; });
}

std::vector<Expr> expressions(const Statement& s) {
    using List = std::vector<Expr>;
    return match(
        s.node, [](const Sequence&) { return List{}; }, [](const For& f) { return List{f.extent}; },
        [](const Let& l) { return List{l.value}; }, [](const If& i) { return List{i.condition}; },
        [](const Spread& p) {
            List out;
            for (const Axis& a : p.axes) out.push_back(a.extent);
            return out;
        },
        [](const Alloc& a) { return a.begin; },
        [](const Assign& a) {
            List out = a.place;
            out.insert(out.end(), a.values.begin(), a.values.end());
            return out;
        },
        [](const Combine&) { return List{}; },
        [](const Mma& m) {
            List out = m.place;
            out.push_back(m.left);
            out.push_back(m.right);
            if (m.fresh.defined()) out.push_back(m.fresh);
            return out;
        },
        [](const AsyncCopy& c) {
            List out = c.place;
            out.push_back(c.source);
            if (c.whole.defined()) out.push_back(c.whole);
            return out;
        },
        [](const InBuffer& b) {
            List out = b.begin;
            out.push_back(b.index);
            return out;
        },
        [](const Commit& c) { return List{c.token}; }, [](const Await& a) { return List{a.token}; },
        [](const Roles&) { return List{}; }, [](const Tiles&) { return List{}; }, [](const Acquire& a) { return List{a.token}; },
        [](const Release& r) { return List{r.token}; }, [](const TakeTurn&) { return List{}; },
        [](const PassTurn&) { return List{}; },
        [](const BoxCopy& c) {
            List out = c.place;
            out.push_back(c.source);
            return out;
        },
        [](const BoxStore& b) {
            List out = b.place;
            out.push_back(b.source);
            return out;
        },
        [](const Reclaim&) { return List{}; }, [](const Fence&) { return List{}; }, [](const Settle&) { return List{}; },
        [](const Barrier&) { return List{}; });
}

std::string_view word(Scope scope) {
    switch (scope) {
        case Scope::thread: return "thread";
        case Scope::warp: return "warp";
        case Scope::lane: return "lane";
        case Scope::warpgroup: return "warpgroup";
        case Scope::member: return "member";
    }
    return "";
}

std::optional<Scope> inside_of(Scope scope) {
    if (scope == Scope::warp) return Scope::lane;
    return scope == Scope::warpgroup ? std::optional(Scope::member) : std::nullopt;
}

Expr left_read(const Mma& m) { return m.left->op == Op::cast ? m.left->args[0] : m.left; }

const std::string& name_of(const Expr& variable) { return std::get<std::shared_ptr<const Variable>>(variable->attribute)->name; }

}  // namespace tessera::tile
