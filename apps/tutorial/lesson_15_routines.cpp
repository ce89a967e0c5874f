// Lesson 15: a C function of one's own as a definition. Its meaning is written in index notation: what the interpreter evaluates
// and what is differentiated.
#include <tessera/autodiff.h>
#include <tessera/compile.h>
#include <tessera/routine.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>

#include <cmath>
#include <iostream>

#include "expect.h"

using namespace tessera;

// Every row of x, smoothed: y(t) = x(t) + y(t - 1) / 2.
extern "C" int smooth_rows(const tessera_buffer* operands, const tessera_buffer* results) {
    const tessera_buffer &x = operands[0], &y = results[0];
    for (std::int64_t r = 0; r < x.extents[0]; ++r) {
        float before = 0;
        for (std::int64_t t = 0; t < x.extents[1]; ++t) {
            before = static_cast<const float*>(x.data)[r * x.strides[0] + t * x.strides[1]] + 0.5f * before;
            static_cast<float*>(y.data)[r * y.strides[0] + t * y.strides[1]] = before;
        }
    }
    return 0;
}

int main() {
    Dim r("r"), t("t");
    Input x("x", f32, {r, t});
    Func h("h"), loss("loss");
    recurrence(t, {{h(r, t), cast(f32, 0)}}, [&](const Self& s) -> Tuple { return {x(r, t) + 0.5f * s[0](r, t - 1)}; });
    const Func smooth = routine("smooth_rows", h, {.name = "smooth"});
    loss() = sum({r, t}, smooth(r, t) * smooth(r, t));
    const ValueAndGrad g = value_and_grad(loss, {x});
    const Algorithm step({g.value, g.gradients[0]}, {x});
    std::cout << step.text();

    const Module kernel = compile(step, default_schedule(step), Target());
    const Module meaning = compile(step, {}, parse_target("interpreter"));
    Buffer<float> in({3, 50}), out(std::vector<std::int64_t>{}), slope({3, 50}), out_2(std::vector<std::int64_t>{}),
        slope_2({3, 50});
    for (std::int64_t i = 0; i < 150; ++i) in.data()[i] = std::sin(static_cast<float>(i));
    kernel({{"x", in}}, {{"loss", out}, {"d_loss/x", slope}});
    meaning({{"x", in}}, {{"loss", out_2}, {"d_loss/x", slope_2}});
    for (std::int64_t i = 0; i < 150; ++i)
        expect(std::abs(slope.data()[i] - slope_2.data()[i]) <= 1e-5f,
               "the kernel, which calls the function, has the meaning's gradient");
    expect(std::abs(out.data()[0] - out_2.data()[0]) <= 1e-5f * out_2.data()[0], "and its value");
    std::cout << "effects: " << step.effects()[0].of[0] << " may end the call\n";
}
