#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// y(m, n) = (x(m, n) - mean) / sqrt(variance + epsilon) * gamma(n) + beta(n), mean and variance over n.
/// Source: Ba, Kiros & Hinton 2016, "Layer normalization".
Algorithm layer_norm(DType dtype) {
    Dim m("m"), n("n"), j("j", n.extent());
    Input x("x", dtype, {m, n}), gamma("gamma", dtype, {n}), beta("beta", dtype, {n});
    Scalar epsilon("epsilon", dtype);
    Func center("center"), variance("variance"), scale("scale"), y("y");
    center(m) = mean({j}, x(m, j));
    variance(m) = mean({j}, (x(m, j) - center(m)) * (x(m, j) - center(m)));
    scale(m) = cast(dtype, 1.0) / sqrt(variance(m) + epsilon);
    y(m, n) = (x(m, n) - center(m)) * scale(m) * gamma(n) + beta(n);
    return Algorithm({y}, {x, gamma, beta, epsilon}, {.name = "layer_norm"});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(argc, argv,
                          {generator("layer_norm", "layer normalization of rows", {param("dtype", f32, {f32, f64})},
                                     [](const Params& p) { return layer_norm(p.dtype("dtype")); })});
}
