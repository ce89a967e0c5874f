#include "verify/probe.h"

#include <tessera/autodiff.h>

#include "autodiff/access_inverse.h"

namespace tessera {

std::string Probe::name() const { return buffer_name(func, component); }

std::vector<std::int64_t> Probe::index(std::int64_t position, ExtentValues& extents) const {
    std::vector<std::int64_t> out = index_at(position, extents.shape(dims));
    for (size_t d = 0; d < out.size(); ++d) out[d] += extents.value(lows[d]);
    return out;
}

Expr position_over(const std::vector<Dim>& dims) {
    Expr at = make_constant(DType::i64, std::int64_t{0});
    for (const Dim& d : dims) at = at * Expr(d.extent()) + cast(DType::i64, d);
    return resolve_weak(at, DType::i64, {});
}

Expr Probe::position() const { return position_over(dims); }

Func Probe::cells(const std::string& name) const { return made_func(name, dims, {value}, func.state()->where); }

std::vector<Probe> probes_of(const Algorithm& algorithm, bool floats_only) {
    const RequiredRegions regions = required_regions(algorithm.state());
    NameSupply names(algorithm.state());
    std::vector<Probe> out;
    for (const Func& f : algorithm.funcs()) {
        const std::vector<Interval>& region = regions.at(f.state().get());
        Probe probe{f, 0, {}, {}, {}};
        std::vector<Expr> indices;
        bool bounded = true;
        for (size_t d = 0; d < f.rank() && bounded; ++d) {
            bounded = region[d].bounded();
            if (!bounded) break;
            const CountedDim counted = counted_dim(f.dims()[d], region[d], probe.dims, names);
            probe.dims.push_back(counted.dim);
            probe.lows.push_back(region[d].low);
            indices.push_back(counted.value);
        }
        if (!bounded) continue;
        for (int c = 0; c < f.components(); ++c) {
            if (floats_only && !is_float(f.dtype(c))) continue;
            probe.component = c;
            probe.value = read_at(f, indices, f.state()->where, c);
            out.push_back(probe);
        }
    }
    return out;
}

Algorithm with_outputs(const Algorithm& algorithm, const std::vector<Func>& further) {
    std::vector<Func> outputs = algorithm.outputs();
    outputs.insert(outputs.end(), further.begin(), further.end());
    const AlgorithmState& state = algorithm.state();
    return Algorithm(outputs, algorithm.arguments(), {.name = algorithm.name(), .require = state.require}, state.where);
}

Algorithm with_outputs_only(const Algorithm& algorithm, const std::vector<Func>& outputs) {
    const std::vector<Argument> arguments = arguments_of(outputs);
    std::vector<Dim> known;
    for (const Argument& a : arguments) known.insert(known.end(), a.state()->dims.begin(), a.state()->dims.end());
    for (const Dim& d : algorithm.state().dims)
        if (!d.state().extent && !contains_dim(known, d)) return with_outputs(algorithm, outputs);
    return Algorithm(outputs, arguments, {.name = algorithm.name()}, algorithm.state().where);
}

NamedInputs inputs_for(const Algorithm& algorithm, const NamedInputs& inputs) {
    NamedInputs out;
    for (const Argument& a : algorithm.arguments())
        if (const auto found = inputs.find(a.state()->name); found != inputs.end()) out.insert(*found);
    return out;
}

}  // namespace tessera
