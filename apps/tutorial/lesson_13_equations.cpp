// Lesson 13: equations. A tensor is defined by an equation and differentiated through it, however it was computed.
#include <tessera/compile.h>
#include <tessera/implicit.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "expect.h"

using namespace tessera;

int main() {
    // A layer that is defined by an equation: z = tanh(W z + b). Its gradient is one linear solve, however many steps z took.
    Dim i("i"), j("j", i.extent());
    Input W("W", f32, {i, j}), b("b", f32, {i});
    Func zero("zero"), loss("loss");
    zero(i) = cast(f32, 0);
    const Func z = fixed_point("z", zero, [&](const Func& v) { return tanh(sum({j}, W(i, j) * v(j)) + b(i)); });
    loss() = sum({i}, z(i) * z(i));
    const std::vector<Func> gradient = grad(loss, {W, b});

    // Systems of equations: elimination, or conjugate gradients.
    Func right("right");
    right(i) = b(i);
    const Func v = solve("v", right, [&](const Func& u) { return 4.0f * u(i) + sum({j}, W(i, j) * u(j)); });

    const Algorithm all({gradient[1], v}, {W, b});
    const Buffer<float> Ws{4, 4}, bs{4}, db{4}, vs{4};
    float next = 0;
    Ws.for_each([&](float& e) { e = 0.02f * (next = std::fmod(next * 7 + 3, 11.0f)) - 0.1f; });
    bs.for_each([&](float& e) { e = (next = std::fmod(next * 5 + 2, 7.0f)) - 3; });
    const Module kernel = compile(all, default_schedule(all, Target()), Target());
    kernel({{"W", Ws}, {"b", bs}}, {{gradient[1].name(), db}, {"v", vs}});
    float left = 0;
    for (std::int64_t r = 0; r < 4; ++r) {
        float image = 4 * vs(r);
        for (std::int64_t c = 0; c < 4; ++c) image += Ws(r, c) * vs(c);
        left = std::max(left, std::abs(image - bs(r)));
    }
    expect(left < 1e-4f, "the system is solved");

    // Too few steps: an error, not a wrong number.
    const Func hasty =
        fixed_point("hasty", zero, [&](const Func& u) { return tanh(sum({j}, W(i, j) * u(j)) + b(i)); }, {.max_iters = 2});
    const Algorithm two_steps({hasty}, {W, b});
    const Module short_kernel = compile(two_steps, default_schedule(two_steps, Target()), Target());
    try {
        short_kernel({{"W", Ws}, {"b", bs}}, {{"hasty", vs}});
        expect(false, "two steps are not enough");
    } catch (const Error& e) {
        std::cout << e.message().substr(0, e.message().find(':')) << "\n";
    }
    return 0;
}
