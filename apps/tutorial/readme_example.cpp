// The example of the README, as a program.
#include "expect.h"

#include <tessera/compile.h>
#include <tessera/schedule_default.h>
#include <tessera/tessera.h>
using namespace tessera;

int main() {
    // matmul + bias + relu: bf16 in, f32 accumulation
    Dim m("m"), n("n"), k("k");
    Input A("A", bf16, {m, k}), B("B", bf16, {k, n}), bias("bias", f32, {n});
    Func C("C");
    C(m, n) = relu(sum({k}, cast(f32, A(m, k)) * cast(f32, B(k, n))) + bias(n));

    Buffer<bfloat16> a{30, 20}, b{20, 10};
    Buffer<float> c{10}, out{30, 10};
    a.fill(bfloat16(0.5f));
    b.fill(bfloat16(3.0f));
    c(4) = -100;

    Algorithm gemm({C}, {A, B, bias});  // argument order is explicit; shapes and bounds are checked here
    Module f = compile(gemm, default_schedule(gemm, Target()), Target());
    f({{"A", a}, {"B", b}, {"bias", c}}, {{"C", out}});
    expect(out(29, 3) == 30 && out(29, 4) == 0, "relu(20 * 0.5 * 3 + bias)");

    // a stencil with a boundary condition
    Dim y("y"), x("x"), r("r", 3);
    Input photo("photo", u8, {y, x});
    Func rows("rows"), blur("blur");
    rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - 1)));
    blur(y, x) = cast(u8, sum({r}, rows(y + r - 1, x)) / 9);
    const Algorithm stencil({blur}, {photo});
    expect(stencil.arguments().size() == 1, "one photo");
}
