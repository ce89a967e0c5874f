// The generator of lesson 4: a program that builds an algorithm from parameters, and whose command line compiles it.
//   lesson_4.generator -o out -n blur --param taps=5 --dim x=*16 --schedule blur.json
#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

int main(int argc, char** argv) {
    const auto build = [](const Params& params) {
        const std::int64_t taps = params.integer("taps");
        Dim y("y"), x("x"), r("r", taps);
        Input photo("photo", u8, {y, x});
        Func rows("rows"), blur("blur");
        rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - taps / 2)));
        blur(y, x) = cast(u8, sum({r}, rows(y + r - taps / 2, x)) / (taps * taps));
        return Algorithm({blur}, {photo});
    };
    return generator_main(argc, argv,
                          {generator("lesson_4", "box blur of a gray picture", {param("taps", 3, {3, 5, 7})}, build)});
}
