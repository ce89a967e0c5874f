#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// Blurs an f32 photo of 3 planes with a recursive low pass, y[i] = (1 - a) y[i - 1] + a x[i] with a = 0.1: down the columns and
/// up again, along the rows and back. Before its first element a pass has seen that element. Source of the pipeline:
/// apps/iir_blur of github.com/halide/Halide at 02ccdda5091116dea0c573725594cec401739157.
Algorithm iir_blur() {
    const float weight = 0.1f, kept = 1 - weight;
    Dim c("c", 3), y("y"), x("x");
    Input photo("photo", f32, {c, y, x});
    Func down("down"), up("up"), right("right"), left("left"), blurred("blurred");
    const Bounded edged = clamp(photo);
    recurrence(y, {{down(c, y, x), edged(c, 0, x)}},
               [&](const Self& s) -> Tuple { return {kept * s[0](c, y - 1, x) + weight * edged(c, y, x)}; });
    recurrence(y, {{up(c, y, x), down(c, y.extent() - 1, x)}},
               [&](const Self& s) -> Tuple { return {kept * s[0](c, y + 1, x) + weight * down(c, y, x)}; }, {.reverse = true});
    // Steps along the rows stand with all their rows next to each other.
    recurrence(x, {{right(c, x, y), up(c, y, 0)}},
               [&](const Self& s) -> Tuple { return {kept * s[0](c, x - 1, y) + weight * up(c, y, x)}; });
    recurrence(x, {{left(c, x, y), right(c, x.extent() - 1, y)}},
               [&](const Self& s) -> Tuple { return {kept * s[0](c, x + 1, y) + weight * right(c, x, y)}; }, {.reverse = true});
    blurred(c, y, x) = left(c, x, y);
    return Algorithm({blurred}, {photo});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(
        argc, argv,
        {generator("iir_blur", "recursive low pass of a photo with 3 planes", {}, [](const Params&) { return iir_blur(); })});
}
