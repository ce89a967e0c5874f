#include <algorithm>
#include <string>
#include <vector>

#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// A level of the pyramids: half the pixels of the level below, rounded up.
struct Level {
    Dim y, x;
    Func costs, weights;         // as the levels below give them, weighted by confidence
    Func smooth, smooth_weight;  // with what the levels above know
};

/// A number that looks random, of a place and a sample: integer multiplications and shifts that carry every bit to all others.
Expr scrambled(const Dim& s, const Dim& y, const Dim& x) {
    Expr h = cast(u32, s) * 0x9e3779b1 + cast(u32, y) * 0x85ebca77 + cast(u32, x) * 0xc2b2ae3d;
    h = (h ^ (h >> 15)) * 0x2c1b3c6d;
    h = (h ^ (h >> 12)) * 0x297a2d39;
    return h ^ (h >> 15);
}

/// Renders a u8 photo of 3 planes as a lens of wide aperture sees it, from it and a second one taken beside it: how far they
/// are shifted against each other (`slices` shifts of two pixels) says how far away things are; what is not in the plane `focus`
/// is blurred over a disc, drawn with `samples` points; each slice that it is away from there adds `radius_percent` / 100 pixels
/// to the radius. Costs of shifts are blurred over ever larger areas, `levels` of a pyramid, where they say little. Output: f32,
/// 0 to 255. Source of the pipeline: apps/lens_blur of github.com/halide/Halide at abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8;
/// there the weights are computed once per slice, here once, and another generator of random numbers places the samples.
Algorithm lens_blur(std::int64_t slices, std::int64_t focus, std::int64_t radius_percent, std::int64_t samples, size_t levels) {
    const float scale = static_cast<float>(radius_percent) / 100.0f;
    const auto widest = static_cast<std::int64_t>(static_cast<float>(std::max(slices - focus, focus)) * scale);
    Dim c("c", 3), k("k", 4), y("y"), x("x"), z("z", slices), s("s", samples), ry("ry", 2 * widest + 1), rx("rx", 2 * widest + 1);
    Input left("left", u8, {c, y, x}), right("right", u8, {c, y, x});
    Func cost("cost"), confidence("confidence"), depth("depth"), radius("radius"), widest_y("widest_y"), widest_yx("widest_yx"),
        place("place"), seen("seen"), part("part"), total("total"), photo("photo");
    const Bounded l = clamp(left), r = clamp(right);
    const auto square = [](const Expr& e) { return e * e; };
    const auto apart = [&](std::int64_t plane) {
        const auto to = [&](std::int64_t step) {
            const Expr a = l(plane, y, x), b = r(plane, y, x + 2 * z + step);
            return max(a, b) - min(a, b);
        };
        return square(cast(f32, min(to(0), to(1))));
    };
    cost(z, y, x) = apart(0) + apart(1) + apart(2);
    // A place whose costs differ much between slices says much: their variance.
    confidence(y, x) = sum({z}, square(cost(z, y, x))) / static_cast<float>(slices) -
                       square(sum({z}, cost(z, y, x)) / static_cast<float>(slices));

    std::vector<Level> at;
    for (size_t i = 0; i < levels; ++i) {
        const std::string number = std::to_string(i);
        const Extent size = std::int64_t{1} << i;
        const Dim row = i == 0 ? y : Dim("y" + number, (y.extent() + size - 1) / size),
                  column = i == 0 ? x : Dim("x" + number, (x.extent() + size - 1) / size);
        at.push_back({row, column, Func("costs_" + number), Func("weights_" + number), Func("smooth_" + number),
                      Func("smooth_weight_" + number)});
    }
    at[0].costs(z, y, x) = cost(z, y, x) * confidence(y, x);
    at[0].weights(y, x) = confidence(y, x);
    using Leading = std::vector<Index>;
    const auto read = [](const Func& f, Leading index, const Expr& row, const Expr& column) -> Expr {
        index.emplace_back(row), index.emplace_back(column);
        return f.at(index);
    };
    // A level goes on as at its edge; the first one knows its costs everywhere.
    const auto inside = [&](size_t i, const Expr& e, const Dim& d) { return i == 0 ? e : clamp(e, 0, d.extent() - 1); };
    // With taps 1 3 3 1 along both axes.
    const auto halved = [&](const Func& from, size_t i, const Leading& leading) {
        const Level &below = at[i - 1], &to = at[i];
        const auto taps = [](const auto& tap) { return (tap(-1) + 3.0f * (tap(0) + tap(1)) + tap(2)) / 8.0f; };
        Func columns(from.name() + "_columns");
        Leading index = leading;
        index.emplace_back(below.y), index.emplace_back(to.x);
        columns.at(index) = taps([&](int d) { return read(from, leading, below.y, inside(i - 1, 2 * to.x + d, below.x)); });
        return taps([&](int d) { return read(columns, leading, inside(i - 1, 2 * to.y + d, below.y), to.x); });
    };
    // Between two cells of the level above, a quarter of the way.
    const auto doubled = [&](const Func& from, size_t i, const Leading& leading) {
        const Level &above = at[i + 1], &to = at[i];
        const auto between = [](const auto& cell, const Expr& e) {
            return 0.25f * cell(e / 2 - 1 + 2 * (e % 2)) + 0.75f * cell(e / 2);
        };
        Func wide(from.name() + "_wide");
        Leading index = leading;
        index.emplace_back(above.y), index.emplace_back(to.x);
        wide.at(index) = between([&](const Expr& e) { return read(from, leading, above.y, e); }, to.x);
        return between([&](const Expr& e) { return read(wide, leading, e, to.x); }, to.y);
    };
    for (size_t i = 1; i < levels; ++i) {
        at[i].costs(z, at[i].y, at[i].x) = halved(at[i - 1].costs, i, {z});
        at[i].weights(at[i].y, at[i].x) = halved(at[i - 1].weights, i, {});
    }
    for (size_t i = levels; i-- > 0;) {
        const Level& to = at[i];
        const Expr row = inside(i, to.y, to.y), column = inside(i, to.x, to.x);
        const Expr costs = to.costs(z, row, column), weights = to.weights(row, column);
        const bool top = i + 1 == levels;
        to.smooth(z, to.y, to.x) = top ? costs : (doubled(at[i + 1].smooth, i, {z}) + costs) * 0.5f;
        to.smooth_weight(to.y, to.x) = top ? weights : (doubled(at[i + 1].smooth_weight, i, {}) + weights) * 0.5f;
    }
    depth(y, x) = cast(i32, argmin(z, at[0].smooth(z, y, x) / at[0].smooth_weight(y, x)));

    radius(y, x) = abs(cast(f32, depth(y, x) - focus)) * scale;
    // No disc around is wider than this.
    widest_y(y, x) = max({ry}, radius(y + ry - widest, x));
    widest_yx(y, x) = max({rx}, widest_y(y, x + rx - widest));
    const Expr random = scrambled(s, y, x);
    const auto offset = [&](const Expr& bits) {
        return clamp(cast(i32, (cast(f32, bits) * 0x1p-15f - 1.0f) * widest_yx(y, x)), -widest, widest);
    };
    place(s, y, x) = Tuple{offset(random >> 16), offset(random & 0xffff)};
    seen(k, y, x) = select(k < 3, cast(f32, l(min(k, 2), y, x)), 255.0f);
    const Expr dy = place(s, y, x)[0], dx = place(s, y, x)[1];
    const Expr from = cast(f32, dy * dy + dx * dx);
    // The sample's light reaches this pixel, from a disc around the sample that is in front, or where this one's is as wide.
    part(s, y, x) =
        select((from < square(radius(y, x)) || depth(y + dy, x + dx) < depth(y, x)) && from < square(radius(y + dy, x + dx)),
               constant(f32, 1.0), 0.0f);
    total(k, y, x) = seen(k, y, x) + sum({s}, part(s, y, x) * seen(k, y + dy, x + dx));
    photo(c, y, x) = total(c, y, x) / total(3, y, x);
    return Algorithm({photo}, {left, right}, {.name = "lens_blur"});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(
        argc, argv,
        {generator("lens_blur", "a photo with 3 planes as a wide lens sees it, by a second one beside it",
                   {param("slices", 32).at_least(1), param("focus", 13).at_least(0), param("radius_percent", 50).at_least(0),
                    param("samples", 32).at_least(1), param("levels", 8).at_least(1)},
                   [](const Params& p) {
                       return lens_blur(p.integer("slices"), p.integer("focus"), p.integer("radius_percent"),
                                        p.integer("samples"), static_cast<size_t>(p.integer("levels")));
                   })});
}
