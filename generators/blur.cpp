#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// The mean of three neighbours along x, then along y, of u16; sums wrap, division rounds down. The input is larger by 2 each
/// way.
Algorithm blur() {
    Dim y("y"), x("x"), in_y("in_y", y.extent() + 2), in_x("in_x", x.extent() + 2);
    Input in("in", u16, {in_y, in_x});
    Func rows("rows"), out("blur");
    rows(y, x) = (in(y, x) + in(y, x + 1) + in(y, x + 2)) / 3;
    out(y, x) = (rows(y, x) + rows(y + 1, x) + rows(y + 2, x)) / 3;
    return Algorithm({out}, {in});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(argc, argv,
                          {generator("blur", "3x3 box mean of a u16 image", {}, [](const Params&) { return blur(); })});
}
