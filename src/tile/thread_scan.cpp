#include "tile/thread_scan.h"

#include "base/check.h"
#include "base/match.h"
#include "schedule/loop_split.h"

#include <fmt/format.h>

#include <map>

namespace tessera::tile {
namespace {

using Replacements = std::map<const ExprNode*, Expr>;

bool reads(const std::vector<Expr>& values, const Stage& s) {
    bool found = false;
    for_each_node(values, [&](const Expr& n) { found = found || (n->op == Op::access && n->target().func == s.func); });
    return found;
}

const tessera::Store* find_update(const BoundSchedule& bound, const tessera::Statement& s) {
    const auto in = [&](const tessera::StatementPtr& body) { return find_update(bound, *body); };
    return match(
        s.node,
        [&](const tessera::Block& b) {
            const tessera::Store* found = nullptr;
            for (const tessera::StatementPtr& child : b.statements)
                if (!found) found = in(child);
            return found;
        },
        [&](const tessera::Loop& l) { return in(l.body); }, [&](const tessera::Let& l) { return in(l.body); },
        [&](const tessera::Guard& g) { return in(g.body); }, [&](const tessera::Allocate& a) { return in(a.body); },
        [&](const tessera::Produce& p) { return in(p.body); },
        [&](const tessera::Store& w) -> const tessera::Store* {
            const Stage& stage = bound.graph.stages[w.stage];
            return bound.stages[w.stage].method == Method::blocked && reads(w.values, stage) ? &w : nullptr;
        },
        [](const CallRoutine&) -> const tessera::Store* { return nullptr; });
}

// What the variables of the loops and lets on the way to the store are in the first iteration of all. Whether the way was found.
bool first_iteration(const tessera::Statement& s, const tessera::Store& store, Replacements& first) {
    const auto in = [&](const tessera::StatementPtr& body) { return first_iteration(*body, store, first); };
    return match(
        s.node,
        [&](const tessera::Block& b) {
            bool found = false;
            for (const tessera::StatementPtr& child : b.statements) found = found || in(child);
            return found;
        },
        [&](const tessera::Loop& l) {
            first[l.variable.get()] = substitute(l.begin, first);
            return in(l.body);
        },
        [&](const tessera::Let& l) {
            first[l.variable.get()] = substitute(l.value, first);
            return in(l.body);
        },
        [&](const tessera::Guard& g) { return in(g.body); }, [&](const tessera::Allocate& a) { return in(a.body); },
        [&](const tessera::Produce& p) { return in(p.body); }, [&](const tessera::Store& w) { return &w == &store; },
        [](const CallRoutine&) { return false; });
}

// The indices at which a step reads the one before.
std::vector<Expr> place_before(const Stage& s, const std::vector<Expr>& values) {
    std::vector<Expr> place;
    for_each_node(values, [&](const Expr& n) {
        if (n->op == Op::access && n->target().func == s.func)
            place.assign(n->args.begin(), n->args.begin() + static_cast<std::ptrdiff_t>(n->index_count()));
    });
    TESSERA_CHECK(place.size() == s.dims.size(), fmt::format("the scan {} does not read its step before", s.name));
    return place;
}

Expr cell(const Stage& before, size_t component) { return read_stage(before.func, {}, static_cast<int>(component)); }

}  // namespace

const tessera::Store* scanned_by(const BoundSchedule& bound, const tessera::Loop& l) {
    const tessera::Store* store = find_update(bound, *l.body);
    if (!store) return nullptr;
    for (const BoundLoop& b : bound.stages[store->stage].update)
        if (b.reduction && fmt::format("{}.{}", bound.graph.stages[store->stage].name, b.name) == l.name) return store;
    return nullptr;
}

size_t add_before(BoundSchedule& bound, size_t scan) {
    const Stage& s = bound.graph.stages[scan];
    Stage before;
    before.kind = Stage::Kind::reduction;
    before.name = s.name + ".before";
    while (bound.graph.find(before.name)) before.name += "'";
    before.dtypes = s.dtypes;
    before.values = s.values;
    before.where = s.where;
    before.func = make_stage_func(before.name, {}, s.dtypes, s.where);
    before.update.emplace();
    before.update->monoid = s.update->monoid;
    bound.graph.stages.push_back(std::move(before));
    bound.stages.emplace_back();
    return bound.stages.size() - 1;
}

StatementPtr start_scan(const BoundSchedule& bound, const ThreadScan& scan) {
    return statement(Assign{scan.before, {}, bound.graph.stages[scan.before].values, false});
}

StatementPtr continue_scan(const BoundSchedule& bound, const ThreadScan& scan, const tessera::Loop& loop,
                           const tessera::Store& store) {
    const Stage &s = bound.graph.stages[scan.stage], &before = bound.graph.stages[scan.before];
    Replacements first{{loop.variable.get(), loop.begin}};
    TESSERA_CHECK(first_iteration(*loop.body, store, first), "a scan without its store");
    std::vector<Expr> place;
    for (const Expr& e : place_before(s, store.values)) place.push_back(simplify_index(substitute(e, first)));
    std::vector<Expr> left, right, values;
    for (size_t c = 0; c < s.dtypes.size(); ++c) {
        left.push_back(read_stage(s.func, place, static_cast<int>(c)));
        right.push_back(cell(before, c));
    }
    const Tuple combined = s.update->monoid->combine(Tuple(left), Tuple(right));
    for (size_t c = 0; c < s.dtypes.size(); ++c) values.push_back(resolve_weak(combined[c], s.dtypes[c], s.where));
    return statement(Assign{scan.before, {}, std::move(values), false});
}

StatementPtr scan_step(const BoundSchedule& bound, const ThreadScan& scan, const tessera::Store& store) {
    const Stage &s = bound.graph.stages[scan.stage], &before = bound.graph.stages[scan.before];
    std::vector<Expr> values, results;
    for (const Expr& e : store.values)
        values.push_back(rewrite(e, [&](const Expr& n) {
            return n->op == Op::access && n->target().func == s.func ? cell(before, static_cast<size_t>(n->component())) : Expr();
        }));
    StatementPtr step = statement(Assign{scan.before, {}, std::move(values), false});
    if (!scan.stores) return step;
    for (size_t c = 0; c < s.dtypes.size(); ++c) results.push_back(cell(before, c));
    return sequence({std::move(step), statement(Assign{scan.stage, store.place, std::move(results), false})});
}

StatementPtr start_of_time(const BoundSchedule& bound, const tessera::Store& store) {
    const Stage& s = bound.graph.stages[store.stage];
    const Dim& time = s.update->reduction_dims[0];
    size_t d = 0;
    while (s.dims[d].id() != time.id()) ++d;
    const Expr zeroth = substitute_dims(place_before(s, s.update->values)[d], {time}, {index_number(0)});
    return statement(If{make_op(Op::eq, DType::bool_, {store.place[d], simplify_index(zeroth)}),
                        statement(Assign{store.stage, store.place, store.values, false})});
}

}  // namespace tessera::tile
