#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// Sharpens an f32 photo of 3 planes by the ratio of its sharpened to its plain luminance; the luminance is blurred with a
/// Gaussian of sigma 1.5 over 7 taps, pixels outside are those of the edge.
Algorithm unsharp() {
    Dim c("c", 3), y("y"), x("x");
    Input photo("photo", f32, {c, y, x});
    const Bounded edged = clamp(photo);
    // exp(-d^2 / (2 sigma^2)) / (sqrt(2 pi) sigma) for d = 0, 1, 2, 3
    const float taps[] = {0.265961528f, 0.212965339f, 0.109340049f, 0.0359939784f};
    const auto seven_taps = [&](auto&& at) {
        return taps[0] * at(0) + taps[1] * (at(-1) + at(1)) + taps[2] * (at(-2) + at(2)) + taps[3] * (at(-3) + at(3));
    };
    Func gray("gray"), blur_y("blur_y"), blur_x("blur_x"), ratio("ratio"), sharp("sharp");
    gray(y, x) = 0.299f * edged(0, y, x) + 0.587f * edged(1, y, x) + 0.114f * edged(2, y, x);
    blur_y(y, x) = seven_taps([&](int d) { return Expr(gray(y + d, x)); });
    blur_x(y, x) = seven_taps([&](int d) { return Expr(blur_y(y, x + d)); });
    ratio(y, x) = (2.0f * gray(y, x) - blur_x(y, x)) / gray(y, x);
    sharp(c, y, x) = ratio(y, x) * photo(c, y, x);
    return Algorithm({sharp}, {photo});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(
        argc, argv, {generator("unsharp", "unsharp mask of a photo with 3 planes", {}, [](const Params&) { return unsharp(); })});
}
