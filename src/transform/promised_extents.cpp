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
    return std::make_shared<GraphCopy>(std::move(changes))->algorithm(a, a.name, {});
}

}  // namespace tessera
