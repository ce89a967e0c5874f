#include "oracle_check.h"

#include <tessera/compile.h>
#include <tessera/tessera.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>

namespace demo {

using namespace tessera;

Planes evaluate(const std::string& graph_file, const std::vector<Planes>& inputs, const std::vector<std::int64_t>& extents) {
    std::ifstream file(graph_file);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (!file)
        throw Error(E0605_file, {}, "cannot read " + graph_file,
                    {fix("build the demo in the folder where it runs: scripts/demo")});
    const Algorithm algorithm = parse_algorithm(text);
    NamedInputs named;
    for (size_t i = 0; i < inputs.size(); ++i) named.emplace(Input(algorithm.arguments().at(i).state()).name(), inputs[i]);
    const Planes output(extents);
    compile(algorithm, {}, parse_target("interpreter"))(named, {{algorithm.outputs().at(0).name(), output}});
    return output;
}

double largest_difference(const Planes& values, const Planes& expected) {
    std::vector<float> got, wanted;
    values.for_each([&](float v) { got.push_back(v); });
    expected.for_each([&](float v) { wanted.push_back(v); });
    double scale = 0, difference = 0;
    for (size_t i = 0; i < got.size(); ++i) {
        if (std::bit_cast<std::uint32_t>(got[i]) == std::bit_cast<std::uint32_t>(wanted[i])) continue;
        const double d = std::abs(double{got[i]} - double{wanted[i]});
        difference = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(difference, d);
    }
    for (const float v : wanted)
        if (std::isfinite(v)) scale = std::max(scale, std::abs(double{v}));
    return scale > 0 ? difference / scale : difference;
}

}  // namespace demo
