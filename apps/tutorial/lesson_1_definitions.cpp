// Lesson 1: definitions. What is computed, with nothing said about how.
#include "expect.h"

#include <tessera/compile.h>
#include <tessera/tessera.h>

#include <iostream>

using namespace tessera;

int main() {
    // A Dim is a named dimension. Its extent comes from the buffers of a call, unless it is written here. In an expression a Dim
    // is the index.
    Dim y("y"), x("x"), r("r", 3);

    // An Input is a parameter: name, dtype, dims. The last dim is the contiguous one.
    Input photo("photo", u8, {y, x});

    // A Func is a pure definition over all integers, written once. `mirror` says what photo is outside of its extents; without
    // it, x + r - 1 could be -1, and the algorithm would be refused.
    Func rows("rows"), blur("blur");
    rows(y, x) = sum({r}, cast(u16, mirror(photo)(y, x + r - 1)));
    blur(y, x) = cast(u8, sum({r}, rows(y + r - 1, x)) / 9);

    // An Algorithm is outputs, arguments in the order of the kernel's parameters, and all that lies between. It is checked here.
    const Algorithm algorithm({blur}, {photo});
    std::cout << algorithm.text();

    // The text is the algorithm: it parses back to the same one.
    expect(parse_algorithm(algorithm.text()).hash() == algorithm.hash(), "the text says everything");

    // The interpreter evaluates the meaning, slowly and without a schedule. It is what every compiled kernel is compared with.
    const Module meaning = compile(algorithm, {}, parse_target("interpreter"));
    const Buffer<std::uint8_t> in{4, 6};
    in(1, 2) = 90;
    const Buffer<std::uint8_t> out{4, 6};
    meaning({{"photo", in}}, {{"blur", out}});
    for (std::int64_t i = 0; i < 4; ++i) {
        for (std::int64_t j = 0; j < 6; ++j) std::cout << int{out(i, j)} << (j < 5 ? ' ' : '\n');
    }
    expect(out(1, 2) == 10 && out(0, 1) == 10 && out(2, 3) == 10 && out(3, 2) == 0, "one bright pixel spreads over 3 x 3");

    // A mistake is an Error with a code, the line, what was expected and what can be done.
    Func wrong("wrong");
    try {
        wrong(y, x) = photo(y, x + 1);
        const Algorithm refused({wrong}, {photo});
        expect(false, "an access outside of its input is refused");
    } catch (const Error& error) {
        std::cout << error.message() << "\n";
        expect(error.code() == E0401_out_of_bounds, "the code says which mistake it is");
    }
}
