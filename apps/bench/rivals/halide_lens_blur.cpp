// lens_blur: the arithmetic is that of generators/lens_blur.cpp. Vectors and placement of the published schedule follow
// apps/lens_blur/lens_blur_generator.cpp, github.com/halide/Halide at abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8: the costs of all
// shifts at root, the pyramids of one shift at a time, depths and colours at root, lines of the photo in parallel. `tuned` has
// the colours of a pixel side by side, as ours.
#include "halide_kernel.h"

#include <algorithm>
#include <array>

namespace bench::rivals {

using namespace Halide;

namespace {

constexpr int slices = 32, focus = 13, samples = 32;
constexpr float radius_scale = 0.5f;
constexpr int widest = int(std::max(slices - focus, focus) * radius_scale);
constexpr std::size_t levels = 8;

struct LensFuncs {
    Var x{"x"}, y{"y"}, z{"z"}, k{"k"};
    std::array<Func, levels> costs, weights, smooth, smooth_weight;
    Func cost{"cost"}, cost_of_weight{"cost_of_weight"}, confidence{"confidence"}, depth{"depth"}, radius{"radius"},
        widest_y{"widest_y"}, widest_yx{"widest_yx"}, place{"place"}, seen{"seen"}, part{"part"}, total{"total"}, photo{"photo"};
    RDom s{0, samples};

    LensFuncs(const ImageParam& left_image, const ImageParam& right_image, Plan plan) {
        const Func left = BoundaryConditions::repeat_edge(left_image), right = BoundaryConditions::repeat_edge(right_image);
        const auto square = [](const Expr& e) { return e * e; };
        const auto apart = [&](int c) {
            const auto to = [&](int step) { return absd(left(x, y, c), right(x + 2 * z + step, y, c)); };
            return square(cast<float>(min(to(0), to(1))));
        };
        const RDom r(0, slices);
        // Each pyramid begins with costs of its own, computed where they are used.
        const auto variance = [&](Func& of, Func& result) {
            of(x, y, z) = apart(0) + apart(1) + apart(2);
            result(x, y) = sum(square(of(x, y, r))) / float(slices) - square(sum(of(x, y, r) / float(slices)));
        };
        variance(cost, confidence);
        variance(cost_of_weight, weights[0]);
        costs[0](x, y, z) = cost(x, y, z) * confidence(x, y);
        for (std::size_t i = 1; i < levels; ++i) {
            costs[i] = halved(costs[i - 1], left_image, i);
            weights[i] = halved(weights[i - 1], left_image, i);
        }
        for (std::size_t i = levels; i-- > 0;) {
            smooth[i](x, y, z) =
                i + 1 == levels ? costs[i](x, y, z) : (doubled(smooth[i + 1])(x, y, z) + costs[i](x, y, z)) * 0.5f;
            smooth_weight[i](x, y) =
                i + 1 == levels ? weights[i](x, y) : (doubled(smooth_weight[i + 1])(x, y) + weights[i](x, y)) * 0.5f;
        }
        depth(x, y) = argmin(smooth[0](x, y, r) / smooth_weight[0](x, y))[0];
        radius(x, y) = abs(cast<float>(depth(x, y) - focus)) * radius_scale;
        const RDom around(-widest, 2 * widest + 1);
        widest_y(x, y) = maximum(radius(x, y + around));
        widest_yx(x, y) = maximum(widest_y(x + around, y));
        const auto offset = [&](const Expr& bits) {
            return clamp(cast<int>((cast<float>(bits) * 0x1p-15f - 1.0f) * widest_yx(x, y)), -widest, widest);
        };
        const Expr random = scrambled();
        place(x, y, z) = Tuple(offset(random >> 16), offset(random & 0xffff));
        seen(x, y, k) = mux(k, {cast<float>(left(x, y, 0)), cast<float>(left(x, y, 1)), cast<float>(left(x, y, 2)), 255.0f});
        Expr dy = place(x, y, z)[0], dx = place(x, y, z)[1];
        const Expr from = cast<float>(dy * dy + dx * dx);
        part(x, y, z) =
            select((from < square(radius(x, y)) || depth(x + dx, y + dy) < depth(x, y)) && from < square(radius(x + dx, y + dy)),
                   1.0f, 0.0f);
        total(x, y, k) = seen(x, y, k);
        total(x, y, k) += part(x, y, s) * seen(x + place(x, y, s)[1], y + place(x, y, s)[0], k);
        photo(x, y, k) = total(x, y, k) / total(x, y, 3);
        if (plan == Plan::published || plan == Plan::tuned) schedule(plan == Plan::tuned);
    }

    Expr scrambled() {
        Expr h = cast<std::uint32_t>(z) * Expr(0x9e3779b1u) + cast<std::uint32_t>(y) * Expr(0x85ebca77u) +
                 cast<std::uint32_t>(x) * Expr(0xc2b2ae3du);
        h = (h ^ (h >> 15)) * Expr(0x2c1b3c6du);
        h = (h ^ (h >> 12)) * Expr(0x297a2d39u);
        return h ^ (h >> 15);
    }

    Func halved(Func f, const ImageParam& image, std::size_t level) {
        Func columns, rows;
        const auto taps = [](auto&& at) { return (at(-1) + 3.0f * (at(0) + at(1)) + at(2)) / 8.0f; };
        columns(x, y, _) = taps([&](int d) { return f(2 * x + d, y, _); });
        rows(x, y, _) = taps([&](int d) { return columns(x, 2 * y + d, _); });
        const auto extent = [&](int dim) { return (image.dim(dim).extent() + (1 << level) - 1) / (1 << level); };
        return BoundaryConditions::repeat_edge(rows, {{0, extent(0)}, {0, extent(1)}});
    }

    Func doubled(Func f) {
        Func wide, high;
        wide(x, y, _) = 0.25f * f(x / 2 - 1 + 2 * (x % 2), y, _) + 0.75f * f(x / 2, y, _);
        high(x, y, _) = 0.25f * wide(x, y / 2 - 1 + 2 * (y % 2), _) + 0.75f * wide(x, y / 2, _);
        return high;
    }

    void schedule(bool tuned) {
        Var xi("xi"), yi("yi");
        costs[0].compute_root().reorder(z, x, y).vectorize(x, 16).parallel(y, 4);
        cost.compute_at(costs[0], x).hoist_storage(costs[0], y).vectorize(x);
        confidence.compute_at(costs[0], x).vectorize(x);
        weights[0].compute_root().vectorize(x, 16).parallel(y, 4);
        cost_of_weight.compute_at(weights[0], x).vectorize(x);
        for (std::size_t i = 1; i < levels; ++i) {
            costs[i].compute_at(smooth[1], z).vectorize(x, 8);
            if (i > 1) smooth[i].compute_at(smooth[1], z).tile(x, y, xi, yi, 8, 2).vectorize(xi).unroll(yi);
            weights[i].compute_root().vectorize(x, 8);
            smooth_weight[i].compute_root().tile(x, y, xi, yi, 8, 2).vectorize(xi).unroll(yi);
        }
        smooth[1].compute_root().parallel(z).tile(x, y, xi, yi, 8, 2).vectorize(xi).unroll(yi);
        depth.compute_root().tile(x, y, xi, yi, 8, 2).vectorize(xi).unroll(yi).parallel(y, 8);
        seen.compute_root().reorder(k, x, y).bound(k, 0, 4).unroll(k).vectorize(x, 8).parallel(y, 8);
        widest_y.compute_at(photo, y).vectorize(x, 8);
        widest_yx.compute_at(photo, y).vectorize(x, 8);
        photo.compute_root().reorder(k, x, y).bound(k, 0, 3).unroll(k).vectorize(x, 8).parallel(y);
        if (tuned) {
            seen.reorder_storage(k, x, y);
            total.compute_at(photo, x).bound(k, 0, 4).reorder_storage(k, x, y).reorder(k, x, y).vectorize(k);
            total.update().reorder(k, s, x, y).vectorize(k);
            for (Func* f : {&part, &place}) f->compute_at(photo, x).vectorize(x);
            return;
        }
        total.compute_at(photo, x).vectorize(x);
        total.update().reorder(k, x, s).vectorize(x).unroll(k);
        part.compute_at(total, x).unroll(x);
        place.compute_at(total, x).vectorize(x);
    }
};

}  // namespace

Kernel halide_lens_blur(const std::uint8_t* in, float* out, Size2 image, Plan plan, Arithmetic arithmetic) {
    ImageParam left(UInt(8), 3, "left"), right(UInt(8), 3, "right");
    LensFuncs f(left, right, plan);
    const std::vector<int> extents{image.width, image.height, 3};
    for (ImageParam* param : {&left, &right}) {
        start_at_zero(*param);
        set_extents(*param, extents);
    }
    start_at_zero(f.photo.output_buffer());
    set_extents(f.photo.output_buffer(), extents);
    f.photo.output_buffer().dim(2).set_extent(3);
    return [kernel = callable_of(f.photo, {left, right}, plan, arithmetic), a = array(in, extents),
            b = array(in + std::size_t(3) * image.width * image.height, extents),
            to = array(static_cast<const float*>(out), extents)]() mutable { run(kernel, a, b, to); };
}

}  // namespace bench::rivals
