#include "autodiff/graph_of.h"
#include "autodiff/graph_rewrite.h"
#include "autodiff/reverse.h"
#include "base/closest_name.h"
#include "expr/op_cost.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera {
namespace {

std::vector<Wrt> wrt_of(const Algorithm& algorithm, const std::vector<std::string>& names) {
    std::vector<Wrt> wrt;
    std::vector<std::string> known;
    for (const Argument& a : algorithm.arguments()) known.push_back(a.state()->name);
    for (const std::string& name : names) {
        const auto found = std::find(known.begin(), known.end(), name);
        if (found == known.end())
            throw Error(E0307_missing_argument, algorithm.state().where,
                        fmt::format("the derivative by {} is asked for, which is no argument of {}", name, algorithm.name()),
                        {token("\"" + name + "\""), fix_spelling(name, known)});
        wrt.emplace_back(Input(algorithm.arguments()[static_cast<size_t>(found - known.begin())].state()),
                         algorithm.state().where);
    }
    return wrt;
}

// The arguments of `algorithm` that `outputs` need, in their order, then further ones.
std::vector<Argument> arguments_for(const Algorithm& algorithm, const std::vector<Func>& outputs, const std::vector<Wrt>& wrt) {
    std::vector<Argument> needed = arguments_of(outputs), out;
    const auto has = [](const std::vector<Argument>& all, const Argument& a) {
        return std::any_of(all.begin(), all.end(), [&](const Argument& b) { return a.state() == b.state(); });
    };
    for (const Argument& a : algorithm.arguments()) {
        bool is_wrt = false;  // its dims are those of a result
        for (const Wrt& x : wrt) is_wrt = is_wrt || x.input() == a.state();
        if (has(needed, a) || is_wrt) out.push_back(a);
    }
    for (const Argument& a : needed)
        if (!has(out, a)) out.push_back(a);
    return out;
}

std::vector<Func> renamed_results(Reverse& reverse, const std::vector<Wrt>& wrt) {
    std::vector<Func> out;
    for (const Wrt& x : wrt) {
        out.push_back(reverse.result(x.input()));
        out.back().state()->name = "d_" + x.input()->name;
    }
    return out;
}

bool is_within(const Interval& range, const Dim& d, bool below_too) {
    const Expr over = simplify_index(make_op(Op::sub, DType::i64, {whole_dim(d).high, range.high}));
    return range.bounded() && (below_too || proves_nonnegative(range.low)) &&
           proves_nonnegative(over, {.extents_positive = true});
}

// What the backward part reads of the forward one: kept as buffers, or computed once more.
class Residuals {
public:
    Residuals(const Algorithm& forward, const std::vector<Func>& backward, const SavePolicy& policy)
        : policy_(policy), regions_(required_regions(forward.state())) {
        std::unordered_set<const FuncState*> primal, needed;
        for (const Func& f : forward.funcs()) primal.insert(f.state().get());
        const auto need_reads = [&](const FuncState& f) {
            for_each_node(definition_roots(f), [&](const Expr& n) {
                if (n->op == Op::access && n->target().func && primal.count(n->target().func.get()))
                    needed.insert(n->target().func.get());
            });
        };
        for (const Func& f : reachable_funcs(backward))
            if (!primal.count(f.state().get())) need_reads(*f.state());
        for (const Func& y : backward)
            if (primal.count(y.state().get())) needed.insert(y.state().get());
        // A recurrence that is computed once more needs more of what stands before it in the list too: go over it until it is
        // quiet.
        for (size_t before = ~size_t{0}; before != needed.size();) {
            before = needed.size();
            for (size_t i = forward.funcs().size(); i-- > 0;) {
                const Func& f = forward.funcs()[i];
                if (!needed.count(f.state().get()) || saved_.count(f.state().get())) continue;
                if (!is_saved(f)) {
                    need_reads(*f.state());
                    continue;
                }
                save(f, forward);
                if (f.state()->recurrence) need_reads(*started_by(*f.state()).state());
            }
        }
    }

    [[nodiscard]] const std::vector<Func>& outputs() const { return outputs_; }
    [[nodiscard]] const std::vector<Input>& inputs() const { return inputs_; }

    /// `funcs` with the reads of saved Funcs replaced.
    [[nodiscard]] std::vector<Func> reading_saved(const std::vector<Func>& funcs) {
        // States first: what starts them reads others.
        const auto replacing = [this](bool states) {
            return GraphRewrite([this, states](const Expr& access) { return replaced(access, states); });
        };
        return replacing(false)(replacing(true)(funcs));
    }

private:
    // The values of a state before the start.
    Func started_by(const FuncState& f) {
        const auto found = starts_.find(&f);
        if (found != starts_.end()) return found->second;
        return starts_.emplace(&f, made_func(f.name + "/init", f.dims, {f.init}, f.where)).first->second;
    }

    // A read of a saved Func as a read of its buffer; of a recurrence's state before the start as its init.
    [[nodiscard]] Expr replaced(const Expr& access, bool states) {
        const AccessTarget& target = access->target();
        const auto found = saved_.find(target.func.get());
        if (found == saved_.end() || states != (target.func->recurrence != nullptr)) return {};
        const Input& input = found->second.at(static_cast<size_t>(access->component()));
        const auto read = [&](const std::vector<Expr>& args) {
            return converted(access.dtype(),
                             make_access({input.state(), nullptr, target.boundary}, args, input.dtype(), 0, access->where));
        };
        const auto& recurrence = target.func->recurrence;
        if (!recurrence) return read(access->args);
        Expr started;
        for (size_t i = 0; i < target.func->dims.size(); ++i) {
            const Dim& d = target.func->dims[i];
            if (d.id() != recurrence->t.id()) continue;
            started = make_op(Op::le, DType::bool_, {zero_of(DType::i64), access->args[i]});
        }
        return chosen(started, read(access->args), read_at(started_by(*target.func), access->args, access->where));
    }

    [[nodiscard]] bool is_saved(const Func& f) const {
        const std::vector<Interval>& region = regions_.at(f.state().get());
        const auto& recurrence = f.state()->recurrence;
        for (size_t i = 0; i < region.size(); ++i)
            if (!is_within(region[i], f.dims()[i], recurrence && recurrence->t.id() == f.dims()[i].id() && !recurrence->reverse))
                return false;
        if (policy_.kind == SavePolicy::Kind::recompute) return false;
        if (policy_.kind == SavePolicy::Kind::save || recurrence) return true;
        // Default: keep reductions and what costs more than a few loads.
        constexpr double cheap = 12;
        double cost = 0;
        bool structured = false;
        for_each_node(f.state()->values, [&](const Expr& n) {
            cost += op_cost(*n);
            structured = structured || is_structured(n->op);
        });
        return structured || cost > cheap;
    }

    void save(const Func& f, const Algorithm& forward) {
        std::vector<Input> inputs;
        const bool is_output = std::any_of(forward.outputs().begin(), forward.outputs().end(),
                                           [&](const Func& y) { return y.state() == f.state(); });
        std::vector<Expr> stored;
        bool narrowed = false;
        for (int c = 0; c < f.components(); ++c) {
            const DType own = f.dtype(c);
            const bool narrow = policy_.as && is_float(own) && dtype_bits(*policy_.as) < dtype_bits(own) && !is_output;
            const std::string name = f.name() + (narrow ? "/saved" : "") + (f.components() > 1 ? "." + std::to_string(c) : "");
            inputs.emplace_back(name, narrow ? *policy_.as : own, f.dims(), f.state()->where);
            stored.push_back(converted(inputs.back().dtype(), read_at(f, dims_as_indices(f.dims()), f.state()->where, c)));
            narrowed = narrowed || narrow;
        }
        if (narrowed)
            outputs_.push_back(made_func(f.name() + "/saved", f.dims(), stored, f.state()->where));
        else if (!is_output)
            outputs_.push_back(f);
        inputs_.insert(inputs_.end(), inputs.begin(), inputs.end());
        saved_.emplace(f.state().get(), std::move(inputs));
    }

    const SavePolicy& policy_;
    RequiredRegions regions_;
    std::map<const FuncState*, std::vector<Input>> saved_;
    std::vector<Func> outputs_;
    std::vector<Input> inputs_;
    std::map<const FuncState*, Func> starts_;
};

}  // namespace

Algorithm value_and_grad(const Algorithm& algorithm, const std::vector<std::string>& wrt_names, const GradOptions& options) {
    const std::vector<Wrt> wrt = wrt_of(algorithm, wrt_names);
    NormalGraph g = normal_graph(algorithm.outputs(), wrt, algorithm.arguments());
    const Func& loss = g.outputs[0];
    check_scalar(loss, options);
    Reverse reverse(*g.graph, {options.order, "d", options.per});
    reverse.seed(loss, 0, make_constant(derivative_dtype(loss.dtype()), 1.0));
    reverse.run();
    std::vector<Func> outputs = g.outputs;
    for (const Func& f : renamed_results(reverse, wrt)) outputs.push_back(f);
    return Algorithm(outputs, arguments_for(algorithm, outputs, wrt),
                     {.name = algorithm.name(), .require = algorithm.state().require}, algorithm.state().where);
}

ForwardBackward vjp(const Algorithm& algorithm, const VjpOptions& options) {
    const std::vector<Wrt> wrt = wrt_of(algorithm, options.wrt);
    NormalGraph g = normal_graph(algorithm.outputs(), wrt, algorithm.arguments());
    Reverse reverse(*g.graph, {options.order, "d"});
    for (const Func& y : g.outputs) {
        if (y.components() > 1 || !is_float(y.dtype())) continue;
        const Input given("d_" + y.name(), derivative_dtype(y.dtype()), y.dims(), y.state()->where);
        reverse.seed(y, 0, given.at(std::vector<Index>(y.dims().begin(), y.dims().end()), y.state()->where));
    }
    reverse.run();
    const std::vector<Func> results = renamed_results(reverse, wrt);
    Residuals residuals(g.graph->algorithm, results, options.save);
    std::vector<Func> outputs = g.outputs;
    outputs.insert(outputs.end(), residuals.outputs().begin(), residuals.outputs().end());
    const AlgorithmState& from = algorithm.state();
    const Algorithm forward(outputs, arguments_for(algorithm, outputs, {}), {.name = algorithm.name(), .require = from.require},
                            from.where);
    const std::vector<Func> back = residuals.reading_saved(results);
    const Algorithm backward(back, arguments_for(algorithm, back, wrt),
                             {.name = algorithm.name() + "_backward", .require = from.require}, from.where);
    return {forward, backward, residuals.inputs()};
}

}  // namespace tessera
