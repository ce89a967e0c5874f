#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// A layer of a network in f32, channels last: every channel is convolved by itself with kernel x kernel taps, centred, zero
/// outside of the image; every pixel's channels are mixed, biased and cut off below 0. Source of the pipeline:
/// apps/depthwise_separable_conv of github.com/halide/Halide at abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8.
Algorithm separable_conv(std::int64_t kernel) {
    Dim b("b"), y("y"), x("x"), i("i"), o("o"), ky("ky", kernel), kx("kx", kernel);
    Input in("in", f32, {b, y, x, i}), taps("taps", f32, {ky, kx, i}), mix("mix", f32, {i, o}), bias("bias", f32, {o});
    Func each("each"), out("out");
    const Bounded padded = constant(in, 0.0f);
    each(b, y, x, i) = sum({ky, kx}, padded(b, y + ky - kernel / 2, x + kx - kernel / 2, i) * taps(ky, kx, i));
    out(b, y, x, o) = relu(sum({i}, each(b, y, x, i) * mix(i, o)) + bias(o));
    return Algorithm({out}, {in, taps, mix, bias}, {.name = "separable_conv"});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(
        argc, argv,
        {generator("separable_conv", "depthwise-separable convolution, channels last", {param("kernel", 3).at_least(1)},
                   [](const Params& p) { return separable_conv(p.integer("kernel")); })});
}
