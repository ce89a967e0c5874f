// Goes downhill: value, gradients and the update of every weight (Adam) as one compiled algorithm, weights and states in place.
#pragma once

#include <tessera/autodiff.h>
#include <tessera/optimizer.h>

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
    double step(double rate) const;

private:
    struct Definitions {
        tessera::Func loss;
        tessera::optim::Step step;
    };
    Descent(const Definitions& made, const std::vector<tessera::Func>& further);
    static Definitions definitions(const tessera::Func& loss, const std::vector<tessera::Input>& weights);

    CompiledProgram program_;
    std::string loss_;
};

}  // namespace apps
