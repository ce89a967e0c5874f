// Learns to read handwritten digits: a network of two layers, whose step (gradient, momentum, update of the weights) is one
// algorithm. digits_mlp [FILE]: prints the share of test digits that it reads right; fails below 97 %.
#include <tessera/autodiff.h>
#include <tessera/optimizer.h>
#include <tessera/tessera.h>

#include <iostream>

#include "digit_images.h"
#include "expect.h"

using namespace tessera;

namespace {

constexpr std::int64_t hidden = 128, batch = 64, tested = 360;

struct Network {
    Dim n, i{"i", apps::digit_pixels}, h{"h", hidden}, c{"c", apps::digit_classes};
    Input x, label, w1{"w1", f32, {i, h}}, b1{"b1", f32, {h}}, w2{"w2", f32, {h, c}}, b2{"b2", f32, {c}};
    Func layer{"layer"}, logits{"logits"};

    explicit Network(std::int64_t examples) : n("n", examples), x("x", f32, {n, i}), label("label", i32, {n}) {
        label.values_in(0, apps::digit_classes);
        layer(n, h) = relu(sum({i}, x(n, i) * w1(i, h)) + b1(h));
        logits(n, c) = sum({h}, layer(n, h) * w2(h, c)) + b2(c);
    }
};

// The loss and, for each weight, what momentum and gradient make of it, in its memory.
struct Training {
    std::string loss;
    apps::CompiledProgram step;
};
Training training_step() {
    const Network net(batch);
    Func loss("loss");
    loss() = mean({net.n}, ops::cross_entropy("each", net.logits, net.label)(net.n));
    const std::vector<Input> weights{net.w1, net.b1, net.w2, net.b2};
    const ValueAndGrad g = value_and_grad(loss, {net.w1, net.b1, net.w2, net.b2});
    const Input rate("rate", f32, {});
    std::vector<optim::Parameter> parameters;
    for (std::size_t k = 0; k < weights.size(); ++k) parameters.push_back({weights[k], g.gradients[k]});
    const optim::Step step = optim::sgd(parameters, rate(), {.momentum = 0.9});
    return {g.value.name(), apps::CompiledProgram(step.algorithm({g.value}), step.in_place)};
}

}  // namespace

int main(int argc, char** argv) {
    apps::RandomNumbers random(1);
    apps::DigitImages digits(argc > 1 ? argv[1] : GRADIENTS_FOLDER "/digits.txt", tested, random);
    const Training training = training_step();
    const apps::CompiledProgram& step = training.step;
    random.fill(step.array("w1"), 0.15);
    random.fill(step.array("w2"), 0.1);
    const int epochs = 30;
    for (int epoch = 0; epoch < epochs; ++epoch) {
        digits.shuffle(random);
        *step.array("rate").data() = epoch < 20 ? 0.1f : 0.02f;
        double loss = 0;
        int batches = 0;
        for (std::size_t first = tested; first + batch <= digits.size(); first += batch, ++batches) {
            digits.fill(step, first, batch, true);
            step.run();
            loss += *step.array(training.loss).data();
        }
        if (epoch % 10 == 9) std::cout << "epoch " << epoch + 1 << ": loss " << loss / batches << "\n";
    }

    const Network net(tested);
    const apps::CompiledProgram reading(Algorithm({net.logits}, arguments_of({net.logits})));
    for (const char* w : {"w1", "b1", "w2", "b2"}) {
        const auto from = step.array(w), to = reading.array(w);
        std::copy(from.data(), from.data() + from.size(), to.data());
    }
    expect(digits.read_tests(reading) >= 97, "97 % of the test digits are read right");
}
