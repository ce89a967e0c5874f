#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// out(b, y, x, o) = sum over ky, kx, i of in(b, y * stride + ky, x * stride + kx, i) * weights(ky, kx, i, o) + bias(o), channels
/// last, no padding; relu of it with activation relu.
Algorithm conv2d(DType dtype, std::int64_t kernel, std::int64_t stride, const std::string& activation) {
    Dim b("b"), y("y"), x("x"), o("o"), i("i"), ky("ky", kernel), kx("kx", kernel);
    Dim in_y("in_y", (y.extent() - 1) * stride + kernel), in_x("in_x", (x.extent() - 1) * stride + kernel);
    Input in("in", dtype, {b, in_y, in_x, i}), weights("weights", dtype, {ky, kx, i, o}), bias("bias", dtype, {o});
    Func out("out");
    const Expr value = sum({ky, kx, i}, in(b, y * stride + ky, x * stride + kx, i) * weights(ky, kx, i, o)) + bias(o);
    out(b, y, x, o) = activation == "relu" ? relu(value) : value;
    return Algorithm({out}, {in, weights, bias}, {.name = "conv2d"});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(argc, argv,
                          {generator("conv2d", "2-d convolution, channels last",
                                     {param("dtype", f32, {f32, f64}), param("kernel", 3).at_least(1),
                                      param("stride", 1).at_least(1), param("activation", "none", {"none", "relu"})},
                                     [](const Params& p) {
                                         return conv2d(p.dtype("dtype"), p.integer("kernel"), p.integer("stride"),
                                                       p.text("activation"));
                                     })});
}
