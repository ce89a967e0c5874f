#include "descent.h"

#include <tessera/tessera.h>

namespace apps {

using namespace tessera;

Descent::Definitions Descent::definitions(const Func& loss, const std::vector<Input>& weights) {
    const ValueAndGrad g = value_and_grad(loss, {weights.begin(), weights.end()});
    std::vector<optim::Parameter> parameters;
    for (std::size_t k = 0; k < weights.size(); ++k) parameters.push_back({weights[k], g.gradients[k]});
    const Input rate("rate", f32, {});
    return {g.value, optim::adam(parameters, rate())};
}

Descent::Descent(const Func& loss, const std::vector<Input>& weights, const std::vector<Func>& further)
    : Descent(definitions(loss, weights), further) {}

Descent::Descent(const Definitions& made, const std::vector<Func>& further)
    : program_(
          [&] {
              std::vector<Func> before{made.loss};
              before.insert(before.end(), further.begin(), further.end());
              return made.step.algorithm(before);
          }(),
          made.step.in_place),
      loss_(made.loss.name()) {}

double Descent::step(double rate) const {
    *program_.array("rate").data() = static_cast<float>(rate);
    program_.run();
    return *program_.array(loss_).data();
}

}  // namespace apps
