#include "tile/first_copies.h"

#include "schedule/loop_split.h"

#include <algorithm>

namespace tessera::tile {
namespace {

bool uses_any(const Program& program, const Statement& s, const std::set<size_t>& stages) {
    bool found = false;
    for_each_node(expressions(s), [&](const Expr& n) {
        if (n->op != Op::access || !n->target().func) return;
        const auto i = program.bound.graph.find(n->target().func.get());
        found = found || (i && stages.count(*i) != 0);
    });
    const auto* a = std::get_if<Assign>(&s.node);
    if (found || (a && stages.count(a->stage) != 0)) return true;
    const std::vector<StatementPtr> inside = children(s);
    return std::any_of(inside.begin(), inside.end(),
                       [&](const StatementPtr& child) { return uses_any(program, *child, stages); });
}

bool has_box(const Statement& s) {
    if (std::holds_alternative<BoxCopy>(s.node)) return true;
    const std::vector<StatementPtr> inside = children(s);
    return std::any_of(inside.begin(), inside.end(), [](const StatementPtr& child) { return has_box(*child); });
}

}  // namespace

FirstCopies first_copies(const Sequence& sequence, size_t begin) {
    FirstCopies out;
    for (size_t i = begin; i < sequence.statements.size(); ++i) {
        const auto* spread = std::get_if<Spread>(&sequence.statements[i]->node);
        std::set<size_t> own;
        if (spread) copied_stages(*spread->body, own);
        if (own.empty()) break;
        out.statements.push_back(sequence.statements[i]);
        out.stages.insert(own.begin(), own.end());
    }
    return out;
}

StatementPtr awaited(const FirstCopies& copies) {
    const std::vector<size_t> stages(copies.stages.begin(), copies.stages.end());
    std::vector<StatementPtr> out = copies.statements;
    out.push_back(statement(Commit{stages, index_number(0)}));
    out.push_back(statement(Await{stages, index_number(0), {}}));
    return sequence(std::move(out));
}

const Statement* loop_that_uses(const Program& program, const std::vector<StatementPtr>& statements,
                                const std::set<size_t>& stages) {
    const Statement* user = nullptr;
    for (const StatementPtr& s : statements) {
        if (!uses_any(program, *s, stages)) continue;
        if (user) return nullptr;
        user = s.get();
    }
    if (!user) return nullptr;
    if (const auto* q = std::get_if<Sequence>(&user->node)) return loop_that_uses(program, q->statements, stages);
    if (const auto* l = std::get_if<Let>(&user->node)) return loop_that_uses(program, {l->body}, stages);
    if (const auto* a = std::get_if<Alloc>(&user->node)) return loop_that_uses(program, {a->body}, stages);
    const auto* f = std::get_if<For>(&user->node);
    std::vector<Alloc> rings;
    if (f) find_rings(*f->body, rings);
    return rings.empty() || has_box(*f->body) ? nullptr : user;
}

void copied_stages(const Statement& s, std::set<size_t>& out) {
    if (const auto* c = std::get_if<AsyncCopy>(&s.node)) out.insert(c->stage);
    if (const auto* c = std::get_if<BoxCopy>(&s.node)) out.insert(c->stage);
    for (const StatementPtr& child : children(s)) copied_stages(*child, out);
}

void find_rings(const Statement& s, std::vector<Alloc>& out) {
    if (std::holds_alternative<For>(s.node)) return;
    if (const auto* a = std::get_if<Alloc>(&s.node); a && a->buffers > 1) out.push_back(*a);
    for (const StatementPtr& child : children(s)) find_rings(*child, out);
}

}  // namespace tessera::tile
