// Lesson 7: algorithms made from algorithms. A function of one example is mapped over a batch, algorithms are put behind each
// other, arguments get values, products and sums become one operation.
#include <tessera/autodiff.h>
#include <tessera/tessera.h>
#include <tessera/transform.h>

#include <iostream>

#include "expect.h"

using namespace tessera;

// Polymorphic functions are C++ functions: this one makes the definition for any dims and dtype.
Func normalized(const std::string& name, const Tensor& x, const Dim& over) {
    const Expr total = sum({over}, x.value());
    return ops::named(name, Tensor(x.dims(), x.value() / total));
}

int main() {
    // A loss of one example, its gradient, and both over a batch.
    Dim i("i"), o("o"), b("b");
    Input x("x", f32, {i}), W("W", f32, {i, o}), target("target", f32, {o});
    Func out("out"), loss("loss");
    out(o) = tanh(sum({i}, x(i) * W(i, o)));
    loss() = sum({o}, (out(o) - target(o)) * (out(o) - target(o)));
    const Func gradient = grad(loss, {W})[0];
    Input xs("xs", f32, {b, i}), targets("targets", f32, {b, o});
    const Func per_example = vmap(gradient, b, {{x, xs}, {target, targets}});
    expect(per_example.dims()[0].id() == b.id() && per_example.rank() == 3, "a gradient of W for every b");

    // An algorithm over one more dim: its tensors get the dim in front, or where it is said.
    const Algorithm layer({out}, {x, W});
    const Algorithm batched = vmap(layer, b, {{"x"}});
    std::cout << batched.text();

    // One behind the other: the output of the first is the first argument of the second.
    Dim n("n"), m("m");
    Input a("a", f32, {n, m}), z("z", f32, {n, m});
    Scalar factor("factor", f32);
    Func scaled("scaled");
    scaled(n, m) = a(n, m) * factor;
    const Algorithm scale({scaled}, {a, factor}), weights({normalized("weights", z, m)}, {z});
    const Algorithm both = pipe({scale, weights}, "both");

    // Values for arguments and extents.
    const Algorithm halves = curry(both, {{"factor", 0.5f}, {"m", 16}});
    std::cout << halves.text();
    expect(halves.arguments().size() == 1, "a is all that is left open");

    // One rounding for a product and a sum, as fast-math compilers choose where they like: here it is part of the definition.
    Func blend("blend");
    blend(n, m) = 0.25f * a(n, m) + 0.75f * z(n, m);
    const Algorithm blends = contracted(Algorithm({blend}, {a, z}));
    std::cout << blends.text();
    return 0;
}
