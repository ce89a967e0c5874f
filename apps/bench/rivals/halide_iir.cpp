// iir_blur: the arithmetic is that of generators/iir_blur.cpp, in the order of it. Placement and tile sizes of the published
// schedule follow apps/iir_blur/iir_blur_generator.cpp, github.com/halide/Halide at 02ccdda5091116dea0c573725594cec401739157:
// two times the same, columns filtered in strips and transposed, strips and planes in parallel.
#include "halide_kernel.h"

namespace bench::rivals {

using namespace Halide;

namespace {

constexpr float weight = 0.1f, kept = 1 - weight;

/// `from` filtered down its columns and up again, transposed.
Func turned_columns(const std::string& name, Func from, const Expr& height, Plan plan) {
    Var x("x"), y("y"), c("c"), xo("xo"), yo("yo");
    Func columns(name), turned(name + "_turned");
    RDom down(0, height), up(0, height);
    const Expr last = height - 1 - up;
    columns(x, y, c) = undef<float>();
    columns(x, -1, c) = from(x, 0, c);
    columns(x, down, c) = kept * columns(x, down - 1, c) + weight * from(x, down, c);
    columns(x, height, c) = columns(x, height - 1, c);
    columns(x, last, c) = kept * columns(x, last + 1, c) + weight * columns(x, last, c);
    turned(x, y, c) = columns(y, x, c);
    if (is_automatic(plan)) return turned;

    // Strips of two vectors stay in the cache with their rows, and straight code turns their tiles.
    const int lanes = native_floats(), wide = plan == Plan::tuned ? 2 * lanes : 4 * lanes;
    turned.compute_root().tile(x, y, xo, yo, x, y, lanes, wide).vectorize(x);
    if (plan == Plan::tuned) turned.unroll(y);
    turned.parallel(yo).parallel(c);
    columns.compute_at(turned, yo);
    columns.update(0).vectorize(x, lanes);
    columns.update(1).reorder(x, down).vectorize(x, lanes);
    columns.update(2).vectorize(x, lanes);
    columns.update(3).reorder(x, up).vectorize(x, lanes);
    if (plan == Plan::tuned)
        for (int update : {1, 3}) columns.update(update).unroll(x, 2);
    return turned;
}

}  // namespace

Kernel halide_iir_blur(const float* in, float* out, Size2 image, Plan plan, Arithmetic arithmetic) {
    ImageParam photo(Float(32), 3, "photo");
    Func turned = turned_columns("down_up", Func(photo), photo.height(), plan);
    Func blurred = turned_columns("right_left", turned, photo.width(), plan);
    start_at_zero(photo);
    start_at_zero(blurred.output_buffer());
    return kernel_of(blurred, photo, {image.width, image.height, 3}, in, {image.width, image.height, 3}, out, plan, arithmetic);
}

}  // namespace bench::rivals
