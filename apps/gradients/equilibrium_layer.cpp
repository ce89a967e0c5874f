// Learns to read handwritten digits by a layer that is defined by an equation, z = tanh(W z + U x + b): however many steps its
// solution takes, the gradient is one linear solve for each image (Bai, Kolter, Koltun 2019, "Deep equilibrium models").
// equilibrium_layer [FILE]: prints the share of test digits that it reads right; fails below 95 %.
#include <tessera/implicit.h>
#include <tessera/tessera.h>

#include <iostream>

#include "descent.h"
#include "digit_images.h"
#include "expect.h"

using namespace tessera;

namespace {

constexpr std::int64_t hidden = 32, batch = 64, tested = 360;

struct Network {
    Dim n, i{"i", apps::digit_pixels}, h{"h", hidden}, k{"k", hidden}, c{"c", apps::digit_classes};
    Input x, label, W{"W", f32, {h, k}}, U{"U", f32, {i, h}}, b{"b", f32, {h}}, V{"V", f32, {h, c}}, d{"d", f32, {c}};
    Func logits{"logits"};

    explicit Network(std::int64_t examples) : n("n", examples), x("x", f32, {n, i}), label("label", i32, {n}) {
        label.values_in(0, apps::digit_classes);
        // Of a length below 0.9, so that one step brings any two points closer and there is one solution.
        Func scale("scale"), seen("seen"), start("start");
        scale() = 0.9f / sqrt(1.0f + sum({h, k}, W(h, k) * W(h, k)));
        seen(n, h) = sum({i}, x(n, i) * U(i, h)) + b(h);
        start(n, h) = cast(f32, 0);
        const Func z =
            fixed_point("z", start, [&](const Func& at) { return tanh(scale() * sum({k}, W(h, k) * at(n, k)) + seen(n, h)); },
                        {.tol = 1e-4, .max_iters = 100, .per = {n}});
        logits(n, c) = sum({h}, z(n, h) * V(h, c)) + d(c);
    }
    [[nodiscard]] std::vector<Input> weights() const { return {W, U, b, V, d}; }
};

}  // namespace

int main(int argc, char** argv) {
    apps::RandomNumbers random(5);
    apps::DigitImages digits(argc > 1 ? argv[1] : GRADIENTS_FOLDER "/digits.txt", tested, random);
    const Network net(batch);
    Func loss("loss");
    loss() = mean({net.n}, ops::cross_entropy("each", net.logits, net.label)(net.n));
    const apps::Descent descent(loss, net.weights());
    random.fill(descent.program().array("W"), 0.1);
    random.fill(descent.program().array("U"), 0.1);
    random.fill(descent.program().array("V"), 0.2);
    const int epochs = 30;
    for (int epoch = 0; epoch < epochs; ++epoch) {
        digits.shuffle(random);
        double sum = 0;
        int batches = 0;
        for (std::size_t first = tested; first + batch <= digits.size(); first += batch, ++batches) {
            digits.fill(descent.program(), first, batch, true);
            sum += descent.step(epoch < 20 ? 1e-2 : 1e-3);
        }
        if (epoch % 10 == 9) std::cout << "epoch " << epoch + 1 << ": loss " << sum / batches << "\n";
    }

    const Network all(tested);
    const apps::CompiledProgram reading(Algorithm({all.logits}, arguments_of({all.logits})));
    for (const Input& w : all.weights()) {
        const auto from = descent.program().array(w.name()), to = reading.array(w.name());
        std::copy(from.data(), from.data() + from.size(), to.data());
    }
    expect(digits.read_tests(reading) >= 95, "95 % of the test digits are read right");
}
