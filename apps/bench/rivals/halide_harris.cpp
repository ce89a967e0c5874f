// harris: a corner measure of an f32 photo of 3 planes, the input larger by 2 on each side. `published` has the formulas of the
// published app, `tuned` those of definitions.cpp, which has products and sums of an axis after those of the other.
// Tile sizes and placement follow apps/harris/harris_generator.cpp, github.com/halide/Halide at
// abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8: strips of 32 rows in parallel; gray and the two slopes in rings over the strip,
// computed row by row, the slopes in one loop nest.
#include "halide_kernel.h"

namespace bench::rivals {

Kernel halide_harris(const float* in, float* out, Size2 out_size, Plan plan, Arithmetic arithmetic) {
    using namespace Halide;
    ImageParam photo(Float(32), 3, "photo");
    Var x("x"), y("y"), strip("strip"), row("row"), line("line");
    Func gray("gray"), gx("gx"), gy("gy"), xx("xx"), yy("yy"), xy("xy"), sxx("sxx"), syy("syy"), sxy("sxy"), trace("trace"),
        corner("corner");
    gray(x, y) = 0.299f * photo(x, y, 0) + 0.587f * photo(x, y, 1) + 0.114f * photo(x, y, 2);
    const float s = 1.0f / 12, d = 2.0f / 12;
    const bool by_axes = plan == Plan::tuned;  // as ours
    if (!by_axes) {
        gy(x, y) = gray(x, y) * -s + gray(x, y + 2) * s + gray(x + 1, y) * -d + gray(x + 1, y + 2) * d + gray(x + 2, y) * -s +
                   gray(x + 2, y + 2) * s;
        gx(x, y) = gray(x, y) * -s + gray(x + 2, y) * s + gray(x, y + 1) * -d + gray(x + 2, y + 1) * d + gray(x, y + 2) * -s +
                   gray(x + 2, y + 2) * s;
    } else {
        Func across("across"), along("along");
        across(x, y) = gray(x + 2, y) - gray(x, y);
        along(x, y) = gray(x, y) + 2.0f * gray(x + 1, y) + gray(x + 2, y);
        gx(x, y) = (across(x, y) + 2.0f * across(x, y + 1) + across(x, y + 2)) * s;
        gy(x, y) = (along(x, y + 2) - along(x, y)) * s;
    }
    xx(x, y) = gx(x, y) * gx(x, y);
    yy(x, y) = gy(x, y) * gy(x, y);
    xy(x, y) = gx(x, y) * gy(x, y);
    const auto sum3x3 = [&](const Func& f) {
        if (by_axes) {
            const auto of_row = [&](int dy) { return f(x, y + dy) + f(x + 1, y + dy) + f(x + 2, y + dy); };
            return of_row(0) + of_row(1) + of_row(2);
        }
        Expr sum = f(x, y);
        for (int i = 1; i < 9; ++i) sum = sum + f(x + i / 3, y + i % 3);
        return sum;
    };
    sxx(x, y) = sum3x3(xx);
    syy(x, y) = sum3x3(yy);
    sxy(x, y) = sum3x3(xy);
    trace(x, y) = sxx(x, y) + syy(x, y);
    corner(x, y) = (sxx(x, y) * syy(x, y) - sxy(x, y) * sxy(x, y)) - 0.04f * trace(x, y) * trace(x, y);

    if (!is_automatic(plan)) {
        const int lanes = native_floats();
        corner.split(y, strip, row, 32).parallel(strip).vectorize(x, lanes);
        for (Func* stage : {&gray, &gx, &gy}) stage->store_at(corner, strip).compute_at(corner, row).vectorize(x, lanes);
        if (plan == Plan::tuned) {
            // Two rows at a time, of the result and of the slopes, share what they read. Heights are even.
            corner.split(row, row, line, 2).reorder(line, x, row, strip).unroll(line);
            for (Func* slope : {&gx, &gy}) slope->split(y, y, line, 2, TailStrategy::RoundUp).reorder(line, x, y).unroll(line);
        }
        gx.compute_with(gy, x);
    }
    start_at_zero(photo);
    start_at_zero(corner.output_buffer());
    return kernel_of(corner, photo, {out_size.width + 4, out_size.height + 4, 3}, in, {out_size.width, out_size.height}, out,
                     plan, arithmetic);
}

}  // namespace bench::rivals
