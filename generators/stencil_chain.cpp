#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// `stencils` weighted sums over 5x5, one after the other, of a u16 image whose edge is repeated; u16 arithmetic that wraps.
Algorithm stencil_chain(std::int64_t stencils) {
    Dim y("y"), x("x");
    Input image("image", u16, {y, x});
    const auto weighted = [&](auto&& at) {
        Expr total;
        for (int j = -2; j <= 2; ++j)
            for (int i = -2; i <= 2; ++i) {
                const Expr term = constant(u16, std::int64_t{(i + 3) * (j + 3)}) * at(y + j, x + i);
                total = total.defined() ? total + term : term;
            }
        return total;
    };
    Func first("stage_1");
    const Bounded edged = clamp(image);
    first(y, x) = weighted([&](const Expr& row, const Expr& column) { return Expr(edged(row, column)); });
    Func last = first;
    for (std::int64_t s = 2; s <= stencils; ++s) {
        Func stage("stage_" + std::to_string(s));
        stage(y, x) = weighted([&](const Expr& row, const Expr& column) { return Expr(last(row, column)); });
        last = stage;
    }
    return Algorithm({last}, {image}, {.name = "stencil_chain"});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(
        argc, argv,
        {generator("stencil_chain", "5x5 stencils one after the other on a u16 image", {param("stencils", 32).at_least(1)},
                   [](const Params& p) { return stencil_chain(p.integer("stencils")); })});
}
