#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// Harris' corner measure of an f32 photo of 3 planes: slopes by Sobel, sums over 3x3, det - 0.04 trace^2. The input is larger by
/// 2 on each side. Both axes of slopes and sums are written one after the other, so that what a row has in common with its
/// neighbours is one value, and products are added in one step (fma): floats are computed as they are written, by no other
/// formula. Source: Harris & Stephens 1988, "A combined corner and edge detector".
Algorithm harris() {
    Dim y("y"), x("x"), c("c", 3), in_y("in_y", y.extent() + 4), in_x("in_x", x.extent() + 4);
    Input photo("photo", f32, {c, in_y, in_x});
    Func gray("gray"), across("across"), along("along"), gx("gx"), gy("gy"), sxx("sxx"), syy("syy"), sxy("sxy"), trace("trace"),
        corner("corner");
    gray(y, x) = fma(photo(2, y, x), 0.114f, fma(photo(1, y, x), 0.587f, photo(0, y, x) * 0.299f));
    const float s = 1.0f / 12;
    across(y, x) = gray(y, x + 2) - gray(y, x);
    along(y, x) = fma(gray(y, x + 1), 2.0f, gray(y, x) + gray(y, x + 2));
    gx(y, x) = fma(across(y + 1, x), 2.0f, across(y, x) + across(y + 2, x)) * s;
    gy(y, x) = (along(y + 2, x) - along(y, x)) * s;
    const auto sum3x3 = [&](const char* name, const Func& a, const Func& b) {
        Func of_row(name);
        of_row(y, x) = fma(a(y, x + 2), b(y, x + 2), fma(a(y, x + 1), b(y, x + 1), a(y, x) * b(y, x)));
        return of_row(y, x) + of_row(y + 1, x) + of_row(y + 2, x);
    };
    sxx(y, x) = sum3x3("xx", gx, gx);
    syy(y, x) = sum3x3("yy", gy, gy);
    sxy(y, x) = sum3x3("xy", gx, gy);
    trace(y, x) = sxx(y, x) + syy(y, x);
    corner(y, x) = fma(sxx(y, x), syy(y, x), -(sxy(y, x) * sxy(y, x))) - 0.04f * trace(y, x) * trace(y, x);
    return Algorithm({corner}, {photo});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(
        argc, argv,
        {generator("harris", "Harris corner measure of a photo with 3 planes", {}, [](const Params&) { return harris(); })});
}
