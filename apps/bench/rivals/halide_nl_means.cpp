// nl_means: the arithmetic is that of generators/nl_means.cpp, with the published app's fast exp. Tile sizes and placement of the
// published schedule follow apps/nl_means/nl_means_generator.cpp, github.com/halide/Halide at
// abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8: for tiles of 16 x 8 pixels the differences of all shifts and their sums along y,
// then, per vector of pixels, sums along x and the weighted mean. `tuned` goes through the shifts outside of larger tiles, as
// ours does.
#include "halide_kernel.h"

namespace bench::rivals {

using namespace Halide;

namespace {

constexpr int patch = 7, search = 7;

struct NlMeansFuncs {
    Var x{"x"}, y{"y"}, c{"c"}, dx{"dx"}, dy{"dy"};
    Func near{"near"}, difference{"difference"}, columns{"columns"}, distance{"distance"}, weight{"weight"}, total{"total"},
        quiet{"quiet"};
    RDom shifts{-(search / 2), search, -(search / 2), search};

    NlMeansFuncs(const ImageParam& photo, Plan plan) {
        near = BoundaryConditions::repeat_edge(photo);
        const RDom planes(0, 3), of_patch(-(patch / 2), patch);
        const Expr apart = near(x, y, planes) - near(x + dx, y + dy, planes);
        difference(x, y, dx, dy) = sum(apart * apart);
        columns(x, y, dx, dy) = sum(difference(x, y + of_patch, dx, dy));
        distance(x, y, dx, dy) = sum(columns(x + of_patch, y, dx, dy));
        weight(x, y, dx, dy) = fast_exp(distance(x, y, dx, dy) * (-1.0f / (nl_means_sigma * nl_means_sigma * patch * patch)));
        const auto seen = [&](const Expr& at_x, const Expr& at_y) {
            return mux(c, {near(at_x, at_y, 0), near(at_x, at_y, 1), near(at_x, at_y, 2), 1.0f});
        };
        total(x, y, c) += weight(x, y, shifts.x, shifts.y) * seen(x + shifts.x, y + shifts.y);
        quiet(x, y, c) = clamp(total(x, y, c) / total(x, y, 3), 0.0f, 1.0f);
        if (plan == Plan::published) publish();
        if (plan == Plan::tuned) tune();
    }

    void publish() {
        Var tx("tx"), ty("ty");
        const int lanes = native_floats();
        quiet.compute_root().reorder(c, x, y).tile(x, y, tx, ty, x, y, 16, 8).parallel(ty).vectorize(x, lanes);
        columns.compute_at(quiet, tx).hoist_storage(quiet, ty).reorder(y, x).vectorize(x, lanes);
        difference.compute_at(quiet, tx).hoist_storage(quiet, ty).vectorize(x, lanes);
        total.compute_at(quiet, x).reorder(c, x, y).bound(c, 0, 4).unroll(c).vectorize(x, lanes);
        total.update(0).reorder(c, x, y, shifts.x, shifts.y).unroll(c).vectorize(x, lanes);
        distance.compute_at(total, x).vectorize(x, lanes);
    }

    void tune() {
        Var tx("tx"), ty("ty");
        const int lanes = native_floats();
        quiet.compute_root().tile(x, y, tx, ty, x, y, 64, 32, TailStrategy::GuardWithIf).reorder(c, x, y, tx, ty).parallel(ty);
        quiet.bound(c, 0, 3).unroll(c).vectorize(x, lanes);
        total.compute_at(quiet, tx).bound(c, 0, 4).reorder(c, x, y).unroll(c).vectorize(x, lanes, TailStrategy::RoundUp);
        total.update(0).reorder(c, x, y, shifts.x, shifts.y).unroll(c).vectorize(x, lanes, TailStrategy::RoundUp);
        weight.compute_at(total, shifts.x).vectorize(x, lanes, TailStrategy::RoundUp);
        columns.compute_at(total, shifts.x).vectorize(x, lanes, TailStrategy::RoundUp);
        difference.compute_at(total, shifts.x).vectorize(x, lanes, TailStrategy::RoundUp);
        near.compute_at(quiet, tx).vectorize(near.args()[0], lanes, TailStrategy::RoundUp);
    }
};

}  // namespace

Kernel halide_nl_means(const float* in, float* out, Size2 image, Plan plan, Arithmetic arithmetic) {
    ImageParam photo(Float(32), 3, "photo");
    NlMeansFuncs f(photo, plan);
    start_at_zero(photo);
    start_at_zero(f.quiet.output_buffer());
    f.quiet.output_buffer().dim(2).set_extent(3);
    return kernel_of(f.quiet, photo, {image.width, image.height, 3}, in, {image.width, image.height, 3}, out, plan, arithmetic);
}

}  // namespace bench::rivals
