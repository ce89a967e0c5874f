#include "tile/async_copy.h"

#include "expr/affine.h"
#include "expr/index_analysis.h"
#include "schedule/loop_split.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace tessera::tile {
namespace {

Expr both(const Expr& a, const Expr& b) { return !a.defined() ? b : make_op(Op::and_, DType::bool_, {a, b}); }

class VectorCopy {
public:
    VectorCopy(const BoundSchedule& bound, const tessera::Loop& loop, const Environment& environment, std::int64_t cells)
        : bound_(bound), loop_(loop), environment_(environment), cells_(cells) {}

    AsyncCopy run(const tessera::Store& store, const std::map<const ExprNode*, Expr>& lets, const std::vector<Expr>& conditions) {
        const Stage& s = bound_.graph.stages[store.stage];
        stage_ = &s;
        if (s.dtypes.size() != 1) refuse("it has several components", "use engine auto");
        const std::int64_t bytes = cells_ * dtype_bytes(s.dtypes[0]);
        if (bytes != 4 && bytes != 8 && bytes != 16)
            refuse(fmt::format("its vector loop covers {} bytes", bytes),
                   fmt::format("let it cover {} cells", 16 / dtype_bytes(s.dtypes[0])));
        for (const Expr& c : conditions) require(c);
        AsyncCopy out;
        out.stage = store.stage;
        out.cells = cells_;
        for (size_t d = 0; d < store.place.size(); ++d) {
            const Expr place = substitute(store.place[d], lets);
            if (d + 1 < store.place.size() ? mentions(place, loop_.variable) : !is_contiguous(place))
                refuse("the vector loop does not run along its last dim", "put the loop over the last dim innermost");
            out.place.push_back(at(place, 0));
        }
        Expr value = substitute(store.values[0], lets);
        while (value->op == Op::select) {
            require(value->args[0]);
            value = value->args[1];
        }
        out.source = source(value);
        out.whole = whole_;
        return out;
    }

private:
    [[noreturn]] void refuse(std::string_view why, std::string instead) const {
        throw Limit(L0903_schedule, stage_->where, fmt::format("cp_async does not move {}: {}", stage_->name, why),
                    {fix(std::move(instead)), fix("use engine auto, with buffers 1")});
    }
    // At position `i` of the loop.
    Expr at(const Expr& e, std::int64_t i) const {
        return substitute(e, {{loop_.variable.get(), index_sum(loop_.begin, index_number(i))}});
    }
    bool is_contiguous(const Expr& index) const {
        const auto split = split_linear(IndexAnalysis().normal(environment_.resolved(index)), loop_.variable);
        return split && split->factor.constant() == 1 && !mentions(split->rest.expr(), loop_.variable);
    }

    // `condition` holds for all positions where it holds for that one at which its two sides are nearest.
    void require(const Expr& condition) {
        if (condition->op == Op::and_) {
            for (const Expr& c : condition->args) require(c);
            return;
        }
        if (!mentions(environment_.resolved(condition), loop_.variable)) {
            whole_ = both(whole_, condition);
            return;
        }
        const bool comparison = condition->op == Op::lt || condition->op == Op::le;
        if (!comparison || !is_integer(condition->args[0]->dtype)) refuse("a condition is no comparison of indices", "drop it");
        whole_ = both(whole_, make_op(condition->op, DType::bool_,
                                      {extreme(condition->args[0], true), extreme(condition->args[1], false)}));
    }
    // The largest or smallest value of an index that is monotone in the loop's variable.
    Expr extreme(const Expr& index, bool largest) const {
        const auto part = [&](const Expr& e) { return extreme(e, largest); };
        if (!mentions(environment_.resolved(index), loop_.variable)) return index;
        if (index->op == Op::min || index->op == Op::max)
            return make_op(index->op, DType::i64, {part(index->args[0]), part(index->args[1])});
        const auto split = split_linear(IndexAnalysis().normal(environment_.resolved(index)), loop_.variable);
        const auto factor = split ? split->factor.constant() : std::nullopt;
        if (!factor || mentions(split->rest.expr(), loop_.variable))
            refuse("a condition is not monotone in its vector loop", "drop it");
        return at(index, (*factor > 0) == largest ? cells_ - 1 : 0);
    }

    // The read at the first position, its last index freed of what holds it at an end.
    Expr source(const Expr& value) {
        const bool read = value->op == Op::access && value->dtype == stage_->dtypes[0] && value->index_count() > 0;
        if (!read) refuse("it is computed, not copied", "let it read one tensor as it is stored");
        const AccessTarget& target = value->target();
        if (target.func && bound_.graph.stages[bound_.graph.find(target.func.get()).value()].output)
            refuse("it reads an output", "read a stage at root");
        std::vector<Expr> args = value->args;
        for (size_t d = 0; d < value->index_count(); ++d) {
            const bool last = d + 1 == value->index_count();
            if (last) args[d] = free_index(args[d]);
            if (last ? !is_contiguous(args[d]) : mentions(environment_.resolved(args[d]), loop_.variable))
                refuse("it does not read along the last dim of its source", "use a vector loop over the dim that is dense there");
            if (target.boundary != Boundary::none) {
                require(make_op(Op::le, DType::bool_, {index_number(0), args[d]}));
                const Dim& dim = (target.input ? target.input->dims : target.func->dims)[d];
                require(make_op(Op::lt, DType::bool_, {args[d], resolve_weak(Expr(dim.extent()), DType::i64, {})}));
            }
            args[d] = at(args[d], 0);
        }
        const Expr first = args[value->index_count() - 1];
        if (!is_multiple(IndexAnalysis().normal(environment_.resolved(first)), cells_))
            refuse(fmt::format("its vectors of {} cells start at cells that are no multiples of it", cells_),
                   "use a shorter vector loop");
        args.resize(value->index_count());
        return make_access({target.input, target.func}, std::move(args), value->dtype, value->component(), value->where);
    }
    // min(i, last) is i where all positions are at most `last`.
    Expr free_index(const Expr& index) {
        if (index->op != Op::min && index->op != Op::max) return index;
        const bool first = mentions(environment_.resolved(index->args[0]), loop_.variable);
        const Expr &moving = index->args[first ? 0 : 1], &end = index->args[first ? 1 : 0];
        require(make_op(Op::le, DType::bool_, {index->op == Op::min ? moving : end, index->op == Op::min ? end : moving}));
        return free_index(moving);
    }

    const BoundSchedule& bound_;
    const tessera::Loop& loop_;
    const Environment& environment_;
    std::int64_t cells_;
    const Stage* stage_ = nullptr;
    Expr whole_;
};

void add_alignment(const Program& program, const InputState& input, std::int64_t bytes, std::map<size_t, std::int64_t>& out) {
    std::int64_t& most = out[argument_of(program, input)];
    most = std::max(most, bytes);
}
size_t argument_of_output(const Program& program, size_t output) {
    const Algorithm& algorithm = program.bound.graph.algorithm;
    size_t number = algorithm.arguments().size();
    for (size_t o = 0; o < output; ++o) number += algorithm.outputs()[o].state()->dtypes.size();
    return number;
}

void add_alignments(const Program& program, const Statement& s, std::map<size_t, std::int64_t>& out) {
    if (const auto* c = std::get_if<AsyncCopy>(&s.node); c && c->source->target().input)
        add_alignment(program, *c->source->target().input, c->cells * dtype_bytes(c->source->dtype), out);
    if (const auto* c = std::get_if<BoxCopy>(&s.node)) add_alignment(program, *c->source->target().input, 16, out);
    if (const auto* b = std::get_if<BoxStore>(&s.node)) {
        std::int64_t& most = out[argument_of_output(program, program.bound.graph.stages[b->stage].output.value())];
        most = std::max<std::int64_t>(most, 16);
    }
    for (const StatementPtr& child : children(s)) add_alignments(program, *child, out);
}

}  // namespace

size_t argument_of(const Program& program, const InputState& input) {
    const auto& arguments = program.bound.graph.algorithm.arguments();
    const auto found =
        std::find_if(arguments.begin(), arguments.end(), [&](const Argument& a) { return a.state().get() == &input; });
    return static_cast<size_t>(found - arguments.begin());
}

void refuse_single_cells(const Stage& stage) {
    throw Limit(L0903_schedule, stage.where, fmt::format("cp_async does not move {}: it has no vector loop", stage.name),
                {fix(fmt::format("make its innermost loop a vector loop of {} cells", 16 / dtype_bytes(stage.dtypes[0]))),
                 fix("use engine auto, with buffers 1")});
}

std::optional<AsyncCopy> asynchronous_copy(const BoundSchedule& bound, const tessera::Loop& loop,
                                           const Environment& environment) {
    std::map<const ExprNode*, Expr> lets;
    std::vector<Expr> conditions;
    const tessera::Statement* at = loop.body.get();
    const tessera::Store* store = nullptr;
    while (!store) {
        if (const auto* let = std::get_if<tessera::Let>(&at->node)) {
            lets[let->variable.get()] = substitute(let->value, lets);
            at = let->body.get();
        } else if (const auto* guard = std::get_if<tessera::Guard>(&at->node)) {
            conditions.push_back(substitute(guard->condition, lets));
            at = guard->body.get();
        } else {
            store = std::get_if<tessera::Store>(&at->node);
            if (!store) return std::nullopt;
        }
    }
    if (bound.stages[store->stage].engine != Engine::cp_async) return std::nullopt;
    const auto cells = integer_constant(environment.resolved(loop.extent));
    return VectorCopy(bound, loop, environment, cells.value_or(0)).run(*store, lets, conditions);
}

std::vector<CopyAlignment> copy_alignments(const Program& program) {
    std::map<size_t, std::int64_t> found;
    for (const Kernel& k : program.kernels) add_alignments(program, *k.body, found);
    std::vector<CopyAlignment> out;
    for (const auto& [argument, bytes] : found) out.push_back({argument, bytes});
    return out;
}

}  // namespace tessera::tile
