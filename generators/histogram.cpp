#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

namespace {

/// counts(bin) = how many pixels of a u8 image have the value `bin`; values from `bins` on are not counted.
Algorithm histogram(std::int64_t bins) {
    Dim y("y"), x("x"), bin("bin", bins);
    Input image("image", u8, {y, x});
    Func counts("counts");
    counts(bin) = scatter(tessera::plus, {to(bin, cast(i32, image(y, x)))}, {y, x}, constant(i32, std::int64_t{1}));
    return Algorithm({counts}, {image}, {.name = "histogram"});
}

}  // namespace

int main(int argc, char** argv) {
    return generator_main(argc, argv,
                          {generator("histogram", "how often each value of a u8 image occurs", {param("bins", 256).at_least(1)},
                                     [](const Params& p) { return histogram(p.integer("bins")); })});
}
