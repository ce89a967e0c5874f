// Goes downhill: value, gradients and the update of every weight (Adam; Kingma, Ba 2015, alg. 1) as one compiled algorithm.
#pragma once

#include <tessera/autodiff.h>

#include "compiled_program.h"

namespace apps {

class Descent {
public:
    /// loss: of rank 0. `further`: outputs that are computed with it. All extents are static.
    Descent(const tessera::Func& loss, const std::vector<tessera::Input>& weights,
            const std::vector<tessera::Func>& further = {});

    /// The arrays of the arguments, the weights included.
    [[nodiscard]] const CompiledProgram& program() const { return program_; }
    /// One step; the loss before it.
    double step(double rate);

private:
    Descent(const tessera::ValueAndGrad& g, const std::vector<tessera::Input>& weights,
            const std::vector<tessera::Func>& further);

    CompiledProgram program_;
    std::string loss_;
    std::vector<std::string> weights_;
    int steps_ = 0;
};

}  // namespace apps
