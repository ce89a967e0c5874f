#include <tessera/generator.h>
#include <tessera/tessera.h>

#include <vector>

using namespace tessera;

namespace {

/// A level of the pyramids: half the pixels of the level below, rounded up.
struct Level {
    Dim y, x;
    Func tones, light, out;  // remapped around each of some brightnesses; as the photo has it; as it will be
};

/// Gaussian pyramids go from one level to the next with the taps 1 3 3 1 along both axes.
Expr halved(const Expr& a, const Expr& b, const Expr& c, const Expr& d) { return (a + 3.0f * (b + c) + d) / 8.0f; }

/// Between two cells of a coarser level, a quarter or three quarters of the way.
Expr between(const Expr& near, const Expr& far, const Expr& at) {
    const Expr part = cast(f32, 2 * (at % 2) + 1) / 4.0f;
    return near * (1.0f - part) + far * part;
}

/// Strengthens or softens the details of a u16 photo of 3 planes without halos: its brightness is remapped around each of `tones`
/// brightnesses, and the Laplacian pyramid of the result is put together from theirs, each cell from the one that is closest to
/// what the photo has there. `alpha` is by how much details grow, `beta` large differences. Source of the pipeline:
/// apps/local_laplacian of github.com/halide/Halide at abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8; Paris, Hasinoff & Kautz 2011.
Algorithm local_laplacian(std::int64_t levels, std::int64_t tones) {
    Dim c("c", 3), y("y"), x("x"), k("k", tones), v("v", 512 * (tones - 1) + 1);
    Input photo("photo", u16, {c, y, x});
    Scalar alpha("alpha", f32), beta("beta", f32);
    std::vector<Level> at;
    for (std::int64_t l = 0; l < levels; ++l) {
        const std::string number = std::to_string(l);
        const Extent size = std::int64_t{1} << l;
        const Dim row = l == 0 ? y : Dim("y" + number, (y.extent() + size - 1) / size),
                  column = l == 0 ? x : Dim("x" + number, (x.extent() + size - 1) / size);
        at.push_back({row, column, Func("tones_" + number), Func("light_" + number), Func("out_" + number)});
    }
    Func remap("remap"), gray("gray"), enhanced("enhanced");
    const std::int64_t steps = 256 * (tones - 1);
    const Expr distance = cast(f32, Expr(v) - steps) / 256.0f;
    remap(v) = alpha * distance * exp(-distance * distance / 2.0f);
    const Bounded edged = clamp(photo);
    const auto plane = [&](std::int64_t p) { return cast(f32, edged(p, y, x)) / 65535.0f; };
    gray(y, x) = 0.299f * plane(0) + 0.587f * plane(1) + 0.114f * plane(2);
    const Expr tone = cast(f32, Expr(k)) * (1.0f / static_cast<float>(tones - 1));
    const Expr step = clamp(cast(i32, gray(y, x) * static_cast<float>(steps)), 0, steps);
    at[0].tones(k, y, x) = beta * (gray(y, x) - tone) + tone + remap(step - 256 * cast(i32, k) + steps);
    at[0].light(y, x) = gray(y, x);
    const auto quarters = [&](const Func& from, const Level& below, const Level& to, const std::vector<Index>& leading) {
        Func rows(from.name() + "_rows");
        const auto read = [&](const Func& f, const Expr& row, const Expr& column) -> Expr {
            std::vector<Index> index = leading;
            index.push_back(row), index.push_back(column);
            return f.at(index);
        };
        std::vector<Index> place = leading;
        place.push_back(to.y), place.push_back(below.x);
        rows.at(place) = halved(read(from, 2 * to.y - 1, below.x), read(from, 2 * to.y, below.x),
                                read(from, 2 * to.y + 1, below.x), read(from, 2 * to.y + 2, below.x));
        return halved(read(rows, to.y, 2 * to.x - 1), read(rows, to.y, 2 * to.x), read(rows, to.y, 2 * to.x + 1),
                      read(rows, to.y, 2 * to.x + 2));
    };
    for (size_t l = 1; l < at.size(); ++l) {
        at[l].tones(k, at[l].y, at[l].x) = quarters(at[l - 1].tones, at[l - 1], at[l], {k});
        at[l].light(at[l].y, at[l].x) = quarters(at[l - 1].light, at[l - 1], at[l], {});
    }
    for (size_t l = at.size(); l-- > 0;) {
        const Level& to = at[l];
        const Expr level = to.light(to.y, to.x) * static_cast<float>(tones - 1);
        const Expr below = clamp(cast(i32, level), 0, tones - 2), part = level - cast(f32, below);
        Func details("details_" + std::to_string(l));
        if (l + 1 == at.size()) {
            details(k, to.y, to.x) = to.tones(k, to.y, to.x);
        } else {
            const Level& from = at[l + 1];
            Func wide("tones_wide_" + std::to_string(l));
            wide(k, from.y, to.x) = between(from.tones(k, from.y, (to.x + 1) / 2), from.tones(k, from.y, (to.x - 1) / 2), to.x);
            details(k, to.y, to.x) =
                to.tones(k, to.y, to.x) - between(wide(k, (to.y + 1) / 2, to.x), wide(k, (to.y - 1) / 2, to.x), to.y);
        }
        const Expr detail = (1.0f - part) * details(below, to.y, to.x) + part * details(below + 1, to.y, to.x);
        if (l + 1 == at.size()) {
            to.out(to.y, to.x) = detail;
            continue;
        }
        const Level& from = at[l + 1];
        Func wide("out_wide_" + std::to_string(l));
        wide(from.y, to.x) = between(from.out(from.y, (to.x + 1) / 2), from.out(from.y, (to.x - 1) / 2), to.x);
        to.out(to.y, to.x) = between(wide((to.y + 1) / 2, to.x), wide((to.y - 1) / 2, to.x), to.y) + detail;
    }
    // Little is added to both, so that dark noise is not scaled up.
    const Expr ratio = (at[0].out(y, x) + 0.01f) / (gray(y, x) + 0.01f);
    enhanced(c, y, x) = cast(u16, clamp(cast(f32, photo(c, y, x)) * ratio, 0.0f, 65535.0f));
    return Algorithm({enhanced}, {photo, alpha, beta}, {.name = "local_laplacian"});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(argc, argv,
                          {generator("local_laplacian", "details of a photo with 3 planes strengthened or softened",
                                     {param("levels", 8).at_least(1), param("tones", 8).at_least(2)},
                                     [](const Params& p) { return local_laplacian(p.integer("levels"), p.integer("tones")); })});
}
