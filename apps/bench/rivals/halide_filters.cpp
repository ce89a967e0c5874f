// equalize, stencil_chain, max_filter: the arithmetic is that of generators/ under the same names. Tile sizes and placement of
// the published schedules follow apps/{hist,stencil_chain,max_filter}, github.com/halide/Halide at
// abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8; what `tuned` changes stands at each.
#include "halide_kernel.h"

#include <cmath>

namespace bench::rivals {

using namespace Halide;

namespace {

struct EqualizeFuncs {
    Var x{"x"}, y{"y"}, c{"c"};
    Func luma{"luma"}, rows{"rows"}, counts{"counts"}, cumulated{"cumulated"}, equalized{"equalized"};
    RDom along, down, levels;

    explicit EqualizeFuncs(const ImageParam& photo) : along(0, photo.width()), down(0, photo.height()), levels(1, 255) {
        const Expr red = cast<float>(photo(x, y, 0)), green = cast<float>(photo(x, y, 1)), blue = cast<float>(photo(x, y, 2));
        luma(x, y) = 0.299f * red + 0.587f * green + 0.114f * blue;
        rows(x, y) = 0;
        rows(cast<int>(clamp(luma(along, y), 0.0f, 255.0f)), y) += 1;
        counts(x) = 0;
        counts(x) += rows(x, down);
        cumulated(x) = counts(0);
        cumulated(levels) = cumulated(levels - 1) + counts(levels);
        const Expr bin = cast<std::uint8_t>(clamp(luma(x, y), 0.0f, 255.0f));
        const Expr pixels = cast<float>(photo.height()) * cast<float>(photo.width());
        const Expr even = min(cast<float>(cumulated(bin)) * (255.0f / pixels), 255.0f);
        const Expr cr = (red - luma(x, y)) * 0.713f, cb = (blue - luma(x, y)) * 0.564f;
        const auto byte = [](const Expr& e) { return cast<std::uint8_t>(clamp(e, 0.0f, 255.0f)); };
        equalized(x, y, c) = mux(c, {byte(even + 1.4f * cr), byte(even - 0.343f * cb - 0.711f * cr), byte(even + 1.765f * cb)});
    }
};

void schedule_equalize(EqualizeFuncs& f, Plan plan) {
    const int lanes = native_floats();
    f.cumulated.bound(f.x, 0, 256);
    f.luma.clone_in(f.rows).compute_at(f.rows.in(), f.y).vectorize(f.x, lanes);
    f.rows.in().compute_root().vectorize(f.x, lanes).parallel(f.y, 4);
    f.rows.compute_at(f.rows.in(), f.y).vectorize(f.x, lanes).update().reorder(f.y, f.along).unroll(f.y);
    Stage sum = f.counts.compute_root().vectorize(f.x, lanes).update().reorder(f.x, f.down).vectorize(f.x, lanes);
    sum.unroll(f.x, 4).parallel(f.x).reorder(f.down, f.x);
    f.cumulated.compute_root().update(0).unscheduled();
    f.equalized.reorder(f.c, f.x, f.y).bound(f.c, 0, 3).unroll(f.c).parallel(f.y, plan == Plan::tuned ? 32 : 8);
    f.equalized.vectorize(f.x, plan == Plan::tuned ? lanes : 2 * lanes);
}

}  // namespace

Kernel halide_equalize(const std::uint8_t* in, std::uint8_t* out, Size2 image, Plan plan, Arithmetic arithmetic) {
    ImageParam photo(UInt(8), 3, "photo");
    EqualizeFuncs f(photo);
    if (!is_automatic(plan)) schedule_equalize(f, plan);
    start_at_zero(photo);
    start_at_zero(f.equalized.output_buffer());
    return kernel_of(f.equalized, photo, {image.width, image.height, 3}, in, {image.width, image.height, 3}, out, plan,
                     arithmetic);
}

Kernel halide_stencil_chain(const std::uint16_t* in, std::uint16_t* out, Size2 image, Plan plan, Arithmetic arithmetic) {
    ImageParam input(UInt(16), 2, "image");
    Var x("x"), y("y"), xo("xo"), yo("yo"), xi("xi"), yi("yi"), line("line"), tile("tile");
    std::vector<Func> stages{BoundaryConditions::repeat_edge(input)};
    for (int s = 1; s <= stencils_in_chain; ++s) {
        Func stage("stage_" + std::to_string(s));
        Expr total = cast<std::uint16_t>(0);
        for (int j = -2; j <= 2; ++j)
            for (int i = -2; i <= 2; ++i) total += cast<std::uint16_t>((i + 3) * (j + 3)) * stages.back()(x + i, y + j);
        stage(x, y) = total;
        stages.push_back(stage);
    }
    const int last = stencils_in_chain, lanes = 2 * native_floats();
    // Four rows together share what they read, in smaller tiles with fewer stages.
    const bool tuned = plan == Plan::tuned;
    const int group = tuned ? 8 : 11;
    for (int at = last; at > 0 && !is_automatic(plan); at -= group) {
        Func to = stages[at];
        const int wider = 4 * (last - at);
        to.compute_root().tile(x, y, xo, yo, xi, yi, tuned ? 640 : (image.width + wider) / 4,
                               tuned ? 256 : (image.height + wider) / 4);
        to.fuse(xo, yo, tile).parallel(tile);
        if (tuned) to.split(yi, yi, line, 4).reorder(line, xi, yi).unroll(line);
        to.vectorize(xi, lanes);
        for (int s = std::max(tuned ? 1 : 0, at - group + 1); s < at; ++s) {
            Func f = stages[s];
            const Var fx = f.args()[0], fy = f.args()[1];
            f.store_at(to, tile).compute_at(to, yi);
            if (tuned) f.split(fy, fy, line, 4, TailStrategy::RoundUp).reorder(line, fx, fy).unroll(line);
            f.vectorize(fx, lanes, tuned ? TailStrategy::RoundUp : TailStrategy::Auto);
        }
    }
    start_at_zero(input);
    start_at_zero(stages.back().output_buffer());
    return kernel_of(stages.back(), input, {image.width, image.height}, in, {image.width, image.height}, out, plan, arithmetic);
}

namespace {

/// As published: the doubled columns in one Func that is updated along its fourth dim, heights looked up in tables; of a height,
/// a column reaches so many rows less one, the middle one counted, where the published one reaches a row beyond the disc.
Func max_filter_by_tables(const ImageParam& photo, int radius, Plan plan) {
    Var x("x"), y("y"), c("c"), t("t"), tx("tx");
    const Func edged = BoundaryConditions::repeat_edge(photo, {{0, photo.width()}, {0, photo.height()}});
    const int slices = int(std::ceil(std::log2(float(radius)))) + 1;
    Func tall("tall"), slice_of("slice_of"), column("column"), height("height"), filtered("filtered");
    tall(x, y, c, t) = edged(x, y, c);
    RDom r(-radius, photo.height() + radius, 1, slices - 1);
    tall(x, r.x, c, r.y) = max(tall(x, r.x, c, r.y - 1), tall(x, r.x + clamp(1 << (r.y - 1), 0, radius * 2), c, r.y - 1));
    slice_of(t) = cast<int>(floor(log(2 * t + 1) / std::log(2.0f)));
    const Expr slice = clamp(slice_of(t), 0, slices);
    column(x, y, c, t) = max(tall(x, y - t, c, slice), tall(x, y + t + 1 - clamp(1 << slice, 0, 2 * radius), c, slice));
    RDom dy(0, radius + 1), dx(-radius, 2 * radius + 1);
    height(x) = sum(select(x * x + dy * dy < (radius + 0.25f) * (radius + 0.25f), 1, 0));
    filtered(x, y, c) = maximum(column(x + dx, y, c, clamp(height(dx) - 1, 0, radius)));
    if (is_automatic(plan)) return filtered;
    slice_of.compute_root();
    height.compute_root();
    filtered.compute_root().split(x, tx, x, 256).reorder(x, y, c, tx).fuse(c, tx, t).parallel(t).vectorize(x, 8);
    tall.compute_at(filtered, t).vectorize(x, 8);
    tall.update().reorder(x, r.x, r.y, c).vectorize(x, 8);
    column.compute_at(filtered, y).vectorize(x, 8);
    return filtered;
}

/// One Func per doubling and per height, all known when it is compiled; strips of 256 columns and rows that slide.
Func max_filter_by_funcs(const ImageParam& photo, int radius) {
    Var x("x"), y("y"), c("c"), tx("tx"), t("t");
    const Func edged = BoundaryConditions::repeat_edge(photo, {{0, photo.width()}, {0, photo.height()}});
    const auto log2_of = [](int value) { return 31 - __builtin_clz(unsigned(value)); };
    Func filtered("filtered");
    std::vector<Func> tall, columns;
    for (int s = 0; s <= log2_of(2 * radius + 1); ++s) {
        Func level("tall_" + std::to_string(1 << s));
        level(x, y, c) = s == 0 ? Expr(edged(x, y, c)) : max(tall[s - 1](x, y, c), tall[s - 1](x, y + (1 << (s - 1)), c));
        tall.push_back(level);
    }
    for (int h = 0; h <= radius; ++h) {
        Func column("column_" + std::to_string(h));
        const int s = log2_of(2 * h + 1);
        column(x, y, c) = max(tall[s](x, y - h, c), tall[s](x, y + h + 1 - (1 << s), c));
        columns.push_back(column);
    }
    Expr largest;
    for (int dx = -radius; dx <= radius; ++dx) {
        const float reach = radius + 0.25f;
        int height = 0;
        while (dx * dx + (height + 1) * (height + 1) < reach * reach) ++height;
        const Expr value = columns[height](x + dx, y, c);
        largest = largest.defined() ? max(largest, value) : value;
    }
    filtered(x, y, c) = largest;
    const int lanes = native_floats();
    filtered.compute_root().split(x, tx, x, 256).reorder(x, y, c, tx).fuse(c, tx, t).parallel(t).vectorize(x, lanes);
    for (Func& level : tall) level.compute_at(filtered, y).store_at(filtered, t).vectorize(x, lanes);
    for (Func& column : columns) column.compute_at(filtered, y).vectorize(x, lanes);
    return filtered;
}

}  // namespace

Kernel halide_max_filter(const float* in, float* out, Size2 image, Plan plan, Arithmetic arithmetic) {
    ImageParam photo(Float(32), 3, "photo");
    Func filtered =
        plan == Plan::tuned ? max_filter_by_funcs(photo, disc_radius) : max_filter_by_tables(photo, disc_radius, plan);
    start_at_zero(photo);
    start_at_zero(filtered.output_buffer());
    return kernel_of(filtered, photo, {image.width, image.height, 3}, in, {image.width, image.height, 3}, out, plan, arithmetic);
}

}  // namespace bench::rivals
