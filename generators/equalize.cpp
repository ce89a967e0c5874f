#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// Equalises the luminance of a u8 photo of 3 planes: its histogram's cumulated counts become the luminance, the colour
/// differences stay. Histograms are counted per row and added.
Algorithm equalize() {
    Dim c("c", 3), y("y"), x("x"), level("level", 256);
    Input photo("photo", u8, {c, y, x});
    Func red("red"), blue("blue"), luma("luma"), cr("cr"), cb("cb"), bin("bin"), rows("rows"), counts("counts"),
        cumulated("cumulated"), even("even"), equalized("equalized");
    red(y, x) = cast(f32, photo(0, y, x));
    blue(y, x) = cast(f32, photo(2, y, x));
    luma(y, x) = 0.299f * red(y, x) + 0.587f * cast(f32, photo(1, y, x)) + 0.114f * blue(y, x);
    cr(y, x) = (red(y, x) - luma(y, x)) * 0.713f;
    cb(y, x) = (blue(y, x) - luma(y, x)) * 0.564f;
    bin(y, x) = cast(u8, luma(y, x));
    rows(y, level) = scatter(tessera::plus, {to(level, bin(y, x))}, {x}, constant(i32, std::int64_t{1}));
    counts(level) = sum({y}, rows(y, level));
    cumulated(level) = scan(tessera::plus, level, counts(level));
    const Expr pixels = cast(f32, Expr(y.extent())) * cast(f32, Expr(x.extent()));
    even(y, x) = min(cast(f32, cumulated(bin(y, x))) * (255.0f / pixels), 255.0f);
    // The casts saturate.
    equalized(c, y, x) =
        mux(c, {cast(u8, even(y, x) + 1.4f * cr(y, x)), cast(u8, even(y, x) - 0.343f * cb(y, x) - 0.711f * cr(y, x)),
                cast(u8, even(y, x) + 1.765f * cb(y, x))});
    return Algorithm({equalized}, {photo});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(argc, argv,
                          {generator("equalize", "histogram equalisation of a u8 photo with 3 planes", {},
                                     [](const Params&) { return equalize(); })});
}
