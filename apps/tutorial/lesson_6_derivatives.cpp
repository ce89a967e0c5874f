// Lesson 6: derivatives. The gradient of a definition is a definition: it prints, is scheduled and compiled like any other.
#include <tessera/autodiff.h>
#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include <cmath>
#include <iostream>

#include "expect.h"

using namespace tessera;

int main() {
    // A layer and a loss.
    Dim b("b"), i("i"), o("o");
    Input x("x", f32, {b, i}), W("W", f32, {i, o}), target("target", f32, {b, o});
    Func out("out"), loss("loss");
    out(b, o) = tanh(sum({i}, x(b, i) * W(i, o)));
    loss() = sum({b, o}, (out(b, o) - target(b, o)) * (out(b, o) - target(b, o)));

    // The gradient, as a definition in index notation.
    const ValueAndGrad g = value_and_grad(loss, {W});
    const Algorithm step({g.value, g.gradients[0]}, {x, W, target});
    std::cout << step.text();

    // Compiled, and used to go downhill.
    const std::int64_t B = 16, I = 4, O = 3;
    const Buffer<float> xs{B, I}, ws{I, O}, ts{B, O}, value({}), dW{I, O};
    std::uint32_t state = 1;
    const auto random = [&](float& v) { v = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-23f - 1; };
    xs.for_each(random);
    ts.for_each([&](float& v) { random(v), v *= 0.5f; });
    const Target host;
    const Module kernel = compile(step, default_schedule(step, host), host);
    float first = 0;
    for (int n = 0; n < 200; ++n) {
        kernel({{"x", xs}, {"W", ws}, {"target", ts}}, {{g.value.name(), value}, {g.gradients[0].name(), dW}});
        if (n == 0) first = value();
        for (std::int64_t e = 0; e < ws.size(); ++e) ws.data()[e] -= 0.02f * dW.data()[e];
    }
    expect(value() < 0.9f * first, "the loss falls");

    // Derivatives inside definitions: u and its second derivative by x, and what that asks of the weights.
    Dim n("n"), k("k");
    Input p("p", f32, {n}), c("c", f32, {k}), a("a", f32, {k});
    Func u("u"), residual("residual");
    u(n) = sum({k}, c(k) * tanh(a(k) * p(n)));
    const Func slope = jvp(u, {{p, 1}});
    const Func curvature = jvp(slope, {{p, 1}});
    residual() = sum({n}, (curvature(n) + u(n)) * (curvature(n) + u(n)));
    const std::vector<Func> by_weights = grad(residual, {c, a});
    expect(by_weights[1].rank() == 1, "one number per weight");

    // One gradient per example, and all derivatives of a vector.
    Func each("each");
    each(b) = sum({o}, (out(b, o) - target(b, o)) * (out(b, o) - target(b, o)));
    const Func per_example = grad(each, {W}, {.per = {b}})[0];
    const Func all = jacobian(u, c);
    expect(per_example.rank() == 3 && all.rank() == 2, "dims of the value, then of what it is differentiated by");

    // A rule of one's own: the value of clamp, the derivative of the identity.
    Func z("z"), held("held");
    z(n) = p(n) * 2.0f;
    held(n) = clamp(z(n), -1.0f, 1.0f);
    const Func passed = custom_vjp("passed", held, {z}, [&](const Func& given) -> std::vector<Func> { return {given}; });
    Func total("total");
    total() = sum({n}, passed(n));
    expect(grad(total, {p}).size() == 1, "the gradient goes through the rule");

    // Two kernels, the values in one and later the derivatives in another; what is kept between them is listed.
    const Algorithm layer({out}, {x, W});
    const ForwardBackward pair = vjp(layer, {.wrt = {"x", "W"}});
    for (const Input& kept : pair.saved) std::cout << "kept: " << kept.name() << "\n";
    for (const Func& f : pair.backward.outputs()) std::cout << "backward gives " << f.name() << "\n";

    // What has no derivative says so, with the way on which it is needed.
    Func steps("steps"), sharp("sharp");
    steps(n) = floor(z(n));
    sharp() = sum({n}, steps(n));
    try {
        (void)grad(sharp, {p});
        expect(false, "floor has no derivative");
    } catch (const Error& error) {
        std::cout << error.message() << "\n";
        expect(error.code() == E1001_no_derivative, "the code says which mistake it is");
    }
}
