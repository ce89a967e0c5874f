// interpolate: the arithmetic is that of generators/interpolate.cpp. Tile sizes and placement of the published schedule follow
// apps/interpolate/interpolate_generator.cpp, github.com/halide/Halide at abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8: the levels
// down at root in strips of 8 rows, the first of them with a window of the level before that; the levels up in windows over
// strips of 32 rows of the output. `tuned` takes 64 rows, two at a time.
#include <vector>

#include "halide_kernel.h"

namespace bench::rivals {

using namespace Halide;

namespace {

constexpr int levels = 10;

struct Pyramid {
    Var x{"x"}, y{"y"}, c{"c"};
    std::vector<Func> down, rows, filled, wide, up;
    Func out{"out"};

    explicit Pyramid(const ImageParam& photo) {
        for (int l = 0; l < levels; ++l)
            for (std::vector<Func>* all : {&down, &rows, &filled, &wide, &up}) all->emplace_back();
        const Func edged = BoundaryConditions::repeat_edge(photo);
        down[0](x, y, c) = select(c < 3, edged(x, y, c) * edged(x, y, 3), edged(x, y, 3));
        for (int l = 1; l < levels; ++l) {
            Func below = down[l - 1];
            if (l == 4) below = lambda(x, y, c, below(clamp(x, 0, photo.width() / 8), clamp(y, 0, photo.height() / 8), c));
            rows[l](x, y, c) = (below(2 * x - 1, y, c) + 2.0f * below(2 * x, y, c) + below(2 * x + 1, y, c)) * 0.25f;
            down[l](x, y, c) = (rows[l](x, 2 * y - 1, c) + 2.0f * rows[l](x, 2 * y, c) + rows[l](x, 2 * y + 1, c)) * 0.25f;
        }
        filled[levels - 1](x, y, c) = down[levels - 1](x, y, c);
        for (int l = levels - 2; l >= 0; --l) {
            wide[l](x, y, c) = (filled[l + 1](x / 2, y, c) + filled[l + 1]((x + 1) / 2, y, c)) * 0.5f;
            up[l](x, y, c) = (wide[l](x, y / 2, c) + wide[l](x, (y + 1) / 2, c)) * 0.5f;
            filled[l](x, y, c) = down[l](x, y, c) + (1.0f - down[l](x, y, 3)) * up[l](x, y, c);
        }
        out(x, y, c) = filled[0](x, y, c) / filled[0](x, y, 3);
    }

    void schedule(const ImageParam& photo, Plan plan) {
        Var task("task"), row("row"), line("line"), columns("columns"), lane("lane");
        const int lanes = native_floats();
        for (int l = 1; l < levels - 1; ++l)
            down[l].compute_root().never_partition(x).reorder(x, c, y).split(y, task, row, 8).parallel(task).vectorize(x, lanes);
        down[0].clone_in(rows[1]).store_at(down[1], task).compute_at(down[1], row).reorder(c, x, y).unroll(c).vectorize(x, lanes);
        out.bound(x, 0, photo.width()).bound(y, 0, photo.height()).bound(c, 0, 3).never_partition(y);
        out.split(x, columns, lane, lanes).split(y, task, row, plan == Plan::tuned ? 64 : 32).parallel(task);
        if (plan == Plan::tuned)
            out.split(row, row, line, 2).reorder(lane, c, line, columns, row, task).unroll(line);
        else
            out.reorder(lane, c, columns, row, task);
        out.unroll(c).vectorize(lane);
        for (int l = 1; l < levels; ++l)
            filled[l].store_at(out, task).compute_at(out, row).never_partition_all().vectorize(x, lanes);
    }
};

}  // namespace

Kernel halide_interpolate(const float* in, float* out, Size2 image, Plan plan, Arithmetic arithmetic) {
    ImageParam photo(Float(32), 3, "photo");
    photo.dim(2).set_bounds(0, 4);
    Pyramid pyramid(photo);
    if (!is_automatic(plan)) pyramid.schedule(photo, plan);
    start_at_zero(photo);
    start_at_zero(pyramid.out.output_buffer());
    return kernel_of(pyramid.out, photo, {image.width, image.height, 4}, in, {image.width, image.height, 3}, out, plan,
                     arithmetic);
}

}  // namespace bench::rivals
