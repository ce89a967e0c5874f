// The generator of lesson 11: a layer, whose derivative is one flag of its command line.
#include <tessera/generator.h>
#include <tessera/tessera.h>

using namespace tessera;

int main(int argc, char** argv) {
    const auto build = [](const Params&) {
        Dim b("b"), i("i"), o("o");
        Input x("x", f32, {b, i}), W("W", f32, {i, o});
        Func total("total"), y("y");
        total(b, o) = sum({i}, x(b, i) * W(i, o));
        y(b, o) = tanh(total(b, o));
        return Algorithm({y}, {x, W});
    };
    return generator_main(argc, argv, {generator("lesson_11", "a layer: tanh of a product", {}, build)});
}
