// bilateral_grid: the arithmetic is that of generators/bilateral_grid.cpp. Tile sizes and placement of the published schedule
// follow apps/bilateral_grid/bilateral_grid_generator.cpp, github.com/halide/Halide at 000c6ad095c80efd288e0b117b482565231ed9c9:
// a line of cells at a time is counted and blurred along z and x, lines in parallel; then, per line of pixels, the blur along y
// on the stack, and eight reads per pixel. `tuned` reads the grid as ours does, along y once per line and along x once per pixel
// and level.
#include "halide_kernel.h"

namespace bench::rivals {

using namespace Halide;

namespace {

constexpr int cell = 8, levels = 10;

struct BilateralFuncs {
    Var x{"x"}, y{"y"}, z{"z"}, c{"c"};
    Func value{"value"}, bin{"bin"}, grid{"grid"}, blur_z{"blur_z"}, blur_x{"blur_x"}, blur_y{"blur_y"}, line{"line"},
        sampled{"sampled"}, filtered{"filtered"};
    RDom r{0, cell, 0, cell};

    static Expr between(const Expr& a, const Expr& b, const Expr& t) { return a + (b - a) * t; }

    BilateralFuncs(const ImageParam& photo, Plan plan) {
        const Func edged = BoundaryConditions::repeat_edge(photo);
        value(x, y) = clamp(edged(x, y), 0.0f, 1.0f);
        bin(x, y) = clamp(cast<int>(value(x, y) * float(levels) + 0.5f), 0, levels) + 2;
        const Expr at_x = x * cell + r.x - cell / 2, at_y = y * cell + r.y - cell / 2;
        const auto five = [&](auto&& at) { return at(-2) + at(-1) * 4.0f + at(0) * 6.0f + at(1) * 4.0f + at(2); };
        const Expr y_part = cast<float>(y % cell) * (1.0f / cell), x_part = cast<float>(x % cell) * (1.0f / cell);
        const Expr level = clamp(photo(x, y), 0.0f, 1.0f) * float(levels);
        const Expr below = clamp(cast<int>(level), 0, levels), z_part = level - cast<float>(below);
        grid(x, y, z, c) = 0.0f;
        grid(x, y, clamp(bin(at_x, at_y), 0, levels + 5), c) += mux(c, {value(at_x, at_y), 1.0f});
        blur_z(x, y, z, c) = five([&](int d) { return grid(x, y, z + (d + 2), c); });
        blur_x(x, y, z, c) = five([&](int d) { return blur_z(x + d, y, z, c); });
        blur_y(x, y, z, c) = five([&](int d) { return blur_x(x, y + d, z, c); });
        line(x, y, z, c) = between(blur_y(x, y / cell, z, c), blur_y(x, y / cell + 1, z, c), y_part);
        sampled(x, y, z, c) = between(line(x / cell, y, z, c), line(x / cell + 1, y, z, c), x_part);
        const auto read = [&](int component) {
            return between(sampled(x, y, below, component), sampled(x, y, below + 1, component), z_part);
        };
        filtered(x, y) = read(0) / read(1);
        if (plan == Plan::published) publish();
        if (plan == Plan::tuned) tune();
    }

    void publish() {
        blur_z.compute_at(blur_x, y).reorder(c, z, x, y).vectorize(x, 8).unroll(c);
        grid.compute_at(blur_z, y).update().reorder(c, r.x, r.y, x, y).unroll(c);
        blur_x.compute_root().reorder(c, x, z, y).parallel(y).vectorize(x, 8).unroll(c);
        blur_y.compute_at(filtered, y).store_in(MemoryType::Stack).reorder(c, x, y, z).reorder_storage(c, z, x, y);
        blur_y.vectorize(x, 8).unroll(c);
        filtered.compute_root().parallel(y, 8).vectorize(x, 8);
    }

    void tune() {
        Var strip("strip"), band("band"), xo("xo"), cells("cells"), each("each");
        const int lanes = native_floats();
        for (Func* f : {&value, &bin}) f->compute_at(blur_x, y).vectorize(x, lanes, TailStrategy::RoundUp);
        grid.compute_at(blur_x, y).reorder_storage(z, x, y, c).vectorize(z, lanes).unroll(c);
        Stage update = grid.update();
        update.split(x, cells, each, 4, TailStrategy::RoundUp).reorder(c, each, r.x, r.y, cells, y).unroll(c).unroll(each);
        for (Func* f : {&blur_z, &blur_x})
            f->bound_extent(z, levels + 2).reorder_storage(z, x, y, c).reorder(c, z, x, y).unroll(c);
        blur_z.compute_at(blur_x, y).vectorize(z, levels + 2);
        blur_x.compute_root().vectorize(z, levels + 2).parallel(y, 8);
        filtered.compute_root().split(y, strip, y, 64).split(y, band, y, cell).split(x, xo, x, lanes, TailStrategy::GuardWithIf);
        filtered.parallel(strip).vectorize(x);
        for (Func* f : {&blur_y, &line, &sampled})
            f->bound_extent(z, levels + 2).reorder_storage(z, x, y, c).reorder(c, z, x, y).unroll(c).vectorize(z, levels + 2);
        blur_y.compute_at(filtered, band).store_at(filtered, strip);
        line.compute_at(filtered, y);
        sampled.compute_at(filtered, xo).unroll(x);
    }
};

}  // namespace

Kernel halide_bilateral_grid(const float* in, float* out, Size2 image, Plan plan, Arithmetic arithmetic) {
    ImageParam photo(Float(32), 2, "photo");
    BilateralFuncs f(photo, plan);
    start_at_zero(photo);
    start_at_zero(f.filtered.output_buffer());
    f.grid.set_estimate(f.z, 0, levels + 6);
    return kernel_of(f.filtered, photo, {image.width, image.height}, in, {image.width, image.height}, out, plan, arithmetic);
}

}  // namespace bench::rivals
