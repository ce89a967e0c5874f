#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// Smooths an f32 photo of one plane, values in [0, 1], where neighbours are alike in value: pixels are added up in a grid whose
/// cells cover cell x cell pixels and 1 / levels of the values, the grid is blurred along its three axes, and each pixel reads it
/// at its place and value, interpolated. The formulas are those of apps/bilateral_grid of github.com/halide/Halide.
Algorithm bilateral_grid(std::int64_t cell, std::int64_t levels) {
    Dim y("y"), x("x"), cy("cy", y.extent() / cell + 2), cx("cx", x.extent() / cell + 2);
    // A value v is counted at z = round(v * levels) + 2: the blur reaches over two cells on either side, the interpolation one
    // further.
    Dim z("z", levels + 6), ry("ry", cell), rx("rx", cell);
    Input photo("photo", f32, {y, x});
    Func value("value"), bin("bin"), grid("grid"), blur_z("blur_z"), blur_x("blur_x"), blur_y("blur_y"), row("row"),
        sampled("sampled"), filtered("filtered");
    value(y, x) = clamp(clamp(photo)(y, x), 0.0f, 1.0f);
    bin(y, x) = clamp(cast(i32, value(y, x) * static_cast<float>(levels) + 0.5f), 0, levels) + 2;
    const Monoid sums = monoid(
        "sums",
        [](const std::vector<DType>& of) {
            return Tuple{constant(of[0], 0.0), constant(of[1], 0.0)};
        },
        [](const Tuple& a, const Tuple& b) {
            return Tuple{a[0] + b[0], a[1] + b[1]};
        });
    const Expr in_y = cell * cy + ry - cell / 2, in_x = cell * cx + rx - cell / 2;
    const Tuple counted = scatter(sums, {to(z, bin(in_y, in_x))}, {ry, rx}, {value(in_y, in_x), constant(f32, 1.0)});
    grid(cy, cx, z) = counted;
    const auto five_taps = [](auto&& at) {
        const auto component = [&](int c) { return at(-2)[c] + at(-1)[c] * 4.0f + at(0)[c] * 6.0f + at(1)[c] * 4.0f + at(2)[c]; };
        return Tuple{component(0), component(1)};
    };
    // blur_z(z) is centred on grid(z + 2).
    blur_z(cy, cx, z) = five_taps([&](int d) { return grid(cy, cx, z + (d + 2)); });
    blur_x(cy, cx, z) = five_taps([&](int d) { return blur_z(cy, cx + d, z); });
    blur_y(cy, cx, z) = five_taps([&](int d) { return blur_x(cy + d, cx, z); });
    const auto between = [](const FuncRef& a, const FuncRef& b, const Expr& t) {
        return Tuple{a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t};
    };
    const auto part_of_cell = [&](const Dim& d) { return cast(f32, Expr(d) % cell) * (1.0f / static_cast<float>(cell)); };
    row(y, cx, z) = between(blur_y(y / cell, cx, z), blur_y(y / cell + 1, cx, z), part_of_cell(y));
    sampled(y, x, z) = between(row(y, x / cell, z), row(y, x / cell + 1, z), part_of_cell(x));
    const Expr level = clamp(photo(y, x), 0.0f, 1.0f) * static_cast<float>(levels);
    const Expr below = clamp(cast(i32, level), 0, levels);
    const Expr t = level - cast(f32, below);
    const Tuple both = between(sampled(y, x, below), sampled(y, x, below + 1), t);
    filtered(y, x) = both[0] / both[1];
    return Algorithm({filtered}, {photo});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(argc, argv,
                          {generator("bilateral_grid", "edge-aware smoothing of a photo with 1 plane",
                                     {param("cell", 8).at_least(1), param("levels", 10).at_least(1)},
                                     [](const Params& p) { return bilateral_grid(p.integer("cell"), p.integer("levels")); })});
}
