#include "autodiff/names.h"
#include "verify/sentinel_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace tessera {
namespace {

// A node of a definition, where it is computed: under a condition, for the values of further dims.
struct Suspect {
    Expr node;
    std::vector<Dim> loops;
    Expr condition;
};

// All float operations of a definition, operands before what reads them.
class Suspects {
public:
    explicit Suspects(const Expr& root) { visit(root, {}, {}); }
    [[nodiscard]] const std::vector<Suspect>& all() const { return all_; }

private:
    static Expr both(const Expr& a, const Expr& b) { return !a.defined() ? b : a && b; }

    void visit(const Expr& e, const std::vector<Dim>& loops, const Expr& condition) {
        if (e->op == Op::access || e->args.empty() || !seen_.insert(e.get()).second) return;
        if (e->op == Op::select) {
            visit(e->args[0], loops, condition);
            visit(e->args[1], loops, both(condition, e->args[0]));
            visit(e->args[2], loops, both(condition, !Operand(e->args[0])));
            return;
        }
        if (e->op == Op::reduce) {
            std::vector<Dim> inner = loops;
            for (const Dim& d : e->reduction().dims)
                if (!contains_dim(inner, d)) inner.push_back(d);
            const Expr predicate = e->where_condition();
            const Expr there = predicate.defined() ? both(condition, predicate) : condition;
            for (size_t i = 0; i < e->reduction().components(); ++i) visit(e->args[i], inner, there);
        } else if (is_scalar_op(e->op)) {
            for (const Expr& a : e->args) visit(a, loops, condition);
        }
        if (is_float(e.dtype())) all_.push_back({e, loops, condition});
    }

    std::vector<Suspect> all_;
    std::unordered_set<const ExprNode*> seen_;
};

// What may be done where an operation gives a value that is not finite.
struct Advice {
    std::vector<Op> ops;
    std::vector<std::string> fixes;
};
const std::vector<Advice>& advice() {
    static const std::vector<Advice> rows{
        {{Op::log, Op::log2, Op::log1p},
         {"take the logarithm where its operand is in range: select(x > 0, log(x), other)",
          "keep the operand away from 0: log(max(x, 1e-6f))"}},
        {{Op::sqrt},
         {"take the root where its operand is in range: select(x > 0, sqrt(x), 0)",
          "its derivative at 0 is infinite: add a small number, sqrt(x + 1e-12f)"}},
        {{Op::div, Op::mod},
         {"divide where the divisor is not 0: select(y != 0, x / y, other)", "add a small number to the divisor"}},
        {{Op::exp, Op::exp2, Op::expm1, Op::sinh, Op::cosh},
         {"subtract the largest operand first, as softmax and logsumexp do", "clip the operand: min(x, 80.0f)"}},
        {{Op::pow}, {"a power of a negative number is NaN, a negative power of 0 infinite: restrict the operand by select()"}},
        {{Op::asin, Op::acos}, {"clip the operand to [-1, 1]: clamp(x, -1.0f, 1.0f)"}},
        {{Op::cast}, {"the value is beyond the narrower dtype: scale it (loss scaling), or use bf16 or f32"}},
        {{Op::reduce},
         {"a maximum or minimum over nothing is infinite: check the predicate and the extents",
          "a sum that leaves the dtype's range: accumulate in f32 or f64 ({.accumulate = f32})"}},
    };
    return rows;
}
std::vector<std::string> fixes_for(Op op) {
    for (const Advice& row : advice())
        if (std::find(row.ops.begin(), row.ops.end(), op) != row.ops.end()) return row.fixes;
    return {"the operands are finite but their result leaves the dtype's range: scale them, or clip the gradient"};
}

std::string operation_text(const Expr& node, const std::vector<double>& operands, const std::vector<Dim>& loops,
                           const std::vector<std::int64_t>& at) {
    std::string name(node->op == Op::reduce ? node->reduction().monoid->name : op_row(node->op).name);
    std::string out = name;
    if (node->op == Op::cast) out += fmt::format("<{}>", dtype_name(node.dtype()));
    if (!operands.empty()) out += fmt::format("({})", fmt::join(operands, ", "));
    std::string where;
    for (size_t d = 0; d < loops.size(); ++d) where += fmt::format("{}{} = {}", d == 0 ? "" : ", ", loops[d].name(), at[d]);
    if (!where.empty()) out += " at " + where;
    return out;
}

// The Funcs that tell of one suspect: its first position, and the values of its operands there.
struct Question {
    Func first;
    std::vector<Func> operands;
    std::vector<Dim> loops;  // of the suspect alone
};

Question question_about(const Suspect& s, const Probe& probe, std::int64_t position, const DimValues& there, bool infinities,
                        size_t number) {
    const auto moved = [&](const Expr& e) { return with_dims(e, there); };
    const SourceLoc where = probe.func.state()->where;
    std::vector<Dim> all = probe.dims;
    all.insert(all.end(), s.loops.begin(), s.loops.end());
    Expr hit = probe.position() == position;
    if (s.condition.defined()) hit = hit && moved(s.condition);
    hit = hit && is_nonfinite(moved(s.node), infinities);
    Question q{made_func(fmt::format("question/{}", number), {}, {first_position(all, hit)}, where), {}, s.loops};
    if (!is_scalar_op(s.node->op)) return q;
    for (const Expr& a : s.node->args) {
        if (!is_float(a.dtype())) continue;
        const Expr here = position_over(all) == read_at(q.first, {}, where);
        const Expr operand = select(here, cast(DType::f64, moved(a)), lowest(DType::f64));
        q.operands.push_back(made_func(fmt::format("question/{}/{}", number, q.operands.size()), {},
                                       {all.empty() ? operand : max(all, operand)}, where));
    }
    return q;
}

}  // namespace

Blame blamed_operation(const Algorithm& algorithm, const NamedInputs& inputs, const Probe& probe, std::int64_t position,
                       bool infinities) {
    constexpr size_t most = 200;  // operations that are asked about
    DimValues there;
    for (size_t d = 0; d < probe.dims.size(); ++d) {
        const Expr value = simplify_index(make_op(Op::add, DType::i64, {probe.lows[d], make_dim(probe.dims[d])}));
        if (probe.func.dims()[d].id() != probe.dims[d].id()) there[probe.func.dims()[d].id()] = value;
    }
    const Suspects suspects(probe.func.state()->values[static_cast<size_t>(probe.component)]);
    std::vector<Question> questions;
    std::vector<Func> outputs;
    for (const Suspect& s : suspects.all()) {
        if (questions.size() == most) break;
        questions.push_back(question_about(s, probe, position, there, infinities, questions.size()));
        outputs.push_back(questions.back().first);
        outputs.insert(outputs.end(), questions.back().operands.begin(), questions.back().operands.end());
    }
    if (questions.empty()) return {};
    // The interpreter computes what the questions need of the producers, and nothing else.
    const Algorithm asking = with_outputs_only(algorithm, outputs);
    ExtentValues extents = extents_of(algorithm, inputs);
    NamedOutputs answers = allocated_outputs(asking, extents);
    default_module(asking, parse_target("interpreter"))(inputs_for(asking, inputs), answers);
    for (size_t k = 0; k < questions.size(); ++k) {
        const std::int64_t first = Buffer<const std::int64_t>(answers.at(questions[k].first.name()))();
        if (first == no_position) continue;
        std::vector<double> operands;
        for (const Func& f : questions[k].operands) operands.push_back(numbers_of(answers.at(f.name()))[0]);
        const std::vector<std::int64_t> at = index_at(first, extents.shape(questions[k].loops));
        const Expr& node = suspects.all()[k].node;
        return {operation_text(node, operands, questions[k].loops, at), fixes_for(node->op)};
    }
    return {};
}

}  // namespace tessera
