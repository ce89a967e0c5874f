#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// y(m, n) = exp(x(m, n) - max over n) times the reciprocal of that summed over n: one division a row. bf16 is computed in f32.
Algorithm softmax(DType dtype) {
    Dim m("m"), n("n"), j("j", n.extent());
    Input x("x", dtype, {m, n});
    const DType wide = dtype == bf16 ? f32 : dtype;
    const auto read = [&](const Dim& column) { return dtype == wide ? x(m, column) : cast(wide, x(m, column)); };
    Func highest("highest"), power("power"), total("total"), share("share"), y("y");
    highest(m) = max({j}, read(j));
    power(m, n) = exp(read(n) - highest(m));
    total(m) = sum({j}, power(m, j));
    share(m) = cast(wide, 1.0) / total(m);
    const Expr value = power(m, n) * share(m);
    y(m, n) = dtype == wide ? value : cast(dtype, value);
    return Algorithm({y}, {x}, {.name = "softmax"});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(argc, argv,
                          {generator("softmax", "softmax of rows", {param("dtype", f32, {f32, f64, bf16})},
                                     [](const Params& p) { return softmax(p.dtype("dtype")); })});
}
