// unsharp: sharpening by the ratio of a sharpened to the plain luminance, f32, 3 planes (definitions.h has the formulas).
// Tile sizes and placement follow apps/unsharp/unsharp_generator.cpp, github.com/halide/Halide at
// abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8: strips of 32 rows in parallel; gray, the vertical blur and the ratio in rings over
// the strip, computed row by row, the three planes written row after row.
#include "halide_kernel.h"

namespace bench::rivals {

Kernel halide_unsharp(const float* in, float* out, Size2 image, Plan plan, Arithmetic arithmetic) {
    using namespace Halide;
    ImageParam photo(Float(32), 3, "photo");
    Var x("x"), y("y"), c("c"), strip("strip"), row("row"), line("line");
    const Func edged = BoundaryConditions::repeat_edge(photo, {{0, photo.width()}, {0, photo.height()}});
    const auto seven_taps = [](auto&& at) {
        const auto& k = unsharp_taps;
        return k[0] * at(0) + k[1] * (at(-1) + at(1)) + k[2] * (at(-2) + at(2)) + k[3] * (at(-3) + at(3));
    };
    Func gray("gray"), blur_y("blur_y"), blur_x("blur_x"), ratio("ratio"), sharp("sharp");
    gray(x, y) = 0.299f * edged(x, y, 0) + 0.587f * edged(x, y, 1) + 0.114f * edged(x, y, 2);
    blur_y(x, y) = seven_taps([&](int d) -> Expr { return gray(x, y + d); });
    blur_x(x, y) = seven_taps([&](int d) -> Expr { return blur_y(x + d, y); });
    ratio(x, y) = (2.0f * gray(x, y) - blur_x(x, y)) / gray(x, y);
    sharp(x, y, c) = ratio(x, y) * photo(x, y, c);

    const int lanes = native_floats();
    if (plan == Plan::published) {
        sharp.split(y, strip, row, 32).vectorize(x, lanes).parallel(strip).reorder(x, c, row, strip);
        for (Func* stage : {&gray, &blur_y, &ratio}) stage->compute_at(sharp, row).store_at(sharp, strip).vectorize(x, lanes);
    } else if (plan == Plan::tuned) {
        // Four rows at a time share what they read of the rings; the ratio stays in a register for the three planes.
        sharp.split(y, strip, row, 32).split(row, row, line, 4).vectorize(x, lanes).parallel(strip).bound(c, 0, 3);
        sharp.reorder(c, line, x, row, strip).unroll(c).unroll(line);
        for (Func* stage : {&gray, &blur_y}) stage->compute_at(sharp, row).store_at(sharp, strip).vectorize(x, lanes);
        ratio.compute_at(sharp, line).vectorize(x, lanes);
    }
    start_at_zero(photo);
    start_at_zero(sharp.output_buffer());
    const std::vector<int> extents{image.width, image.height, 3};
    return kernel_of(sharp, photo, extents, in, extents, out, plan, arithmetic);
}

}  // namespace bench::rivals
