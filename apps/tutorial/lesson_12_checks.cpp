// Lesson 12: checks. Derivatives against differences, the first value that is not finite, the first bit that differs.
#include <tessera/determinism.h>
#include <tessera/gradcheck.h>
#include <tessera/schedule_default.h>
#include <tessera/sentinel.h>
#include <tessera/tessera.h>

#include <iostream>

#include "expect.h"

using namespace tessera;

int main() {
    Dim i("i"), j("j");
    Input x("x", f32, {i, j});
    Func top("top"), weight("weight"), loss("loss");
    top(i) = max({j}, x(i, j));
    weight(i, j) = exp(x(i, j) - top(i));
    loss() = sum({i}, log(sum({j}, weight(i, j))) + top(i));

    // Both modes, and both against finite differences in f64, at random points of sizes that differ.
    const GradCheck check = gradcheck(loss, {x});
    std::cout << check.text();
    expect(check.agrees(), "the derivative is right");

    // A rule that forgets its cotangent is found, and named.
    Func square("square"), total("total");
    square(i, j) = x(i, j) * x(i, j);
    const Func forgetful = custom_vjp("forgetful", square, {x}, [&](const Func&) -> std::vector<Func> {
        Func to_x("to_x");
        to_x(i, j) = 2.0f * x(i, j);
        return {to_x};
    });
    total() = sum({i, j}, forgetful(i, j) * 3.0f);
    const GradCheck wrong = gradcheck(total, {x});
    std::cout << "the first wrong definition: " << wrong.first << "\n";
    expect(!wrong.agrees(), "a derivative that forgets its cotangent is wrong");

    // The first value that is not finite: definition, index, operation.
    const Algorithm shifted = [&] {
        Func raw("raw");
        raw(i) = log(sum({j}, exp(x(i, j))));
        return Algorithm({raw}, {x});
    }();
    const Buffer<float> xs({3, 4});
    xs(1, 2) = 100;
    if (const auto found = first_nonfinite(shifted, {{"x", xs}})) std::cout << found->text();

    // The same for every call of a compiled kernel, by one more output.
    const Sentinels sentinels = with_sentinels(shifted);
    const Module kernel = compile(sentinels.algorithm, default_schedule(sentinels.algorithm), Target());
    const AnyBuffer flags = sentinels.flags();
    const Buffer<float> raw({3});
    kernel({{"x", xs}}, {{"raw", raw}, {sentinels.output, flags}});
    expect(sentinels.found(flags, {{"x", xs}})->name == "raw", "the kernel tells where");

    // The same bits with 1, 2, 3 and 7 threads.
    const ValueAndGrad g = value_and_grad(loss, {x});
    const Algorithm step({g.value, g.gradients[0]}, {x});
    const DeterminismReport report = verify_determinism(step, {default_schedule(step)}, {{"x", xs}});
    std::cout << report.text();
    expect(report.same(), "one result");
}
