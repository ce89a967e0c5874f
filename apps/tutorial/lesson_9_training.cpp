// Lesson 9: training steps. Loss, gradient, loss scale and optimiser in one algorithm; parameters and states change in place.
#include <tessera/autodiff.h>
#include <tessera/compile.h>
#include <tessera/optimizer.h>
#include <tessera/schedule_default.h>
#include <tessera/schedule_derive.h>
#include <tessera/tessera.h>

#include <cmath>
#include <iostream>

#include "expect.h"

using namespace tessera;

int main() {
    // A layer with bf16 activations and f32 parameters.
    Dim b("b"), i("i"), o("o");
    Input x("x", bf16, {b, i}), W("W", f32, {i, o}), target("target", f32, {b, o});
    Func act("act"), loss("loss");
    act(b, o) = cast(bf16, tanh(sum({i}, cast(f32, x(b, i)) * W(i, o))));
    const Expr away = cast(f32, act(b, o)) - target(b, o);
    loss() = sum({b, o}, away * away);

    // The gradient of the scaled loss, divided by the scale again and clipped; where it overflows nothing changes.
    const optim::DynamicScale scale;
    const ValueAndGrad g = value_and_grad(scale.scaled(loss), {W});
    const optim::DynamicScale::Gradients scaled = scale.unscaled({{W, g.gradients[0]}});
    const optim::ClippedByNorm clipped = optim::clipped_by_norm(scaled.parameters, 10);
    const optim::Step step =
        optim::adam(clipped.parameters, 0.05, {.weight_decay = 0.01, .only_if = scaled.finite}) + scaled.step;
    const Algorithm algorithm = step.algorithm({g.value});
    for (const auto& [state, next] : step.in_place) std::cout << next << " in the memory of " << state << "\n";

    const std::int64_t B = 16, I = 8, O = 4;
    const Buffer<bfloat16> xs{B, I};
    const Buffer<float> ws{I, O}, ts{B, O}, value({}), mean{I, O}, square{I, O}, factor({});
    const Buffer<std::int32_t> count({}), good({});
    for (std::int64_t e = 0; e < B * I; ++e) xs.data()[e] = bfloat16(static_cast<float>(std::sin(static_cast<double>(e))));
    // What a layer with other weights gives.
    for (std::int64_t r = 0; r < B; ++r)
        for (std::int64_t c = 0; c < O; ++c) {
            float sum = 0;
            for (std::int64_t k = 0; k < I; ++k) sum += static_cast<float>(xs(r, k)) * 0.3f * static_cast<float>(k - c);
            ts(r, c) = std::tanh(sum);
        }
    factor() = 1024;
    const Module kernel = compile(algorithm, default_schedule(algorithm), Target());
    const NamedInputs inputs{{"x", xs},
                             {"W", ws},
                             {"target", ts},
                             {"W/step", count},
                             {"W/mean", mean},
                             {"W/square", square},
                             {"loss_scale", factor},
                             {"loss_scale/steps", good}};
    NamedOutputs outputs{{g.value.name(), value}};
    for (const auto& [state, next] : step.in_place) outputs.emplace(next, std::get<AnyBuffer>(inputs.at(state).value()));
    float first = 0;
    for (int n = 0; n < 100; ++n) {
        kernel(inputs, outputs);
        if (n == 0) first = value();
    }
    expect(value() < 0.8f * first, "the loss falls");
    expect(count() == 100, "steps are counted in place");

    // Two calls and the memory between them: all states of a recurrence, or every 16th.
    Dim t("t"), h("h");
    Input drive("drive", f32, {t, h}), decay("decay", f32, {h});
    Func state("state"), out("out");
    recurrence(t, {{state(t, h), cast(f32, 0)}},
               [&](const Self& s) -> Tuple { return {tanh(s[0](t - 1, h) * decay(h) + drive(t, h))}; });
    out(t, h) = state(t, h) * state(t, h) * drive(t, h);
    const Algorithm run({out}, {drive, decay});
    const ForwardBackward all = vjp(run, {.wrt = {"decay"}});
    const ForwardBackward some = vjp(run, {.wrt = {"decay"}, .save = SavePolicy::checkpoint_every(16)});
    const std::map<std::string, std::int64_t> sizes{{"t", 1024}, {"h", 64}};
    const ForwardBackward tight = vjp(run, {.wrt = {"decay"}, .save = SavePolicy::within(10000, sizes)});
    for (const ForwardBackward* pair : {&all, &some, &tight})
        std::cout << pair->saved[0].name() << ": " << saved_bytes(*pair, sizes) << " bytes\n";

    // A schedule for the derivative from that of the definition.
    Schedule by_hand;
    by_hand.stage("out").root().parallel("h", 32, "block").serial("t").serial("h", 8, "eight").vector("h");
    by_hand.stage("state").root();
    const Schedule derived = derive_schedule(run, by_hand, all.backward);
    expect(!derived.stages.empty(), "the backward algorithm has a schedule");
}
