// Learns to read handwritten digits: a network of two layers, whose step (gradient, momentum, update of the weights) is one
// algorithm. digits_mlp [FILE]: prints the share of test digits that it reads right; fails below 97 %.
#include <tessera/autodiff.h>
#include <tessera/tessera.h>

#include <fstream>
#include <iostream>
#include <numeric>

#include "compiled_program.h"
#include "expect.h"

using namespace tessera;

namespace {

constexpr std::int64_t pixels = 64, hidden = 128, classes = 10, batch = 64, tested = 360;

struct Digits {
    std::vector<std::string> images;  // 64 pixels, 'a' is 0 and 'q' is 16
    std::vector<int> labels;
};

Digits read_digits(const std::string& path) {
    std::ifstream file(path);
    Digits d;
    std::string image;
    for (int label; file >> image >> label;) {
        d.images.push_back(image);
        d.labels.push_back(label);
    }
    expect(d.images.size() == 1797, "the file has all digits");
    return d;
}

struct Network {
    Dim n, i{"i", pixels}, h{"h", hidden}, c{"c", classes};
    Input x, label, w1{"w1", f32, {i, h}}, b1{"b1", f32, {h}}, w2{"w2", f32, {h, c}}, b2{"b2", f32, {c}};
    Func layer{"layer"}, logits{"logits"};

    explicit Network(std::int64_t examples) : n("n", examples), x("x", f32, {n, i}), label("label", i32, {n}) {
        label.values_in(0, classes);
        layer(n, h) = relu(sum({i}, x(n, i) * w1(i, h)) + b1(h));
        logits(n, c) = sum({h}, layer(n, h) * w2(h, c)) + b2(c);
    }
};

// The loss and, for each weight, what momentum and gradient make of it.
Algorithm training_step() {
    const Network net(batch);
    Func loss("loss");
    loss() = mean({net.n}, ops::cross_entropy("each", net.logits, net.label)(net.n));
    const std::vector<Input> weights{net.w1, net.b1, net.w2, net.b2};
    const ValueAndGrad g = value_and_grad(loss, {net.w1, net.b1, net.w2, net.b2});
    const Input rate("rate", f32, {});
    std::vector<Func> outputs{g.value};
    for (std::size_t k = 0; k < weights.size(); ++k) {
        const Input& w = weights[k];
        const std::vector<Index> at(w.dims().begin(), w.dims().end());
        const Input speed("speed_" + w.name(), f32, w.dims());
        Func faster("next_speed_" + w.name()), moved("next_" + w.name());
        faster.at(at) = 0.9f * speed.at(at) + g.gradients[k].at(at);
        moved.at(at) = w.at(at) - rate() * faster.at(at).read();
        outputs.push_back(faster);
        outputs.push_back(moved);
    }
    return Algorithm(outputs, arguments_of(outputs));
}

void fill_examples(const apps::CompiledProgram& program, const Digits& d, const std::vector<int>& which, std::size_t first,
                   std::int64_t count) {
    const auto x = program.array("x");
    for (std::int64_t e = 0; e < count; ++e)
        for (std::int64_t i = 0; i < pixels; ++i)
            x(e, i) = static_cast<float>(d.images[which[first + e]][static_cast<std::size_t>(i)] - 'a') / 16;
}

}  // namespace

int main(int argc, char** argv) {
    const Digits digits = read_digits(argc > 1 ? argv[1] : GRADIENTS_FOLDER "/digits.txt");
    std::vector<int> order(digits.images.size());
    std::iota(order.begin(), order.end(), 0);
    apps::RandomNumbers random(1);
    const auto shuffle = [&](std::size_t first) {
        for (std::size_t k = order.size() - 1; k > first; --k)
            std::swap(order[k], order[first + static_cast<std::size_t>(random.uniform() * double(k - first + 1))]);
    };
    shuffle(0);  // the first ones are for the test

    const Algorithm training = training_step();
    const std::string value = training.outputs()[0].name();
    apps::CompiledProgram step(training);
    random.fill(step.array("w1"), 0.15);
    random.fill(step.array("w2"), 0.1);
    const int epochs = 30;
    for (int epoch = 0; epoch < epochs; ++epoch) {
        shuffle(tested);
        *step.array("rate").data() = epoch < 20 ? 0.1f : 0.02f;
        double loss = 0;
        int batches = 0;
        for (std::size_t first = tested; first + batch <= order.size(); first += batch, ++batches) {
            fill_examples(step, digits, order, first, batch);
            for (std::int64_t e = 0; e < batch; ++e) step.array<std::int32_t>("label")(e) = digits.labels[order[first + e]];
            step.run();
            loss += *step.array(value).data();
            for (const char* w : {"w1", "b1", "w2", "b2"}) {
                step.exchange(std::string("next_") + w, w);
                step.exchange(std::string("next_speed_") + w, std::string("speed_") + w);
            }
        }
        if (epoch % 10 == 9) std::cout << "epoch " << epoch + 1 << ": loss " << loss / batches << "\n";
    }

    const Network net(tested);
    apps::CompiledProgram reading(Algorithm({net.logits}, arguments_of({net.logits})));
    for (const char* w : {"w1", "b1", "w2", "b2"}) {
        const auto from = step.array(w), to = reading.array(w);
        std::copy(from.data(), from.data() + from.size(), to.data());
    }
    fill_examples(reading, digits, order, 0, tested);
    reading.run();
    int right = 0;
    for (std::int64_t e = 0; e < tested; ++e) {
        const float* scores = reading.array("logits").data() + e * classes;
        right += std::max_element(scores, scores + classes) - scores == digits.labels[order[static_cast<std::size_t>(e)]];
    }
    const double share = 100.0 * right / tested;
    std::cout << "test digits read right: " << right << " of " << tested << ", " << share << " %\n";
    expect(share >= 97, "97 % of the test digits are read right");
}
