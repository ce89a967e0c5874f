#include <tessera/generator.h>
#include <tessera/tessera.h>

#include <vector>

using namespace tessera;

namespace {

/// What a level of a pyramid is defined over: half the pixels of the level below, rounded up.
struct Level {
    Dim y, x;
};

/// Fills the transparent pixels of an f32 photo, planes red, green, blue and alpha, from those around them: means over ever
/// larger areas, weighted by alpha, from the coarsest of `levels` on down. Source of the pipeline: apps/interpolate of
/// github.com/halide/Halide at abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8.
Algorithm interpolate(std::int64_t levels) {
    Dim c("c", 4), color("color", 3), y("y"), x("x");
    Input photo("photo", f32, {c, y, x});
    std::vector<Level> at{{y, x}};
    std::vector<Func> down, filled;
    for (std::int64_t l = 0; l < levels; ++l) {
        const std::string number = std::to_string(l);
        const Extent size = std::int64_t{1} << l;
        if (l > 0)
            at.push_back({Dim("y" + number, (y.extent() + size - 1) / size), Dim("x" + number, (x.extent() + size - 1) / size)});
        down.emplace_back("down_" + number);
        filled.emplace_back("filled_" + number);
    }
    const Bounded edged = clamp(photo);
    down[0](c, y, x) = select(c < 3, edged(c, y, x) * edged(3, y, x), edged(3, y, x));
    for (size_t l = 1; l < down.size(); ++l) {
        const Level &from = at[l - 1], &to = at[l];
        Func rows("rows_" + std::to_string(l));
        // Far from the photo the pyramid goes on as at its edge, so that what its coarse levels read is not ever larger.
        const auto below = [&](const Expr& row, const Expr& column) -> Expr {
            if (l != 4) return down[l - 1](c, row, column);
            return down[l - 1](c, clamp(row, 0, y.extent() / 8), clamp(column, 0, x.extent() / 8));
        };
        rows(c, from.y, to.x) =
            (below(from.y, 2 * to.x - 1) + 2.0f * below(from.y, 2 * to.x) + below(from.y, 2 * to.x + 1)) * 0.25f;
        down[l](c, to.y, to.x) =
            (rows(c, 2 * to.y - 1, to.x) + 2.0f * rows(c, 2 * to.y, to.x) + rows(c, 2 * to.y + 1, to.x)) * 0.25f;
    }
    filled.back()(c, at.back().y, at.back().x) = down.back()(c, at.back().y, at.back().x);
    for (size_t l = down.size() - 1; l-- > 0;) {
        const Level &to = at[l], &from = at[l + 1];
        Func wide("wide_" + std::to_string(l)), up("up_" + std::to_string(l));
        wide(c, from.y, to.x) = (filled[l + 1](c, from.y, to.x / 2) + filled[l + 1](c, from.y, (to.x + 1) / 2)) * 0.5f;
        up(c, to.y, to.x) = (wide(c, to.y / 2, to.x) + wide(c, (to.y + 1) / 2, to.x)) * 0.5f;
        filled[l](c, to.y, to.x) = down[l](c, to.y, to.x) + (1.0f - down[l](3, to.y, to.x)) * up(c, to.y, to.x);
    }
    Func out("out");
    out(color, y, x) = filled[0](color, y, x) / filled[0](3, y, x);
    return Algorithm({out}, {photo}, {.name = "interpolate"});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(
        argc, argv,
        {generator("interpolate", "fills transparent pixels of a photo with 4 planes", {param("levels", 10).at_least(1)},
                   [](const Params& p) { return interpolate(p.integer("levels")); })});
}
