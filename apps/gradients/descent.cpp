#include "descent.h"

#include <tessera/autodiff.h>
#include <tessera/tessera.h>

#include <cmath>

namespace apps {
namespace {

using namespace tessera;

constexpr double first_decay = 0.9, second_decay = 0.999;

Algorithm step_of(const ValueAndGrad& g, const std::vector<Input>& weights, const std::vector<Func>& further) {
    const Input rate("rate", f32, {});
    std::vector<Func> outputs{g.value};
    for (std::size_t k = 0; k < weights.size(); ++k) {
        const Input& w = weights[k];
        const std::vector<Index> at(w.dims().begin(), w.dims().end());
        const Input mean("mean_" + w.name(), f32, w.dims()), square("square_" + w.name(), f32, w.dims());
        Func next_mean("next_mean_" + w.name()), next_square("next_square_" + w.name()), next("next_" + w.name());
        const Expr slope = g.gradients[k].at(at);
        next_mean.at(at) = static_cast<float>(first_decay) * mean.at(at) + static_cast<float>(1 - first_decay) * slope;
        next_square.at(at) =
            static_cast<float>(second_decay) * square.at(at) + static_cast<float>(1 - second_decay) * slope * slope;
        next.at(at) = w.at(at) - rate() * next_mean.at(at).read() / (sqrt(next_square.at(at).read()) + 1e-12f);
        outputs.insert(outputs.end(), {next_mean, next_square, next});
    }
    outputs.insert(outputs.end(), further.begin(), further.end());
    return Algorithm(outputs, arguments_of(outputs));
}

}  // namespace

Descent::Descent(const Func& loss, const std::vector<Input>& weights, const std::vector<Func>& further)
    : Descent(value_and_grad(loss, {weights.begin(), weights.end()}), weights, further) {}

Descent::Descent(const ValueAndGrad& g, const std::vector<Input>& weights, const std::vector<Func>& further)
    : program_(step_of(g, weights, further)), loss_(g.value.name()) {
    for (const Input& w : weights) weights_.push_back(w.name());
}

double Descent::step(double rate) {
    ++steps_;
    const double corrected = rate * std::sqrt(1 - std::pow(second_decay, steps_)) / (1 - std::pow(first_decay, steps_));
    *program_.array("rate").data() = static_cast<float>(corrected);
    program_.run();
    for (const std::string& w : weights_) {
        program_.exchange("next_" + w, w);
        program_.exchange("next_mean_" + w, "mean_" + w);
        program_.exchange("next_square_" + w, "square_" + w);
    }
    return *program_.array(loss_).data();
}

}  // namespace apps
