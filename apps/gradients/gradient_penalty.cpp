// Measures how far two clouds of points are apart (the distance of Wasserstein) by a critic whose slope is held at 1: the
// gradient of the critic stands in its loss (Gulrajani et al. 2017, "Improved training of Wasserstein GANs", eq. 3). The second
// cloud is the first one moved by (3, 4), so the distance is 5. Fails beyond 5 % of it.
#include <tessera/autodiff.h>
#include <tessera/tessera.h>

#include <cmath>
#include <iostream>

#include "descent.h"
#include "expect.h"

using namespace tessera;

namespace {

constexpr std::int64_t points = 128, width = 32;

struct Critic {
    Dim j{"j", width}, k{"k", width}, d{"d", 2};
    Input w1{"w1", f32, {d, j}}, b1{"b1", f32, {j}}, w2{"w2", f32, {j, k}}, b2{"b2", f32, {k}}, w3{"w3", f32, {k}};

    /// The critic of each point.
    [[nodiscard]] Func of(const std::string& name, const Tensor& p) const {
        const Dim n = p.dims()[0];
        Func first(name + "/first"), second(name + "/second"), score(name);
        first(n, j) = ops::softplus(Tensor({n, j}, sum({d}, p.at({n, d}) * w1(d, j)) + b1(j))).value();
        second(n, k) = ops::softplus(Tensor({n, k}, sum({j}, first(n, j) * w2(j, k)) + b2(k))).value();
        score(n) = sum({k}, second(n, k) * w3(k));
        return score;
    }
};

}  // namespace

int main() {
    const Critic critic;
    Dim n("n", points);
    const Input here("here", f32, {n, critic.d}), there("there", f32, {n, critic.d}), part("part", f32, {n});
    Func between("between"), penalty("penalty"), distance("distance"), loss("loss");
    between(n, critic.d) = part(n) * here(n, critic.d) + (1.0f - part(n)) * there(n, critic.d);
    const Func at_here = critic.of("at_here", here), at_there = critic.of("at_there", there),
               at_between = critic.of("at_between", between);
    // The slope of the critic at every point between, as a definition.
    const Func slope = grad(at_between, {between}, {.per = {n}})[0];
    const Expr length = sqrt(sum({critic.d}, slope(n, critic.d) * slope(n, critic.d)) + 1e-12f);
    penalty() = mean({n}, (length - 1.0f) * (length - 1.0f));
    distance() = mean({n}, at_there(n) - at_here(n));
    // The steeper the critic the better for the distance: with this weight the slope ends 1 % above 1.
    loss() = 250.0f * penalty() - distance();

    apps::Descent descent(loss, {critic.w1, critic.b1, critic.w2, critic.b2, critic.w3}, {distance, penalty});
    apps::RandomNumbers random(3);
    random.fill(descent.program().array("w1"), 0.7);
    for (const char* w : {"w2", "w3"}) random.fill(descent.program().array(w), 1 / std::sqrt(double(width)));
    double estimate = 0, apart = 0;
    const int steps = 2000, averaged = 300;
    for (int s = 0; s < steps; ++s) {
        const auto p = descent.program().array("here"), q = descent.program().array("there");
        random.fill(p);
        for (std::int64_t e = 0; e < points; ++e) {
            q(e, 0) = p(e, 0) + 3;
            q(e, 1) = p(e, 1) + 4;
            descent.program().array("part")(e) = static_cast<float>(random.uniform());
        }
        descent.step(s < steps / 2 ? 3e-3 : 3e-4);
        if (s < steps - averaged) continue;
        estimate += *descent.program().array("distance").data() / averaged;
        apart += *descent.program().array("penalty").data() / averaged;
    }
    std::cout << "distance " << estimate << " of 5; mean square of the slope's distance from 1: " << apart << "\n";
    expect(std::abs(estimate - 5) < 0.25, "the distance is within 5 %");
    expect(apart < 0.01, "the slope is held");
}
