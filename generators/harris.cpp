#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// Harris' corner measure of an f32 photo of 3 planes: slopes by Sobel, sums over 3x3, det - 0.04 trace^2. The input is larger by
/// 2 on each side. Source: Harris & Stephens 1988, "A combined corner and edge detector".
Algorithm harris() {
    Dim y("y"), x("x"), c("c", 3), in_y("in_y", y.extent() + 4), in_x("in_x", x.extent() + 4);
    Input photo("photo", f32, {c, in_y, in_x});
    Func gray("gray"), gx("gx"), gy("gy"), xx("xx"), yy("yy"), xy("xy"), sxx("sxx"), syy("syy"), sxy("sxy"), trace("trace"),
        corner("corner");
    gray(y, x) = 0.299f * photo(0, y, x) + 0.587f * photo(1, y, x) + 0.114f * photo(2, y, x);
    const float s = 1.0f / 12, d = 2.0f / 12;
    gy(y, x) = gray(y, x) * -s + gray(y + 2, x) * s + gray(y, x + 1) * -d + gray(y + 2, x + 1) * d + gray(y, x + 2) * -s +
               gray(y + 2, x + 2) * s;
    gx(y, x) = gray(y, x) * -s + gray(y, x + 2) * s + gray(y + 1, x) * -d + gray(y + 1, x + 2) * d + gray(y + 2, x) * -s +
               gray(y + 2, x + 2) * s;
    xx(y, x) = gx(y, x) * gx(y, x);
    yy(y, x) = gy(y, x) * gy(y, x);
    xy(y, x) = gx(y, x) * gy(y, x);
    const auto sum3x3 = [&](const Func& f) {
        Expr total = f(y, x);
        for (int i = 1; i < 9; ++i) total = total + f(y + i % 3, x + i / 3);
        return total;
    };
    sxx(y, x) = sum3x3(xx);
    syy(y, x) = sum3x3(yy);
    sxy(y, x) = sum3x3(xy);
    trace(y, x) = sxx(y, x) + syy(y, x);
    corner(y, x) = (sxx(y, x) * syy(y, x) - sxy(y, x) * sxy(y, x)) - 0.04f * trace(y, x) * trace(y, x);
    return Algorithm({corner}, {photo});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(
        argc, argv,
        {generator("harris", "Harris corner measure of a photo with 3 planes", {}, [](const Params&) { return harris(); })});
}
