// Solves Poisson's equation u_xx + u_yy = f on the unit square, zero on its edge, by a network whose second derivatives stand in
// the loss. The solution is known: sin(pi x) sin(pi y). Prints how far the network is from it; fails beyond 1 %.
#include <tessera/autodiff.h>
#include <tessera/tessera.h>

#include <cmath>
#include <iostream>

#include "descent.h"
#include "expect.h"

using namespace tessera;

namespace {

constexpr double pi = 3.14159265358979323846;
constexpr std::int64_t side = 16, width = 32;

}  // namespace

int main() {
    Dim n("n", side * side), j("j", width), k("k", width);
    const Input x("x", f32, {n}), y("y", f32, {n}), f("f", f32, {n});
    const Input wx("wx", f32, {j}), wy("wy", f32, {j}), b1("b1", f32, {j}), w2("w2", f32, {j, k}), b2("b2", f32, {k}),
        w3("w3", f32, {k});
    Func first("first"), second("second"), u("u"), loss("loss");
    first(n, j) = tanh(x(n) * wx(j) + y(n) * wy(j) + b1(j));
    second(n, k) = tanh(sum({j}, first(n, j) * w2(j, k)) + b2(k));
    // The factor in front is zero on the edge.
    u(n) = 16.0f * x(n) * (1.0f - x(n)) * y(n) * (1.0f - y(n)) * sum({k}, second(n, k) * w3(k));
    const Func by_x = jvp(jvp(u, {{x, 1}}), {{x, 1}}), by_y = jvp(jvp(u, {{y, 1}}), {{y, 1}});
    const Expr missing = by_x(n) + by_y(n) - f(n);
    loss() = mean({n}, missing * missing);

    apps::Descent descent(loss, {wx, wy, b1, w2, b2, w3});
    apps::RandomNumbers random(2);
    for (const char* w : {"wx", "wy", "b1"}) random.fill(descent.program().array(w), 1.5);
    for (const char* w : {"w2", "w3"}) random.fill(descent.program().array(w), 1 / std::sqrt(double(width)));
    const auto place = [&](std::int64_t i) { return (static_cast<double>(i) + 0.5) / side; };
    for (std::int64_t e = 0; e < n.extent().constant().value(); ++e) {
        const double at_x = place(e % side), at_y = place(e / side);
        descent.program().array("x")(e) = static_cast<float>(at_x);
        descent.program().array("y")(e) = static_cast<float>(at_y);
        descent.program().array("f")(e) = static_cast<float>(-2 * pi * pi * std::sin(pi * at_x) * std::sin(pi * at_y));
    }
    const int steps = 1500;
    for (int s = 0; s < steps; ++s) {
        const double value = descent.step(s < steps / 2 ? 5e-3 : 5e-3 * std::pow(0.01, 2.0 * s / steps - 1));
        if (s % 500 == 499) std::cout << "step " << s + 1 << ": mean square of what is missing " << value << "\n";
    }

    apps::CompiledProgram solution(Algorithm({u}, arguments_of({u})));
    for (const char* w : {"wx", "wy", "b1", "w2", "b2", "w3"}) {
        const auto from = descent.program().array(w), to = solution.array(w);
        std::copy(from.data(), from.data() + from.size(), to.data());
    }
    // At places between those it was trained on.
    double apart = 0, size = 0;
    for (std::int64_t e = 0; e < n.extent().constant().value(); ++e) {
        solution.array("x")(e) = static_cast<float>(static_cast<double>(e % side) / side);
        solution.array("y")(e) = static_cast<float>(static_cast<double>(e / side) / side);
    }
    solution.run();
    for (std::int64_t e = 0; e < n.extent().constant().value(); ++e) {
        const double known = std::sin(pi * solution.array("x")(e)) * std::sin(pi * solution.array("y")(e));
        apart += std::pow(solution.array("u")(e) - known, 2);
        size += known * known;
    }
    const double error = 100 * std::sqrt(apart / size);
    std::cout << "relative error against the solution: " << error << " %\n";
    expect(error < 1, "the network is within 1 % of the solution");
}
