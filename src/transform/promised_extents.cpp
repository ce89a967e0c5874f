#include "transform/promised_extents.h"

#include "transform/graph_copy.h"

#include <numeric>

namespace tessera {

Algorithm with_multiples(const Algorithm& algorithm, const std::map<std::string, std::int64_t>& factors) {
    const AlgorithmState& a = algorithm.state();
    CopyChanges changes;
    for (const Dim& d : a.dims) {
        const auto factor = factors.find(d.name());
        if (factor == factors.end() || d.state().extent || d.state().multiple_of % factor->second == 0) continue;
        auto promised = std::make_shared<DimState>(d.state());
        promised->multiple_of = std::lcm(promised->multiple_of, factor->second);
        changes.dims.emplace(d.id(), Dim(promised));
    }
    if (changes.dims.empty()) return algorithm;
    const auto copy = std::make_shared<GraphCopy>(std::move(changes));
    const std::vector<Func> outputs = (*copy)(a.outputs);
    AlgorithmOptions options{.name = a.name};
    std::vector<Argument> arguments;
    for (const Argument& x : a.arguments)
        arguments.emplace_back(Input(std::const_pointer_cast<InputState>(copy->input(x.state()))));
    for (const auto& [x, y] : a.require) options.require.emplace_back(copy->extent(x), copy->extent(y));
    for (const InPlacePair& p : a.in_place)
        options.in_place.emplace_back(a.arguments[p.argument].state()->name, buffer_name(a.outputs[p.output], p.component));
    return Algorithm(outputs, arguments, options, a.where);
}

}  // namespace tessera
