#include "autodiff/graph_of.h"
#include "autodiff/kept_reads.h"
#include "autodiff/residuals.h"
#include "autodiff/reverse.h"
#include "autodiff/unreached.h"
#include "base/closest_name.h"

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
    keep_reads_inside(out, reverse.regions());
    return out;
}

}  // namespace

Algorithm value_and_grad(const Algorithm& algorithm, const std::vector<std::string>& wrt_names, const GradOptions& options) {
    const std::vector<Wrt> wrt = wrt_of(algorithm, wrt_names);
    NormalGraph g = normal_graph(algorithm.outputs(), wrt, algorithm.arguments(), false);
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
    NormalGraph g = normal_graph(algorithm.outputs(), wrt, algorithm.arguments(), true);
    Reverse reverse(*g.graph, {options.order, "d"});
    for (const Func& y : g.outputs) {
        if (y.components() > 1 || !is_float(y.dtype())) continue;
        const Input given("d_" + y.name(), derivative_dtype(y.dtype()), y.dims(), y.state()->where);
        reverse.seed(y, 0, given.at(std::vector<Index>(y.dims().begin(), y.dims().end()), y.state()->where));
    }
    reverse.run();
    const std::vector<Func> results = renamed_results(reverse, wrt);
    Residuals residuals(g.graph->algorithm, results, options.save, g.graph->names);
    std::vector<Func> outputs = g.outputs;
    outputs.insert(outputs.end(), residuals.outputs().begin(), residuals.outputs().end());
    const AlgorithmState& from = algorithm.state();
    const Algorithm forward(outputs, arguments_for(algorithm, outputs, {}), {.name = algorithm.name(), .require = from.require},
                            from.where);
    const std::vector<Func> back = residuals.reading_saved(results);
    const Algorithm backward(back, arguments_for(algorithm, back, wrt),
                             {.name = algorithm.name() + "_backward", .require = from.require}, from.where);
    return {forward, backward, residuals.inputs(), warnings_of_unreached(reverse, *g.graph, wrt, algorithm.name())};
}

std::int64_t saved_bytes(const ForwardBackward& pair, const std::map<std::string, std::int64_t>& extents) {
    ExtentValues values(extents);
    double bytes = 0;
    for (const Input& x : pair.saved) bytes += values.count(x.dims()) * static_cast<double>(dtype_bytes(x.dtype()));
    return static_cast<std::int64_t>(bytes);
}

SavePolicy SavePolicy::checkpoint_every(std::int64_t steps) { return {.every = steps}; }
SavePolicy SavePolicy::save_as(DType dtype) { return {.as = dtype}; }
SavePolicy SavePolicy::only(std::vector<std::string> names) { return {.kind = Kind::recompute, .keep = std::move(names)}; }
SavePolicy SavePolicy::within(std::int64_t bytes, std::map<std::string, std::int64_t> extents) {
    return {.bytes = bytes, .extents = std::move(extents)};
}

}  // namespace tessera
