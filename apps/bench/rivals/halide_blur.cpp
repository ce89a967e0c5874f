// blur: 3-tap mean along x, then along y, of u16; u16 arithmetic that wraps, unsigned division (definitions.h has the formulas).
// Tile sizes and placement follow apps/blur/halide_blur_generator.cpp, github.com/halide/Halide at
// abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8: strips of 32 rows in parallel, the row means kept in a ring over the strip.
#include "halide_kernel.h"

namespace bench::rivals {

Kernel halide_blur(const std::uint16_t* in, std::uint16_t* out, Size2 out_size, Plan plan) {
    using namespace Halide;
    ImageParam image(UInt(16), 2, "image");
    Var x("x"), y("y"), strip("strip"), row("row"), line("line");
    Func means("means"), blur("blur");
    const Expr three = cast<std::uint16_t>(3);
    means(x, y) = (image(x, y) + image(x + 1, y) + image(x + 2, y)) / three;
    blur(x, y) = (means(x, y) + means(x, y + 1) + means(x, y + 2)) / three;

    if (plan == Plan::published) {
        blur.split(y, strip, row, 32).parallel(strip).vectorize(x, 16);
        means.store_at(blur, strip).compute_at(blur, x).vectorize(x, 16);
    } else if (plan == Plan::tuned) {
        // Eight rows at a time over vectors of u16 two registers wide: the means of ten rows stay in registers.
        const int lanes = 4 * native_floats();
        blur.split(y, strip, row, 32).split(row, row, line, 8).reorder(line, x, row, strip).unroll(line).parallel(strip);
        blur.vectorize(x, lanes);
        means.compute_at(blur, x).vectorize(x, lanes).unroll(y);
    }
    start_at_zero(image);
    start_at_zero(blur.output_buffer());
    return kernel_of(blur, image, {out_size.width + 2, out_size.height + 2}, in, {out_size.width, out_size.height}, out, plan,
                     Arithmetic::strict);
}

}  // namespace bench::rivals
