// Lesson 8: loops that stop, equations, and order. A recurrence ends when its values say so; a tensor is defined by an equation
// and differentiated through it; values are sorted.
#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include <cmath>
#include <iostream>

#include "expect.h"

using namespace tessera;

int main() {
    // Square roots by Newton's method: every point stops for itself, all within 30 steps.
    Dim t("t", 30), n("n");
    Input a("a", f32, {n});
    Func x("x");
    recurrence(t, {{x(t, n), a(n)}}, [&](const Self& s) -> Tuple { return {0.5f * (s[0](t - 1, n) + a(n) / s[0](t - 1, n))}; },
               {.until = [&](const Self& s) { return abs(s[0](t, n) - s[0](t - 1, n)) < 1e-6f * s[0](t, n); }});
    const Func root = at_end(x);

    Dim i("i");
    Input b("b", f32, {i});
    // Order: the indices of the values in their order, and what follows from them.
    const Func order = ops::argsort("order", b, i, {.descending = true});
    const ops::TopK best = ops::top_k("best", b, i, 2);
    const Func middle = ops::median("middle", b, i);

    // What an algorithm may do besides computing its outputs: this one nothing, which is checked.
    const Algorithm all({root, order, best.values, middle}, {a, b}, {.effects = std::vector<EffectKind>{}});
    std::cout << "effects: " << all.effects().size() << "\n";

    // An argument that is only added to.
    Input total("total", f32, {n});
    Func added("added");
    added(n) = total(n) + a(n) * a(n);
    const Algorithm sums({added}, {{total, Privilege::reduce}, a}, {.in_place = {{"total", "added"}}});
    expect(sums.privileges()[0] == Privilege::reduce, "squares are added to what is there");

    const Buffer<float> as{3}, bs{4}, roots{3}, top{2}, median{std::vector<std::int64_t>{}};
    const Buffer<std::int64_t> places{4};
    float next = 0;
    as.for_each([&](float& e) { e = std::pow(10.0f, next++); });
    bs.for_each([&](float& e) { e = (next = std::fmod(next * 5 + 2, 7.0f)) - 3; });
    const Module kernel = compile(all, default_schedule(all, Target()), Target());
    kernel({{"a", as}, {"b", bs}}, {{root.name(), roots}, {"order", places}, {"best", top}, {"middle", median}});
    expect(std::abs(roots(2) - 10) < 1e-4f, "the root of 100");
    expect(bs(places(0)) == top(0) && bs(places(1)) == top(1) && top(0) >= top(1), "the largest first");
    return 0;
}
