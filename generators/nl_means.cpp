#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// Takes noise from an f32 photo of 3 planes: each pixel becomes the mean of the search x search pixels around it, weighted by
/// how alike the patch x patch pixels around both are: exp(-d / (sigma * patch)^2), d the sum of squared differences of the
/// patches over the planes; the result is clamped to [0, 1]. `search` and `patch` are odd. Source of the pipeline: apps/nl_means
/// of github.com/halide/Halide at abbf7ff983dc19d9994d32c5a5d11a8cdda88ed8; Buades, Coll & Morel 2005.
Algorithm nl_means(std::int64_t patch, std::int64_t search) {
    Dim c("c", 3), y("y"), x("x"), sy("sy", search), sx("sx", search), py("py", patch), px("px", patch);
    Dim k("k", 4);  // the planes, and the sum of weights
    Input photo("photo", f32, {c, y, x});
    Scalar sigma("sigma", f32);
    Func near("near"), difference("difference"), columns("columns"), distance("distance"), weight("weight"), total("total"),
        quiet("quiet");
    near(c, y, x) = clamp(photo)(c, y, x);
    const Expr to_y = y + sy - search / 2, to_x = x + sx - search / 2;
    const Expr apart = near(c, y, x) - near(c, to_y, to_x);
    difference(sy, sx, y, x) = sum({c}, apart * apart);
    columns(sy, sx, y, x) = sum({py}, difference(sy, sx, y + py - patch / 2, x));
    distance(sy, sx, y, x) = sum({px}, columns(sy, sx, y, x + px - patch / 2));
    const Expr width = sigma * static_cast<float>(patch);
    weight(sy, sx, y, x) = exp(distance(sy, sx, y, x) * (-1.0f / (width * width)));
    const Expr seen = select(k < 3, near(min(k, 2), to_y, to_x), 1.0f);
    total(k, y, x) = sum({sy, sx}, weight(sy, sx, y, x) * seen);
    quiet(c, y, x) = clamp(total(c, y, x) / total(3, y, x), 0.0f, 1.0f);
    return Algorithm({quiet}, {photo, sigma}, {.name = "nl_means"});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(argc, argv,
                          {generator("nl_means", "noise of a photo with 3 planes taken away by means of alike surroundings",
                                     {param("patch", 7).at_least(1), param("search", 7).at_least(1)},
                                     [](const Params& p) { return nl_means(p.integer("patch"), p.integer("search")); })});
}
