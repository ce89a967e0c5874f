#include "compile/cuda_kernels.h"

#include "algorithm/graph.h"

#include <fmt/format.h>

namespace tessera {

tile::Program cuda_program(const Algorithm& algorithm, const Schedule& schedule, const Target& target, tile::Copies copies) {
    const AlgorithmState& state = algorithm.state();
    if (!state.in_place.empty())
        throw Limit(L0901_not_on_target, state.where,
                    fmt::format("{} writes {} into the memory of {}, which GPU kernels do not", state.name,
                                state.outputs[state.in_place[0].output].name(),
                                state.arguments[state.in_place[0].argument].state()->name),
                    {fix("give the output memory of its own"), fix("compile for host")});
    return tile::lower(build_loop_tree(bind(algorithm, schedule, target)), target, copies);
}

CudaFile cuda_file(const tile::Program& program, const std::string& how, const Target& target, const std::string& prefix,
                   cuda::IndexWidth width) {
    CudaFile out;
    out.kernels = cuda::emit_kernels(program, prefix, width);
    out.source = cuda::cuda_source(out.kernels, target,
                                   fmt::format("Compiled by Tessera for {}.\nDefinition:\n{}\n{}\n", to_text(target),
                                               program.bound.graph.algorithm.text(), how));
    return out;
}

}  // namespace tessera
