#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

int main(int argc, char** argv) {
    return generator_main(argc, argv, {generator("scale", "rows times a factor", {param("factor", 3)}, [](const Params& p) {
                              Dim y("y"), x("x");
                              Input in("in", f32, {y, x});
                              Func out("out");
                              out(y, x) = in(y, x) * static_cast<double>(p.integer("factor"));
                              return Algorithm({out}, {in});
                          })});
}
