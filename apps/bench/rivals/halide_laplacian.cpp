// local_laplacian: the arithmetic is that of generators/local_laplacian.cpp. Tile sizes and placement of the published schedule
// follow apps/local_laplacian/local_laplacian_generator.cpp, github.com/halide/Halide at
// abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8: brightness and its remapped versions of the levels 1 to 4 at root in strips, the
// first of them with a window of the level below; what the photo will be in windows over strips of 64 rows; coarser levels at
// root.
#include <array>

#include "halide_kernel.h"

namespace bench::rivals {

using namespace Halide;

namespace {

constexpr int levels = 8, tones = 8, steps = 256 * (tones - 1);

struct Laplacian {
    Var x{"x"}, y{"y"}, c{"c"}, k{"k"};
    Func remap{"remap"}, gray{"gray"}, enhanced{"enhanced"};
    std::array<Func, levels> toned, toned_rows, details, light, detail, out;

    Laplacian(const ImageParam& photo, const Param<float>& alpha, const Param<float>& beta) {
        const Expr distance = cast<float>(x) / 256.0f;
        remap(x) = alpha * distance * exp(-distance * distance / 2.0f);
        const Func edged = BoundaryConditions::repeat_edge(photo);
        const auto plane = [&](int p) { return cast<float>(edged(x, y, p)) / 65535.0f; };
        gray(x, y) = 0.299f * plane(0) + 0.587f * plane(1) + 0.114f * plane(2);
        const Expr tone = k * (1.0f / (tones - 1)), step = clamp(cast<int>(gray(x, y) * float(steps)), 0, steps);
        toned[0](x, y, k) = beta * (gray(x, y) - tone) + tone + remap(step - 256 * k);
        light[0](x, y) = gray(x, y);
        for (std::size_t l = 1; l < levels; ++l) {
            toned_rows[l] = halved_rows(toned[l - 1]);
            toned[l](x, y, k) = halved(toned_rows[l])(x, y, k);
            light[l](x, y) = halved(halved_rows(light[l - 1]))(x, y);
        }
        for (std::size_t l = levels; l-- > 0;) {
            details[l](x, y, k) = toned[l](x, y, k);
            if (l + 1 < levels) {
                details[l] = Func();
                details[l](x, y, k) = toned[l](x, y, k) - doubled(toned[l + 1])(x, y, k);
            }
            const Expr level = light[l](x, y) * float(tones - 1), below = clamp(cast<int>(level), 0, tones - 2);
            const Expr part = level - cast<float>(below);
            detail[l](x, y) = (1.0f - part) * details[l](x, y, below) + part * details[l](x, y, below + 1);
            if (l + 1 == levels)
                out[l](x, y) = detail[l](x, y);
            else
                out[l](x, y) = doubled(out[l + 1])(x, y) + detail[l](x, y);
        }
        const Expr ratio = (out[0](x, y) + 0.01f) / (gray(x, y) + 0.01f);
        enhanced(x, y, c) = cast<uint16_t>(clamp(cast<float>(photo(x, y, c)) * ratio, 0.0f, 65535.0f));
    }

    static Expr taps(const Expr& p, const Expr& q, const Expr& r, const Expr& s) { return (p + 3.0f * (q + r) + s) / 8.0f; }
    Func halved_rows(Func f) {
        Func rows;
        rows(x, y, _) = taps(f(x, 2 * y - 1, _), f(x, 2 * y, _), f(x, 2 * y + 1, _), f(x, 2 * y + 2, _));
        return rows;
    }
    Func halved(Func rows) {
        Func both;
        both(x, y, _) = taps(rows(2 * x - 1, y, _), rows(2 * x, y, _), rows(2 * x + 1, y, _), rows(2 * x + 2, y, _));
        return both;
    }
    Func doubled(Func f) {
        Func wide, both;
        const auto between = [](const Expr& near, const Expr& far, const Expr& at) {
            const Expr part = cast<float>(2 * (at % 2) + 1) / 4.0f;
            return near * (1.0f - part) + far * part;
        };
        wide(x, y, _) = between(f((x + 1) / 2, y, _), f((x - 1) / 2, y, _), x);
        both(x, y, _) = between(wide(x, (y + 1) / 2, _), wide(x, (y - 1) / 2, _), y);
        return both;
    }

    void schedule() {
        Var yo("yo");
        remap.compute_root();
        enhanced.reorder(c, x, y).split(y, yo, y, 64).parallel(yo).vectorize(x, 8);
        gray.compute_root().never_partition(y).parallel(y, 32).vectorize(x, 8);
        for (std::size_t l = 1; l < 5; ++l) {
            light[l].compute_root().parallel(y, 32).vectorize(x, 8);
            toned[l].compute_root().reorder_storage(x, k, y).reorder(k, y).split(y, yo, y, 8).parallel(yo).vectorize(x, 8);
            out[l].store_at(enhanced, yo).compute_at(enhanced, y).fold_storage(y, 4).vectorize(x, 8, TailStrategy::RoundUp);
            if (l == 1) continue;
            light[l].never_partition_all();
            toned[l].never_partition_all();
        }
        toned[0].clone_in(toned_rows[1]).store_at(toned[1], yo).compute_at(toned[1], y).vectorize(x, 8);
        out[0].compute_at(enhanced, y).hoist_storage(enhanced, yo).vectorize(x, 8, TailStrategy::RoundUp);
        for (std::size_t l = 5; l < levels; ++l) {
            light[l].compute_root();
            toned[l].compute_root().parallel(k);
            out[l].compute_root();
        }
    }
};

}  // namespace

Kernel halide_local_laplacian(const std::uint16_t* in, std::uint16_t* out, Size2 image, Plan plan, Arithmetic arithmetic) {
    ImageParam photo(UInt(16), 3, "photo");
    Param<float> alpha("alpha"), beta("beta");
    Laplacian laplacian(photo, alpha, beta);
    if (!is_automatic(plan)) laplacian.schedule();
    start_at_zero(photo);
    start_at_zero(laplacian.enhanced.output_buffer());
    const std::vector<int> extents{image.width, image.height, 3};
    set_extents(photo, extents);
    set_extents(laplacian.enhanced.output_buffer(), extents);
    return [kernel = callable_of(laplacian.enhanced, {photo, alpha, beta}, plan, arithmetic), from = array(in, extents),
            to = array(static_cast<const std::uint16_t*>(out), extents)]() mutable {
        run(kernel, from, laplacian_alpha, laplacian_beta, to);
    };
}

}  // namespace bench::rivals
