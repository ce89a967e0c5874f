#include "tile/whole_nest.h"

#include "base/match.h"
#include "expr/affine.h"
#include "expr/index_analysis.h"
#include "schedule/loop_split.h"

#include <algorithm>

namespace tessera::tile {
namespace {

// Of indices alone: what memory holds may be read behind the nest's own guards only.
bool is_of_indices(const Expr& e) {
    bool reads = false;
    for_each_node({e}, [&](const Expr& n) { reads = reads || (n->op == Op::access && n->index_count() > 0); });
    return e->dtype == DType::i64 && !reads;
}

class NestScan {
public:
    NestScan(const Program& program, Environment environment, const NestMemory& memory)
        : program_(program), environment_(std::move(environment)), memory_(memory) {}

    std::optional<WholeNest> run(const Statement& nest) {
        visit(nest);
        // Of a nest that stores to registers alone a guard around its loops costs a test, and a second copy of them a compiler's
        // time: their rounds are unrolled.
        const bool gains = !out_.vectors.empty() || guards_rounds_ || (stores_memory_ && !out_.guards.empty());
        if (!only_stores_ || !gains) return std::nullopt;
        return out_;
    }

private:
    void visit(const Statement& s) {
        match(
            s.node,
            [&](const Sequence& q) {
                for (const StatementPtr& child : q.statements) visit(*child);
            },
            [&](const For& f) {
                add_rounds(f.variable, f.extent);
                if (rounds_.back().second > 1) loops_.push_back(f.variable);
                visit(*f.body);
                if (const auto v = vector_loop(f)) out_.vectors.emplace(&s, *v);
            },
            [&](const Let& l) {
                environment_.add_let(l.variable, l.value);
                visit(*l.body);
            },
            [&](const If& i) {
                if (const auto condition = in_all_rounds(environment_.resolved(i.condition))) {
                    out_.guards.insert(&s);
                    guards_rounds_ = guards_rounds_ || std::any_of(loops_.begin(), loops_.end(), [&](const Expr& variable) {
                                         return mentions(environment_.resolved(i.condition), variable);
                                     });
                    out_.condition =
                        out_.condition.defined() ? make_op(Op::and_, DType::bool_, {out_.condition, *condition}) : *condition;
                }
                visit(*i.body);
            },
            [&](const Spread& p) {
                for (const Axis& a : p.axes) add_rounds(a.variable, a.extent);
                visit(*p.body);
            },
            [&](const Assign& a) {
                only_stores_ = only_stores_ && !a.atomic;
                stores_memory_ = stores_memory_ || !memory_.is_register(a.stage);
            },
            [&](const auto&) { only_stores_ = false; });
    }
    void add_rounds(const Expr& variable, const Expr& extent) {
        environment_.add_range(variable, extent);
        const auto rounds = integer_constant(environment_.resolved(extent));
        only_stores_ = only_stores_ && rounds && *rounds > 0;
        rounds_.emplace_back(variable, rounds.value_or(1));
    }

    // A comparison of indices that are monotone in the variables of the nest holds in all rounds where it does in the worst.
    std::optional<Expr> in_all_rounds(const Expr& condition) const {
        if (condition->op == Op::and_) {
            const auto a = in_all_rounds(condition->args[0]), b = in_all_rounds(condition->args[1]);
            return a && b ? std::optional(make_op(Op::and_, DType::bool_, {*a, *b})) : std::nullopt;
        }
        if ((condition->op != Op::lt && condition->op != Op::le) || !is_of_indices(condition->args[0]) ||
            !is_of_indices(condition->args[1]))
            return std::nullopt;
        const auto left = extreme(condition->args[0], true), right = extreme(condition->args[1], false);
        if (!left || !right) return std::nullopt;
        return make_op(condition->op, DType::bool_, {*left, *right});
    }
    std::optional<Expr> extreme(const Expr& index, bool largest) const {
        if (index->op == Op::min || index->op == Op::max) {
            const auto a = extreme(index->args[0], largest), b = extreme(index->args[1], largest);
            return a && b ? std::optional(make_op(index->op, DType::i64, {*a, *b})) : std::nullopt;
        }
        Polynomial p = IndexAnalysis().normal(index);
        for (const auto& [variable, rounds] : rounds_) {
            const auto split = split_linear(p, variable);
            const auto factor = split ? split->factor.constant() : std::nullopt;
            if (!factor || mentions(split->rest.expr(), variable)) return std::nullopt;
            p = split->rest + Polynomial((*factor > 0) == largest ? *factor * (rounds - 1) : 0);
        }
        if (p.overflowed()) return std::nullopt;
        return simplify_index(p.expr());
    }

    std::optional<VectorLoop> vector_loop(const For& f) const {
        const Statement* at = f.body.get();
        while (!std::holds_alternative<Assign>(at->node)) {
            const auto* let = std::get_if<Let>(&at->node);
            const auto* guard = std::get_if<If>(&at->node);
            if (guard && out_.guards.count(at) == 0) return std::nullopt;
            if (!let && !guard) return std::nullopt;
            at = (let ? let->body : guard->body).get();
        }
        VectorLoop v{&std::get<Assign>(at->node), integer_constant(environment_.resolved(f.extent)).value_or(0), f.variable, {}};
        const Stage& s = program_.bound.graph.stages[v.store->stage];
        if (!(memory_.is_global(v.store->stage) || memory_.is_boxed(v.store->stage)) || s.dtypes.size() != 1 ||
            v.store->place.empty())
            return std::nullopt;
        if (!is_vector(v.store->place, v.store->place.size(), v, s.dtypes[0])) return std::nullopt;
        find_loads(v.store->values[0], v);
        return v;
    }
    bool is_vector(const std::vector<Expr>& place, size_t rank, const VectorLoop& v, DType dtype) const {
        const std::int64_t bytes = v.cells * dtype_bytes(dtype);
        if (rank == 0 || v.cells < 2 || (bytes != 4 && bytes != 8 && bytes != 16)) return false;
        for (size_t d = 0; d + 1 < rank; ++d)
            if (mentions(environment_.resolved(place[d]), v.variable)) return false;
        const auto split = split_linear(IndexAnalysis().normal(environment_.resolved(place[rank - 1])), v.variable);
        return split && split->factor.constant() == 1 && !mentions(split->rest.expr(), v.variable) &&
               is_multiple(split->rest, v.cells);
    }
    // Not those that a round may leave out.
    void find_loads(const Expr& e, VectorLoop& v) const {
        if (e->op == Op::access) {
            const AccessTarget& t = e->target();
            const auto i = t.func ? program_.bound.graph.find(t.func.get()) : std::nullopt;
            const bool global = t.input ? !t.input->scalar : i && memory_.is_global(*i);
            const bool known = std::any_of(v.loads.begin(), v.loads.end(), [&](const Expr& other) { return other.same_as(e); });
            if (global && !known && t.boundary == Boundary::none && is_vector(e->args, e->index_count(), v, e->dtype))
                v.loads.push_back(e);
            return;
        }
        const bool chooses = e->op == Op::select || e->op == Op::and_ || e->op == Op::or_;
        for (size_t a = 0; a < (chooses ? 1 : e->args.size()); ++a) find_loads(e->args[a], v);
    }

    const Program& program_;
    Environment environment_;
    const NestMemory& memory_;
    std::vector<std::pair<Expr, std::int64_t>> rounds_;
    WholeNest out_;
    std::vector<Expr> loops_;  // of several rounds, that one thread runs
    bool only_stores_ = true, stores_memory_ = false, guards_rounds_ = false;
};

}  // namespace

std::optional<WholeNest> whole_nest(const Program& program, const Statement& nest, Environment environment,
                                    const NestMemory& memory) {
    return NestScan(program, std::move(environment), memory).run(nest);
}

}  // namespace tessera::tile
